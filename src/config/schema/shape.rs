//! The rows of a table as a JSON Schema: what [`params`](crate::config::params) reads, said for an editor.

use serde_json::{Map, Value, json};

use crate::config::params::default_value;
use crate::domain::kinds::{Need, Param, ParamType};
use crate::domain::time::Span;

/// What names something; [`is_name`](crate::config::read::is_name) as a pattern.
const NAME: &str = "^[A-Za-z0-9._-]{1,64}$";
/// A `{name}` in the text of a plan.
const PLACEHOLDER: &str = r"\{[a-z][a-z0-9_]*\}";
const URL: &str = r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]+([/?#].*)?$";
/// Statuses as a text: `2xx`, `200-299`, `204`.
const STATUSES: &str = r"^\s*[1-5](xx|XX|[0-9]{2}(\s*-\s*[1-5][0-9]{2})?)\s*$";
const ADDRESS: &str = r"^(\[[^\]]*\]|[^:/ @]+):[0-9]+$";

/// The keys of a table, and which of them it needs.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    properties: Map<String, Value>,
    required: Vec<String>,
    /// In a plan a text may hold a placeholder wherever a text stands.
    placeholders: bool,
}

impl Shape {
    pub fn new() -> Self {
        Self::default()
    }

    /// Of a plan.
    pub fn of_plan() -> Self {
        Self { placeholders: true, ..Self::default() }
    }

    pub fn with(mut self, key: &str, mut schema: Value, about: &str) -> Self {
        if self.placeholders {
            schema = or_placeholder(schema);
        }
        if !about.is_empty() {
            schema["description"] = json!(about);
        }
        self.properties.insert(key.to_owned(), schema);
        self
    }

    pub fn needs(mut self, key: &str, schema: Value, about: &str) -> Self {
        self.required.push(key.to_owned());
        self.with(key, schema, about)
    }

    /// The rows that validate. What is there already stays: it is read first.
    pub fn rows(self, rows: &[Param]) -> Self {
        rows.iter().fold(self, |shape, row| {
            if shape.properties.contains_key(row.name) {
                return shape;
            }
            let mut schema = of_type(row.ty);
            match row.need {
                Need::Required => return shape.needs(row.name, schema, row.help),
                Need::Default(text) => {
                    // A contract test makes sure that every default is what its type says.
                    if let Ok(value) = default_value(row.ty, text) {
                        schema["default"] = value;
                    }
                }
                Need::Optional => {}
            }
            shape.with(row.name, schema, row.help)
        })
    }

    /// A table with these keys and no others.
    pub fn closed(self, title: &str) -> Value {
        let mut schema = json!({ "type": "object", "properties": self.properties, "additionalProperties": false });
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        if !title.is_empty() {
            schema["title"] = json!(title);
        }
        schema
    }
}

/// What a text is held against is not known before its placeholders are filled in.
fn or_placeholder(schema: Value) -> Value {
    let is_bound = schema.get("enum").is_some() || schema.get("pattern").is_some();
    if !is_bound || schema["type"] != "string" {
        return schema;
    }
    let default = schema.get("default").cloned();
    let mut either = json!({ "anyOf": [schema, { "type": "string", "pattern": PLACEHOLDER }] });
    if let Some(default) = default {
        either["default"] = default;
    }
    either
}

pub fn of_type(ty: ParamType) -> Value {
    match ty {
        ParamType::Text | ParamType::Region => text(),
        ParamType::Integer => json!({ "type": "integer", "minimum": 0 }),
        ParamType::Flag => json!({ "type": "boolean" }),
        ParamType::Span => span(),
        ParamType::Url => json!({ "type": "string", "pattern": URL }),
        ParamType::Address => json!({ "type": "string", "pattern": ADDRESS }),
        ParamType::Path => json!({ "type": "string", "pattern": "^/" }),
        ParamType::Paths => json!({ "type": "string", "pattern": "^(/|~/)[^:]*(:(/|~/)[^:]*)*$" }),
        ParamType::List => texts(),
        ParamType::Addresses => {
            json!({ "type": "array", "items": of_type(ParamType::Address), "uniqueItems": true })
        }
        ParamType::Command => json!({ "type": "array", "items": text(), "minItems": 1 }),
        ParamType::Map | ParamType::Regions => json!({ "type": "object", "additionalProperties": text() }),
        ParamType::Numbers => json!({ "type": "object", "additionalProperties": of_type(ParamType::Integer) }),
        ParamType::Decimal => json!({ "type": "number" }),
        ParamType::Statuses => {
            let number = json!({ "type": "integer", "minimum": 100, "maximum": 599 });
            let text = json!({ "type": "string", "pattern": STATUSES });
            let one = json!({ "anyOf": [number, text] });
            json!({ "anyOf": [number, text, { "type": "array", "items": one, "minItems": 1 }] })
        }
        ParamType::Pattern => json!({ "type": "string", "format": "regex" }),
        ParamType::Pointer => json!({ "type": "string", "pattern": "^(/|$)" }),
        ParamType::Headers => json!({ "type": "object", "additionalProperties": text() }),
        ParamType::Choice(words) => choice(words),
        ParamType::Secret => defined("secret"),
    }
}

pub fn text() -> Value {
    json!({ "type": "string" })
}

pub fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

pub fn name() -> Value {
    json!({ "type": "string", "pattern": NAME })
}

pub fn span() -> Value {
    json!({ "type": "string", "pattern": Span::PATTERN })
}

pub fn flag() -> Value {
    of_type(ParamType::Flag)
}

pub fn choice(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

pub fn count(most: i64) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": most })
}

/// A list of tables, each as a definition says.
pub fn list_of(definition: &str) -> Value {
    json!({ "type": "array", "items": defined(definition) })
}

pub fn defined(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// One of several tables, told apart by their `kind`.
pub fn one_of(variants: impl Iterator<Item = Value>) -> Value {
    json!({ "type": "object", "required": ["kind"], "oneOf": variants.collect::<Vec<_>>() })
}

pub fn kind(name: &str) -> Value {
    json!({ "const": name })
}

/// Where a secret is kept.
pub fn secret() -> Value {
    let place = |key: &str, schema: Value, about: &str| Shape::new().needs(key, schema, about).closed("");
    let mut command = texts();
    command["minItems"] = json!(1);
    json!({
        "description": "Where the secret is kept; never the secret itself",
        "oneOf": [
            place("env", text(), "an environment variable of the engine"),
            place("file", text(), "a file; relative paths start at the directory of the config"),
            place("command", command, "a program with its arguments, which prints it"),
        ],
    })
}
