//! The card of a step: everything that has to be known before its gate is answered, and what can be done about it.

use ratatui::text::{Line, Span};

use crate::domain::command::Ask;
use crate::domain::estate::{Estate, Tier};
use crate::domain::kinds::Undo;
use crate::domain::plan::{Gate, StepSpec};
use crate::domain::recovery::Loss;
use crate::domain::run::{GateCard, Run, StepPhase, StepRun};
use crate::domain::system::{Guard, GuardVerdict, Observed};
use crate::domain::verdict;

use super::super::format::{self, age, clock, column, length, width, wrap};
use super::super::keymap::{self, Action};
use super::super::look::Look;
use super::super::mark;
use super::super::panes::plan;
use super::super::theme::Role;
use super::super::widgets::gauge::Gauge;
use super::form::verb;
use super::{Card, Sheet};

/// The column of labels.
const LABEL: usize = 8;

pub fn sheet(look: &Look<'_>, card: &Card, most: usize, height: usize) -> Sheet {
    let columns = most.min(84);
    let found = look.app.shown_run().and_then(|run| Some((run, run.plan.step(&card.step)?, run.step(&card.step)?)));
    let Some((run, spec, step)) = found else {
        let gone = vec![Line::from(look.span("This step is not part of the run any more.", Role::Dim))];
        return Sheet::new(card.step.as_str(), gone, columns);
    };
    let mut sheet = Sheet::new(
        format!("{} · {}", spec.id, phase_title(spec, step)),
        lines(look, run, spec, step, columns, height),
        columns,
    );
    sheet.danger = spec.undo == Undo::PointOfNoReturn && step.phase.waits_for_human();
    sheet.keys = keys(look, run, spec, step);
    sheet
}

fn phase_title(spec: &StepSpec, step: &StepRun) -> String {
    match (step.phase, spec.gate) {
        (StepPhase::Gated, gate) => format!("GATE, {}", mark::gate(gate)),
        (phase, _) => mark::phase(phase).word.to_owned(),
    }
}

/// What can be done about the step now: the rules themselves are asked.
fn keys(look: &Look<'_>, run: &Run, spec: &StepSpec, step: &StepRun) -> Vec<(&'static str, String)> {
    let app = look.app;
    let mut keys = Vec::new();
    let fits = |action: Action| ask(action, run, spec).is_some_and(|ask| app.may(&ask).is_ok());
    let needs_arming = app.armed().is_none() && !app.read_only && step.phase.waits_for_human();
    if needs_arming {
        keys.push((keymap::key(Action::Arm), "arm, to be able to act".into()));
    }
    for action in [Action::Confirm, Action::Override, Action::Retry, Action::Skip, Action::MarkDone, Action::Revert] {
        if fits(action) {
            keys.push((keymap::key(action), keymap::of(action).title.into()));
        }
    }
    if matches!(step.phase, StepPhase::Gated | StepPhase::Blocked) && fits(Action::LookAgain) {
        keys.push((keymap::key(Action::LookAgain), keymap::of(Action::LookAgain).title.into()));
    }
    keys.push((keymap::key(Action::ByHand), "by hand".into()));
    if app.waiting().len() > 1 {
        keys.push((keymap::key(Action::NextWaiting), "next gate".into()));
    }
    keys.push(("Esc", "back".into()));
    keys
}

/// The command of an action on a step as it would be once everything was typed in: to ask the rules whether it fits.
pub fn ask(action: Action, run: &Run, spec: &StepSpec) -> Option<Ask> {
    let (id, step) = (run.id.clone(), spec.id.clone());
    match action {
        Action::Confirm => {
            let seen = run.step(&step).and_then(|known| known.card.as_ref()).map(|card| card.at);
            Some(Ask::Confirm { run: id, step, phrase: spec.phrase.clone(), seen })
        }
        Action::Override => {
            let phrase = override_phrase(spec);
            Some(Ask::Override { run: id, step, phrase, reason: "-".into() })
        }
        _ => verb(action, id, step, "-".into()),
    }
}

/// What has to be typed to go on although a guard stands against it.
pub fn override_phrase(spec: &StepSpec) -> String {
    format!("override {}", spec.phrase)
}

/// Everything about a step, in `columns`; guards that pass are told in one line if it does not fit into `height` otherwise.
pub fn lines(
    look: &Look<'_>,
    run: &Run,
    spec: &StepSpec,
    step: &StepRun,
    columns: usize,
    height: usize,
) -> Vec<Line<'static>> {
    let whole = compose(look, run, spec, step, columns, false);
    if whole.len() <= height { whole } else { compose(look, run, spec, step, columns, true) }
}

