//! S3: a bucket in each region, and replication from one to the other. Nothing is promoted; what matters is how much has arrived.
//!
//! What an installation can look like:
//!
//! | installation | Mayday |
//! |---|---|
//! | up to 5000 objects under a prefix | all are read |
//! | millions, with a date in their names | what is older than 8 days (64, 512 … when nothing is newer) is jumped over by `start-after`, and that is told |
//! | millions, one folder a day | write the date into the prefix: `dumps/%Y/%m/%d/` |
//! | millions, dated only by when they were written | refused: "the newest one cannot be found in time: what has arrived is unknown" |
//! | `prefix` of heartbeats, replicated | what arrived is dated by the source's own clock |
//! | an endpoint of the config, of a profile's `services` or of the environment | addressed by paths |
//! | Object Lock, encryption, requester pays | as the bucket has it; a bucket that wants `x-amz-request-payer` refuses, which is unknown |
//! | `aws-cn`, `aws-us-gov` | supported: ARNs are of the region's partition |
//! | what `s3.replicate` and the canary may do | asked of IAM, for the bucket, the object and the role that is passed on; policies of the bucket itself are not known to IAM's answer |

mod backups;
pub(in crate::systems) mod bucket;
mod listing;
mod objects;
mod replicate;
mod steps;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::bucket::{Bucket, age};
pub use self::objects::JournalBucket;
use self::replicate::Replicate;
use self::steps::{Measure, Replication};
use crate::domain::backup::{BackupLook, BackupSpec};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::{Reading, Status};
use crate::domain::ids::RegionId;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::{Lag, Member, RecoveryPoint, Role, Survey};
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::time::{At, seconds_between};
use crate::systems::aws::{ACCESS_KEY_ID, Aws, PROFILE, SECRET_ACCESS_KEY, reading};
use crate::systems::permits::{IAM_ENDPOINT_URL, IAM_WAY, Permits, STS_ENDPOINT_URL};

/// The words of the parameter `bucket`.
const SIDES: &[&str] = &["primary", "standby"];

pub static KIND: SystemKind = SystemKind {
    name: "s3",
    title: "A bucket of Amazon S3 and its replica in the other region",
    ambient: false,
    ways: &[
        WayOut::new("primary_endpoint_url", To::Primary("primary_region"), "S3"),
        WayOut::new("standby_endpoint_url", To::Standby("standby_region"), "S3"),
        IAM_WAY,
    ],
    params: &[
        Param::required("primary_bucket", ParamType::Text, "the bucket of the primary region"),
        Param::required("standby_bucket", ParamType::Text, "the bucket of the standby region that it is replicated to"),
        Param::optional(
            "primary_region",
            ParamType::Region,
            "where the first one is; the primary region when left out",
        ),
        Param::optional(
            "standby_region",
            ParamType::Region,
            "where the second one is; the standby region when left out",
        ),
        Param::optional(
            "primary_endpoint_url",
            ParamType::Url,
            "an endpoint other than AWS's own, for the primary region",
        ),
        Param::optional(
            "standby_endpoint_url",
            ParamType::Url,
            "an endpoint other than AWS's own, for the standby region",
        ),
        Param::default(
            "prefix",
            ParamType::Text,
            "heartbeat/",
            "where the application writes something all the time; the newest object there tells how much has arrived; it may hold a date (`beat/%Y/%m/%d/`)",
        ),
        STS_ENDPOINT_URL,
        IAM_ENDPOINT_URL,
        PROFILE,
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
    ],
    probes: &[ProbeKind {
        name: "s3.bucket",
        title: "A bucket answers, is versioned, and its newest object is fresh",
        params: &[
            Param::default("bucket", ParamType::Choice(SIDES), "primary", "which of the two"),
            Param::optional("max_age", ParamType::Span, "how old the newest object under `prefix` may be"),
        ],
    }],
    steps: &[
        StepKind {
            name: "s3.recovery-point",
            title: "Read from the standby's bucket how much has arrived",
            role: StepRole::Measures,
            undo: Undo::Nothing,
            instead: "",
            params: &[],
        },
        StepKind {
            name: "s3.replicate",
            title: "Replicate the bucket of a region to the other one",
            role: StepRole::Changes,
            undo: Undo::Revert,
            instead: "",
            params: &[Param::optional(
                "role",
                ParamType::Text,
                "the ARN of the role that S3 acts as; that of the other direction when left out",
            )],
        },
        StepKind {
            name: "s3.replication",
            title: "Make sure that versioning and replication are on",
            role: StepRole::Checks,
            undo: Undo::Nothing,
            instead: "",
            params: &[
                Param::default(
                    "canary",
                    ParamType::Flag,
                    "false",
                    "also write a small object under `prefix` and wait for it on the other side",
                ),
                Param::default(
                    "source_may_be_lost",
                    ParamType::Flag,
                    "false",
                    "be content with the standby's bucket when the primary's does not answer, as in a plan for its loss",
                ),
            ],
        },
    ],
    backups: backups::KINDS,
};

