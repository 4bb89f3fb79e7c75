//! Estates as they are: what people run beside deployments, servers that are slow, old, or refuse, and the ways to them.

mod fence;
mod looks;
mod ways;

use std::sync::Arc;

use serde_json::{Value, json};

use super::Cluster;
use super::steps::step;
use crate::domain::params::Params;
use crate::domain::plan::StepSpec;
use crate::domain::system::{Begun, Receipt, Step, StepLog};
use crate::domain::time::At;

const APPS: &str = "/apis/apps/v1/namespaces/shop";
const BATCH: &str = "/apis/batch/v1/namespaces/shop";
const CORE: &str = "/api/v1/namespaces/shop";

/// Hears nothing.
struct Deaf;

impl StepLog for Deaf {
    fn line(&self, _: &str) {}
}

/// A step of a kind, as a plan would have it.
fn made(cluster: &Arc<Cluster>, kind: &str, given: Value) -> Arc<dyn Step> {
    let mut spec: StepSpec = serde_json::from_value(json!({
        "id": "s", "title": "S", "kind": kind, "system": "k8s", "role": "changes", "undo": "revert",
        "gate": "auto", "timeout": "1m", "params": {}, "needs": [], "yes": false, "phrase": "",
    }))
    .expect("it is a step");
    spec.params = Params(given.as_object().unwrap().clone().into_iter().collect());
    step(cluster, &spec).unwrap()
}

fn begun(pre_image: Value) -> Begun {
    Begun { at: At::now(), pre_image, receipt: Receipt::new(), process: None }
}
