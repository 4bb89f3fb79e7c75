//! What is looked at before clients are moved.

use std::time::Duration;

use hickory_proto::op::ResponseCode;

use super::health::Health;
use super::records::RecordSet;
use super::zone::{Said, Zone};
use crate::domain::estate::Estate;
use crate::domain::ids::RegionId;
use crate::domain::readiness::CONTROL_PLANE_GUARD;
use crate::domain::system::{Fault, FaultClass, Guard};
use crate::domain::text::clean;
use crate::domain::time::Span;
use crate::systems::aws::{partition, told};

/// Where Route 53's control plane lives in the commercial partition, whatever the region of a call.
pub const CONTROL_PLANE: &str = "us-east-1";

/// How soon record changes come back with accelerated recovery when the control plane's region is impaired.
const ACCELERATED: Duration = Duration::from_secs(60 * 60);

/// Clients that keep an answer longer than this come late.
const LONGEST_TTL: i64 = 120;

/// Whether the effect of moving clients can be looked at. Where it never can, nothing is moved.
pub async fn name_server_guard(zone: &Zone, name: &str, kind: &str) -> Guard {
    const NAME: &str = "name-servers";
    match zone.ask_servers(name, kind).await {
        Ok(said) if !said.is_empty() && said.iter().all(is_refusal) => Guard::block(
            NAME,
            format!(
                "every name server refuses this host the name {}: after the change nobody could see what clients are told",
                clean(name)
            ),
        ),
        Ok(said) => heard(NAME, said.iter().filter(|(_, reply)| reply.is_ok()).count(), said.len()),
        // Its name servers are not known at all: a private zone.
        Err(fault) if fault.class == FaultClass::Permanent && fault.what.contains(super::zone::NO_SERVERS) => {
            Guard::block(
                NAME,
                format!(
                    "{}: after the change nobody could see what clients are told → set `name_servers`, for a private zone the resolver of its VPC",
                    fault.what
                ),
            )
        }
        Err(fault) => Guard::warn(NAME, format!("{}: the effect could not be verified", told(&fault))),
    }
}

fn is_refusal((_, reply): &Said) -> bool {
    reply.as_ref().is_ok_and(|reply| reply.code == ResponseCode::Refused)
}

/// Whether Route 53 would answer the record set `set`, called `to`, by its health check, once the check `own` is healthy.
pub async fn health_guard(zone: &Zone, to: &str, set: Option<&RecordSet>, own: Option<&str>) -> Result<Guard, Fault> {
    const NAME: &str = "target-health";
    let Some(check) = set.and_then(|set| set.health_check_id.as_deref()) else {
        return Ok(match set.filter(|set| set.evaluates()).and_then(|set| set.alias_target.as_ref()) {
            Some(alias) => Guard::pass(
                NAME,
                format!(
                    "Route 53 looks at {} itself (EvaluateTargetHealth); what it sees is not told",
                    clean(&alias.dns_name)
                ),
            ),
            None => {
                let what = format!("{to} has no health check: Route 53 sends clients there whether it serves or not");
                Guard::warn(NAME, what)
            }
        });
    };
    let health = zone.health_once(check, own).await?;
    let words = format!("{check} of {to}: {}", health.words());
    Ok(match health {
        Health::Healthy(_) => Guard::pass(NAME, words),
        Health::Unhealthy(_) => Guard::block(NAME, format!("{words}; Route 53 would go on answering the other region")),
        Health::Unknown(_) | Health::Switched(_) => {
            Guard::warn(NAME, format!("{words}; if it is red, clients do not move"))
        }
    })
}

/// For how long clients keep the old answer.
pub fn ttl_guard(target: &[RecordSet]) -> Guard {
    const NAME: &str = "ttl";
    match target.iter().filter_map(|set| set.ttl).max() {
        None => Guard::pass(NAME, "alias records: Route 53 sets 60 s"),
        Some(ttl) if ttl <= LONGEST_TTL => Guard::pass(NAME, format!("{ttl} s")),
        Some(ttl) => Guard::warn(NAME, format!("clients may keep the old answer for {ttl} s; 60 to 120 s is advised")),
    }
}

/// Whether the plan leans on the region that it leaves. Accelerated recovery counts for who can wait for it.
pub async fn control_plane_guard(zone: &Zone, estate: &Estate, region: Option<&RegionId>) -> Guard {
    const NAME: &str = CONTROL_PLANE_GUARD;
    let plane = partition::of(estate.primary().as_str()).route53;
    let to = region.cloned().unwrap_or_else(|| estate.standby());
    let left = estate.regions.iter().any(|region| region.id.as_str() == plane && region.id != to);
    let rto = estate.objectives.rto.values().min().map(|rto| rto.0);
    let what = format!("record changes depend on {plane}, the region this step leaves");
    let hour = format!("accelerated recovery brings them back after about {} min", ACCELERATED.as_secs() / 60);
    match (left, left && zone.is_accelerated().await, rto) {
        (false, ..) => Guard::pass(NAME, format!("{plane} is not left")),
        (true, false, _) => Guard::warn(
            NAME,
            format!(
                "{what}; the switches of an ARC cluster, or an object that an inverted health check looks at, need it not"
            ),
        ),
        (true, true, Some(rto)) if rto >= ACCELERATED => Guard::warn("accelerated-recovery", format!("{what}; {hour}")),
        (true, true, rto) => {
            let rto = rto.map_or("an RTO is not set".into(), |rto| format!("the RTO is {}", Span(rto)));
            Guard::warn(NAME, format!("{what}; {hour}, and {rto}"))
        }
    }
}

/// Whether what clients are told can be looked at, by how many of the zone's name servers answer.
fn heard(name: &str, answer: usize, all: usize) -> Guard {
    match answer {
        0 => Guard::warn(name, "no name server of the zone answers this host: the effect could not be verified"),
        _ if answer < all => Guard::warn(
            name,
            format!("{answer} of {all} name servers answer: what the others tell clients is not known"),
        ),
        _ => Guard::pass(name, "the zone's name servers answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::system::GuardVerdict::{Pass, Warn};

    #[test]
    fn name_servers_that_are_silent_are_told() {
        let rows =
            [(4, 4, Pass, "answer"), (2, 4, Warn, "2 of 4"), (0, 4, Warn, "no name server"), (0, 0, Warn, "no name")];
        for (answer, all, verdict, words) in rows {
            let guard = heard("name-servers", answer, all);
            assert!(guard.verdict == verdict && guard.detail.contains(words), "{answer} of {all}: {guard:?}");
        }
    }
}
