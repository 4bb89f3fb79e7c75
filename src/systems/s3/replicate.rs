//! `s3.replicate`: the bucket of a region replicates to the other one. Only objects that are written after this follow; those from before
//! need S3 Batch Replication (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-batch.html>). Replicas are
//! not replicated back, so that both directions may be on at once
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html>).

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Pair;
use super::bucket::Bucket;
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::systems::permits::{Need, On};
use crate::systems::shell::quoted;

pub struct Replicate {
    pub pair: Arc<Pair>,
    /// Whose bucket is the source.
    pub region: Option<RegionId>,
    /// The role that S3 acts as; that of the other direction's rule when left out.
    pub role: Option<String>,
}

impl Replicate {
    fn sides(&self) -> (&Bucket, &Bucket) {
        let Pair { primary, standby, .. } = &*self.pair;
        if self.region.as_ref() == Some(&primary.region) { (primary, standby) } else { (standby, primary) }
    }

    async fn role(&self) -> Result<String, Fault> {
        let (from, to) = self.sides();
        let known = match &self.role {
            Some(role) => Some(role.clone()),
            None => to.replication_role().await?,
        };
        known.ok_or_else(|| {
            Fault::permanent(&from.system, format!("{} has no rule whose role could be taken", to.name))
                .next("set `role` of the step to the ARN of a role that may replicate")
        })
    }
}

#[async_trait]
impl Step for Replicate {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let (from, to) = self.sides();
        if from.replicates_to(&to.name).await? {
            return Ok(Observed::Done { detail: format!("{} replicates to {}", from.name, to.name) });
        }
        Ok(match from.replication_role().await? {
            // The call replaces every rule that there is.
            Some(_) => {
                Observed::Impossible { why: format!("{} has rules of its own: add one to them by hand", from.name) }
            }
            None => Observed::NotDone { detail: format!("{} replicates nowhere", from.name) },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (from, to) = self.sides();
        Ok(Preview {
            summary: format!("{} replicates to {}", from.name, to.name),
            diff: vec![
                format!("  PutBucketReplication {}, in {}", from.name, from.region),
                format!("+ rule {RULE}: everything to {}, deletions not", to.name),
            ],
            pre_image: json!({ "rules": 0 }),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (from, to) = self.sides();
        let mut guards = Vec::new();
        for bucket in [from, to] {
            guards.push(match bucket.versioned().await? {
                true => Guard::pass("versioning", format!("{} is versioned", bucket.name)),
                false => Guard::block("versioning", format!("{} is not versioned: nothing replicates", bucket.name)),
            });
        }
        let role = self.role().await;
        guards.push(match role {
            Ok(role) => Guard::pass("role", role),
            Err(fault) => Guard::block("role", fault.what),
        });
        guards.push(
            Guard::warn("older-objects", "what was written before does not follow by itself: S3 Batch Replication")
                .situational(),
        );
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (from, to) = self.sides();
        let role = self.role().await?;
        log.line(&format!("PutBucketReplication {} to {}", from.name, to.name));
        from.replicate_to(RULE, &to.name, &role).await?;
        Ok(Receipt::from([("rule".to_owned(), RULE.to_owned())]))
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(match self.observe(None).await? {
            Observed::Done { detail } => Verified::Holds { detail, recovery_point: None },
            other => Verified::Pending { detail: other.words().to_owned() },
        })
    }

    async fn revert(&self, _: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (from, to) = self.sides();
        if !from.replicates_to(&to.name).await? {
            log.line(&format!("{} does not replicate to {} any more", from.name, to.name));
            return Ok(Receipt::new());
        }
        log.line(&format!("DeleteBucketReplication {}", from.name));
        from.replicate_nowhere().await?;
        Ok(Receipt::new())
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let (from, to) = self.sides();
        let on = |bucket: &Bucket| On::Bucket { name: bucket.name.clone(), key: None };
        let mut needs: Vec<Need> =
            ["s3:PutReplicationConfiguration", "s3:GetReplicationConfiguration", "s3:GetBucketVersioning"]
                .map(|action| Need::new(action, on(from)))
                .into();
        needs.extend(["s3:GetReplicationConfiguration", "s3:GetBucketVersioning"].map(|it| Need::new(it, on(to))));
        // S3 acts as this role; that it exists and may replicate is told by nobody before it does.
        needs.extend(self.role().await.ok().map(|role| Need::new("iam:PassRole", On::Arn(role))));
        self.pair.permits.fitness(&needs).await
    }

    fn by_hand(&self) -> Vec<String> {
        let (from, to) = self.sides();
        let at = format!("--region {} --bucket {}", from.region, quoted(&from.name));
        let rules = json!({ "Role": self.role.as_deref().unwrap_or("ROLE"), "Rules": [{
            "ID": RULE, "Priority": 1, "Filter": { "Prefix": "" }, "Status": "Enabled",
            "DeleteMarkerReplication": { "Status": "Disabled" }, "Destination": { "Bucket": format!("arn:aws:s3:::{}", to.name) },
        }] });
        vec![
            "# Replaces every rule that there is: look first".to_owned(),
            format!("aws s3api get-bucket-replication {at}"),
            format!("aws s3api put-bucket-replication {at} --replication-configuration {}", quoted(&rules.to_string())),
        ]
    }
}

/// What the rule is called.
const RULE: &str = "mayday-way-back";
