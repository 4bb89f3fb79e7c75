//! Sending clients to another region: the weights, or the failover roles, of the record sets of one name.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::by_hand;
use super::health::Health;
use super::records::{Division, Group, RecordSet, diff, present, same, summary};
use super::zone::{CHANGE_ID, Said, Zone};
use crate::domain::estate::Estate;
use crate::domain::ids::RegionId;
use crate::domain::plan::StepSpec;
use crate::domain::readiness::CONTROL_PLANE_GUARD;
use crate::domain::system::{
    Begun, Checked, Fault, FaultClass, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::time::Span;
use crate::systems::aws::is_silence;
use crate::systems::dns::addresses;
use crate::systems::dns::ask::normal;

/// Where Route 53's control plane lives, whatever the region of a call.
pub const CONTROL_PLANE: &str = "us-east-1";

/// How soon record changes come back with accelerated recovery when the control plane's region is impaired.
const ACCELERATED: Duration = Duration::from_secs(60 * 60);

/// How often each name server is asked where clients go, when nothing else tells.
const ROUNDS: usize = 3;

/// Clients that keep an answer longer than this come late.
const LONGEST_TTL: i64 = 120;

pub struct Shift {
    zone: Arc<Zone>,
    estate: Arc<Estate>,
    /// The region that shall serve.
    region: Option<RegionId>,
    name: String,
    kind: String,
    division: Division,
}

impl Shift {
    /// # Errors
    /// When the plan does not say where to.
    pub fn new(zone: Arc<Zone>, estate: Arc<Estate>, spec: &StepSpec) -> Result<Self, Fault> {
        let params = &spec.params;
        let to = params.opt_text("to").map(str::to_owned).or_else(|| spec.region.as_ref().map(ToString::to_string));
        let to = to.ok_or_else(|| zone.unfit(format!("the step `{}` does not say where to", spec.id)))?;
        let weight = |name, least: u64, absent| match params.opt_integer(name) {
            // All weights 0 would split the traffic equally.
            Some(it) if !(least..=255).contains(&it) => {
                Err(zone.unfit(format!("`{name}` is {it}, and has to be {least} to 255")))
            }
            given => Ok(given.map_or(absent, |it| it as i64)),
        };
        let division = Division { to, weight: weight("weight", 1, 100)?, rest: weight("rest", 0, 0)? };
        let kind = params.opt_text("type").unwrap_or("A").to_owned();
        let (name, region) = (params.text("record")?.to_owned(), spec.region.clone());
        Ok(Self { zone, estate, region, name, kind, division })
    }

    async fn records(&self) -> Result<Group, Fault> {
        self.zone.records(&self.name, &self.kind).await
    }

    fn divided(&self, group: &[RecordSet]) -> Result<Group, Fault> {
        self.division.of(group).map_err(|why| self.zone.unfit(format!("{} {}: {why}", self.name, self.kind)))
    }

    /// What name servers say while the API is silent: whether clients are where this step would send them.
    async fn by_name_servers(&self, silence: Fault) -> Result<Observed, Fault> {
        let served = self.zone.served(&self.name, &self.kind, ROUNDS).await?;
        match served.is_only(&self.division.to) {
            true => Ok(Observed::Done { detail: served.words() }),
            false => Err(Fault { what: format!("{}; {}", silence.what, served.words()), ..silence }
                .means("clients cannot be sent by this API now; health checks may move them by themselves")
                .next("see whether this host reaches Route 53, look at the health checks, then retry; `b` shows the commands for when the API answers")),
        }
    }

    /// What the records say, by the API alone.
    async fn by_api(&self) -> Result<Observed, Fault> {
        let now = self.records().await?;
        Ok(match self.division.of(&now) {
            Err(why) => Observed::Impossible { why: format!("{} {}: {why}", self.name, self.kind) },
            Ok(target) if same(&now, &target) => {
                Observed::Done { detail: format!("{} points at {}", self.name, self.division.to) }
            }
            Ok(_) => Observed::NotDone { detail: present(&now) },
        })
    }

    /// Nothing was changed by this run: clients were found where they should be, by the name servers' word.
    async fn verify_found(&self) -> Result<Verified, Fault> {
        match self.by_api().await {
            Ok(Observed::Done { .. }) => {}
            Ok(other) => {
                let served = self.zone.served(&self.name, &self.kind, ROUNDS).await?;
                let detail = format!(
                    "{}, by their health checks; the records are still to change: {}",
                    self.division.to,
                    other.words()
                );
                return Ok(match served.is_only(&self.division.to) {
                    true => Verified::HoldsForNow { detail: format!("name servers say {detail}") },
                    false => Verified::Broken { why: format!("clients went away again; {}", other.words()) },
                });
            }
            Err(fault) if is_silence(&fault) => {
                let detail = self.by_name_servers(fault).await?.words().to_owned();
                return Ok(Verified::HoldsForNow { detail });
            }
            Err(fault) => return Err(fault),
        }
        let target = self.divided(&self.records().await?)?;
        self.verify_by(&target, false).await
    }

    /// Whether the name servers answer by `target`; what they say instead is explained.
    async fn verify_by(&self, target: &[RecordSet], proven: bool) -> Result<Verified, Fault> {
        let said = self.zone.ask_servers(&self.name, &self.kind).await?;
        Ok(match self.answered(target, &said, proven).await {
            Answered::AsWanted(detail) => Verified::Holds { detail, recovery_point: None },
            Answered::Silence(detail) => Verified::Pending { detail },
            Answered::Otherwise(seen) => self.explain(target, seen).await,
        })
    }

    fn chosen<'a>(&self, target: &'a [RecordSet]) -> Option<&'a RecordSet> {
        target.iter().find(|set| set.identifier() == self.division.to)
    }

    /// Whether the name servers answer by `target`.
    async fn answered(&self, target: &[RecordSet], said: &[Said], proven: bool) -> Answered {
        let mut allowed = BTreeSet::new();
        for set in target.iter().filter(|set| set.takes_traffic()) {
            allowed.extend(values(set).await);
        }
        let wanted = match self.chosen(target) {
            Some(set) => values(set).await,
            None => Vec::new(),
        };
        let (mut heard, mut arrived, mut silent) = (0, false, Vec::new());
        for (server, reply) in said {
            match reply {
                Ok(reply) if !reply.values.is_empty() && reply.values.iter().all(|value| allowed.contains(value)) => {
                    heard += 1;
                    arrived |= reply.values.iter().any(|value| wanted.contains(value));
                }
                Ok(reply) => return Answered::Otherwise(format!("{server} still answers {}", reply.words())),
                Err(why) => silent.push(why.as_str()),
            }
        }
        let all = said.len();
        match () {
            () if heard == 0 => Answered::Silence(format!("no name server answers: {}", silent.join("; "))),
            // Without Route 53's word for it, every single one has to say so.
            () if !proven && heard < all => Answered::Silence(format!("{heard} of {all} name servers answer")),
            () if !arrived => Answered::Otherwise(format!("{} has not been answered yet", wanted.join(", "))),
            () => Answered::AsWanted(format!("{heard} of {all} name servers answer {}", wanted.join(", "))),
        }
    }

    /// Why the name servers say something else, as far as Route 53 tells.
    async fn explain(&self, target: &[RecordSet], seen: String) -> Verified {
        if let Ok(now) = self.records().await
            && !same(&now, target)
        {
            let why =
                format!("{seen}, and the record sets are no longer what this step made of them: somebody changed them");
            return Verified::Broken { why };
        }
        let check = self.chosen(target).and_then(|set| set.health_check_id.as_deref());
        if let Some(check) = check
            && let Ok(Health::Unhealthy(why)) = self.zone.health(check).await
        {
            let detail =
                format!("{seen}, because the health check {check} of {} is unhealthy ({why})", self.division.to);
            return Verified::Pending { detail };
        }
        Verified::Pending { detail: seen }
    }

    fn ttl_guard(&self, target: &[RecordSet]) -> Guard {
        const NAME: &str = "ttl";
        match target.iter().filter_map(|set| set.ttl).max() {
            None => Guard::pass(NAME, "alias records: Route 53 sets 60 s"),
            Some(ttl) if ttl <= LONGEST_TTL => Guard::pass(NAME, format!("{ttl} s")),
            Some(ttl) => {
                Guard::warn(NAME, format!("clients may keep the old answer for {ttl} s; 60 to 120 s is advised"))
            }
        }
    }

    /// Whether the plan leans on the region that it leaves. Accelerated recovery counts for who can wait for it.
    async fn control_plane_guard(&self) -> Guard {
        const NAME: &str = CONTROL_PLANE_GUARD;
        let to = self.region.clone().unwrap_or_else(|| self.estate.standby());
        let left = self.estate.regions.iter().any(|region| region.id.as_str() == CONTROL_PLANE && region.id != to);
        let rto = self.estate.objectives.rto.values().min().map(|rto| rto.0);
        let what = format!("record changes depend on {CONTROL_PLANE}, the region this step leaves");
        let hour = format!("accelerated recovery brings them back after about {} min", ACCELERATED.as_secs() / 60);
        match (left, left && self.zone.is_accelerated().await, rto) {
            (false, ..) => Guard::pass(NAME, format!("{CONTROL_PLANE} is not left")),
            (true, false, _) => Guard::warn(
                NAME,
                format!(
                    "{what}; the switches of an ARC cluster, or an object that an inverted health check looks at, need it not"
                ),
            ),
            (true, true, Some(rto)) if rto >= ACCELERATED => {
                Guard::warn("accelerated-recovery", format!("{what}; {hour}"))
            }
            (true, true, rto) => {
                let rto = rto.map_or("an RTO is not set".into(), |rto| format!("the RTO is {}", Span(rto)));
                Guard::warn(NAME, format!("{what}; {hour}, and {rto}"))
            }
        }
    }
}

