//! CloudWatch: the replica's lag and an alarm on it, over the two protocols that the vendor's clients speak to it today: RPC v2 CBOR (the SDK for Rust), and
//! AWS JSON 1.0 (boto3 and the command line).
//!
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>,
//! <https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use ciborium::Value;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::Site;
use super::super::net::{GatedListener, Place};
use super::super::world::{PRIMARY, World};
use super::query::admit;
use super::{Databases, Refusal};

/// The header that names the operation in AWS JSON.
const TARGET: &str = "x-amz-target";
const ROUTE: &str = "/service/GraniteServiceVersion20100801/operation/";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetMetricData {
    metric_data_queries: Vec<Query>,
    start_time: f64,
    end_time: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query {
    id: String,
    metric_stat: Option<MetricStat>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStat {
    metric: Metric,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeAlarms {
    #[serde(default)]
    alarm_names: Vec<String>,
}

/// An alarm in the region of the replica: it is in ALARM while the newest lag is longer than this, in seconds.
const ALARM: (&str, f64) = ("replica-lag", 120.0);

#[derive(Clone)]
struct Endpoint {
    world: World,
    region: &'static str,
}

/// Starts an endpoint in each region.
///
/// # Errors
/// When a loopback address cannot be listened on.
pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    for region in site.world.extent.regions().iter().copied() {
        let place = Place::regional("cloudwatch", region);
        let listener = GatedListener::bind(site.world, place, IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
        site.endpoints.insert(format!("cloudwatch.{region}"), format!("http://{}", listener.address()?));
        let router = Router::new().fallback(serve).with_state(Endpoint { world: site.world.clone(), region });
        site.tasks.spawn(async move {
            // Serving ends only with the lab.
            let _ = axum::serve(listener, router).await;
        });
    }
    Ok(())
}

/// How a request is written, and its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Cbor,
    Json,
}

impl Protocol {
    /// The protocol of a request, and the operation it asks for.
    fn of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> (Self, &'a str) {
        match headers.get(TARGET).and_then(|target| target.to_str().ok()) {
            Some(target) => (Self::Json, target.rsplit('.').next().unwrap_or_default()),
            None => (Self::Cbor, uri.path().strip_prefix(ROUTE).unwrap_or_default()),
        }
    }

    fn read<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, Refusal> {
        let wrong = |error: String| Refusal::new(400, "SerializationException", error);
        match self {
            Self::Cbor => ciborium::from_reader(body).map_err(|error| wrong(error.to_string())),
            Self::Json => serde_json::from_slice(body).map_err(|error| wrong(error.to_string())),
        }
    }

    /// A moment: in CBOR an epoch-based date and time (RFC 8949, 3.4.2), in JSON a number of seconds.
    fn moment(self, at: Timestamp) -> Value {
        match self {
            Self::Cbor => Value::Tag(1, Box::new(Value::Float(seconds(at)))),
            Self::Json => Value::Float(seconds(at)),
        }
    }

    fn response(self, status: u16, value: &Value) -> Response {
        let mut bytes = Vec::new();
        // Writing to memory cannot fail.
        let _ = match self {
            Self::Cbor => ciborium::into_writer(value, &mut bytes).is_ok(),
            Self::Json => serde_json::to_writer(&mut bytes, value).is_ok(),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        match self {
            Self::Cbor => {
                let protocol = HeaderName::from_static("smithy-protocol");
                let headers = [(protocol, "rpc-v2-cbor"), (header::CONTENT_TYPE, "application/cbor")];
                (status, headers, bytes).into_response()
            }
            Self::Json => (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], bytes).into_response(),
        }
    }
}

async fn serve(State(endpoint): State<Endpoint>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let (protocol, operation) = Protocol::of(&uri, &headers);
    let condition = Place::regional("cloudwatch", endpoint.region).condition(&endpoint.world);
    let answered = admit(condition, &headers).and_then(|()| match operation {
        "GetMetricData" => Ok(metric_data(&endpoint, protocol, &protocol.read(&body)?)),
        "DescribeAlarms" => Ok(alarms(&endpoint, &protocol.read(&body)?)),
        _ => Err(Refusal::new(404, "UnknownOperationException", "there is no such operation")),
    });
    match answered {
        Ok(value) => protocol.response(200, &value),
        Err(Refusal { status, code, message }) => {
            protocol.response(status, &map([("__type", text(code)), ("message", Value::Text(message))]))
        }
    }
}

fn metric_data(endpoint: &Endpoint, protocol: Protocol, ask: &GetMetricData) -> Value {
    let truth = endpoint.world.truth();
    let results = ask.metric_data_queries.iter().map(|query| {
        let points = datapoints(&truth.rds, endpoint.region, query, (ask.start_time, ask.end_time));
        let newest_first = points.into_iter().rev();
        let (times, values) = newest_first.map(|(at, lag)| (protocol.moment(at), Value::Float(lag))).unzip();
        map([
            ("Id", text(&query.id)),
            ("Label", text("ReplicaLag")),
            ("Timestamps", Value::Array(times)),
            ("Values", Value::Array(values)),
            ("StatusCode", text("Complete")),
        ])
    });
    map([("MetricDataResults", Value::Array(results.collect())), ("Messages", Value::Array(Vec::new()))])
}

/// What is not asked for by name, or is not of this region, is left out; it is no error.
fn alarms(endpoint: &Endpoint, ask: &DescribeAlarms) -> Value {
    let (name, most) = ALARM;
    let truth = endpoint.world.truth();
    let replica = truth.rds.instance(super::name_in(endpoint.region)).filter(|_| endpoint.region != PRIMARY);
    let wanted = ask.alarm_names.is_empty() || ask.alarm_names.iter().any(|it| it == name);
    let told = replica.filter(|_| wanted).map(|replica| {
        let (state, reason) = match replica.lags.iter().next_back() {
            None => ("INSUFFICIENT_DATA", "no datapoint was received".to_owned()),
            Some((_, lag)) if *lag > most => ("ALARM", format!("{lag:.1} was greater than the threshold ({most:.1})")),
            Some((_, lag)) => ("OK", format!("{lag:.1} was not greater than the threshold ({most:.1})")),
        };
        map([("AlarmName", text(name)), ("StateValue", text(state)), ("StateReason", Value::Text(reason))])
    });
    map([("MetricAlarms", Value::Array(told.into_iter().collect())), ("CompositeAlarms", Value::Array(Vec::new()))])
}

/// Oldest first. A metric that nobody reports has no datapoints; it is no error.
fn datapoints(rds: &Databases, region: &str, query: &Query, between: (f64, f64)) -> Vec<(Timestamp, f64)> {
    let Some(MetricStat { metric }) = &query.metric_stat else { return Vec::new() };
    let asked = (metric.namespace.as_deref(), metric.metric_name.as_deref());
    let of = metric.dimensions.iter().find(|dimension| dimension.name == "DBInstanceIdentifier");
    let here = of.and_then(|of| rds.instance(&of.value)).filter(|it| it.region == region);
    let asked = asked == (Some("AWS/RDS"), Some("ReplicaLag"));
    let Some(replica) = here.filter(|it| asked && it.source.is_some()) else { return Vec::new() };
    let within = |at: Timestamp| (between.0..=between.1).contains(&seconds(at));
    replica.lags.iter().copied().filter(|(at, _)| within(*at)).collect()
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(name, value)| (text(name), value)).collect())
}
