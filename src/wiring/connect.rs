//! `mayday check --connect`: tries each address, credential and permission of the config once, by this process, from this host. Nothing is
//! changed, no engine is needed, and what would change something is not tried.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{StreamExt, iter};
use tokio::time::timeout;

use super::{connect, reach, rota};
use crate::cli::connect::{Outcome, Tried};
use crate::config::Config;
use crate::config::journal::Kept;
use crate::domain::backup::{BackupLook, BackupSpec};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::{Reading, Status};
use crate::domain::objects::Objects;
use crate::domain::plan::{StepSpec, Way};
use crate::domain::recovery::Survey;
use crate::domain::system::{Fault, System};
use crate::domain::text::clean;
use crate::systems::s3::JournalBucket;

/// The longest that one try may take: a login that is slow has its time.
const PATIENCE: Duration = Duration::from_secs(35);
/// So many at once: the rates of the APIs belong to everybody.
const AT_ONCE: usize = 8;

/// Backups that are looked at by writing something.
const WRITES: [&str; 1] = ["s3.canary"];

type Try = BoxFuture<'static, Vec<Tried>>;

/// Tries everything that a sound config names.
pub async fn all(config: &Config) -> Vec<Tried> {
    let estate = Arc::new(config.estate.clone());
    let systems = connect(&estate);
    let mut tries: Vec<Try> = Vec::new();
    for spec in &estate.probes {
        if let Some(system) = systems.get(&spec.system) {
            tries.push(Box::pin(probe(system.clone(), spec.clone())));
        }
    }
    for spec in &estate.systems {
        let Some(system) = systems.get(&spec.id) else { continue };
        let is_probed = estate.probes.iter().any(|probe| probe.system == spec.id);
        match spec.class {
            Some(_) => tries.push(Box::pin(survey(system.clone(), spec.clone()))),
            None if !is_probed => tries.push(Box::pin(nothing(spec.clone()))),
            None => {}
        }
    }
    for spec in &estate.backups {
        if let Some(system) = systems.get(&spec.system) {
            tries.push(Box::pin(backup(system.clone(), spec.clone())));
        }
    }
    for spec in steps(config) {
        if let Some(system) = systems.get(&spec.system) {
            tries.push(Box::pin(permission(system.clone(), spec)));
        }
    }
    for (id, channel) in reach(&estate) {
        tries.push(Box::pin(async move {
            let said = timeout(PATIENCE, channel.reach()).await.unwrap_or_else(|_| Err(late(id.as_str())));
            vec![match said {
                Ok(words) => Tried::new(Outcome::Ok, "channel", id.as_str(), "", &words),
                Err(fault) => Tried::fault("channel", id.as_str(), "", &fault),
            }]
        }));
    }
    if let Kept::Bucket(params) = &config.journal.kept {
        tries.push(Box::pin(journal(JournalBucket::new(params))));
    }
    if let Some(rota) = rota(&estate) {
        tries.push(Box::pin(async move {
            let said = timeout(PATIENCE, rota.on_call()).await.unwrap_or_else(|_| Err(late("on-call")));
            vec![match said {
                Ok(people) if people.is_empty() => {
                    Tried::new(Outcome::Warn, "on-call", "pagerduty", "", "nobody is on call")
                }
                Ok(people) => {
                    Tried::new(Outcome::Ok, "on-call", "pagerduty", "", &format!("{} people are on call", people.len()))
                }
                Err(fault) => Tried::fault("on-call", "pagerduty", "", &fault),
            }]
        }));
    }
    iter(tries).buffered(AT_ONCE).collect::<Vec<_>>().await.into_iter().flatten().collect()
}

/// Every step of every plan, the same one once.
fn steps(config: &Config) -> Vec<StepSpec> {
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    let all = config.plans.iter().flat_map(|plan| &plan.steps);
    let by_way = |step: &StepSpec| {
        let taken = |way: &Way| {
            let (kind, system, params) = (way.kind.clone(), way.system.clone(), way.params.clone());
            StepSpec { kind, system, params, ways: Vec::new(), ..step.clone() }
        };
        if step.ways.is_empty() { vec![step.clone()] } else { step.ways.iter().map(taken).collect() }
    };
    for step in all.flat_map(by_way) {
        let key = serde_json::to_string(&(&step.system, &step.kind, &step.region, &step.params)).unwrap_or_default();
        if seen.insert(key) {
            found.push(step);
        }
    }
    found
}

