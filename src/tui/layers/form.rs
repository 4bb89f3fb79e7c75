//! A form: texts and choices, checked here as far as that is possible, and what is asked of the engine once it is filled in.

use std::cell::Cell;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::text::{Line, Span};
use tui_textarea::TextArea;

use crate::domain::command::Ask;
use crate::domain::comms::{Answers, HandOver};
use crate::domain::ids::{ChannelId, ItemId, MessageId, PlanId, RunId, StepId};
use crate::domain::incident::Severity;
use crate::domain::run::Mode;
use crate::domain::time::At;

use super::super::app::Scroll;
use super::super::format::{column, width, wrap};
use super::super::keymap::Action;
use super::super::look::Look;
use super::super::theme::Role;
use super::Sheet;

/// A form.
pub struct Form {
    pub title: String,
    /// What it is about, in a few lines.
    pub about: Vec<String>,
    pub danger: bool,
    pub fields: Vec<Field>,
    pub at: usize,
    pub purpose: Purpose,
    /// What is said once the engine has done it.
    pub said: String,
    /// It was sent once already, and something was wrong: nobody is told of a mistake that he had no time to make.
    tried: bool,
    /// A text of several lines was once asked about: whoever pasted it may not be at its end.
    sure: bool,
    pub scroll: Scroll,
    /// The field that is filled in is kept in view, until the operator reads on elsewhere.
    pub follows: Cell<bool>,
}

/// One field.
pub struct Field {
    pub label: &'static str,
    value: Value,
}

enum Value {
    Text {
        area: Box<TextArea<'static>>,
        /// What has to be typed, to the letter.
        phrase: Option<String>,
        required: bool,
    },
    Choice {
        options: &'static [&'static str],
        at: usize,
    },
}

/// What a filled-in form asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    Declare,
    Severity,
    Title,
    Note,
    /// Whether it asks what is told with it.
    Close {
        tells: bool,
    },
    Abandon(RunId),
    /// With when the evidence was taken that was looked at.
    Confirm(RunId, StepId, Option<At>),
    Override(RunId, StepId),
    /// Retry, skip, mark done or revert.
    Verb(Action, RunId, StepId),
    Tick(ItemId),
    SkipItem(ItemId),
    ReopenItem(ItemId),
    HandOver,
    RetryDelivery(MessageId, ChannelId),
    /// What nobody but a person can look for.
    SettleDelivery(MessageId, ChannelId),
    RevertRun(RunId),
    /// A plan to one of several regions, which is typed.
    Start(PlanId, Mode),
    /// Only what is shown changes.
    Filter,
}

impl Purpose {
    /// What Enter does in its last field, in one word: only what goes out to people is sent.
    fn does(&self) -> &'static str {
        match self {
            Self::Declare => "declare",
            Self::Severity | Self::Title => "set it",
            Self::Note => "note it",
            Self::Close { .. } => "close",
            Self::Abandon(_) => "abandon",
            Self::Confirm(..) => "confirm",
            Self::Override(..) => "override",
            Self::Verb(Action::Retry, ..) | Self::RetryDelivery(..) => "retry",
            Self::Verb(Action::Skip, ..) | Self::SkipItem(_) => "skip",
            Self::Verb(Action::Revert, ..) | Self::RevertRun(_) => "revert",
            Self::Verb(..) => "mark done",
            Self::Tick(_) => "tick",
            Self::ReopenItem(_) => "open again",
            Self::HandOver => "hand over",
            Self::SettleDelivery(..) => "settle it",
            Self::Start(..) => "run it",
            Self::Filter => "filter",
        }
    }
}

