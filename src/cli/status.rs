//! `mayday status`: how things stand, as of the engine's clock.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use super::steps::{steps_json, steps_table};
use super::text::{self, clock, table};
use crate::domain::checklist::Sight;
use crate::domain::comms::{Outside, left_open, outside};
use crate::domain::estate::{Estate, Region, Service, Tier};
use crate::domain::health::Status;
use crate::domain::ids::{PlanId, ProbeId, RegionId, ServiceId};
use crate::domain::incident::{Onset, Phase};
use crate::domain::readiness::Brief;
use crate::domain::recovery::Loss;
use crate::domain::rollup::{RollUp, Said, said};
use crate::domain::time::{At, seconds_between};
use crate::domain::verdict::{self, RpoVerdict, RtoVerdict};
use crate::domain::view::Snapshot;

/// The clocks of the open incident.
pub fn rto(view: &Snapshot) -> Vec<RtoVerdict> {
    view.state.incident.as_ref().map(|incident| verdict::rto(&view.estate, incident, view.now)).unwrap_or_default()
}

/// The losses of the open incident.
pub fn rpo(view: &Snapshot) -> Vec<RpoVerdict> {
    let incident = view.state.incident.as_ref();
    incident.map(|it| verdict::rpo(&view.estate, it, view.state.run.as_ref())).unwrap_or_default()
}

/// For programs.
pub fn json(view: &Snapshot) -> Value {
    let services: Vec<Value> = view.estate.services.iter().map(|service| service_json(view, service)).collect();
    let stores: Vec<Value> = view
        .estate
        .datastores()
        .map(|store| json!({ "id": store.id, "class": store.class, "live": view.live.surveys.get(&store.id) }))
        .collect();
    json!({
        "now": view.now,
        "estate": view.estate.name,
        "serving": view.state.serving(&view.estate),
        "hold": view.state.hold,
        "incident": view.state.incident,
        "outside": still_open(view),
        "run": view.state.run.as_ref().map(|run| json!({
            "id": run.id, "plan": run.plan.id, "mode": run.mode, "open": run.is_open(), "outcome": run.outcome,
            "waits_for_human": run.waits_for_human(view.state.hold.is_some()), "steps": steps_json(run),
        })),
        "triggers": view.triggers(view.now),
        "alerts": super::alerts::json(view)["alerts"],
        "rto": rto(view),
        "rpo": rpo(view),
        "regions": view.estate.regions.iter().map(|region| region_json(view, region)).collect::<Vec<_>>(),
        "services": services,
        "why": why(view),
        "clients_path": view.clients_path(view.now).iter().map(|(service, seen)| json!({
            "id": service.id, "status": seen.status(), "detail": seen.worst().map(|worst| worst.detail),
        })).collect::<Vec<_>>(),
        "probes": probes_json(view),
        "datastores": stores,
        "backups": super::backups::json(view)["backups"],
        "exposure": super::backups::exposure(view),
        "readiness": view.state.readiness_by_plan().into_values().map(|(at, brief)| json!({ "at": at, "plan": brief })).collect::<Vec<_>>(),
        "checklist": super::checklist::json(view),
        "way_back": super::wayback::json(view),
        "journal_fault": view.live.journal_fault,
        "engines": view.live.engines,
        "clock": { "ahead_of_wall_seconds": view.state.clock.drift, "words": view.state.clock.words() },
        "journal": view.chain,
        "config_changed": view.live.config_changed,
    })
}

fn region_json(view: &Snapshot, region: &Region) -> Value {
    let of = |tier: &Tier| (tier.to_string(), json!(tier_status(view, *tier, region)));
    let tiers: serde_json::Map<String, Value> = Tier::ALL.iter().map(of).collect();
    json!({ "id": region.id, "role": region.role, "status": region_status(view, region), "tiers": tiers })
}

fn service_json(view: &Snapshot, service: &Service) -> Value {
    let of = |region: &Region| (region.id.to_string(), json!(service_status(view, service, region)));
    let regions: serde_json::Map<String, Value> = view.estate.regions.iter().map(of).collect();
    json!({ "id": service.id, "tier": service.tier, "regions": regions })
}

fn service_status(view: &Snapshot, service: &Service, region: &Region) -> Status {
    view.service(service, &region.id, view.now).status()
}

/// Something of a region that is not healthy, and what was seen of it.
#[derive(Serialize)]
struct Why<'v> {
    /// A service; `None` is the region itself.
    service: Option<&'v ServiceId>,
    region: &'v RegionId,
    status: Status,
    /// The probe that says the worst.
    probe: &'v ProbeId,
    detail: &'v str,
}

