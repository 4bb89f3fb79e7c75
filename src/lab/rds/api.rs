//! The actions of RDS.

use std::time::Duration;

use jiff::Timestamp;

use super::super::xml::node;
use super::describe::{automated_backup, event, instance, snapshots};
use super::query::{Answered, Ask};
use super::{Instance, Refusal, WRITER};

/// How far back events are told without a `Duration`: an hour, as the API reference says.
const EVENTS_BACK: Duration = Duration::from_secs(3600);

/// The place of the faults of what takes snapshots.
pub const BACKUPS: &str = "rds-backups";

pub fn answer(ask: &Ask<'_>) -> Answered {
    match ask.action {
        "DescribeDBInstances" => describe_instances(ask),
        "DescribeEvents" => describe_events(ask),
        "DescribeDBSnapshots" => describe_snapshots(ask),
        "DescribeDBInstanceAutomatedBackups" => describe_automated_backups(ask),
        "PromoteReadReplica" | "RebootDBInstance" | "CreateDBInstanceReadReplica" | "ModifyDBInstance" => change(ask),
        _ => ask.unknown(),
    }
}

fn describe_instances(ask: &Ask<'_>) -> Answered {
    let truth = ask.world.truth();
    let wanted = ask.form.get("DBInstanceIdentifier");
    let here = |it: &&Instance| it.region == ask.region && wanted.is_none_or(|name| *name == it.name);
    let found: Vec<String> = truth.rds.instances.iter().filter(here).map(|it| instance(&truth.rds, it)).collect();
    match wanted.filter(|_| found.is_empty()) {
        Some(name) => Err(Refusal::new(404, "DBInstanceNotFound", format!("DBInstance {name} not found."))),
        None => Ok(vec![node("DBInstances", found)]),
    }
}

fn describe_events(ask: &Ask<'_>) -> Answered {
    let now = Timestamp::now();
    let start = match ask.form.get("StartTime") {
        Some(text) => {
            let wrong = |_| Refusal::new(400, "InvalidParameterValue", "StartTime is not a time");
            text.parse().map_err(wrong)?
        }
        None => {
            let minutes = ask.form.get("Duration").and_then(|text| text.parse().ok());
            now - minutes.map_or(EVENTS_BACK, |minutes: u64| Duration::from_secs(minutes.saturating_mul(60)))
        }
    };
    let wanted = ask.form.get("SourceIdentifier");
    let truth = ask.world.truth();
    let here = |name: &str| truth.rds.instance(name).is_some_and(|it| it.region == ask.region);
    let told = truth
        .rds
        .events
        .iter()
        .filter(|it| it.at >= start && here(&it.instance) && wanted.is_none_or(|name| *name == it.instance));
    Ok(vec![node("Events", told.map(|it| event(it, ask.region)))])
}

fn describe_snapshots(ask: &Ask<'_>) -> Answered {
    let wanted = ask.form.get("DBInstanceIdentifier");
    let truth = ask.world.truth();
    let here =
        |it: &&Instance| it.region == ask.region && it.retention > 0 && wanted.is_none_or(|name| *name == it.name);
    let condition = truth.faults.condition(BACKUPS, Some(ask.region));
    let found = truth.rds.instances.iter().filter(here).flat_map(|it| snapshots(it, condition));
    Ok(vec![node("DBSnapshots", found)])
}

/// The writer's backups, where they are taken and where they are replicated to.
fn describe_automated_backups(ask: &Ask<'_>) -> Answered {
    let truth = ask.world.truth();
    let wanted = ask.form.get("DBInstanceIdentifier");
    let writer = truth.rds.instance(WRITER).filter(|it| it.retention > 0 && wanted.is_none_or(|name| *name == it.name));
    Ok(vec![node("DBInstanceAutomatedBackups", writer.map(|it| automated_backup(it, ask.region)))])
}

fn change(ask: &Ask<'_>) -> Answered {
    let name = ask.required("DBInstanceIdentifier")?;
    let truth = &mut *ask.world.truth();
    let now = Timestamp::now();
    let done = match ask.action {
        "PromoteReadReplica" => truth.rds.promote(name, ask.region, now),
        "CreateDBInstanceReadReplica" => {
            let source = ask.required("SourceDBInstanceIdentifier")?;
            truth.rds.create_replica(name, source, ask.region, ask.form.get("KmsKeyId").map(String::as_str), now)
        }
        "ModifyDBInstance" => {
            let number = |text: &String| {
                text.parse()
                    .map_err(|_| Refusal::new(400, "InvalidParameterValue", "BackupRetentionPeriod is no number"))
            };
            let days = ask.form.get("BackupRetentionPeriod").map(number).transpose()?;
            let new_name = ask.form.get("NewDBInstanceIdentifier").map(String::as_str);
            truth.rds.modify(name, ask.region, days, new_name, now)
        }
        _ => truth.rds.reboot(name, ask.region, ask.flag("ForceFailover"), &truth.faults, now),
    };
    truth.record(&format!("rds@{}", ask.region), ask.action, name, done.is_ok());
    done?;
    Ok(truth.rds.instance(name).map(|it| instance(&truth.rds, it)).into_iter().collect())
}
