//! The OpenAPI document, made from the table of routes and from the types that are read and written.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::protocol::{Accepted, ApiError, COMMANDS, LOOKS, NotedHead, READ_ONLY, ROUTES, Route, SESSION};
use crate::domain::command::Ask;
use crate::domain::comms::Message;
use crate::domain::event::Record;
use crate::domain::hidden::Without;
use crate::domain::journal::Chain;
use crate::domain::live::Gaze;
use crate::domain::readiness::Assessment;
use crate::domain::review::Documents;
use crate::domain::view::{Snapshot, StepByHand, StepPreview, Update};

/// OpenAPI 3.1.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mayday",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Over the Unix socket of an engine. The peer's user id is taken from the socket.",
        },
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

fn operation(route: &Route) -> Value {
    let content = |media: &str, name: &str| json!({ media: { "schema": reference(name) } });
    let mut operation = json!({
        "summary": route.summary,
        "responses": {
            "200": { "description": route.summary, "content": content(route.media(), route.response) },
            "default": { "description": "What went wrong; nothing happened", "content": content("application/json", "Error") },
        },
    });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if !route.request.is_empty() {
        operation["requestBody"] = json!({ "required": true, "content": content("application/json", route.request) });
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let parameter = |place: &str, name: &str, ty: &str| json!({ "name": name, "in": place, "required": place == "path", "schema": { "type": ty } });
    let id = route.path.contains("{id}").then(|| parameter("path", "id", "string"));
    let query = route.query.iter().map(|(name, ty)| parameter("query", name, ty));
    let headers = matches!(*route, COMMANDS | LOOKS)
        .then(|| [parameter("header", SESSION, "string"), parameter("header", READ_ONLY, "boolean")]);
    id.into_iter().chain(query).chain(headers.into_iter().flatten()).collect()
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Puts a schema down, with all that it refers to.
type Of = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What the routes name, each by the type that is read or written.
const TYPES: &[(&str, Of)] = &[
    ("Snapshot", of::<Snapshot>),
    ("Update", of::<Update>),
    (ASK, of::<Ask>),
    ("Sending", |_| sending()),
    ("Accepted", of::<Accepted>),
    ("Gaze", of::<Gaze>),
    ("StepPreviews", of::<Vec<StepPreview>>),
    ("StepsByHand", of::<Vec<StepByHand>>),
    ("Assessments", of::<Vec<Assessment>>),
    ("Without", of::<Without>),
    ("Messages", of::<Vec<Message>>),
    ("Metrics", |_| json_schema!({ "type": "string", "description": "the Prometheus text format" })),
    ("Records", of::<Vec<Record>>),
    ("NotedHead", of::<NotedHead>),
    ("Documents", of::<Documents>),
    ("Chain", of::<Chain>),
    ("Document", |_| itself()),
    ("Error", of::<ApiError>),
];

/// What other monitoring sends, as its own documentation says: with what is read of it.
fn sending() -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": true,
        "properties": {
            "alerts": {
                "type": "array",
                "description": "of Alertmanager's webhook",
                "items": { "type": "object", "additionalProperties": true },
            },
            "Type": { "type": "string", "description": "of a notification of SNS" },
            "Message": { "type": "string", "description": "what SNS carries: a CloudWatch alarm, as JSON" },
            "AlarmName": { "type": "string", "description": "of a CloudWatch alarm by itself" },
            "NewStateValue": { "type": "string", "description": "of a CloudWatch alarm by itself" },
            "detail": { "type": "object", "additionalProperties": true, "description": "of an event of EventBridge" },
        },
    })
}

/// This document, as far as it says.
fn itself() -> Schema {
    json_schema!({
        "type": "object",
        "required": ["openapi", "info", "paths", "components"],
        "properties": {
            "openapi": { "type": "string" },
            "info": { "type": "object", "additionalProperties": true },
            "paths": { "type": "object", "additionalProperties": true },
            "components": { "type": "object", "additionalProperties": true },
        },
    })
}

const ASK: &str = "Ask";
/// Tells one ask from another.
const COMMAND: &str = "command";

fn schemas() -> Map<String, Value> {
    let here = |settings: &mut SchemaSettings| settings.definitions_path = "/components/schemas".into();
    let mut generator = SchemaSettings::draft2020_12().with(here).into_generator();
    let named = TYPES.iter().map(|(name, of)| ((*name).to_owned(), of(&mut generator).to_value()));
    let mut schemas: Map<String, Value> = named.collect();
    // A type that is called like the name is what the name refers to.
    schemas.extend(generator.take_definitions(true));
    take_asks_apart(&mut schemas);
    schemas
}

