//! One bucket: what it is set up for, and the newest object that came from the other side.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination, ExpirationStatus,
    LifecycleRule, Object, ReplicationConfiguration, ReplicationRule, ReplicationRuleFilter, ReplicationRuleStatus,
    ReplicationStatus,
};
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::domain::ids::RegionId;
use crate::domain::system::{Fault, FaultClass, Guard};
use crate::domain::text::clean;
use crate::domain::time::{At, Span, seconds_between};
use crate::systems::aws::{Aws, Call, moment};
use crate::systems::permits::login_guard;

/// So many of the newest objects are looked at for one that was replicated.
const CANDIDATES: usize = 16;

pub struct Bucket {
    pub system: String,
    pub name: String,
    pub region: RegionId,
    pub(super) aws: Arc<Aws>,
    /// An endpoint of its own is addressed by paths: its host name has no names below it.
    by_path: bool,
    client: Arc<OnceCell<Client>>,
}

/// An object that is there.
#[derive(Clone, Debug)]
pub struct Found {
    pub key: String,
    /// Whole seconds; replication keeps the source's.
    pub modified: At,
    pub size: Option<u64>,
}

impl Found {
    /// `heartbeat/us-east-1, 4 s old`
    pub fn words(&self) -> String {
        format!("{}, {} old", clean(&self.key), age(self.modified))
    }
}

/// How old a moment is, for people.
pub fn age(at: At) -> String {
    let seconds = seconds_between(at, At::now()).max(0.0);
    crate::domain::time::Span(Duration::from_secs(seconds as u64)).to_string()
}

/// Objects, and the last name when there are more.
pub type Page = (Vec<Found>, Option<String>);

impl Bucket {
    pub fn new(system: &str, name: &str, region: RegionId, aws: Aws, by_path: bool) -> Self {
        let client = Arc::new(OnceCell::new());
        Self { system: system.into(), name: name.into(), region, aws: Arc::new(aws), by_path, client }
    }

    /// Another bucket of the same region, reached the same way.
    pub fn sibling(&self, name: &str) -> Self {
        let Self { system, region, aws, by_path, client, .. } = self;
        let (system, name, region) = (system.clone(), name.to_owned(), region.clone());
        Self { system, name, region, aws: aws.clone(), by_path: *by_path, client: client.clone() }
    }

    pub(super) async fn client(&self) -> Result<&Client, Fault> {
        let make = async || {
            let config = self.aws.config().await?;
            // So is one that the profile or the environment names.
            let by_path = self.by_path || self.aws.endpoint_of("S3").await.is_some();
            Ok(Client::from_conf(Builder::from(&config).force_path_style(by_path).build()))
        };
        self.client.get_or_try_init(make).await
    }

