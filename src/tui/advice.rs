//! The next thing to do, in a line: what a tired person needs most. Where two things are urgent, both are said.

use crate::domain::alert::{Heard, Ringing};
use crate::domain::backup::Worth;
use crate::domain::comms::{due, left_open, outside};
use crate::domain::health::Status;
use crate::domain::readiness::Ready;
use crate::domain::remedy::{self, What};
use crate::domain::rollup::said;
use crate::domain::run::{Outcome, Run, StepPhase};
use crate::domain::time::{At, seconds_between};
use crate::domain::view::Snapshot;

use super::app::{App, Link};
use super::format::{age, clock};
use super::keymap::{self, Action, Context};
use super::layers::{Layer, next, walk};
use super::panes::Pane;
use super::theme::Role;

/// A key to press, if any, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    pub key: Option<&'static str>,
    pub text: String,
    pub role: Role,
    /// Something else that is as urgent, in so few words that there is always room for them.
    pub also: Option<Box<Advice>>,
}

pub(super) fn press(action: Action, role: Role, text: impl Into<String>) -> Advice {
    Advice { key: Some(keymap::key(action)), text: text.into(), role, also: None }
}

pub(super) fn wait(role: Role, text: impl Into<String>) -> Advice {
    Advice { key: None, text: text.into(), role, also: None }
}

impl Advice {
    fn and(self, also: Option<Advice>) -> Self {
        // What is asked for already need not be asked for twice.
        let also = also.filter(|also| also.key.is_none() || also.key != self.key);
        Self { also: also.map(Box::new), ..self }
    }
}

/// What to do next, in what is on top.
pub fn advice(app: &App) -> Advice {
    next::advice(app, in_cockpit(app))
}

fn in_cockpit(app: &App) -> Advice {
    let Some(mirror) = &app.mirror else { return wait(Role::Dim, "connecting to the engine") };
    if let Link::Lost { since, why } = &app.link {
        let old = age(seconds_between(*since, app.at));
        return wait(
            Role::Bad,
            format!("engine lost {old} ago, connecting again by itself; what you see is old ({why})"),
        );
    }
    if let Some(fault) = &mirror.live.journal_fault {
        return wait(Role::Bad, format!("the journal cannot be written, so nothing starts: {fault}"));
    }
    let Some(hold) = &mirror.state.hold else {
        let first = under_no_hold(app, mirror);
        return first.and(overdue(app));
    };
    let release = || {
        let text = format!("release the HOLD of {}: nothing new starts until then", hold.by);
        ready(app, Action::Hold, Role::Warn, text)
    };
    let short = || {
        let text = if app.armed().is_some() || app.read_only { "HOLD is on" } else { "to release the HOLD" };
        Advice { text: text.into(), ..ready(app, Action::Hold, Role::Warn, String::new()) }
    };
    if mirror.state.incident.is_none() && remedy::trouble(mirror, app.now()).is_some() {
        return in_peace(app).and(Some(short()));
    }
    let waits = app.run().filter(|run| run.is_open()).and_then(|_| app.waiting().first().cloned());
    let gate = waits.map(|step| press(Action::NextWaiting, Role::Warn, format!("{step} waits")));
    release().and(overdue(app).or(gate))
}

/// That the next update is overdue: said beside whatever else there is to do.
fn overdue(app: &App) -> Option<Advice> {
    let mirror = app.mirror.as_ref()?;
    let late = -seconds_between(app.now(), due(&mirror.estate, &mirror.state)?.at);
    (late > 0.0).then(|| press(Action::Tell, Role::Bad, format!("UPDATE OVERDUE {}", age(late))))
}

/// What is on its way out and can still be stopped; who will hear it.
fn sending(app: &App, mirror: &Snapshot) -> Option<Advice> {
    let posted = mirror.state.outbox.recallable(app.now()).filter(|_| !app.read_only)?;
    let left = seconds_between(app.now(), posted.message.send_at).ceil();
    let all: Vec<&str> = posted.message.texts.keys().map(|it| it.word()).collect();
    let text = format!("take back “{}”: in {left:.0}s to {}", posted.message.purpose, all.join(" · "));
    Some(press(Action::Tell, Role::Warn, text))
}

