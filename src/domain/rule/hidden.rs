//! What a plan leans on without saying so. Every way out of Mayday that leads into one region is taken away, the plan is held against
//! what is left, and what breaks is a hidden dependency of it, each with a way to be rid of it. Where a way leads that tells no region is
//! not known, and that is said too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::fact::readiness::{Assessment, CONTROL_PLANE_GUARD, Finding, Finds, Ready};
use crate::domain::fact::system::System;
use crate::domain::ids::{RegionId, StepId, SystemId};
use crate::domain::spec::estate::{Estate, SystemSpec};
use crate::domain::spec::kinds::{Kinds, SystemKind, To, WayOut};
use crate::domain::spec::params::{Params, SecretRef};
use crate::domain::spec::plan::Plan;
use crate::domain::text::clean;

/// One thing that a plan, or Mayday itself, depends on in the region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HiddenDependency {
    /// The step, system, channel or need that has it.
    pub of: String,
    /// `fail`: it breaks. `warn`: it costs something, or where it leads is not known. `pass`: it was taken away, and nothing broke.
    pub finds: Finds,
    pub what: String,
    /// How to be rid of it; empty where nothing broke.
    pub rid: String,
}

/// An estate that a region was taken away from.
pub struct Left {
    /// The systems as they are reached now, by id.
    pub systems: BTreeMap<SystemId, Arc<dyn System>>,
    /// Clusters with members in the region: those were cut off from Mayday, and not from each other, so nobody else was elected.
    pub clusters: BTreeSet<SystemId>,
    /// What Mayday itself depends on there.
    pub own: Vec<HiddenDependency>,
}

/// Knows every way out of Mayday.
pub trait Apart: Send + Sync {
    fn without(&self, region: &RegionId) -> Left;
}

/// The systems whose members in the region elect somebody else when they are really gone.
pub fn clusters(estate: &Estate, kinds: &Kinds, region: &RegionId) -> BTreeSet<SystemId> {
    let elects = |spec: &&SystemSpec| {
        let ways = kinds.system(&spec.kind).map(|kind| kind.ways).unwrap_or_default();
        ways.iter().any(|row| matches!(row.to, To::Members(_)) && leads(estate, spec, row, region))
    };
    estate.systems.iter().filter(elects).map(|spec| spec.id.clone()).collect()
}

/// What a look at such a cluster cannot tell, because its members still see each other, is no more than a warning.
pub fn not_played(after: &mut Assessment, plan: &Plan, clusters: &BTreeSet<SystemId>) {
    let of_cluster = |id: &StepId| plan.step(id).is_some_and(|step| clusters.contains(&step.system));
    for finding in &mut after.findings {
        if finding.finds > Finds::Warn && finding.step.as_ref().is_some_and(of_cluster) {
            finding.finds = Finds::Warn;
            finding.detail += " (its members still see each other: whom they would elect was not played)";
        }
    }
}

/// Plans held against reality without a region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Without {
    pub region: RegionId,
    pub assessments: Vec<Assessment>,
    /// The worst first.
    pub hidden: Vec<HiddenDependency>,
}

impl Without {
    /// What all plans come to, with what Mayday itself depends on.
    pub fn ready(&self) -> Ready {
        let own = match self.hidden.iter().map(|it| it.finds).max() {
            Some(Finds::Fail) => Ready::NotReady,
            Some(Finds::Unknown) => Ready::Unknown,
            Some(Finds::Warn) => Ready::AtRisk,
            Some(Finds::Pass) | None => Ready::Ready,
        };
        self.assessments.iter().map(Assessment::ready).chain([own]).max().unwrap_or(Ready::Unknown)
    }
}

/// The host and port behind which nobody listens. Each is another one: members of a cluster are told apart by their addresses.
fn closed(nth: usize) -> String {
    format!("127.255.255.{}:9", nth.saturating_sub(1) % 250 + 1)
}

/// The estate as it is reached without `region`: whatever leads there meets a closed door.
pub fn without(estate: &Estate, kinds: &Kinds, region: &RegionId) -> Estate {
    let shut = |spec: &SystemSpec| {
        let mut doors = Doors { estate, region, spec, shut: 0 };
        let rows = kinds.system(&spec.kind).map(|kind| kind.ways).unwrap_or_default();
        let params = rows.iter().fold(spec.params.clone(), |params, row| doors.close(params, row));
        SystemSpec { params: doors.close_named(params, rows), ..spec.clone() }
    };
    Estate { systems: estate.systems.iter().map(shut).collect(), ..estate.clone() }
}

