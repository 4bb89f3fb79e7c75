//! Route 53: where clients are sent. Changes are compared and swapped, and believed only when the zone's own name servers say so.

mod by_hand;
mod force;
mod health;
mod records;
mod shift;
mod zone;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use self::force::{Force, STATES};
use self::health::Health;
use self::records::RecordSet;
use self::shift::{CONTROL_PLANE, Shift};
use self::zone::Zone;
use crate::domain::estate::{Estate, ProbeSpec, SystemSpec};
use crate::domain::health::{Reading, Status};
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, Undo};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::text::clean;
use crate::systems::aws::{ACCESS_KEY_ID, Aws, PROFILE, SECRET_ACCESS_KEY, reading};
use crate::systems::permits::{IAM_ENDPOINT_URL, Permits, STS_ENDPOINT_URL};

const RECORD: Param = Param::required("record", ParamType::Text, "the name whose record sets are meant");
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHostedZone.html>
const LONGEST_ID: usize = 32;

const TYPE: Param = Param::default("type", ParamType::Text, "A", "the type of record");

pub static KIND: SystemKind = SystemKind {
    name: "route53",
    title: "A hosted zone of Amazon Route 53",
    ambient: false,
    params: &[
        Param::required("hosted_zone", ParamType::Text, "the id of the hosted zone"),
        Param::default("signing_region", ParamType::Text, CONTROL_PLANE, "the region that requests are signed for"),
        Param::optional("endpoint_url", ParamType::Url, "an endpoint other than AWS's own"),
        Param::optional(
            "name_servers",
            ParamType::List,
            "asked instead of those of the zone's delegation set, as host or host:port",
        ),
        STS_ENDPOINT_URL,
        IAM_ENDPOINT_URL,
        PROFILE,
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
    ],
    probes: &[ProbeKind {
        name: "route53.record",
        title: "The record sets of a name point where they should, and their health checks are green",
        params: &[
            RECORD,
            TYPE,
            Param::optional(
                "expect",
                ParamType::Text,
                "the set identifier that traffic should go to; any when left out",
            ),
        ],
    }],
    steps: &[
        StepKind {
            name: "route53.shift",
            title: "Send clients to another region by weights or failover roles",
            role: StepRole::Traffic,
            undo: Undo::Revert,
            instead: "",
            params: &[
                RECORD,
                TYPE,
                Param::optional(
                    "to",
                    ParamType::Text,
                    "the set identifier that gets the traffic; the step's region when left out",
                ),
                Param::default("weight", ParamType::Integer, "100", "its weight, 1 to 255, where records are weighted"),
                Param::default(
                    "rest",
                    ParamType::Integer,
                    "0",
                    "the weight of all others; 0 is the last resort, not never",
                ),
            ],
        },
        StepKind {
            name: "route53.force-health-check",
            title: "Force a health check, so that Route 53 answers without a region, or with it whatever is seen",
            role: StepRole::Traffic,
            undo: Undo::Revert,
            instead: "",
            params: &[
                RECORD,
                TYPE,
                Param::required("identifier", ParamType::Text, "the set identifier whose health check is forced"),
                Param::default("state", ParamType::Choice(STATES), "down", "what it is forced to"),
            ],
        },
    ],
    backups: &[],
};

/// Makes connections to hosted zones.
pub struct Route53Factory;

impl Factory for Route53Factory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let params = &spec.params;
        let region = params.opt_text("signing_region").unwrap_or(CONTROL_PLANE);
        let aws = Aws::new(spec, region, params.opt_text("endpoint_url"));
        let permits = Permits::new(spec, around.estate.standby().as_str());
        let zone = sound_zone(spec.id.as_str(), params.text("hosted_zone")?)?;
        let servers = params.list("name_servers");
        if let Some(wrong) = servers.iter().find(|server| !is_server(server)) {
            return Err(Fault::permanent(spec.id.as_str(), format!("`{}` is no name server", clean(wrong)))
                .next("write every one of `name_servers` as host or host:port"));
        }
        let zone = Zone::new(spec.id.as_str(), zone, aws, permits, servers);
        Ok(Arc::new(Route53 { zone: Arc::new(zone), estate: around.estate.clone() }))
    }
}

/// The id alone, as Route 53's requests have it; its console and API also show `/hostedzone/Z…`.
fn sound_zone<'a>(system: &str, given: &'a str) -> Result<&'a str, Fault> {
    let id = given.trim_start_matches("/hostedzone/");
    if (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(id);
    }
    Err(Fault::permanent(system, format!("`{}` is no id of a hosted zone", clean(given)))
        .next("it is letters and digits, not the zone's name: `aws route53 list-hosted-zones`"))
}

/// `host` or `host:port`.
fn is_server(text: &str) -> bool {
    let (host, port) = match text.parse::<std::net::IpAddr>() {
        Ok(_) => (text, None),
        Err(_) => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    !host.is_empty() && !host.contains(['/', ' ', '@']) && port.is_none_or(is_port)
}

struct Route53 {
    zone: Arc<Zone>,
    estate: Arc<Estate>,
}

impl Route53 {
    /// What the record sets say, and what stands behind each.
    async fn look(&self, spec: &ProbeSpec) -> Result<Reading, Fault> {
        let (name, kind) = (spec.params.text("record")?, spec.params.opt_text("type").unwrap_or("A"));
        let sets = self.zone.records(name, kind).await?;
        let mut seen = Vec::new();
        for set in sets {
            let health = match &set.health_check_id {
                Some(check) => Some(self.zone.health(check).await?),
                None => None,
            };
            seen.push((set, health));
        }
        Ok(judge(&seen, spec.params.opt_text("expect")))
    }
}

/// A zone is as healthy as what it sends clients to; a standby that is not green makes it degraded.
fn judge(seen: &[(RecordSet, Option<Health>)], expect: Option<&str>) -> Reading {
    if seen.is_empty() {
        return Reading::down("there is no such record set");
    }
    let words = |(set, health): &(RecordSet, Option<Health>)| {
        let health = health.as_ref().map_or_else(|| "no health check".to_owned(), |health| health.status().to_string());
        format!("{} {} {health}", set.identifier(), set.policy())
    };
    let detail = clean(&seen.iter().map(words).collect::<Vec<_>>().join("; "));
    let status = |(_, health): &(RecordSet, Option<Health>)| health.as_ref().map_or(Status::Healthy, Health::status);
    let (serving, waiting): (Vec<_>, Vec<_>) = seen.iter().partition(|(set, _)| set.takes_traffic());
    if let Some(expect) = expect
        && (serving.is_empty() || serving.iter().any(|(set, _)| set.identifier() != expect))
    {
        return Reading::down(format!("expected {expect}: {detail}"));
    }
    let now = Status::worst(serving.into_iter().map(status));
    let standby = waiting.into_iter().map(status).all(|status| status == Status::Healthy);
    Reading::new(if now == Status::Healthy && !standby { Status::Degraded } else { now }, detail)
}

#[async_trait]
impl System for Route53 {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let started = Instant::now();
        let seen = self.look(spec).await.unwrap_or_else(|fault| reading(&fault));
        seen.took(started.elapsed())
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(&self.zone.system, "Route 53 holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        match spec.kind.as_str() {
            "route53.shift" => Ok(Arc::new(Shift::new(self.zone.clone(), self.estate.clone(), spec)?)),
            "route53.force-health-check" => Ok(Arc::new(Force::new(self.zone.clone(), spec)?)),
            other => Err(self.zone.unfit(format!("there is no step `{other}`"))),
        }
    }
}
