//! Automated backups: the daily snapshots and the log between them, in the database's own region and, where automated backups are
//! replicated, in the other one.
//!
//! Logs are shipped every five minutes: what can be restored to trails the database by up to that much
//! (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html>).

use super::Rds;
use super::database::{Database, Window};
use super::seen::Seen;
use super::snapshots::Origin;
use crate::domain::backup::{BackupCopy, BackupLook, BackupSpec};
use crate::domain::kinds::BackupKind;
use crate::domain::system::{Fault, Guard};
use crate::domain::time::{At, Span, seconds_between};
use crate::systems::aws::told;

/// Daily copies that are further behind were missed at least once.
const BEHIND: Span = Span::secs(2 * 86_400);

pub const KINDS: &[BackupKind] = &[
    BackupKind { name: "rds.snapshots", title: "Daily snapshots, by RDS or by AWS Backup", dated: true, params: &[] },
    BackupKind { name: "rds.point-in-time", title: "The window of point-in-time recovery", dated: true, params: &[] },
];

impl Rds {
    pub async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        match spec.kind.as_str() {
            "rds.snapshots" => self.snapshots().await,
            "rds.point-in-time" => self.point_in_time().await,
            other => {
                Err(Fault::permanent(&self.id, format!("there is no backup kind `{other}`")).next("run `mayday kinds`"))
            }
        }
    }

    async fn snapshots(&self) -> Result<BackupLook, Fault> {
        let writer = self.writer().await;
        let other = self.other(writer);
        let (seen, copies, elsewhere, replicated) = tokio::join!(
            writer.look(),
            writer.snapshots(&writer.name, Origin::Home),
            other.snapshots(&writer.name, Origin::Elsewhere),
            other.replicated_backups(&writer.name)
        );
        if let Some(fault) = seen.as_ref().ok().and_then(|seen| self.of_cluster(seen, &writer.name)) {
            return Err(fault);
        }
        let (seen, copies) = match (seen, copies, &elsewhere) {
            (Ok(seen), Ok(copies), _) => (seen, copies),
            // The database's region may be the one that is dark: what lies in the other one is seen all the same.
            (Err(fault), ..) | (_, Err(fault), _) => return only_elsewhere(other, elsewhere, fault),
        };
        let newest = copies.iter().filter(|copy| copy.is_good()).map(|copy| copy.at).max();
        let mut look = BackupLook::of(copies).at(writer.region.clone());
        brought(&mut look, other, elsewhere, newest);
        // Replicated automated backups carry the snapshots over as well as the logs.
        match replicated {
            Ok(Some(_)) if !look.regions.contains(&other.region) => look.regions.push(other.region.clone()),
            Ok(_) => {}
            Err(fault) => not_known(&mut look, &fault),
        }
        look.keeps = Some(days(seen.retention_days));
        if seen.retention_days == 0 {
            look.guards.push(Guard::block("automated", "automated backups are off"));
        }
        Ok(look)
    }

    /// Known from either side: the database's own region may be the one that is dark.
    async fn point_in_time(&self) -> Result<BackupLook, Fault> {
        let writer = self.writer().await;
        let other = self.other(writer);
        let (seen, replicated) = tokio::join!(writer.look(), other.replicated_backups(&writer.name));
        if let Some(fault) = seen.as_ref().ok().and_then(|seen| self.of_cluster(seen, &writer.name)) {
            return Err(fault);
        }
        let mut look = BackupLook::default();
        match (&seen, &replicated) {
            (Err(fault), Err(_) | Ok(None)) => return Err(fault.clone()),
            (Err(_), Ok(Some(_))) => {}
            (Ok(seen), _) => {
                look.keeps = Some(days(seen.retention_days));
                look.point = seen.restorable;
                look.regions.extend(seen.restorable.map(|_| writer.region.clone()));
                if seen.restorable.is_none() {
                    look.guards
                        .push(Guard::block("point-in-time", "the database cannot be restored to a point in time"));
                }
            }
        }
        match replicated {
            Ok(Some(Window { oldest, newest, keeps_days, status })) => {
                look.point = look.point.max(newest);
                look.oldest = oldest;
                look.keeps = look.keeps.or(keeps_days.map(days));
                look.regions.push(other.region.clone());
                look.guards.push(match status == "replicating" {
                    true => Guard::pass("replication", format!("replicated to {}", other.region)),
                    false => Guard::warn("replication", format!("replication to {} is {status}", other.region)),
                });
            }
            Ok(None) => {}
            Err(fault) => not_known(&mut look, &fault),
        }
        Ok(look)
    }

    /// A cluster's snapshots and its window are the cluster's own, by calls of their own: of a member nothing is told that counts.
    fn of_cluster(&self, seen: &Seen, name: &str) -> Option<Fault> {
        let cluster = seen.cluster.as_ref()?.words();
        let what = format!("{name} is a member of {cluster}, whose backups `kind = \"rds\"` does not read");
        Some(
            Fault::permanent(&self.id, what)
                .means("how fresh its backups are is not known")
                .next("take this [[system.backup]] out; `aws rds describe-db-cluster-snapshots` tells by hand"),
        )
    }

    /// The database whose backups count: the promoted replica once it stands on its own, unless the old writer is the one that is written to.
    async fn writer(&self) -> &Database {
        let (primary, replica) = tokio::join!(self.primary.look(), self.replica.look());
        let Some(replica) = replica.ok().filter(|seen| seen.source.is_none() && seen.serves()) else {
            return &self.primary;
        };
        // Where both stand alone, an old writer has come back: the one that is still written to has the newer log.
        match primary {
            Ok(primary) if primary.source.is_none() && primary.restorable > replica.restorable => &self.primary,
            _ => &self.replica,
        }
    }
}

