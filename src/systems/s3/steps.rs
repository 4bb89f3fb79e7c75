//! What can be made sure of in S3: how much the standby's bucket holds, and that replication works. There is nothing to promote: both
//! buckets take writes.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Pair;
use super::bucket::Bucket;
use super::listing::today;
use crate::domain::recovery::RecoveryPoint;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::time::At;
use crate::systems::aws::is_silence;
use crate::systems::permits::{Need, On};
use crate::systems::shell::quoted;

const ON: &str = "versioning and replication are on";

fn changes_nothing(system: &str) -> Fault {
    Fault::permanent(system, "this step changes nothing, so there is nothing to take back")
}

/// Reads the recovery point from the standby's bucket.
pub struct Measure(pub Arc<Pair>);

#[async_trait]
impl Step for Measure {
    async fn observe(&self, _begun: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(Observed::NotDone { detail: "not measured yet".into() })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (name, prefix) = (&self.0.standby.name, &self.0.prefix);
        let summary = format!("read the newest replicated object of {name} under {prefix}");
        Ok(Preview { summary, ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        Ok(Checked::default())
    }

    async fn apply(&self, _pre_image: &Value, _log: &dyn StepLog) -> Result<Receipt, Fault> {
        Ok(Receipt::new())
    }

    async fn verify(&self, _begun: &Begun, _log: &dyn StepLog) -> Result<Verified, Fault> {
        let (point, object) = match self.0.standby_point().await? {
            Some(found) => found,
            None => return Ok(Verified::Broken { why: self.0.nothing_there(&self.0.standby) }),
        };
        Ok(Verified::Holds { detail: object, recovery_point: Some(point) })
    }

    /// Whether there is something to be measured by, long before it is needed.
    async fn fitness(&self) -> Result<Fitness, Fault> {
        let guard = match self.0.standby_point().await? {
            Some((_, object)) => Guard::pass("arrived", format!("the newest object that arrived is {object}")),
            None => Guard::block(
                "arrived",
                format!("{}: what is lost cannot be measured", self.0.nothing_there(&self.0.standby)),
            ),
        };
        let mut guards: Vec<Guard> = self.0.standby.login().await?.into_iter().collect();
        guards.push(guard);
        Ok(Fitness { guards })
    }

    async fn revert(&self, _begun: &Begun, _log: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(changes_nothing(&self.0.standby.system))
    }

    fn by_hand(&self) -> Vec<String> {
        let Bucket { name, region, .. } = &self.0.standby;
        let (bucket, prefix) = (quoted(name), quoted(&today(&self.0.prefix, At::now())));
        let newest = "reverse(sort_by(Contents,&LastModified))[:16].Key";
        let at = format!("--region {region} --bucket {bucket}");
        let list = format!("aws s3api list-objects-v2 {at} --prefix {prefix} --query {} --output text", quoted(newest));
        let head = format!(
            "aws s3api head-object {at} --key \"$key\" --query '[LastModified,ReplicationStatus]' --output text"
        );
        vec![
            format!(
                "# the newest objects of {name} under {}; the first that says REPLICA is the recovery point",
                self.0.prefix
            ),
            format!("for key in $({list}); do printf '%s ' \"$key\"; {head}; done"),
        ]
    }
}

/// Makes sure that versioning and replication are on, and by a canary, if that is wanted, that they work.
pub struct Replication {
    pub pair: Arc<Pair>,
    pub canary: bool,
    /// A primary that does not answer is a fact to be told and no failure: the plan is about its loss.
    pub source_may_be_lost: bool,
}

/// How the two buckets are set up.
enum Setup {
    AsItShould,
    Wrong(String),
    /// The primary does not answer; the standby is as it should be.
    SourceLost(String),
}

impl Replication {
    async fn setup(&self) -> Result<Setup, Fault> {
        let Pair { primary, standby, .. } = &*self.pair;
        let mut wrong = Vec::new();
        if !standby.versioned().await? {
            wrong.push(format!("versioning of {} is not enabled", standby.name));
        }
        match self.source().await {
            Ok(more) => wrong.extend(more),
            Err(fault) if self.source_may_be_lost && wrong.is_empty() && is_silence(&fault) => {
                let arrived = match self.pair.standby_point().await? {
                    Some((_, object)) => format!("the newest object that arrived is {object}"),
                    None => self.pair.nothing_there(standby),
                };
                let lost = format!("{} does not answer, so nothing replicates from it; {arrived}", primary.name);
                return Ok(Setup::SourceLost(lost));
            }
            Err(fault) => return Err(fault),
        }
        Ok(if wrong.is_empty() { Setup::AsItShould } else { Setup::Wrong(wrong.join("; ")) })
    }

    /// What is not set up as it should be on the side that replicates.
    async fn source(&self) -> Result<Vec<String>, Fault> {
        let Pair { primary, standby, .. } = &*self.pair;
        let mut wrong = Vec::new();
        if !primary.versioned().await? {
            wrong.push(format!("versioning of {} is not enabled", primary.name));
        }
        if !primary.replicates_to(&standby.name).await? {
            wrong.push(format!("no enabled rule replicates {} to {}", primary.name, standby.name));
        }
        Ok(wrong)
    }

    /// Looks for the canary of this attempt on both sides, and writes it if it is nowhere: asked again, it finds what it wrote.
    async fn canary(&self, begun: &Begun) -> Result<Verified, Fault> {
        let Pair { primary, standby, prefix, .. } = &*self.pair;
        let key = format!("{}mayday-canary/{}", today(prefix, begun.at), begun.at.as_millisecond());
        if standby.look(&key).await?.is_some_and(|status| status == "REPLICA") {
            let detail = format!("the canary {key} reached {}", standby.name);
            return Ok(Verified::Holds { detail, recovery_point: None });
        }
        let detail = match primary.look(&key).await? {
            Some(status) => format!("the canary {key} is {status} in {}", primary.name),
            None => {
                primary.put(&key, format!("written by mayday at {}\n", begun.at)).await?;
                format!("the canary {key} is written to {}", primary.name)
            }
        };
        Ok(Verified::Pending { detail })
    }
}

#[async_trait]
impl Step for Replication {
    async fn observe(&self, _begun: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(match self.setup().await? {
            Setup::AsItShould if self.canary => Observed::NotDone { detail: format!("{ON}; no canary was sent") },
            Setup::AsItShould => Observed::Done { detail: ON.into() },
            Setup::Wrong(detail) => Observed::NotDone { detail },
            Setup::SourceLost(detail) => Observed::Done { detail },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let Pair { primary, standby, .. } = &*self.pair;
        let canary = if self.canary { ", and send a canary" } else { "" };
        let summary = format!("look whether {} replicates to {}{canary}", primary.name, standby.name);
        Ok(Preview { summary, ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let guard = match self.setup().await? {
            Setup::AsItShould => Guard::pass("replication", ON),
            Setup::Wrong(what) | Setup::SourceLost(what) => Guard::warn("replication", what),
        };
        Ok(Checked { guards: vec![guard], promotion: None })
    }

    async fn apply(&self, _pre_image: &Value, _log: &dyn StepLog) -> Result<Receipt, Fault> {
        Ok(Receipt::new())
    }

    async fn verify(&self, begun: &Begun, _log: &dyn StepLog) -> Result<Verified, Fault> {
        let detail = match self.setup().await? {
            Setup::Wrong(detail) => return Ok(Verified::Pending { detail }),
            Setup::AsItShould if self.canary => return self.canary(begun).await,
            Setup::AsItShould => ON.into(),
            Setup::SourceLost(detail) => detail,
        };
        Ok(Verified::Holds { detail, recovery_point: None })
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let Pair { primary, standby, prefix, permits } = &*self.pair;
        let on = |bucket: &Bucket| On::Bucket { name: bucket.name.clone(), key: None };
        let mut needs: Vec<Need> =
            [primary, standby].map(|bucket| Need::new("s3:GetBucketVersioning", on(bucket))).into();
        needs.push(Need::new("s3:GetReplicationConfiguration", on(primary)));
        if self.canary {
            let key = format!("{}mayday-canary/0", today(prefix, At::now()));
            let object = |bucket: &Bucket| On::Bucket { name: bucket.name.clone(), key: Some(key.clone()) };
            needs.push(Need::new("s3:PutObject", object(primary)));
            needs.extend([primary, standby].map(|bucket| Need::new("s3:GetObject", object(bucket))));
        }
        permits.fitness(&needs).await
    }

    async fn revert(&self, _begun: &Begun, _log: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(changes_nothing(&self.pair.primary.system))
    }

    fn by_hand(&self) -> Vec<String> {
        let Pair { primary, standby, prefix, .. } = &*self.pair;
        let at = |bucket: &Bucket| format!("--region {} --bucket {}", bucket.region, quoted(&bucket.name));
        let (from, to) = (at(primary), at(standby));
        let mut lines = vec![
            format!("# {} has to replicate to {}", primary.name, standby.name),
            format!("aws s3api get-bucket-versioning {from}"),
            format!("aws s3api get-bucket-versioning {to}"),
            format!("aws s3api get-bucket-replication {from}"),
        ];
        if self.canary {
            let key = quoted(&format!("{}mayday-canary/by-hand", today(prefix, At::now())));
            lines.push(format!("date > canary && aws s3api put-object {from} --key {key} --body canary"));
            lines.push("# again and again until it says REPLICA".into());
            lines.push(format!("aws s3api head-object {to} --key {key} --query ReplicationStatus"));
        }
        lines
    }
}

impl Pair {
    /// The newest moment that replication brought to the standby, and the object that proves it.
    pub async fn standby_point(&self) -> Result<Option<(RecoveryPoint, String)>, Fault> {
        self.arrived(&self.standby).await
    }

    /// The newest moment that replication brought to one of the two, and the object that proves it.
    pub async fn arrived(&self, bucket: &Bucket) -> Result<Option<(RecoveryPoint, String)>, Fault> {
        let found = bucket.newest_replica(&self.prefix).await?;
        Ok(found.map(|object| {
            let words = object.words();
            let source = format!("newest replicated object of {}: {}", bucket.name, object.key);
            let region = Some(bucket.region.clone());
            let source = crate::domain::text::clean(&source);
            (RecoveryPoint { at: object.modified, region, source, measured: true }, words)
        }))
    }

    /// Said when there is no recovery point.
    pub fn nothing_there(&self, bucket: &Bucket) -> String {
        format!("{} holds no replicated object under `{}`", bucket.name, self.prefix)
    }
}
