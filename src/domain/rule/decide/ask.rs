//! What operators ask for: who may, when, and what becomes of it.

use super::advance::prepare;
use super::comms::Wish;
use super::{
    Context, Draft, checklist, closing, comms, gate, must_be, need_reason, open_incident, parts, people, refuse,
    session, touch, undo,
};
use crate::domain::actor::Origin;
use crate::domain::fact::bout::{Bout, ProbeState};
use crate::domain::fact::clocks::Clocks;
use crate::domain::fact::command::{Ask, Effect, Envelope, Refusal, RefusalReason as Why};
use crate::domain::fact::event::Event;
use crate::domain::fact::health::Status;
use crate::domain::fact::promise::Promise;
use crate::domain::fact::run::{Instead, Mode, Outcome, Run, StepPhase, StepRun};
use crate::domain::ids::{IncidentId, PlanId, RunId, StepId};
use crate::domain::rule::state::State;
use crate::domain::rule::target;
use crate::domain::rule::trigger::{Trigger, triggers};
use crate::domain::rule::wayback;
use crate::domain::spec::classes::Tier;
use crate::domain::spec::estate::{Environment, Estate, OnTrigger};
use crate::domain::spec::kinds::Undo;
use crate::domain::spec::plan::{Plan, StepSpec};
use crate::domain::spec::probe::{ProbeSpec, Subject};
use crate::domain::spec::severity::Severity;
use crate::domain::text::clean;
use crate::domain::time::{At, seconds_between};

/// What a command needs of its sender.
#[derive(PartialEq)]
enum Needs {
    /// Looking is enough: nothing outside changes, or it only makes things safer.
    Attached,
    Armed,
}

fn needs(ask: &Ask) -> Needs {
    match ask {
        Ask::Arm {}
        | Ask::Disarm {}
        | Ask::Hold { .. }
        | Ask::Declare { .. }
        | Ask::SetSeverity { .. }
        | Ask::SetTitle { .. }
        | Ask::TakeCommand {}
        | Ask::Note { .. }
        | Ask::Recall { .. }
        | Ask::Acknowledge {}
        | Ask::TakeCommunications {}
        | Ask::HandOver { .. }
        | Ask::AssessSeverity { .. }
        | Ask::Refresh { .. } => Needs::Attached,
        // What is said of an item is said for the record; closing over it needs an armed cockpit.
        Ask::TickItem { .. } | Ask::SkipItem { .. } | Ask::ReopenItem { .. } | Ask::LookAtItem { .. } => {
            Needs::Attached
        }
        Ask::StartRun { mode: Mode::Rehearsal, .. } => Needs::Attached,
        Ask::Release { .. }
        | Ask::CloseIncident { .. }
        | Ask::StartRun { .. }
        | Ask::Confirm { .. }
        | Ask::Override { .. }
        | Ask::Retry { .. }
        | Ask::Skip { .. }
        | Ask::MarkDone { .. }
        | Ask::Revert { .. }
        | Ask::Tell { .. }
        | Ask::RetryDelivery { .. }
        | Ask::SettleDelivery { .. }
        | Ask::RevertRun { .. }
        | Ask::Abandon { .. } => Needs::Armed,

        Ask::RecordDrill { .. } | Ask::TakeAlerts { .. } => Needs::Armed,
    }
}