fn compose(
    look: &Look<'_>,
    run: &Run,
    spec: &StepSpec,
    step: &StepRun,
    columns: usize,
    brief: bool,
) -> Vec<Line<'static>> {
    let title = wrap(&spec.title, columns).into_iter();
    let mut out: Vec<Line<'static>> = title.map(|text| Line::from(look.span(text, Role::Strong))).collect();
    let what = format!("{} on {} · {}", spec.kind, spec.system, spec.role);
    out.push(Line::from(look.span(format::fit(&what, columns).into_owned(), Role::Dim)));
    out.extend(trouble(look, step, columns));
    if let Some(changed) = step.changed.as_ref().filter(|_| step.phase == StepPhase::Gated) {
        let words = format!("! {} ago: {}", age(look.since(changed.at)), changed.what.join("; "));
        out.extend(labelled(look, "CHANGED", &words, Role::Warn, columns));
    }
    if let Some(card) = &step.card {
        let done = step.phase.is_over() || step.phase == StepPhase::Verifying;
        out.extend(change(look, step, card, columns, brief));
        if !brief {
            out.extend(diff(look, step, card, columns, ""));
        }
        out.extend(work(look, run, spec, step, columns));
        out.extend(guards(look, step, card, columns, brief));
        if !done {
            out.extend(loss(look, card, columns));
            out.extend(outlook(look, run, step, card, columns));
        }
        // Where not all of it can be seen at once, what stands against the step is seen first.
        if brief {
            out.extend(diff(look, step, card, columns, "exactly"));
        }
    } else if !step.detail.is_empty() && step.fault.is_none() {
        out.extend(labelled(look, "", &step.detail, Role::Text, columns));
    }
    if !spec.needs.is_empty() && step.phase == StepPhase::Waiting {
        let open = spec.needs.iter().filter(|need| !run.phase(need).satisfies());
        let names: Vec<&str> = open.map(|need| need.as_str()).collect();
        out.extend(labelled(look, "waits", &names.join(", "), Role::Text, columns));
    }
    if spec.gate == Gate::TwoPerson && !step.confirmed.is_empty() {
        let names: Vec<String> = step.confirmed.iter().map(ToString::to_string).collect();
        out.extend(labelled(
            look,
            "agreed",
            &format!("by {}; a second person has to", names.join(", ")),
            Role::Warn,
            columns,
        ));
    }
    if let Some(first) = &step.wanted {
        let words = format!("{} wants {}; a second person has to, too", first.by, first.wish.words());
        out.extend(labelled(look, "wanted", &words, Role::Warn, columns));
    }
    out
}

