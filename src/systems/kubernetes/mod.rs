//! Kubernetes: the deployments of one namespace in one cluster. A region is one cluster, and one `[[system]]`.

pub mod access;
mod backups;
mod capacity;
mod client;
mod login;
mod probes;
mod steps;
mod workload;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use self::client::Client;
use crate::domain::backup::{BackupLook, BackupSpec};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::ids::RegionId;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::readiness::Fact;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};

const DEPLOYMENTS: Param =
    Param::optional("deployments", ParamType::List, "which deployments; all of the namespace when left out");

pub static KIND: SystemKind = SystemKind {
    name: "kubernetes",
    title: "The deployments of a namespace in a Kubernetes cluster",
    ambient: false,
    ways: &[WayOut::new("server", To::Own, "the API of Kubernetes")],
    params: &[
        Param::optional(
            "kubeconfig",
            ParamType::Path,
            "the kubeconfig's path; $KUBECONFIG or ~/.kube/config if left out",
        ),
        Param::optional("context", ParamType::Text, "the context of the kubeconfig; its current one when left out"),
        Param::optional("server", ParamType::Url, "the API server's URL, instead of a kubeconfig"),
        Param::optional("token", ParamType::Secret, "the bearer token, with `server`"),
        Param::optional(
            "certificate_authority",
            ParamType::Text,
            "a PEM file that the server's certificate is checked by",
        ),
        Param::default("namespace", ParamType::Text, "default", "where the deployments are"),
        Param::optional(
            "replicas",
            ParamType::Numbers,
            "how many replicas of each deployment carry the full load: what kubernetes.scale scales up to",
        ),
    ],
    probes: &[
        ProbeKind {
            name: "kubernetes.deployment",
            title: "A deployment has the replicas it asks for, and they serve",
            params: &[Param::required("name", ParamType::Text, "the deployment")],
        },
        ProbeKind { name: "kubernetes.nodes", title: "The cluster's nodes are ready", params: &[] },
    ],
    steps: &[
        StepKind {
            name: "kubernetes.scale",
            title: "Scale the deployments up to what carries the full load",
            role: StepRole::Capacity,
            undo: Undo::Revert,
            instead: "",
            params: &[],
        },
        StepKind {
            name: "kubernetes.standby",
            title: "Give the deployments of a region that does not serve a standby's size",
            role: StepRole::Changes,
            undo: Undo::Revert,
            instead: "",
            params: &[Param::default("each", ParamType::Integer, "1", "so many replicas of each deployment")],
        },
        StepKind {
            name: "kubernetes.fence",
            title: "Stop what writes: scale the deployments to zero",
            role: StepRole::Fences,
            undo: Undo::Revert,
            instead: "",
            params: &[DEPLOYMENTS],
        },
        StepKind {
            name: "kubernetes.restart",
            title: "Restart the deployments, a few pods at a time",
            role: StepRole::Changes,
            undo: Undo::PointOfNoReturn,
            instead: "the pods run the same version as before: there is nothing to go back to",
            params: &[DEPLOYMENTS],
        },
    ],
    backups: backups::KINDS,
};

/// Connects to clusters.
pub struct KubernetesFactory;

impl Factory for KubernetesFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, _: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let params = &spec.params;
        let namespace = params.opt_text("namespace").unwrap_or("default").to_owned();
        let client = Client::new(spec, &namespace)?;
        let (id, region, full) = (spec.id.to_string(), spec.region.clone(), params.numbers("replicas"));
        Ok(Arc::new(Connected(Arc::new(Cluster { id, namespace, region, full, client }))))
    }
}

/// One namespace of one cluster.
struct Cluster {
    id: String,
    namespace: String,
    region: Option<RegionId>,
    /// What carries the full load, by deployment.
    full: BTreeMap<String, u64>,
    client: Client,
}

/// The shape the engine drives.
struct Connected(Arc<Cluster>);

#[async_trait]
impl System for Connected {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        self.0.probe(spec).await
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(&self.0.id, "Mayday reads no data out of a cluster")
            .next("remove `class` from it, and run `mayday check`"))
    }

    async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        self.0.backup(spec).await
    }

    async fn facts(&self) -> Result<Vec<Fact>, Fault> {
        self.0.facts().await
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        steps::step(&self.0, spec)
    }
}
