//! Looking at the cluster once.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, timeout};

use super::Neo4j;
use super::session::query;
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Reading;
use crate::domain::system::FaultClass;

/// How long each server has to answer a probe: one that is silent must not take all of its time, or nobody hears the others.
fn each_of(spec: &ProbeSpec) -> Duration {
    spec.timeout.0.mul_f64(0.75)
}

impl Neo4j {
    pub async fn probe(&self, spec: &ProbeSpec) -> Reading {
        match spec.kind.as_str() {
            "neo4j.server" => self.probe_servers(spec).await,
            "neo4j.leader" => self.probe_leader(spec).await,
            other => Reading::unknown(format!("neo4j has no probe `{other}`")),
        }
    }

    async fn probe_servers(&self, spec: &ProbeSpec) -> Reading {
        let wanted = |name: &str| match spec.params.opt_text("server") {
            Some(only) => only == name,
            None => spec.region.is_none() || self.region(name) == spec.region.as_ref(),
        };
        let urls: Vec<_> = self.servers.iter().filter(|(name, _)| wanted(name)).map(|(_, url)| url).collect();
        if urls.is_empty() {
            return Reading::unknown("no such server is listed in `servers` and `regions`");
        }
        let asked = Instant::now();
        let limit = each_of(spec);
        let ping = async |url: &String| {
            let asked = self.client.ask_one(url, &self.database, query("RETURN 1 AS one"));
            timeout(limit, asked).await.unwrap_or_else(|_| Err(self.client.late(url, limit)))
        };
        let answers = join_all(urls.iter().map(|url| ping(url))).await;
        let (all, took) = (answers.len(), asked.elapsed());
        let faults: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        match faults.first() {
            None => Reading::healthy(format!("{all}/{all} answer")).took(took),
            // One that refuses lives, whatever the others do.
            Some(_) if faults.len() == all && faults.iter().any(|fault| fault.class == FaultClass::Permanent) => {
                let refused = faults.iter().find(|fault| fault.class == FaultClass::Permanent);
                Reading::unknown(refused.map_or_else(String::new, |fault| format!("refused: {}", fault.what)))
            }
            Some(fault) if faults.len() == all => Reading::down(&fault.what),
            Some(fault) => Reading::degraded(format!("{}/{all} answer; {}", all - faults.len(), fault.what)),
        }
    }

    async fn probe_leader(&self, spec: &ProbeSpec) -> Reading {
        let sight = self.look_within(each_of(spec)).await;
        let Some(leader) = sight.leader(self, &self.database) else {
            // A server that answers and does not tell may be the one that leads.
            let untold = sight.views.values().find_map(|view| view.unchecked.as_ref());
            if let Some(fault) = untold {
                return Reading::unknown(format!(
                    "whether anybody leads `{}` is not told: {}",
                    self.database, fault.what
                ));
            }
            if sight.refuses() || sight.views.values().any(|view| view.databases.is_empty()) {
                let summary = sight.summary();
                return Reading::unknown(format!("whether anybody leads `{}` is not told: {summary}", self.database));
            }
            if let Some(alias) = sight.alias(&self.database) {
                return Reading::unknown(alias);
            }
            return Reading::down(format!("nobody leads `{}` and can replicate: {}", self.database, sight.summary()));
        };
        let place = self.placed(&leader.server);
        let term = leader.term.map_or(String::new(), |term| format!(", term {term}"));
        let said = format!("{place} leads{term}, {}/{} primaries take part", leader.applying, leader.primaries);
        match leader.applying == leader.primaries {
            true => Reading::healthy(said),
            false => Reading::degraded(said),
        }
    }
}
