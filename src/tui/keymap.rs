//! The table of everything a key can do. Dispatch, help, footer, palette, the operator's own keys and the tests read it; nothing else
//! knows a key.

use std::sync::OnceLock;

use super::panes;
use crate::domain::estate::words;

pub use super::keys::{is_key, name};

words! {
    /// What can be done.
    Action {
        Open = "open",
        NextWaiting = "next-waiting",
        Confirm = "confirm",
        Override = "override",
        Declare = "declare",
        Arm = "arm",
        Hold = "hold",
        RunPlan = "run-plan",
        Retry = "retry",
        Skip = "skip",
        MarkDone = "mark-done",
        Revert = "revert",
        LookAgain = "look-again",
        ByHand = "by-hand",
        Contacts = "contacts",
        Report = "report",
        Note = "note",
        CloseIncident = "close-incident",
        Abandon = "abandon",
        TakeCommand = "take-command",
        SetSeverity = "set-severity",
        SetTitle = "set-title",
        StartLive = "start-live",
        Rehearse = "rehearse",
        Up = "up",
        Down = "down",
        PageUp = "page-up",
        PageDown = "page-down",
        Top = "top",
        Bottom = "bottom",
        FocusPane = "focus-pane",
        NextPane = "next-pane",
        PreviousPane = "previous-pane",
        Zoom = "zoom",
        Filter = "filter",
        Palette = "palette",
        Help = "help",
        Theme = "theme",
        Copy = "copy",
        Yes = "yes",
        Submit = "submit",
        NextField = "next-field",
        PreviousField = "previous-field",
        Less = "less",
        More = "more",
        Back = "back",
        Redraw = "redraw",
        Suspend = "suspend",
        Detach = "detach",
        Walk = "walk",
        GoOn = "go-on",
        SkipItem = "skip-item",
        ReopenItem = "reopen-item",
        LookAtItem = "look-at-item",
        NextPage = "next-page",
        PreviousPage = "previous-page",
        Tell = "tell",
        TellNow = "tell-now",
        SendUpdate = "send-update",
        ChooseStatus = "choose-status",
        EditText = "edit-text",
        KeepText = "keep-text",
        Acknowledge = "acknowledge",
        TakeCommunications = "take-communications",
        HandOver = "hand-over",
        WayBack = "way-back",
        RevertRun = "revert-run",
        BringBack = "bring-back",
    }
}

words! {
    /// Where the operator is: what is on top handles the key.
    Context {
        Main = "the cockpit",
        Card = "a step's card",
        Plans = "the list of plans",
        Reader = "a text",
        Question = "a question",
        Form = "a form",
        Palette = "the palette",
        Walk = "the walkthrough",
        Tell = "a message",
        Editor = "the editor",
    }
}

impl Context {
    /// Whether letters are typed there.
    pub fn takes_text(self) -> bool {
        matches!(self, Self::Form | Self::Palette | Self::Editor)
    }
}

/// Where a row counts, in a few words: most places are told by those that are left out.
pub fn places(contexts: &[Context]) -> String {
    let words = |all: Vec<&Context>| all.into_iter().map(|it| it.word()).collect::<Vec<_>>().join(", ");
    let others: Vec<&Context> = Context::ALL.iter().filter(|it| !contexts.contains(it)).collect();
    match others.len() {
        0 => "everywhere".into(),
        left if left < contexts.len() => format!("everywhere but in {}", words(others)),
        _ => words(contexts.iter().collect()),
    }
}

/// What an action can do to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    /// Only looks.
    Looks,
    /// Speaks to the engine, but changes nothing outside: not bound in a read-only cockpit.
    Speaks,
    /// Can change the world: bound only while this cockpit is armed.
    Changes,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Binding {
    pub action: Action,
    /// As [`name`] writes them; the first is the one that is shown.
    pub keys: &'static [&'static str],
    /// Two or three words, for the footer and the palette.
    pub title: &'static str,
    /// What it is for, for the help.
    pub help: &'static str,
    pub contexts: &'static [Context],
    pub danger: Danger,
}

impl Binding {
    /// Whether it gives the terminal back: what was typed on would go to a shell.
    pub fn leaves(&self) -> bool {
        self.action == Action::Detach
    }
}

impl Action {
    /// Whether people hear of it at once: nobody is paged or told by a key that was meant for something else.
    pub fn reaches_people(self) -> bool {
        matches!(
            self,
            Self::SendUpdate | Self::TellNow | Self::Acknowledge | Self::TakeCommand | Self::TakeCommunications
        )
    }
}

use Action as A;
use Context::{Card, Editor, Form, Main, Palette, Plans, Question, Reader, Tell as Telling, Walk};
use Danger::{Changes, Looks, Speaks};

