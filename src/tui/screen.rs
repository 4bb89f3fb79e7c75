//! The whole screen: header, panes, what to do next, and what lies over them. Small screens turn pages, large ones show everything.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Widget};

use super::advice::advice;
use super::app::App;
use super::format::{fit, width};
use super::keymap::Context;
use super::layers::Layer;
use super::look::Look;
use super::panes::header::{self, CLOCKS};
use super::panes::services;
use super::theme::Role;
use super::{edge, layout};

/// Below this nothing sensible can be shown.
const LEAST: (u16, u16) = (60, 16);

/// Draws the cockpit as it is now.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    frame.buffer_mut().set_style(area, app.theme.of(Role::Screen));
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let words = format!("Mayday needs {} x {} cells; this is {} x {}.", LEAST.0, LEAST.1, area.width, area.height);
        Paragraph::new(words).render(area, frame.buffer_mut());
    } else if let Some(snap) = &app.mirror {
        draw_all(&Look { app, snap, now: app.now() }, frame, area);
    } else {
        header::bar(app, None, Rect { height: 1, ..area }, frame.buffer_mut());
        let words = match &app.link {
            super::app::Link::Lost { why, .. } => format!("  The engine does not answer: {why}. Trying again."),
            _ => "  Connecting to the engine.".into(),
        };
        frame.buffer_mut().set_string(area.x, area.y + 2, words, app.theme.of(Role::Text));
    }
    edge::harden(frame.buffer_mut(), app.options.ascii, app.options.depth);
}

fn draw_all(look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
    let air = u16::from(area.height >= 34);
    let rows = [1, air, CLOCKS, air, u16::MAX, air, 1, 1]
        .map(|rows| if rows == u16::MAX { Constraint::Min(4) } else { Constraint::Length(rows) });
    let [bar, _, clocks, _, body, _, next, foot] = Layout::vertical(rows).areas(area);
    header::bar(look.app, Some(look), bar, frame.buffer_mut());
    header::clocks(look, clocks, frame.buffer_mut());
    let margin = u16::from(area.width >= 100);
    let body = Rect { x: body.x + margin, width: body.width - 2 * margin, ..body };
    let places = layout::places(look, draw_strip(look, body, frame));
    for (pane, place) in &places {
        pane.draw(look, *place, frame.buffer_mut());
    }
    look.app.drawn.replace(places);
    draw_advice(look, next, frame);
    draw_foot(look, foot, frame);
    // The walkthrough takes all the room: what is asked over it is read together with it.
    let top = look.app.layers.len().saturating_sub(1);
    for (at, layer) in look.app.layers.iter().enumerate() {
        if at == top || matches!(layer, Layer::Walk(_)) {
            layer.draw(look, frame, body);
        }
    }
}

/// Where a small screen is given to one thing, a line says how the services are; says what is left for the panes.
fn draw_strip(look: &Look<'_>, body: Rect, frame: &mut Frame<'_>) -> Rect {
    if !layout::hides_services(look.app, body) {
        return body;
    }
    services::strip(look).render(Rect { height: 1, ..body }, frame.buffer_mut());
    Rect { y: body.y + 1, height: body.height - 1, ..body }
}

/// The next thing to do.
fn draw_advice(look: &Look<'_>, area: Rect, frame: &mut Frame<'_>) {
    let advice = advice(look.app);
    let columns = usize::from(area.width);
    let mut line = vec![look.span(" ▸ ", advice.role)];
    if let Some(key) = advice.key {
        line.push(look.span(key, Role::Key));
        line.push(look.span("  ", Role::Text));
    }
    let mut beside = Vec::new();
    if let Some(also) = &advice.also {
        beside.push(look.span("  ▸ ", also.role));
        beside.extend(also.key.map(|key| look.span(key, Role::Key)));
        beside.push(look.span(format!("  {}", also.text), also.role));
    }
    let used = Line::from(line.clone()).width() + Line::from(beside.clone()).width();
    line.push(look.span(fit(&advice.text, columns.saturating_sub(used)).into_owned(), advice.role));
    line.extend(beside);
    Paragraph::new(Line::from(line)).render(area, frame.buffer_mut());
}

/// A message while there is one, otherwise the keys that make sense.
fn draw_foot(look: &Look<'_>, area: Rect, frame: &mut Frame<'_>) {
    let columns = usize::from(area.width).saturating_sub(1);
    if let Some(message) = &look.app.message {
        let text = format!(" {}", fit(&message.text, columns));
        Paragraph::new(Line::from(look.span(text, message.role))).render(area, frame.buffer_mut());
        return;
    }
    if look.app.context() != Context::Main {
        return;
    }
    let (mut line, mut used) = (vec![look.span(" ", Role::Dim)], 1);
    for row in look.app.hints() {
        let title = look.app.title(row);
        let needs = width(row.keys[0]) + 1 + width(title) + 2;
        if used + needs > columns {
            break;
        }
        line.push(look.span(row.keys[0], Role::Key));
        line.push(look.span(format!(" {title}  "), Role::Dim));
        used += needs;
    }
    Paragraph::new(Line::from(line)).render(area, frame.buffer_mut());
}