/// Gives every ask a name of its own (`AskDeclare`): a client that is generated from the document has a type for each then.
fn take_asks_apart(schemas: &mut Map<String, Value>) {
    let Some(Value::Array(asks)) = schemas.get_mut(ASK).and_then(|ask| ask.get_mut("oneOf")).map(Value::take) else {
        return;
    };
    let (mut references, mut mapping) = (Vec::new(), Map::new());
    for ask in asks {
        let word = ask["properties"][COMMAND]["const"].as_str().unwrap_or_default().to_owned();
        let name: String = std::iter::once(ASK.to_owned()).chain(word.split('-').map(capitalised)).collect();
        let place = reference(&name);
        mapping.insert(word, place["$ref"].clone());
        references.push(place);
        schemas.insert(name, ask);
    }
    schemas[ASK]["oneOf"] = references.into();
    schemas[ASK]["discriminator"] = json!({ "propertyName": COMMAND, "mapping": mapping });
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described_by_a_schema_that_exists() {
        let document = document();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert_eq!(operation["summary"], route.summary);
            for name in [route.request, route.response].into_iter().filter(|name| !name.is_empty()) {
                assert!(document["components"]["schemas"][name].is_object(), "{name} of {}", route.path);
            }
        }
    }

    /// Everything that a document refers to within itself.
    pub(crate) fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|it| references(it, found));
            }
            Value::Array(items) => items.iter().for_each(|it| references(it, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_name_says_more_than_its_name() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{}", found.len());
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let says = ["properties", "oneOf", "anyOf", "enum", "const", "items", "$ref", "type", "required"];
            assert!(says.iter().any(|key| schema.get(key).is_some()), "{name}: {schema}");
            let bare = schema["type"] == "object" && schema.as_object().unwrap().len() <= 2;
            assert!(!bare, "{name} has no properties: {schema}");
        }
    }

    /// A value that a schema allows: with all that it may have, or with what it must have and no more.
    fn sample(document: &Value, schema: &Value, full: bool) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return sample(document, document.pointer(reference.trim_start_matches('#')).unwrap(), full);
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(value) = ["enum", "examples"].iter().find_map(|key| schema[key].get(0)) {
            return value.clone();
        }
        if let Some(either) = ["oneOf", "anyOf"].iter().find_map(|key| schema[key].get(0)) {
            return sample(document, either, full);
        }
        let ty = schema["type"].as_str().or(schema["type"][0].as_str()).unwrap_or("object");
        match (ty, schema["format"].as_str()) {
            ("string", Some("date-time")) => json!("2026-11-23T04:05:06Z"),
            ("string", _) => json!("some text"),
            ("boolean", _) => json!(true),
            ("integer" | "number", _) => json!(1),
            ("array", _) if schema.get("prefixItems").is_some() => {
                schema["prefixItems"].as_array().unwrap().iter().map(|it| sample(document, it, full)).collect()
            }
            ("array", _) if full => json!([sample(document, &schema["items"], full)]),
            ("array", _) => json!([]),
            ("null", _) => Value::Null,
            _ => {
                let needed: Vec<&str> =
                    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let properties = schema["properties"].as_object().into_iter().flatten();
                let taken = properties.filter(|(name, _)| full || needed.contains(&name.as_str()));
                taken.map(|(name, schema)| (name.clone(), sample(document, schema, full))).collect()
            }
        }
    }

    #[test]
    fn a_client_made_from_the_document_can_send_every_ask() {
        let document = document();
        let mapping = document["components"]["schemas"][ASK]["discriminator"]["mapping"].as_object().unwrap();
        // serde tells what there is when it meets what there is not.
        let told = serde_json::from_value::<Ask>(json!({ COMMAND: "nothing" })).unwrap_err().to_string();
        let words: BTreeSet<&str> = told.split('`').skip(3).step_by(2).collect();
        assert_eq!(mapping.keys().map(String::as_str).collect::<BTreeSet<_>>(), words);
        for (word, place) in mapping {
            let schema = document.pointer(place.as_str().unwrap().trim_start_matches('#')).unwrap();
            assert_eq!(schema["properties"][COMMAND]["const"], *word);
            for full in [false, true] {
                let ask = sample(&document, schema, full);
                let read = serde_json::from_value::<Ask>(ask.clone());
                let read = read.unwrap_or_else(|why| panic!("{word}: {why}: {ask}"));
                assert_eq!(serde_json::to_value(&read).unwrap()[COMMAND], *word);
            }
        }
    }
}
