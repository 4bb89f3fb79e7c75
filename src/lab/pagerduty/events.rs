//! The Events API v2. It answers before anything happens: 202 means accepted, and nobody was paged yet.
//!
//! <https://developer.pagerduty.com/docs/send-alert-event>

use std::io;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::Site;
use super::super::faults::Condition;
use super::super::inbox::Message;
use super::super::net::Place;
use super::super::world::World;
use super::{EVENTS, EVENTS_ENDPOINT, EVENTS_PLACE, Event, PLACE, PROCESSING, ROUTING_KEY, SERVICE, Status};

/// The largest event: 512 KB.
const LARGEST: usize = 512 << 10;

/// The longest deduplication key and the longest summary, in characters.
const KEY: usize = 255;
const SUMMARY: usize = 1024;

/// What an event does: its word, and what the incident is afterwards.
const ACTIONS: [(&str, Status); 3] =
    [("trigger", Status::Triggered), ("acknowledge", Status::Acknowledged), ("resolve", Status::Resolved)];

const SEVERITIES: [(&str, &str); 4] = [("critical", "high"), ("error", "high"), ("warning", "low"), ("info", "low")];

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let router = Router::new()
        .route("/v2/enqueue", post(enqueue))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(site.world.clone());
    let address = site.serve(Place::global(EVENTS_PLACE), router).await?;
    site.endpoints.insert(EVENTS_ENDPOINT.into(), format!("http://{address}"));
    Ok(())
}

fn refused(status: StatusCode, word: &str, message: &str, errors: Vec<String>) -> Response {
    (status, Json(json!({ "status": word, "message": message, "errors": errors }))).into_response()
}

fn throttled() -> Response {
    let message = "Requests for this service are arriving too quickly.  Please retry later.";
    refused(StatusCode::TOO_MANY_REQUESTS, "throttle exceeded", message, Vec::new())
}

async fn enqueue(State(world): State<World>, body: Bytes) -> Response {
    let condition = world.condition(EVENTS_PLACE, None);
    if condition == Condition::Throttled {
        return throttled();
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else {
        let errors = vec!["JSON parse error".to_owned()];
        let message = "Event object format is unrecognized";
        return refused(StatusCode::BAD_REQUEST, "Unrecognized object", message, errors);
    };
    let mut wrong = Vec::new();
    // Whoever sends events has no other credentials than the key.
    if event["routing_key"] != ROUTING_KEY || matches!(condition, Condition::Denied | Condition::ReadOnly) {
        wrong.push("Invalid routing key".to_owned());
    }
    let action = event["event_action"].as_str().and_then(|word| ACTIONS.iter().find(|(known, _)| *known == word));
    if action.is_none() {
        wrong.push("'event_action' must be trigger, acknowledge or resolve".to_owned());
    }
    let is_trigger = action.is_some_and(|(_, status)| *status == Status::Triggered);
    let urgency = check(&event, is_trigger, &mut wrong);
    let (Some((word, status)), []) = (action, &wrong[..]) else {
        return refused(StatusCode::BAD_REQUEST, "invalid event", "Event object is invalid", wrong);
    };
    accept(&world, &event, word, *status, urgency)
}

/// Looks for everything that is wrong with an event; tells how urgent it is.
fn check(event: &Value, is_trigger: bool, wrong: &mut Vec<String>) -> &'static str {
    match &event["dedup_key"] {
        Value::String(key) if key.chars().count() > KEY => {
            wrong.push(format!("'dedup_key' is too long (maximum is {KEY} characters)"));
        }
        Value::String(_) => {}
        Value::Null if is_trigger => {}
        Value::Null => wrong.push("'dedup_key' is missing or blank".to_owned()),
        _ => wrong.push("'dedup_key' must be a string".to_owned()),
    }
    if !is_trigger {
        return SEVERITIES[0].1;
    }
    let payload = &event["payload"];
    for name in ["summary", "source"] {
        if payload[name].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("'payload.{name}' is missing or blank"));
        }
    }
    if payload["summary"].as_str().is_some_and(|text| text.chars().count() > SUMMARY) {
        wrong.push(format!("'payload.summary' is too long (maximum is {SUMMARY} characters)"));
    }
    let severity = payload["severity"].as_str().and_then(|word| SEVERITIES.iter().find(|(known, _)| *known == word));
    severity.map_or_else(
        || {
            wrong.push("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')".to_owned());
            SEVERITIES[0].1
        },
        |(_, urgency)| urgency,
    )
}

fn accept(world: &World, event: &Value, word: &'static str, status: Status, urgency: &'static str) -> Response {
    let truth = &mut *world.truth();
    let account = &mut truth.pagerduty;
    if account.arrivals.take(ROUTING_KEY, Instant::now(), world.pace).is_err() || account.events.len() == EVENTS {
        return throttled();
    }
    let key = match event["dedup_key"].as_str() {
        Some(key) => key.to_owned(),
        None => account.id("auto"),
    };
    // What there never was an incident for is accepted, and nobody ever hears of it.
    let heard = status == Status::Triggered
        || account
            .incidents
            .iter()
            .map(|it| &it.key)
            .chain(account.events.iter().map(|it| &it.key))
            .any(|it| *it == key);
    let title = event["payload"]["summary"].as_str().unwrap_or_default().to_owned();
    let due = Timestamp::now() + world.pace.scale(PROCESSING);
    account.events.push_back(Event { due, status, key: key.clone(), title: title.clone(), urgency });
    let details = json!({ "payload": event["payload"], "links": event["links"], "client": event["client"] });
    let (to, mark) = (vec![SERVICE.into()], Some(key.clone()));
    if heard {
        truth.inbox.take(Message { service: PLACE, kind: word, to, title, mark, details, ..Message::default() });
    }
    let told = json!({ "status": "success", "message": "Event processed", "dedup_key": key });
    (StatusCode::ACCEPTED, Json(told)).into_response()
}
