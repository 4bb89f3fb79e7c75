//! The bucket of a journal: objects that are written on a condition.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ObjectLockEnabled;
use tokio::time::timeout;

use super::bucket::Bucket;
use crate::domain::estate::SystemSpec;
use crate::domain::objects::{Listed, Object, Objects, Stored, When};
use crate::domain::params::Params;
use crate::domain::system::{Fault, FaultClass, Guard};
use crate::domain::text::clean;
use crate::systems::aws::{Aws, Call};

/// The largest object that a journal writes is one append's: far below this, in bytes.
const LARGEST: i64 = 64 << 20;
/// How long an object may take to arrive once its answer has begun.
const BODY: Duration = Duration::from_secs(5);

/// Where a journal lies that engines share.
pub struct JournalBucket {
    bucket: Bucket,
    prefix: String,
}

impl JournalBucket {
    /// With the parameters of `[journal.s3]`. Nothing is asked yet.
    pub fn new(params: &Params) -> Self {
        let text = |name| params.opt_text(name).unwrap_or_default().to_owned();
        let (id, region) = ("journal", text("region"));
        let spec = SystemSpec {
            id: id.into(),
            kind: super::KIND.name.into(),
            title: "the journal".into(),
            region: None,
            class: None,
            params: params.clone(),
        };
        let endpoint = params.opt_text("endpoint_url");
        let aws = Aws::new(&spec, &region, endpoint);
        let bucket = Bucket::new(id, &text("bucket"), region.as_str().into(), aws, endpoint.is_some());
        Self { bucket, prefix: text("prefix") }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// What keeps whoever may write there from taking records away: what `mayday check` says of it.
    ///
    /// # Errors
    /// When the bucket does not say.
    pub async fn protection(&self) -> Result<Vec<Guard>, Fault> {
        let name = clean(&self.bucket.name);
        let versioned = match self.bucket.versioned().await? {
            true => Guard::pass("versioning", format!("{name} is versioned")),
            false => Guard::warn("versioning", format!("{name} is not versioned: what is deleted there is gone")),
        };
        let locked = match self.bucket.locked().await? {
            true => Guard::pass("object-lock", format!("{name} has Object Lock")),
            false => Guard::warn(
                "object-lock",
                format!("{name} has no Object Lock: whoever may write there may delete, too"),
            ),
        };
        Ok(vec![versioned, locked])
    }
}

impl Bucket {
    /// Whether Object Lock is on: then a default retention keeps what is written.
    pub async fn locked(&self) -> Result<bool, Fault> {
        let ask = self.client().await?.get_object_lock_configuration().bucket(&self.name);
        match self.aws.ask(Call::Read, "GetObjectLockConfiguration", ask.send()).await {
            Err(fault) if fault.what.contains("ObjectLockConfigurationNotFoundError") => Ok(false),
            Err(fault) => Err(fault),
            Ok(answer) => Ok(answer.object_lock_configuration.and_then(|it| it.object_lock_enabled)
                == Some(ObjectLockEnabled::Enabled)),
        }
    }
}

#[async_trait]
impl Objects for JournalBucket {
    fn name(&self) -> String {
        format!("s3://{}/{}", clean(&self.bucket.name), clean(&self.prefix))
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, Fault> {
        let ask = self.bucket.client().await?.get_object().bucket(&self.bucket.name).key(self.key(key));
        let answer = match self.bucket.aws.ask(Call::Read, "GetObject", ask.send()).await {
            // A bucket that is missing is told with the same status, and is no object that is missing.
            Err(fault) if fault.what.contains("NoSuchKey") => return Ok(None),
            Err(fault) => return Err(fault),
            Ok(answer) => answer,
        };
        let broken = |why: String| Fault::transient("journal", format!("the object {} broke off: {why}", clean(key)));
        if answer.content_length.is_some_and(|length| length > LARGEST) {
            return Err(Fault::permanent(
                "journal",
                format!("the object {} is none that Mayday has written", clean(key)),
            ));
        }
        let tag = answer.e_tag.clone().unwrap_or_default();
        let body = timeout(BODY, answer.body.collect()).await.map_err(|_| broken("it came too slowly".into()))?;
        let body = body.map_err(|error| broken(error.to_string()))?.to_vec();
        let body = String::from_utf8(body).map_err(|_| broken("it is no text".into()))?;
        Ok(Some(Object { body, tag }))
    }

    async fn put(&self, key: &str, body: &str, when: When<'_>) -> Result<Stored, Fault> {
        let body = ByteStream::from(body.as_bytes().to_vec());
        let ask = self.bucket.client().await?.put_object().bucket(&self.bucket.name).key(self.key(key)).body(body);
        let ask = match when {
            When::Absent => ask.if_none_match("*"),
            When::Unchanged(tag) => ask.if_match(tag),
            When::Always => ask,
        };
        match self.bucket.aws.ask(Call::Mutation, "PutObject", ask.send()).await {
            Ok(answer) => Ok(Stored::Kept(answer.e_tag.unwrap_or_default())),
            // 404 is what `If-Match` says of an object that is gone.
            Err(fault) if fault.what.contains("(412)") || fault.what.contains("NoSuchKey") => Ok(Stored::Met),
            // Somebody else was writing it at that moment: S3 asks to try again.
            Err(fault) if fault.what.contains("ConditionalRequestConflict") => {
                Err(Fault { class: FaultClass::Transient, ..fault })
            }
            Err(fault) => Err(fault),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: Option<usize>) -> Result<Vec<Listed>, Fault> {
        let (whole, mut after, mut listed) = (self.key(prefix), after.map(|it| self.key(it)), Vec::new());
        loop {
            let (found, last) = self.bucket.page(&whole, after).await?;
            listed.extend(found.into_iter().filter_map(|it| {
                Some(Listed { key: it.key.strip_prefix(&self.prefix)?.to_owned(), written: it.modified })
            }));
            if last.is_none() || most.is_some_and(|most| listed.len() >= most) {
                return Ok(listed);
            }
            after = last;
        }
    }

    async fn remove(&self, key: &str) -> Result<(), Fault> {
        self.bucket.delete(&self.key(key)).await
    }
}