impl Why<'_> {
    fn cells(self) -> Vec<String> {
        let of = self.service.map_or_else(|| "the region itself".to_owned(), ToString::to_string);
        vec![of, self.region.to_string(), self.status.to_string(), format!("{}: {}", self.probe, self.detail)]
    }
}

/// Why each region and service is not healthy that is not, by the probe that says the worst of it.
fn why(view: &Snapshot) -> Vec<Why<'_>> {
    let mut all = Vec::new();
    for region in &view.estate.regions {
        let itself = [(None, view.region(&region.id, view.now))];
        let services = view.estate.services.iter();
        let services = services.map(|it| (Some(&it.id), view.service(it, &region.id, view.now)));
        for (service, seen) in itself.into_iter().chain(services) {
            let status = seen.status();
            if let Some(worst) = seen.worst().filter(|_| status != Status::Healthy) {
                all.push(Why { service, region: &region.id, status, probe: &worst.probe.id, detail: worst.detail });
            }
        }
    }
    all
}

/// A tier is as well as the worst of its services.
fn tier_status(view: &Snapshot, tier: Tier, region: &Region) -> Status {
    let services = view.estate.services.iter().filter(|service| Estate::counts_for(service.tier, tier));
    Status::worst(services.map(|service| service_status(view, service, region)))
}

/// What is asked of the region itself: its front door.
fn region_status(view: &Snapshot, region: &Region) -> Status {
    view.region(&region.id, view.now).status()
}

/// Every probe, as the roll-up takes it.
fn probes(view: &Snapshot) -> impl Iterator<Item = Said<'_>> {
    view.estate.probes.iter().map(|probe| said(probe, &view.live.probes, view.now))
}

fn probes_json(view: &Snapshot) -> Vec<Value> {
    let of = |it: Said<'_>| {
        json!({
            "id": it.probe.id, "kind": it.probe.kind, "subject": it.probe.subject.to_string(), "region": it.probe.region,
            "status": it.status, "at": it.live.map(|live| live.at), "since": it.since,
            "latency_ms": it.live.and_then(|live| live.reading.latency_ms), "detail": it.detail,
        })
    };
    probes(view).map(of).collect()
}

fn probes_text(out: &mut String, view: &Snapshot) -> std::fmt::Result {
    let row = |it: Said<'_>| {
        let age = it
            .live
            .map_or_else(|| "never".to_owned(), |live| format!("{} ago", clock(seconds_between(live.at, view.now))));
        let region = it.probe.region.as_ref().map_or_else(String::new, ToString::to_string);
        vec![
            it.probe.id.to_string(),
            it.probe.kind.clone(),
            it.probe.subject.to_string(),
            region,
            it.status.to_string(),
            age,
            it.detail.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = probes(view).map(row).collect();
    write!(out, "\n{}", table(&["probe", "kind", "of", "region", "", "looked", "saw"], &rows))
}

/// For people, with every probe: what it saw last, and when.
pub fn verbose(view: &Snapshot) -> String {
    let mut out = text(view);
    // Writing to a String cannot fail.
    let _ = probes_text(&mut out, view);
    out
}

/// For people.
pub fn text(view: &Snapshot) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = compose(&mut out, view);
    out
}

