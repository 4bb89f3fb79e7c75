//! CloudWatch: the replica's lag, over RPC v2 CBOR, which is what the vendor's clients speak to it today.
//!
//! <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>

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

use super::super::Site;
use super::super::net::{GatedListener, Place};
use super::super::world::{REGIONS, World};
use super::query::admit;
use super::{Databases, Refusal};

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
    for region in REGIONS {
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

async fn serve(State(endpoint): State<Endpoint>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let condition = Place::regional("cloudwatch", endpoint.region).condition(&endpoint.world);
    let answered = admit(condition, &headers).and_then(|()| match uri.path().strip_prefix(ROUTE) {
        Some("GetMetricData") => metric_data(&endpoint, &body),
        _ => Err(Refusal::new(404, "UnknownOperationException", "there is no such operation")),
    });
    let (status, value) = match answered {
        Ok(value) => (StatusCode::OK, value),
        Err(Refusal { status, code, message }) => {
            let told = map([("__type", text(code)), ("message", Value::Text(message))]);
            (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), told)
        }
    };
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = ciborium::into_writer(&value, &mut bytes);
    let protocol = HeaderName::from_static("smithy-protocol");
    (status, [(protocol, "rpc-v2-cbor"), (header::CONTENT_TYPE, "application/cbor")], bytes).into_response()
}

fn metric_data(endpoint: &Endpoint, body: &[u8]) -> Result<Value, Refusal> {
    let wrong = |error| Refusal::new(400, "SerializationException", format!("{error}"));
    let ask: GetMetricData = ciborium::from_reader(body).map_err(wrong)?;
    let truth = endpoint.world.truth();
    let results = ask.metric_data_queries.iter().map(|query| {
        let points = datapoints(&truth.rds, endpoint.region, query, (ask.start_time, ask.end_time));
        let (times, values) = points.into_iter().rev().map(|(at, lag)| (time(at), Value::Float(lag))).unzip();
        map([
            ("Id", text(&query.id)),
            ("Label", text("ReplicaLag")),
            ("Timestamps", Value::Array(times)),
            ("Values", Value::Array(values)),
            ("StatusCode", text("Complete")),
        ])
    });
    Ok(map([("MetricDataResults", Value::Array(results.collect())), ("Messages", Value::Array(Vec::new()))]))
}

/// Oldest first. A metric that nobody reports has no datapoints; it is no error.
fn datapoints(rds: &Databases, region: &str, query: &Query, between: (f64, f64)) -> Vec<(Timestamp, f64)> {
    let Some(MetricStat { metric }) = &query.metric_stat else { return Vec::new() };
    let asked = (metric.namespace.as_deref(), metric.metric_name.as_deref());
    let of = metric.dimensions.iter().find(|dimension| dimension.name == "DBInstanceIdentifier");
    let here =
        of.and_then(|of| rds.instance(&of.value)).is_some_and(|it| it.region == region && it.name == super::REPLICA);
    if asked != (Some("AWS/RDS"), Some("ReplicaLag")) || !here {
        return Vec::new();
    }
    let within = |at: Timestamp| (between.0..=between.1).contains(&seconds(at));
    rds.lags.iter().copied().filter(|(at, _)| within(*at)).collect()
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

/// An epoch-based date and time (RFC 8949, 3.4.2).
fn time(at: Timestamp) -> Value {
    Value::Tag(1, Box::new(Value::Float(seconds(at))))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(name, value)| (text(name), value)).collect())
}
