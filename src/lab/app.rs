//! The GenNet application as its clients see it, one front door per region: health, transactions, recovery points.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::faults::Condition;
use super::kubernetes::{SERVICES, Service};
use super::net::{GatedListener, Place};
use super::rows::Held;
use super::world::{Truth, World};
use super::{Site, login};

/// The place of the front doors.
pub const APP: &str = "app";

/// How often another port is tried when one is free on one of the addresses only.
const TRIES: usize = 20;

/// Where the application keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    Rds,
    Neo4j,
    Redis,
    S3,
}

impl Store {
    pub const ALL: [Self; 4] = [Self::Rds, Self::Neo4j, Self::Redis, Self::S3];

    pub fn word(self) -> &'static str {
        match self {
            Self::Rds => "rds",
            Self::Neo4j => "neo4j",
            Self::Redis => "redis",
            Self::S3 => "s3",
        }
    }

    fn write(self, truth: &mut Truth, region: &str, at: Timestamp) -> Result<(), String> {
        match self {
            Self::Rds => truth.rds.write(region, at, &truth.faults),
            Self::Neo4j => truth.neo4j.write(region, at, &truth.faults),
            Self::Redis => truth.redis.write(region, at, &truth.faults),
            Self::S3 => truth.s3.write(region, at, &truth.faults),
        }
    }

    /// The newest write that can be read in `region`.
    pub fn newest(self, truth: &Truth, region: &str) -> Option<Timestamp> {
        match self {
            Self::Rds => truth.rds.newest(region, &truth.faults),
            Self::Neo4j => truth.neo4j.newest(region, &truth.faults),
            Self::Redis => truth.redis.newest(region, &truth.faults),
            Self::S3 => truth.s3.newest(region, &truth.faults),
        }
    }
}

impl Store {
    /// What the copy that `region` uses holds of what was written until then.
    fn held(self, truth: &Truth, region: &str, until: Timestamp) -> Option<Held> {
        match self {
            Self::Rds => truth.rds.held(region, until, &truth.faults),
            Self::Neo4j => truth.neo4j.held(region, until, &truth.faults),
            Self::Redis => truth.redis.held(region, &truth.faults),
            Self::S3 => truth.s3.held(region, until, &truth.faults),
        }
    }
}

/// What a transaction goes through.
pub struct Tier {
    pub name: &'static str,
    /// The tier of the services it needs; `None` is every service.
    services: Option<&'static str>,
    stores: &'static [Store],
}

pub const TIERS: [Tier; 3] = [
    Tier { name: "critical", services: Some("critical"), stores: &[Store::Rds, Store::Redis] },
    Tier { name: "standard", services: Some("standard"), stores: &[Store::S3] },
    Tier { name: "platform", services: None, stores: &Store::ALL },
];

/// A transaction along the whole platform.
pub const PLATFORM: &Tier = &TIERS[2];

impl Tier {
    fn services(&self) -> impl Iterator<Item = &'static Service> {
        SERVICES.iter().filter(|service| self.services.is_none_or(|tier| service.tier == tier))
    }
}

/// What was written, and what was then read.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    pub region: &'static str,
    pub tier: &'static str,
    pub written: Timestamp,
    /// The oldest of the values that the stores gave back.
    pub read: Timestamp,
}

/// Which part of the application refused, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    pub region: &'static str,
    pub part: &'static str,
    pub why: String,
}

/// Writes `at` through every service and store of a tier in `region`, and reads it back. The stores before one that refuses keep the
/// write: this application has no transactions across stores.
///
/// # Errors
/// The first part that refuses.
pub fn transact(truth: &mut Truth, region: &'static str, tier: &Tier, at: Timestamp) -> Result<Receipt, Refusal> {
    let refusal = |part, why: String| Refusal { region, part, why };
    for service in tier.services() {
        if ready(truth, region, service.name) == 0 {
            return Err(refusal(service.name, "no pod is ready".into()));
        }
    }
    let mut read = at;
    for store in tier.stores {
        store.write(truth, region, at).map_err(|why| refusal(store.word(), why))?;
        match store.newest(truth, region) {
            Some(found) if found >= at => read = read.min(found),
            Some(found) => return Err(refusal(store.word(), format!("wrote {at} and read {found}"))),
            None => return Err(refusal(store.word(), "was written to and cannot be read".into())),
        }
    }
    Ok(Receipt { region, tier: tier.name, written: at, read })
}

pub fn ready(truth: &Truth, region: &str, service: &str) -> usize {
    truth.kubernetes.get(region).map_or(0, |cluster| cluster.ready(service))
}

/// The newest write that can be read in `region`, by data class and by store.
pub fn recovery_points(truth: &Truth, region: &str) -> BTreeMap<&'static str, Option<Timestamp>> {
    let [rds, neo4j, redis, s3] = Store::ALL.map(|store| store.newest(truth, region));
    // A class is as old as its oldest store.
    let database = rds.zip(neo4j).map(|(rds, neo4j)| rds.min(neo4j));
    BTreeMap::from([
        ("database", database),
        ("application-state", redis),
        ("user-data", s3),
        ("rds", rds),
        ("neo4j", neo4j),
        ("redis", redis),
        ("s3", s3),
    ])
}

