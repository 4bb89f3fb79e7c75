//! Databases, their events and backups, as RDS writes them.

use std::time::Duration;

use super::super::faults::Condition;
use super::super::world::{PRIMARY, STANDBY};
use super::super::xml::{leaf, node, optional};
use super::sts::ACCOUNT;
use super::{Databases, Event, Instance};

/// How many days of automated backups are kept.
pub const RETENTION: u64 = 7;
/// How long ago the newest one was taken when the world began.
const FIRST: Duration = Duration::from_secs(9 * 3600);
/// How many days of them are missing when none are taken any more.
const MISSED: u64 = 3;
const DAY: Duration = Duration::from_secs(86_400);
/// How far the archived log lies behind: it ships every five minutes.
const ARCHIVED_BEHIND: Duration = Duration::from_secs(150);

pub fn arn(region: &str, kind: &str, name: &str) -> String {
    format!("arn:aws:rds:{region}:{ACCOUNT}:{kind}:{name}")
}

/// `DBInstance`.
pub fn instance(all: &Databases, it: &Instance) -> String {
    let (zone, other) = it.shown_zones();
    let source = it.source.as_deref().and_then(|name| all.instance(name));
    let replicas = all.instances.iter().filter(|replica| replica.source.as_deref() == Some(it.name.as_str()));
    let replicas = replicas.map(|replica| leaf("ReadReplicaDBInstanceIdentifier", named_from(replica, it.region)));
    let replicating = source.map(|_| {
        let told = [
            leaf("StatusType", "read replication"),
            leaf("Normal", it.state.serves()),
            leaf("Status", if it.state.serves() { "replicating" } else { "terminated" }),
        ];
        node("StatusInfos", [node("DBInstanceStatusInfo", told)])
    });
    let backs_up = source.is_none() && it.retention > 0;
    let address = format!("{}.lab.{}.rds.amazonaws.com", it.name, it.region);
    let parameters = [leaf("DBParameterGroupName", "gennet-postgres16"), leaf("ParameterApplyStatus", "in-sync")];
    node(
        "DBInstance",
        [
            leaf("DBInstanceIdentifier", &it.name),
            leaf("DBInstanceArn", arn(it.region, "db", &it.name)),
            leaf("DbiResourceId", format!("db-LAB{}", it.name.to_uppercase().replace('-', ""))),
            leaf("DBInstanceClass", "db.r6g.xlarge"),
            leaf("Engine", "postgres"),
            leaf("EngineVersion", "16.4"),
            leaf("DBInstanceStatus", it.state.word()),
            leaf("InstanceCreateTime", it.created),
            leaf("AllocatedStorage", 200),
            leaf("MultiAZ", it.multi_az()),
            leaf("AvailabilityZone", zone),
            optional("SecondaryAvailabilityZone", other),
            leaf("BackupRetentionPeriod", it.retention),
            optional("LatestRestorableTime", it.newest.filter(|_| backs_up).map(|at| at - ARCHIVED_BEHIND)),
            node("Endpoint", [leaf("Address", address), leaf("Port", 5432)]),
            node("DBParameterGroups", [node("DBParameterGroup", parameters)]),
            optional("ReadReplicaSourceDBInstanceIdentifier", source.map(|of| named_from(of, it.region))),
            node("ReadReplicaDBInstanceIdentifiers", replicas),
            replicating.unwrap_or_default(),
            leaf("DeletionProtection", true),
            leaf("StorageEncrypted", true),
        ],
    )
}

/// An instance as its relative in `region` names it: by its ARN when that is in another region.
fn named_from(it: &Instance, region: &str) -> String {
    if it.region == region { it.name.to_owned() } else { arn(it.region, "db", &it.name) }
}

/// `Event`: the API gives no number for it, only words.
pub fn event(it: &Event, region: &str) -> String {
    node(
        "Event",
        [
            leaf("SourceIdentifier", &it.instance),
            leaf("SourceType", "db-instance"),
            leaf("Message", it.message),
            node("EventCategories", [leaf("EventCategory", it.category)]),
            leaf("Date", it.at),
            leaf("SourceArn", arn(region, "db", &it.instance)),
        ],
    )
}

/// The daily snapshots of an instance, oldest first.
pub fn snapshots(it: &Instance, condition: Condition) -> impl Iterator<Item = String> {
    let newest = if condition == Condition::Stale { MISSED } else { 0 };
    (newest..=RETENTION).rev().map(move |days| {
        let at = it.created - FIRST - DAY * u32::try_from(days).unwrap_or(1);
        let failed = condition == Condition::Partial && days == 0;
        let name = format!("rds:{}-{}", it.name, at.strftime("%Y-%m-%d-%H-%M"));
        node(
            "DBSnapshot",
            [
                leaf("DBSnapshotIdentifier", &name),
                leaf("DBSnapshotArn", arn(it.region, "snapshot", &name)),
                leaf("DBInstanceIdentifier", &it.name),
                leaf("SnapshotCreateTime", at),
                leaf("Engine", "postgres"),
                leaf("AllocatedStorage", 200),
                leaf("Status", if failed { "failed" } else { "available" }),
                leaf("PercentProgress", if failed { 41 } else { 100 }),
                leaf("SnapshotType", "automated"),
                leaf("AvailabilityZone", it.zones.0),
                leaf("Encrypted", true),
            ],
        )
    })
}

/// The automated backups of an instance as told in `region`: its own, or replicated ones.
pub fn automated_backup(it: &Instance, region: &str) -> String {
    let newest = it.newest.unwrap_or(it.created) - ARCHIVED_BEHIND;
    let window = [leaf("EarliestTime", it.created - DAY * 7), leaf("LatestTime", newest)];
    let copies = [node(
        "DBInstanceAutomatedBackupsReplication",
        [leaf("DBInstanceAutomatedBackupsArn", arn(STANDBY, "auto-backup", "ab-lab"))],
    )];
    node(
        "DBInstanceAutomatedBackup",
        [
            leaf("DBInstanceIdentifier", &it.name),
            leaf("DBInstanceArn", arn(it.region, "db", &it.name)),
            leaf("DBInstanceAutomatedBackupsArn", arn(region, "auto-backup", "ab-lab")),
            leaf("Region", it.region),
            leaf("Status", if region == it.region { "active" } else { "replicating" }),
            leaf("Engine", "postgres"),
            leaf("AllocatedStorage", 200),
            leaf("BackupRetentionPeriod", it.retention),
            node("RestoreWindow", window),
            if region == PRIMARY { node("DBInstanceAutomatedBackupsReplications", copies) } else { String::new() },
        ],
    )
}
