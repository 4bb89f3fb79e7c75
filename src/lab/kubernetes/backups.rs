//! What backs the cluster up: Velero's resources and snapshots of volumes, made every six hours.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::moment;
use super::{Cluster, Kind};
use crate::lab::faults::{Condition, Faults};
use crate::lab::world::STANDBY;

/// The places of these faults: they make copies, and may fail to.
pub const VELERO: &str = "velero";
pub const SNAPSHOTS: &str = "volume-snapshots";

pub const VELERO_NAMESPACE: &str = "velero";
pub const SCHEDULE: &str = "gennet-config";
const LOCATION: &str = "default";
pub const CLAIMS: [&str; 2] = ["grn-engine-data", "workflow-data"];

const EVERY: Duration = Duration::from_secs(6 * 3600);
/// So many copies are kept: a week of them.
const KEPT: u32 = 28;
const KEEPS: Duration = Duration::from_secs(7 * 86_400);
/// How long ago the newest one was made when the world begins.
const NEWEST: Duration = Duration::from_secs(100 * 60);

/// The moments at which copies were made, newest first; while nothing is made any more, the newest are missing.
fn moments(created: Timestamp, condition: Condition) -> Vec<(u32, Timestamp)> {
    let first = if condition == Condition::Stale { 16 } else { 0 };
    (first..KEPT).map(|nth| (nth, created - NEWEST - EVERY * nth)).collect()
}

/// The cluster's copies as they are now.
#[derive(Default)]
pub struct Backups {
    conditions: Option<(Condition, Condition)>,
    pub objects: Vec<(Kind, String, Value)>,
}

impl Cluster {
    /// Makes the copies anew when what makes them breaks or is mended.
    pub(super) fn back_up(&mut self, faults: &Faults) {
        let conditions = (faults.condition(VELERO, Some(self.region)), faults.condition(SNAPSHOTS, Some(self.region)));
        // A region that is dark shows nothing of it; its copies are as they were.
        let calm = |condition| {
            if matches!(condition, Condition::Stale | Condition::Partial) { condition } else { Condition::Up }
        };
        let conditions = (calm(conditions.0), calm(conditions.1));
        if self.backups.conditions == Some(conditions) {
            return;
        }
        let mut objects = self.velero(conditions.0);
        objects.extend(self.snapshots(conditions.1));
        let gone = std::mem::replace(&mut self.backups, Backups { conditions: Some(conditions), objects }).objects;
        let names: Vec<(Kind, String)> =
            gone.iter().chain(&self.backups.objects).map(|(kind, name, _)| (*kind, name.clone())).collect();
        self.touched.extend(names);
    }

    fn velero(&self, condition: Condition) -> Vec<(Kind, String, Value)> {
        let made = |kind: Kind, name: String, at: Timestamp, more: Value| {
            let mut object = self.frame(kind, &name, at);
            for (key, value) in more.as_object().into_iter().flatten() {
                match key.as_str() {
                    "labels" => object["metadata"]["labels"] = value.clone(),
                    key => object[key] = value.clone(),
                }
            }
            (kind, name, object)
        };
        let mut objects = vec![
            made(
                Kind::BackupLocation,
                LOCATION.into(),
                self.created,
                json!({
                    "spec": { "provider": "aws", "objectStorage": { "bucket": "gennet-backups", "prefix": "velero" }, "config": { "region": STANDBY } },
                    "status": { "phase": "Available", "lastValidationTime": moment(self.created) },
                }),
            ),
            made(
                Kind::Schedule,
                SCHEDULE.into(),
                self.created,
                json!({
                    "spec": { "schedule": "0 */6 * * *", "template": { "ttl": "168h0m0s", "includedNamespaces": [super::NAMESPACE], "storageLocation": LOCATION } },
                    "status": { "phase": "Enabled" },
                }),
            ),
        ];
        for (nth, at) in moments(self.started, condition) {
            let partial = condition == Condition::Partial && nth < 2;
            let (phase, errors) = if partial { ("PartiallyFailed", 3) } else { ("Completed", 0) };
            let name = format!("{SCHEDULE}-{}", at.strftime("%Y%m%d%H%M%S"));
            objects.push(made(Kind::Backup, name, at, json!({
                "labels": { "velero.io/schedule-name": SCHEDULE, "velero.io/storage-location": LOCATION },
                "spec": { "includedNamespaces": [super::NAMESPACE], "storageLocation": LOCATION, "ttl": "168h0m0s" },
                "status": {
                    "phase": phase, "errors": errors, "startTimestamp": moment(at),
                    "completionTimestamp": moment(at + Duration::from_secs(95)), "expiration": moment(at + KEEPS),
                    "progress": { "itemsBackedUp": 214, "totalItems": 214 },
                },
            })));
        }
        objects
    }

    fn snapshots(&self, condition: Condition) -> Vec<(Kind, String, Value)> {
        let mut objects = Vec::new();
        for claim in CLAIMS {
            let mut object = self.frame(Kind::Claim, claim, self.created);
            object["spec"] = json!({
                "accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "volumeName": format!("pvc-{claim}"),
                "resources": { "requests": { "storage": "20Gi" } },
            });
            object["status"] = json!({ "phase": "Bound", "capacity": { "storage": "20Gi" } });
            objects.push((Kind::Claim, claim.to_owned(), object));
            for (nth, at) in moments(self.started, condition) {
                let name = format!("{claim}-{}", at.strftime("%Y%m%d%H%M"));
                let mut object = self.frame(Kind::Snapshot, &name, at);
                object["spec"] = json!({
                    "volumeSnapshotClassName": "ebs-copied", "source": { "persistentVolumeClaimName": claim },
                });
                let ready = !(condition == Condition::Partial && nth < 2);
                object["status"] = json!({ "creationTime": moment(at), "restoreSize": "20Gi", "boundVolumeSnapshotContentName": format!("snapcontent-{name}") });
                if ready {
                    object["status"]["readyToUse"] = true.into();
                }
                objects.push((Kind::Snapshot, name, object));
            }
        }
        objects
    }
}