fn under_no_hold(app: &App, mirror: &Snapshot) -> Advice {
    if let Some(advice) = sending(app, mirror).filter(|_| app.context() == Context::Main) {
        return advice;
    }
    let walk = app.layers.iter().rev().find_map(|layer| match layer {
        Layer::Walk(walk) => Some(walk),
        _ => None,
    });
    // A card that was opened from the walkthrough has advice of its own.
    if let Some(advice) = walk.filter(|_| app.context() != Context::Card).and_then(|walk| walk::advice(app, walk)) {
        return advice;
    }
    if let Some(run) = app.run().filter(|run| run.is_open()) {
        return in_run(app, run);
    }
    match &mirror.state.incident {
        Some(incident) => after_or_before_run(app, incident.id.as_str()),
        None => in_peace(app),
    }
}

/// A key that needs an armed cockpit, or the way there.
fn ready(app: &App, action: Action, role: Role, text: String) -> Advice {
    if app.read_only {
        return wait(Role::Dim, format!("this cockpit is read-only; somebody else has to {text}"));
    }
    match app.armed() {
        Some(_) => press(action, role, text),
        None => press(Action::Arm, role, format!("arm this cockpit, to {text}")),
    }
}

fn in_run(app: &App, run: &Run) -> Advice {
    let waiting = app.waiting();
    let Some(first) = waiting.first() else {
        return under_way(app, run);
    };
    let here = app.step().filter(|step| waiting.contains(step));
    let step = here.as_ref().unwrap_or(first);
    let (what, role) = match run.phase(step) {
        StepPhase::Gated => (format!("answer the gate of {step}"), Role::Warn),
        StepPhase::Blocked => (format!("see what blocks {step}"), Role::Bad),
        StepPhase::Asking => (format!("say whether {step} happened"), Role::Warn),
        _ => (format!("decide on {step}, which failed"), Role::Bad),
    };
    let more = waiting.len() - 1;
    let what = if more == 0 { what } else { format!("{what} ({more} more wait)") };
    match here {
        _ if app.context() == Context::Card => {
            let asks = if run.phase(step) == StepPhase::Gated { Action::Confirm } else { Action::Retry };
            ready(app, asks, role, if asks == Action::Confirm { format!("confirm {step}") } else { what })
        }
        None => ready(app, Action::NextWaiting, role, what),
        Some(_) => ready(app, Action::Open, role, what),
    }
}

fn under_way(app: &App, run: &Run) -> Advice {
    let busy: Vec<String> = run
        .in_order()
        .filter(|(_, step)| step.phase.is_in_flight() || step.phase == StepPhase::Retrying)
        .map(|(spec, step)| {
            let since = step.begun.as_ref().map(|begun| seconds_between(begun.at, app.now()));
            since.map_or_else(|| spec.id.to_string(), |since| format!("{} {}", spec.id, clock(since)))
        })
        .collect();
    if !run.mode.acts() {
        wait(Role::Busy, format!("a rehearsal of {}: nothing is changed", run.plan.id))
    } else if busy.is_empty() {
        wait(Role::Busy, format!("{} goes on by itself", run.plan.id))
    } else {
        wait(Role::Busy, format!("nothing waits for you; under way: {}", busy.join(", ")))
    }
}

