//! Which panes are shown, and where. Small screens turn pages; the larger one is, the more of them are side by side.

use ratatui::layout::{Constraint, Layout, Rect};

use super::app::App;
use super::look::Look;
use super::panes::{Pane, Place, Room, datastores, graph, incident, readiness, services, step};

/// From this size of the body on, health and plan are shown side by side.
const WIDE: (u16, u16) = (108, 24);
/// From this size on, there are three columns.
const LARGE: (u16, u16) = (170, 36);
/// From this size on, a run is shown as a graph over the whole width, above three columns.
const HUGE: (u16, u16) = (170, 46);
/// So many rows of a column are enough for two panes.
const TWO: u16 = 26;
/// Fewer rows are no pane.
const LEAST: u16 = 4;

fn fits(body: Rect, size: (u16, u16)) -> bool {
    body.width >= size.0 && body.height >= size.1
}

pub fn places(look: &Look<'_>, body: Rect) -> Vec<(Pane, Rect)> {
    match () {
        () if look.app.zoomed => zoomed(look.app, body),
        () if fits(body, HUGE) && graph_height(look.app, body).is_some() => huge(look, body),
        () if fits(body, LARGE) => large(look, body),
        () if fits(body, WIDE) => wide(look, body),
        () => small(look, body),
    }
}

/// All the room for one pane; plan and step belong together where both fit.
fn zoomed(app: &App, body: Rect) -> Vec<(Pane, Rect)> {
    if let Some(height) = graph_height(app, body).filter(|_| matches!(app.focus, Pane::Plan | Pane::Step)) {
        let [plan, step] = stack(body, Constraint::Length(height));
        return vec![(Pane::Plan, plan), (Pane::Step, step)];
    }
    if matches!(app.focus, Pane::Plan | Pane::Step) && shows_graph(app, body) {
        let [plan, step] = stack(body, Constraint::Length(plan_height(app, body.height)));
        return vec![(Pane::Plan, plan), (Pane::Step, step)];
    }
    if matches!(app.focus, Pane::Plan | Pane::Step) && fits(body, WIDE) {
        let [left, right] = columns(body, [Constraint::Fill(1), Constraint::Fill(1)]);
        return vec![(Pane::Plan, left), (Pane::Step, right)];
    }
    vec![(app.focus, body)]
}

/// Whether the services are on none of the panes shown.
pub fn hides_services(app: &App, body: Rect) -> bool {
    !fits(body, WIDE) && !app.zoomed && (is_page(app.focus) || matches!(app.focus, Pane::Plan | Pane::Step))
}

/// Whether a pane wants more room than it can have beside all the others.
fn is_page(pane: Pane) -> bool {
    matches!(pane.place(), Place::Page | Place::Peace)
}

/// How high the pane of the plan is where the whole width shows its graph, which leaves as much for the rest.
fn graph_height(app: &App, body: Rect) -> Option<u16> {
    let run = app.shown_run()?;
    // Title, budget, and a line of air below.
    let least = graph::Drawing::of(&run.plan, usize::from(body.width), usize::from(body.height / 2).saturating_sub(3))?;
    u16::try_from(least.height() + 2 + usize::from(run.is_open())).ok()
}

/// Whether the whole width shows the graph of the chosen plan while nothing runs.
fn shows_graph(app: &App, body: Rect) -> bool {
    let plan =
        app.mirror.as_ref().and_then(|mirror| mirror.plans.get(app.plan_at)).filter(|_| app.shown_run().is_none());
    // Below the list of plans, and what the plan is for.
    let height = body.height.saturating_sub(plan_height(app, body.height) + 6);
    plan.is_some_and(|plan| graph::Drawing::of(plan, usize::from(body.width), usize::from(height)).is_some())
}

/// The graph above; below it what burns, the step, and what was said and done.
fn huge(look: &Look<'_>, body: Rect) -> Vec<(Pane, Rect)> {
    let app = look.app;
    let height = graph_height(app, body).unwrap_or(0);
    let [plan, below] = stack(body, Constraint::Length(height));
    let [left, middle, right] = columns(below, [Constraint::Fill(10), Constraint::Fill(9), Constraint::Fill(11)]);
    let [services, stores] = stack(left, Constraint::Length(services_height(look)));
    let [incident, rest] = stack(right, Constraint::Length(incident_height(look, right)));
    let mut places = vec![
        (Pane::Plan, plan),
        (Pane::Services, services),
        (Pane::Datastores, stores),
        (Pane::Incident, incident),
        (last(app), rest),
    ];
    // A step says less than a column has room for: what people were told is below it.
    if middle.height >= TWO && last(app) != Pane::Communications {
        let [step, told] = stack(middle, Constraint::Length(middle.height * 3 / 5));
        places.extend([(Pane::Step, step), (Pane::Communications, told)]);
    } else {
        places.push((Pane::Step, middle));
    }
    places
}

/// Of the panes that take turns beside an incident, the one that is shown.
fn last(app: &App) -> Pane {
    app.asked_aside.filter(|pane| *pane != Pane::Incident).unwrap_or(Pane::Timeline)
}

/// All that there is to say of the incident, and room for what takes turns below it.
fn incident_height(look: &Look<'_>, area: Rect) -> u16 {
    let room = Room { columns: usize::from(area.width), height: usize::from(area.height) };
    let lines = u16::try_from(incident::body(look, room).lines.len()).unwrap_or(u16::MAX);
    lines.saturating_add(2).clamp(16.min(area.height / 2), area.height * 3 / 5)
}

