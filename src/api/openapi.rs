//! The OpenAPI document, made from the table of routes.

use serde_json::{Map, Value, json};

use super::protocol::{COMMANDS, LOOKS, READ_ONLY, ROUTES, Route, SESSION};

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

/// Schemas by name. Values of the domain are described by what they are for; their fields are those of the crate's types.
fn schemas() -> Value {
    let object = |about: &str, has: &[&str]| json!({ "type": "object", "description": about, "required": has });
    let list = |about: &str, has: &[&str]| json!({ "type": "array", "items": object(about, has) });
    json!({
        "Snapshot": object(
            "Everything; `now` is by the engine's clock",
            &["version", "now", "estate", "plans", "state", "live"],
        ),
        "Update": object("`record` (a journalled event) or `live` (a reading, a survey, a log line)", &["update"]),
        "Ask": {
            "type": "object",
            "required": ["command"],
            "properties": { "command": { "type": "string" } },
            "description": "`command` and its fields; see `mayday --help` for what there is",
        },
        "Accepted": {
            "type": "object",
            "required": ["seq"],
            "properties": { "seq": { "type": "integer" }, "note": { "type": ["string", "null"] } },
        },
        "Gaze": object("What a cockpit looks at: a pane, and a step if one is chosen", &["pane"]),
        "StepPreviews": list("A step", &["step", "title", "kind", "observed", "preview", "checked"]),
        "StepsByHand": list("A step; `lines` are for a shell", &["step", "title", "lines"]),
        "Assessments": list("A plan held against reality", &["plan", "at", "findings"]),
        "Messages": list("A message with its text for each audience", &["id", "purpose", "texts", "deliveries"]),
        "Metrics": { "type": "string", "description": "the Prometheus text format" },
        "Records": list("An event as it is journalled", &["seq", "at", "actor", "event"]),
        "Documents": object("The review of an incident, each form a text", &["incident", "markdown", "html", "json", "files"]),
        "Chain": {
            "type": "object",
            "required": ["records", "head"],
            "properties": { "records": { "type": "integer" }, "head": { "type": "string" } },
        },
        "NotedHead": {
            "type": "object",
            "required": ["record"],
            "properties": { "record": { "type": ["integer", "null"] } },
        },
        "Document": object("OpenAPI 3.1", &["openapi", "info", "paths", "components"]),
        "Error": {
            "type": "object",
            "required": ["code", "what"],
            "properties": {
                "code": { "enum": ["refused", "journal", "unreachable", "forbidden", "bad-request", "stopping"] },
                "what": { "type": "string" },
                "next": { "type": "string", "description": "what to press or run next" },
                "refusal": { "type": "object" },
            },
        },
    })
}

#[cfg(test)]
mod tests {
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
}
