//! The lab's own page: the truth as JSON, and the faults as switches. It stands outside the world, so nothing that is broken there
//! breaks it.

use std::io;
use std::net::Ipv4Addr;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::Site;
use super::app::recovery_points;
use super::estate::duration;
use super::faults::{CONDITIONS, Condition, places};
use super::inbox::{Message, SERVICES as TALKERS};
use super::kubernetes::SERVICES;
use super::world::{Truth, World};

/// How much of the ledger is shown.
const LEDGER: usize = 200;

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    site.endpoints.insert("control".into(), format!("http://{}", listener.local_addr()?));
    let router = Router::new()
        .route("/", get(page))
        .route("/inbox", get(inbox))
        .route("/page/ack", post(acknowledge))
        .route("/break", post(break_place))
        .route("/heal", post(heal))
        .with_state(site.world.clone());
    site.tasks.spawn(async move {
        // Serving ends only with the lab.
        let _ = axum::serve(listener, router).await;
    });
    Ok(())
}

async fn page(State(world): State<World>) -> Response {
    let truth = world.truth();
    Json(json!({
        "faults": truth.faults,
        "client": truth.client,
        "regions": by_region(&world, |region| json!({
            "newest": recovery_points(&truth, region),
            "pods": pods(&truth, region),
        })),
        "ledger": truth.ledger.iter().rev().take(LEDGER).collect::<Vec<_>>(),
    }))
    .into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    service: Option<String>,
}

/// What the communication servers took, the newest last.
async fn inbox(State(world): State<World>, Query(Wanted { service }): Query<Wanted>) -> Response {
    if let Some(unknown) = service.as_deref().filter(|service| !TALKERS.contains(service)) {
        return refused(&format!("there is no service `{unknown}`: choose one of {}", TALKERS.join(", ")));
    }
    let truth = world.truth();
    Json(truth.inbox.of(service.as_deref()).collect::<Vec<&Message>>()).into_response()
}

/// Whose incidents are acknowledged, and by whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledge {
    key: Option<String>,
    by: Option<String>,
}

/// Somebody who was paged picks the phone up.
async fn acknowledge(State(world): State<World>, body: Bytes) -> Response {
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let wanted: Acknowledge = match serde_json::from_slice(body) {
        Ok(wanted) => wanted,
        Err(error) => return refused(&error.to_string()),
    };
    match world.truth().pagerduty.acknowledge(wanted.key.as_deref(), wanted.by.as_deref()) {
        Ok((by, incidents)) => Json(json!({ "by": by, "acknowledged": incidents })).into_response(),
        Err(known) => refused(&format!("`by` is nobody who is on call: choose one of {}", known.join(", "))),
    }
}

fn by_region(world: &World, of: impl Fn(&str) -> Value) -> Value {
    world.extent.regions().iter().map(|region| ((*region).to_owned(), of(region))).collect::<Map<_, _>>().into()
}

fn pods(truth: &Truth, region: &str) -> Value {
    let Some(cluster) = truth.kubernetes.get(region) else { return Value::Null };
    let of = |service: &str| json!({ "ready": cluster.ready(service), "desired": cluster.desired(service) });
    SERVICES.iter().map(|service| (service.name.to_owned(), of(service.name))).collect::<Map<_, _>>().into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Break {
    place: String,
    condition: String,
    /// How slow: `900ms`.
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heal {
    place: Option<String>,
}

async fn break_place(State(world): State<World>, body: Bytes) -> Response {
    let wanted: Break = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return refused(&error.to_string()),
    };
    let by = match wanted.by.as_deref().map(|by| duration(by).ok_or(by)).transpose() {
        Ok(by) => by,
        Err(by) => return refused(&format!("`{by}` is no length of time: `900ms` is one")),
    };
    match Condition::named(&wanted.condition, by) {
        Ok(condition) => set(&world, &wanted.place, condition),
        Err(what) => refused(&what),
    }
}

async fn heal(State(world): State<World>, body: Bytes) -> Response {
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    match serde_json::from_slice(body) {
        Ok(Heal { place: Some(place) }) => set(&world, &place, Condition::Up),
        Ok(Heal { place: None }) => {
            let mut truth = world.truth();
            truth.faults.heal_all();
            Json(json!({ "faults": truth.faults })).into_response()
        }
        Err(error) => refused(&error.to_string()),
    }
}

fn set(world: &World, place: &str, condition: Condition) -> Response {
    if !places().iter().any(|known| known == place) {
        return refused(&format!("there is no place `{place}`"));
    }
    let mut truth = world.truth();
    truth.faults.set(place, condition);
    Json(json!({ "faults": truth.faults })).into_response()
}

fn refused(what: &str) -> Response {
    let conditions: Map<String, Value> =
        CONDITIONS.iter().map(|(word, _, about)| ((*word).to_owned(), (*about).into())).collect();
    let body = json!({
        "error": what,
        "usage": { "break": { "place": "*@us-east-1", "condition": "dark" }, "heal": { "place": "*@us-east-1" } },
        "places": places(),
        "conditions": conditions,
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}
