//! Readings. What the API says and what the servers say are two things: the API of a region may be down while its servers serve.

use super::ElastiCache;
use super::api::Endpoint;
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Reading;
use crate::domain::system::Fault;
use crate::systems::aws::told;
use crate::systems::redis::client::{Peer, is_refusal};
use crate::systems::redis::writes::Writes;

impl ElastiCache {
    pub async fn probe(&self, spec: &ProbeSpec) -> Reading {
        match spec.kind.as_str() {
            "elasticache.datastore" => self.datastore(spec).await,
            "elasticache.primary" => self.primary(spec).await,
            "elasticache.ping" => self.ping(spec).await,
            other => Reading::unknown(format!("elasticache has no probe `{other}`")),
        }
    }

    /// An API that is silent says nothing of what clients get, so this is never down.
    async fn datastore(&self, spec: &ProbeSpec) -> Reading {
        let sight = self.look_within(spec.timeout.0.mul_f64(0.9)).await;
        let primary = match sight.primary() {
            Ok(primary) => primary,
            Err(why) if sight.told.is_empty() => return Reading::unknown(why),
            Err(why) => return Reading::degraded(why),
        };
        let place = self.placed(primary);
        let astray = sight.told.values().flat_map(|told| &told.members).find(|member| !member.is_associated());
        match astray {
            _ if !sight.is_available() => {
                Reading::degraded(format!("{}, and takes no failover; primary {place}", sight.status()))
            }
            Some(member) => Reading::degraded(format!("{} is {}; primary {place}", member.group, member.status)),
            None if !sight.silent.is_empty() => Reading::degraded(format!("primary {place}; {}", sight.summary())),
            None => Reading::healthy(format!("available, primary {place}, and every region says so")),
        }
    }

    async fn primary(&self, spec: &ProbeSpec) -> Reading {
        let patience = spec.timeout.0.mul_f64(0.45);
        let sight = self.look_within(patience).await;
        let group = match sight.primary() {
            Ok(group) => group,
            Err(why) => return Reading::unknown(why),
        };
        let place = self.placed(group);
        match self.server_within(group, patience).await {
            Err(fault) => silence(&fault),
            Ok(server) => match &server.writes {
                Writes::Takes => Reading::healthy(format!("{place} takes writes")).took(server.took),
                Writes::Refuses(_) | Writes::Fenced(_) => {
                    Reading::down(format!("{place} {}", server.writes.against().unwrap_or_default())).took(server.took)
                }
                Writes::Doubtful(why) => {
                    Reading::degraded(format!("{place} may refuse writes: {why}")).took(server.took)
                }
                Writes::Untried(why) => {
                    Reading::healthy(format!("{place} answers; a write was not tried: {why}")).took(server.took)
                }
                Writes::Follows => Reading::unknown(format!("{place} does not say what it does with writes")),
            },
        }
    }

    async fn ping(&self, spec: &ProbeSpec) -> Reading {
        let Some(group) = spec.region.as_ref().and_then(|region| self.of_region(region)) else {
            return Reading::unknown("no replication group is known here: give the probe a region of `regions`");
        };
        let (Endpoint::Node(address) | Endpoint::Cluster(address)) = match self.endpoint(group).await {
            Ok(endpoint) => endpoint,
            // Only where it is was asked for: of the servers nothing is known.
            Err(fault) => return Reading::unknown(told(&fault)),
        };
        let asked = async { self.client.connect(Peer::Server, &address).await?.ask(&["PING"]).await };
        match asked.await {
            Ok(_) => Reading::healthy(format!("{} answers", self.placed(group))),
            Err(fault) => silence(&fault),
        }
    }
}

/// Who does not answer is down; who turns Mayday away, or could not be asked, is not known.
fn silence(fault: &Fault) -> Reading {
    match is_refusal(fault) {
        true => Reading::unknown(&fault.what),
        false => Reading::down(&fault.what),
    }
}
