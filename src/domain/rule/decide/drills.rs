//! Drills: which results are taken down, and when one begins by itself.

use super::{Draft, refuse};
use crate::domain::actor::Origin;
use crate::domain::fact::command::{Effect, Refusal, RefusalReason as Why};
use crate::domain::fact::drill::DrillResult;
use crate::domain::fact::event::Event;
use crate::domain::fact::run::Run;
use crate::domain::fault::Fault;
use crate::domain::ids::DrillId;
use crate::domain::rule::schedule::{Due, Standing, schedule};
use crate::domain::rule::state::State;
use crate::domain::rule::trigger::triggers;

/// Takes the result of a drill down: what the schedule, the trend and the forecast rest on. A cockpit cannot say that a drill passed.
///
/// **Rule 39.** A drill passes when every stage passed and nothing was left behind, and no cockpit can say that it did.
pub(super) fn record(draft: &mut Draft<'_>, result: &DrillResult) -> Result<(), Refusal> {
    if matches!(draft.envelope.origin, Origin::Cockpit { .. }) {
        return refuse(Why::Unsafe, "a cockpit takes down no results of drills", "play it: mayday drill run NAME");
    }
    let (cx, state) = (draft.cx, draft.state());
    let result = result.clone().cleaned();
    if !cx.estate.drills.iter().any(|it| it.name == result.name) {
        let known: Vec<&str> = cx.estate.drills.iter().map(|it| it.name.as_str()).collect();
        let why = format!("there is no drill `{}` in the config", result.name);
        return refuse(Why::NotFound, why, format!("it knows {}", known.join(", ")));
    }
    if result.started_at > cx.now {
        return refuse(Why::Conflict, "a drill cannot have begun in the future", "look at the clocks of both machines");
    }
    if result.passed && !result.earns_a_pass() {
        let why = "a drill passes only if every stage passed and nothing was left behind";
        return refuse(Why::Unsafe, why, "record it as failed");
    }
    let mut known = state.drills.get(&result.name).into_iter().flatten();
    if let Some(same) = known.find(|it| it.result.started_at == result.started_at) {
        return refuse(Why::Conflict, format!("it is taken down already, as {}", same.id), "");
    }
    let drill = DrillId::new(format!("DRILL-{}-{}", cx.now.strftime("%Y%m%d"), state.drills_ended + 1));
    draft.decision.note = Some(format!("recorded as {drill}"));
    draft.event(Event::DrillEnded { drill, result: Box::new(result) });
    Ok(())
}

/// Begins an automatic drill that is due: once for every time that it falls due, one at a time, and never while anything is the matter.
///
/// **Rule 40.** A drill begins by itself once for each time that it is due, alone, and never while anything is the matter.
pub(super) fn begin_due(draft: &mut Draft<'_>) {
    let (cx, state) = (draft.cx, draft.state());
    let busy = state.hold.is_some()
        || state.incident.is_some()
        || state.run.as_ref().is_some_and(Run::is_open)
        || state.drill_under_way(cx.now).is_some();
    if busy || !triggers(cx.estate, state, cx.readings, cx.now, cx.plans.iter().map(|plan| &**plan)).is_empty() {
        return;
    }
    let Some(due) = schedule(cx.estate, state, cx.now).into_iter().find(|it| begins(state, it)) else { return };
    let name = due.spec.name;
    draft.event(Event::DrillBegun { name: name.clone() });
    draft.effect(Effect::Drill(name));
}

fn begins(state: &State, due: &Due) -> bool {
    let is_due = matches!(due.standing, Standing::Due | Standing::Overdue);
    let tried = state.drills_begun.get(&due.spec.name).is_some_and(|at| *at >= due.due_at);
    due.spec.automatic && is_due && !tried
}

/// A drill that was begun has ended. If it told its result, that is taken down already.
pub(super) fn over(draft: &mut Draft<'_>, name: &str, outcome: &Result<(), Fault>) {
    if let Err(fault) = outcome {
        draft.event(Event::DrillLost { name: name.to_owned(), fault: fault.clone() });
    }
}
