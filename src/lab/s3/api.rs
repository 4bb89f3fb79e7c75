//! The REST API, path style, one endpoint a region.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str};

use super::super::Site;
use super::super::faults::Condition;
use super::super::net::{GatedListener, Place};
use super::super::world::{Truth, World};
use super::super::xml::{child, document, leaf, node, text as xml_text};
use super::{Bucket, Buckets, JOURNAL_BUCKET, KEPT, ROOM, Version, listing};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The largest object.
const LARGEST: usize = 4 << 20;

/// What is left as it is in a key that is percent-encoded.
pub const IN_A_LISTING: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

const METADATA: &str = "x-amz-meta-";

pub type Questions = BTreeMap<String, String>;

/// An error as S3 tells it.
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(&'static str, String)>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }
    pub fn argument(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }
    fn no_key() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
    }
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Answered = Result<Response, Refusal>;

/// A moment as listings carry it: S3 keeps whole seconds.
pub fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[derive(Clone)]
struct Endpoint {
    world: World,
    region: &'static str,
}

impl Endpoint {
    fn place(&self) -> Place {
        Place::regional("s3", self.region)
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    for region in site.world.extent.regions().iter().copied() {
        let endpoint = Endpoint { world: site.world.clone(), region };
        let listener = GatedListener::bind(site.world, endpoint.place(), IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
        site.endpoints.insert(format!("s3.{region}"), format!("http://{}", listener.address()?));
        let limit = DefaultBodyLimit::max(LARGEST);
        let router = Router::new().fallback(serve).layer(limit).with_state(endpoint);
        site.tasks.spawn(async move {
            // Serving ends only with the lab.
            let _ = axum::serve(listener, router).await;
        });
    }
    Ok(())
}

async fn serve(
    State(endpoint): State<Endpoint>,
    method: Method,
    uri: Uri,
    Query(questions): Query<Questions>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = percent_decode_str(uri.path().trim_start_matches('/')).decode_utf8_lossy().into_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let request = Request { method, bucket, key, questions: &questions, headers: &headers, body };
    let answered = admit(&endpoint, &headers).and_then(|()| route(&endpoint, request));
    let mut response = answered.unwrap_or_else(|refusal| refused(refusal, uri.path()));
    let id = HeaderValue::from_str(&format!("{:X}", Timestamp::now().as_nanosecond()));
    if let Ok(id) = id {
        response.headers_mut().insert("x-amz-request-id", id);
    }
    response
}

fn refused(refusal: Refusal, resource: &str) -> Response {
    let told = [leaf("Code", refusal.code), leaf("Message", refusal.message), leaf("Resource", resource)];
    let mut response = (refusal.status, XML, document("Error", "", told)).into_response();
    for (name, value) in refusal.headers {
        put_header(&mut response, HeaderName::from_static(name), &value);
    }
    response
}

const XML: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/xml")];

fn put_header(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn admit(endpoint: &Endpoint, headers: &HeaderMap) -> Result<(), Refusal> {
    match endpoint.place().condition(&endpoint.world) {
        Condition::Denied => Err(Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")),
        Condition::Throttled => {
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate."))
        }
        _ if !headers.contains_key(header::AUTHORIZATION) => {
            Err(Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"))
        }
        _ => Ok(()),
    }
}

struct Request<'a> {
    method: Method,
    bucket: &'a str,
    key: &'a str,
    questions: &'a Questions,
    headers: &'a HeaderMap,
    body: Bytes,
}

fn route(endpoint: &Endpoint, request: Request<'_>) -> Answered {
    let truth = &mut *endpoint.world.truth();
    if request.bucket.is_empty() {
        return list_buckets(&truth.s3);
    }
    let bucket = truth
        .s3
        .bucket(request.bucket)
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist"))?;
    if bucket.region != endpoint.region {
        let elsewhere = "The bucket you are attempting to access must be addressed using the specified endpoint.";
        return Err(Refusal::new(StatusCode::MOVED_PERMANENTLY, "PermanentRedirect", elsewhere)
            .with("x-amz-bucket-region", bucket.region));
    }
    match (&request.method, request.key) {
        (&Method::GET | &Method::HEAD, "") => about_bucket(bucket, &request),
        (&Method::GET | &Method::HEAD, key) => get_object(bucket, key, request.questions),
        (&Method::PUT, "") if request.questions.contains_key("replication") => set_replication(truth, &request),
        (&Method::DELETE, "") if request.questions.contains_key("replication") => unset_replication(truth, &request),
        (&Method::PUT, key) if !key.is_empty() => put_object(truth, endpoint, &request),
        (&Method::DELETE, key) if !key.is_empty() => delete_object(truth, endpoint, &request),
        _ => Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", "This lab does not do that")),
    }
}

fn xml(root: &str, children: impl IntoIterator<Item = String>) -> Response {
    (StatusCode::OK, XML, document(root, NAMESPACE, children)).into_response()
}

fn list_buckets(buckets: &Buckets) -> Answered {
    let each = buckets.buckets.iter().map(|bucket| {
        let about = [leaf("Name", bucket.name), leaf("CreationDate", seconds(bucket.created))];
        node("Bucket", about.into_iter().chain([leaf("BucketRegion", bucket.region)]))
    });
    let owner = node("Owner", [leaf("ID", "lab"), leaf("DisplayName", "lab")]);
    Ok(xml("ListAllMyBucketsResult", [owner, node("Buckets", each)]))
}

/// Everything that is asked of a bucket itself; which one it is, the query says.
fn about_bucket(bucket: &Bucket, request: &Request<'_>) -> Answered {
    let asks = |name: &str| request.questions.contains_key(name);
    if request.method == Method::HEAD {
        let mut response = StatusCode::OK.into_response();
        put_header(&mut response, HeaderName::from_static("x-amz-bucket-region"), bucket.region);
        return Ok(response);
    }
    if asks("versioning") {
        let status = if bucket.versioned { "Enabled" } else { "Suspended" };
        return Ok(xml("VersioningConfiguration", [leaf("Status", status)]));
    }
    if asks("replication") {
        return replication(bucket);
    }
    if asks("object-lock") {
        let days = bucket.locked_days.ok_or_else(|| {
            let none = "Object Lock configuration does not exist for this bucket";
            Refusal::new(StatusCode::NOT_FOUND, "ObjectLockConfigurationNotFoundError", none)
        })?;
        let retention = node("DefaultRetention", [leaf("Mode", "COMPLIANCE"), leaf("Days", days)]);
        return Ok(xml("ObjectLockConfiguration", [leaf("ObjectLockEnabled", "Enabled"), node("Rule", [retention])]));
    }
    if asks("lifecycle") {
        return Ok(lifecycle());
    }
    if asks("location") {
        return Ok((StatusCode::OK, XML, location(bucket.region)).into_response());
    }
    if asks("versions") {
        return Ok(xml("ListVersionsResult", listing::versions(bucket, request.questions)?));
    }
    if request.questions.get("list-type").is_some_and(|it| it == "2") {
        return Ok(xml("ListBucketResult", listing::objects(bucket, request.questions)?));
    }
    Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", "This lab does not tell that of a bucket"))
}

/// The region; of the oldest one S3 says nothing.
fn location(region: &str) -> String {
    let constraint = if region == "us-east-1" { "" } else { region };
    format!("<LocationConstraint xmlns=\"{NAMESPACE}\">{constraint}</LocationConstraint>")
}

fn replication(bucket: &Bucket) -> Answered {
    if bucket.replicates_to.is_empty() {
        let none = "The replication configuration was not found";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "ReplicationConfigurationNotFoundError", none));
    }
    let rule = |(nth, to): (usize, &&str)| {
        let parts = [
            leaf("ID", if nth == 0 { "to-the-standby".to_owned() } else { format!("to-{to}") }),
            leaf("Priority", nth + 1),
            node("Filter", [leaf("Prefix", "")]),
            leaf("Status", "Enabled"),
            node("DeleteMarkerReplication", [leaf("Status", "Disabled")]),
            node("Destination", [leaf("Bucket", format!("arn:aws:s3:::{to}"))]),
        ];
        node("Rule", parts)
    };
    let role = leaf("Role", "arn:aws:iam::000000000000:role/replication");
    let rules = bucket.replicates_to.iter().enumerate().map(rule);
    Ok(xml("ReplicationConfiguration", std::iter::once(role).chain(rules)))
}

/// One rule, of which only the destination matters here.
fn set_replication(truth: &mut Truth, request: &Request<'_>) -> Answered {
    let malformed =
        || Refusal::new(StatusCode::BAD_REQUEST, "MalformedXML", "The XML you provided was not well-formed");
    let text = std::str::from_utf8(&request.body).map_err(|_| malformed())?;
    let document = roxmltree::Document::parse(text).map_err(|_| malformed())?;
    let root = document.root_element();
    let rule = child(root, "Rule").filter(|_| xml_text(root, "Role").is_some()).ok_or_else(malformed)?;
    let to = child(rule, "Destination").and_then(|it| xml_text(it, "Bucket")).ok_or_else(malformed)?;
    let to = to.rsplit(":").next().and_then(|name| truth.s3.bucket(name)).filter(|bucket| bucket.versioned);
    let to = to.map(|bucket| bucket.name).ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "InvalidRequest", "Destination bucket must exist and be versioned.")
    })?;
    replicate(truth, request, Some(to), "PutBucketReplication", StatusCode::OK)
}

