//! What is told to everyone: the text for each audience side by side, which status it tells, and an editor for whoever wants other
//! words. Nothing is sent from here before it was seen.

use std::collections::BTreeMap;

use ratatui::crossterm::event::KeyEvent;
use ratatui::text::{Line, Span};
use tui_textarea::{CursorMove, TextArea};

use crate::domain::command::Ask;
use crate::domain::comms::{Audience, Message, Text, due};

use super::super::app::Scroll;
use super::super::format::{column, width, wrap};
use super::super::keymap::{self, Action};
use super::super::look::Look;
use super::super::theme::Role;
use super::super::widgets::row::cut_line;
use super::Sheet;

/// From this width on the audiences are side by side.
const BESIDE: usize = 100;

/// The preview.
pub struct Tell {
    /// The updates as they would be sent, in the order of status pages.
    pub drafts: Vec<Message>,
    /// The one that is shown.
    pub at: usize,
    /// Texts that were written by hand, by the place of the draft.
    edits: BTreeMap<(usize, Audience), Text>,
    /// The audience whose text is edited next.
    pub chosen: usize,
    editor: Option<Box<TextArea<'static>>>,
    /// It is about an incident that is closed.
    pub afterwards: bool,
    pub scroll: Scroll,
}

impl Tell {
    pub fn new(drafts: Vec<Message>, at: usize, afterwards: bool) -> Self {
        Self { drafts, at, edits: BTreeMap::new(), chosen: 0, editor: None, afterwards, scroll: Scroll::default() }
    }

    pub fn is_editing(&self) -> bool {
        self.editor.is_some()
    }

    /// Whose texts it has.
    pub fn audiences(&self) -> Vec<Audience> {
        self.drafts.get(self.at).map(|it| it.texts.keys().copied().collect()).unwrap_or_default()
    }

    fn audience(&self) -> Option<Audience> {
        self.audiences().get(self.chosen).copied()
    }

    fn text(&self, audience: Audience) -> Text {
        let written = self.edits.get(&(self.at, audience));
        let draft = self.drafts.get(self.at).and_then(|it| it.texts.get(&audience));
        written.or(draft).cloned().unwrap_or_default()
    }

    /// Chooses another status.
    pub fn choose(&mut self, at: usize) {
        self.at = at.min(self.drafts.len().saturating_sub(1));
        self.chosen = self.chosen.min(self.audiences().len().saturating_sub(1));
        self.scroll.to(0);
    }

    pub fn next_audience(&mut self, by: isize) {
        let len = self.audiences().len().max(1);
        self.chosen = (self.chosen + len).saturating_add_signed(by) % len;
        self.scroll.to(0);
    }

    pub fn edit(&mut self) {
        let Some(audience) = self.audience() else { return };
        let Text { subject, body } = self.text(audience);
        let lines = std::iter::once(subject).chain(body.lines().map(str::to_owned)).collect();
        let mut editor = Box::new(TextArea::new(lines));
        editor.move_cursor(CursorMove::Top);
        self.editor = Some(editor);
    }

    /// Takes over what was written.
    pub fn keep(&mut self) {
        let (Some(editor), Some(audience)) = (self.editor.take(), self.audience()) else { return };
        let mut lines = editor.lines().iter();
        let subject = lines.next().map(|it| it.trim().to_owned()).unwrap_or_default();
        let body = lines.map(|it| it.trim_end()).collect::<Vec<_>>().join("\n");
        self.edits.insert((self.at, audience), Text { subject, body: body.trim().to_owned() });
    }

    pub fn drop_edit(&mut self) {
        self.editor = None;
    }

    pub fn type_key(&mut self, key: KeyEvent) {
        if let Some(editor) = &mut self.editor {
            editor.input(key);
        }
    }

    pub fn type_text(&mut self, text: &str) {
        if let Some(editor) = &mut self.editor {
            editor.insert_str(text);
        }
    }

    /// What is asked for when it is sent: texts that nobody touched are written anew then, so that they are true at that moment.
    pub fn ask(&self) -> Option<Ask> {
        let draft = self.drafts.get(self.at)?;
        let own = self.edits.iter().filter(|((at, _), _)| *at == self.at);
        let texts = own.map(|((_, audience), text)| (*audience, text.clone())).collect();
        let incident = self.afterwards.then(|| draft.incident.clone());
        let (audiences, note, despite) = (Vec::new(), String::new(), String::new());
        Some(Ask::Tell { purpose: draft.purpose, texts, audiences, note, incident, despite })
    }

    pub fn sheet(&self, look: &Look<'_>, most: usize) -> Sheet {
        let columns = most.min(150);
        let (mut lines, mut cursor) = (self.head(look, columns), None);
        if let Some(editor) = &self.editor {
            cursor = Some((lines.len() + editor.cursor().0, editor.cursor().1.min(columns)));
            lines
                .extend(editor.lines().iter().map(|line| Line::from(look.span(column(line, columns), Role::Selected))));
        } else if columns >= BESIDE {
            lines.extend(self.beside(look, columns));
        } else {
            lines.extend(self.stacked(look, columns));
        }
        let title = match (self.is_editing(), self.audience()) {
            (true, Some(audience)) => format!("edit for {audience}: the first line is the subject"),
            _ => match self.drafts.get(self.at).filter(|_| self.afterwards) {
                Some(draft) => format!("tell everyone of {}, which is closed", draft.incident),
                None if self.drafts.get(self.at).is_some_and(|draft| draft.drill) => "tell the team: a DRILL".into(),
                None => "tell everyone".into(),
            },
        };
        let mut sheet = Sheet::new(title, lines, columns);
        sheet.cursor = cursor;
        sheet.reveal = cursor.map(|(line, _)| line);
        sheet.keys = self.keys(look);
        sheet
    }

