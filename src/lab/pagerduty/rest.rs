//! The REST API's door: who may call and how often, and what is where.

use std::io;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::super::Site;
use super::super::faults::Condition;
use super::super::limit::{PENALTY, retry_after};
use super::super::net::Place;
use super::super::world::World;
use super::{PLACE, TOKEN, incidents, on_calls};

/// The largest request.
const LARGEST: usize = 256 << 10;

pub type Answered = Result<(StatusCode, Json<Value>), Refusal>;

/// Why a request is refused: the status, PagerDuty's number and word for it, and sentences.
pub struct Refusal {
    status: StatusCode,
    code: u32,
    message: &'static str,
    errors: Vec<String>,
    wait: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, code: u32, message: &'static str) -> Self {
        Self { status, code, message, errors: Vec::new(), wait: None }
    }
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, 2100, "Not Found")
    }
    pub fn input(error: impl Into<String>) -> Self {
        let errors = vec![error.into()];
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, 2001, "Invalid Input Provided") }
    }
    fn throttled(wait: Duration) -> Self {
        Self { wait: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, 2020, "Rate Limit Exceeded") }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut error = json!({ "message": self.message, "code": self.code });
        if !self.errors.is_empty() {
            error["errors"] = self.errors.into();
        }
        let body = Json(json!({ "error": error }));
        match self.wait {
            Some(wait) => (self.status, [("ratelimit-reset", retry_after(wait))], body).into_response(),
            None => (self.status, body).into_response(),
        }
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let router = Router::new()
        .route("/oncalls", get(on_calls::list))
        .route("/incidents", get(incidents::list))
        .route("/incidents/{id}", get(incidents::show).put(incidents::change))
        .route("/incidents/{id}/notes", get(incidents::notes).post(incidents::add_note))
        .layer(from_fn_with_state(site.world.clone(), admit))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(site.world.clone());
    let address = site.serve(Place::global(PLACE), router).await?;
    site.endpoints.insert(PLACE.into(), format!("http://{address}"));
    Ok(())
}

async fn admit(State(world): State<World>, request: Request, next: Next) -> Response {
    match may(&world, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn may(world: &World, method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let denied = || Refusal::new(StatusCode::FORBIDDEN, 2010, "Access Denied");
    match world.condition(PLACE, None) {
        Condition::Denied => return Err(denied()),
        Condition::ReadOnly if method != Method::GET => return Err(denied()),
        Condition::Throttled => return Err(Refusal::throttled(world.pace.scale(PENALTY))),
        _ if sent != format!("Token token={TOKEN}") => {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, 2006, "You supplied invalid credentials"));
        }
        _ => {}
    }
    world.truth().pagerduty.requests.take(TOKEN, Instant::now(), world.pace).map_err(Refusal::throttled)
}

/// A query's names and values: lists come as `name[]`, again and again.
pub fn pairs(query: Option<String>) -> Vec<(String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}