fn unset_replication(truth: &mut Truth, request: &Request<'_>) -> Answered {
    replicate(truth, request, None, "DeleteBucketReplication", StatusCode::NO_CONTENT)
}

fn replicate(
    truth: &mut Truth,
    request: &Request<'_>,
    to: Option<&'static str>,
    action: &str,
    done: StatusCode,
) -> Answered {
    let place = truth.s3.bucket_mut(request.bucket).map(|bucket| {
        bucket.replicates_to = to.into_iter().collect();
        format!("s3@{}", bucket.region)
    });
    truth.record(&place.unwrap_or_default(), action, request.bucket, true);
    Ok(done.into_response())
}

fn lifecycle() -> Response {
    let expiry = [leaf("NoncurrentDays", 1), leaf("NewerNoncurrentVersions", KEPT - 1)];
    let rule = [
        leaf("ID", "old-versions"),
        node("Filter", [leaf("Prefix", "")]),
        leaf("Status", "Enabled"),
        node("NoncurrentVersionExpiration", expiry),
    ];
    xml("LifecycleConfiguration", [node("Rule", rule)])
}

fn get_object(bucket: &Bucket, key: &str, questions: &Questions) -> Answered {
    let version = match questions.get("versionId") {
        Some(id) => bucket.version(key, id).ok_or_else(|| {
            Refusal::new(StatusCode::NOT_FOUND, "NoSuchVersion", "The specified version does not exist.")
        })?,
        None => bucket.latest(key).ok_or_else(Refusal::no_key)?,
    };
    let Some(body) = version.body.clone() else {
        let refusal = match questions.contains_key("versionId") {
            true => Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "This is a delete marker."),
            false => Refusal::no_key(),
        };
        return Err(refusal.with("x-amz-delete-marker", "true").with("x-amz-version-id", &version.id));
    };
    let mut response = (StatusCode::OK, body).into_response();
    let kind = version.content_type.as_deref().unwrap_or("binary/octet-stream");
    put_header(&mut response, header::CONTENT_TYPE, kind);
    let modified = DateTimePrinter::new().timestamp_to_rfc9110_string(&version.at).unwrap_or_default();
    put_header(&mut response, header::LAST_MODIFIED, &modified);
    describe(&mut response, version);
    Ok(response)
}