/// The services of `region` that have no ready pod.
fn down(truth: &Truth, region: &str) -> Vec<&'static str> {
    let idle = |service: &&Service| ready(truth, region, service.name) == 0;
    SERVICES.iter().filter(idle).map(|service| service.name).collect()
}

/// The regions whose front door answers a health check with 200.
pub fn serving(truth: &Truth) -> Vec<&'static str> {
    let open = |region: &str| truth.faults.condition(APP, Some(region)).serves();
    truth.kubernetes.keys().copied().filter(|region| open(region) && down(truth, region).is_empty()).collect()
}

#[derive(Clone)]
pub struct Door {
    pub world: World,
    pub region: &'static str,
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let listeners = bind(site.world).await?;
    let port = listeners[0].1.address()?.port();
    site.endpoints.insert("app.port".into(), port.to_string());
    site.world.truth().route53.look_at_port(port);
    for (region, listener) in listeners {
        site.endpoints.insert(format!("app.{region}"), format!("http://{}", listener.address()?));
        let door = Door { world: site.world.clone(), region };
        let router = Router::new()
            .route("/healthz", get(all_health))
            .route("/healthz/{service}", get(health))
            .route("/recovery-point", get(recovery_point))
            .route("/transaction", post(transaction))
            .route("/integrity", get(integrity))
            .route("/login", post(login::sign_in))
            .route("/session", get(login::session))
            .layer(from_fn_with_state(door.clone(), admit))
            .with_state(door);
        site.tasks.spawn(async move {
            // Serving ends only with the lab.
            let _ = axum::serve(listener, router).await;
        });
    }
    Ok(())
}

/// The same free port on every address: clients that follow DNS keep the port.
async fn bind(world: &World) -> io::Result<Vec<(&'static str, GatedListener)>> {
    let at = |region, ip, port| GatedListener::bind(world, Place::regional(APP, region), IpAddr::V4(ip), port);
    let mut tries = 0;
    'port: loop {
        let (mut port, mut bound) = (0, Vec::new());
        tries += 1;
        for (region, ip) in world.extent.doors() {
            match at(*region, *ip, port).await {
                Ok(listener) => {
                    port = listener.address()?.port();
                    bound.push((*region, listener));
                }
                Err(error) if bound.is_empty() || tries == TRIES => return Err(error),
                Err(_) => continue 'port,
            }
        }
        return Ok(bound);
    }
}

async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    match door.world.condition(APP, Some(door.region)) {
        Condition::Denied => (StatusCode::FORBIDDEN, Json(json!({ "error": "forbidden" }))).into_response(),
        Condition::Throttled => {
            let body = Json(json!({ "error": "too many requests" }));
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], body).into_response()
        }
        _ => next.run(request).await,
    }
}

fn answer(serves: bool, body: Value) -> Response {
    let status = if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

async fn health(State(door): State<Door>, Path(service): Path<String>) -> Response {
    if !SERVICES.iter().any(|known| known.name == service) {
        let body = json!({ "error": format!("there is no service `{service}`") });
        return (StatusCode::NOT_FOUND, Json(body)).into_response();
    }
    let ready = ready(&door.world.truth(), door.region, &service);
    let status = if ready > 0 { "ok" } else { "unavailable: no pod is ready" };
    answer(ready > 0, json!({ "service": service, "region": door.region, "status": status, "ready": ready }))
}

async fn all_health(State(door): State<Door>) -> Response {
    let down = down(&door.world.truth(), door.region);
    let status = if down.is_empty() { "ok" } else { "unavailable: services without a ready pod" };
    answer(down.is_empty(), json!({ "region": door.region, "status": status, "down": down }))
}

async fn recovery_point(State(door): State<Door>) -> Response {
    Json(recovery_points(&door.world.truth(), door.region)).into_response()
}

/// Counts what each store holds of everything that was written until a moment, and sums it up; `null` is a store that cannot be read.
async fn integrity(State(door): State<Door>, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let until = match asked.get("until").map(|text| text.parse::<Timestamp>()) {
        None => Timestamp::now(),
        Some(Ok(until)) => until,
        Some(Err(error)) => {
            return (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response();
        }
    };
    let truth = door.world.truth();
    let sum = |held: Held| json!({ "count": held.count, "checksum": format!("{:016x}", held.digest) });
    let of = |store: Store| (store.word().to_owned(), json!(store.held(&truth, door.region, until).map(sum)));
    let stores: serde_json::Map<String, Value> = Store::ALL.into_iter().map(of).collect();
    Json(json!({ "region": door.region, "until": until, "stores": stores })).into_response()
}

/// Not in the ledger: transactions are what clients do all day, not what an operator changes.
async fn transaction(State(door): State<Door>, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let name = asked.get("tier").map_or(PLATFORM.name, String::as_str);
    let Some(tier) = TIERS.iter().find(|tier| tier.name == name) else {
        let allowed = TIERS.map(|tier| tier.name);
        let body = json!({ "error": format!("there is no tier `{name}`"), "allowed": allowed });
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    };
    let done = transact(&mut door.world.truth(), door.region, tier, Timestamp::now());
    match done {
        Ok(receipt) => Json(receipt).into_response(),
        Err(refusal) => (StatusCode::SERVICE_UNAVAILABLE, Json(refusal)).into_response(),
    }
}
