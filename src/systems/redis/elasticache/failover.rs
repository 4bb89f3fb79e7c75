//! `elasticache.failover`: Amazon makes another region's group the primary. It is asked once, of the region that will serve. The replication
//! is asynchronous and a failover waits for nothing, so what the copy does not hold is lost, whether the old primary lives or not.
//! <https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_FailoverGlobalReplicationGroup.html>

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::ElastiCache;
use super::look::Sight;
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, OldWriter, Preview, PromotionFacts, Receipt, Step, StepLog,
    Verified,
};
use crate::systems::permits::{Need, On};
use crate::systems::redis::client::is_refusal;
use crate::systems::redis::writes::Writes;
use crate::systems::shell::quoted;

pub struct Failover {
    pub cache: Arc<ElastiCache>,
    pub region: RegionId,
}

#[async_trait]
impl Step for Failover {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let target = self.target()?;
        let sight = self.cache.look().await;
        if sight.told.is_empty() {
            return Err(sight.nobody(&self.cache.id));
        }
        let primary = match sight.primary() {
            Ok(primary) => primary,
            // Regions hear of it one after the other.
            Err(why) if begun.is_some() => return Ok(Observed::InProgress { detail: why }),
            Err(why) => return Ok(Observed::Unknowable { why }),
        };
        let place = self.cache.placed(primary);
        if primary != target {
            return Ok(match begun.is_some() && !sight.is_available() {
                true => {
                    Observed::InProgress { detail: format!("the datastore is {}, primary {place}", sight.status()) }
                }
                false => Observed::NotDone { detail: format!("the primary is {place}") },
            });
        }
        if !sight.is_available() && sight.status() != PRIMARY_ONLY {
            return Ok(Observed::InProgress { detail: format!("{place} is the primary; {}", sight.status()) });
        }
        Ok(match self.cache.server(target).await {
            Ok(server) => match server.writes.against() {
                None => Observed::Done { detail: format!("{place} is the primary, and answers") },
                Some(why) => Observed::InProgress { detail: format!("{place} is the primary, and {why}") },
            },
            // What keeps this host from its servers does not undo it.
            Err(fault) if is_refusal(&fault) => {
                Observed::Done { detail: format!("{place} is the primary, as the API says: {}", fault.what) }
            }
            Err(fault) => {
                Observed::InProgress { detail: format!("{place} is the primary, and silent: {}", fault.what) }
            }
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (target, sight) = (self.target()?, self.cache.look().await);
        let from = sight.primary().map_err(|why| self.unknown(why))?;
        let datastore = &self.cache.datastore;
        Ok(Preview {
            summary: format!("primary of {datastore}: {from} → {target}"),
            diff: vec![
                format!("  FailoverGlobalReplicationGroup {datastore}, asked of {}", self.region),
                format!("- {datastore} {}", self.cache.placed(from)),
                format!("+ {datastore} {}", self.cache.placed(target)),
            ],
            pre_image: json!({ "primary": from, "target": target }),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (target, sight) = (self.target()?, self.cache.look().await);
        if sight.told.is_empty() {
            return Err(sight.nobody(&self.cache.id));
        }
        let mut guards = vec![self.state(&sight), self.member(&sight, target)];
        let primary = sight.primary();
        guards.extend(primary.as_ref().err().map(|why| Guard::block("primary", why.clone())));
        let old_writer = match primary {
            Ok(primary) if primary == target => OldWriter::Absent,
            Ok(primary) => self.old_writer(&sight, primary).await,
            Err(_) => OldWriter::Unknown,
        };
        let recovery_point = self.cache.point(target).await;
        Ok(Checked {
            guards,
            promotion: Some(PromotionFacts { old_writer, quorum: None, recovery_point, lossless: false }),
        })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let noted = |key: &str| pre_image.get(key).and_then(Value::as_str).unwrap_or_default();
        let (target, sight) = (self.target()?, self.cache.look().await);
        let primary = sight.primary().map_err(|why| self.unknown(why))?;
        if primary != noted("primary") || target != noted("target") {
            let what = format!("the primary is {primary}, no longer {}; nothing was sent", noted("primary"));
            return Err(Fault::transient(&self.cache.id, what).next("nothing: it is being observed"));
        }
        if primary == target {
            let what = format!("{target} is the primary already; nothing was sent");
            return Err(Fault::transient(&self.cache.id, what).next("nothing: it is being observed"));
        }
        log.line(&format!("FailoverGlobalReplicationGroup {} to {target}", self.cache.datastore));
        self.cache.groups[target].fail_over(&self.cache.datastore, target).await?;
        self.cache.promoted_now(target);
        Ok(Receipt::from([("from".to_owned(), primary.to_owned()), ("to".to_owned(), target.to_owned())]))
    }

    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        let detail = match self.observe(Some(begun)).await? {
            Observed::Done { detail } => detail,
            other => return Ok(Verified::Pending { detail: other.words().to_owned() }),
        };
        let old = begun.pre_image.get("primary").and_then(Value::as_str).unwrap_or_default();
        // Clients that were not moved yet may still write where it is thrown away.
        if !old.is_empty()
            && let Ok(server) = self.cache.server(old).await
            && server.writes == Writes::Takes
        {
            let detail = format!("{detail}; {} still takes writes", self.cache.placed(old));
            log.line(&detail);
            return Ok(Verified::Pending { detail });
        }
        Ok(Verified::Holds { detail, recovery_point: None })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(&self.cache.id, "a failover is not undone by failing over again")
            .next("start a failover towards the old region, with its own guards"))
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        const ACTION: &str = "elasticache:FailoverGlobalReplicationGroup";
        let (target, sight) = (self.target()?, self.cache.look().await);
        let group = On::ReplicationGroup { region: self.region.to_string(), name: target.to_owned() };
        let datastore = On::GlobalDatastore(self.cache.datastore.clone());
        let needs = [Need::new(ACTION, datastore), Need::new(ACTION, group)];
        let mut fitness = self.cache.permits.fitness(&needs).await?;
        if !sight.told.is_empty() {
            fitness.guards.push(self.member(&sight, target));
        }
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let (datastore, region) = (quoted(&self.cache.datastore), &self.region);
        let target = self.target().unwrap_or("GROUP");
        let describe = format!(
            "aws elasticache describe-global-replication-groups --region {region} --show-member-info \
             --global-replication-group-id {datastore} \
             --query 'GlobalReplicationGroups[0].[Status,Members[].[ReplicationGroupId,Role,Status]]'"
        );
        vec![
            "# It has to be `available`; who is PRIMARY now:".to_owned(),
            describe.clone(),
            "# Once. It waits for nothing: what the copy does not hold is lost.".to_owned(),
            format!(
                "aws elasticache failover-global-replication-group --region {region} --primary-region {region} \
                 --global-replication-group-id {datastore} --primary-replication-group-id {}",
                quoted(target)
            ),
            format!("# Verify: {target} is PRIMARY, and the datastore `available` again."),
            describe,
        ]
    }
}

/// The word for a datastore whose other members are gone.
const PRIMARY_ONLY: &str = "primary-only";

impl Failover {
    /// The group of the region.
    fn target(&self) -> Result<&str, Fault> {
        self.cache.of_region(&self.region).ok_or_else(|| {
            Fault::permanent(&self.cache.id, format!("no replication group of `regions` is in {}", self.region))
                .next("name it in `regions`")
        })
    }