impl Field {
    pub fn text(label: &'static str, initial: &str) -> Self {
        Self::written(label, initial, None, true)
    }
    pub fn optional(label: &'static str, initial: &str) -> Self {
        Self::written(label, initial, None, false)
    }
    pub fn phrase(label: &'static str, phrase: &str) -> Self {
        Self::written(label, "", Some(phrase.to_owned()), true)
    }
    pub fn choice(label: &'static str, options: &'static [&'static str], at: usize) -> Self {
        Self { label, value: Value::Choice { options, at } }
    }

    fn written(label: &'static str, initial: &str, phrase: Option<String>, required: bool) -> Self {
        let mut area = Box::new(TextArea::new(vec![initial.to_owned()]));
        area.move_cursor(tui_textarea::CursorMove::End);
        Self { label, value: Value::Text { area, phrase, required } }
    }

    pub fn value(&self) -> String {
        match &self.value {
            Value::Text { area, .. } => area.lines().join(" ").trim().to_owned(),
            Value::Choice { options, at } => options[*at].to_owned(),
        }
    }

    /// What has to be typed is told before it is.
    fn wants_phrase(&self) -> bool {
        matches!(&self.value, Value::Text { phrase: Some(_), .. })
    }

    /// How many lines were put into it: no key of a form makes a second one, a paste does.
    fn lines(&self) -> usize {
        match &self.value {
            // The end of its only line is no second one.
            Value::Text { area, .. } => {
                area.lines().iter().rposition(|line| !line.trim().is_empty()).map_or(1, |last| last + 1)
            }
            Value::Choice { .. } => 1,
        }
    }

    /// What is wrong with it, if anything.
    fn mistake(&self) -> Option<String> {
        let Value::Text { phrase, required, .. } = &self.value else { return None };
        match phrase {
            Some(phrase) if *phrase != self.value() => Some(format!("type exactly: {phrase}")),
            None if *required && self.value().is_empty() => Some(format!("{} must not be empty", self.label)),
            _ => None,
        }
    }
}

/// Hands a key to a field of one line. Ctrl-U clears it up to the cursor, as a shell does: the widget alone would take back one change.
pub fn edit_line(area: &mut TextArea<'_>, key: KeyEvent) {
    if key.code == KeyCode::Char('u') && key.modifiers == KeyModifiers::CONTROL {
        area.delete_line_by_head();
    } else {
        area.input(key);
    }
}

impl Form {
    pub fn new(title: impl Into<String>, purpose: Purpose, fields: Vec<Field>) -> Self {
        Self {
            title: title.into(),
            about: Vec::new(),
            danger: false,
            fields,
            at: 0,
            purpose,
            said: String::new(),
            tried: false,
            sure: false,
            scroll: Scroll::default(),
            follows: Cell::new(true),
        }
    }
    pub fn about(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.about.extend(lines);
        self
    }
    pub fn dangerous(mut self) -> Self {
        self.danger = true;
        self
    }
    pub fn said(mut self, said: impl Into<String>) -> Self {
        self.said = said.into();
        self
    }

    pub fn is_choosing(&self) -> bool {
        matches!(self.fields[self.at].value, Value::Choice { .. })
    }

    /// Whether the next Enter sends it.
    pub fn is_at_end(&self) -> bool {
        self.at + 1 == self.fields.len()
    }

    pub fn type_key(&mut self, key: KeyEvent) {
        self.sure = false;
        self.follows.set(true);
        match &mut self.fields[self.at].value {
            Value::Text { area, .. } => edit_line(area, key),
            Value::Choice { options, at } => {
                if let KeyCode::Char(c) = key.code
                    && let Some(found) = options.iter().position(|option| option.ends_with(c))
                {
                    *at = found;
                }
            }
        }
    }

    pub fn type_text(&mut self, text: &str) {
        self.sure = false;
        self.follows.set(true);
        if let Value::Text { area, .. } = &mut self.fields[self.at].value {
            area.insert_str(text);
        }
    }

    /// Goes to another field.
    pub fn step(&mut self, by: isize) {
        let len = self.fields.len();
        self.follows.set(true);
        self.at = (self.at + len).saturating_add_signed(by) % len;
    }

    /// Chooses another option.
    pub fn choose(&mut self, by: isize) {
        self.follows.set(true);
        if let Value::Choice { options, at } = &mut self.fields[self.at].value {
            *at = (*at + options.len()).saturating_add_signed(by) % options.len();
        }
    }

    /// What it asks for; `None` when the operator was only led to the next field.
    ///
    /// # Errors
    /// What is wrong with a field, which is then the one being filled in.
    pub fn submit(&mut self) -> Result<Option<Vec<String>>, String> {
        self.follows.set(true);
        if let Some(wrong) = self.fields[self.at].mistake() {
            self.tried = true;
            return Err(wrong);
        }
        let lines = self.fields[self.at].lines();
        if lines > 1 && !std::mem::replace(&mut self.sure, true) {
            return Err(format!("this text has {lines} lines → Enter once more takes it as it is"));
        }
        if self.at + 1 < self.fields.len() {
            self.at += 1;
            self.tried = false;
            return Ok(None);
        }
        let mistake = |(at, field): (usize, &Field)| field.mistake().map(|wrong| (at, wrong));
        if let Some((at, wrong)) = self.fields.iter().enumerate().find_map(mistake) {
            (self.at, self.tried) = (at, true);
            return Err(wrong);
        }
        Ok(Some(self.values()))
    }

    fn values(&self) -> Vec<String> {
        self.fields.iter().map(Field::value).collect()
    }

