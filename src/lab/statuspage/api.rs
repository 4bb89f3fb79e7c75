//! The HTTP side: who may call and how often, and what is where.

use std::io;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Site;
use super::super::faults::Condition;
use super::super::inbox::Message;
use super::super::net::Place;
use super::super::world::{Truth, World};
use super::wanted::{Wanted, component, component_status};
use super::{Component, Incident, PAGE, PLACE, TOKEN};

/// The largest request.
const LARGEST: usize = 256 << 10;

/// The most incidents on a page of a list.
const LISTED: usize = 100;

/// "Too many requests within a given amount of time": the API says 420 or 429, so the lab says now this and now that.
const ENHANCE_YOUR_CALM: u16 = 420;

type Answered = Result<(StatusCode, Json<Value>), Refusal>;

/// Why a request is refused.
struct Refusal(StatusCode, Value);

impl Refusal {
    fn new(status: StatusCode, why: impl Into<Value>) -> Self {
        Self(status, json!({ "error": why.into() }))
    }
    fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} not found"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let incident = get(show).patch(change).put(change);
    let page = Router::new()
        .route("/incidents", get(list).post(create))
        .route("/incidents/unresolved", get(unresolved))
        .route("/incidents/{incident}", incident)
        .route("/components", get(components))
        .route("/components/{component}", get(show_component).patch(set_component).put(set_component));
    let router = Router::new()
        .nest("/v1/pages/{page}", page)
        .layer(from_fn_with_state(site.world.clone(), admit))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(site.world.clone());
    let address = site.serve(Place::global(PLACE), router).await?;
    site.endpoints.insert(PLACE.into(), format!("http://{address}"));
    Ok(())
}

async fn admit(State(world): State<World>, request: Request, next: Next) -> Response {
    match may(&world, request.method(), request.headers()) {
        Err(refusal) => refusal.into_response(),
        Ok(()) if !request.uri().path().starts_with(&format!("/v1/pages/{PAGE}/")) => {
            Refusal::not_found("Page").into_response()
        }
        Ok(()) => next.run(request).await,
    }
}

fn may(world: &World, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = sent.strip_prefix("OAuth ").unwrap_or_default();
    match world.condition(PLACE, None) {
        Condition::Throttled => return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests")),
        Condition::ReadOnly if method != Method::GET => {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "Not authorized"));
        }
        Condition::Denied => return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Could not authenticate")),
        _ if token != TOKEN => return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Could not authenticate")),
        _ => {}
    }
    let pace = world.pace;
    let calm = StatusCode::from_u16(ENHANCE_YOUR_CALM).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let slower = |_| Refusal::new(calm, "Too many requests, please slow down");
    world.truth().statuspage.requests.take(token, Instant::now(), pace).map_err(slower)
}

#[derive(Deserialize)]
struct Asked {
    limit: Option<usize>,
    page: Option<usize>,
    /// Words of the name or of an update.
    q: Option<String>,
}

async fn list(State(world): State<World>, Query(asked): Query<Asked>) -> Json<Value> {
    let page = &world.truth().statuspage;
    let words = asked.q.unwrap_or_default();
    let has = |it: &&Incident| it.name.contains(&words) || it.updates.iter().any(|update| update.body.contains(&words));
    let most = asked.limit.unwrap_or(LISTED).clamp(1, LISTED);
    let before = most.saturating_mul(asked.page.unwrap_or(1).saturating_sub(1));
    let found = page.incidents.iter().rev().filter(has).skip(before).take(most);
    Json(found.map(|it| page.told(it)).collect())
}

async fn unresolved(State(world): State<World>) -> Json<Value> {
    let page = &world.truth().statuspage;
    Json(page.incidents.iter().rev().filter(|it| it.status != "resolved").map(|it| page.told(it)).collect())
}

/// The members of a request's one object: `{"incident": {…}}`.
fn object(body: &[u8], name: &str) -> Result<serde_json::Map<String, Value>, Refusal> {
    let wrong = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
    let mut body: Value = serde_json::from_slice(body).map_err(|error| wrong(format!("no JSON: {error}")))?;
    match body.get_mut(name).map(Value::take) {
        Some(Value::Object(object)) => Ok(object),
        _ => Err(wrong(format!("param is missing or the value is empty: {name}"))),
    }
}

