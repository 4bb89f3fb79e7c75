//! `mayday lab break`, `heal` and `faults`: what can be broken in the lab and how, and what is.

use serde_json::{Value, json};

use super::text::table;
use crate::domain::text::clean;

/// For programs.
pub fn list_json(places: &[String], conditions: &[(&str, &str)]) -> Value {
    let condition = |(word, about): &(&str, &str)| json!({ "condition": word, "about": about });
    json!({ "places": places, "conditions": conditions.iter().map(condition).collect::<Vec<_>>() })
}

/// For people: the places by what they are in, then the conditions.
pub fn list(places: &[String], conditions: &[(&str, &str)]) -> String {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for place in places {
        let (name, region) = place.split_once('@').unwrap_or((place, ""));
        match groups.iter_mut().find(|(known, _)| *known == region) {
            Some((_, names)) => names.push(name),
            None => groups.push((region, vec![name])),
        }
    }
    let mut out = String::new();
    for (region, names) in groups {
        let (head, suffix) = if region.is_empty() {
            ("without a region, and the zones".to_owned(), String::new())
        } else {
            (format!("in {region}"), format!("@{region}"))
        };
        out += &format!("{head}\n");
        names.iter().for_each(|name| out += &format!("  {name}{suffix}\n"));
    }
    let rows: Vec<Vec<String>> = conditions.iter().map(|(word, about)| vec![(*word).into(), (*about).into()]).collect();
    out + "\n" + &table(&["condition", "what it does"], &rows)
}

/// For people: what is broken now.
pub fn now(faults: &Value) -> String {
    let broken: Vec<(&String, &Value)> = faults.as_object().into_iter().flatten().collect();
    if broken.is_empty() {
        return "Nothing is broken.".into();
    }
    let row = |(place, condition): (&String, &Value)| vec![clean(place), words(condition)];
    table(&["place", "condition"], &broken.into_iter().map(row).collect::<Vec<_>>())
}

/// `dark`, or `slow by 2.0 s`.
fn words(condition: &Value) -> String {
    if let Some(word) = condition.as_str() {
        return clean(word);
    }
    let by = &condition["slow"];
    let seconds = by["secs"].as_f64().unwrap_or_default() + by["nanos"].as_f64().unwrap_or_default() / 1e9;
    format!("slow by {}", super::text::length(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_grouped_and_what_is_broken_is_said_in_words() {
        let places = ["route53", "rds@us-east-1", "*@us-east-1"].map(str::to_owned);
        let said = list(&places, &[("dark", "nothing answers")]);
        assert!(said.contains("in us-east-1\n  rds@us-east-1\n  *@us-east-1\n") && said.contains("dark"), "{said}");
        let said = now(&json!({ "dns": "dark", "app@us-east-1": { "slow": { "secs": 0, "nanos": 900_000_000 } } }));
        assert!(said.contains("slow by 0.9 s") && said.contains("dns"), "{said}");
        assert_eq!(now(&json!({})), "Nothing is broken.");
    }
}
