//! What runs pods, as far as a recovery is concerned: how many are wanted, how many there are, and who else changes that.

use std::sync::Arc;

use serde_json::Value;

use super::Spot;
use super::lists::part;
use super::scalers::Scaler;
use super::selector::{self, Labels};
use super::sorts::{Knob, Sort};
use crate::domain::health::Status;
use crate::domain::text::clean;
use crate::domain::time::At;

/// The annotation by which `kubectl rollout restart` makes new pods.
pub const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// Who minds an object, by its `ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub api_version: String,
    pub kind: String,
    pub name: String,
}

impl Owner {
    pub fn of(object: &Value) -> Option<Self> {
        let all = object["metadata"]["ownerReferences"].as_array()?;
        let minds = all.iter().find(|it| it["controller"].as_bool() == Some(true))?;
        let text = |name: &str| minds[name].as_str().unwrap_or_default().to_owned();
        Some(Self { api_version: text("apiVersion"), kind: text("kind"), name: text("name") })
    }

    /// `RedisCluster cache`
    pub fn words(&self) -> String {
        clean(&format!("{} {}", self.kind, self.name))
    }
}

/// What is wanted of an object that runs pods, and what there is.
#[derive(Clone, Debug)]
pub struct Workload {
    pub spot: Arc<Spot>,
    pub sort: Sort,
    pub name: String,
    /// Where it is in the API.
    pub path: String,
    pub wanted: u64,
    pub available: u64,
    pub updated: u64,
    pub all: u64,
    /// Whether the controller has acted by the newest spec: before that its numbers are of the one before.
    pub observed: bool,
    pub restarted: Option<At>,
    /// Argo restarts pods one after the other, and says at the end which wish it has fulfilled.
    restarting: bool,
    pub scaler: Option<Scaler>,
    pub owner: Option<Owner>,
    /// What its pods are made by.
    pub template: Value,
    /// Why new pods do not come by themselves after a restart.
    pub holds_back: Option<&'static str>,
    /// Whether its volumes go with its pods when it is scaled down.
    pub drops_claims: bool,
    selector: Value,
    /// A Job that was told to wait.
    suspended: bool,
}

/// The first of these fields that holds a number.
fn number(object: &Value, pointers: &[&str]) -> Option<u64> {
    pointers.iter().find_map(|pointer| object.pointer(pointer)?.as_u64())
}

/// What is wanted, by the knob that it is wanted with.
fn wanted(object: &Value, sort: &Sort) -> u64 {
    let spec = &object["spec"];
    match sort.knob {
        Knob::Suspend => u64::from(spec["suspend"].as_bool() != Some(true)),
        Knob::Pause => {
            let annotations = &object["metadata"]["annotations"];
            u64::from(annotations[super::scalers::PAUSED].as_str() != Some("true"))
        }
        Knob::Parallelism => {
            let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
            let ended = |it: &Value| {
                matches!(it["type"].as_str(), Some("Complete" | "Failed")) && it["status"].as_str() == Some("True")
            };
            let is_over = conditions.into_iter().any(ended) || spec["suspend"].as_bool() == Some(true);
            if is_over { 0 } else { number(object, &["/spec/parallelism"]).unwrap_or(1) }
        }
        // Left out, it is one (the API reference).
        Knob::Scale => number(object, &["/spec/replicas"]).unwrap_or(1),
        Knob::None => number(object, &["/status/desiredNumberScheduled"]).unwrap_or(0),
    }
}

/// Kubernetes' own say which generation they have acted by; of others it is believed when they say nothing. Argo writes it as a text.
fn is_observed(object: &Value) -> bool {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    let acted = &object["status"]["observedGeneration"];
    let acted = acted.as_i64().or_else(|| acted.as_str()?.parse().ok());
    let own = matches!(object["kind"].as_str(), Some("Deployment" | "StatefulSet" | "DaemonSet"));
    acted.map_or(!own || generation == 0, |acted| acted >= generation)
}