    pub fn sheet(&self, look: &Look<'_>, most: usize) -> Sheet {
        let columns = most.min(66);
        let mut lines: Vec<Line<'static>> = Vec::new();
        for line in self.about.iter().flat_map(|line| wrap(line, columns)) {
            lines.push(Line::from(look.span(line, Role::Text)));
        }
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        let label = self.fields.iter().map(|field| width(field.label)).max().unwrap_or(0) + 2;
        let (mut cursor, mut reveal) = (None, None);
        for (at, field) in self.fields.iter().enumerate() {
            let active = at == self.at;
            if active && self.follows.get() {
                // With what is said below it.
                reveal = Some(lines.len() + 1);
            }
            let role = if active { Role::Accent } else { Role::Dim };
            let mut line = vec![look.span(column(field.label, label), role)];
            let room = columns.saturating_sub(label).max(1);
            match &field.value {
                Value::Choice { options, at } => line.extend(choices(look, options, *at, room)),
                Value::Text { area, .. } => {
                    let (row, column_of) = (area.cursor().0, area.cursor().1);
                    let before: usize = area.lines().iter().take(row).map(|line| line.chars().count() + 1).sum();
                    let (shown, column_at) = window(&area.lines().join(" "), before + column_of, room);
                    if active {
                        cursor = Some((lines.len(), label + column_at));
                    }
                    line.push(look.span(column(&shown, room), Role::Selected));
                }
            }
            lines.push(Line::from(line));
            let shown = active && (self.tried || field.wants_phrase());
            if let Some(wrong) = field.mistake().filter(|_| shown) {
                lines.push(Line::from(look.span(format!("{:label$}{wrong}", ""), Role::Dim)));
            } else {
                lines.push(Line::default());
            }
        }
        if let Some(answers) = (self.purpose == Purpose::Severity).then(|| answers(&self.values())).flatten() {
            let words = format!("By the answers it is {}.", answers.severity());
            lines.push(Line::from(look.span(words, Role::Accent)));
        }
        let mut sheet = Sheet::new(self.title.clone(), lines, columns);
        let last = self.at + 1 == self.fields.len();
        sheet.keys = vec![("Enter", if last { self.purpose.does() } else { "next field" }.to_owned())];
        if self.fields.len() > 1 {
            sheet.keys.push(("Tab", "other field".into()));
        }
        if self.is_choosing() {
            sheet.keys.push(("←/→", "choose".into()));
        }
        sheet.keys.push(("Esc", "back".into()));
        (sheet.cursor, sheet.danger, sheet.reveal) = (cursor, self.danger, reveal);
        sheet
    }
}

/// Everything there is to choose; where there is no room for all, what is chosen, whole.
fn choices(look: &Look<'_>, options: &[&str], at: usize, room: usize) -> Vec<Span<'static>> {
    let all: usize = options.iter().map(|option| width(option) + 2).sum();
    if all > room + 1 {
        let place = format!("  {} of {}", at + 1, options.len());
        return vec![look.span(format!("‹ {} ›", options[at]), Role::Selected), look.span(place, Role::Dim)];
    }
    let shown = |(index, option): (usize, &&str)| {
        let (mark, role) = if index == at { ("▸", Role::Selected) } else { (" ", Role::Dim) };
        look.span(format!("{mark}{option} "), role)
    };
    options.iter().enumerate().map(shown).collect()
}

/// The part of a text around the cursor (counted in characters) that fits, with `…` where something is before it, and the column of the
/// cursor in it.
pub fn window(text: &str, cursor: usize, columns: usize) -> (String, usize) {
    let before: String = text.chars().take(cursor).collect();
    let mut start = 0;
    // The mark takes the place of what it stands for.
    let taken = |start: usize| usize::from(start > 0) + width(&before[start..]);
    while start < before.len() && taken(start) >= columns.max(1) {
        start += before[start..].chars().next().map_or(1, char::len_utf8);
    }
    let mut shown = String::from(if start > 0 && columns > 1 { "…" } else { "" });
    let at = width(&shown) + width(&before[start..]);
    for c in text[start..].chars() {
        if width(&shown) + width(c.encode_utf8(&mut [0; 4])) > columns {
            break;
        }
        shown.push(c);
    }
    (shown, at)
}

/// What a person can say of a message that may have been sent.
pub const FATES: &[&str] = &["arrived", "not arrived", "not arrived: send it again"];

impl Purpose {
    /// Whether people are told or paged by it.
    pub fn reaches_people(&self) -> bool {
        matches!(self, Self::Declare | Self::HandOver | Self::RetryDelivery(..) | Self::SettleDelivery(..))
    }

    /// The command, of what was filled in; `None` for what only changes the view.
    pub fn ask(&self, values: &[String]) -> Option<Ask> {
        let value = |at: usize| values.get(at).cloned().unwrap_or_default();
        let severity = |at: usize| value(at).parse().unwrap_or(Severity::Sev1);
        Some(match self.clone() {
            Self::Declare => Ask::Declare { severity: severity(0), title: value(1), drill: false },
            Self::Severity => match value(3).parse() {
                Ok(severity) => Ask::SetSeverity { severity, reason: value(4) },
                Err(_) => Ask::AssessSeverity { answers: answers(values)? },
            },
            Self::HandOver => {
                let hand_over = HandOver { duty: value(0).parse().ok()?, to: value(1) };
                Ask::HandOver { hand_over, note: value(2) }
            }
            Self::RetryDelivery(message, channel) => Ask::RetryDelivery { message, channel, reason: value(0) },
            Self::SettleDelivery(message, channel) => match FATES.iter().position(|fate| *fate == value(0))? {
                2 => Ask::RetryDelivery { message, channel, reason: value(1) },
                fate => Ask::SettleDelivery { message, channel, arrived: fate == 0, reason: value(1) },
            },
            Self::Title => Ask::SetTitle { title: value(0) },
            Self::Note => Ask::Note { text: value(0) },
            Self::Close { tells: true } => {
                Ask::CloseIncident { note: value(0), despite: value(2), tell: value(1) == CLOSINGS[0] }
            }
            Self::Close { tells: false } => Ask::CloseIncident { note: value(0), despite: value(1), tell: false },
            Self::Abandon(run) => Ask::Abandon { run, reason: value(0) },
            Self::Confirm(run, step, seen) => Ask::Confirm { run, step, phrase: value(0), seen },
            Self::Override(run, step) => Ask::Override { run, step, phrase: value(0), reason: value(1) },
            Self::Verb(action, run, step) => verb(action, run, step, value(0))?,
            Self::Tick(item) => Ask::TickItem { item, note: value(0) },
            Self::SkipItem(item) => Ask::SkipItem { item, reason: value(0) },
            Self::ReopenItem(item) => Ask::ReopenItem { item, reason: value(0) },
            Self::RevertRun(run) => Ask::RevertRun { run, phrase: value(0), reason: value(1) },
            Self::Start(plan, mode) => Ask::StartRun { plan, mode, reason: String::new(), unattended: false },
            Self::Filter => return None,
        })
    }
}

/// What can be told with the end of an incident.
pub const CLOSINGS: &[&str] = &["tell everyone `resolved`", "tell nothing"];

/// What there is to choose instead of the answers.
pub const SEVERITIES: &[&str] = &["by the answers", "sev1", "sev2", "sev3", "sev4"];

/// The answers to the three questions.
fn answers(values: &[String]) -> Option<Answers> {
    let [affected, broken, data, ..] = values else { return None };
    Some(Answers { affected: affected.parse().ok()?, broken: broken.parse().ok()?, data: data.parse().ok()? })
}

/// The command of an action on a step that takes a reason.
pub fn verb(action: Action, run: RunId, step: StepId, reason: String) -> Option<Ask> {
    Some(match action {
        Action::Retry => Ask::Retry { run, step, reason },
        Action::Skip => Ask::Skip { run, step, reason },
        Action::MarkDone => Ask::MarkDone { run, step, reason },
        Action::Revert => Ask::Revert { run, step, reason },
        Action::LookAgain => Ask::Refresh { run, step },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_the_cursor() {
        assert_eq!(window("hello", 5, 10), ("hello".into(), 5));
        assert_eq!(window("hello world", 11, 6), ("…orld".into(), 5));
        assert_eq!(window("日本語", 3, 4), ("…語".into(), 3));
        assert_eq!(window("", 0, 1), (String::new(), 0));
    }

    #[test]
    fn a_text_of_several_lines_is_not_sent_by_the_first_enter() {
        let mut form = Form::new("t", Purpose::Note, vec![Field::text("note", "")]);
        form.type_text("it failed\nat noon");
        assert!(form.submit().unwrap_err().contains("2 lines"));
        form.type_text(" sharp");
        assert!(form.submit().is_err(), "what was typed since is asked about again");
        assert_eq!(form.submit().unwrap(), Some(vec!["it failed at noon sharp".into()]));
    }

    #[test]
    fn a_phrase_has_to_be_exact() {
        let mut form = Form::new("t", Purpose::Note, vec![Field::phrase("phrase", "gennet-db")]);
        form.type_text("gennet");
        assert!(form.submit().unwrap_err().contains("gennet-db"));
        form.type_text("-db ");
        assert_eq!(form.submit().unwrap(), Some(vec!["gennet-db".into()]));
    }
}
