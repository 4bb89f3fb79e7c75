//! Backups of a cluster: what Velero made of its objects, and snapshots of its volumes.
//!
//! Only the phase `Completed` is a good backup; `completionTimestamp` is set on failures as well, so the moment that counts is the
//! start (<https://velero.io/docs/main/api-types/backup/>). A VolumeSnapshot without `readyToUse` is unknown, not good
//! (<https://kubernetes.io/docs/concepts/storage/volume-snapshots/>).

use std::collections::BTreeMap;

use serde_json::Value;

use super::client::Client;
use super::lists::part;
use super::{Cluster, Spot};
use crate::domain::backup::{BackupCopy, BackupLook, BackupSpec, CopyState, copy};
use crate::domain::ids::RegionId;
use crate::domain::kinds::{BackupKind, Param, ParamType};
use crate::domain::system::{Fault, Guard};
use crate::domain::text::clean;
use crate::domain::time::{At, Span, seconds_between};

pub const KINDS: &[BackupKind] = &[
    BackupKind {
        name: "kubernetes.velero",
        title: "Velero's backups of the cluster's objects",
        dated: true,
        params: &[
            Param::default("velero_namespace", ParamType::Text, "velero", "where Velero lives"),
            Param::optional("schedule", ParamType::Text, "only what this Schedule makes; all backups when left out"),
        ],
    },
    BackupKind {
        name: "kubernetes.volume-snapshots",
        title: "Snapshots of the persistent volumes",
        dated: true,
        params: &[Param::default(
            "claims",
            ParamType::List,
            "[]",
            "the claims that have to be covered; all of the namespace when left out",
        )],
    },
];

/// The label that Velero gives to what a Schedule makes.
const SCHEDULE: &str = "velero.io/schedule-name";

const VELERO: (&str, &str) = ("velero.io", "v1");
const SNAPSHOTS: (&str, &str) = ("snapshot.storage.k8s.io", "v1");

impl Cluster {
    pub async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        match spec.kind.as_str() {
            "kubernetes.velero" => self.velero(spec).await,
            "kubernetes.volume-snapshots" => self.volume_snapshots(spec).await,
            other => {
                Err(Fault::permanent(&self.id, format!("there is no backup kind `{other}`")).next("run `mayday kinds`"))
            }
        }
    }

    /// Velero lives once in a cluster, and what it keeps of one says nothing of another.
    fn only_cluster(&self) -> Result<&Client, Fault> {
        match self.clients.as_slice() {
            [only] => Ok(only),
            _ => Err(Fault::permanent(&self.id, "a backup by Velero is of one cluster, and this system has several")
                .next("give each cluster a [[system]] of its own for its backups")),
        }
    }

    async fn velero(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        let namespace = spec.params.text("velero_namespace")?;
        let schedule = spec.params.opt_text("schedule");
        let client = self.only_cluster()?;
        let list = async |plural| objects(client, VELERO, namespace, plural).await;
        let (backups, schedules, locations) =
            tokio::try_join!(list("backups"), list("schedules"), list("backupstoragelocations"))?;
        let label = |it: &Value| it["metadata"]["labels"][SCHEDULE].as_str().map(str::to_owned);
        let wanted = |it: &&Value| schedule.is_none_or(|schedule| label(it).is_some_and(|label| label == schedule));
        let backups: Vec<&Value> = backups.iter().filter(wanted).collect();
        let mut look = BackupLook::of(backups.iter().filter_map(|it| velero_copy(it)).collect());
        look.keeps = backups.iter().filter_map(|it| kept(it)).min();
        if let Some(name) = schedule {
            look.guards.push(schedule_guard(name, &schedules));
        }
        let mut used: Vec<&str> = backups.iter().filter_map(|it| text(it, "/spec/storageLocation")).collect();
        used.sort_unstable();
        used.dedup();
        for name in used {
            let location = locations.iter().find(|it| named(it) == name);
            look.guards.push(location_guard(name, location));
            let region = location.and_then(|it| text(it, "/spec/config/region"));
            look.partial |= region.is_none();
            look.regions.extend(region.map(|region| RegionId::from(clean(region))));
        }
        Ok(look)
    }

    async fn volume_snapshots(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        let mut claims = spec.params.list("claims");
        let every = claims.is_empty();
        let mut by_claim: BTreeMap<String, Vec<BackupCopy>> = BTreeMap::new();
        for spot in &self.spots {
            if every {
                claims.extend(spot.claims().await?);
            }
            for snapshot in objects(&spot.client, SNAPSHOTS, &spot.namespace, "volumesnapshots").await? {
                let claim = text(&snapshot, "/spec/source/persistentVolumeClaimName");
                if let (Some(claim), Some(copy)) = (claim, snapshot_copy(&snapshot)) {
                    by_claim.entry(format!("{}{claim}", spot.label)).or_default().push(copy);
                }
            }
        }
        Ok(of_claims(&claims, &by_claim, self.region.as_ref()))
    }
}