fn late(of: &str) -> Fault {
    Fault::transient(of, format!("no answer within {} s", PATIENCE.as_secs())).next("see whether this host reaches it")
}

async fn probe(system: Arc<dyn System>, mut spec: ProbeSpec) -> Vec<Tried> {
    // The first look waits for logins and slow names; the engine's own later ones do not.
    spec.timeout.0 = spec.timeout.0.max(Duration::from_secs(10));
    let limit = spec.timeout.0 + Duration::from_secs(1);
    let late = || Reading::down(format!("no answer within {} s", limit.as_secs()));
    let mut reading = timeout(limit, system.probe(&spec)).await.unwrap_or_else(|_| late());
    if reading.status == Status::Unknown {
        // What is still being got, a login above all, may be there by now.
        tokio::time::sleep(Duration::from_secs(3)).await;
        reading = timeout(limit, system.probe(&spec)).await.unwrap_or_else(|_| late());
    }
    vec![Tried::reading(&spec.subject.to_string(), spec.id.as_str(), &reading)]
}

async fn survey(system: Arc<dyn System>, spec: SystemSpec) -> Vec<Tried> {
    let of = spec.id.to_string();
    let said = timeout(PATIENCE, system.survey()).await.unwrap_or_else(|_| Err(late(&of)));
    vec![match said {
        Ok(Survey { members, notes, .. }) => {
            let worst = Status::worst(members.iter().map(|it| it.status));
            let each = members.iter().map(|it| format!("{}: {}", it.name, it.detail)).chain(notes);
            let words = clean(&each.collect::<Vec<_>>().join("; "));
            Tried { what: "datastore", ..Tried::reading(&of, "members", &Reading::new(worst, words)) }
        }
        Err(fault) => Tried::fault("datastore", &of, "members", &fault),
    }]
}

/// Whether the bucket of the journal answers, and what keeps its records from being taken away.
async fn journal(bucket: JournalBucket) -> Vec<Tried> {
    let name = bucket.name();
    match timeout(PATIENCE, bucket.protection()).await.unwrap_or_else(|_| Err(late("journal"))) {
        Ok(guards) => guards.iter().map(|guard| Tried::guard("journal", &name, &guard.name, guard)).collect(),
        Err(fault) => vec![Tried::fault("journal", &name, "", &fault)],
    }
}

async fn nothing(spec: SystemSpec) -> Vec<Tried> {
    let words = "it has no probe and no class, so nothing looks at it → give it a [[system.probe]]";
    vec![Tried::new(Outcome::Warn, "probe", spec.id.as_str(), "", words)]
}

async fn backup(system: Arc<dyn System>, spec: BackupSpec) -> Vec<Tried> {
    let (of, name) = (spec.subject.to_string(), spec.id.to_string());
    if WRITES.contains(&spec.kind.as_str()) {
        return vec![Tried::new(
            Outcome::Skipped,
            "backup",
            &of,
            &name,
            "it writes an object, which only the engine does",
        )];
    }
    let said = timeout(PATIENCE, system.backup(&spec)).await.unwrap_or_else(|_| Err(late(&of)));
    match said {
        Ok(BackupLook { copies, guards, partial, .. }) => {
            let outcome = if partial { Outcome::Warn } else { Outcome::Ok };
            let first = Tried::new(outcome, "backup", &of, &name, &format!("{} copies are seen", copies.len()));
            let rest = guards
                .iter()
                .map(|guard| Tried::guard("backup", &of, &name, guard))
                .filter(|it| it.outcome != Outcome::Ok);
            std::iter::once(first).chain(rest).collect()
        }
        Err(fault) => vec![Tried::fault("backup", &of, &name, &fault)],
    }
}

async fn permission(system: Arc<dyn System>, spec: StepSpec) -> Vec<Tried> {
    let (of, name) = (spec.system.to_string(), spec.kind.clone());
    let asked = async { system.step(&spec)?.fitness().await };
    match timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(late(&of))) {
        Ok(fitness) => fitness.guards.iter().map(|guard| Tried::guard("permission", &of, &name, guard)).collect(),
        Err(fault) => vec![Tried { outcome: Outcome::Unknown, ..Tried::fault("permission", &of, &name, &fault) }],
    }
}
