//! A cluster of ARC routing controls over AWS's JSON 1.0: five endpoints in five regions, one truth behind them, and safety rules that
//! refuse.

use std::collections::BTreeMap;
use std::io;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Site;
use super::faults::Condition;
use super::net::Place;
use super::world::{Extent, PRIMARY, World};

/// The place of each endpoint is `arc@region`.
pub const SYSTEM: &str = "arc";

/// Where a cluster has its endpoints.
pub const ENDPOINTS: [&str; 5] = ["us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1", "ap-southeast-2"];

/// Refuses every change while [`Cluster::frozen`].
pub const FROZEN: &str = "arn:aws:route53-recovery-control::000000000000:controlpanel/lab/safetyrule/frozen";
/// Refuses to have no region on.
const ONE_ON: &str = "arn:aws:route53-recovery-control::000000000000:controlpanel/lab/safetyrule/one-on";

/// The ARN of a region's routing control.
pub fn control(region: &str) -> String {
    format!("arn:aws:route53-recovery-control::000000000000:controlpanel/lab/routingcontrol/{region}")
}

/// The switches, by ARN.
pub struct Cluster {
    on: BTreeMap<String, bool>,
    /// Somebody has closed the gate of the panel.
    pub frozen: bool,
}

impl Cluster {
    pub fn gennet(extent: Extent) -> Self {
        Self {
            on: extent.regions().iter().map(|region| (control(region), *region == PRIMARY)).collect(),
            frozen: false,
        }
    }

    pub fn is_on(&self, arn: &str) -> bool {
        self.on.get(arn).copied().unwrap_or_default()
    }

    /// Sets several at once, or says which rule refuses.
    fn set(&mut self, wanted: &[(String, bool)], overridden: &[&str]) -> Result<(), Refusal> {
        let mut after = self.on.clone();
        for (arn, on) in wanted {
            let known = after.get_mut(arn).ok_or_else(|| Refusal::missing(arn))?;
            *known = *on;
        }
        let broken = [(FROZEN, self.frozen), (ONE_ON, !after.values().any(|on| *on))];
        if let Some((rule, _)) = broken.iter().find(|(rule, broken)| *broken && !overridden.contains(rule)) {
            let what = format!("The request was refused by the safety rule {rule}");
            return Err(Refusal(StatusCode::CONFLICT, "ConflictException", what));
        }
        self.on = after;
        Ok(())
    }
}

struct Refusal(StatusCode, &'static str, String);

impl Refusal {
    fn missing(arn: &str) -> Self {
        Self(StatusCode::NOT_FOUND, "ResourceNotFoundException", format!("There is no routing control {arn}"))
    }
    fn invalid(what: &str) -> Self {
        Self(StatusCode::BAD_REQUEST, "ValidationException", what.to_owned())
    }
}

#[derive(Clone)]
struct Endpoint {
    world: World,
    region: &'static str,
}

impl Endpoint {
    fn place(&self) -> Place {
        Place::regional(SYSTEM, self.region)
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    for region in ENDPOINTS {
        let endpoint = Endpoint { world: site.world.clone(), region };
        let router = Router::new().fallback(serve).with_state(endpoint.clone());
        let address = site.serve(endpoint.place(), router).await?;
        site.endpoints.insert(format!("arc.{region}"), format!("http://{address}"));
    }
    Ok(())
}

async fn serve(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> Response {
    let answered = admit(&endpoint, &headers).and_then(|()| {
        let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
        let asked: Value = serde_json::from_slice(&body).map_err(|_| Refusal::invalid("that is not JSON"))?;
        route(&endpoint, target.rsplit('.').next().unwrap_or_default(), &asked)
    });
    let (status, told) = match answered {
        Ok(told) => (StatusCode::OK, told),
        Err(Refusal(status, code, message)) => (status, json!({ "__type": code, "message": message })),
    };
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], told.to_string()).into_response()
}

fn admit(endpoint: &Endpoint, headers: &HeaderMap) -> Result<(), Refusal> {
    match endpoint.place().condition(&endpoint.world) {
        Condition::Throttled => {
            Err(Refusal(StatusCode::TOO_MANY_REQUESTS, "ThrottlingException", "Rate exceeded".into()))
        }
        condition if condition == Condition::Denied || !headers.contains_key(header::AUTHORIZATION) => {
            Err(Refusal(StatusCode::FORBIDDEN, "AccessDeniedException", "Access denied".into()))
        }
        _ => Ok(()),
    }
}

fn route(endpoint: &Endpoint, operation: &str, asked: &Value) -> Result<Value, Refusal> {
    let mut truth = endpoint.world.truth();
    let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    match operation {
        "GetRoutingControlState" => {
            let arn = text(asked, "RoutingControlArn");
            let on = *truth.arc.on.get(&arn).ok_or_else(|| Refusal::missing(&arn))?;
            let name = arn.rsplit('/').next().unwrap_or_default();
            Ok(json!({ "RoutingControlArn": arn, "RoutingControlState": word(on), "RoutingControlName": name }))
        }
        "UpdateRoutingControlStates" => {
            let entries = asked["UpdateRoutingControlStateEntries"].as_array().cloned().unwrap_or_default();
            let entry = |it: &Value| (text(it, "RoutingControlArn"), it["RoutingControlState"] == "On");
            let wanted: Vec<(String, bool)> = entries.iter().map(entry).collect();
            let overridden = asked["SafetyRulesToOverride"].as_array();
            let overridden: Vec<&str> = overridden.into_iter().flatten().filter_map(Value::as_str).collect();
            let done = truth.arc.set(&wanted, &overridden);
            truth.record(&endpoint.place().to_string(), "UpdateRoutingControlStates", "lab", done.is_ok());
            done.map(|()| json!({}))
        }
        _ => Err(Refusal::invalid("that is not an operation of this lab")),
    }
}

fn word(on: bool) -> &'static str {
    if on { "On" } else { "Off" }
}

#[cfg(test)]
mod tests {
    use super::super::world::STANDBY;
    use super::*;

    #[test]
    fn all_or_nothing_and_a_rule_holds_until_it_is_overridden() {
        let mut cluster = Cluster::gennet(Extent::Two);
        let to = |east, west| [(control(PRIMARY), east), (control(STANDBY), west)];
        assert!(cluster.set(&to(false, false), &[]).is_err(), "one has to be on");
        assert!(cluster.is_on(&control(PRIMARY)));
        cluster.frozen = true;
        assert!(cluster.set(&to(false, true), &[]).is_err_and(|refusal| refusal.2.contains(FROZEN)));
        assert!(cluster.set(&to(false, true), &[FROZEN]).is_ok());
        assert!(!cluster.is_on(&control(PRIMARY)) && cluster.is_on(&control(STANDBY)));
        assert!(cluster.set(&[("arn:none".into(), true)], &[FROZEN]).is_err());
    }
}