/// Whether the sender may ask for this at all.
///
/// **Rule 1.** Nothing is changed from a cockpit that only looks, that was armed too long ago, or that is somebody else's.
pub(super) fn permit(cx: &Context<'_>, state: &State, envelope: &Envelope, ask: &Ask) -> Result<(), Refusal> {
    let Origin::Cockpit { session, read_only } = &envelope.origin else { return Ok(()) };
    if *read_only {
        return refuse(Why::ReadOnly, "this cockpit is read-only", "attach one without --read-only");
    }
    let armed = state.armed.get(session);
    if armed.is_some_and(|armed| armed.by.uid != envelope.actor.uid) {
        return refuse(Why::NotArmed, "this session is somebody else's", "attach a cockpit of your own");
    }
    if needs(ask) == Needs::Attached {
        return Ok(());
    }
    let expires = cx.estate.policy.arm_expires.as_secs_f64();
    match armed {
        None => refuse(Why::NotArmed, "this cockpit only looks", "press A to arm it"),
        Some(armed) if seconds_between(armed.at, cx.now) > expires => {
            refuse(Why::NotArmed, "this cockpit was armed too long ago", "press A to arm it again")
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn ask(draft: &mut Draft<'_>, ask: &Ask) -> Result<(), Refusal> {
    match ask {
        Ask::Arm {} => {
            let Some(session) = session(draft.envelope).cloned() else { return Ok(()) };
            draft.event(Event::CockpitArmed { session });
        }
        Ask::Disarm {} => {
            let Some(session) = session(draft.envelope).cloned() else { return Ok(()) };
            draft.event(Event::CockpitDisarmed { session });
        }
        Ask::Hold { reason } => {
            if draft.state().hold.is_none() {
                draft.event(Event::HoldSet { reason: clean(reason) });
            }
        }
        Ask::Release { reason } => {
            if draft.state().hold.is_none() {
                return refuse(Why::Conflict, "nothing is held", "");
            }
            draft.event(Event::HoldReleased { reason: clean(reason) });
        }
        Ask::Declare { title, severity, drill } => declare(draft, title, *severity, *drill)?,
        Ask::SetSeverity { severity, reason } => {
            open_incident(draft)?;
            draft.event(Event::SeverityChanged { severity: *severity, reason: clean(reason) });
        }
        Ask::SetTitle { title } => {
            open_incident(draft)?;
            draft.event(Event::TitleChanged { title: titled(title)? });
        }
        Ask::TakeCommand {} => {
            open_incident(draft)?;
            draft.event(Event::CommandTaken {});
        }
        Ask::Tell { purpose, texts, audiences, note, incident, despite } => {
            let take_back = draft.cx.estate.comms.take_back;
            let (texts, incident) = (Some(texts), incident.as_ref());
            let wish = Wish { texts, audiences, note, incident, take_back: take_back.0, ..Wish::default() };
            let id = closing::tell(draft, *purpose, &wish, despite)?;
            draft.decision.note = Some(format!("{id} goes out in {take_back}"));
            touch(draft);
        }
        Ask::Recall { message } => comms::recall(draft, message)?,
        Ask::RetryDelivery { message, channel, reason } => comms::retry(draft, message, channel, reason)?,
        Ask::SettleDelivery { message, channel, arrived, reason } => {
            parts::settle(draft, (message, channel), *arrived, reason)?;
        }
        Ask::Acknowledge {} => comms::acknowledge(draft)?,
        Ask::TakeCommunications {} => {
            open_incident(draft)?;
            draft.event(Event::CommunicationsTaken {});
        }
        Ask::HandOver { hand_over, note } => comms::hand_over(draft, hand_over, note)?,
        Ask::AssessSeverity { answers } => comms::assess(draft, *answers)?,
        Ask::Note { text } => draft.event(Event::NoteAdded { text: clean(text) }),
        Ask::CloseIncident { note, despite, tell } => closing::close(draft, note, despite, *tell)?,
        Ask::TickItem { item, note } => checklist::tick(draft, item, note)?,
        Ask::SkipItem { item, reason } => checklist::skip(draft, item, reason)?,
        Ask::ReopenItem { item, reason } => checklist::reopen(draft, item, reason)?,
        Ask::LookAtItem { item } => checklist::look(draft, item)?,
        Ask::StartRun { plan, mode, reason, unattended } => start(draft, plan, *mode, reason, *unattended)?,
        Ask::Abandon { run, reason } => abandon(draft, run, reason)?,
        Ask::RecordDrill { result } => super::drills::record(draft, result)?,
        Ask::TakeAlerts { alerts } => super::alerts::take(draft, alerts),
        Ask::RevertRun { run, phrase, reason } => {
            need_reason(reason)?;
            let run = the_run(draft, run)?.clone();
            undo::begin(draft, &run, phrase, reason)?;
        }
        Ask::Refresh { run, step }
        | Ask::Confirm { run, step, .. }
        | Ask::Override { run, step, .. }
        | Ask::Retry { run, step, .. }
        | Ask::Skip { run, step, .. }
        | Ask::MarkDone { run, step, .. }
        | Ask::Revert { run, step, .. } => on_step(draft, ask, run, step)?,
    }
    Ok(())
}

fn titled(title: &str) -> Result<String, Refusal> {
    let title = clean(title);
    if title.is_empty() {
        return refuse(Why::ReasonMissing, "an incident needs a title", "say in a few words what is broken");
    }
    Ok(title)
}

/// **Rule 2.** One incident is open at a time, and a drill's is declared on a test estate only.
fn declare(draft: &mut Draft<'_>, title: &str, severity: Severity, drill: bool) -> Result<(), Refusal> {
    let (cx, state) = (draft.cx, draft.state());
    if let Some(open) = &state.incident {
        let next = "close it first, or go on with it";
        return refuse(Why::Conflict, format!("{} is still open", open.id), next);
    }
    if drill && cx.estate.environment != Environment::Test {
        let why = "this estate is production: a drill would break it for real";
        return refuse(
            Why::Unsafe,
            why,
            "drill on the lab (mayday drill run), or on an estate with environment = \"test\"",
        );
    }
    let title = titled(title)?;
    let incident = IncidentId::new(format!("INC-{}-{}", cx.now.strftime("%Y%m%d"), state.incidents + 1));
    let (clocks, region) = (clocks(cx.estate, state, cx.now), state.serving(cx.estate));
    let points = cx.points.clone();
    let promise = Some(Box::new(Promise::of(cx.estate)));
    draft.event(Event::IncidentDeclared { incident, title, severity, clocks, region, points, drill, promise });
    checklist::fix(draft);
    comms::page(draft);
    Ok(())
}

/// Declares by itself what a rule of the plan says, where the policy wants that: not while the engine is held, and not again for
/// trouble that a human has looked at and closed.
///
/// **Rule 3.** A rule of the plan that is met proposes; it declares by itself only where the policy says so, never under HOLD, and
/// never again for trouble that a person has closed.
pub(super) fn declare_met(draft: &mut Draft<'_>) {
    let (cx, state) = (draft.cx, draft.state());
    if cx.estate.policy.on_trigger != OnTrigger::Declare || state.hold.is_some() || state.incident.is_some() {
        return;
    }
    let closed = state.past.iter().map(|past| past.closed_at).max();
    let plans = target::in_order(&cx.seen(state), cx.plans);
    let met = triggers(cx.estate, state, cx.readings, cx.now, plans.into_iter());
    let new = |trigger: &Trigger| trigger.is_met(cx.now) && closed.is_none_or(|closed| closed < trigger.since);
    if let Some(trigger) = met.into_iter().find(new) {
        let title = format!("{}: {}", trigger.rule.title(), trigger.evidence);
        // Refused only while another is open, which was looked at above.
        let _ = declare(draft, &title, trigger.severity, false);
    }
}

/// The clocks as they would be if an incident were declared now: what counts before anybody has declared.
pub fn clocks_if_declared(estate: &Estate, state: &State, now: At) -> Clocks {
    clocks(estate, state, now)
}

/// The clocks at the declaration: per tier, t0 is the last healthy reading before the earliest failure that still lasts, or that was
/// over for so short a time that it is the same trouble; where none was seen before it, the first look that failed.
fn clocks(estate: &Estate, state: &State, now: At) -> Clocks {
    let (serving, quiet) = (state.serving(estate), estate.policy.region_down.as_secs_f64());
    let closed = state.past.iter().map(|past| past.closed_at).max();
    let counts = |tier: Tier, subject: &Subject| match subject {
        Subject::Service(id) => estate.service(id).is_some_and(|service| Estate::counts_for(service.tier, tier)),
        Subject::System(_) | Subject::Region(_) => tier == Tier::Platform,
    };
    // What fails along the path of clients is their disruption, whichever region it is of. A system of no region is none of that path: an
    // API that puts off whoever asks it is no outage, and what its silence does to clients shows at the services.
    let here = |probe: &&ProbeSpec| match &probe.region {
        Some(region) => *region == serving,
        None => !matches!(probe.subject, Subject::System(_)),
    };
    let known = |probe: &ProbeSpec| {
        let known = state.probes.get(&probe.id)?;
        Some((probe.subject.clone(), known, known.trouble_at(now, quiet, closed)?))
    };
    let failing: Vec<_> = estate.probes.iter().filter(here).filter_map(known).collect();
    let earliest = |tier: Tier| {
        let of_tier = failing.iter().filter(|(subject, ..)| counts(tier, subject)).map(|(.., bout)| bout);
        of_tier.min_by_key(|bout| (bout.from, bout.seen)).copied()
    };
    let overall = earliest(Tier::Platform);
    let of_tier = |tier: Tier| earliest(tier).or(overall);
    let again = failing.iter().filter_map(|(_, known, bout)| known.last_healthy.filter(|well| *well > bout.from));
    let down = |it: &(Subject, &ProbeState, Bout)| it.1.status == Status::Down;
    Clocks {
        t0: Tier::ALL.iter().map(|tier| (*tier, of_tier(*tier).map_or(now, |bout| bout.from))).collect(),
        t0_is_declaration: overall.is_none(),
        t0_not_later: Tier::ALL.iter().copied().filter(|tier| of_tier(*tier).is_some_and(|bout| !bout.seen)).collect(),
        last_well: again.max(),
        well_when_declared: overall.is_some() && !failing.iter().any(down),
        t1: failing.iter().map(|(.., bout)| bout.detected).min(),
        t2: Some(now),
        ..Clocks::default()
    }
}

/// **Rule 4.** One run is open at a time, and one that acts is part of an open incident.
fn start(draft: &mut Draft<'_>, plan: &PlanId, mode: Mode, reason: &str, unattended: bool) -> Result<(), Refusal> {
    let cx = draft.cx;
    let found = wayback::plan(cx.estate, draft.state(), cx.plans, plan);
    let found =
        found.or_else(|why| refuse(Why::NotFound, why, "see `mayday plan list` and `mayday wayback status`"))?;
    let state = draft.state();
    if let Some(run) = state.run.as_ref().filter(|run| run.is_open()) {
        let why = format!("the run {} of {} is still open: one run at a time", run.id, run.plan.id);
        return refuse(Why::Conflict, why, "let it end, or abandon it with a reason");
    }
    let reason = clean(reason);
    if mode.acts() {
        open_incident(draft)?;
        as_declared(state, mode)?;
        may_come_home(&cx, state, &found)?;
        if unattended && reason.is_empty() {
            return refuse(Why::ReasonMissing, "an unattended live run needs a reason", "give one with --reason");
        }
    }
    let number = state.runs + 1;
    let run = match &state.incident {
        Some(incident) => RunId::new(format!("{}.{number}", incident.id)),
        None => RunId::new(format!("RUN-{}-{number}", draft.cx.now.strftime("%Y%m%d"))),
    };
    draft.event(Event::RunStarted { run, plan: found, mode, reason, unattended });
    Ok(())
}

/// Clients are brought home only when home is whole: nothing unprotected, and the region well for a while.
///
/// **Rule 6.** Clients come home by a run that somebody starts, and only to a home that is whole.
fn may_come_home(cx: &Context<'_>, state: &State, plan: &Plan) -> Result<(), Refusal> {
    if plan.id.as_str() != wayback::FAILBACK {
        return Ok(());
    }
    let home = state.moved.as_ref().map_or_else(|| cx.estate.primary(), |moved| moved.from.clone());
    let sound = wayback::home_is_sound(cx.estate, state, cx.surveys, cx.readings, &home, cx.now);
    sound.or_else(|why| refuse(Why::Unsafe, why, "protect the data first: mayday failover run reprotect"))
}

/// A drill's incident is met by drills, and a real one by live runs.
///
/// **Rule 5.** A drill never acts in earnest, and a real incident is never met by a drill.
fn as_declared(state: &State, mode: Mode) -> Result<(), Refusal> {
    let drill = state.incident.as_ref().is_some_and(|incident| incident.drill);
    match (drill, mode) {
        (true, Mode::Live) => refuse(Why::Conflict, "the open incident is a drill", "run the plan in mode drill"),
        (false, Mode::Drill) => refuse(Why::Conflict, "the open incident is real", "run the plan in mode live"),
        _ => Ok(()),
    }
}

fn the_run<'d>(draft: &'d Draft<'_>, id: &RunId) -> Result<&'d Run, Refusal> {
    match &draft.state().run {
        Some(run) if &run.id == id => Ok(run),
        Some(run) => {
            refuse(Why::NotFound, format!("{id} is not the current run"), format!("the current run is {}", run.id))
        }
        None => refuse(Why::NotFound, "nothing was run yet", "start a plan first"),
    }
}

/// **Rule 7.** A run is not abandoned while something of it is being changed.
fn abandon(draft: &mut Draft<'_>, run: &RunId, reason: &str) -> Result<(), Refusal> {
    let current = the_run(draft, run)?;
    if !current.is_open() {
        return refuse(Why::Conflict, format!("{run} has ended"), "");
    }
    need_reason(reason)?;
    if let Some((id, _)) = current.steps.iter().find(|(_, step)| step.phase.is_acting()) {
        return refuse(
            Why::Conflict,
            format!("`{id}` is changing something right now"),
            "hold (H), wait until it has settled, then abandon",
        );
    }
    let (reason, mode) = (clean(reason), Some(current.mode));
    draft.event(Event::RunEnded { run: run.clone(), outcome: Outcome::Abandoned, reason, mode });
    Ok(())
}

fn on_step(draft: &mut Draft<'_>, ask: &Ask, run: &RunId, step: &StepId) -> Result<(), Refusal> {
    let current = the_run(draft, run)?.clone();
    let (Some(spec), Some(known)) = (current.plan.step(step), current.step(step)) else {
        let known: Vec<&str> = current.plan.steps.iter().map(|step| step.id.as_str()).collect();
        return refuse(
            Why::NotFound,
            format!("{} has no step `{step}`", current.plan.id),
            format!("its steps are {}", known.join(", ")),
        );
    };
    if !current.is_open() && !matches!(ask, Ask::Revert { .. }) {
        return refuse(Why::Conflict, format!("{run} has ended"), "only a revert is possible now");
    }
    if current.goes_back() {
        return refuse(Why::Conflict, format!("{run} is being taken back"), "wait, or hold (H)");
    }
    let (run, step) = (run.clone(), step.clone());
    match ask {
        Ask::Refresh { .. } => {
            must_be(
                known,
                &[StepPhase::Gated, StepPhase::Blocked],
                "only a gated or blocked step can be looked at again",
            )?;
            prepare(draft, &run, &step);
        }
        Ask::Confirm { phrase, seen, .. } => gate::confirm(draft, &run, spec, known, phrase, *seen)?,
        Ask::Override { phrase, reason, .. } => gate::override_guards(draft, &run, spec, known, (phrase, reason))?,
        Ask::Retry { reason, .. } => {
            let allowed =
                [StepPhase::Failed, StepPhase::Blocked, StepPhase::Asking, StepPhase::Retrying, StepPhase::Reverted];
            must_be(known, &allowed, "only a step that failed, is blocked or was reverted can be retried")?;
            if known.phase == StepPhase::Asking {
                // Whoever has it begun again says with it that it had not happened.
                need_reason(reason)?;
            }
            draft.event(Event::StepRetried { run, step, reason: clean(reason) });
        }
        Ask::Skip { reason, .. } => {
            settle(known, reason)?;
            if people::agree(draft, &run, spec, known, Instead::Skip, &[], reason)? {
                draft.event(Event::StepSkipped { run, step, reason: clean(reason) });
            }
        }
        Ask::MarkDone { reason, .. } => {
            settle(known, reason)?;
            if people::agree(draft, &run, spec, known, Instead::Done, &[], reason)? {
                draft.event(Event::StepDoneByHand { run, step, reason: clean(reason) });
            }
        }
        Ask::Revert { reason, .. } => revert(draft, &current, spec, known, reason)?,
        _ => {}
    }
    Ok(())
}

/// A human's word ends a step, unless something is happening to it.
///
/// **Rule 8.** A person's word ends a step, with a reason, and never while the step is changing something.
fn settle(known: &StepRun, reason: &str) -> Result<(), Refusal> {
    need_reason(reason)?;
    if known.phase.is_over() {
        return refuse(Why::Conflict, format!("the step is {} already", known.phase), "");
    }
    if known.phase.is_acting() {
        return refuse(Why::Conflict, format!("the step is {}", known.phase), "wait until it has settled");
    }
    Ok(())
}

/// **Rule 9.** Only what was applied here and has a way back is taken back, and what rests on it goes first.
fn revert(draft: &mut Draft<'_>, run: &Run, spec: &StepSpec, known: &StepRun, reason: &str) -> Result<(), Refusal> {
    need_reason(reason)?;
    must_be(known, &[StepPhase::Done, StepPhase::Failed, StepPhase::Asking], "only what was applied can be reverted")?;
    if spec.undo != Undo::Revert || known.begun.is_none() {
        return refuse(
            Why::Unsafe,
            format!("`{}` cannot be taken back", spec.id),
            format!("see `mayday kinds {}` for what there is instead", spec.kind),
        );
    }
    undo::window(draft, run)?;
    let later = run.plan.descendants(&spec.id);
    if let Some(acting) = later.iter().find(|id| run.phase(id).is_acting()) {
        let why = format!("`{acting}`, which comes after it, is changing something right now");
        return refuse(Why::Conflict, why, "hold (H), wait until it has settled, then revert");
    }
    let depends = later.iter().filter_map(|id| run.plan.step(id));
    let in_effect = |step: &&StepSpec| step.role.mutates() && run.phase(&step.id).is_in_effect();
    if let Some(later) = depends.filter(|step| step.undo != Undo::Nothing).find(in_effect) {
        return refuse(
            Why::Conflict,
            format!("`{}` was done after it and rests on it", later.id),
            format!("revert `{}` first", later.id),
        );
    }
    draft.event(Event::StepReverting { run: run.id.clone(), step: spec.id.clone(), reason: clean(reason) });
    draft.effect_for(&spec.id, Effect::Revert);
    Ok(())
}
