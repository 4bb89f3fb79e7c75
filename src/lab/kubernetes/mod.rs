//! A Kubernetes API per region, and the truth about the cluster: what is wanted, what runs, and the controllers in between.

mod api;
pub mod backups;
mod controllers;
mod objects;
mod patch;
mod refusal;
mod resources;
mod selector;
mod table;
mod view;
mod watch;
mod writes;

use std::collections::BTreeSet;
use std::io;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::backups::Backups;
use self::view::View;
use super::Site;
use super::faults::Faults;
use super::world::{PRIMARY, Tick, ZONES};

/// The place of the API servers.
const PLACE: &str = "kubernetes";

pub const NAMESPACE: &str = "gennet";

/// A service of GenNet: one deployment in each region.
pub struct Service {
    pub name: &'static str,
    pub tier: &'static str,
    /// How many replicas carry the full load.
    pub full: u64,
    /// Whether an autoscaler minds it.
    autoscaled: bool,
}

const fn service(name: &'static str, tier: &'static str, full: u64, autoscaled: bool) -> Service {
    Service { name, tier, full, autoscaled }
}

pub const SERVICES: [Service; 6] = [
    service("api-gateway", "critical", 4, true),
    service("auth", "critical", 3, false),
    service("grn-engine", "critical", 4, true),
    service("ml-inference", "standard", 2, false),
    service("web-portal", "standard", 2, false),
    service("workflow", "standard", 3, false),
];

/// The nodes of each region, one in each of its zones. Together they hold 21 pods: the full load of 18, and a little.
pub const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];

/// What a pod asks for, and what a node has for pods, in thousandths of a CPU and in MiB.
const POD_CPU: u64 = 500;
const POD_MEMORY: u64 = 512;
const NODE_CPU: u64 = 3500;
const NODE_MEMORY: u64 = 14 * 1024;

/// How many pods the namespace's quota allows, and how many where somebody has cut it.
const QUOTA: u64 = 60;
const CUT: u64 = 8;

/// A warm standby runs one replica of everything.
const WARM: u64 = 1;
const MOST: u64 = 10;

/// An object of the API: its kind, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Namespace,
    Node,
    Deployment,
    Autoscaler,
    Pod,
    Claim,
    Quota,
    Snapshot,
    Backup,
    Schedule,
    BackupLocation,
}

struct Deployment {
    name: &'static str,
    annotations: Value,
    /// As the API has it; `replicas` and `template` are acted by.
    spec: Value,
    generation: u64,
    /// When `generation` last rose.
    changed: Timestamp,
    /// The generation that the controller acts by, and what it then wanted.
    observed: u64,
    replicas: u64,
    template: Value,
    /// Counts templates.
    revision: u64,
}

struct Autoscaler {
    name: &'static str,
    spec: Value,
    annotations: Value,
    /// When it looks next.
    due: Timestamp,
    desired: u64,
    /// Off, because its deployment wants no replicas.
    off: bool,
}

struct Pod {
    name: String,
    service: &'static str,
    revision: u64,
    created: Timestamp,
    /// Where and when it was started; `None` while there is no room for it.
    placed: Option<(usize, Timestamp)>,
    ready: Option<Timestamp>,
    leaving: Option<Timestamp>,
}

struct Node {
    name: &'static str,
    zone: &'static str,
    ready: bool,
    /// Since when it is ready, or not.
    since: Timestamp,
}

/// One region's cluster.
pub struct Cluster {
    region: &'static str,
    created: Timestamp,
    /// When the world began.
    started: Timestamp,
    backups: Backups,
    deployments: Vec<Deployment>,
    autoscalers: Vec<Autoscaler>,
    pods: Vec<Pod>,
    nodes: Vec<Node>,
    /// Whether an older version is deployed than elsewhere.
    drifted: bool,
    /// How many pods there may be.
    quota: u64,
    /// Objects that changed since they were last published.
    touched: BTreeSet<(Kind, String)>,
    view: View,
    /// Counts pods; never reused.
    serial: u64,
}

