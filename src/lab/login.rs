//! Signing in to the application: users are in the database, sessions in Redis, and the sign-in service has to run.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::app::{Door, ready};

/// The one user there is.
const USER: &str = "synthetic";
const PASSWORD: &str = "labpassword";

/// How long a session lasts.
const SESSION: SignedDuration = SignedDuration::from_mins(5);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    username: String,
    password: String,
}

fn refused(status: StatusCode, door: &Door, why: impl Into<String>) -> Response {
    (status, Json(json!({ "region": door.region, "error": why.into() }))).into_response()
}

/// Looks the user up in the database, and keeps a session.
pub async fn sign_in(State(door): State<Door>, body: Bytes) -> Response {
    let Ok(given) = serde_json::from_slice::<Credentials>(&body) else {
        return refused(StatusCode::BAD_REQUEST, &door, "expected a username and a password");
    };
    let now = Timestamp::now();
    let truth = &mut *door.world.truth();
    if ready(truth, door.region, "auth") == 0 {
        return refused(StatusCode::SERVICE_UNAVAILABLE, &door, "auth: no pod is ready");
    }
    if truth.rds.newest(door.region, &truth.faults).is_none() {
        return refused(StatusCode::SERVICE_UNAVAILABLE, &door, "users cannot be read from the database");
    }
    if given.username != USER || given.password != PASSWORD {
        return refused(StatusCode::UNAUTHORIZED, &door, "wrong username or password");
    }
    let token = format!("{:016x}", now.as_nanosecond());
    let kept = truth.redis.set(door.region, &key(&token), &given.username, now + SESSION, &truth.faults);
    match kept {
        Ok(()) => Json(json!({ "region": door.region, "token": token })).into_response(),
        Err(why) => refused(StatusCode::SERVICE_UNAVAILABLE, &door, format!("the session cannot be kept: {why}")),
    }
}

/// Whose session it is.
pub async fn session(State(door): State<Door>, headers: HeaderMap) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = given.and_then(|value| value.strip_prefix("Bearer ")) else {
        return refused(StatusCode::UNAUTHORIZED, &door, "no token was given");
    };
    let truth = door.world.truth();
    match truth.redis.get(door.region, &key(token), &truth.faults) {
        Some(user) => Json(json!({ "region": door.region, "user": user })).into_response(),
        None => refused(StatusCode::UNAUTHORIZED, &door, "there is no such session"),
    }
}

fn key(token: &str) -> String {
    format!("login:{token}")
}