impl Workload {
    pub fn of(object: &Value, sort: &Sort, spot: &Arc<Spot>) -> Self {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let template = match sort.knob {
            Knob::Suspend => &object["spec"]["jobTemplate"]["spec"]["template"],
            _ => &object["spec"]["template"],
        };
        let restarted = match object["spec"]["restartAt"].as_str() {
            Some(at) => Some(at),
            None => template["metadata"]["annotations"][RESTARTED].as_str(),
        };
        let list = sort.paths(&spot.namespace).next().unwrap_or_default();
        let strategy = &object["spec"]["updateStrategy"];
        let is_paused = sort.kind == "Deployment" && object["spec"]["paused"].as_bool() == Some(true);
        let holds_back = match (strategy["type"].as_str(), number(strategy, &["/rollingUpdate/partition"])) {
            _ if is_paused => Some("it is paused: no new pods are made before `kubectl rollout resume`"),
            (Some("OnDelete"), _) => Some("its update strategy is OnDelete: each pod has to be deleted by hand"),
            (_, Some(1..)) => Some("its update has a partition: the pods below it stay as they are"),
            _ => None,
        };
        Self {
            wanted: wanted(object, sort),
            // Before 1.22 a StatefulSet tells only of those that are ready.
            available: number(
                object,
                &["/status/availableReplicas", "/status/numberAvailable", "/status/readyReplicas"],
            )
            .unwrap_or(0),
            updated: number(object, &["/status/updatedReplicas", "/status/updatedNumberScheduled"]).unwrap_or(0),
            all: number(object, &["/status/replicas", "/status/currentNumberScheduled", "/status/active"]).unwrap_or(0),
            observed: is_observed(object),
            restarting: object["spec"]["restartAt"].is_string()
                && object["spec"]["restartAt"] != object["status"]["restartedAt"],
            restarted: restarted.and_then(|text| text.parse().ok()),
            scaler: None,
            owner: Owner::of(object),
            template: template.clone(),
            holds_back,
            drops_claims: object["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Delete",
            selector: object["spec"]["selector"].clone(),
            suspended: sort.knob == Knob::Parallelism && number(object, &["/spec/parallelism"]) == Some(0),
            path: format!("{list}/{}", part(&name)),
            spot: spot.clone(),
            sort: sort.clone(),
            name,
        }
    }

    /// One of which only its pods are known.
    pub fn unknown(sort: &Sort, name: &str, owner: Option<Owner>, spot: &Arc<Spot>) -> Self {
        let mut it = Self::of(&Value::Null, sort, spot);
        (it.name, it.owner, it.wanted) = (name.to_owned(), owner, 0);
        it
    }

    /// The same where a server has it in another version of its API.
    pub fn listed_at(mut self, list: &str) -> Self {
        self.path = format!("{list}/{}", part(&self.name));
        self
    }

    /// Whether it, or what minds it, may be meant by this.
    pub fn is_meant(&self, asked: &str) -> bool {
        let by_owner =
            |owner: &Owner| owner.name == asked || format!("{}/{}", owner.kind, owner.name).eq_ignore_ascii_case(asked);
        self.is_called(asked) || self.owner.as_ref().is_some_and(by_owner)
    }

    /// `auth`, `StatefulSet queue`, `shop/auth` where there are several namespaces.
    pub fn called(&self) -> String {
        let name = format!("{}{}", self.spot.label, self.name);
        clean(&match &*self.sort.kind {
            "Deployment" => name,
            kind => format!("{kind} {name}"),
        })
    }

    /// What it is called in the journal: the name of a deployment, and of everything else with its kind.
    pub fn key(&self) -> String {
        match &*self.sort.kind {
            "Deployment" => format!("{}{}", self.spot.label, self.name),
            _ => format!("{}{}/{}", self.spot.label, self.sort.resource(), self.name),
        }
    }

    /// Whether people may mean it by this: `queue`, `statefulset/queue`, `shop/queue`, `shop/statefulset/queue`.
    pub fn is_called(&self, asked: &str) -> bool {
        let own = |rest: &str| match rest.rsplit_once('/') {
            None => rest == self.name,
            Some((kind, name)) => name == self.name && self.sort.is_called(kind),
        };
        own(asked) || self.spot.prefixes.iter().any(|prefix| asked.strip_prefix(prefix.as_str()).is_some_and(own))
    }

    /// Whether it waits to go on: a Job at zero.
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Whether a pod that nobody minds yet would be taken by it.
    pub fn takes(&self, labels: &Labels) -> bool {
        selector::takes(&self.selector, labels)
    }

    /// Every wanted replica is of the newest version and serves, and none of an older one is left.
    pub fn is_settled(&self) -> bool {
        let all = self.available == self.wanted && self.updated == self.wanted && self.all == self.wanted;
        self.observed && !self.restarting && all
    }

    /// It asks for `full` replicas at least, and no autoscaler will take them away.
    pub fn asks_for(&self, full: u64) -> bool {
        self.wanted >= full && self.scaler.as_ref().is_none_or(|it| it.bounds.leaves(full))
    }

    /// At least `full` replicas serve, and will stay.
    pub fn carries(&self, full: u64) -> bool {
        self.observed && self.asks_for(full) && self.available >= full
    }

    /// Whether it is told to run nothing, and nobody will tell it otherwise.
    pub fn is_stopped(&self) -> bool {
        self.wanted == 0 && self.scaler.as_ref().is_none_or(|it| it.bounds.leaves_zero())
    }

    pub fn health(&self) -> Status {
        match (self.wanted, self.available) {
            (0, _) | (_, 0) => Status::Down,
            (wanted, available) if available < wanted || !self.observed => Status::Degraded,
            _ => Status::Healthy,
        }
    }

    /// `3 of 4 available, HPA 4..10`
    pub fn words(&self) -> String {
        let scaler = self.scaler.as_ref().map_or(String::new(), |it| format!(", {}", it.bounds.words()));
        let pending = if self.observed { "" } else { ", a change is not acted on yet" };
        match self.wanted {
            0 => format!("scaled to zero{pending}"),
            wanted => format!("{} of {wanted} available{scaler}{pending}", self.available),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scalers::{Autoscaler, Keda};
    use super::super::sorts::{CRON_JOB, DAEMON_SET, DEPLOYMENT, JOB, ROLLOUT, STATEFUL_SET};
    use super::*;

    fn workload(generation: i64, observed: i64, wanted: i64, available: i64) -> Workload {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "auth", "generation": generation },
            "spec": { "replicas": wanted, "selector": {}, "template": {} },
            "status": { "observedGeneration": observed, "replicas": available, "updatedReplicas": available, "availableReplicas": available },
        });
        Workload::of(&deployment, &DEPLOYMENT, &Spot::alone("gennet"))
    }

