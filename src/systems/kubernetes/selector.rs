//! Label selectors with both of their halves, and the same expressions where nodes are chosen by them.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements>

use std::collections::BTreeMap;

use serde_json::Value;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

pub fn labels(object: &Value) -> Labels {
    let all = object["metadata"]["labels"].as_object().into_iter().flatten();
    all.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Whether a selector (`matchLabels`, `matchExpressions`) takes these labels. One that says nothing takes none here: by it nobody is told
/// apart.
pub fn takes(selector: &Value, has: &Labels) -> bool {
    let labels: Vec<_> = selector["matchLabels"].as_object().into_iter().flatten().collect();
    let expressions: Vec<&Value> = selector["matchExpressions"].as_array().into_iter().flatten().collect();
    let says = !labels.is_empty() || !expressions.is_empty();
    says && labels.iter().all(|(name, value)| has.get(*name).map(String::as_str) == value.as_str())
        && expressions.iter().all(|it| holds(it, has))
}

/// Whether one expression holds. One that is not understood does: what cannot be told is not nobody's.
pub fn holds(expression: &Value, has: &Labels) -> bool {
    let value = has.get(expression["key"].as_str().unwrap_or_default()).map(String::as_str);
    let listed = || {
        let all = expression["values"].as_array().into_iter().flatten();
        value.is_some_and(|value| all.filter_map(Value::as_str).any(|it| it == value))
    };
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let bound = number(expression["values"][0].as_str());
    match expression["operator"].as_str() {
        Some("In") => listed(),
        Some("NotIn") => !listed(),
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        Some("Gt") => number(value).zip(bound).is_some_and(|(value, bound)| value > bound),
        Some("Lt") => number(value).zip(bound).is_some_and(|(value, bound)| value < bound),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_halves_of_a_selector_count() {
        let has: Labels = [("app", "auth"), ("tier", "back"), ("size", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let expression = |key: &str, operator: &str, values: Value| json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
        for (selector, is) in [
            (json!({ "matchLabels": { "app": "auth" } }), true),
            (json!({ "matchLabels": { "app": "other" } }), false),
            (json!({}), false),
            (expression("app", "In", json!(["auth", "x"])), true),
            (expression("app", "NotIn", json!(["auth"])), false),
            (expression("gone", "NotIn", json!(["auth"])), true),
            (expression("tier", "Exists", Value::Null), true),
            (expression("tier", "DoesNotExist", Value::Null), false),
            (expression("size", "Gt", json!(["2"])), true),
            (expression("size", "Lt", json!(["2"])), false),
            (
                json!({ "matchLabels": { "app": "auth" }, "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["front"] }] }),
                false,
            ),
        ] {
            assert_eq!(takes(&selector, &has), is, "{selector}");
        }
    }
}