/// All claims together are as fresh as the one whose newest good snapshot is the oldest.
fn of_claims(claims: &[String], by_claim: &BTreeMap<String, Vec<BackupCopy>>, region: Option<&RegionId>) -> BackupLook {
    let looks: Vec<(&String, BackupLook)> = claims
        .iter()
        .map(|claim| (claim, BackupLook::of(by_claim.get(claim.as_str()).cloned().unwrap_or_default())))
        .collect();
    let bare: Vec<&str> =
        looks.iter().filter(|(_, look)| look.newest_good().is_none()).map(|(claim, _)| claim.as_str()).collect();
    let guard = match (claims.is_empty(), bare.is_empty()) {
        (true, _) => Guard::warn("claims", "there is no claim to be covered"),
        (false, true) => Guard::pass("claims", format!("{} claims are covered", claims.len())),
        (false, false) => {
            Guard::block("claims", format!("no snapshot that is ready to use of {}", clean(&bare.join(", "))))
        }
    };
    let oldest = looks.into_iter().min_by_key(|(_, look)| look.newest_good().map(|copy| copy.at));
    let mut look = oldest.map(|(_, look)| look).unwrap_or_default().at(region.cloned());
    look.guards.push(guard);
    look
}

fn named(it: &Value) -> &str {
    text(it, "/metadata/name").unwrap_or_default()
}

/// All objects of a custom kind in a namespace.
async fn objects(
    client: &Client,
    (group, version): (&str, &str),
    namespace: &str,
    plural: &str,
) -> Result<Vec<Value>, Fault> {
    let path = format!("/apis/{group}/{version}/namespaces/{}/{plural}", part(namespace));
    let absent = || {
        Fault::permanent(client.system(), format!("this cluster has no {plural}.{group}"))
            .next("see whether what makes these backups is installed there")
    };
    client.list(&format!("list {plural}"), &path).await?.ok_or_else(absent)
}

impl Spot {
    /// The names of the claims here.
    async fn claims(&self) -> Result<Vec<String>, Fault> {
        let path = format!("/api/v1/namespaces/{}/persistentvolumeclaims", part(&self.namespace));
        let claims = self.client.list_of("list claims", &path).await?;
        Ok(claims.iter().map(|it| format!("{}{}", self.label, named(it))).collect())
    }
}

fn text<'v>(data: &'v Value, pointer: &str) -> Option<&'v str> {
    data.pointer(pointer)?.as_str()
}

fn moment(data: &Value, pointer: &str) -> Option<At> {
    text(data, pointer)?.parse().ok()
}

/// Velero's words for a backup; a word that nobody listed is no good backup.
fn phase(word: &str) -> CopyState {
    match word {
        "Completed" => CopyState::Good,
        ""
        | "New"
        | "Queued"
        | "ReadyToStart"
        | "InProgress"
        | "WaitingForPluginOperations"
        | "Finalizing"
        | "Deleting" => CopyState::Running,
        "PartiallyFailed" | "WaitingForPluginOperationsPartiallyFailed" | "FinalizingPartiallyFailed" => {
            CopyState::Partial
        }
        _ => CopyState::Failed,
    }
}

fn velero_copy(it: &Value) -> Option<BackupCopy> {
    let created = moment(it, "/metadata/creationTimestamp");
    let at = moment(it, "/status/startTimestamp").or(created)?;
    let word = text(it, "/status/phase").unwrap_or_default();
    let name = named(it);
    let state = phase(word);
    let name = if state == CopyState::Good { name.to_owned() } else { format!("{name} ({word})") };
    Some(copy(at, state, &name, None))
}

/// How long Velero keeps a backup.
fn kept(data: &Value) -> Option<Span> {
    let (start, end) = (moment(data, "/status/startTimestamp")?, moment(data, "/status/expiration")?);
    Some(Span::secs(seconds_between(start, end).max(0.0).round() as u64))
}

fn schedule_guard(name: &str, schedules: &[Value]) -> Guard {
    let Some(schedule) = schedules.iter().find(|it| named(it) == name) else {
        return Guard::block("schedule", format!("there is no Schedule {name}"));
    };
    let paused = schedule.pointer("/spec/paused").and_then(Value::as_bool) == Some(true);
    let cron = clean(text(schedule, "/spec/schedule").unwrap_or_default());
    match (paused, text(schedule, "/status/phase")) {
        (true, _) => Guard::warn("schedule", format!("the Schedule {name} is paused")),
        (false, Some("Enabled")) => Guard::pass("schedule", format!("{name} runs at {cron}")),
        (false, None) => Guard::warn("schedule", format!("whether the Schedule {name} runs is not told by Velero yet")),
        (false, Some(phase)) => Guard::warn("schedule", format!("the Schedule {name} is {}", clean(phase))),
    }
}

fn location_guard(name: &str, location: Option<&Value>) -> Guard {
    match location.map(|it| text(it, "/status/phase")) {
        Some(Some("Available")) => Guard::pass("location", format!("{} is available", clean(name))),
        Some(word) => Guard::block(
            "location",
            format!("the storage location {} is {}", clean(name), clean(word.unwrap_or("not checked yet"))),
        ),
        None => Guard::block("location", format!("there is no storage location {}", clean(name))),
    }
}