fn compose(out: &mut String, view: &Snapshot) -> std::fmt::Result {
    writeln!(
        out,
        "{}  serving from {}  {}",
        view.estate.name,
        view.state.serving(&view.estate),
        view.now.strftime("%F %T UTC")
    )?;
    if let Some(fault) = &view.live.journal_fault {
        writeln!(out, "JOURNAL  {fault}")?;
    } else if let Some(chain) = &view.chain {
        // As much of it as nobody else's begins with.
        writeln!(out, "journal  {} records, head {}", chain.records, chain.head.get(..16).unwrap_or_default())?;
    }
    if let Some(engines) = &view.live.engines {
        let trouble = engines.trouble().map_or_else(String::new, |trouble| format!(": {trouble} → mayday engines"));
        writeln!(
            out,
            "{}  this one {}{trouble}",
            if trouble.is_empty() { "engines" } else { "ENGINES" },
            engines.words()
        )?;
    }
    if let Some(words) = view.state.clock.words() {
        writeln!(out, "CLOCK    {words}")?;
    }
    if !view.live.config_changed.is_empty() {
        let files = view.live.config_changed.join(", ");
        writeln!(out, "CONFIG   changed on disk, not loaded ({files}) → mayday engine reload")?;
    }
    if let Some(hold) = &view.state.hold {
        writeln!(
            out,
            "HOLD     set by {} {} ago; release: mayday hold off",
            hold.by,
            clock(seconds_between(hold.at, view.now))
        )?;
    }
    match &view.state.incident {
        None => {
            writeln!(out, "No incident is open.")?;
            if let Some(left) = left_open(&view.estate, &view.state, view.now) {
                writeln!(out, "{} is closed, and this is open outside:", left.incident)?;
                open_outside(out, &left)?;
                writeln!(out, "  → mayday notify resolved --incident {}", left.incident)?;
            }
            rules(out, view)?;
        }
        Some(it) => {
            writeln!(out, "{} {} {}: {}", it.id, it.severity, it.phase, it.title)?;
            if let Some((at, onset)) = it.clocks.disruption().filter(|(_, onset)| *onset != Onset::Seen) {
                writeln!(out, "t0 {}: {}", at.strftime("%T UTC"), onset.words())?;
            }
            out.push_str(&verdicts(view));
            for item in it.checklist.open().filter(|it| it.item.sees.contains(&Sight::Pinned)) {
                let seen = item.seen.as_ref().map_or("not looked at yet", |seen| seen.detail.as_str());
                writeln!(out, "NOT PINNED  {}: {seen} → mayday failover run {}", item.item.title, item.item.id)?;
            }
            let (open, all) = (it.checklist.open().count(), it.checklist.items.len());
            if open > 0 && it.phase == Phase::Recovered {
                writeln!(out, "{open} of {all} items of the checklist are open; see: mayday checklist")?;
            }
            let left = outside(&view.estate, &view.state, &it.id, view.now);
            if it.phase == Phase::Recovered && !left.is_closed() {
                writeln!(out, "open outside until it is closed (mayday incident close --tell):")?;
                open_outside(out, &left)?;
            }
        }
    }
    if let Some(run) = view.state.run.as_ref().filter(|run| run.is_open()) {
        writeln!(out, "\n{} runs {} ({})", run.id, run.plan.id, run.mode)?;
        out.push_str(&steps_table(run));
    }
    if !view.state.alerts.0.is_empty() {
        write!(out, "\n{}", super::alerts::rows(view))?;
    }
    writeln!(out)?;
    services(out, view)?;
    writeln!(out)?;
    stores(out, view)?;
    if !view.estate.backups.is_empty() {
        write!(out, "\n{}", super::backups::text(view))?;
    }
    let known = view.state.readiness_by_plan();
    if known.is_empty() {
        writeln!(out, "\nThe plans were not held against reality yet → mayday ready")?;
    } else {
        let row = |(plan, (at, brief)): (&PlanId, (At, &Brief))| {
            let age = format!("{} ago", clock(seconds_between(at, view.now)));
            vec![plan.to_string(), brief.ready.to_string(), brief.score.to_string(), age, brief.reasons.join(", ")]
        };
        let rows: Vec<Vec<String>> = known.into_iter().map(row).collect();
        write!(out, "\n{}", table(&["plan", "", "score", "seen", ""], &rows))?;
    }
    Ok(())
}

fn open_outside(out: &mut String, left: &Outside) -> std::fmt::Result {
    left.lines().into_iter().try_for_each(|(_, words)| writeln!(out, "  {words}"))
}

/// What is open outside of the open incident, or of the last closed one.
fn still_open(view: &Snapshot) -> Option<Outside> {
    let open = view.state.incident.as_ref().map(|it| outside(&view.estate, &view.state, &it.id, view.now));
    open.or_else(|| left_open(&view.estate, &view.state, view.now))
}

/// The rules of the plan whose condition holds: when each is met, by which evidence, and what it proposes.
fn rules(out: &mut String, view: &Snapshot) -> std::fmt::Result {
    for trigger in view.triggers(view.now) {
        let when = match trigger.seconds_left(view.now) {
            left if left > 0.0 => format!("met in {}", clock(left)),
            over => format!("MET {} ago", clock(-over)),
        };
        writeln!(out, "{} {when}: {}", trigger.rule.title(), trigger.evidence)?;
        if trigger.is_met(view.now) {
            let title = format!("{} is unavailable", trigger.region);
            writeln!(out, "  → mayday incident declare '{title}' --severity {}", trigger.severity)?;
            if let Some(plan) = &trigger.plan {
                writeln!(out, "  → mayday failover run {plan} --reason '{title}'")?;
            }
        }
    }
    Ok(())
}

/// RTO and RPO against what was promised.
pub fn verdicts(view: &Snapshot) -> String {
    judged(view, text::met)
}

