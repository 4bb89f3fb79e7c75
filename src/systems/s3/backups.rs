//! Copies that lie in S3, and what protects the objects of S3 themselves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Pair;
use super::bucket::{Bucket, Found};
use super::listing::{self, Listing};
use crate::domain::backup::{BackupCopy, BackupLook, BackupSpec, CopyState, chain, copy};
use crate::domain::ids::RegionId;
use crate::domain::kinds::{BackupKind, Param, ParamType};
use crate::domain::system::{Fault, Guard};
use crate::domain::time::{At, Span, seconds_between};
use crate::systems::dated::dated;

const BUCKET: Param = Param::required("bucket", ParamType::Text, "the bucket that holds the copies");
const BUCKET_REGION: Param =
    Param::optional("bucket_region", ParamType::Region, "where that bucket is; the standby region when left out");
const SUFFIX: Param = Param::default("suffix", ParamType::Text, "", "how the names of copies end");
const DATED_BY: Param = Param::default(
    "dated_by",
    ParamType::Choice(&["name", "modified"]),
    "name",
    "where the moment of a copy is read: in its name (UTC), or when the object was written",
);

pub const KINDS: &[BackupKind] = &[
    BackupKind {
        name: "s3.objects",
        title: "Dated copies in a bucket",
        dated: true,
        params: &[
            BUCKET,
            BUCKET_REGION,
            Param::required(
                "prefix",
                ParamType::Text,
                "what the names of copies begin with; it may hold a date (`dumps/%Y/%m/%d/`)",
            ),
            SUFFIX,
            DATED_BY,
        ],
    },
    BackupKind {
        name: "s3.chain",
        title: "Full copies and the increments after them in a bucket",
        dated: true,
        params: &[
            BUCKET,
            BUCKET_REGION,
            Param::required("full", ParamType::Text, "what the names of full copies begin with"),
            Param::required("increments", ParamType::Text, "what the names of increments begin with"),
            SUFFIX,
            DATED_BY,
            Param::required("gap", ParamType::Span, "the longest time between two links of an unbroken chain"),
        ],
    },
    BackupKind {
        name: "s3.protection",
        title: "Versioning, replication and lifecycle of the two buckets",
        dated: false,
        params: &[Param::default(
            "lifecycle",
            ParamType::Flag,
            "true",
            "whether both buckets need an enabled lifecycle rule",
        )],
    },
    BackupKind {
        name: "s3.canary",
        title: "An object that is written here and found on the other side, timed",
        dated: true,
        params: &[
            Param::default("key", ParamType::Text, "mayday-canary", "the object; Mayday overwrites it at every look"),
            Param::default("wait", ParamType::Span, "30s", "how long it may take to cross"),
        ],
    },
];

/// How often the other side is asked for the canary.
const ASK_AGAIN: Duration = Duration::from_millis(500);

impl Pair {
    pub async fn backup(self: &Arc<Self>, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        match spec.kind.as_str() {
            "s3.objects" => self.objects(spec).await,
            "s3.chain" => self.chain(spec).await,
            "s3.protection" => self.protection(spec).await,
            "s3.canary" => self.canary(spec).await,
            other => Err(Fault::permanent(&self.primary.system, format!("there is no backup kind `{other}`"))
                .next("run `mayday kinds`")),
        }
    }

    /// The bucket of copies: reached as this pair's own bucket of that region is.
    fn copies(&self, spec: &BackupSpec) -> Result<Bucket, Fault> {
        let region = spec.params.opt_text("bucket_region").map(RegionId::from);
        let near = if region.as_ref() == Some(&self.primary.region) { &self.primary } else { &self.standby };
        Ok(near.sibling(spec.params.text("bucket")?))
    }

    async fn objects(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        let bucket = self.copies(spec)?;
        let prefix = spec.params.text("prefix")?;
        let (copies, read) = found(&bucket, prefix, spec).await?;
        let mut look = BackupLook::of(copies).at(bucket.region.clone());
        look.guards.extend(read);
        look.guards.push(versioning(&bucket).await?);
        look.keeps = bucket.expiration(prefix.split('%').next().unwrap_or_default()).await?;
        Ok(look)
    }