    fn unknown(&self, why: String) -> Fault {
        Fault::transient(&self.cache.id, why).means("who takes writes is not known").next("look at the regions' APIs")
    }

    fn state(&self, sight: &Sight) -> Guard {
        match sight.is_available() {
            true => Guard::pass("datastore", format!("available; {}", sight.summary())),
            false => Guard::block("datastore", format!("it is `{}`: Amazon takes no failover then", sight.status())),
        }
    }

    fn member(&self, sight: &Sight, target: &str) -> Guard {
        let place = self.cache.placed(target);
        // The region that will serve knows best; one that is silent cannot be asked to fail over either.
        let told = sight.told.get(target);
        match told.map(|told| told.member(target)) {
            None => Guard::block("member", format!("the API of {} does not answer: it has to be asked", self.region)),
            Some(None) => Guard::block("member", format!("{place} is no member of the Global Datastore")),
            Some(Some(member)) if !member.is_associated() => {
                Guard::block("member", format!("{place} is `{}`", member.status))
            }
            Some(Some(_)) => Guard::pass("member", format!("{place} is a member, and associated")),
        }
    }

    /// How the primary stands. Amazon makes it a secondary itself, as long as its own region's API lives.
    async fn old_writer(&self, sight: &Sight, primary: &str) -> OldWriter {
        match self.cache.server(primary).await {
            Ok(server) if matches!(server.writes, Writes::Refuses(_) | Writes::Fenced(_)) => OldWriter::Fenced,
            Ok(_) if sight.told.contains_key(primary) && sight.is_available() => OldWriter::HandsOver,
            Ok(_) => OldWriter::Reachable,
            // It was not asked, or turned Mayday away.
            Err(fault) if is_refusal(&fault) => match sight.told.contains_key(primary) && sight.is_available() {
                true => OldWriter::HandsOver,
                false => OldWriter::Unknown,
            },
            Err(_) => OldWriter::Unreachable,
        }
    }
}
