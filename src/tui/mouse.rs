//! The mouse, for those who asked for it: a click goes to a pane or chooses a step, the wheel scrolls. It never answers anything.

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::app::{App, Dirty};
use super::panes::{Pane, Room, plan};

/// So many lines a notch of the wheel.
const NOTCH: isize = 3;

impl App {
    pub(super) fn mouse(&mut self, event: MouseEvent) {
        let at = Position { x: event.column, y: event.row };
        let found = self.drawn.borrow().iter().find(|(_, place)| place.contains(at)).copied();
        match event.kind {
            MouseEventKind::ScrollUp => self.wheel(found, -1),
            MouseEventKind::ScrollDown => self.wheel(found, 1),
            MouseEventKind::Down(MouseButton::Left) => self.click(found, at),
            _ => return,
        }
        self.dirty = Dirty::Now;
    }

    fn wheel(&mut self, found: Option<(Pane, Rect)>, by: isize) {
        match found {
            _ if !self.layers.is_empty() => self.go(by * NOTCH),
            Some((pane @ Pane::Plan, _)) => {
                self.focus_on(pane);
                self.go(by);
            }
            Some((pane, _)) => self.scrolls[pane as usize].by(by * NOTCH),
            None => {}
        }
    }

    /// A click on what is chosen already opens it.
    fn click(&mut self, found: Option<(Pane, Rect)>, at: Position) {
        let Some((pane, place)) = found.filter(|_| self.layers.is_empty()) else { return };
        self.focus_on(pane);
        if pane != Pane::Plan || at.y == place.y {
            return;
        }
        let height = usize::from(place.height - 1);
        let line = usize::from(at.y - place.y - 1);
        let top = self.scrolls[pane as usize].top();
        if let Some(run) = self.shown_run() {
            let Some(line) = line.checked_sub(usize::from(run.is_open())) else { return };
            let room = Room { columns: usize::from(place.width), height };
            let Some(step) = plan::step_at(run, room, line + top, usize::from(at.x - place.x)) else { return };
            if self.step().as_ref() == Some(&step) {
                self.open();
            } else {
                self.selected = Some(step);
            }
        } else if self.mirror.as_ref().is_some_and(|mirror| line + top < mirror.plans.len()) {
            self.plan_at = line + top;
        }
    }
}
