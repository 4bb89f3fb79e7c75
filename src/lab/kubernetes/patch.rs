//! The two patches that clients send: JSON merge patch (RFC 7386), and Kubernetes' strategic one, which merges lists of named things.

use serde_json::{Map, Value};

/// How lists are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A list replaces a list.
    Merge,
    /// Lists whose items have a `name` are merged by it.
    Strategic,
}

impl Style {
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            _ => None,
        }
    }
}

/// Changes `target` as `patch` says: `null` removes.
pub fn apply(target: &mut Value, patch: &Value, style: Style) {
    match (target, patch) {
        (target, Value::Object(fields)) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let Value::Object(into) = target else { return };
            for (field, value) in fields {
                if value.is_null() {
                    into.remove(field);
                } else {
                    apply(into.entry(field.clone()).or_insert(Value::Null), value, style);
                }
            }
        }
        (Value::Array(into), Value::Array(items)) if style == Style::Strategic && items.iter().all(named) => {
            for item in items {
                match into.iter_mut().find(|old| old["name"] == item["name"]) {
                    Some(old) => apply(old, item, style),
                    None => into.push(item.clone()),
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn named(item: &Value) -> bool {
    item["name"].is_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_removes_and_lists_are_replaced_or_merged_by_name() {
        let before = json!({ "a": 1, "b": { "c": 2, "d": 3 }, "l": [{ "name": "x", "v": 1 }, { "name": "y" }] });
        let patch = json!({ "b": { "c": null, "e": 4 }, "l": [{ "name": "x", "w": 2 }] });
        let patched = |style| {
            let mut value = before.clone();
            apply(&mut value, &patch, style);
            value
        };
        assert_eq!(patched(Style::Merge), json!({ "a": 1, "b": { "d": 3, "e": 4 }, "l": [{ "name": "x", "w": 2 }] }));
        assert_eq!(patched(Style::Strategic)["l"], json!([{ "name": "x", "v": 1, "w": 2 }, { "name": "y" }]));
    }
}