struct Doors<'e> {
    estate: &'e Estate,
    region: &'e RegionId,
    spec: &'e SystemSpec,
    shut: usize,
}

impl Doors<'_> {
    /// Shuts what a row says leads into the region.
    fn close(&mut self, mut params: Params, row: &WayOut) -> Params {
        // Of what is left out there is no door to shut.
        let no_door = row.peace || matches!(row.to, To::WhenAbsent(_));
        if no_door || !leads(self.estate, self.spec, row, self.region) {
            return params;
        }
        if let To::Members(regions) = row.to {
            let of = params.map(regions);
            let Some(Value::Object(members)) = params.0.get(row.param).cloned() else { return params };
            for (name, address) in members {
                if of.get(&name).is_some_and(|it| it == self.region.as_str())
                    && let Some(address) = address.as_str()
                {
                    self.replace_everywhere(&mut params, address);
                }
            }
            return params;
        }
        self.shut += 1;
        let door = match params.opt_text(row.param) {
            Some(url) if !url.contains("://") => closed(self.shut),
            Some(url) => shut_url(url, &closed(self.shut)),
            None if row.param.ends_with("address") => closed(self.shut),
            None => format!("http://{}", closed(self.shut)),
        };
        params.0.insert(row.param.to_owned(), door.into());
        params
    }

    /// Shuts every URL whose host names the region, unless it is only asked in peace.
    fn close_named(&mut self, mut params: Params, rows: &[WayOut]) -> Params {
        let peace = |name: &str| rows.iter().any(|row| row.peace && row.param == name);
        let texts = params.0.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let here = |(name, text): &(String, String)| {
            !peace(name) && text.contains("://") && host_region(text) == Some(self.region.to_string())
        };
        let named: Vec<(String, String)> = texts.filter(here).collect();
        for (name, url) in named {
            self.shut += 1;
            params.0.insert(name, shut_url(&url, &closed(self.shut)).into());
        }
        params
    }

    /// A member's address stands in several lists.
    fn replace_everywhere(&mut self, params: &mut Params, address: &str) {
        self.shut += 1;
        let door = match address.split_once("://") {
            Some(_) => shut_url(address, &closed(self.shut)),
            None => closed(self.shut),
        };
        for value in params.0.values_mut() {
            replace(value, address, &door);
        }
    }
}

fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) if text == old => new.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, old, new)),
        Value::Object(items) => items.values_mut().for_each(|item| replace(item, old, new)),
        _ => {}
    }
}

/// The same URL with another host and port.
fn shut_url(url: &str, door: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let path = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
    format!("{scheme}://{door}{path}")
}

/// Whether a way out of a system leads into the region.
fn leads(estate: &Estate, spec: &SystemSpec, row: &WayOut, region: &RegionId) -> bool {
    let by = |param: &str, absent: RegionId| spec.params.opt_text(param).map_or(absent, RegionId::from) == *region;
    match row.to {
        To::Primary(param) => by(param, estate.primary()),
        To::Standby(param) => by(param, estate.standby()),
        To::Own => spec.region.as_ref() == Some(region),
        To::Always(home) => home == region.as_str(),
        To::WhenAbsent(home) => home == region.as_str() && !spec.params.0.contains_key(row.param),
        To::Members(regions) => spec.params.map(regions).values().any(|it| it == region.as_str()),
    }
}

/// The region that a host of AWS names; the hosts without one are those of us-east-1.
fn host_region(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', ':', '?']).next().unwrap_or_default().to_ascii_lowercase();
    let labels: Vec<&str> = host.split('.').collect();
    let is_region = |label: &&&str| {
        let parts: Vec<&str> = label.split('-').collect();
        parts.len() >= 3
            && parts[0].len() == 2
            && parts.last().is_some_and(|it| it.len() == 1 && it.chars().all(|c| c.is_ascii_digit()))
    };
    if let Some(region) = labels.iter().find(is_region) {
        return Some((*region).to_owned());
    }
    const GLOBAL: [&str; 4] = ["sts", "iam", "route53", "s3"];
    (host.ends_with(".amazonaws.com") && labels.first().is_some_and(|it| GLOBAL.contains(it)))
        .then(|| "us-east-1".to_owned())
}

/// This host itself, whatever is asked there.
fn is_here(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|it| rest.starts_with(it))
}