impl Cluster {
    /// The primary carries the full load; the standby is warm. Everything has been running for days.
    pub fn gennet(region: &'static str, now: Timestamp) -> Self {
        let created = now - std::time::Duration::from_secs(3 * 24 * 3600);
        let size = |service: &Service| if region == PRIMARY { service.full } else { WARM };
        let deployment = |service: &Service| {
            let spec = deployment_spec(service.name, size(service));
            Deployment {
                name: service.name,
                annotations: json!({ "deployment.kubernetes.io/revision": "1" }),
                template: spec["template"].clone(),
                spec,
                generation: 1,
                changed: created,
                observed: 1,
                replicas: size(service),
                revision: 1,
            }
        };
        let autoscaler = |service: &Service| Autoscaler {
            name: service.name,
            spec: autoscaler_spec(service.name, size(service)),
            annotations: json!({}),
            due: now,
            desired: size(service),
            off: false,
        };
        let mut cluster = Self {
            region,
            created,
            started: now,
            backups: Backups::default(),
            deployments: SERVICES.iter().map(deployment).collect(),
            autoscalers: SERVICES.iter().filter(|service| service.autoscaled).map(autoscaler).collect(),
            pods: Vec::new(),
            nodes: nodes(region, created),
            drifted: false,
            quota: QUOTA,
            touched: BTreeSet::new(),
            view: View::default(),
            serial: 0,
        };
        cluster.settle(created);
        cluster.back_up(&Faults::default());
        cluster.touch(Kind::Namespace, NAMESPACE);
        cluster.touch(Kind::Quota, NAMESPACE);
        cluster.touch(Kind::Namespace, backups::VELERO_NAMESPACE);
        NODES.into_iter().for_each(|name| cluster.touch(Kind::Node, name));
        SERVICES.iter().filter(|it| it.autoscaled).for_each(|it| cluster.touch(Kind::Autoscaler, it.name));
        cluster.publish();
        cluster
    }

    /// How many pods of a service are ready.
    pub fn ready(&self, service: &str) -> usize {
        self.pods_of(service).filter(|pod| pod.ready.is_some() && pod.leaving.is_none()).count()
    }

    /// How many pods of a service there are, ending ones included.
    pub fn pods(&self, service: &str) -> usize {
        self.pods_of(service).count()
    }

    /// How many replicas its deployment asks for.
    pub fn desired(&self, service: &str) -> u64 {
        self.deployments.iter().find(|it| it.name == service).map_or(0, Deployment::wanted)
    }

    fn pods_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().filter(move |pod| pod.service == service)
    }

    fn touch(&mut self, kind: Kind, name: &str) {
        self.touched.insert((kind, name.to_owned()));
    }

    pub fn tick(&mut self, tick: &Tick<'_>) {
        controllers::tick(self, tick);
        self.back_up(tick.faults);
        self.publish();
    }
}

impl Deployment {
    fn wanted(&self) -> u64 {
        self.spec["replicas"].as_u64().unwrap_or(1)
    }
}

/// A node in each zone.
fn nodes(region: &str, since: Timestamp) -> Vec<Node> {
    let zones = ZONES.iter().find(|(of, _)| *of == region).map_or(ZONES[0].1, |(_, zones)| *zones);
    NODES.into_iter().zip(zones).map(|(name, zone)| Node { name, zone, ready: true, since }).collect()
}

/// What runs everywhere, and what runs where a release was forgotten.
const VERSION: &str = "1.42.0";
const OLDER: &str = "1.41.3";

fn image(name: &str, version: &str) -> String {
    format!("registry.gennet.example/{name}:{version}")
}

fn deployment_spec(name: &str, replicas: u64) -> Value {
    let requests = json!({ "cpu": format!("{POD_CPU}m"), "memory": format!("{POD_MEMORY}Mi") });
    let container = json!({
        "name": name,
        "image": image(name, VERSION),
        "ports": [{ "containerPort": 8080, "protocol": "TCP" }],
        "resources": { "requests": requests },
    });
    json!({
        "replicas": replicas,
        "selector": { "matchLabels": { "app": name } },
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } },
        "progressDeadlineSeconds": 600,
        "template": { "metadata": { "labels": { "app": name } }, "spec": { "containers": [container] } },
    })
}

fn autoscaler_spec(name: &str, min: u64) -> Value {
    let target = json!({ "type": "Utilization", "averageUtilization": 70 });
    json!({
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
        "minReplicas": min,
        "maxReplicas": MOST,
        "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": target } }],
    })
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    api::start(site).await
}

#[cfg(test)]
mod tests;