/// What went wrong, what it means, what to do.
fn trouble(look: &Look<'_>, step: &StepRun, columns: usize) -> Vec<Line<'static>> {
    let Some(fault) = &step.fault else { return Vec::new() };
    let mut out = vec![Line::default()];
    out.extend(labelled(look, "fault", &format!("{}: {}", fault.system, fault.what), Role::Bad, columns));
    if !fault.means.is_empty() {
        out.extend(labelled(look, "means", &fault.means, Role::Text, columns));
    }
    if !fault.next.is_empty() {
        out.extend(labelled(look, "next", &fault.next, Role::Accent, columns));
    }
    if let Some(due) = step.retry_at.filter(|_| step.phase == StepPhase::Retrying) {
        out.extend(labelled(look, "again", &clock(-look.since(due)), Role::Warn, columns));
    }
    out
}

fn change(look: &Look<'_>, step: &StepRun, card: &GateCard, columns: usize, brief: bool) -> Vec<Line<'static>> {
    let mut out = if brief { Vec::new() } else { vec![Line::default()] };
    let (label, role) = match card.observed {
        Observed::Impossible { .. } => ("cannot", Role::Bad),
        Observed::Unknowable { .. } => ("unsure", Role::Warn),
        _ => ("now", Role::Text),
    };
    let now =
        if step.phase.is_over() || step.phase.is_in_flight() { step.detail.as_str() } else { card.observed.words() };
    // What is now and what is to come are never the same words: then only the change is told.
    let told = now.trim() == card.summary.trim() && !step.phase.is_over();
    if !now.is_empty() && step.fault.is_none() && !told {
        out.extend(labelled(look, label, now, role, columns));
    }
    if !card.summary.is_empty() && !step.phase.is_over() {
        out.extend(labelled(look, "change", &card.summary, Role::Strong, columns));
    }
    out
}

/// How far a step under way has come: `work  ▰▰▰▱▱▱▱▱ 0:40 of about 1:14, as the last time`.
fn work(look: &Look<'_>, run: &Run, spec: &StepSpec, step: &StepRun, columns: usize) -> Option<Line<'static>> {
    let (taken, last) = plan::forecast(look, run, &spec.id, step)?;
    let words = format!(" {} of about {}", clock(taken), clock(last));
    let gauge = Gauge::of(taken / last, None, columns.saturating_sub(LABEL + width(&words)).min(24));
    let role = if taken > last { Role::Warn } else { Role::Busy };
    Some(row(look, "work", format!("{}{}{words}", gauge.full, gauge.empty), role))
}

/// The exact change, line by line, under its own label where it does not follow the change in words.
fn diff(look: &Look<'_>, step: &StepRun, card: &GateCard, columns: usize, label: &str) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    for line in card.diff.iter().filter(|_| !step.phase.is_over()) {
        let role = match line.chars().next() {
            Some('+') => Role::Good,
            Some('-') => Role::Dim,
            _ => Role::Faint,
        };
        let text = format::fit(line, columns.saturating_sub(LABEL)).into_owned();
        let label = if out.is_empty() { label } else { "" };
        out.push(Line::from(vec![look.span(column(label, LABEL), Role::Dim), look.span(text, role)]));
    }
    out
}

fn guards(look: &Look<'_>, step: &StepRun, card: &GateCard, columns: usize, brief: bool) -> Vec<Line<'static>> {
    if step.phase.is_over() {
        return Vec::new();
    }
    let told = |guard: &&Guard| !brief || guard.verdict != GuardVerdict::Pass;
    let mut texts: Vec<(GuardVerdict, String)> = card
        .guards
        .iter()
        .filter(told)
        .map(|guard| {
            let overridden = if step.overridden.contains(&guard.name) { " (overridden)" } else { "" };
            (guard.verdict, format!("{}: {}{overridden}", guard.name, guard.detail))
        })
        .collect();
    let passed: Vec<&str> = card.guards.iter().filter(|guard| !told(guard)).map(|guard| guard.name.as_str()).collect();
    if !passed.is_empty() {
        texts.push((GuardVerdict::Pass, passed.join(", ")));
    }
    let mut out = Vec::new();
    let room = columns.saturating_sub(LABEL + 8).max(10);
    for (verdict, text) in texts {
        let mark = mark::guard(verdict);
        for (at, text) in wrap(&text, room).into_iter().enumerate() {
            let label = if out.is_empty() { "guards" } else { "" };
            let head = if at == 0 { look.mark(mark, 6) } else { Span::raw(" ".repeat(8)) };
            let role = if mark.role == Role::Good { Role::Text } else { mark.role };
            out.push(Line::from(vec![look.span(column(label, LABEL), Role::Dim), head, look.span(text, role)]));
        }
    }
    out
}

/// What would be lost, against what may be.
fn loss(look: &Look<'_>, card: &GateCard, columns: usize) -> Vec<Line<'static>> {
    let words = loss_words(&look.snap.estate, card).into_iter();
    words.flat_map(|(words, role)| labelled(look, "loss", &words, role, columns)).collect()
}

fn loss_words(estate: &Estate, card: &GateCard) -> Option<(String, Role)> {
    let (class, loss) = card.loss?;
    let target = estate.rpo(class).map(|span| span.as_secs_f64());
    let name = format::class(class);
    Some(match (loss, target) {
        (Loss::Unknown, _) => (format!("? unknown how much {name} data would be lost"), Role::Unknown),
        (Loss::Estimated { seconds } | Loss::Measured { seconds }, target) => {
            let over = target.is_some_and(|target| seconds > target);
            let allowed = target.map_or("no RPO is set".into(), |target| format!("the RPO allows {}", length(target)));
            let mark = if over { "✗" } else { "✓" };
            (
                format!("{mark} about {} of {name} data; {allowed}", length(seconds)),
                if over { Role::Bad } else { Role::Good },
            )
        }
    })
}

/// What is at stake, in front of whoever types the name of the target: the form lies over the card.
pub fn stakes(estate: &Estate, spec: &StepSpec, card: &GateCard) -> Vec<String> {
    let target = estate.system(&spec.system).map_or("", |system| system.title.as_str());
    let mut lines = vec![format!("{}: {}", spec.title, card.summary)];
    lines.push(format!("target  {} ({target})", spec.system));
    lines.extend(loss_words(estate, card).map(|(words, _)| format!("loss    {words}")));
    lines.push(match card.undo {
        Undo::PointOfNoReturn => "undo    ! There is no way back from it.".to_owned(),
        Undo::Revert => "undo    It can be reverted.".to_owned(),
        Undo::Nothing => "undo    It changes nothing.".to_owned(),
    });
    lines.extend(card.guards.iter().filter(|guard| guard.verdict == GuardVerdict::Warn).map(|guard| {
        let mark = mark::guard(guard.verdict);
        format!("{} {}: {}", mark.glyph, guard.name, guard.detail)
    }));
    lines
}

/// Undo, last time, projected finish and the age of the evidence.
fn outlook(look: &Look<'_>, run: &Run, step: &StepRun, card: &GateCard, columns: usize) -> Vec<Line<'static>> {
    let undo = mark::undo(card.undo);
    let mut out = vec![row(look, "undo", format!("{} {}", undo.glyph, undo.word), undo.role)];
    out.extend(match &card.last {
        Some(last) => {
            let words =
                format!("took {} in a {} run, {} ago", length(last.seconds), last.mode, age(look.since(last.at)));
            labelled(look, "last", &words, Role::Text, columns)
        }
        None => labelled(look, "last", "never done before", Role::Dim, columns),
    });
    let (words, role) = finish(look, run, card);
    out.extend(labelled(look, "finish", &words, role, columns));
    if matches!(step.phase, StepPhase::Gated | StepPhase::Blocked | StepPhase::Ready) {
        let (old, limit) = (look.since(card.at), look.snap.estate.policy.evidence_expires.as_secs_f64());
        let (words, role) = if old > limit {
            (
                format!("! {} old: looked at again when you confirm; goes on if nothing has changed", age(old)),
                Role::Warn,
            )
        } else {
            (format!("{} old, good for {}", age(old), length(limit)), Role::Text)
        };
        out.extend(labelled(look, "seen", &words, role, columns));
        let (words, role) = readiness(look, run);
        out.extend(labelled(look, "plan", &words, role, columns));
    }
    out
}

/// How the whole plan stood against reality when it was last held against it.
fn readiness(look: &Look<'_>, run: &Run) -> (String, Role) {
    let known = look.snap.state.readiness_by_plan().get(&run.plan.id).copied();
    let Some((at, brief)) = known else {
        return ("? this plan was never held against reality".into(), Role::Unknown);
    };
    let mark = mark::ready(brief.ready);
    let words = format!("{} {}, {} of 100, {} ago", mark.glyph, mark.word, brief.score, age(look.since(at)));
    (words, if look.snap.estate.assessment_is_old(at, look.now) { Role::Unknown } else { mark.role })
}

/// The projected finish against the RTO of the most urgent tier that is not recovered.
fn finish(look: &Look<'_>, run: &Run, card: &GateCard) -> (String, Role) {
    let Some(projected) = card.projected else {
        return ("? unknown: some steps left have no past timing".into(), Role::Unknown);
    };
    let incident = look.snap.state.incident.as_ref().filter(|incident| run.incident.as_ref() == Some(&incident.id));
    let verdicts = incident.map(|incident| verdict::rto(&look.snap.estate, incident, look.now)).unwrap_or_default();
    let open = verdicts.iter().find(|verdict| !verdict.recovered && verdict.tier != Tier::Platform);
    let spare = open.and_then(|verdict| Some((verdict.tier, verdict.target - verdict.elapsed? - projected)));
    let start = format!("about {} from now", length(projected));
    match spare {
        Some((tier, spare)) if spare >= 0.0 => {
            (format!("✓ {start}: {tier} RTO met with {} to spare", clock(spare)), Role::Good)
        }
        Some((tier, spare)) => (format!("✗ {start}: {tier} RTO missed by {}", clock(-spare)), Role::Bad),
        None => (start, Role::Text),
    }
}

fn row(look: &Look<'_>, label: &str, words: String, role: Role) -> Line<'static> {
    Line::from(vec![look.span(column(label, LABEL), Role::Dim), look.span(words, role)])
}

/// A label, and a text that wraps beside it.
fn labelled(look: &Look<'_>, label: &str, text: &str, role: Role, columns: usize) -> Vec<Line<'static>> {
    let lines = wrap(text, columns.saturating_sub(LABEL).max(10)).into_iter().enumerate();
    lines.map(|(at, line)| row(look, if at == 0 { label } else { "" }, line, role)).collect()
}