/// What is known of Mayday's own place.
pub struct Place<'p> {
    /// Where the journal and its anchor lie.
    pub journal: &'p str,
}

/// What Mayday itself depends on in the region, or may.
pub fn own(estate: &Estate, kinds: &Kinds, place: &Place<'_>, region: &RegionId) -> Vec<HiddenDependency> {
    let mut found = Vec::new();
    for spec in &estate.systems {
        let kind = kinds.system(&spec.kind);
        found.extend(kind.into_iter().flat_map(|kind| of_system(estate, spec, kind, region)));
        found.extend(secrets(spec.id.as_str(), &spec.params, region));
    }
    found.extend(profiles(estate, region));
    for channel in &estate.channels {
        let rid = "have one more way to reach people, which does not lead there";
        found.extend(urls(channel.id.as_str(), &channel.params, region, rid));
        found.extend(secrets(channel.id.as_str(), &channel.params, region));
    }
    if let Some(pagerduty) = &estate.contacts.pagerduty {
        let rid = "write the escalation path into [contacts], which needs nobody to answer";
        found.extend(address("on-call", &pagerduty.url, region, rid));
        found.extend(secret("on-call", &pagerduty.token, region));
    }
    found.push(host(estate, place, region));
    found.extend(estate.dependencies.iter().filter(|it| it.region == *region).map(|it| match &it.instead {
        Some(instead) => made(&it.name, Finds::Pass, format!("sits in {region}; instead: {instead}"), ""),
        None => made(
            &it.name,
            Finds::Warn,
            format!("sits in {region}, and nothing replaces it"),
            "say what there is `instead` in its [[dependency]], and rehearse it",
        ),
    }));
    found.sort_by(|one, other| other.finds.cmp(&one.finds).then_with(|| one.of.cmp(&other.of)));
    found.dedup();
    found
}

fn made(of: &str, finds: Finds, what: impl AsRef<str>, rid: &str) -> HiddenDependency {
    HiddenDependency { of: clean(of), finds, what: clean(what.as_ref()), rid: rid.to_owned() }
}

/// What was taken away of a system. Whether that breaks a plan is seen by playing it.
fn of_system(estate: &Estate, spec: &SystemSpec, kind: &SystemKind, region: &RegionId) -> Vec<HiddenDependency> {
    let rows = kind.ways.iter().filter(|row| leads(estate, spec, row, region));
    rows.map(|row| match row.to {
        To::WhenAbsent(_) => made(spec.id.as_str(), Finds::Warn, format!("{} ({region})", row.what), row.rid),
        _ if row.peace => {
            made(spec.id.as_str(), Finds::Pass, format!("{} ({region}): only asked in peace", row.what), "")
        }
        _ => made(spec.id.as_str(), Finds::Pass, format!("{} ({region}) was taken away", row.what), ""),
    })
    .collect()
}

/// Programs that print what they are given, or what lies on this host.
const LOCAL: [&str; 5] = ["printf", "echo", "cat", "head", "pass"];

fn secrets(of: &str, params: &Params, region: &RegionId) -> Vec<HiddenDependency> {
    params.0.keys().filter_map(|name| secret(of, &params.secret(name)?, region)).collect()
}

/// A command's words may hold secrets: of them only the program is said.
fn secret(of: &str, kept: &SecretRef, region: &RegionId) -> Option<HiddenDependency> {
    let SecretRef::Command(words) = kept else { return None };
    let program = words.first()?.rsplit('/').next().unwrap_or_default();
    if LOCAL.contains(&program) {
        return None;
    }
    let names = |word: &&String| word.contains(region.as_str());
    Some(match words.iter().find(names) {
        Some(_) => made(
            of,
            Finds::Fail,
            format!("its secret is asked of {region} by `{program}`"),
            "keep a copy of the secret in another region, or in a file of this host",
        ),
        None => made(
            of,
            Finds::Warn,
            format!("where `{program}` asks for its secret is not known"),
            "name the region in the command, or keep the secret in a file of this host",
        ),
    })
}

/// Profiles may get their credentials by SSO, which lives in one region.
fn profiles(estate: &Estate, region: &RegionId) -> Vec<HiddenDependency> {
    let named: BTreeSet<&str> = estate.systems.iter().filter_map(|it| it.params.opt_text("profile")).collect();
    let words = |name: &str| {
        let what = format!(
            "where the profile {name} gets its credentials is not known: IAM Identity Center, SSO and the global STS live in one region, {region} perhaps"
        );
        made(name, Finds::Warn, what, "have a role that the region's own STS gives, or break-glass keys kept outside")
    };
    named.into_iter().map(words).collect()
}

