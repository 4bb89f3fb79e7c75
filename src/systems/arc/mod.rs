//! Amazon Application Recovery Controller (ARC): switches behind health checks that send clients to a region or away from it. They are a
//! data plane: five endpoints in five regions, no control plane is needed to turn them.

mod cluster;
mod switch;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;

use self::cluster::{Cluster, Switches};
use self::switch::Switch;
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, Undo};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::systems::aws::{ACCESS_KEY_ID, PROFILE, SECRET_ACCESS_KEY, reading};
use crate::systems::permits::{IAM_ENDPOINT_URL, IAM_WAY, Permits, STS_ENDPOINT_URL};

pub static KIND: SystemKind = SystemKind {
    name: "arc",
    title: "The routing controls of an ARC cluster",
    ambient: false,
    ways: &[IAM_WAY],
    params: &[
        Param::required("endpoints", ParamType::Map, "the URL of each of the cluster's five endpoints, by its region"),
        Param::required("controls", ParamType::Map, "the ARN of the routing control of each region of the estate"),
        Param::required(
            "name_servers",
            ParamType::List,
            "who is asked whether clients have moved: those of the zone, as host or host:port",
        ),
        Param::required("answers", ParamType::Map, "the address that name servers answer for each region"),
        STS_ENDPOINT_URL,
        IAM_ENDPOINT_URL,
        PROFILE,
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
    ],
    probes: &[ProbeKind {
        name: "arc.controls",
        title: "The cluster's endpoints answer, and one region alone is switched on",
        params: &[Param::optional("expect", ParamType::Region, "the region that is on; any one when left out")],
    }],
    steps: &[StepKind {
        name: "arc.routing-control",
        title: "Send clients to another region by the switches of an ARC cluster, without the control plane",
        role: StepRole::Traffic,
        undo: Undo::Revert,
        instead: "",
        params: &[
            Param::required("record", ParamType::Text, "the name whose answers tell that clients have moved"),
            Param::default("type", ParamType::Text, "A", "the type of record"),
        ],
    }],
    backups: &[],
};

/// Makes connections to clusters.
pub struct ArcFactory;

impl Factory for ArcFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let params = &spec.params;
        let permits = Permits::new(spec, around.estate.standby().as_str());
        let controls = Controls {
            cluster: Cluster::new(spec)?,
            permits,
            servers: params.list("name_servers"),
            answers: params.map("answers"),
            refused: Mutex::default(),
        };
        Ok(Arc::new(Clusters(Arc::new(controls))))
    }
}

/// A cluster, and how it is seen that clients have moved.
pub struct Controls {
    cluster: Cluster,
    permits: Permits,
    servers: Vec<String>,
    answers: std::collections::BTreeMap<String, String>,
    /// The safety rules that refused the latest change, by ARN: told by a guard, and overridden by whoever overrides that.
    refused: Mutex<Vec<String>>,
}

struct Clusters(Arc<Controls>);

/// One region alone has to be on; a dead endpoint or two are borne, and told.
fn judge(switches: &Switches, (answer, all): (usize, usize), expect: Option<&str>) -> Reading {
    let on: Vec<&str> = switches.iter().filter(|(_, on)| **on).map(|(region, _)| region.as_str()).collect();
    let detail = format!("{}; {answer} of {all} endpoints answer", words(switches));
    match on[..] {
        [] => Reading::down(format!("no region is on: {detail}")),
        [only] if expect.is_some_and(|expect| expect != only) => Reading::down(detail),
        [_] if answer == all => Reading::healthy(detail),
        [_] => Reading::degraded(detail),
        _ => Reading::degraded(format!("several regions are on: {detail}")),
    }
}

/// `us-east-1 On, us-west-2 Off`
fn words(switches: &Switches) -> String {
    let word = |(region, on): (_, &bool)| format!("{region} {}", if *on { "On" } else { "Off" });
    switches.iter().map(|(region, on)| word((region.as_str(), on))).collect::<Vec<_>>().join(", ")
}

#[async_trait]
impl System for Clusters {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let started = Instant::now();
        let (switches, answering) = tokio::join!(self.0.cluster.switches(), self.0.cluster.answering());
        let seen = switches.map(|switches| judge(&switches, answering, spec.params.opt_text("expect")));
        seen.unwrap_or_else(|fault| reading(&fault)).took(started.elapsed())
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(&self.0.cluster.system, "a cluster of switches holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        match spec.kind.as_str() {
            "arc.routing-control" => Ok(Arc::new(Switch::new(self.0.clone(), spec)?)),
            other => Err(Fault::permanent(&self.0.cluster.system, format!("there is no step `{other}`"))
                .next("run `mayday kinds`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::Status;

    #[test]
    fn one_region_alone_is_on_and_dead_endpoints_are_told() {
        let switches = |east, west| Switches::from([("us-east-1".into(), east), ("us-west-2".into(), west)]);
        let rows = [
            (switches(true, false), (5, 5), None, Status::Healthy),
            (switches(true, false), (3, 5), None, Status::Degraded),
            (switches(true, false), (5, 5), Some("us-west-2"), Status::Down),
            (switches(true, true), (5, 5), None, Status::Degraded),
            (switches(false, false), (5, 5), None, Status::Down),
        ];
        for (switches, answering, expect, wanted) in rows {
            let seen = judge(&switches, answering, expect);
            assert_eq!(seen.status, wanted, "{}", seen.detail);
        }
    }
}