    async fn chain(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        let bucket = self.copies(spec)?;
        let gap = Span(spec.params.span("gap")?);
        let (full, _) = found(&bucket, spec.params.text("full")?, spec).await?;
        let (increments, read) = found(&bucket, spec.params.text("increments")?, spec).await?;
        // Nothing can be applied to one in which nothing can be; and its size is not told of the links any more.
        let sound =
            |copy: BackupCopy| if copy.is_good() { copy } else { BackupCopy { state: CopyState::Failed, ..copy } };
        let full: Vec<BackupCopy> = full.into_iter().map(sound).collect();
        let newest_full = full.iter().filter(|copy| copy.is_good()).map(|copy| copy.at).max();
        let moments: Vec<At> = increments.iter().map(|copy| copy.at).collect();
        let (end, broken) = chain(newest_full, &moments, gap);
        // Increments alone are no copies: the sizes of the two cannot be compared, and a chain is as old as its full copy.
        let links = full.into_iter().chain(increments).map(|copy| BackupCopy { size: None, ..copy });
        let mut look = BackupLook::of(links.filter(|copy| end.is_some_and(|end| copy.at <= end)).collect());
        look.point = end;
        look.regions.push(bucket.region.clone());
        look.guards.extend(read);
        look.guards.push(match (newest_full, broken) {
            (None, _) => Guard::block("chain", "there is no full copy that increments could be applied to"),
            (Some(_), Some(next)) => Guard::warn(
                "chain",
                format!("the chain breaks before {}: nothing after the gap can be applied", next.strftime("%F %H:%MZ")),
            ),
            (Some(full), None) => Guard::pass("chain", format!("unbroken since {}", full.strftime("%F %H:%MZ"))),
        });
        Ok(look)
    }

    async fn protection(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        let (primary, standby) = (&self.primary, &self.standby);
        let mut guards = vec![versioning(primary).await?, versioning(standby).await?];
        guards.push(match primary.replicates_to(&standby.name).await? {
            true => Guard::pass("replication", format!("{} replicates to {}", primary.name, standby.name)),
            false => Guard::block(
                "replication",
                format!("{} does not replicate to {}: no copy leaves its region", primary.name, standby.name),
            ),
        });
        for bucket in [primary, standby].into_iter().filter(|_| spec.params.flag("lifecycle")) {
            let rules = bucket.lifecycle().await?.len();
            guards.push(match rules {
                0 => {
                    Guard::warn("lifecycle", format!("{} has no enabled lifecycle rule: versions pile up", bucket.name))
                }
                _ => Guard::pass("lifecycle", format!("{} has {rules} enabled lifecycle rules", bucket.name)),
            });
        }
        let arrived = self.standby_point().await?.map(|(point, _)| point.at);
        let regions = vec![primary.region.clone(), standby.region.clone()];
        Ok(BackupLook { point: arrived, regions, guards, ..BackupLook::default() })
    }

    /// Writes the canary and waits for it on the other side.
    async fn canary(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        let (key, wait) = (spec.params.text("key")?, spec.params.span("wait")?);
        let written = At::now();
        self.primary.put(key, written.to_string()).await?;
        let start = Instant::now();
        let crossed = loop {
            let there = self.standby.modified(key).await?;
            // S3 tells whole seconds, and replication keeps the source's.
            if there.is_some_and(|at| seconds_between(at, written) < 1.0) {
                break Ok(start.elapsed());
            }
            if start.elapsed() >= wait {
                break Err(there);
            }
            sleep(ASK_AGAIN).await;
        };
        let (newest, guard) = match crossed {
            Ok(took) => {
                let words = format!("crossed in {:.1} s", took.as_secs_f64());
                (Some(written), Guard::pass("canary", words))
            }
            Err(there) => {
                let words = format!("what was written {} ago has not crossed", Span::secs(wait.as_secs()));
                (there, Guard::warn("canary", words))
            }
        };
        let copies = newest.map(|at| copy(at, CopyState::Good, key, None)).into_iter().collect();
        let mut look = BackupLook::of(copies).at(self.standby.region.clone());
        look.guards.push(guard);
        Ok(look)
    }
}

async fn found(bucket: &Bucket, prefix: &str, spec: &BackupSpec) -> Result<(Vec<BackupCopy>, Option<Guard>), Fault> {
    let suffix = spec.params.opt_text("suffix").unwrap_or_default();
    let by_name = spec.params.opt_text("dated_by") != Some("modified");
    let Listing { objects, since } = bucket.listing(prefix).await?;
    let head = prefix.split('%').next().unwrap_or_default();
    let told = |object: &Found| {
        let at = if by_name { dated(&object.key)? } else { object.modified };
        // An upload that broke off leaves nothing in S3, but an empty object restores nothing either.
        let state = if object.size == Some(0) { CopyState::Failed } else { CopyState::Good };
        Some(copy(at, state, object.key.strip_prefix(head).unwrap_or(&object.key), object.size))
    };
    let copies = objects.iter().filter(|object| object.key.ends_with(suffix)).filter_map(told).collect();
    Ok((copies, since.map(|since| Guard::pass("listing", listing::words(since, At::now())))))
}

async fn versioning(bucket: &Bucket) -> Result<Guard, Fault> {
    Ok(match bucket.versioned().await? {
        true => Guard::pass("versioning", format!("{} is versioned", bucket.name)),
        false => Guard::warn("versioning", format!("{} is not versioned: deletions are final", bucket.name)),
    })
}