fn after_or_before_run(app: &App, incident: &str) -> Advice {
    let checklist = app.mirror.as_ref().and_then(|mirror| mirror.state.incident.as_ref()).map(|it| &it.checklist);
    let (open, all) = checklist.map_or((0, 0), |checklist| (checklist.open().count(), checklist.items.len()));
    let run = app.shown_run().filter(|run| run.mode.acts());
    match run.map(|run| run.outcome) {
        Some(Some(Outcome::Completed)) if open > 0 => {
            let text = format!("walk through the checklist, then close {incident}: {open} of {all} are open");
            press(Action::Walk, Role::Warn, text)
        }
        Some(Some(Outcome::Completed)) if unprotected(app) => {
            press(Action::WayBack, Role::Warn, "see what is unprotected now, and how to move clients back".to_owned())
        }
        Some(Some(Outcome::Completed)) => {
            let left = app.mirror.as_ref().and_then(|mirror| {
                let id = &mirror.state.incident.as_ref()?.id;
                Some(outside(&mirror.estate, &mirror.state, id, app.now())).filter(|left| !left.is_closed())
            });
            let text = match left {
                Some(left) => format!("close {incident}, and what is open outside: {}", left.brief()),
                None => format!("close {incident}: the run is complete"),
            };
            ready(app, Action::CloseIncident, Role::Good, text)
        }
        _ => ready(app, Action::RunPlan, Role::Warn, plan_to_run(app)),
    }
}

/// Which plan to run, by what is seen and by what this estate has.
fn plan_to_run(app: &App) -> String {
    let Some(mirror) = &app.mirror else { return "run a plan".into() };
    match (remedy::plan_for(mirror, app.now()), mirror.plans.is_empty()) {
        (Some(plan), _) => format!("run a plan: {} fits what is seen", plan.id),
        (None, true) => "run a plan: this estate has none, see its config".into(),
        (None, false) => "run a plan: choose which, none is known to fit what is seen".into(),
    }
}

/// Clients are away from home, and something holds no longer.
fn unprotected(app: &App) -> bool {
    let Some(mirror) = app.mirror.as_ref().filter(|mirror| mirror.state.moved.is_some()) else { return false };
    let gaps = crate::domain::wayback::unprotected(
        &mirror.estate,
        &mirror.state,
        &mirror.live.surveys,
        &mirror.live.probes,
        app.now(),
    );
    gaps.iter().any(|it| it.gap.blocks())
}

fn in_peace(app: &App) -> Advice {
    let Some(mirror) = &app.mirror else { return quiet(app) };
    let Some(found) = remedy::trouble(mirror, app.now()) else { return quiet(app) };
    let then = match remedy::plan_for(mirror, app.now()) {
        // What is gone as a whole has a rule of its own that tells how far it is.
        Some(plan) if found.what != What::Region => format!(" · then {}", plan.id),
        _ => rule(app),
    };
    match app.read_only {
        true => wait(Role::Bad, found.title + &then),
        false => press(Action::Declare, Role::Bad, format!("declare an incident: {}{then}", found.title)),
    }
}

