//! Which snapshots count as backups of a database, by who made them and where they lie.
//!
//! <https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBSnapshots.html>: RDS takes `automated` ones, AWS Backup
//! `awsbackup` ones, and a copy in another region is a `manual` one that names the region it came from. One that somebody made by hand says
//! nothing of whether there will be a next.

use aws_sdk_rds::types::DbSnapshot;

use crate::domain::backup::{BackupCopy, CopyState, copy};
use crate::domain::ids::RegionId;
use crate::systems::aws::moment;

/// Where snapshots of a database are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Where it lives: those that are taken by themselves.
    Home,
    /// In another region: those that were brought there.
    Elsewhere,
}

impl Origin {
    /// The types that are asked for.
    pub fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Home => &["automated", "awsbackup"],
            Self::Elsewhere => &["awsbackup", "manual"],
        }
    }

    /// The copy that a snapshot of `region` is, asked for as one of `kind`; `None` when it does not count.
    pub fn told(self, it: &DbSnapshot, kind: &str, region: &RegionId) -> Option<BackupCopy> {
        if it.snapshot_type().is_some_and(|told| told != kind) {
            return None;
        }
        let brought = it.source_region().is_some_and(|from| !from.is_empty() && from != region.as_str());
        if self == Self::Elsewhere && !brought {
            return None;
        }
        // What a copy holds is as old as what it was copied from.
        let at = it.original_snapshot_create_time().or(it.snapshot_create_time()).and_then(moment)?;
        let size = it.allocated_storage().and_then(|size| u64::try_from(size).ok()).map(|size| size << 30);
        let name = it.db_snapshot_identifier().unwrap_or_default();
        Some(copy(at, state(it.status().unwrap_or_default()), name, size))
    }
}

/// The API's words for a snapshot; what it does not say is still being made.
fn state(status: &str) -> CopyState {
    match status {
        "available" => CopyState::Good,
        "failed" => CopyState::Failed,
        _ => CopyState::Running,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::primitives::DateTime;

    use super::*;

    #[test]
    fn what_others_made_or_brought_counts_and_one_by_hand_does_not() {
        let west = RegionId::from("us-west-2");
        let snapshot = |kind: &str, from: Option<&str>| {
            let it = DbSnapshot::builder().db_snapshot_identifier("s").snapshot_type(kind).status("available");
            let it = it
                .snapshot_create_time(DateTime::from_secs(2000))
                .original_snapshot_create_time(DateTime::from_secs(1000));
            it.set_source_region(from.map(str::to_owned)).build()
        };
        for (from, kind, source, counts) in [
            (Origin::Home, "automated", None, true),
            (Origin::Home, "awsbackup", None, true),
            (Origin::Home, "manual", None, false),
            (Origin::Elsewhere, "manual", Some("us-east-1"), true),
            (Origin::Elsewhere, "awsbackup", Some("us-east-1"), true),
            (Origin::Elsewhere, "manual", None, false),
            (Origin::Elsewhere, "manual", Some("us-west-2"), false),
        ] {
            let asked = from.kinds().iter().filter_map(|asked| from.told(&snapshot(kind, source), asked, &west));
            let found: Vec<BackupCopy> = asked.collect();
            assert_eq!(found.len(), usize::from(counts), "{from:?} {kind} of {source:?}");
            assert!(found.iter().all(|copy| copy.at.as_second() == 1000), "as old as what was copied");
        }
    }
}
