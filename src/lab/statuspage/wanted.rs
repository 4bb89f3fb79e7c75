//! What a request wants an incident to be: read and checked before anything changes.

use serde_json::{Map, Value};

use super::{COMPONENT_STATUSES, COMPONENTS, IMPACTS, STATUSES};

/// The longest body of an update.
const BODY: usize = 25_000;

/// What is not given stays as it is.
pub struct Wanted {
    pub name: Option<String>,
    pub status: Option<&'static str>,
    pub body: Option<String>,
    pub impact_override: Option<&'static str>,
    pub component_ids: Option<Vec<&'static str>>,
    /// Components and what they shall be.
    pub statuses: Vec<(&'static str, &'static str)>,
    /// Subscribers are told unless the request says otherwise.
    pub deliver_notifications: bool,
    pub metadata: Option<Value>,
}

/// One of the words of a table.
fn word(table: &[&'static str], text: &str) -> Option<&'static str> {
    table.iter().find(|known| **known == text).copied()
}

/// A component's status by its word.
pub fn component_status(text: &str) -> Option<&'static str> {
    COMPONENT_STATUSES.iter().map(|(status, _)| *status).find(|status| *status == text)
}

/// A component's id.
pub fn component(text: &str) -> Option<&'static str> {
    COMPONENTS.iter().map(|(id, ..)| *id).find(|id| *id == text)
}

impl Wanted {
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(incident: &Map<String, Value>, is_new: bool) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let given = |name: &str| incident.get(name).filter(|value| !value.is_null());
        let text = |name: &str| given(name).and_then(Value::as_str).map(str::to_owned);
        let name = text("name");
        if name.as_ref().map_or(is_new, |name| name.trim().is_empty()) {
            wrong.push("Name can't be blank".to_owned());
        }
        let mut choice = |name: &str, title: &str, table: &[&'static str]| {
            let chosen = given(name)?.as_str().and_then(|text| word(table, text));
            if chosen.is_none() {
                wrong.push(format!("{title} must be one of {}", table.join(", ")));
            }
            chosen
        };
        let status = choice("status", "Status", &STATUSES);
        let impact_override = choice("impact_override", "Impact override", &IMPACTS);
        let body = text("body");
        if body.as_ref().is_some_and(|body| body.chars().count() > BODY) {
            wrong.push(format!("Body is too long (maximum is {BODY} characters)"));
        }
        let statuses = given("components").map_or_else(Vec::new, |map| statuses(map, &mut wrong));
        let component_ids = given("component_ids").map(|ids| component_ids(ids, &mut wrong));
        let metadata = given("metadata").cloned();
        // "All top-level values in the object must also be objects."
        let nested = |it: &Value| it.as_object().is_some_and(|object| object.values().all(Value::is_object));
        if metadata.as_ref().is_some_and(|it| !nested(it)) {
            wrong.push("Metadata must be an object of objects".to_owned());
        }
        let deliver_notifications = given("deliver_notifications").is_none_or(|flag| flag.as_bool() != Some(false));
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self { name, status, body, impact_override, component_ids, statuses, deliver_notifications, metadata })
    }
}

fn statuses(map: &Value, wrong: &mut Vec<String>) -> Vec<(&'static str, &'static str)> {
    let Some(map) = map.as_object() else {
        wrong.push("Components must be an object of component ids and statuses".to_owned());
        return Vec::new();
    };
    let each = map.iter().filter_map(|(id, status)| {
        let found = component(id).zip(status.as_str().and_then(component_status));
        if found.is_none() {
            wrong.push(format!("Components: {id} cannot become {status}"));
        }
        found
    });
    each.collect()
}

fn component_ids(ids: &Value, wrong: &mut Vec<String>) -> Vec<&'static str> {
    let each = ids.as_array().into_iter().flatten().filter_map(|id| {
        let found = id.as_str().and_then(component);
        if found.is_none() {
            wrong.push(format!("Component ids: there is no {id}"));
        }
        found
    });
    each.collect()
}
