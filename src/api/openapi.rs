//! The OpenAPI document, made from the table of routes.

use serde_json::{Map, Value, json};

use super::protocol::{ROUTES, Route};

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
    let answer = |name: &str| json!({ "application/json": { "schema": reference(name) } });
    let mut operation = json!({
        "summary": route.summary,
        "responses": {
            "200": { "description": route.summary, "content": answer(route.response) },
            "default": { "description": "What went wrong; nothing happened", "content": answer("Error") },
        },
    });
    if route.path.contains("{id}") {
        operation["parameters"] =
            json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
    }
    if !route.request.is_empty() {
        operation["requestBody"] = json!({ "required": true, "content": answer(route.request) });
    }
    operation
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Schemas by name. Values of the domain are described by what they are for; their fields are those of the crate's types.
fn schemas() -> Value {
    let object = |about: &str| json!({ "type": "object", "description": about });
    let list = |about: &str| json!({ "type": "array", "items": { "type": "object" }, "description": about });
    json!({
        "Snapshot": object("estate, plans, state, live; `now` by the engine's clock"),
        "Update": object("`update`: `record` (a journalled event) or `live` (a reading, a survey, a log line)"),
        "Ask": {
            "type": "object",
            "required": ["command"],
            "properties": { "command": { "type": "string" } },
            "description": "`command` and its fields; see `mayday --help` for what there is",
        },
        "Accepted": {
            "type": "object",
            "properties": { "seq": { "type": "integer" }, "note": { "type": ["string", "null"] } },
        },
        "StepPreviews": list("a step each: observed, preview (summary, diff), checked (guards)"),
        "StepsByHand": list("a step each: title and lines for a shell"),
        "Records": list("seq, at, actor, event"),
        "Chain": {
            "type": "object",
            "properties": { "records": { "type": "integer" }, "head": { "type": "string" } },
        },
        "Document": object("OpenAPI 3.1"),
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
