//! The whole screen: header, panes, what to do next, and what lies over them. Small screens turn pages, large ones show everything.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};

use super::advice::{Advice, advice};
use super::app::App;
use super::format::{fit, width, wrap};
use super::keymap::Context;
use super::layers::Layer;
use super::look::Look;
use super::panes::header::{self, CLOCKS};
use super::panes::{headline, services};
use super::theme::Role;
use super::widgets::row::cut_line;
use super::{edge, layout};

/// Below this nothing sensible can be shown.
const LEAST: (u16, u16) = (60, 16);

/// From so many rows on, there is air between the parts of the screen.
const TALL: u16 = 34;

/// Draws the cockpit as it is now.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    frame.buffer_mut().set_style(area, app.theme.of(Role::Screen));
    if area.width < LEAST.0 || area.height < LEAST.1 {
        draw_tiny(app, frame, area);
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

/// Too little room for the cockpit: which region, how long is left, and why there is no more.
fn draw_tiny(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let columns = usize::from(area.width);
    let mut lines = match &app.mirror {
        Some(snap) => headline::tiny(&Look { app, snap, now: app.now() }, columns),
        None => Vec::new(),
    };
    let words = format!("Mayday needs {} x {} cells; this is {} x {}.", LEAST.0, LEAST.1, area.width, area.height);
    lines.extend(wrap(&words, columns).into_iter().map(Line::from));
    Paragraph::new(lines).render(area, frame.buffer_mut());
}

fn draw_all(look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
    let air = u16::from(area.height >= TALL);
    // What is to be said to the operator is said whole where there is room for it.
    let said = look.app.message.as_ref().map_or(1, |message| wrap(&message.text, said_columns(area)).len());
    let said = u16::try_from(said).unwrap_or(1).clamp(1, if area.height >= 24 { 3 } else { 2 });
    let next = u16::try_from(advice_lines(look, area).len()).unwrap_or(1).clamp(1, 2);
    // The second line of advice takes the place of the air above it, so that nothing moves when it comes and goes.
    let rows = [1, air, CLOCKS, air, u16::MAX, (air + 1).saturating_sub(next), next, said]
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
    services::strip(look, usize::from(body.width)).render(Rect { height: 1, ..body }, frame.buffer_mut());
    Rect { y: body.y + 1, height: body.height - 1, ..body }
}

/// The next thing to do.
fn draw_advice(look: &Look<'_>, area: Rect, frame: &mut Frame<'_>) {
    Paragraph::new(advice_lines(look, frame.area())).render(area, frame.buffer_mut());
}

/// In one line where that is enough; in two where there is room for them. How long is left, which is told last, is cut last.
fn advice_lines(look: &Look<'_>, area: Rect) -> Vec<Line<'static>> {
    let advice = advice(look.app);
    let columns = usize::from(area.width).saturating_sub(1);
    let mut line = vec![look.span(" ▸ ", advice.role)];
    if let Some(key) = advice.key {
        line.push(look.span(key, Role::Key));
        line.push(look.span("  ", Role::Text));
    }
    let used = Line::from(line.clone()).width();
    let beside = Line::from(also(look, &advice, "  ▸ "));
    let room = columns.saturating_sub(used);
    let in_one = width(&advice.text) + beside.width() <= room;
    if area.height < TALL || in_one {
        line.push(look.span(fit_tail(&advice.text, room.saturating_sub(beside.width())), advice.role));
        line.extend(beside.spans);
        return vec![Line::from(line)];
    }
    if advice.also.is_some() {
        line.push(look.span(fit_tail(&advice.text, room), advice.role));
        return vec![Line::from(line), cut_line(Line::from(also(look, &advice, " ▸ ")), columns)];
    }
    let mut parts = wrap(&advice.text, room);
    let rest = parts.split_off(1).join(" ");
    line.push(look.span(parts.concat(), advice.role));
    let rest = look.span(format!("{}{}", " ".repeat(used), fit_tail(&rest, room)), advice.role);
    vec![Line::from(line), Line::from(rest)]
}

/// What else is as urgent.
fn also(look: &Look<'_>, advice: &Advice, mark: &'static str) -> Vec<Span<'static>> {
    let Some(also) = &advice.also else { return Vec::new() };
    let mut out = vec![look.span(mark, also.role)];
    out.extend(also.key.map(|key| look.span(key, Role::Key)));
    out.push(look.span(format!("  {}", also.text), also.role));
    out
}

/// Less of what is to be done says nothing.
const HEAD: usize = 20;

/// A text in `columns`: what stands after its last ` · ` is kept where there is room for it, and what is before it is cut.
fn fit_tail(text: &str, columns: usize) -> String {
    match text.rsplit_once(" · ") {
        Some((head, tail)) if width(text) > columns && HEAD + 3 + width(tail) <= columns => {
            format!("{} · {tail}", fit(head, columns - width(tail) - 3))
        }
        _ => fit(text, columns).into_owned(),
    }
}

fn said_columns(area: Rect) -> usize {
    usize::from(area.width).saturating_sub(2)
}

/// A message while there is one, otherwise the keys that make sense.
fn draw_foot(look: &Look<'_>, area: Rect, frame: &mut Frame<'_>) {
    let columns = usize::from(area.width).saturating_sub(1);
    if let Some(message) = &look.app.message {
        let mut parts = wrap(&message.text, said_columns(area));
        let rows = usize::from(area.height).max(1);
        if parts.len() > rows {
            let rest = parts.split_off(rows - 1).join(" ");
            parts.push(fit(&rest, said_columns(area)).into_owned());
        }
        let lines = parts.into_iter().map(|text| Line::from(look.span(format!(" {text}"), message.role)));
        Paragraph::new(lines.collect::<Vec<_>>()).render(area, frame.buffer_mut());
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