fn large(look: &Look<'_>, body: Rect) -> Vec<(Pane, Rect)> {
    let app = look.app;
    let [left, middle, right] = columns(body, [Constraint::Fill(10), Constraint::Fill(11), Constraint::Fill(9)]);
    let [plan, step] = stack(middle, Constraint::Length(plan_height(app, body.height)));
    let mut places = vec![(Pane::Plan, plan), (Pane::Step, step)];
    if app.is_calm() {
        let [services, rest] = stack(left, Constraint::Length(services_height(look)));
        let [stores, aside] =
            stack(rest, Constraint::Length(stores_height(look).min(rest.height.saturating_sub(LEAST))));
        places.extend([(Pane::Services, services), (Pane::Datastores, stores)]);
        if fits(body, HUGE) && app.focus != Pane::Drills {
            // There is room for the drills as well, and what was said and done has the wider column.
            let [chosen, below] = below_plan(look, step);
            places[1] = (Pane::Step, chosen);
            places.extend([(Pane::Drills, aside), (app.aside(), below)]);
        } else {
            places.push((app.aside(), aside));
        }
        if app.focus.place() == Place::Page {
            places.push((app.focus, right));
        } else {
            places.extend(calm(look, right));
        }
    } else {
        let [services, stores] = stack(left, Constraint::Length(services_height(look)));
        let last = last(app);
        let [incident, below] = stack(right, Constraint::Length(incident_height(look, right)));
        places.extend([(Pane::Services, services), (Pane::Datastores, stores), (Pane::Incident, incident)]);
        if fits(body, HUGE) && app.shown_run().is_none() {
            let [chosen, middle] = below_plan(look, step);
            places[1] = (Pane::Step, chosen);
            let told = if last == Pane::Communications { Pane::Timeline } else { last };
            places.extend([(told, middle), (Pane::Communications, below)]);
        } else {
            places.push((last, below));
        }
    }
    places
}

/// As much as the chosen plan takes, and the rest.
fn below_plan(look: &Look<'_>, step: Rect) -> [Rect; 2] {
    let needed = step::height(look, usize::from(step.width)).saturating_add(2).min(step.height / 2);
    stack(step, Constraint::Length(needed))
}

fn wide(look: &Look<'_>, body: Rect) -> Vec<(Pane, Rect)> {
    let app = look.app;
    let [left, right] = columns(body, [Constraint::Fill(10), Constraint::Fill(11)]);
    // A line of air gives way to the last member of a store.
    let tight = services_height(look).saturating_add(stores_height(look)).saturating_add(LEAST) > body.height;
    let [services, rest] = stack(left, Constraint::Length(services_height(look) - u16::from(tight)));
    let [stores, last] = stack(rest, Constraint::Length(stores_height(look).min(rest.height.saturating_sub(LEAST))));
    let mut places = vec![(Pane::Services, services), (Pane::Datastores, stores), (app.aside(), last)];
    if app.shares_a_place(app.focus) && is_page(app.focus) {
        places.push((app.focus, right));
        return places;
    }
    let [plan, below] = stack(right, Constraint::Length(plan_height(app, body.height)));
    places.push((Pane::Plan, plan));
    if app.is_calm() && !matches!(app.focus, Pane::Plan | Pane::Step) {
        places.extend(calm(look, below));
    } else {
        places.push((Pane::Step, below));
    }
    places
}

/// Readiness as high as it has to be, and the backups.
fn calm(look: &Look<'_>, area: Rect) -> [(Pane, Rect); 2] {
    let room = Room { columns: usize::from(area.width), height: usize::from(area.height) };
    let lines = readiness::body(look, room).lines.len();
    let needed = u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2);
    let [above, below] = stack(area, Constraint::Length(needed.min(area.height / 2)));
    [(Pane::Readiness, above), (Pane::Backups, below)]
}

fn small(look: &Look<'_>, body: Rect) -> Vec<(Pane, Rect)> {
    let app = look.app;
    if is_page(app.focus) {
        return vec![(app.focus, body)];
    }
    if matches!(app.focus, Pane::Plan | Pane::Step) {
        let [left, right] = columns(body, [Constraint::Length((body.width * 41 / 80).max(30)), Constraint::Fill(1)]);
        return vec![(Pane::Plan, left), (Pane::Step, right)];
    }
    // The services have what they need, the datastores the rest.
    let needed = u16::try_from(services::width_needed(look)).unwrap_or(u16::MAX).clamp(30, body.width * 11 / 20);
    let [left, right] = columns(body, [Constraint::Length(needed), Constraint::Fill(1)]);
    let [services, last] = stack(left, Constraint::Length(services_height(look).min(body.height.saturating_sub(5))));
    vec![(Pane::Services, services), (app.aside(), last), (Pane::Datastores, right)]
}

fn columns<const N: usize>(area: Rect, widths: [Constraint; N]) -> [Rect; N] {
    Layout::horizontal(widths).spacing(2).areas(area)
}

fn stack(area: Rect, first: Constraint) -> [Rect; 2] {
    Layout::vertical([first, Constraint::Fill(1)]).areas(area)
}

/// Title, what is in it, and a line of air.
fn services_height(look: &Look<'_>) -> u16 {
    u16::try_from(services::height(look)).unwrap_or(u16::MAX).saturating_add(1 + 1)
}

/// Title, and each store with its members.
fn stores_height(look: &Look<'_>) -> u16 {
    let stores = look.snap.estate.datastores();
    let members = |id| look.snap.live.surveys.get(id).map_or(1, |it| datastores::rows(&it.survey.members));
    let rows = stores.map(|store| 1 + members(&store.id)).sum::<usize>();
    u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2)
}

fn plan_height(app: &App, most: u16) -> u16 {
    let plans = app.mirror.as_ref().map_or(0, |mirror| mirror.plans.len());
    // With the budget, the line of no return, and a line of air.
    let rows = app.shown_run().map_or(plans, |run| run.plan.steps.len() + 2);
    u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2).min(most * 2 / 3)
}
