//! Objects as a table, as `kubectl get` asks for them: the columns of Kubernetes' own printers.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Kind;

type Column = (&'static str, fn(&Value) -> Value);

const NAME: Column = ("Name", |it| it["metadata"]["name"].clone());
const AGE: Column = ("Age", |it| age(it).into());

fn columns(kind: Kind) -> Vec<Column> {
    let between: &[Column] = match kind {
        Kind::Namespace => &[("Status", |it| it["status"]["phase"].clone())],
        Kind::Node => &[("Status", |it| if holds(it, "Ready") { "Ready" } else { "NotReady" }.into())],
        Kind::Deployment => &[
            ("Ready", |it| {
                format!("{}/{}", number(&it["status"]["readyReplicas"]), number(&it["spec"]["replicas"])).into()
            }),
            ("Up-to-date", |it| number(&it["status"]["updatedReplicas"]).into()),
            ("Available", |it| number(&it["status"]["availableReplicas"]).into()),
        ],
        Kind::Autoscaler => &[
            ("Reference", |it| format!("Deployment/{}", words(&it["spec"]["scaleTargetRef"]["name"])).into()),
            ("Targets", |it| format!("cpu: {}", utilization(it)).into()),
            ("MinPods", |it| number(&it["spec"]["minReplicas"]).to_string().into()),
            ("MaxPods", |it| number(&it["spec"]["maxReplicas"]).into()),
            ("Replicas", |it| number(&it["status"]["currentReplicas"]).into()),
        ],
        Kind::Claim => &[("Status", |it| it["status"]["phase"].clone())],
        Kind::Quota => &[("Request", |it| {
            format!("pods: {}/{}", words(&it["status"]["used"]["pods"]), words(&it["status"]["hard"]["pods"])).into()
        })],
        Kind::Snapshot => &[
            ("ReadyToUse", |it| it["status"]["readyToUse"].as_bool().map_or(Value::Null, |it| it.to_string().into())),
            ("SourcePVC", |it| it["spec"]["source"]["persistentVolumeClaimName"].clone()),
        ],
        Kind::Backup | Kind::Schedule | Kind::BackupLocation => &[("Status", |it| it["status"]["phase"].clone())],
        Kind::Pod => &[
            ("Ready", |it| if holds(it, "Ready") { "1/1" } else { "0/1" }.into()),
            ("Status", |it| match it["metadata"]["deletionTimestamp"] {
                Value::Null => it["status"]["phase"].clone(),
                _ => "Terminating".into(),
            }),
            ("Restarts", |_| "0".into()),
        ],
    };
    [NAME].into_iter().chain(between.iter().copied()).chain([AGE]).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn holds(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|it| it["type"] == condition && it["status"] == "True")
}

fn utilization(autoscaler: &Value) -> String {
    let target = number(&autoscaler["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"]);
    match autoscaler["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"].as_u64() {
        Some(current) => format!("{current}%/{target}%"),
        None => format!("<unknown>/{target}%"),
    }
}

fn age(object: &Value) -> String {
    let Ok(created) = words(&object["metadata"]["creationTimestamp"]).parse::<Timestamp>() else {
        return "<unknown>".into();
    };
    match Timestamp::now().duration_since(created).as_secs() {
        secs @ ..120 => format!("{}s", secs.max(0)),
        secs @ 120..7200 => format!("{}m", secs / 60),
        secs @ 7200..172_800 => format!("{}h", secs / 3600),
        secs => format!("{}d", secs / 86_400),
    }
}

pub fn table<'a>(kind: Kind, objects: impl Iterator<Item = &'a Value>, version: &str) -> Value {
    let columns = columns(kind);
    let row = |object: &Value| {
        let cells: Vec<Value> = columns.iter().map(|(_, cell)| cell(object)).collect();
        let own =
            json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] });
        json!({ "cells": cells, "object": own })
    };
    let definition = |(name, _): &Column| {
        let format = if *name == NAME.0 { "name" } else { "" };
        json!({ "name": name, "type": "string", "format": format, "description": "", "priority": 0 })
    };
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": { "resourceVersion": version },
        "columnDefinitions": columns.iter().map(definition).collect::<Vec<_>>(),
        "rows": objects.map(row).collect::<Vec<_>>(),
    })
}
