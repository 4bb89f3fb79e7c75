//! What can be made sure of in S3: how much the standby's bucket holds, and that replication works. There is nothing to promote: both
//! buckets take writes.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Pair;
use super::bucket::Bucket;
use crate::domain::recovery::RecoveryPoint;
use crate::domain::system::{Begun, Checked, Fault, Guard, Observed, Preview, Receipt, Step, StepLog, Verified};
use crate::systems::shell::quoted;

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
            None => return Ok(Verified::Broken { why: self.0.nothing_there() }),
        };
        Ok(Verified::Holds { detail: object, recovery_point: Some(point) })
    }

    async fn revert(&self, _begun: &Begun, _log: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(changes_nothing(&self.0.standby.system))
    }

    fn by_hand(&self) -> Vec<String> {
        let Bucket { name, region, .. } = &self.0.standby;
        let (bucket, prefix) = (quoted(name), quoted(&self.0.prefix));
        let newest = "reverse(sort_by(Contents,&LastModified))[:16].[Key,LastModified]";
        vec![
            format!("# the newest object of {name} under {} that replication brought", self.0.prefix),
            format!(
                "aws s3api list-objects-v2 --region {region} --bucket {bucket} --prefix {prefix} --query {} --output text",
                quoted(newest)
            ),
            "# the first of them that says REPLICA is the recovery point".into(),
            format!(
                "aws s3api head-object --region {region} --bucket {bucket} --query '[LastModified,ReplicationStatus]' --key KEY"
            ),
        ]
    }
}

/// Makes sure that versioning and replication are on, and by a canary, if that is wanted, that they work.
pub struct Replication {
    pub pair: Arc<Pair>,
    pub canary: bool,
}

impl Replication {
    /// What is not set up as it should be.
    async fn wrong(&self) -> Result<Vec<String>, Fault> {
        let Pair { primary, standby, .. } = &*self.pair;
        let mut wrong = Vec::new();
        for bucket in [primary, standby] {
            if !bucket.versioned().await? {
                wrong.push(format!("versioning of {} is not enabled", bucket.name));
            }
        }
        if !primary.replicates_to(&standby.name).await? {
            wrong.push(format!("no enabled rule replicates {} to {}", primary.name, standby.name));
        }
        Ok(wrong)
    }

    /// Looks for the canary of this attempt on both sides, and writes it if it is nowhere: asked again, it finds what it wrote.
    async fn canary(&self, begun: &Begun) -> Result<Verified, Fault> {
        let Pair { primary, standby, prefix } = &*self.pair;
        let key = format!("{prefix}mayday-canary/{}", begun.at.as_millisecond());
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
        let wrong = self.wrong().await?;
        Ok(match (wrong.is_empty(), self.canary) {
            (true, false) => Observed::Done { detail: "versioning and replication are on".into() },
            (true, true) => {
                Observed::NotDone { detail: "versioning and replication are on; no canary was sent".into() }
            }
            (false, _) => Observed::NotDone { detail: wrong.join("; ") },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let Pair { primary, standby, .. } = &*self.pair;
        let canary = if self.canary { ", and send a canary" } else { "" };
        let summary = format!("look whether {} replicates to {}{canary}", primary.name, standby.name);
        Ok(Preview { summary, ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let wrong = self.wrong().await?;
        let guard = match wrong.is_empty() {
            true => Guard::pass("replication", "versioning and replication are on"),
            false => Guard::warn("replication", wrong.join("; ")),
        };
        Ok(Checked { guards: vec![guard], promotion: None })
    }

    async fn apply(&self, _pre_image: &Value, _log: &dyn StepLog) -> Result<Receipt, Fault> {
        Ok(Receipt::new())
    }

    async fn verify(&self, begun: &Begun, _log: &dyn StepLog) -> Result<Verified, Fault> {
        let wrong = self.wrong().await?;
        match (wrong.is_empty(), self.canary) {
            (false, _) => Ok(Verified::Pending { detail: wrong.join("; ") }),
            (true, true) => self.canary(begun).await,
            (true, false) => {
                Ok(Verified::Holds { detail: "versioning and replication are on".into(), recovery_point: None })
            }
        }
    }

    async fn revert(&self, _begun: &Begun, _log: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(changes_nothing(&self.pair.primary.system))
    }

    fn by_hand(&self) -> Vec<String> {
        let Pair { primary, standby, prefix } = &*self.pair;
        let at = |bucket: &Bucket| format!("--region {} --bucket {}", bucket.region, quoted(&bucket.name));
        let (from, to) = (at(primary), at(standby));
        let mut lines = vec![
            format!("# {} has to replicate to {}", primary.name, standby.name),
            format!("aws s3api get-bucket-versioning {from}"),
            format!("aws s3api get-bucket-versioning {to}"),
            format!("aws s3api get-bucket-replication {from}"),
        ];
        if self.canary {
            let key = quoted(&format!("{prefix}mayday-canary/by-hand"));
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
        let found = self.standby.newest_replica(&self.prefix).await?;
        Ok(found.map(|object| {
            let words = object.words();
            let source = format!("newest replicated object of {}: {}", self.standby.name, object.key);
            let region = Some(self.standby.region.clone());
            let source = crate::domain::text::clean(&source);
            (RecoveryPoint { at: object.modified, region, source, measured: true }, words)
        }))
    }

    /// Said when there is no recovery point.
    pub fn nothing_there(&self) -> String {
        format!("{} holds no replicated object under `{}`", self.standby.name, self.prefix)
    }
}