/// The same in other words for whether an objective was met.
pub fn judged(view: &Snapshot, met: fn(Option<bool>) -> &'static str) -> String {
    let rto = rto(view).into_iter().map(|it| {
        let all = format!("{}{}", text::at_least(it.at_least), text::length_or_unknown(it.elapsed));
        let declared = text::length_or_unknown(it.since_declared);
        let unknown = it.met.is_none() && (it.elapsed.is_none() || it.recovered);
        let word = if unknown { "unknown" } else { met(it.met) };
        vec![format!("RTO {}", it.tier), all, declared, text::length(it.target), word.into()]
    });
    let rpo = rpo(view).into_iter().map(|it| {
        let word = if it.loss == Loss::Unknown { "unknown" } else { met(it.met) };
        vec![format!("RPO {}", it.class), text::loss(it.loss), String::new(), text::length(it.target), word.into()]
    });
    let rows: Vec<Vec<String>> = rto.chain(rpo).collect();
    table(&["objective", "from disruption (t0)", "from declaration (t2)", "target", ""], &rows)
}

fn services(out: &mut String, view: &Snapshot) -> std::fmt::Result {
    let regions = &view.estate.regions;
    let serving = view.state.serving(&view.estate);
    let part = |region: &Region| if region.id == serving { "serving" } else { region.role.word() };
    let titles: Vec<String> = regions.iter().map(|region| format!("{} ({})", region.id, part(region))).collect();
    let head: Vec<&str> = ["service", "tier"].into_iter().chain(titles.iter().map(String::as_str)).collect();
    let row = |service: &Service| {
        let mut cells = vec![service.id.to_string(), service.tier.to_string()];
        cells.extend(regions.iter().map(|region| service_status(view, service, region).to_string()));
        cells
    };
    let of_tier = |tier: Tier| view.estate.services.iter().filter(move |service| service.tier == tier);
    let total = |name: &str, tier: &str, of: &dyn Fn(&Region) -> Status| {
        let statuses = regions.iter().map(|region| of(region).to_string());
        [name.to_owned(), tier.to_owned()].into_iter().chain(statuses).collect::<Vec<String>>()
    };
    let mut rows = vec![total("the region itself", "", &|region| region_status(view, region))];
    for tier in [Tier::Critical, Tier::Standard] {
        rows.push(total("all of a tier", tier.word(), &|region| tier_status(view, tier, region)));
        rows.extend(of_tier(tier).map(row));
    }
    write!(out, "{}", table(&head, &rows))?;
    let rows: Vec<Vec<String>> = why(view).into_iter().map(Why::cells).collect();
    if !rows.is_empty() {
        write!(out, "\n{}", table(&["not healthy", "region", "", "why"], &rows))?;
    }
    let path = view.clients_path(view.now);
    let said = |(service, seen): &(&Service, RollUp<'_>)| {
        let detail = seen.worst().map_or("", |worst| worst.detail);
        vec![service.id.to_string(), seen.status().to_string(), detail.to_owned()]
    };
    let rows: Vec<Vec<String>> = path.iter().map(said).collect();
    if rows.is_empty() { Ok(()) } else { write!(out, "\n{}", table(&["along the clients' path", "", "seen"], &rows)) }
}

fn stores(out: &mut String, view: &Snapshot) -> std::fmt::Result {
    let mut rows = Vec::new();
    for store in view.estate.datastores() {
        let live = view.live.surveys.get(&store.id);
        let age = live.and_then(|live| live.at).map(|at| format!("{} ago", clock(seconds_between(at, view.now))));
        let fault = live.and_then(|live| live.fault.clone());
        let seen = fault.or(age).unwrap_or_else(|| "not yet".into());
        for member in live.iter().flat_map(|live| &live.survey.members) {
            let region = member.region.as_ref().map_or("?".to_owned(), ToString::to_string);
            let role = format!("{:?}", member.role).to_lowercase();
            let lag = if member.lag.is_none() && ["writer", "other"].contains(&&*role) {
                String::new()
            } else {
                text::lag(member.lag)
            };
            rows.push(vec![
                store.id.to_string(),
                member.name.clone(),
                region,
                role,
                member.status.to_string(),
                lag,
                seen.clone(),
            ]);
        }
        if live.is_none_or(|live| live.survey.members.is_empty()) {
            rows.push(vec![
                store.id.to_string(),
                String::new(),
                String::new(),
                String::new(),
                "unknown".into(),
                String::new(),
                seen,
            ]);
        }
    }
    write!(out, "{}", table(&["datastore", "member", "region", "role", "status", "lag", "seen"], &rows))
}
