//! AWS Global Accelerator over JSON 1.1: one listener with an endpoint group in each region. Its endpoints are healthy while the region's
//! front door is; the lab's clients follow DNS, so that its dials move none of them.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Site;
use super::app::serving;
use super::faults::Condition;
use super::net::Place;
use super::world::{Extent, PRIMARY, Pace, Truth, World};

/// The place of its faults: the API has no region of its own.
pub const PLACE: &str = "accelerator";

/// The ARN of the listener.
pub const LISTENER: &str = "arn:aws:globalaccelerator::000000000000:accelerator/lab/listener/web";

/// How long a change needs until it is deployed everywhere.
const DEPLOYMENT: Duration = Duration::from_secs(20);

/// The dials, by region.
pub struct Accelerator {
    pub dials: Vec<(&'static str, f64)>,
    deployed_at: Timestamp,
}

impl Accelerator {
    pub fn gennet(now: Timestamp, extent: Extent) -> Self {
        let dial = |region: &&'static str| (*region, if *region == PRIMARY { 100.0 } else { 0.0 });
        Self { dials: extent.regions().iter().map(dial).collect(), deployed_at: now }
    }
}

fn arn(region: &str) -> String {
    format!("{LISTENER}/endpoint-group/{region}")
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let router = Router::new().fallback(serve).with_state(site.world.clone());
    let address = site.serve(Place::global(PLACE), router).await?;
    site.endpoints.insert(PLACE.into(), format!("http://{address}"));
    Ok(())
}

async fn serve(State(world): State<World>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix("GlobalAccelerator_V20180706.").unwrap_or_default();
    let condition = world.condition(PLACE, None);
    let (status, told) = match (condition, headers.contains_key(header::AUTHORIZATION)) {
        (Condition::Throttled, _) => refused(StatusCode::BAD_REQUEST, "ThrottlingException", "Rate exceeded"),
        (Condition::Denied, _) | (_, false) => refused(StatusCode::FORBIDDEN, "AccessDeniedException", "Access denied"),
        _ => route(&world, operation, &serde_json::from_slice(&body).unwrap_or_default()),
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], told.to_string()).into_response()
}

fn refused(status: StatusCode, code: &str, message: &str) -> (StatusCode, Value) {
    (status, json!({ "__type": format!("com.amazonaws.globalaccelerator#{code}"), "message": message }))
}

fn route(world: &World, operation: &str, asked: &Value) -> (StatusCode, Value) {
    let truth = &mut *world.truth();
    match operation {
        "ListEndpointGroups" if asked["ListenerArn"] == LISTENER => (StatusCode::OK, groups(truth)),
        "ListEndpointGroups" => {
            refused(StatusCode::BAD_REQUEST, "ListenerNotFoundException", "There is no such listener.")
        }
        "DescribeAccelerator" => {
            let deployed = truth.accelerator.deployed_at <= Timestamp::now();
            let status = if deployed { "DEPLOYED" } else { "IN_PROGRESS" };
            (StatusCode::OK, json!({ "Accelerator": { "AcceleratorArn": asked["AcceleratorArn"], "Status": status } }))
        }
        "UpdateEndpointGroup" => update(truth, world.pace, asked),
        _ => refused(StatusCode::BAD_REQUEST, "UnknownOperationException", "That is not an operation of this lab."),
    }
}

fn groups(truth: &Truth) -> Value {
    let serving = serving(truth);
    let group = |(region, dial): &(&'static str, f64)| {
        let health = if serving.contains(region) { "HEALTHY" } else { "UNHEALTHY" };
        json!({
            "EndpointGroupArn": arn(region),
            "EndpointGroupRegion": region,
            "TrafficDialPercentage": dial,
            "EndpointDescriptions": [{ "EndpointId": format!("eipalloc-{region}"), "Weight": 128, "HealthState": health }],
        })
    };
    json!({ "EndpointGroups": truth.accelerator.dials.iter().map(group).collect::<Vec<_>>() })
}

fn update(truth: &mut Truth, pace: Pace, asked: &Value) -> (StatusCode, Value) {
    let wanted = asked["EndpointGroupArn"].as_str().unwrap_or_default();
    let dial = asked["TrafficDialPercentage"].as_f64().filter(|dial| (0.0..=100.0).contains(dial));
    let known = truth.accelerator.dials.iter_mut().find(|(region, _)| arn(region) == wanted);
    let (Some((region, known)), Some(dial)) = (known, dial) else {
        return refused(StatusCode::BAD_REQUEST, "EndpointGroupNotFoundException", "There is no such group, or dial.");
    };
    *known = dial;
    let told = json!({ "EndpointGroup": { "EndpointGroupArn": wanted, "EndpointGroupRegion": *region, "TrafficDialPercentage": dial } });
    let target = format!("{region} {dial:.0}");
    truth.accelerator.deployed_at = Timestamp::now() + pace.scale(DEPLOYMENT);
    truth.record(PLACE, "UpdateEndpointGroup", &target, true);
    (StatusCode::OK, told)
}