const fn row(
    action: Action,
    keys: &'static [&'static str],
    title: &'static str,
    help: &'static str,
    contexts: &'static [Context],
    danger: Danger,
) -> Binding {
    Binding { action, keys, title, help, contexts, danger }
}

const SCROLLS: &[Context] = &[Main, Card, Plans, Reader, Telling];
const ANYWHERE: &[Context] = &[Main, Card, Plans, Reader, Question, Walk];
/// What is about the incident as a whole is done from the walkthrough too.
const INCIDENT: &[Context] = &[Main, Walk];
const ANYWHERE_BUT_TEXT: &[Context] = &[Main, Card, Plans, Question, Walk, Telling];
const STEP: &[Context] = &[Main, Card];

/// The table, in the order in which help and palette show it.
pub const TABLE: &[Binding] = &[
    row(
        A::Open,
        &["Enter"],
        "open",
        "Open the card of the selected step, or of the next one that waits.",
        &[Main],
        Looks,
    ),
    row(A::NextWaiting, &["n"], "next", "Go to the next thing that waits for you.", STEP, Looks),
    row(A::Confirm, &["c"], "confirm", "Answer the gate: the step starts.", &[Card], Changes),
    row(
        A::Override,
        &["o"],
        "override",
        "Go on although a guard stands against it: a typed phrase and a reason.",
        &[Card],
        Changes,
    ),
    row(A::Declare, &["D"], "declare incident", "Declare an incident: the clocks start counting.", INCIDENT, Speaks),
    row(
        A::Arm,
        &["A"],
        "arm / disarm",
        "Arm this cockpit so that it can change systems, or make it view-only again.",
        &[Main, Card, Plans, Walk, Telling],
        Speaks,
    ),
    row(
        A::Hold,
        &["H"],
        "hold / release",
        "Stop at once that anything new starts; what is under way finishes. Again: release.",
        ANYWHERE,
        Speaks,
    ),
    row(
        A::RunPlan,
        &["r"],
        "run a plan",
        "Choose a plan and run it, live or as a rehearsal that changes nothing.",
        INCIDENT,
        Speaks,
    ),
    row(
        A::StartLive,
        &["Enter"],
        "run live",
        "Start the selected plan for real; every gate still asks.",
        &[Plans],
        Changes,
    ),
    row(
        A::Rehearse,
        &["p"],
        "rehearse",
        "Observe, check and preview every step of the plan; nothing is changed.",
        &[Plans],
        Speaks,
    ),
    row(A::Retry, &["t"], "retry", "Try a step again that failed, is blocked or was reverted.", STEP, Changes),
    row(A::Skip, &["s"], "skip", "Leave a step out, with a reason.", STEP, Changes),
    row(A::MarkDone, &["m"], "mark done", "Say that a step was done by hand, with a reason.", STEP, Changes),
    row(A::Revert, &["v"], "revert", "Take a step back to what was there before, with a reason.", STEP, Changes),
    row(
        A::LookAgain,
        &["f"],
        "look again",
        "Look again at what a gate rests on: observation, guards and preview.",
        STEP,
        Speaks,
    ),
    row(A::ByHand, &["b"], "by hand", "Show the step as commands for a shell.", STEP, Looks),
    row(
        A::Contacts,
        &["o"],
        "whom to call",
        "Show who is on call, the escalation path and the cloud's support.",
        INCIDENT,
        Looks,
    ),
    row(
        A::Report,
        &["R"],
        "report",
        "Read the review of the open incident, or of the latest one; it says where its files are.",
        INCIDENT,
        Looks,
    ),
    row(A::Note, &["i"], "note", "Write a note into the journal.", INCIDENT, Speaks),
    row(A::CloseIncident, &["C"], "close incident", "Close the incident, with a note.", INCIDENT, Changes),
    row(A::Abandon, &["X"], "abandon run", "End the run before it is complete, with a reason.", &[Main], Changes),
    row(A::TakeCommand, &["K"], "take command", "Become the commander of the incident.", INCIDENT, Speaks),
    row(A::SetSeverity, &["S"], "severity", "Change the severity of the incident, with a reason.", INCIDENT, Speaks),
    row(A::SetTitle, &["E"], "title", "Correct the title of the incident.", INCIDENT, Speaks),
    row(
        A::Tell,
        &["u"],
        "tell everyone",
        "Show what would be told to everyone now; while a message can be taken back, take it back.",
        ANYWHERE,
        Speaks,
    ),
    row(
        A::TellNow,
        &["U"],
        "send update now",
        "Send the proposed update to everyone at once; for a few seconds `u` takes it back.",
        ANYWHERE,
        Changes,
    ),
    row(
        A::SendUpdate,
        &["Enter"],
        "send",
        "Send it to everyone; it can be taken back for a few seconds.",
        &[Telling],
        Changes,
    ),
    row(A::ChooseStatus, &["1", "2", "3", "4"], "status", "Choose what is said by its number.", &[Telling], Looks),
    row(A::EditText, &["e"], "edit", "Write the text of the chosen audience by hand.", &[Telling], Looks),
    row(A::KeepText, &["Ctrl-s"], "keep", "Keep what was written.", &[Editor], Looks),
    row(A::Acknowledge, &["a"], "acknowledge", "Say that you work on it: the page needs nobody else.", &[Main], Speaks),
    row(
        A::TakeCommunications,
        &["M"],
        "take communications",
        "Become the one who speaks for the incident.",
        &[Main],
        Speaks,
    ),
    row(
        A::HandOver,
        &["O"],
        "hand over",
        "Tell the team who is to take command or communications, with a brief of how things stand.",
        &[Main],
        Speaks,
    ),
    row(A::WayBack, &["W"], "way back", "Show what is unprotected, and how to move clients back.", &[Main], Looks),
    row(
        A::BringBack,
        &["B"],
        "fail back",
        "Move clients back to the primary region by a plan that is made for it; every gate asks.",
        &[Main],
        Changes,
    ),
    row(
        A::RevertRun,
        &["V"],
        "revert run",
        "Take back what the run did, from its end to the point of no return: a typed phrase and a reason.",
        &[Main],
        Changes,
    ),
    row(A::Down, &["j", "Down"], "down", "Move down.", SCROLLS, Looks),
    row(A::Up, &["k", "Up"], "up", "Move up.", SCROLLS, Looks),
    row(A::PageDown, &["PageDown", "Ctrl-d"], "page down", "Move down by a page.", SCROLLS, Looks),
    row(A::PageUp, &["PageUp", "Ctrl-u"], "page up", "Move up by a page.", SCROLLS, Looks),
    row(A::Top, &["g", "Home"], "top", "Go to the first line.", SCROLLS, Looks),
    row(A::Bottom, &["G", "End"], "bottom", "Go to the last line.", SCROLLS, Looks),
    row(A::Down, &["Down", "Ctrl-n"], "down", "Choose the next one.", &[Palette], Looks),
    row(A::Up, &["Up", "Ctrl-p"], "up", "Choose the one before.", &[Palette], Looks),
    row(A::FocusPane, panes::KEYS, "pane", "Go to the pane of this key.", &[Main], Looks),
    row(A::NextPane, &["Tab", "l", "Right"], "next pane", "Go to the next pane.", &[Main], Looks),
    row(A::PreviousPane, &["Shift-Tab", "h", "Left"], "previous pane", "Go to the pane before.", &[Main], Looks),
    row(A::Zoom, &["z"], "zoom", "Give the pane all the room, or give it back.", &[Main], Looks),
    row(A::Filter, &["/"], "filter", "Show only the lines of this pane that hold a text.", &[Main], Looks),
    row(A::Palette, &[":"], "palette", "Find anything that can be done by its name.", &[Main, Card], Looks),
    row(A::Help, &["?", "F1"], "help", "Show what the keys do where you are.", ANYWHERE_BUT_TEXT, Looks),
    row(A::Theme, &["T"], "theme", "Switch to the next theme.", &[Main], Looks),
    row(
        A::Copy,
        &["y"],
        "copy",
        "Copy the text of this pane to the clipboard of your terminal (OSC 52).",
        &[Main, Card, Reader],
        Looks,
    ),
    row(A::Yes, &["y"], "yes", "Do it.", &[Question], Looks),
    row(A::Submit, &["Enter"], "submit", "Send it, or go to the next field.", &[Form, Palette], Looks),
    row(A::NextField, &["Tab", "Down"], "next field", "Go to the next field.", &[Form], Looks),
    row(A::NextField, &["Tab"], "next audience", "Choose the next audience.", &[Telling], Looks),
    row(A::PreviousField, &["Shift-Tab"], "audience before", "Choose the audience before.", &[Telling], Looks),
    row(A::Less, &["Left", "h"], "status before", "Choose the status before.", &[Telling], Looks),
    row(A::More, &["Right", "l"], "next status", "Choose the next status.", &[Telling], Looks),
    row(A::PageDown, &["PageDown"], "read on", "Read on in a form that is longer than the screen.", &[Form], Looks),
    row(A::PageUp, &["PageUp"], "read back", "Go back in a form that is longer than the screen.", &[Form], Looks),
    row(A::PreviousField, &["Shift-Tab", "Up"], "field before", "Go to the field before.", &[Form], Looks),
    row(A::Less, &["Left"], "previous choice", "Choose the one before, or move in the text.", &[Form], Looks),
    row(A::More, &["Right"], "next choice", "Choose the next one, or move in the text.", &[Form], Looks),
    row(
        A::Back,
        &["Esc"],
        "back",
        "Step back.",
        &[Main, Card, Plans, Reader, Question, Form, Palette, Walk, Telling, Editor],
        Looks,
    ),
    row(A::Back, &["q", "n"], "no", "Step back; nothing is done.", &[Question], Looks),
    row(A::Back, &["q"], "back", "Step back.", &[Card, Plans, Reader, Walk, Telling], Looks),
    row(A::Redraw, &["Ctrl-l"], "redraw", "Draw the whole screen again.", &[Main], Looks),
    row(
        A::Suspend,
        &["Ctrl-z"],
        "suspend",
        "Go back to the shell; `fg` comes back. The engine goes on.",
        ANYWHERE,
        Looks,
    ),
    row(A::Detach, &["q"], "detach", "Leave the cockpit; the engine and a run under way go on.", &[Main], Looks),
    row(
        A::Detach,
        &["Ctrl-c"],
        "detach",
        "Leave the cockpit from anywhere.",
        &[Main, Card, Plans, Reader, Question, Form, Palette, Walk, Telling, Editor],
        Looks,
    ),
    row(
        A::Walk,
        &["w"],
        "walk through",
        "Walk through the incident: what to do, why, and what Mayday sees, one page at a time.",
        &[Main],
        Looks,
    ),
    row(
        A::GoOn,
        &["Enter", "Space"],
        "do it",
        "Do what this page is about: tick the item, or take the next step.",
        &[Walk],
        Looks,
    ),
    row(A::SkipItem, &["s"], "skip", "Leave the item out, with a reason.", &[Walk], Speaks),
    row(A::ReopenItem, &["x"], "reopen", "Open the item again, with a reason.", &[Walk], Speaks),
    row(A::LookAtItem, &["f"], "look again", "Let Mayday look at the item again.", &[Walk], Speaks),
    row(A::NextPage, &["n", "Right", "l", "Tab"], "next page", "Go to the next page.", &[Walk], Looks),
    row(A::PreviousPage, &["p", "Left", "h", "Shift-Tab"], "page before", "Go to the page before.", &[Walk], Looks),
    row(A::Down, &["j", "Down"], "down", "Move down.", &[Walk], Looks),
    row(A::Up, &["k", "Up"], "up", "Move up.", &[Walk], Looks),
];