/// Nothing burns; what would be missing if something did.
fn quiet(app: &App) -> Advice {
    let pane = |pane: Pane, role, text| Advice { key: Some(pane.key()), text, role, also: None };
    let Some(mirror) = &app.mirror else { return wait(Role::Dim, "connecting to the engine") };
    if let Some((store, writers)) = mirror.split() {
        let text = format!("{store} has {} writers, fence all but one: {}", writers.len(), writers.join(", "));
        return pane(Pane::Datastores, Role::Bad, text);
    }
    if let Some(left) = left_open(&mirror.estate, &mirror.state, app.now()) {
        let text = format!("{} is closed, but not outside: {}", left.incident, left.brief());
        return match left.untold().is_empty() {
            false => ready(app, Action::Tell, Role::Warn, format!("tell `resolved`: {text}")),
            true => pane(Pane::Communications, Role::Warn, text),
        };
    }
    if unprotected(app) {
        return press(
            Action::WayBack,
            Role::Warn,
            "see what is unprotected since the failover, and how to move clients back",
        );
    }
    if let Some(text) = first_looks(mirror) {
        return wait(Role::Busy, text);
    }
    if let Some(text) = in_trouble(mirror, app.now()) {
        return pane(Pane::Services, Role::Warn, text);
    }
    if let Some(text) = alerted(mirror, app.now()) {
        return pane(Pane::Services, Role::Warn, text);
    }
    let judged = mirror.backups(app.now());
    let poor: Vec<&str> = judged
        .iter()
        .filter(|(_, judged)| judged.worth > Worth::Unknown)
        .map(|(spec, _)| spec.title.as_str())
        .collect();
    if !poor.is_empty() {
        let text = format!("no region is in trouble, but these backups are too old or incomplete: {}", poor.join(", "));
        return pane(Pane::Backups, Role::Bad, text);
    }
    let known = mirror.state.readiness_by_plan();
    let unready: Vec<&str> =
        known.iter().filter(|(_, (_, brief))| brief.ready > Ready::AtRisk).map(|(plan, _)| plan.as_str()).collect();
    if !unready.is_empty() {
        let text = format!("no region is in trouble, but these plans are not ready: {}", unready.join(", "));
        return pane(Pane::Readiness, Role::Warn, text);
    }
    let serving = mirror.state.serving(&mirror.estate);
    if serving != mirror.estate.primary() {
        let text =
            format!("all quiet, and {serving} serves: see how to move clients back to {}", mirror.estate.primary());
        return press(Action::WayBack, Role::Good, text);
    }
    if app.read_only {
        return wait(Role::Good, "all quiet; this cockpit is read-only");
    }
    press(Action::RunPlan, Role::Good, "all quiet; rehearse a plan whenever you like")
}

/// An engine that has just started has not looked at everything yet: that is no finding, and no peace either.
fn first_looks(mirror: &Snapshot) -> Option<String> {
    let probes = &mirror.estate.probes;
    let left = probes.iter().filter(|it| !mirror.live.probes.contains_key(&it.id)).count();
    (left > 0).then(|| format!("looking for the first time: {left} of {} checks have not answered yet", probes.len()))
}

/// What is not healthy although nothing of it is trouble by itself: `of the checks 1 down, 2 degraded: cache.redis.ping`.
fn in_trouble(mirror: &Snapshot, now: At) -> Option<String> {
    let with = |status: Status| -> Vec<&str> {
        let said = mirror.estate.probes.iter().map(|probe| said(probe, &mirror.live.probes, now));
        said.filter(|it| it.status == status).map(|it| it.probe.id.as_str()).collect()
    };
    let words = [(Status::Down, "down"), (Status::Degraded, "degraded"), (Status::Unknown, "unknown")];
    let found: Vec<(&str, Vec<&str>)> =
        words.into_iter().map(|(status, word)| (word, with(status))).filter(|(_, probes)| !probes.is_empty()).collect();
    let (_, worst) = found.first()?;
    let counts: Vec<String> = found.iter().map(|(word, probes)| format!("{} {word}", probes.len())).collect();
    Some(format!("of the checks {}: {}", counts.join(", "), worst.join(", ")))
}

/// What other monitoring says while Mayday itself sees no trouble.
fn alerted(mirror: &Snapshot, now: At) -> Option<String> {
    let policy = &mirror.estate.alerts;
    let firing = |it: &&Heard| it.alert.is == Ringing::Firing && !it.is_old(policy, now);
    let mut all = mirror.state.alerts.0.values().filter(firing);
    let (first, more) = (all.next()?, all.count());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("no region is in trouble, but {} says {}{more}", first.alert.source, first.alert.words()))
}

/// How far the plan's rule is that is met first: ` · region rule met in 2:10`.
fn rule(app: &App) -> String {
    let Some(mirror) = &app.mirror else { return String::new() };
    let all = mirror.triggers(app.now());
    let Some(first) = all.first() else { return String::new() };
    match first.seconds_left(app.now()) {
        left if left > 0.0 => format!(" · {} met in {}", first.rule.title(), clock(left)),
        _ => format!(" · {} MET", first.rule.title()),
    }
}