    fn keys(&self, look: &Look<'_>) -> Vec<(&'static str, String)> {
        if self.is_editing() {
            return vec![(keymap::key(Action::KeepText), "keep it".into()), ("Esc", "drop it".into())];
        }
        let back = look.snap.estate.comms.take_back;
        let mut keys = Vec::new();
        match look.app.armed() {
            None => keys.push((keymap::key(Action::Arm), "arm, to be able to send".into())),
            Some(_) if look.app.typing.is_settled() => keys.push(("Enter", format!("send; {back} to take it back"))),
            // What was typed ahead is not taken for an answer.
            Some(_) => keys.push(("Enter", "…".into())),
        }
        keys.extend([
            ("←/→", "other status".into()),
            ("e", "edit".into()),
            ("Tab", "next audience".into()),
            ("Esc", "back".into()),
        ]);
        keys
    }

    /// Which status, what it goes out by, and when the next one is promised.
    fn head(&self, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
        let proposed = due(&look.snap.estate, &look.snap.state).map(|it| it.purpose);
        let mut line = Vec::new();
        for (at, draft) in self.drafts.iter().enumerate() {
            let role = if at == self.at { Role::Selected } else { Role::Dim };
            let mark = if at == self.at { "▸" } else { " " };
            let star = if proposed == Some(draft.purpose) { "*" } else { "" };
            line.push(look.span(format!("{mark}{} {}{star} ", at + 1, draft.purpose), role));
        }
        line.push(look.span(" * proposed", Role::Faint));
        let Some(draft) = self.drafts.get(self.at) else { return vec![Line::from(line)] };
        let ways: Vec<&str> = draft.deliveries.keys().map(|id| id.as_str()).collect();
        let promise = if draft.next_due.is_some() {
            format!("; next update promised in {}", look.snap.estate.comms.every(draft.severity))
        } else {
            String::new()
        };
        let by =
            if ways.is_empty() { "NO CHANNEL carries it".to_owned() } else { format!("goes to: {}", ways.join(", ")) };
        let role = if ways.is_empty() { Role::Bad } else { Role::Dim };
        let ways = wrap(&format!("{by}{promise}"), columns).into_iter();
        let mut lines = vec![Line::from(line)];
        lines.extend(ways.map(|text| Line::from(look.span(text, role))));
        lines.push(Line::default());
        lines
    }

    fn title(&self, look: &Look<'_>, at: usize, audience: Audience, columns: usize) -> Span<'static> {
        let written = if self.edits.contains_key(&(self.at, audience)) { " (edited)" } else { "" };
        let mark = if at == self.chosen { "▸ " } else { "  " };
        let role = if at == self.chosen { Role::Accent } else { Role::Strong };
        look.span(column(&format!("{mark}{audience}{written}"), columns), role)
    }

    fn stacked(&self, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
        let audiences = self.audiences();
        let mut lines = vec![self.tabs(look, &audiences, columns)];
        // The chosen one first: on a small screen there is room for no other.
        for at in (self.chosen..audiences.len()).chain(0..self.chosen) {
            let audience = audiences[at];
            // Whose text comes first is said above it.
            if at != self.chosen || self.edits.contains_key(&(self.at, audience)) {
                lines.push(Line::from(self.title(look, at, audience, columns)));
            }
            let text = written(&self.text(audience), columns);
            lines.extend(text.into_iter().map(|(line, role)| Line::from(look.span(line, role))));
            lines.push(Line::default());
        }
        lines
    }

    /// Everybody it goes to, whoever's text is shown: `1/3 ▸ internal · public · customers`
    fn tabs(&self, look: &Look<'_>, audiences: &[Audience], columns: usize) -> Line<'static> {
        let mut spans = vec![look.span(format!("{}/{} ", self.chosen + 1, audiences.len()), Role::Strong)];
        for (at, audience) in audiences.iter().enumerate() {
            let chosen = at == self.chosen;
            if at > 0 {
                spans.push(look.span(" · ", Role::Rule));
            }
            let mark = if chosen { "▸ " } else { "" };
            spans.push(look.span(format!("{mark}{audience}"), if chosen { Role::Accent } else { Role::Text }));
        }
        cut_line(Line::from(spans), columns)
    }

    fn beside(&self, look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
        let audiences = self.audiences();
        let each = (columns + 3) / audiences.len().max(1) - 3;
        let texts: Vec<_> = audiences.iter().map(|it| written(&self.text(*it), each)).collect();
        let rows = texts.iter().map(Vec::len).max().unwrap_or(0);
        let rule = || look.span(" │ ", Role::Rule);
        let mut lines = Vec::new();
        let mut head = Vec::new();
        for (at, audience) in audiences.iter().enumerate() {
            if at > 0 {
                head.push(rule());
            }
            head.push(self.title(look, at, *audience, each));
        }
        lines.push(Line::from(head));
        for row in 0..rows {
            let mut line = Vec::new();
            for (at, text) in texts.iter().enumerate() {
                if at > 0 {
                    line.push(rule());
                }
                let (words, role) = text.get(row).cloned().unwrap_or((String::new(), Role::Text));
                line.push(look.span(column(&words, each), role));
            }
            lines.push(Line::from(line));
        }
        lines
    }
}

/// Subject and body, wrapped.
fn written(text: &Text, columns: usize) -> Vec<(String, Role)> {
    let subject = wrap(&text.subject, columns).into_iter().map(|line| (line, Role::Strong));
    let body = text.body.lines().flat_map(|line| {
        let lines = if width(line) <= columns { vec![line.to_owned()] } else { wrap(line, columns) };
        lines.into_iter().map(|line| (line, Role::Text))
    });
    subject.chain([(String::new(), Role::Text)]).chain(body).collect()
}
