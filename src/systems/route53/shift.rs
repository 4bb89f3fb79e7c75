//! Sending clients to another region: the weights, the failover roles, or the values of the record sets of one name or of many, in one zone
//! or in several. Each zone's changes are one batch, which is refused as a whole when anything is not as it was previewed.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::by_hand;
use super::guards::{control_plane_guard, health_guard, name_server_guard, ttl_guard};
use super::names::{is_in, plain};
use super::others::Others;
use super::records::{Division, Group, RecordSet, diff, present, same, summary};
use super::target::{Held, Target};
use super::zone::{CHANGE_ID, Zone};
use crate::domain::estate::Estate;
use crate::domain::ids::RegionId;
use crate::domain::plan::StepSpec;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::systems::aws::{is_unheard, told};
use crate::systems::permits::{Need, On};

/// So many changes make a batch at most
/// (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html>).
const LARGEST_BATCH: usize = 1000;

/// The zones that a step may change: the system's own, and others by the names that lie in them.
pub struct Zones {
    pub own: Arc<Zone>,
    pub others: Vec<(String, Arc<Zone>)>,
}

impl Zones {
    /// The zone that a name is in: the smallest that it lies in.
    fn of(&self, name: &str) -> Arc<Zone> {
        let fits = self.others.iter().filter(|(zone, _)| is_in(name, zone));
        fits.max_by_key(|(zone, _)| zone.len()).map_or_else(|| self.own.clone(), |(_, zone)| zone.clone())
    }
}

pub struct Shift {
    zone: Arc<Zone>,
    estate: Arc<Estate>,
    /// The region that shall serve.
    region: Option<RegionId>,
    targets: Vec<Target>,
    division: Division,
}

/// The changes of one zone.
struct Batch {
    zone: Arc<Zone>,
    before: Group,
    target: Group,
}

impl Shift {
    /// # Errors
    /// When the plan does not say where to, or which names.
    pub fn new(zones: &Zones, estate: Arc<Estate>, spec: &StepSpec) -> Result<Self, Fault> {
        let (params, zone) = (&spec.params, zones.own.clone());
        let to = params.opt_text("to").map(str::to_owned).or_else(|| spec.region.as_ref().map(ToString::to_string));
        let to = to.ok_or_else(|| zone.unfit(format!("the step `{}` does not say where to", spec.id)))?;
        let weight = |name, least: u64, absent| match params.opt_integer(name) {
            // All weights 0 would split the traffic equally.
            Some(it) if !(least..=255).contains(&it) => {
                Err(zone.unfit(format!("`{name}` is {it}, and has to be {least} to 255")))
            }
            given => Ok(given.map_or(absent, |it| it as i64)),
        };
        let division = Division {
            to,
            weight: weight("weight", 1, 100)?,
            rest: weight("rest", 0, 0)?,
            values: params.map("values"),
            alias_zones: params.map("alias_zones"),
        };
        let kind = params.opt_text("type").map(str::to_owned);
        let mut names: Vec<String> = params.opt_text("record").map(str::to_owned).into_iter().collect();
        names.extend(params.list("records"));
        let target = |name: String| Target { zone: zones.of(&name), name, kind: kind.clone() };
        let mut targets: Vec<Target> = Vec::new();
        for name in names {
            if targets.iter().any(|it| plain(&it.name) == plain(&name)) {
                return Err(zone.unfit(format!("the step `{}` names {} twice", spec.id, plain(&name))));
            }
            targets.push(target(name));
        }
        if targets.is_empty() {
            return Err(zone.unfit(format!("the step `{}` names no record: set `record`, or `records`", spec.id)));
        }
        let region = spec.region.clone();
        Ok(Self { zone, estate, region, targets, division })
    }

