//! The HTTP side: who may call, how arguments come, and the table of methods.

use std::io;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::Value;

use super::super::Site;
use super::super::faults::Condition;
use super::super::limit::{PENALTY, retry_after};
use super::super::net::Place;
use super::super::world::World;
use super::call::{Answered, Args, Call, Refusal};
use super::{PLACE, TOKEN, chat, conversations};

/// The largest request.
const LARGEST: usize = 512 << 10;

/// A method of the API.
struct Method {
    name: &'static str,
    /// Whether it changes anything.
    writes: bool,
    run: fn(&mut Call<'_>) -> Answered,
}

const fn reads(name: &'static str, run: fn(&mut Call<'_>) -> Answered) -> Method {
    Method { name, writes: false, run }
}

const fn writes(name: &'static str, run: fn(&mut Call<'_>) -> Answered) -> Method {
    Method { name, writes: true, run }
}

const METHODS: [Method; 10] = [
    reads("auth.test", chat::who),
    reads("conversations.list", conversations::list),
    reads("conversations.info", conversations::info),
    reads("conversations.history", conversations::history),
    reads("conversations.replies", conversations::replies),
    writes("conversations.create", conversations::create),
    writes("conversations.join", conversations::join),
    reads("chat.getPermalink", chat::permalink),
    writes("chat.postMessage", chat::post),
    writes("chat.update", chat::update),
];

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let router = Router::new()
        .route("/api/{method}", get(serve).post(serve))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(site.world.clone());
    let address = site.serve(Place::global(PLACE), router).await?;
    site.endpoints.insert(PLACE.into(), format!("http://{address}/api"));
    Ok(())
}

async fn serve(
    State(world): State<World>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = read(query.as_deref(), &headers, &body).and_then(|args| call(&world, &name, &headers, &args));
    match answered {
        Ok(mut told) => {
            told["ok"] = true.into();
            Json(told).into_response()
        }
        Err(refusal) => match refusal {
            Refusal::Throttled(wait) => {
                let after = [(header::RETRY_AFTER, retry_after(wait))];
                (StatusCode::TOO_MANY_REQUESTS, after, Json(refusal.told())).into_response()
            }
            // Slack answers 200 to nearly everything.
            _ => Json(refusal.told()).into_response(),
        },
    }
}

/// Arguments come as a query, a form or a JSON object.
fn read(query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Result<Args, Refusal> {
    let mut args = Args::default();
    args.take_pairs(query.unwrap_or_default().as_bytes());
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => args.0.extend(object),
            Ok(_) => return Err("json_not_object".into()),
            Err(_) => return Err("invalid_json".into()),
        }
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        args.take_pairs(body);
    } else if !body.is_empty() {
        return Err(if kind.is_empty() { "missing_post_type" } else { "invalid_post_type" }.into());
    }
    Ok(args)
}

fn call(world: &World, name: &str, headers: &HeaderMap, args: &Args) -> Answered {
    let method = METHODS.iter().find(|method| method.name == name).ok_or("unknown_method")?;
    admit(world, method, headers, args)?;
    let truth = &mut *world.truth();
    let (workspace, inbox) = (&mut truth.slack, &mut truth.inbox);
    (method.run)(&mut Call { workspace, inbox, args, now: Timestamp::now(), pace: world.pace })
}

fn admit(world: &World, method: &Method, headers: &HeaderMap, args: &Args) -> Result<(), Refusal> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.map(|value| value.trim_start_matches("Bearer ")).or(args.text("token"));
    match world.condition(PLACE, None) {
        Condition::Denied => Err("invalid_auth".into()),
        Condition::Throttled => Err(Refusal::Throttled(world.pace.scale(PENALTY))),
        Condition::ReadOnly if method.writes => Err(Refusal::Scope),
        _ => match token {
            Some(TOKEN) => Ok(()),
            Some(_) => Err("invalid_auth".into()),
            None => Err("not_authed".into()),
        },
    }
}
