//! Route 53: where clients are sent. Changes are compared and swapped, and believed only when the zone's own name servers say so.
//!
//! What an installation can look like:
//!
//! | installation | Mayday |
//! |---|---|
//! | weighted and failover records, with or without health checks | read and shifted |
//! | A, AAAA and HTTPS of one name | shifted together; one that cannot be is told by the guard `other-types` |
//! | many names, several zones in one step (`records`, `zones`) | one batch for each zone; a failure after the first is "the change of … was sent" |
//! | simple records and simple aliases | swapped for the value of the region (`values`, `alias_zones`); refused without: "say in `values` what it holds" |
//! | aliases to load balancers, CloudFront, other records | shifted; where their addresses cannot be resolved from here, Route 53's INSYNC counts, with a note |
//! | `EvaluateTargetHealth` | counts as a health check; its state is not told by the API |
//! | latency, geolocation, geoproximity, IP-based, multivalue, traffic policies | read; shifting is refused: "Route 53 chooses for each client, and there is nothing to shift" |
//! | wildcards, names with octal escapes, upper case | found |
//! | private zones | shifted with `name_servers` set; refused without by a guard: nobody could see what clients are told |
//! | name servers that refuse this host | refused by a guard |
//! | GetChange refused or throttled | "changed; verified by the name servers" |
//! | more than 1000 changes in one zone | refused: "make several steps" |
//! | `aws-cn`, `aws-us-gov` | supported: the control plane is that of the estate's partition |

mod by_hand;
mod force;
mod guards;
mod health;
mod names;
mod object;
mod others;
mod records;
pub(in crate::systems) mod served;
mod shift;
mod target;
mod zone;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::time::timeout;

use self::force::{Force, STATES};
use self::guards::CONTROL_PLANE;
use self::health::Health;
use self::object::{Object, Switch};
use self::records::RecordSet;
use self::shift::{Shift, Zones};
use self::zone::Zone;
use crate::domain::estate::{Estate, ProbeSpec, SystemSpec};
use crate::domain::health::{Reading, Status};
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::text::clean;
use crate::systems::aws::{ACCESS_KEY_ID, Aws, PROFILE, SECRET_ACCESS_KEY, is_unheard, partition, reading, told};
use crate::systems::permits::{IAM_ENDPOINT_URL, IAM_WAY, Permits, STS_ENDPOINT_URL};

const RECORD: Param = Param::required("record", ParamType::Text, "the name whose record sets are meant");
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHostedZone.html>
const LONGEST_ID: usize = 32;

const TYPE: Param = Param::default("type", ParamType::Text, "A", "the type of record");