    /// Whether versioning is enabled: without it a deletion or an overwriting cannot be taken back, and nothing replicates.
    pub fn versioned(&self) -> BoxFuture<'_, Result<bool, Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.get_bucket_versioning().bucket(&self.name);
            let answer = self.aws.ask(Call::Read, "GetBucketVersioning", ask.send()).await?;
            Ok(answer.status == Some(BucketVersioningStatus::Enabled))
        })
    }

    /// Whether an enabled rule replicates into the bucket called `to`.
    pub fn replicates_to<'a>(&'a self, to: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.get_bucket_replication().bucket(&self.name);
            let answer = match self.aws.ask(Call::Read, "GetBucketReplication", ask.send()).await {
                Err(fault) if fault.what.contains("ReplicationConfigurationNotFoundError") => return Ok(false),
                other => other?,
            };
            let arn = format!(":::{to}");
            let rules = answer.replication_configuration.map(|it| it.rules).unwrap_or_default();
            Ok(rules.iter().any(|rule| {
                let there = rule.destination.as_ref().is_some_and(|destination| destination.bucket.ends_with(&arn));
                there && rule.status == ReplicationRuleStatus::Enabled
            }))
        })
    }

    /// The role that this bucket's replication acts as; `None` without replication.
    pub fn replication_role(&self) -> BoxFuture<'_, Result<Option<String>, Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.get_bucket_replication().bucket(&self.name);
            match self.aws.ask(Call::Read, "GetBucketReplication", ask.send()).await {
                Err(fault) if fault.what.contains("ReplicationConfigurationNotFoundError") => Ok(None),
                Err(fault) => Err(fault),
                Ok(answer) => Ok(answer.replication_configuration.map(|it| it.role)),
            }
        })
    }

    /// Puts the one rule that everything new replicates to the bucket called `to`. One attempt.
    pub fn replicate_to<'a>(&'a self, rule: &'a str, to: &'a str, role: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let unfit = |error: aws_sdk_s3::error::BuildError| Fault::permanent(&self.system, error.to_string());
            let destination = Destination::builder().bucket(self.arn_of(to)).build().map_err(unfit)?;
            let deletions = DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Disabled).build();
            let rule = ReplicationRule::builder()
                .id(rule)
                .priority(1)
                .filter(ReplicationRuleFilter::builder().prefix("").build())
                .status(ReplicationRuleStatus::Enabled)
                .delete_marker_replication(deletions)
                .destination(destination)
                .build()
                .map_err(unfit)?;
            let rules = ReplicationConfiguration::builder().role(role).rules(rule).build().map_err(unfit)?;
            let ask = self.client().await?.put_bucket_replication().bucket(&self.name).replication_configuration(rules);
            self.aws.ask(Call::Mutation, "PutBucketReplication", ask.send()).await.map(drop)
        })
    }

    /// Takes the rules away. One attempt.
    pub fn replicate_nowhere(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.delete_bucket_replication().bucket(&self.name);
            self.aws.ask(Call::Mutation, "DeleteBucketReplication", ask.send()).await.map(drop)
        })
    }

    /// One page of names under `prefix`, after one of them; and the last name, when there are more.
    pub fn page<'a>(&'a self, prefix: &'a str, after: Option<String>) -> BoxFuture<'a, Result<Page, Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.list_objects_v2().bucket(&self.name).prefix(prefix).set_start_after(after);
            let page = self.aws.ask(Call::Read, "ListObjectsV2", ask.send()).await?;
            let more = page.is_truncated() == Some(true);
            let last = page.contents().last().and_then(|object| object.key.clone()).filter(|_| more);
            Ok((page.contents().iter().filter_map(told).collect(), last))
        })
    }

    /// Waits for credentials as long as a look of `whole` has time for that.
    ///
    /// # Errors
    /// When there are none.
    pub async fn logged_in_of(&self, whole: Duration) -> Result<(), Fault> {
        self.aws.logged_in_of(whole).await
    }

    /// For how long somebody is logged in; nothing for a key, which has no end.
    ///
    /// # Errors
    /// When nobody is.
    pub async fn login(&self) -> Result<Option<Guard>, Fault> {
        login_guard(&self.aws, &self.system).await
    }

    /// The newest object under `prefix`, whoever wrote it.
    pub fn newest<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Option<Found>, Fault>> {
        Box::pin(async move { Ok(self.listing(prefix).await?.objects.into_iter().next()) })
    }

    /// The newest object under `prefix` that replication brought here. What is written here by itself proves nothing of the other
    /// side.
    pub fn newest_replica<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Option<Found>, Fault>> {
        Box::pin(async move {
            for object in self.listing(prefix).await?.objects.into_iter().take(CANDIDATES) {
                if self.status(&object.key).await? == Some(ReplicationStatus::Replica) {
                    return Ok(Some(object));
                }
            }
            Ok(None)
        })
    }

    async fn status(&self, key: &str) -> Result<Option<ReplicationStatus>, Fault> {
        let ask = self.client().await?.head_object().bucket(&self.name).key(key);
        Ok(self.aws.ask(Call::Read, "HeadObject", ask.send()).await?.replication_status)
    }

    /// When `key` was last written, as seen here; `None` when there is no such object.
    pub fn modified<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<At>, Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.head_object().bucket(&self.name).key(key);
            match self.aws.ask(Call::Read, "HeadObject", ask.send()).await {
                Ok(answer) => Ok(answer.last_modified.as_ref().and_then(moment)),
                Err(fault) if is_missing(&fault) => Ok(None),
                Err(fault) => Err(fault),
            }
        })
    }

    /// The enabled rules of its lifecycle.
    pub fn lifecycle(&self) -> BoxFuture<'_, Result<Vec<LifecycleRule>, Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.get_bucket_lifecycle_configuration().bucket(&self.name);
            let answer = match self.aws.ask(Call::Read, "GetBucketLifecycleConfiguration", ask.send()).await {
                Err(fault) if fault.what.contains("NoSuchLifecycleConfiguration") => return Ok(Vec::new()),
                other => other?,
            };
            let rules = answer.rules.unwrap_or_default().into_iter();
            Ok(rules.filter(|rule| rule.status == ExpirationStatus::Enabled).collect())
        })
    }

    /// How long its lifecycle keeps the current versions under `prefix`; `None` when it keeps them for ever.
    pub fn expiration<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Option<Span>, Fault>> {
        Box::pin(async move {
            let days = |rule: &LifecycleRule| {
                let of = rule.filter.as_ref().and_then(|filter| filter.prefix.as_deref()).unwrap_or_default();
                let days = rule.expiration.as_ref().and_then(|it| it.days).filter(|_| prefix.starts_with(of))?;
                u64::try_from(days).ok()
            };
            let soonest = self.lifecycle().await?.iter().filter_map(days).min();
            Ok(soonest.map(|days| Span::secs(days * 86_400)))
        })
    }

    /// How replication stands with `key` as seen here; `None` when there is no such object.
    pub fn look<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, Fault>> {
        Box::pin(async move {
            match self.status(key).await {
                Ok(status) => Ok(Some(status.map_or_else(|| "not replicated".into(), |status| clean(status.as_str())))),
                Err(fault) if is_missing(&fault) => Ok(None),
                Err(fault) => Err(fault),
            }
        })
    }

    /// Writes a small object. One attempt.
    pub fn put<'a>(&'a self, key: &'a str, body: String) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let body = ByteStream::from(body.into_bytes());
            let ask = self.client().await?.put_object().bucket(&self.name).key(key).body(body);
            self.aws.ask(Call::Mutation, "PutObject", ask.send()).await.map(drop)
        })
    }
}

impl Bucket {
    /// Takes an object away; one that is not there is taken away, too. One attempt.
    pub fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let ask = self.client().await?.delete_object().bucket(&self.name).key(key);
            self.aws.ask(Call::Mutation, "DeleteObject", ask.send()).await.map(drop)
        })
    }
}

/// The answer to HEAD has no body that could name a code.
fn is_missing(fault: &Fault) -> bool {
    fault.class == FaultClass::Permanent && fault.what.contains("(404)")
}

fn told(object: &Object) -> Option<Found> {
    let size = object.size.and_then(|size| u64::try_from(size).ok());
    Some(Found { key: object.key.clone()?, modified: moment(object.last_modified.as_ref()?)?, size })
}