/// The table with the operator's own keys in it.
static BOUND: OnceLock<Vec<Binding>> = OnceLock::new();

/// Puts the operator's own keys in place of [`TABLE`]'s: once, before the cockpit starts. Says whether that came in time.
pub fn bind(rows: Vec<Binding>) -> bool {
    BOUND.set(rows).is_ok()
}

/// The rows that count.
pub fn table() -> &'static [Binding] {
    BOUND.get().map_or(TABLE, Vec::as_slice)
}

/// The row that a key has where the operator is.
pub fn find(context: Context, key: &str) -> Option<&'static Binding> {
    rows(context).find(|row| row.keys.contains(&key))
}

/// The rows that count somewhere, in the order of the table.
pub fn rows(context: Context) -> impl Iterator<Item = &'static Binding> {
    table().iter().filter(move |row| row.contexts.contains(&context))
}

/// The row of an action, wherever it is bound first.
pub fn of(action: Action) -> &'static Binding {
    table().iter().find(|row| row.action == action).unwrap_or(&TABLE[0])
}

/// The key that is shown for an action.
pub fn key(action: Action) -> &'static str {
    of(action).keys[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for context in Context::ALL {
            let mut seen = std::collections::BTreeMap::new();
            for row in rows(*context) {
                for key in row.keys {
                    let other = seen.insert(*key, row.action);
                    assert!(other.is_none(), "{key} is {} and {:?} in {context}", row.action, other);
                }
            }
        }
    }

    #[test]
    fn every_action_has_a_row_and_every_row_a_key_and_a_word() {
        for action in Action::ALL {
            assert!(TABLE.iter().any(|row| row.action == *action), "{action} has no row");
        }
        for row in TABLE {
            assert!(!row.keys.is_empty() && !row.title.is_empty() && row.help.ends_with('.'), "{}", row.action);
        }
    }

    #[test]
    fn whatever_changes_the_world_needs_an_armed_cockpit() {
        let harmless = [A::Confirm, A::Override, A::StartLive, A::Retry, A::Skip, A::MarkDone, A::Revert];
        assert!(harmless.iter().all(|action| of(*action).danger == Changes));
    }
}