    #[test]
    fn numbers_of_an_older_generation_prove_nothing() {
        assert!(workload(3, 3, 4, 4).carries(4));
        assert!(!workload(4, 3, 4, 4).carries(4), "the controller has not seen the change");
        assert!(!workload(4, 3, 4, 4).is_settled());
        assert_eq!(workload(4, 3, 4, 4).health(), Status::Degraded);
    }

    #[test]
    fn an_autoscaler_that_may_take_replicas_away_is_not_ready() {
        let mut workload = workload(1, 1, 4, 4);
        let scaler = |min, keda| {
            let bounds = Autoscaler { name: "auth".into(), min, max: 10, keda };
            Some(Scaler::minding("Deployment", "auth", bounds))
        };
        workload.scaler = scaler(1, None);
        assert!(!workload.asks_for(4));
        workload.scaler = scaler(4, None);
        assert!(workload.carries(4) && !workload.carries(5));
        workload.wanted = 0;
        assert!(workload.is_stopped(), "an autoscaler is off at zero");
        workload.scaler = scaler(4, Some(Keda::default()));
        assert!(!workload.is_stopped(), "KEDA starts it again");
    }

    #[test]
    fn nothing_wanted_is_nothing_served() {
        assert_eq!(workload(1, 1, 0, 0).health(), Status::Down);
        assert_eq!(workload(1, 1, 3, 0).health(), Status::Down);
        assert_eq!(workload(1, 1, 3, 2).health(), Status::Degraded);
        assert_eq!(workload(1, 1, 3, 3).health(), Status::Healthy);
    }