/// Copies that a rule of AWS Backup or somebody's job brought to the other region. Where there are none that is no fault: backups may be
/// replicated in another way, or not at all.
fn brought(look: &mut BackupLook, other: &Database, copies: Result<Vec<BackupCopy>, Fault>, newest_here: Option<At>) {
    const NAME: &str = "copy-elsewhere";
    let copies = match copies {
        Ok(copies) => copies,
        Err(fault) => {
            look.partial = true;
            look.guards.push(Guard::warn(NAME, format!("not known: {}", told(&fault))));
            return;
        }
    };
    let Some(newest) = copies.iter().filter(|copy| copy.is_good()).max_by_key(|copy| copy.at) else { return };
    look.regions.push(other.region.clone());
    let words = format!("the newest copy in {} holds {}", other.region, newest.at.strftime("%F %H:%MZ"));
    let behind = newest_here.is_some_and(|here| seconds_between(newest.at, here) > BEHIND.as_secs_f64());
    look.guards.push(match behind {
        true => Guard::warn(NAME, format!("{words}: it is more than {BEHIND} behind what is kept at home")),
        false => Guard::pass(NAME, words),
    });
}

/// Nothing is told where the database lives.
fn only_elsewhere(other: &Database, copies: Result<Vec<BackupCopy>, Fault>, fault: Fault) -> Result<BackupLook, Fault> {
    let copies = copies.ok().filter(|copies| copies.iter().any(BackupCopy::is_good)).ok_or_else(|| fault.clone())?;
    let mut look = BackupLook::of(copies).at(other.region.clone());
    look.partial = true;
    look.guards
        .push(Guard::warn("home", format!("what is kept where the database lives is not known: {}", told(&fault))));
    Ok(look)
}

/// Whether backups are replicated could not be learnt: the copies that were seen are seen all the same.
fn not_known(look: &mut BackupLook, fault: &Fault) {
    look.partial = true;
    look.guards.push(Guard::warn("replication", format!("not known: {}", told(fault))));
}

fn days(days: i32) -> Span {
    Span::secs(u64::try_from(days).unwrap_or(0) * 86_400)
}
