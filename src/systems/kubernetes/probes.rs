//! Readings of deployments and nodes.

use std::time::Instant;

use tokio::time::timeout;

use super::Cluster;
use super::capacity::is_ready;
use super::client::THROTTLED;
use super::login::LOGIN;
use super::workload::Workload;
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Reading;
use crate::domain::system::{Fault, FaultClass};

impl Cluster {
    pub async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let started = Instant::now();
        // A little sooner than the caller, who takes silence for a target that is down.
        let patience = spec.timeout.0.mul_f64(0.9);
        let late = || match spec.kind.as_str() {
            "kubernetes.deployment" => Reading::unknown("the API server does not answer"),
            _ => Reading::down("the API server does not answer"),
        };
        timeout(patience, self.look(spec)).await.unwrap_or_else(|_| late()).took(started.elapsed())
    }

    async fn look(&self, spec: &ProbeSpec) -> Reading {
        match spec.kind.as_str() {
            "kubernetes.deployment" => match spec.params.text("name") {
                Ok(name) => self.deployment(name).await,
                Err(fault) => Reading::unknown(fault.what),
            },
            _ => self.nodes().await.unwrap_or_else(|fault| silence(&fault)),
        }
    }

    /// An API server that does not answer is no service that is down: that is for probes along the clients' path to tell.
    async fn deployment(&self, name: &str) -> Reading {
        match self.client.deployment(name).await {
            Ok(Some(deployment)) => {
                let workload = Workload::of(&deployment, &[]);
                Reading::new(workload.health(), workload.words())
            }
            Ok(None) => Reading::down(format!("there is no deployment {name} in namespace {}", self.namespace)),
            Err(fault) => Reading::unknown(fault.what),
        }
    }

    async fn nodes(&self) -> Result<Reading, Fault> {
        let nodes = self.client.nodes().await?;
        let (all, ready) = (nodes.len(), nodes.iter().filter(|node| is_ready(node)).count());
        let detail = format!("{ready} of {all} nodes ready");
        Ok(match ready {
            0 => Reading::down(detail),
            ready if ready < all => Reading::degraded(detail),
            _ => Reading::healthy(detail),
        })
    }
}

/// Silence is a cluster that is down; a refusal, a full queue, or a login that did not come about says nothing about it.
fn silence(fault: &Fault) -> Reading {
    let says_nothing = [THROTTLED, LOGIN].iter().any(|word| fault.what.contains(word));
    match fault.class {
        FaultClass::Transient if !says_nothing => Reading::down(&fault.what),
        _ => Reading::unknown(&fault.what),
    }
}
