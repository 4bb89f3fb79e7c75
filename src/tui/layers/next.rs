//! What to press in a layer. The line that always says what is next speaks of what is on top: a key of the cockpit below would do
//! something else there.

use super::super::advice::{Advice, press, wait};
use super::super::app::{App, Link};
use super::super::keymap::{self, Action};
use super::super::theme::Role;
use super::{Layer, Plans, Tell};
use crate::domain::command::Ask;
use crate::domain::run::Mode;

/// What is next, where `below` is what would be without any layer.
pub fn advice(app: &App, below: Advice) -> Advice {
    let troubled = app.mirror.as_ref().is_none_or(|mirror| mirror.live.journal_fault.is_some());
    let Some(layer) = app.layers.last().filter(|_| app.link == Link::Live && !troubled) else { return below };
    // Who has advice of their own is asked already.
    if matches!(layer, Layer::Card(_) | Layer::Walk(_)) {
        return below;
    }
    let context = app.context();
    let also = below.also.clone().map(|also| {
        let key = also.key.filter(|key| keymap::find(context, key).is_some());
        Box::new(Advice { key, ..*also })
    });
    let next = match layer {
        Layer::Question(question) => press(Action::Yes, Role::Warn, question.title.clone()),
        Layer::Form(form) if form.is_at_end() => press(Action::Submit, Role::Warn, form.title.clone()),
        Layer::Form(form) => press(Action::Submit, Role::Warn, format!("next field: {}", form.title)),
        Layer::Plans(plans) => start(app, plans),
        Layer::Palette(_) => press(Action::Submit, Role::Accent, "do what is chosen"),
        Layer::Tell(tell) => send(app, tell),
        // Where nothing has to be pressed, what is under way is told as before.
        Layer::Reader(_) | Layer::Card(_) | Layer::Walk(_) if below.key.is_none() => below,
        Layer::Reader(_) | Layer::Card(_) | Layer::Walk(_) => {
            let text = format!("back, then {}: {}", below.key.unwrap_or_default(), below.text);
            press(Action::Back, below.role, text)
        }
    };
    Advice { also, ..next }
}

/// Whether the chosen plan can be run, or what it takes.
fn start(app: &App, plans: &Plans) -> Advice {
    let plan = app.mirror.as_ref().and_then(|mirror| mirror.plans.get(plans.at));
    let Some(plan) = plan else { return wait(Role::Dim, "the engine knows no plan") };
    let ask = |mode| Ask::StartRun { plan: plan.id.clone(), mode, reason: String::new(), unattended: false };
    let row = keymap::of(Action::StartLive);
    match (app.has_incident(), app.unbound(row), app.may(&ask(app.mode()))) {
        (true, None, Ok(())) => {
            press(Action::StartLive, Role::Warn, format!("run {} ({}): every gate will ask", plan.id, app.mode()))
        }
        (true, Some(_), _) if !app.read_only => {
            press(Action::Arm, Role::Warn, format!("arm this cockpit, to run {}", plan.id))
        }
        _ if app.read_only => wait(Role::Dim, "this cockpit is read-only; somebody else has to run it"),
        _ => match app.may(&ask(Mode::Rehearsal)) {
            Ok(()) => press(Action::Rehearse, Role::Good, format!("rehearse {}: nothing is changed", plan.id)),
            Err(refusal) => wait(Role::Dim, refusal.why),
        },
    }
}

/// What sends the message, and to whom.
fn send(app: &App, tell: &Tell) -> Advice {
    if tell.is_editing() {
        return press(Action::KeepText, Role::Warn, "keep what was written; Esc drops it");
    }
    if app.read_only {
        return wait(Role::Dim, "this cockpit is read-only; somebody else has to send it");
    }
    if app.armed().is_none() {
        return press(Action::Arm, Role::Warn, "arm this cockpit, to send it");
    }
    let Some(draft) = tell.drafts.get(tell.at) else { return wait(Role::Dim, "there is nothing to send") };
    let who: Vec<&str> = tell.audiences().into_iter().map(|it| it.word()).collect();
    let text = format!("send “{}” to {}", draft.purpose, who.join(" · "));
    match app.typing.is_settled() {
        true => press(Action::SendUpdate, Role::Warn, text),
        // What was typed ahead is not taken for an answer.
        false => wait(Role::Warn, text),
    }
}