/// Makes connections to pairs of buckets.
pub struct S3Factory;

impl Factory for S3Factory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let params = &spec.params;
        let bucket = |side: &str, absent: Result<RegionId, String>| -> Result<Bucket, Fault> {
            let said = params.opt_text(&format!("{side}_region")).map(RegionId::from);
            let unsaid = |why| Fault::permanent(spec.id.as_str(), why).next(format!("add {side}_region"));
            let region = said.map_or(absent, Ok).map_err(unsaid)?;
            let endpoint = params.opt_text(&format!("{side}_endpoint_url"));
            let aws = Aws::new(spec, region.as_str(), endpoint);
            let name = params.text(&format!("{side}_bucket"))?;
            Ok(Bucket::new(spec.id.as_str(), name, region, aws, endpoint.is_some()))
        };
        let pair = Pair {
            primary: bucket("primary", Ok(around.estate.primary()))?,
            standby: bucket("standby", around.estate.only_standby())?,
            prefix: params.opt_text("prefix").unwrap_or_default().to_owned(),
            permits: Permits::new(spec, around.estate.standby().as_str()),
        };
        Ok(Arc::new(S3(Arc::new(pair))))
    }
}

/// The two buckets, and where their heartbeats are.
pub struct Pair {
    primary: Bucket,
    standby: Bucket,
    prefix: String,
    permits: Permits,
}

struct S3(Arc<Pair>);

/// One of the two buckets as it was seen.
struct Side<'a> {
    bucket: &'a Bucket,
    seen: Result<Reading, Fault>,
    /// When the newest object was written, here or elsewhere.
    newest: Option<At>,
    /// What replication brought here.
    arrived: Result<Option<(RecoveryPoint, String)>, Fault>,
}

impl Side<'_> {
    /// When it was last written to by somebody else than replication.
    fn own(&self) -> Option<At> {
        let arrived = self.arrived.as_ref().ok()?.as_ref().map(|(point, _)| point.at);
        self.newest.filter(|newest| arrived.is_none_or(|arrived| *newest > arrived))
    }
}

impl S3 {
    async fn look(&self, bucket: &Bucket, max_age: Option<Duration>) -> Result<Reading, Fault> {
        if !bucket.versioned().await? {
            return Ok(Reading::degraded("versioning is not enabled: deletions are final, nothing replicates"));
        }
        let Some(max_age) = max_age else { return Ok(Reading::healthy("answers, versioned")) };
        let Some(newest) = bucket.newest(&self.0.prefix).await? else {
            return Ok(Reading::degraded(format!("nothing under {}", self.0.prefix)));
        };
        let fresh = seconds_between(newest.modified, At::now()) <= max_age.as_secs_f64();
        Ok(Reading::new(if fresh { Status::Healthy } else { Status::Degraded }, newest.words()))
    }

