//! Who is on call.
//!
//! <https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls>

use std::time::Duration;

use axum::Json;
use axum::extract::RawQuery;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::rest::pairs;
use super::{PEOPLE, POLICY, Person, reference, written};

const SHIFT: Duration = Duration::from_secs(8 * 3600);

pub async fn list(RawQuery(query): RawQuery) -> Json<Value> {
    let asked = pairs(query);
    let mut policies = asked.iter().filter(|(name, _)| name == "escalation_policy_ids[]").map(|(_, id)| id).peekable();
    let wanted = policies.peek().is_none() || policies.any(|id| id == POLICY);
    let whole = asked.iter().any(|(name, value)| name == "include[]" && value == "users");
    let found: Vec<Value> = PEOPLE.iter().filter(|_| wanted).map(|person| entry(person, whole)).collect();
    Json(json!({ "oncalls": found, "limit": 100, "offset": 0, "more": false, "total": null }))
}

fn entry(person: &Person, whole: bool) -> Value {
    let mut user = reference(person.id, "user", person.name);
    if whole {
        user["type"] = "user".into();
        user["name"] = person.name.into();
        user["email"] = person.email.into();
        user["contact_methods"] = json!([{
            "id": format!("{}P", person.id), "type": "phone_contact_method", "label": "Mobile", "country_code": 1,
            "address": person.phone,
        }]);
    }
    let now = Timestamp::now();
    json!({
        "escalation_policy": reference(POLICY, "escalation_policy", "Platform"),
        "escalation_level": person.level,
        "schedule": reference("PLABSCHED", "schedule", "Platform primary"),
        "user": user,
        "start": written(now - SHIFT / 2),
        "end": written(now + SHIFT / 2),
    })
}