fn snapshot_copy(it: &Value) -> Option<BackupCopy> {
    let created = moment(it, "/metadata/creationTimestamp");
    let at = moment(it, "/status/creationTime").or(created)?;
    let state = match (it.pointer("/status/readyToUse").and_then(Value::as_bool), text(it, "/status/error/message")) {
        (_, Some(_)) => CopyState::Failed,
        (Some(true), None) => CopyState::Good,
        (_, None) => CopyState::Running,
    };
    let size = text(it, "/status/restoreSize").and_then(quantity);
    Some(copy(at, state, named(it), size))
}

/// Bytes of a Kubernetes quantity: `20Gi`.
fn quantity(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("Ti", 1 << 40),
        ("Gi", 1 << 30),
        ("Mi", 1 << 20),
        ("Ki", 1 << 10),
        ("T", 1_000_000_000_000),
        ("G", 1_000_000_000),
        ("M", 1_000_000),
        ("k", 1000),
    ];
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(data: Value) -> Value {
        let mut whole = json!({ "apiVersion": "velero.io/v1", "kind": "Backup", "metadata": { "name": "nightly" } });
        whole.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_backup_that_failed_in_part_is_not_good_although_it_completed() {
        let partial = object(json!({ "status": {
            "phase": "PartiallyFailed", "startTimestamp": "2026-11-23T04:00:00Z", "completionTimestamp": "2026-11-23T04:10:00Z",
        }}));
        let copy = velero_copy(&partial).unwrap();
        assert_eq!((copy.state, copy.at), (CopyState::Partial, "2026-11-23T04:00:00Z".parse().unwrap()));
        assert_eq!(phase("a word of next year's"), CopyState::Failed);
    }

    #[test]
    fn a_snapshot_that_does_not_say_ready_is_not_good() {
        let silent = object(json!({ "status": { "creationTime": "2026-11-23T04:00:00Z" } }));
        assert_eq!(snapshot_copy(&silent).unwrap().state, CopyState::Running);
        let ready = object(json!({ "status": {
            "creationTime": "2026-11-23T04:00:00Z", "readyToUse": true, "restoreSize": "20Gi",
        }}));
        assert_eq!(snapshot_copy(&ready).map(|it| (it.state, it.size)), Some((CopyState::Good, Some(20 << 30))));
    }

    #[test]
    fn a_schedule_and_a_location_of_which_nothing_is_told_are_not_well() {
        use crate::domain::system::GuardVerdict::{self, Block, Pass, Warn};
        let phase = |phase: &str| object(json!({ "status": { "phase": phase }, "spec": { "schedule": "0 4 * * *" } }));
        let silent = || object(json!({ "spec": { "schedule": "0 4 * * *" } }));
        let paused = object(json!({ "status": { "phase": "Enabled" }, "spec": { "paused": true } }));
        let rows: [(&str, Option<Value>, GuardVerdict, &str); 5] = [
            ("it runs", Some(phase("Enabled")), Pass, "runs at 0 4 * * *"),
            ("no word of it", Some(silent()), Warn, "is not told"),
            ("it is paused", Some(paused), Warn, "paused"),
            ("it failed", Some(phase("FailedValidation")), Warn, "FailedValidation"),
            ("it is not there", None, Block, "there is no Schedule"),
        ];
        for (what, schedule, verdict, words) in rows {
            let guard = schedule_guard("nightly", &schedule.into_iter().collect::<Vec<_>>());
            assert!(guard.verdict == verdict && guard.detail.contains(words), "{what}: {guard:?}");
        }
        for (what, location, verdict) in
            [("well", Some(phase("Available")), Pass), ("no word", Some(silent()), Block), ("none", None, Block)]
        {
            assert_eq!(location_guard("s3", location.as_ref()).verdict, verdict, "{what}");
        }
    }

    #[test]
    fn claims_are_as_fresh_as_their_worst() {
        let at = |text: &str| copy(text.parse().unwrap(), CopyState::Good, "s", None);
        let by_claim = BTreeMap::from([
            ("a".to_owned(), vec![at("2026-11-23T04:00:00Z")]),
            ("b".to_owned(), vec![at("2026-11-22T04:00:00Z"), at("2026-11-21T04:00:00Z")]),
        ]);
        let of =
            |claims: &[&str]| of_claims(&claims.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), &by_claim, None);
        assert_eq!(of(&["a", "b"]).restorable(), Some("2026-11-22T04:00:00Z".parse().unwrap()));
        let bare = of(&["a", "c"]);
        assert_eq!(bare.restorable(), None, "a claim without a snapshot is not covered by another's");
        assert!(bare.guards[0].detail.contains('c'));
    }

    #[test]
    fn quantities_are_bytes() {
        assert_eq!(
            [quantity("20Gi"), quantity("500M"), quantity("7"), quantity("x")],
            [Some(20 << 30), Some(500_000_000), Some(7), None]
        );
    }
}
