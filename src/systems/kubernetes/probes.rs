//! Readings of workloads and nodes.

use std::sync::{Arc, OnceLock};

use futures::future::{BoxFuture, join_all};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::capacity::is_ready;
use super::client::Client;
use super::presence::Presence;
use super::sorts::{DAEMON_SET, DEPLOYMENT, ROLLOUT, STATEFUL_SET, Sort};
use super::workload::Workload;
use super::{Cluster, Spot};
use crate::domain::estate::ProbeSpec;
use crate::domain::health::{Reading, Status};
use crate::domain::system::Fault;

/// What is looked for by a name, the likeliest first.
static PROBED: [&Sort; 4] = [&DEPLOYMENT, &STATEFUL_SET, &ROLLOUT, &DAEMON_SET];

impl Cluster {
    pub async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let started = Instant::now();
        // A little sooner than the caller, who takes silence for a target that is down.
        let patience = spec.timeout.0.mul_f64(0.9);
        let asked = OnceLock::new();
        let look = async {
            // Its own time is limited, and what it waits for is no silence of the server.
            let logins: Vec<_> = self.clients.iter().map(|client| client.ready()).collect();
            if let Some(fault) = join_all(logins).await.into_iter().find_map(Result::err) {
                return Reading::unknown(fault.what);
            }
            let _ = asked.set(Instant::now());
            self.look(spec).await
        };
        let looked = timeout(patience, look).await;
        let late = || {
            let waited = asked.get().map(Instant::elapsed).unwrap_or_default();
            let answers = self.clients.iter().any(|it| it.ear.since(started) || it.ear.is_slow());
            match (answers, waited * 2 >= patience, spec.kind.as_str()) {
                (true, ..) => Reading::unknown(format!(
                    "the API server answers, but not with this within {} ms",
                    patience.as_millis()
                )),
                (_, false, _) => {
                    Reading::unknown("the login took most of the probe's time: the API server was hardly asked")
                }
                (_, true, "kubernetes.deployment") => Reading::unknown("the API server does not answer"),
                (_, true, _) => Reading::down("the API server does not answer"),
            }
        };
        looked.unwrap_or_else(|_| late()).took(started.elapsed())
    }

    async fn look(&self, spec: &ProbeSpec) -> Reading {
        match spec.kind.as_str() {
            "kubernetes.deployment" => match spec.params.text("name") {
                Ok(name) => self.workload(name).await,
                Err(fault) => Reading::unknown(fault.what),
            },
            _ => self.nodes().await.unwrap_or_else(|fault| Reading::unknown(fault.what)),
        }
    }

    /// An API server that does not answer is no service that is down: that is for probes along the clients' path to tell. Nor is it down
    /// because it is something else than a deployment, or of a kind that may not be looked at.
    async fn workload(&self, name: &str) -> Reading {
        let looks: Vec<_> = self.spots.iter().map(|spot| spot.named(name)).collect();
        let looks = join_all(looks).await;
        let found: Result<Vec<Option<Workload>>, Fault> = looks.into_iter().collect();
        let found: Vec<Workload> = match found {
            Ok(found) => found.into_iter().flatten().collect(),
            Err(fault) => return Reading::unknown(fault.what),
        };
        let worst = found.iter().map(Workload::health).max_by_key(|status| badness(*status));
        let Some(worst) = worst else { return Reading::down(self.nobody(name).what) };
        let words = |it: &Workload| match (&*it.sort.kind, found.len()) {
            ("Deployment", 1) => it.words(),
            _ => format!("{}: {}", it.called(), it.words()),
        };
        Reading::new(worst, found.iter().map(words).collect::<Vec<_>>().join("; "))
    }

    /// Silence is a cluster that is down; a refusal, a list that takes long, or a login that did not come about says nothing about it.
    async fn nodes(&self) -> Result<Reading, Fault> {
        let clusters: Vec<_> = self.clients.iter().map(nodes_of).collect();
        let (mut all, mut ready, mut silent, mut empty) = (0, 0, Vec::new(), 0);
        for seen in join_all(clusters).await {
            match seen? {
                Err(words) => silent.push(words),
                Ok(nodes) => {
                    let well = nodes.iter().filter(|node| is_ready(node)).count();
                    (all, ready) = (all + nodes.len(), ready + well);
                    empty += usize::from(well == 0);
                }
            }
        }
        let detail = format!("{ready} of {all} nodes ready");
        let lost = silent.len() + empty;
        Ok(match (lost, silent.first()) {
            (lost, Some(words)) if lost == self.clients.len() => Reading::down(words),
            (lost, None) if lost == self.clients.len() => Reading::down(detail),
            (1.., Some(words)) => Reading::degraded(format!("{detail}; {words}")),
            (1.., None) => Reading::degraded(format!("{detail}; {empty} clusters have none")),
            (0, _) if ready < all => Reading::degraded(detail),
            (0, _) => Reading::healthy(detail),
        })
    }
}

/// The nodes of a cluster; the inner error is how silent it is.
fn nodes_of(client: &Arc<Client>) -> BoxFuture<'_, Result<Result<Vec<Value>, String>, Fault>> {
    Box::pin(async move {
        // At once: who answers neither is silent.
        let (presence, nodes) = tokio::join!(client.presence(false), client.list_of("list nodes", "/api/v1/nodes"));
        match presence? {
            Presence::Silent(words) => Ok(Err(words)),
            Presence::There | Presence::Slow => nodes.map(Ok),
        }
    })
}

/// The worst is told.
fn badness(status: Status) -> u8 {
    match status {
        Status::Healthy => 0,
        Status::Degraded => 1,
        Status::Unknown => 2,
        Status::Down => 3,
    }
}

impl Spot {
    /// What is called so here, of whatever kind.
    fn named<'a>(self: &'a Arc<Self>, name: &'a str) -> BoxFuture<'a, Result<Option<Workload>, Fault>> {
        Box::pin(async move {
            let own = self.own_part(name);
            let (kind, own) = own.rsplit_once('/').map_or((None, own), |(kind, own)| (Some(kind), own));
            let is_meant = |sort: &Sort| kind.is_none_or(|kind| sort.is_called(kind));
            // What may not be looked at may be it: but one that is found is found.
            let mut blind = None;
            for sort in PROBED.into_iter().filter(|it| is_meant(it)) {
                match self.object(sort, own).await {
                    Ok(Some(found)) => return Ok(Some(found)),
                    Ok(None) => {}
                    Err(fault) => blind = blind.or(Some(fault)),
                }
            }
            if let Some(fault) = blind {
                return Err(fault);
            }
            for sort in
                self.client.scalable().await?.iter().filter(|it| is_meant(it) && it.resource() != ROLLOUT.resource())
            {
                if let Some(found) = self.object(sort, own).await? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
    }
}