fn urls(of: &str, params: &Params, region: &RegionId, rid: &str) -> Vec<HiddenDependency> {
    let texts = params.0.values().filter_map(Value::as_str).filter(|text| text.contains("://"));
    texts.filter_map(|url| address(of, url, region, rid)).collect()
}

fn address(of: &str, url: &str, region: &RegionId, rid: &str) -> Option<HiddenDependency> {
    if is_here(url) {
        return None;
    }
    match host_region(url) {
        Some(named) if named == region.as_str() => {
            Some(made(of, Finds::Warn, format!("its address leads into {region}"), rid))
        }
        Some(_) => None,
        None => Some(made(
            of,
            Finds::Warn,
            "where the vendor runs it is not known",
            "ask the vendor, and write it down as a [[dependency]] with its region",
        )),
    }
}

/// Mayday's own host, and the journal on it.
fn host(estate: &Estate, place: &Place<'_>, region: &RegionId) -> HiddenDependency {
    const OF: &str = "mayday";
    let journal = place.journal;
    match &estate.runs_in {
        Some(there) if there == region.as_str() => made(
            OF,
            Finds::Fail,
            format!("this engine, and its journal in {journal}, are in {region} themselves"),
            "run an engine with its journal outside the region, as everybody's",
        ),
        Some(there) => made(OF, Finds::Pass, format!("this engine, and its journal in {journal}, are in {there}"), ""),
        None => made(
            OF,
            Finds::Warn,
            format!("where this engine and its journal ({journal}) are is not known"),
            "set `runs_in` in [estate] to the region, or to another word for where that is",
        ),
    }
}

/// What was seen before of a way that leads through the region: without the region it cannot be seen any more, and stands all the same.
pub fn still_leans(before: &Assessment, after: &mut Assessment) {
    let leans = |it: &&Finding| it.name == CONTROL_PLANE_GUARD && it.finds == Finds::Fail;
    let told: Vec<Option<StepId>> = after.findings.iter().filter(leans).map(|it| it.step.clone()).collect();
    let missing = before.findings.iter().filter(leans).filter(|it| !told.contains(&it.step));
    let missing: Vec<Finding> = missing.cloned().collect();
    after.findings.extend(missing);
}

/// What breaks in a plan without the region, that did not before: each is a hidden dependency.
pub fn broken(before: &Assessment, after: &Assessment, region: &RegionId) -> Vec<HiddenDependency> {
    let same = |one: &Finding, other: &Finding| one.step == other.step && one.name == other.name;
    // What leads through the region leans on it before it is taken away, too.
    let leans = |it: &Finding| it.name == CONTROL_PLANE_GUARD && it.finds == Finds::Fail;
    let known = |it: &&Finding| !leans(it) && before.findings.iter().any(|was| same(was, it) && was.finds >= it.finds);
    let new = after.findings.iter().filter(|it| it.finds != Finds::Pass && !known(it));
    let told = |it: &Finding| {
        let step = it.step.as_ref().map(|step| format!("{} of {}", step, after.plan));
        let of = step.unwrap_or_else(|| after.plan.to_string());
        made(&of, it.finds, format!("{}: {}", it.name, it.detail), &rid(&it.name, region))
    };
    new.map(told).collect()
}

/// How to be rid of what a finding of this name leans on.
fn rid(name: &str, region: &RegionId) -> String {
    match name {
        "control-plane" => "give the estate a way on a data plane: \"arc\" or \"object\" in `traffic`".into(),
        "object-check" => {
            "run `mayday ready` while the API answers: the engine remembers what it told of the health checks".into()
        }
        "way" => format!("see that the first way of `traffic` does not lead into {region}"),
        "loss" => "measure how new the copy is where the copy is, not at its source".into(),
        "quorum" => "put voters into a third region".into(),
        "old-writer" => format!("have a fence that works while {region} is silent"),
        "access" => "check permissions while all is well; nothing asks for them in a failover".into(),
        "backup" => format!("keep the copies, and who tells of them, outside {region}"),
        "channel" => "have one more way to reach people, which does not lead there".into(),
        _ => format!("give the step a system whose endpoint lies outside {region}"),
    }
}

#[cfg(test)]
mod tests;
