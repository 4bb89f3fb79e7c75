//! The way back: what moved, until when it can be taken back, what is unprotected since, and whether clients could come home.

use ratatui::text::Line;

use crate::domain::wayback::{Gap, Moved, Window, home_is_sound, unprotected};

use super::super::format::{clock, column, wrap};
use super::super::keymap::{self, Action};
use super::super::look::Look;
use super::super::theme::Role;
use super::heading;

const WHAT: usize = 16;

pub fn lines(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let (snap, room) = (look.snap, columns.saturating_sub(2));
    let mut lines = vec![heading(look, "what moved")];
    match &snap.state.moved {
        None => lines.push(text(look, "No run has moved clients.", Role::Text)),
        Some(moved) => {
            let words = format!("{} → {} at {}, by {}", moved.from, moved.to, look.time_of_day(moved.at), moved.run);
            lines.extend(wrap(&words, room).iter().map(|part| text(look, part, Role::Text)));
            let (words, role) = window(look, moved);
            lines.extend(wrap(&words, room).iter().map(|part| text(look, part, role)));
        }
    }
    lines.push(Line::default());
    lines.push(heading(look, "unprotected"));
    let gaps = unprotected(&snap.estate, &snap.state, &snap.live.surveys, &snap.live.probes, look.now);
    if gaps.is_empty() {
        lines.push(text(look, "✓ nothing: a copy of everything is outside the serving region", Role::Good));
    }
    for it in gaps {
        let role = if it.gap == Gap::Backup { Role::Warn } else { Role::Bad };
        let whose = it.store.as_ref().map_or("the region".to_owned(), ToString::to_string);
        let head = format!("! {} {}", column(it.gap.word(), WHAT), whose);
        lines.push(text(look, &head, role));
        lines.extend(
            wrap(&it.detail, columns.saturating_sub(6))
                .iter()
                .map(|part| text(look, &format!("    {part}"), Role::Text)),
        );
    }
    if let Some(moved) = snap.state.moved.as_ref().filter(|moved| moved.to != snap.estate.primary()) {
        lines.push(Line::default());
        lines.push(heading(look, "moving clients back"));
        match home_is_sound(&snap.estate, &snap.state, &snap.live.surveys, &snap.live.probes, &moved.from, look.now) {
            Ok(()) => {
                let back = keymap::key(Action::BringBack);
                let words = format!(
                    "✓ clients can be moved back to {}: {back} starts the failback, every gate asks",
                    moved.from
                );
                lines.extend(wrap(&words, room).iter().map(|part| text(look, part, Role::Good)));
            }
            Err(why) => {
                let words = format!("not yet: {why}");
                lines.extend(wrap(&words, room).iter().map(|part| text(look, part, Role::Warn)));
                let run = keymap::key(Action::RunPlan);
                lines.push(text(look, &format!("{run} runs the plan `reprotect` first"), Role::Text));
            }
        }
    }
    lines
}

/// How long the run can still be taken back, in words.
pub fn window(look: &Look<'_>, moved: &Moved) -> (String, Role) {
    let revert = keymap::key(Action::RevertRun);
    match Window::of(&look.snap.estate, &look.snap.state, moved, &look.snap.live.probes, look.now) {
        Window::Open(left) => (format!("can be reverted for {} more: {revert}", clock(left)), Role::Warn),
        Window::Against(left, why) => (
            format!("should not be reverted ({} left, {revert} overrides): {}", clock(left), why.join("; ")),
            Role::Bad,
        ),
        Window::Nothing => ("nothing of it can be reverted: only a failback moves clients back".into(), Role::Dim),
        Window::Closed => ("the commit window has closed: only a failback moves clients back".into(), Role::Dim),
        Window::Built => ("a later run builds on it: only a failback moves clients back".into(), Role::Dim),
    }
}

fn text(look: &Look<'_>, words: &str, role: Role) -> Line<'static> {
    Line::from(look.span(format!("  {words}"), role))
}