    async fn side<'a>(&self, bucket: &'a Bucket) -> Side<'a> {
        let prefix = &self.0.prefix;
        let (seen, newest, arrived) =
            tokio::join!(self.look(bucket, None), bucket.newest(prefix), self.0.arrived(bucket));
        Side { bucket, seen, newest: newest.ok().flatten().map(|object| object.modified), arrived }
    }
}

fn member(bucket: &Bucket, role: Role, seen: Result<Reading, Fault>) -> Member {
    let Reading { status, detail, .. } = seen.unwrap_or_else(|fault| reading(&fault));
    Member { name: bucket.name.clone(), region: Some(bucket.region.clone()), role, status, lag: None, detail }
}

#[async_trait]
impl System for S3 {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let started = Instant::now();
        let bucket = match spec.params.opt_text("bucket") {
            Some("standby") => &self.0.standby,
            _ => &self.0.primary,
        };
        let seen = match bucket.logged_in_of(spec.timeout.0).await {
            Ok(()) => self.look(bucket, spec.params.opt_span("max_age")).await,
            Err(fault) => Err(fault),
        };
        seen.unwrap_or_else(|fault| reading(&fault)).took(started.elapsed())
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        let pair = &*self.0;
        let (primary, standby) = tokio::join!(self.side(&pair.primary), self.side(&pair.standby));
        // The one that is written to has the newest object that nobody replicated; the primary, when none tells.
        let turned = standby.own() > primary.own();
        let (writer, copy) = if turned { (standby, primary) } else { (primary, standby) };
        // What does not answer may replicate all the same: only a clear no makes the other one no copy.
        let mut notes = Vec::new();
        let replicates = writer.bucket.replicates_to(&copy.bucket.name).await.unwrap_or_else(|fault| {
            let (from, to) = (&writer.bucket.name, &copy.bucket.name);
            notes.push(format!("whether {from} replicates to {to} is not known: {}", fault.what));
            true
        });
        let mut following = member(copy.bucket, Role::Replica, copy.seen);
        if !replicates {
            following.role = Role::Other;
            following.detail = format!("{}, and {} does not replicate to it", following.detail, writer.bucket.name);
        }
        let point = match copy.arrived {
            Ok(Some((point, words))) => {
                // Both times are the source's own; without the source nobody knows what is missing.
                following.lag = writer.newest.map(|written| Lag::Seconds(seconds_between(point.at, written).max(0.0)));
                notes.push(format!("newest object that arrived: {words}"));
                Some(point)
            }
            Ok(None) => {
                notes.push(pair.nothing_there(copy.bucket));
                None
            }
            Err(fault) => {
                notes.push(format!("what has arrived is unknown: {}", fault.what));
                None
            }
        };
        let mut leading = member(writer.bucket, Role::Writer, writer.seen);
        if let Some(at) = writer.newest {
            leading.detail = format!("{}, newest object {} old", leading.detail, age(at));
        }
        let members = if turned { vec![following, leading] } else { vec![leading, following] };
        Ok(Survey { members, standby_point: point, notes })
    }

    async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        self.0.backup(spec).await
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        let pair = self.0.clone();
        match spec.kind.as_str() {
            "s3.recovery-point" => Ok(Arc::new(Measure(pair))),
            "s3.replicate" => {
                let role = spec.params.opt_text("role").map(str::to_owned);
                Ok(Arc::new(Replicate { pair, region: spec.region.clone(), role }))
            }
            "s3.replication" => {
                let (canary, source_may_be_lost) = (spec.params.flag("canary"), spec.params.flag("source_may_be_lost"));
                Ok(Arc::new(Replication { pair, canary, source_may_be_lost }))
            }
            other => Err(Fault::permanent(&pair.primary.system, format!("there is no step `{other}`"))
                .next("run `mayday kinds`")),
        }
    }
}
