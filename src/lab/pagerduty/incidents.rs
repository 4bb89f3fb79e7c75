//! Incidents over REST: found by their key, acknowledged, resolved, escalated, and noted upon.
//!
//! <https://developer.pagerduty.com/api-reference/9d0b4b12e36f9-list-incidents>

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::inbox::Message;
use super::super::world::World;
use super::rest::{Answered, Refusal, pairs};
use super::{Account, Agent, Incident, Note, PEOPLE, PLACE, POLICY, Person, SERVICE, Status, reference, written};

/// How many incidents a page of a list has when nobody says, and the most.
const USUAL: usize = 25;
const LISTED: usize = 100;

fn told(incident: &Incident) -> Value {
    let responder = incident.responder();
    let open = incident.status != Status::Resolved;
    let acknowledged = incident.status == Status::Acknowledged;
    let acknowledgements: Vec<Value> = incident
        .acknowledged
        .iter()
        .filter(|_| acknowledged)
        .map(|(at, by)| json!({ "at": written(*at), "acknowledger": by.told() }))
        .collect();
    let (changed, by) = incident.changed;
    let mut told = reference(&incident.id, "incident", &format!("[#{}] {}", incident.number, incident.title));
    let more = json!({
        "type": "incident", "incident_number": incident.number, "title": incident.title, "description": incident.title,
        "status": incident.status.word(), "incident_key": incident.key, "urgency": incident.urgency,
        "created_at": written(incident.created), "updated_at": written(changed),
        "last_status_change_at": written(changed), "last_status_change_by": by.told(),
        "resolved_at": (!open).then(|| written(changed)),
        "acknowledgements": acknowledgements,
        "assignments": if open {
            json!([{ "at": written(incident.created), "assignee": reference(responder.id, "user", responder.name) }])
        } else {
            json!([])
        },
        "service": reference("PLABSERVICE", "service", SERVICE),
        "escalation_policy": reference(POLICY, "escalation_policy", "Platform"),
    });
    if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
        told.extend(more);
    }
    told
}

pub async fn list(State(world): State<World>, RawQuery(query): RawQuery) -> Answered {
    let asked = pairs(query);
    let one = |wanted: &str| asked.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let statuses: Vec<&str> =
        asked.iter().filter(|(name, _)| name == "statuses[]").map(|(_, value)| value.as_str()).collect();
    if let Some(wrong) = statuses.iter().find(|word| Status::parse(word).is_none()) {
        return Err(Refusal::input(format!("Statuses: {wrong} is not a status")));
    }
    let number = |name: &str, default: usize| one(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (limit, offset) = (number("limit", USUAL).clamp(1, LISTED), number("offset", 0));
    let key = one("incident_key");
    let truth = world.truth();
    let wanted = |it: &&Incident| {
        key.is_none_or(|key| it.key == key) && (statuses.is_empty() || statuses.contains(&it.status.word()))
    };
    let mut found = truth.pagerduty.incidents.iter().rev().filter(wanted).skip(offset);
    let page: Vec<Value> = found.by_ref().take(limit).map(told).collect();
    let more = found.next().is_some();
    let body = json!({ "incidents": page, "limit": limit, "offset": offset, "more": more, "total": null });
    Ok((StatusCode::OK, Json(body)))
}

impl Account {
    fn incident(&mut self, id: &str) -> Result<&mut Incident, Refusal> {
        self.incidents.iter_mut().find(|it| it.id == id).ok_or_else(Refusal::not_found)
    }
}

pub async fn show(State(world): State<World>, Path(id): Path<String>) -> Answered {
    Ok((StatusCode::OK, Json(json!({ "incident": told(world.truth().pagerduty.incident(&id)?) }))))
}

/// Whoever asks for a change names a user of the account.
fn requester(headers: &HeaderMap) -> Result<&'static Person, Refusal> {
    let from = headers.get("from").and_then(|value| value.to_str().ok());
    let from = from.ok_or_else(|| Refusal::input("From header must be a valid user email"))?;
    PEOPLE.iter().find(|person| person.email == from).ok_or_else(|| Refusal::input("Requester User Not Found"))
}

