//! PagerDuty's REST API, as far as it says who is on call.
//!
//! <https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls>

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Site;
use super::faults::Condition;
use super::net::{GatedListener, Place};
use super::world::World;

/// The place of its faults.
pub const PLACE: &str = "pagerduty";
/// Opens nothing but the lab.
pub const TOKEN: &str = "labpagerduty";

/// A policy, a level, and who that is: the name and the phone.
const PEOPLE: [(&str, u32, &str, &str, &str); 3] = [
    ("PLABPLATFORM", 1, "PLAB001", "Ada Okafor", "5550100"),
    ("PLABPLATFORM", 2, "PLAB002", "Mateo Silva", "5550101"),
    ("PLABPLATFORM", 3, "PLAB003", "Ingrid Holm", "5550102"),
];

const SHIFT: Duration = Duration::from_secs(8 * 3600);

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let place = Place::global(PLACE);
    let listener = GatedListener::bind(site.world, place, IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
    site.endpoints.insert(PLACE.into(), format!("http://{}", listener.address()?));
    let router = Router::new().route("/oncalls", get(on_calls)).with_state(site.world.clone());
    site.tasks.spawn(async move {
        // Serving ends only with the lab.
        let _ = axum::serve(listener, router).await;
    });
    Ok(())
}

async fn on_calls(State(world): State<World>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refused = |status: StatusCode, code: u32, message: &str| {
        (status, Json(json!({ "error": { "message": message, "code": code } }))).into_response()
    };
    match world.condition(PLACE, None) {
        Condition::Denied => return refused(StatusCode::FORBIDDEN, 2010, "Access Denied"),
        Condition::Throttled => return refused(StatusCode::TOO_MANY_REQUESTS, 2020, "Rate Limit Exceeded"),
        _ if sent != format!("Token token={TOKEN}") => {
            return refused(StatusCode::UNAUTHORIZED, 2006, "You supplied invalid credentials");
        }
        _ => {}
    }
    let asked: Vec<(String, String)> =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let policies: Vec<&str> =
        asked.iter().filter(|(name, _)| name == "escalation_policy_ids[]").map(|(_, id)| id.as_str()).collect();
    let whole = asked.iter().any(|(name, value)| name == "include[]" && value == "users");
    let wanted = PEOPLE.iter().filter(|(policy, ..)| policies.is_empty() || policies.contains(policy));
    let found: Vec<Value> = wanted.map(|row| entry(*row, whole)).collect();
    Json(json!({ "oncalls": found, "limit": 100, "offset": 0, "more": false, "total": null })).into_response()
}

fn entry((policy, level, id, name, phone): (&str, u32, &str, &str, &str), whole: bool) -> Value {
    let reference = |id: &str, kind: &str, summary: &str| {
        json!({
            "id": id, "type": format!("{kind}_reference"), "summary": summary,
            "self": format!("https://api.pagerduty.com/{kind}s/{id}"),
            "html_url": format!("https://gennet.pagerduty.com/{kind}s/{id}"),
        })
    };
    let mut user = reference(id, "user", name);
    if whole {
        user["type"] = "user".into();
        user["name"] = name.into();
        user["contact_methods"] = json!([
            { "id": format!("{id}P"), "type": "phone_contact_method", "label": "Mobile", "country_code": 1, "address": phone },
        ]);
    }
    let now = Timestamp::now();
    json!({
        "escalation_policy": reference(policy, "escalation_policy", "Platform"),
        "escalation_level": level,
        "schedule": reference("PLABSCHED", "schedule", "Platform primary"),
        "user": user,
        "start": (now - SHIFT / 2).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "end": (now + SHIFT / 2).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}