/// Whether the effect of moving clients can be looked at.
pub(super) async fn name_server_guard(zone: &Zone, name: &str, kind: &str) -> Guard {
    const NAME: &str = "name-servers";
    match zone.ask_servers(name, kind).await {
        Ok(said) => heard(NAME, said.iter().filter(|(_, reply)| reply.is_ok()).count(), said.len()),
        Err(fault) => Guard::warn(NAME, format!("{}: the effect could not be verified", fault.what)),
    }
}

/// Whether Route 53 would answer the record set `set`, called `to`, by its health check, once the check `own` is healthy.
pub(super) async fn health_guard(
    zone: &Zone,
    to: &str,
    set: Option<&RecordSet>,
    own: Option<&str>,
) -> Result<Guard, Fault> {
    const NAME: &str = "target-health";
    let Some(check) = set.and_then(|set| set.health_check_id.as_deref()) else {
        let what = format!("{to} has no health check: Route 53 sends clients there whether it serves or not");
        return Ok(Guard::warn(NAME, what));
    };
    let health = zone.health_once(check, own).await?;
    let words = format!("{check} of {to}: {}", health.words());
    Ok(match health {
        Health::Healthy(_) => Guard::pass(NAME, words),
        Health::Unhealthy(_) => Guard::block(NAME, format!("{words}; Route 53 would go on answering the other region")),
        Health::Unknown(_) => Guard::warn(NAME, format!("{words}; if it is red, clients do not move")),
    })
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

/// What the name servers' answers come to.
enum Answered {
    AsWanted(String),
    Otherwise(String),
    Silence(String),
}

/// What DNS answers for a record set: its values, or for an alias the addresses of what it stands for.
pub(super) async fn values(set: &RecordSet) -> Vec<String> {
    match &set.alias_target {
        None => set.resource_records.iter().map(|record| normal(&record.value)).collect(),
        Some(alias) => {
            // What cannot be found is answered by nobody: verification then waits.
            let found = addresses(alias.dns_name.trim_end_matches('.')).await.unwrap_or_default();
            found.iter().map(|address| address.ip().to_string()).collect()
        }
    }
}

#[async_trait]
impl Step for Shift {
    async fn observe(&self, _begun: Option<&Begun>) -> Result<Observed, Fault> {
        match self.by_api().await {
            Err(fault) if is_silence(&fault) => self.by_name_servers(fault).await,
            told => told,
        }
    }

    async fn stays(&self) -> Result<Observed, Fault> {
        self.by_api().await
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let now = self.records().await?;
        let target = self.divided(&now)?;
        let pre_image = serde_json::to_value(&now).map_err(|error| self.zone.unfit(error.to_string()))?;
        let preview = Preview { summary: summary(&now, &target), diff: diff(&now, &target), pre_image };
        self.zone.remember(&self.name, &self.kind, now);
        Ok(preview)
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let target = self.divided(&self.records().await?)?;
        let guards = vec![
            health_guard(&self.zone, &self.division.to, self.chosen(&target), None).await?,
            self.ttl_guard(&target),
            self.control_plane_guard().await,
            name_server_guard(&self.zone, &self.name, &self.kind).await,
        ];
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let before: Group = by_hand::kept(&self.zone, pre_image)?;
        let target = self.divided(&before)?;
        log.line(&summary(&before, &target));
        self.zone.swap(&before, &target, &format!("mayday: {} to {}", self.name, self.division.to)).await
    }

    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        if begun.pre_image.is_null() {
            return self.verify_found().await;
        }
        let target = self.divided(&by_hand::kept::<Group>(&self.zone, &begun.pre_image)?)?;
        let mut proven = false;
        if let Some(change) = begun.receipt.get(CHANGE_ID) {
            match self.zone.in_sync(change).await {
                Ok(true) => proven = true,
                Ok(false) => return Ok(Verified::Pending { detail: format!("the change {change} is PENDING") }),
                // The control plane may be gone by now: what the name servers say counts more.
                Err(fault) if fault.class == FaultClass::Transient => log.line(&fault.to_string()),
                Err(fault) => return Err(fault),
            }
        }
        self.verify_by(&target, proven).await
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let before: Group = by_hand::kept(&self.zone, &begun.pre_image)?;
        if same(&self.records().await?, &before) {
            log.line("the record sets are already what they were before");
            return Ok(Receipt::new());
        }
        let target = self.divided(&before)?;
        log.line(&summary(&target, &before));
        self.zone.swap(&target, &before, &format!("mayday: {} back", self.name)).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.zone
            .permits
            .fitness(&["route53:ChangeResourceRecordSets", "route53:GetChange", "route53:GetHealthCheckStatus"])
            .await
    }

    fn by_hand(&self) -> Vec<String> {
        by_hand::shift(&self.zone, &self.name, &self.kind, &self.division)
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
