//! Automated backups: the daily snapshots and the log between them, in the database's own region and, where automated backups are
//! replicated, in the other one.
//!
//! Logs are shipped every five minutes: what can be restored to trails the database by up to that much
//! (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html>).

use super::Rds;
use super::database::{Database, Window};
use crate::domain::backup::{BackupLook, BackupSpec};
use crate::domain::kinds::BackupKind;
use crate::domain::system::{Fault, Guard};
use crate::domain::time::Span;

pub const KINDS: &[BackupKind] = &[
    BackupKind { name: "rds.snapshots", title: "Daily automated snapshots", dated: true, params: &[] },
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
        let (seen, copies, replicated) =
            tokio::join!(writer.look(), writer.snapshots(), self.replica.replicated_backups(&self.primary.name));
        let seen = seen?;
        let mut look = BackupLook::of(copies?).at(writer.region.clone());
        // Replicated automated backups carry the snapshots over as well as the logs.
        match replicated {
            Ok(there) => look.regions.extend(there.map(|_| self.replica.region.clone())),
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
        let (seen, replicated) = tokio::join!(writer.look(), self.replica.replicated_backups(&self.primary.name));
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
                look.regions.push(self.replica.region.clone());
                look.guards.push(match status == "replicating" {
                    true => Guard::pass("replication", format!("replicated to {}", self.replica.region)),
                    false => Guard::warn("replication", format!("replication to {} is {status}", self.replica.region)),
                });
            }
            Ok(None) => {}
            Err(fault) => not_known(&mut look, &fault),
        }
        Ok(look)
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

/// Whether backups are replicated could not be learnt: the copies that were seen are seen all the same.
fn not_known(look: &mut BackupLook, fault: &Fault) {
    look.partial = true;
    look.guards.push(Guard::warn("replication", format!("not known: {}", fault.what)));
}

fn days(days: i32) -> Span {
    Span::secs(u64::try_from(days).unwrap_or(0) * 86_400)
}