/// The headers that tell a version.
fn describe(response: &mut Response, version: &Version) {
    put_header(response, header::ETAG, &version.etag());
    put_header(response, HeaderName::from_static("x-amz-version-id"), &version.id);
    if let Some(replication) = version.replication {
        put_header(response, HeaderName::from_static("x-amz-replication-status"), replication.word());
    }
    for (name, value) in &version.metadata {
        if let Ok(name) = HeaderName::try_from(format!("{METADATA}{name}")) {
            put_header(response, name, value);
        }
    }
}

/// Whether the condition of a conditional write holds.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
fn on_condition(buckets: &mut Buckets, request: &Request<'_>) -> Result<(), Refusal> {
    let told = |name: HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    let (absent, same) = (told(header::IF_NONE_MATCH), told(header::IF_MATCH));
    if absent.is_none() && same.is_none() {
        return Ok(());
    }
    if buckets.meetings > 0 {
        buckets.meetings -= 1;
        let met =
            "A conflicting conditional operation is currently in progress against this resource. Please try again.";
        return Err(Refusal::new(StatusCode::CONFLICT, "ConditionalRequestConflict", met));
    }
    let latest = buckets.bucket(request.bucket).and_then(|it| it.latest(request.key)).filter(|it| it.body.is_some());
    let unmet = || {
        let why = "At least one of the pre-conditions you specified did not hold";
        Refusal::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", why)
    };
    match (absent, same, latest) {
        (Some("*"), None, None) => Ok(()),
        (Some("*"), None, Some(_)) => Err(unmet()),
        (None, Some(_), None) => Err(Refusal::no_key()),
        (None, Some(tag), Some(version)) if version.etag().trim_matches('"') == tag.trim_matches('"') => Ok(()),
        (None, Some(_), Some(_)) => Err(unmet()),
        _ => Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", "A header you provided implies that")),
    }
}