fn wanted(body: &[u8], is_new: bool) -> Result<Wanted, Refusal> {
    let unsound = |wrong: Vec<String>| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, wrong);
    Wanted::read(&object(body, "incident")?, is_new).map_err(unsound)
}

fn place(truth: &Truth, id: &str) -> Result<usize, Refusal> {
    let found = truth.statuspage.incidents.iter().position(|it| it.id == id);
    found.ok_or_else(|| Refusal::not_found("Incident"))
}

async fn create(State(world): State<World>, body: Bytes) -> Answered {
    let wanted = wanted(&body, true)?;
    let truth = &mut *world.truth();
    let id = truth.statuspage.open(&wanted, Timestamp::now());
    Ok((StatusCode::CREATED, told(truth, place(truth, &id)?, &wanted, "incident")))
}

async fn change(State(world): State<World>, Path((_, id)): Path<(String, String)>, body: Bytes) -> Answered {
    let wanted = wanted(&body, false)?;
    let truth = &mut *world.truth();
    let at = place(truth, &id)?;
    truth.statuspage.change(at, &wanted, Timestamp::now());
    Ok((StatusCode::OK, told(truth, at, &wanted, "update")))
}

async fn show(State(world): State<World>, Path((_, id)): Path<(String, String)>) -> Answered {
    let truth = world.truth();
    let incident = &truth.statuspage.incidents[place(&truth, &id)?];
    Ok((StatusCode::OK, Json(truth.statuspage.told(incident))))
}

/// Puts what was wanted into the inbox, and answers with what is.
fn told(truth: &mut Truth, at: usize, wanted: &Wanted, kind: &'static str) -> Json<Value> {
    let page = &truth.statuspage;
    let incident = &page.incidents[at];
    let told = page.told(incident);
    let metadata = Some(&incident.metadata).filter(|it| it.as_object().is_some_and(|object| !object.is_empty()));
    truth.inbox.take(Message {
        service: PLACE,
        kind,
        to: vec![PAGE.into()],
        title: incident.name.clone(),
        text: wanted.body.clone().unwrap_or_default(),
        mark: metadata.map(Value::to_string),
        details: json!({
            "incident": incident.id, "status": incident.status, "impact": incident.impact,
            "components": wanted.statuses.iter().map(|(id, status)| json!({ "id": id, "status": status })).collect::<Vec<_>>(),
            "component_ids": incident.components, "deliver_notifications": wanted.deliver_notifications,
        }),
        ..Message::default()
    });
    Json(told)
}

async fn components(State(world): State<World>) -> Json<Value> {
    Json(world.truth().statuspage.components.iter().map(Component::told).collect())
}

fn component_at(id: &str) -> Result<&'static str, Refusal> {
    component(id).ok_or_else(|| Refusal::not_found("Component"))
}

async fn show_component(State(world): State<World>, Path((_, id)): Path<(String, String)>) -> Answered {
    let id = component_at(&id)?;
    let truth = world.truth();
    let found = truth.statuspage.components.iter().find(|it| it.id == id).map(Component::told);
    Ok((StatusCode::OK, Json(found.unwrap_or_default())))
}

async fn set_component(State(world): State<World>, Path((_, id)): Path<(String, String)>, body: Bytes) -> Answered {
    let id = component_at(&id)?;
    let given = object(&body, "component")?;
    let status = given.get("status").and_then(Value::as_str).and_then(component_status);
    let unsound = || Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, json!(["Status is not a component's status"]));
    let status = status.ok_or_else(unsound)?;
    let truth = &mut *world.truth();
    truth.statuspage.set_components(&[(id, status)], Timestamp::now());
    truth.inbox.take(Message {
        service: PLACE,
        kind: "component",
        to: vec![PAGE.into()],
        title: id.into(),
        text: status.into(),
        ..Message::default()
    });
    let found = truth.statuspage.components.iter().find(|it| it.id == id).map(Component::told);
    Ok((StatusCode::OK, Json(found.unwrap_or_default())))
}