/// The one object of a request: `{"incident": {…}}`.
fn object(body: &[u8], name: &str) -> Result<Value, Refusal> {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let found = body.and_then(|mut body| body.get_mut(name).map(Value::take)).filter(Value::is_object);
    found.ok_or_else(|| Refusal::input(format!("{name} must be an object")))
}

pub async fn change(State(world): State<World>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Answered {
    let by = requester(&headers)?;
    let wanted = object(&body, "incident")?;
    if !matches!(wanted["type"].as_str(), Some("incident" | "incident_reference")) {
        return Err(Refusal::input("Incident type must be incident or incident_reference"));
    }
    let status = match wanted["status"].as_str() {
        None => None,
        Some(word @ ("acknowledged" | "resolved")) => Status::parse(word),
        Some(_) => return Err(Refusal::input("Status must be acknowledged or resolved")),
    };
    let level = wanted["escalation_level"].as_u64();
    let level = match level {
        None => None,
        Some(level) => {
            let known = PEOPLE.iter().map(|person| person.level).find(|known| u64::from(*known) == level);
            Some(known.ok_or_else(|| Refusal::input("Escalation level is not on the escalation policy"))?)
        }
    };
    let truth = &mut *world.truth();
    let incident = truth.pagerduty.incident(&id)?;
    if incident.status == Status::Resolved {
        return Err(Refusal::input("Incident Already Resolved"));
    }
    if let Some(level) = level {
        // Whoever it goes to has not seen it yet.
        incident.set(Status::Triggered, Agent::Person(by), Timestamp::now());
        incident.level = level;
    }
    if let Some(status) = status {
        incident.set(status, Agent::Person(by), Timestamp::now());
    }
    if let Some(title) = wanted["title"].as_str() {
        incident.title = title.to_owned();
    }
    let kind = if level.is_some() { "escalate" } else { status.map_or("change", Status::word) };
    let message = Message {
        service: PLACE,
        kind,
        to: vec![incident.responder().name.into()],
        title: incident.title.clone(),
        mark: Some(incident.key.clone()),
        details: json!({ "incident": incident.id, "by": by.name, "level": incident.level }),
        ..Message::default()
    };
    let told = told(incident);
    truth.inbox.take(message);
    Ok((StatusCode::OK, Json(json!({ "incident": told }))))
}

fn noted(note: &Note) -> Value {
    json!({
        "id": note.id, "user": reference(note.by.id, "user", note.by.name), "content": note.content,
        "created_at": written(note.at), "channel": { "summary": "The PagerDuty website or APIs" },
    })
}

pub async fn notes(State(world): State<World>, Path(id): Path<String>) -> Answered {
    let truth = &mut *world.truth();
    let notes: Vec<Value> = truth.pagerduty.incident(&id)?.notes.iter().map(noted).collect();
    Ok((StatusCode::OK, Json(json!({ "notes": notes }))))
}

pub async fn add_note(State(world): State<World>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Answered {
    let by = requester(&headers)?;
    let wanted = object(&body, "note")?;
    let content = wanted["content"].as_str().filter(|text| !text.is_empty());
    let content = content.ok_or_else(|| Refusal::input("Content cannot be empty"))?.to_owned();
    let truth = &mut *world.truth();
    let note = Note { id: truth.pagerduty.id("P"), at: Timestamp::now(), by, content: content.clone() };
    let incident = truth.pagerduty.incident(&id)?;
    let told = noted(&note);
    incident.notes.push(note);
    truth.inbox.take(Message {
        service: PLACE,
        kind: "note",
        to: vec![SERVICE.into()],
        title: incident.title.clone(),
        text: content,
        mark: Some(incident.key.clone()),
        details: json!({ "incident": incident.id, "by": by.name }),
        ..Message::default()
    });
    Ok((StatusCode::CREATED, Json(json!({ "note": told }))))
}
