//! A sink for webhooks: whatever JSON is posted to `/hook/NAME` is kept.

use std::io;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Site;
use super::faults::Condition;
use super::inbox::Message;
use super::limit::{PENALTY, retry_after};
use super::net::Place;
use super::world::World;

/// The place of its faults, and the name of its endpoint.
pub const PLACE: &str = "webhook";

/// The largest body.
const LARGEST: usize = 256 << 10;

/// Where the title and the text of a message are looked for: what Cachet, Instatus and Teams call them, among others.
const TITLES: [&str; 4] = ["title", "name", "summary", "subject"];
const TEXTS: [&str; 4] = ["text", "message", "body", "content"];

/// By what a sender may mark a message.
const MARK: &str = "idempotency-key";

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let router = Router::new()
        .route("/hook/{name}", post(take).put(take).patch(take))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(site.world.clone());
    let address = site.serve(Place::global(PLACE), router).await?;
    site.endpoints.insert(PLACE.into(), format!("http://{address}"));
    Ok(())
}

async fn take(State(world): State<World>, Path(name): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let error = |text: String| Json(json!({ "error": text }));
    match world.condition(PLACE, None) {
        Condition::Denied | Condition::ReadOnly => {
            return (StatusCode::UNAUTHORIZED, error("unauthorized".into())).into_response();
        }
        Condition::Throttled => {
            let after = [(header::RETRY_AFTER, retry_after(world.pace.scale(PENALTY)))];
            return (StatusCode::TOO_MANY_REQUESTS, after, error("too many requests".into())).into_response();
        }
        _ => {}
    }
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(wrong) => return (StatusCode::BAD_REQUEST, error(wrong.to_string())).into_response(),
    };
    let first = |names: [&str; 4]| names.iter().find_map(|name| body[name].as_str()).unwrap_or_default().to_owned();
    let id = world.truth().inbox.take(Message {
        service: PLACE,
        kind: "post",
        to: vec![name],
        title: first(TITLES),
        text: first(TEXTS),
        mark: headers.get(MARK).and_then(|value| value.to_str().ok()).map(str::to_owned),
        details: body,
        ..Message::default()
    });
    Json(json!({ "id": id })).into_response()
}