    /// What each name holds now; inside, why one of them cannot be moved so.
    async fn held(&self) -> Result<Result<Vec<Held>, String>, Fault> {
        let mut all = Vec::new();
        for target in &self.targets {
            match target.held(&self.division).await? {
                Ok(held) => all.push(held),
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(all))
    }

    /// The health checks that are looked at; some that are not known when nobody tells.
    async fn checks(&self) -> Vec<Option<String>> {
        let Ok(Ok(held)) = self.held().await else { return vec![None] };
        let mut ids: Vec<_> = held.into_iter().flat_map(|it| it.moved).filter_map(|set| set.health_check_id).collect();
        ids.sort();
        ids.dedup();
        ids.into_iter().map(Some).collect()
    }

    /// All record sets that are moved, name by name.
    async fn records(&self) -> Result<Group, Fault> {
        let held = self.held().await?.map_err(|why| self.zone.unfit(why))?;
        Ok(held.into_iter().flat_map(|it| it.moved).collect())
    }

    /// The same as they shall be, in the same order.
    fn divided(&self, all: &[RecordSet]) -> Result<Group, Fault> {
        let mut out = Group::new();
        for group in groups(all) {
            let named = |why: String| self.zone.unfit(format!("{} {}: {why}", plain(&group[0].name), group[0].r#type));
            out.extend(self.division.of(group).map_err(named)?);
        }
        Ok(out)
    }

    fn target_of(&self, set: &RecordSet) -> &Target {
        let own = self.targets.iter().find(|target| plain(&target.name) == plain(&set.name));
        own.unwrap_or(&self.targets[0])
    }

    /// One batch for each zone, in the order in which the plan names them.
    fn batches(&self, before: &[RecordSet], target: &[RecordSet]) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        for (old, new) in before.iter().zip(target) {
            let zone = &self.target_of(old).zone;
            let at = batches.iter().position(|batch| batch.zone.id == zone.id).unwrap_or_else(|| {
                batches.push(Batch { zone: zone.clone(), before: Group::new(), target: Group::new() });
                batches.len() - 1
            });
            batches[at].before.push(old.clone());
            batches[at].target.push(new.clone());
        }
        batches
    }

    /// The receipt's name for the change of a zone.
    fn change_of(&self, zone: &Zone) -> String {
        if zone.id == self.zone.id { CHANGE_ID.to_owned() } else { format!("{CHANGE_ID}@{}", zone.id) }
    }

    /// Replaces `from` by `to`, zone by zone. What is as it should be already is left alone, where there are several.
    async fn swap(
        &self,
        from: &[RecordSet],
        to: &[RecordSet],
        comment: &str,
        log: &dyn StepLog,
    ) -> Result<Receipt, Fault> {
        let (batches, mut receipt) = (self.batches(from, to), Receipt::new());
        let several = batches.len() > 1;
        if let Some(batch) = batches.iter().find(|batch| batch.before.len() + batch.target.len() > LARGEST_BATCH) {
            let count = batch.before.len() + batch.target.len();
            return Err(self.zone.unfit(format!(
                "{count} changes are more than the {LARGEST_BATCH} that Route 53 takes at once: make several steps"
            )));
        }
        let mut others = Others::default();
        for batch in batches {
            if several && self.is_so(&batch).await.map_err(|fault| others.after(fault))? {
                log.line(&format!("the zone {} is as it should be already", batch.zone.id));
                others.already.push(batch.zone.id.clone());
                continue;
            }
            let done = batch.zone.swap(&batch.before, &batch.target, comment).await;
            let done = done.map_err(|fault| others.after(fault))?;
            others.sent.push(batch.zone.id.clone());
            for (name, value) in done {
                let name = if name == CHANGE_ID { self.change_of(&batch.zone) } else { name };
                receipt.insert(name, value);
            }
        }
        Ok(receipt)
    }

    async fn is_so(&self, batch: &Batch) -> Result<bool, Fault> {
        for group in groups(&batch.target) {
            let now = batch.zone.records(&plain(&group[0].name), &group[0].r#type).await?;
            if !same(&now, group) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What name servers say while the API is silent: whether clients are where this step would send them.
    async fn by_name_servers(&self, silence: Fault) -> Result<Observed, Fault> {
        let mut words = Vec::new();
        for target in &self.targets {
            let served = target.served(&self.division).await?;
            if !served.is_only(&self.division.to) {
                return Err(Fault { what: format!("{}; {}", silence.what, served.words()), ..silence }
                    .means("clients cannot be sent by this API now; health checks may move them by themselves")
                    .next("see whether this host reaches Route 53, look at the health checks, then retry; `b` shows the commands for when the API answers"));
            }
            words.push(served.words());
        }
        words.dedup();
        Ok(Observed::Done { detail: words.join("; ") })
    }

    /// What the records say, by the API alone.
    async fn by_api(&self) -> Result<Observed, Fault> {
        let held = match self.held().await? {
            Ok(held) => held,
            Err(why) => return Ok(Observed::Impossible { why }),
        };
        let now: Group = held.into_iter().flat_map(|it| it.moved).collect();
        let names: Vec<String> = self.targets.iter().map(|target| plain(&target.name)).collect();
        Ok(match self.divided(&now) {
            Err(fault) => Observed::Impossible { why: fault.what },
            Ok(target) if same(&now, &target) => {
                Observed::Done { detail: format!("{} points at {}", names.join(", "), self.division.to) }
            }
            Ok(_) => Observed::NotDone { detail: present(&now) },
        })
    }

    /// Nothing was changed by this run: clients were found where they should be, by the name servers' word.
    async fn verify_found(&self) -> Result<Verified, Fault> {
        match self.by_api().await {
            Ok(Observed::Done { .. }) => {}
            Ok(other) => {
                let mut only = true;
                for target in &self.targets {
                    only &= target.served(&self.division).await?.is_only(&self.division.to);
                }
                let detail = format!(
                    "{}, by their health checks; the records are still to change: {}",
                    self.division.to,
                    other.words()
                );
                return Ok(match only {
                    true => Verified::HoldsForNow { detail: format!("name servers say {detail}") },
                    false => Verified::Broken { why: format!("clients went away again; {}", other.words()) },
                });
            }
            Err(fault) if is_unheard(&fault) => {
                let detail = self.by_name_servers(fault).await?.words().to_owned();
                return Ok(Verified::HoldsForNow { detail });
            }
            Err(fault) => return Err(fault),
        }
        let target = self.divided(&self.records().await?)?;
        self.verify_by(&[], &target, false).await
    }

    /// Whether the name servers answer by `target`; what they say instead is explained.
    async fn verify_by(&self, before: &[RecordSet], target: &[RecordSet], proven: bool) -> Result<Verified, Fault> {
        let mut said: Vec<String> = Vec::new();
        for group in groups(target) {
            let kind = |set: &&RecordSet| set.name == group[0].name && set.r#type == group[0].r#type;
            let old: Group = before.iter().filter(kind).cloned().collect();
            match self.target_of(&group[0]).verify(&old, group, &self.division.to, proven).await? {
                Verified::Holds { detail, .. } => said.push(detail),
                other => return Ok(other),
            }
        }
        said.dedup();
        Ok(Verified::Holds { detail: said.join("; "), recovery_point: None })
    }

    /// Whether Route 53 says that every name server has the change. Who may not be asked, or puts us off, does not keep the name servers
    /// from telling: the change was sent, and they are what clients ask.
    async fn in_sync(&self, begun: &Begun, before: &[RecordSet], log: &dyn StepLog) -> Result<bool, String> {
        let mut proven = true;
        for zone in self.batches(before, before).into_iter().map(|batch| batch.zone) {
            let Some(change) = begun.receipt.get(&self.change_of(&zone)) else {
                proven = false;
                continue;
            };
            match zone.in_sync(change).await {
                Ok(true) => {}
                Ok(false) => return Err(format!("the change {change} is PENDING")),
                Err(fault) => {
                    log.line(&format!(
                        "{}: changed; what the name servers answer tells whether it has arrived",
                        fault.what
                    ));
                    proven = false;
                }
            }
        }
        Ok(proven)
    }
}

/// The record sets of one name and type each.
fn groups(all: &[RecordSet]) -> impl Iterator<Item = &[RecordSet]> {
    all.chunk_by(|a, b| a.name == b.name && a.r#type == b.r#type)
}

#[async_trait]
impl Step for Shift {
    async fn observe(&self, _begun: Option<&Begun>) -> Result<Observed, Fault> {
        match self.by_api().await {
            Err(fault) if is_unheard(&fault) => self.by_name_servers(fault).await,
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
        for group in groups(&now) {
            let target = self.target_of(&group[0]);
            target.zone.remember(&target.name, &group[0].r#type, group.to_vec());
        }
        Ok(preview)
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let held = self.held().await?.map_err(|why| self.zone.unfit(why))?;
        let now: Group = held.iter().flat_map(|it| it.moved.clone()).collect();
        let target = self.divided(&now)?;
        let mut guards: Vec<Guard> = Vec::new();
        for group in groups(&target) {
            let chosen = group
                .iter()
                .find(|set| set.identifier() == self.division.to)
                .or(group.first().filter(|_| group.len() == 1));
            let looked = health_guard(&self.target_of(&group[0]).zone, &self.division.to, chosen, None).await;
            // Who may not ask, or is put off, has seen nothing that would keep clients where they are.
            guards.push(looked.unwrap_or_else(|fault| {
                let what = format!("the health check of {} is not known: {}", self.division.to, told(&fault));
                Guard::warn("target-health", format!("{what}; if it is red, clients do not move"))
            }));
        }
        guards.push(ttl_guard(&target));
        guards.push(control_plane_guard(&self.zone, &self.estate, self.region.as_ref()).await);
        for (it, held) in self.targets.iter().zip(&held) {
            guards.push(name_server_guard(&it.zone, &it.name, &it.asked_kind()).await);
            guards.extend(it.left_guards(held));
        }
        Ok(Checked { guards: each_once(guards), promotion: None })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let before: Group = by_hand::kept(&self.zone, pre_image)?;
        let target = self.divided(&before)?;
        let words = summary(&before, &target);
        log.line(&words);
        let comment = format!("mayday: {} to {}", plain(&self.targets[0].name), self.division.to);
        self.swap(&before, &target, &comment, log).await
    }

    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        if begun.pre_image.is_null() {
            return self.verify_found().await;
        }
        let before: Group = by_hand::kept(&self.zone, &begun.pre_image)?;
        let target = self.divided(&before)?;
        match self.in_sync(begun, &before, log).await {
            Err(detail) => Ok(Verified::Pending { detail }),
            Ok(true) => self.verify_by(&before, &target, true).await,
            Ok(false) => Ok(match self.verify_by(&before, &target, false).await? {
                Verified::Holds { detail, recovery_point } => Verified::Holds {
                    detail: format!("changed; verified by the name servers: {detail}"),
                    recovery_point,
                },
                other => other,
            }),
        }
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let before: Group = by_hand::kept(&self.zone, &begun.pre_image)?;
        let target = self.divided(&before)?;
        let mut back = true;
        for batch in self.batches(&before, &before) {
            back &= self.is_so(&batch).await?;
        }
        if back {
            log.line("the record sets are already what they were before");
            return Ok(Receipt::new());
        }
        log.line(&summary(&target, &before));
        self.swap(&target, &before, &format!("mayday: {} back", plain(&self.targets[0].name)), log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let mut ids: Vec<&str> = self.targets.iter().map(|target| target.zone.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let on_zone = |id: &&str| {
            ["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets"]
                .map(|action| Need::new(action, On::Zone((*id).to_owned())))
        };
        let mut needs: Vec<Need> = ids.iter().flat_map(on_zone).collect();
        needs.push(Need::new("route53:GetChange", On::Changes));
        let lists = self.targets.iter().filter(|target| target.zone.asks_for_servers());
        needs.extend(lists.map(|it| Need::new("route53:GetHostedZone", On::Zone(it.zone.id.clone()))));
        for check in self.checks().await {
            let on = On::HealthCheck(check);
            needs
                .extend(["route53:GetHealthCheck", "route53:GetHealthCheckStatus"].map(|it| Need::new(it, on.clone())));
        }
        self.zone.permits.fitness(&needs).await
    }

    fn by_hand(&self) -> Vec<String> {
        self.targets
            .iter()
            .flat_map(|it| by_hand::shift(&it.zone, &it.name, it.kind.as_deref(), &self.division))
            .collect()
    }
}

/// The same guard of several names is shown once.
fn each_once(guards: Vec<Guard>) -> Vec<Guard> {
    let mut out: Vec<Guard> = Vec::new();
    for guard in guards {
        if !out.contains(&guard) {
            out.push(guard);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_into_the_smallest_zone_that_it_lies_in() {
        let zone = |id: &str| Arc::new(Zone::for_test(id));
        let zones = Zones {
            own: zone("Z0"),
            others: vec![("shop.test".into(), zone("Z1")), ("eu.shop.test".into(), zone("Z2"))],
        };
        for (name, id) in
            [("app.example", "Z0"), ("www.shop.test.", "Z1"), ("*.eu.Shop.test", "Z2"), ("eu.shop.test", "Z2")]
        {
            assert_eq!(zones.of(name).id, id, "{name}");
        }
    }
}