fn put_object(truth: &mut Truth, endpoint: &Endpoint, request: &Request<'_>) -> Answered {
    let body = unchunked(request)?;
    let target = format!("{}/{}", request.bucket, request.key);
    on_condition(&mut truth.s3, request)?;
    let full = truth.s3.bucket(request.bucket).is_some_and(|bucket| bucket.size + body.len() > ROOM);
    // A journal is what engines write of themselves: nothing of the estate is changed by it.
    if request.bucket != JOURNAL_BUCKET {
        truth.record(&endpoint.place().to_string(), "PutObject", &target, !full);
    }
    if full {
        let what = "The bucket of this lab is full: it is in memory";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", what));
    }
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let metadata = request
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(METADATA)?.to_owned(), text(value)?)));
    let kind = request.headers.get(header::CONTENT_TYPE).and_then(text);
    let version = truth.s3.store(request.bucket, request.key, Timestamp::now(), Some(body), kind, metadata.collect());
    let mut response = StatusCode::OK.into_response();
    if let Some(version) = version {
        put_header(&mut response, header::ETAG, &version.etag());
        put_header(&mut response, HeaderName::from_static("x-amz-version-id"), &version.id);
    }
    Ok(response)
}

fn delete_object(truth: &mut Truth, endpoint: &Endpoint, request: &Request<'_>) -> Answered {
    let target = format!("{}/{}", request.bucket, request.key);
    if request.bucket != JOURNAL_BUCKET {
        truth.record(&endpoint.place().to_string(), "DeleteObject", &target, true);
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(id) = request.questions.get("versionId") {
        if truth.s3.bucket(request.bucket).is_some_and(|bucket| bucket.locked_days.is_some()) {
            let locked = "Access Denied because object protected by object lock.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", locked));
        }
        if let Some(bucket) = truth.s3.bucket_mut(request.bucket) {
            bucket.expunge(request.key, id);
        }
        put_header(&mut response, HeaderName::from_static("x-amz-version-id"), id);
        return Ok(response);
    }
    let marker = truth.s3.store(request.bucket, request.key, Timestamp::now(), None, None, BTreeMap::new());
    if let Some(marker) = marker {
        put_header(&mut response, HeaderName::from_static("x-amz-version-id"), &marker.id);
        put_header(&mut response, HeaderName::from_static("x-amz-delete-marker"), "true");
    }
    Ok(response)
}

/// The bytes of an upload. SDKs may send them as `aws-chunked`: lengths in hexadecimal, a signature or not, checksums as trailers.
fn unchunked(request: &Request<'_>) -> Result<Bytes, Refusal> {
    let streamed =
        request.headers.get("x-amz-content-sha256").is_some_and(|it| it.as_bytes().starts_with(b"STREAMING-"));
    if !streamed {
        return Ok(request.body.clone());
    }
    let broken = || Refusal::new(StatusCode::BAD_REQUEST, "IncompleteBody", "The chunks of the body make no sense");
    let (mut rest, mut whole) = (&request.body[..], Vec::new());
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").ok_or_else(broken)?;
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| broken())?;
        let length = line.split(';').next().and_then(|hex| usize::from_str_radix(hex, 16).ok()).ok_or_else(broken)?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Ok(Bytes::from(whole));
        }
        whole.extend_from_slice(rest.get(..length).ok_or_else(broken)?);
        rest = rest.get(length..).and_then(|rest| rest.strip_prefix(b"\r\n")).ok_or_else(broken)?;
    }
}