    #[test]
    fn every_kind_says_in_its_own_way_what_it_wants() {
        let of = |sort: &Sort, object: Value| Workload::of(&object, sort, &Spot::alone("shop"));
        let set = of(
            &STATEFUL_SET,
            json!({ "kind": "StatefulSet", "metadata": { "generation": 2 }, "spec": { "replicas": 3, "updateStrategy": { "type": "OnDelete" } }, "status": { "observedGeneration": 2, "readyReplicas": 3, "replicas": 3 } }),
        );
        assert_eq!(
            (set.wanted, set.available, set.health()),
            (3, 3, Status::Healthy),
            "1.20 tells of no available ones"
        );
        assert!(set.holds_back.is_some() && !set.drops_claims);
        let paused = of(&DEPLOYMENT, json!({ "spec": { "paused": true } }));
        assert!(paused.holds_back.is_some_and(|why| why.contains("paused")));
        let drops = json!({ "spec": { "persistentVolumeClaimRetentionPolicy": { "whenScaled": "Delete", "whenDeleted": "Retain" } } });
        assert!(of(&STATEFUL_SET, drops).drops_claims);
        let rollout = of(
            &ROLLOUT,
            json!({ "kind": "Rollout", "metadata": { "generation": 7 }, "spec": { "replicas": 2, "restartAt": "2026-11-23T04:00:00Z" }, "status": { "observedGeneration": "6", "availableReplicas": 2 } }),
        );
        assert!(!rollout.observed && rollout.restarted.is_some() && rollout.restarting);
        assert!(
            of(&ROLLOUT, json!({ "kind": "Rollout", "spec": { "replicas": 3 } })).observed,
            "nobody minds it, and it is told so"
        );
        let daemon = of(&DAEMON_SET, json!({ "status": { "desiredNumberScheduled": 2, "numberAvailable": 1 } }));
        assert_eq!((daemon.wanted, daemon.available), (2, 1));
        for (spec, status, wanted) in [
            (json!({}), json!({}), 1),
            (json!({ "parallelism": 4 }), json!({ "active": 4 }), 4),
            (json!({ "suspend": true }), json!({}), 0),
            (json!({ "parallelism": 4 }), json!({ "conditions": [{ "type": "Complete", "status": "True" }] }), 0),
        ] {
            assert_eq!(of(&JOB, json!({ "spec": spec, "status": status })).wanted, wanted, "{spec} {status}");
        }
        assert_eq!(of(&CRON_JOB, json!({ "spec": { "suspend": true } })).wanted, 0);
        assert_eq!(of(&CRON_JOB, json!({ "spec": {} })).wanted, 1);
    }

    #[test]
    fn a_name_may_say_its_kind_and_its_namespace() {
        let spot = Spot::among("shop", Some("arn:aws:eks:east:1:cluster/a"));
        let it = Workload::of(&json!({ "metadata": { "name": "queue" } }), &STATEFUL_SET, &spot);
        for asked in [
            "queue",
            "statefulset/queue",
            "shop/queue",
            "shop/statefulsets/queue",
            "arn:aws:eks:east:1:cluster/a/shop/queue",
        ] {
            assert!(it.is_called(asked), "{asked}");
        }
        for asked in ["queue2", "deployment/queue", "cart/queue", "shop"] {
            assert!(!it.is_called(asked), "{asked}");
        }
        assert_eq!(it.key(), "arn:aws:eks:east:1:cluster/a/shop/statefulsets/queue");
        assert!(it.is_called(&it.key()));
        assert_eq!(workload(1, 1, 1, 1).key(), "auth", "as older journals have it");
    }
}