pub static KIND: SystemKind = SystemKind {
    name: "route53",
    title: "A hosted zone of Amazon Route 53",
    ambient: false,
    ways: &[
        WayOut::new("endpoint_url", To::Always(CONTROL_PLANE), "the API of Route 53"),
        WayOut::new("object_endpoint_url", To::Standby("object_region"), "S3, for the object that sends clients away"),
        WayOut::unset(
            "name_servers",
            CONTROL_PLANE,
            "which name servers speak for the zone is asked of the API of Route 53",
            "set `name_servers`",
        ),
        WayOut::unset(
            "answers",
            CONTROL_PLANE,
            "an engine that is started in need learns from the API of Route 53 whose address is whose",
            "set `answers`",
        ),
        IAM_WAY,
    ],
    params: &[
        Param::required("hosted_zone", ParamType::Text, "the id of the hosted zone"),
        Param::optional(
            "signing_region",
            ParamType::Text,
            "the region that requests are signed for; where the control plane of the estate's partition lives when left out",
        ),
        Param::optional(
            "zones",
            ParamType::Map,
            "other hosted zones whose names a step may move with those of this one: the id of each by its name",
        ),
        Param::optional("endpoint_url", ParamType::Url, "an endpoint other than AWS's own"),
        Param::optional(
            "name_servers",
            ParamType::List,
            "asked instead of those of the zone's delegation set, as host or host:port",
        ),
        Param::optional(
            "object_bucket",
            ParamType::Text,
            "the bucket, outside the primary region, with the object that an inverted health check of the primary's record looks at",
        ),
        Param::optional(
            "object_key",
            ParamType::Text,
            "the key of that object: while it is there, clients leave the primary",
        ),
        Param::optional("object_region", ParamType::Region, "where that bucket is; the standby region when left out"),
        Param::optional("object_endpoint_url", ParamType::Url, "an endpoint other than AWS's own, for that bucket"),
        Param::optional(
            "answers",
            ParamType::Map,
            "the address that name servers answer for each set identifier; remembered while the API answers, and needed by an engine that is \
             started while it does not",
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
            title: "Send clients to another region by weights, failover roles or the values of simple records",
            role: StepRole::Traffic,
            undo: Undo::Revert,
            instead: "",
            params: &[
                Param::optional("record", ParamType::Text, "the name whose record sets are meant"),
                Param::optional(
                    "records",
                    ParamType::List,
                    "more names, of this zone or of one of `zones`, moved in the same step",
                ),
                Param::optional(
                    "type",
                    ParamType::Text,
                    "the type of record; A, AAAA and HTTPS of a name together, or its CNAME, when left out",
                ),
                Param::optional(
                    "values",
                    ParamType::Map,
                    "what a simple record holds for each region: values parted by commas, or the name that an alias stands for",
                ),
                Param::optional(
                    "alias_zones",
                    ParamType::Map,
                    "the hosted zone of what an alias stands for, for each region",
                ),
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
            name: "route53.standby-object",
            title: "Send clients to another region by the object that an inverted health check looks at, without the control plane",
            role: StepRole::Traffic,
            undo: Undo::Revert,
            instead: "",
            params: &[RECORD, TYPE],
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
        let plane = partition::of(around.estate.primary().as_str()).route53;
        let region = params.opt_text("signing_region").unwrap_or(plane);
        let aws = Aws::new(spec, region, params.opt_text("endpoint_url"));
        let permits = Permits::new(spec, around.estate.standby().as_str());
        let id = sound_zone(spec.id.as_str(), params.text("hosted_zone")?)?;
        let (servers, answers) = (params.list("name_servers"), params.map("answers"));
        if let Some(wrong) = servers.iter().find(|server| !is_server(server)) {
            return Err(Fault::permanent(spec.id.as_str(), format!("`{}` is no name server", clean(wrong)))
                .next("write every one of `name_servers` as host or host:port"));
        }
        let zone = Arc::new(Zone::new(spec.id.as_str(), id, aws, permits, servers.clone(), answers));
        let mut others = Vec::new();
        for (name, id) in params.map("zones") {
            let id = sound_zone(spec.id.as_str(), &id)?.to_owned();
            let (aws, permits) = (
                Aws::new(spec, region, params.opt_text("endpoint_url")),
                Permits::new(spec, around.estate.standby().as_str()),
            );
            let other = Zone::new(spec.id.as_str(), &id, aws, permits, servers.clone(), BTreeMap::new());
            others.push((name, Arc::new(other)));
        }
        let zones = Zones { own: zone.clone(), others };
        let switch = Switch::new(spec, &around.estate).map(Arc::new);
        Ok(Arc::new(Route53 { zone, zones, switch, estate: around.estate.clone() }))
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
    zones: Zones,
    /// The object that sends clients away, if the estate has one.
    switch: Option<Arc<Switch>>,
    estate: Arc<Estate>,
}

impl Route53 {
    /// Of a health check whose state Route 53 does not tell, the name servers do: while all others are known to be healthy, one that is
    /// answered counts as healthy. So does one that only its switch may hold back, whatever the others are: clients are sent there, and
    /// its own checks are green.
    async fn by_answers(&self, seen: &mut [(RecordSet, Option<Health>)], (name, kind): (&str, &str)) {
        let untold = |(set, health): &(RecordSet, Option<Health>)| match health {
            Some(Health::Unknown(_)) => true,
            Some(Health::Switched(_)) => set.takes_traffic(),
            _ => false,
        };
        let ill = |(_, health): &(RecordSet, Option<Health>)| matches!(health, Some(Health::Unhealthy(_)));
        let others = seen.iter().any(ill);
        if seen.iter().filter(|it| untold(it)).count() != 1 {
            return;
        }
        let Some((set, health)) = seen.iter_mut().find(|it| untold(it)) else { return };
        if others && !matches!(health, Some(Health::Switched(_))) {
            return;
        }
        if let Ok(served) = self.zone.served(name, kind, 1).await
            && served.is_only(set.identifier())
        {
            *health = Some(Health::Healthy(served.says()));
        }
    }

    /// What the record sets say, and what stands behind each. Of a silent API the name servers tell what serves: that is not well, and
    /// not down.
    async fn look(&self, spec: &ProbeSpec) -> Result<Reading, Fault> {
        let (name, kind) = (spec.params.text("record")?, spec.params.opt_text("type").unwrap_or("A"));
        self.zone.aws.logged_in_of(spec.timeout.0).await?;
        // Half of the probe's time: name servers have to be asked in what is left.
        let sets = match timeout(spec.timeout.0 / 2, self.zone.records(name, kind)).await {
            Ok(Ok(sets)) => sets,
            Ok(Err(fault)) if !is_unheard(&fault) => return Err(fault),
            silence => {
                let served = self.zone.served(name, kind, 1).await?;
                let reading = |silence: Fault| {
                    if served.is_answered() { Ok(Reading::degraded(served.words())) } else { Err(silence) }
                };
                return match silence {
                    Ok(Err(fault)) => reading(fault),
                    _ => reading(Fault::transient(&self.zone.system, served.words())),
                };
            }
        };
        let mut seen = Vec::new();
        for set in sets {
            let health = match &set.health_check_id {
                // The API answered just before: that it says nothing of a check is nothing about the check.
                Some(check) => {
                    Some(self.zone.health(check).await.unwrap_or_else(|fault| Health::Unknown(told(&fault))))
                }
                None => None,
            };
            seen.push((set, health));
        }
        self.by_answers(&mut seen, (name, kind)).await;
        Ok(judge(&seen, spec.params.opt_text("expect")))
    }
}

/// A zone is as healthy as what it sends clients to; a standby that is not green makes it degraded.
fn judge(seen: &[(RecordSet, Option<Health>)], expect: Option<&str>) -> Reading {
    if seen.is_empty() {
        return Reading::down("there is no such record set");
    }
    let words = |(set, health): &(RecordSet, Option<Health>)| {
        let unchecked = || if set.evaluates() { "its target's own health" } else { "no health check" }.to_owned();
        let health = match health {
            Some(Health::Switched(_)) => "healthy, but for a switch that Route 53 does not tell".into(),
            Some(Health::Unknown(why)) => format!("unknown: {why}"),
            health => health.as_ref().map_or_else(unchecked, |health| health.status().to_string()),
        };
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
    // A standby waits behind a switch that is off: that is how it should be.
    let fit = |it: &(RecordSet, Option<Health>)| matches!(it.1, None | Some(Health::Healthy(_) | Health::Switched(_)));
    let standby = waiting.into_iter().all(fit);
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
            "route53.shift" => Ok(Arc::new(Shift::new(&self.zones, self.estate.clone(), spec)?)),
            "route53.standby-object" => {
                let lacks = || {
                    let what = format!("{} has no `object_bucket` and `object_key`", self.zone.system);
                    Fault::permanent(&self.zone.system, what)
                        .means("there is no object that would send clients away")
                        .next("set both, or leave \"object\" out of `traffic`, and run `mayday check`")
                };
                let switch = self.switch.clone().ok_or_else(lacks)?;
                Ok(Arc::new(Object::new(self.zone.clone(), switch, &self.estate, spec)?))
            }
            "route53.force-health-check" => Ok(Arc::new(Force::new(self.zone.clone(), spec)?)),
            other => Err(self.zone.unfit(format!("there is no step `{other}`"))),
        }
    }
}
