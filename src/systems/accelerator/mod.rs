//! AWS Global Accelerator: two addresses for the whole world, and behind them an endpoint group in each region. How many of the clients a
//! region gets is its group's traffic dial. The accelerator itself leaves endpoints that are unhealthy; the dial is for leaving a region on
//! purpose, or for good. Its API is a control plane, and lives in us-west-2 whatever the regions are
//! (<https://docs.aws.amazon.com/general/latest/gr/global_accelerator.html>).

mod dial;
mod groups;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use self::dial::Dial;
use self::groups::{Group, Groups};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, Undo, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::systems::aws::{ACCESS_KEY_ID, PROFILE, SECRET_ACCESS_KEY, reading};
use crate::systems::permits::{IAM_ENDPOINT_URL, IAM_WAY, Permits, STS_ENDPOINT_URL};

/// Where its control plane lives.
const HOME: &str = "us-west-2";

pub static KIND: SystemKind = SystemKind {
    name: "accelerator",
    title: "A listener of AWS Global Accelerator",
    ambient: false,
    ways: &[
        WayOut::unset(
            "endpoint_url",
            HOME,
            "the API of Global Accelerator",
            "its control plane has no other region: where that one is left, have another way to move clients",
        ),
        IAM_WAY,
    ],
    params: &[
        Param::required("listener", ParamType::Text, "the ARN of the listener whose endpoint groups are dialled"),
        Param::optional("endpoint_url", ParamType::Url, "an endpoint of Global Accelerator other than AWS's own"),
        STS_ENDPOINT_URL,
        IAM_ENDPOINT_URL,
        PROFILE,
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
    ],
    probes: &[ProbeKind {
        name: "accelerator.groups",
        title: "One region's endpoint group alone gets clients, and has a healthy endpoint",
        params: &[Param::optional("expect", ParamType::Region, "the region that gets them; any one when left out")],
    }],
    steps: &[StepKind {
        name: "accelerator.dial",
        title: "Send clients to another region by the traffic dials of Global Accelerator",
        role: StepRole::Traffic,
        undo: Undo::Revert,
        instead: "",
        params: &[],
    }],
    backups: &[],
};

/// Connects to listeners.
pub struct AcceleratorFactory;

impl Factory for AcceleratorFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let permits = Permits::new(spec, around.estate.standby().as_str());
        let left = around.estate.primary();
        Ok(Arc::new(Listener(Arc::new(Connected { groups: Groups::new(spec)?, permits, left }))))
    }
}

/// A listener, and who may dial it.
struct Connected {
    groups: Groups,
    permits: Permits,
    /// The region that a failover leaves.
    left: crate::domain::ids::RegionId,
}

struct Listener(Arc<Connected>);

/// `us-east-1 100 %, us-west-2 0 %`
fn words(groups: &[Group]) -> String {
    groups.iter().map(|it| format!("{} {:.0} %", it.region, it.dial)).collect::<Vec<_>>().join(", ")
}

/// One region alone gets clients; several, or one without a healthy endpoint, is told.
fn judge(groups: &[Group], expect: Option<&str>) -> Reading {
    let open: Vec<&Group> = groups.iter().filter(|it| it.dial > 0.0).collect();
    let detail = words(groups);
    match open[..] {
        [] => Reading::down(format!("no region gets clients: {detail}")),
        [only] if expect.is_some_and(|expect| expect != only.region.as_str()) => Reading::down(detail),
        [only] if only.healthy == 0 => {
            Reading::down(format!("{}: none of {} endpoints of {} is healthy", detail, only.endpoints, only.region))
        }
        [only] if only.healthy < only.endpoints => {
            Reading::degraded(format!("{detail}; {} of {} endpoints healthy", only.healthy, only.endpoints))
        }
        [_] => Reading::healthy(detail),
        _ => Reading::degraded(format!("several regions get clients: {detail}")),
    }
}

#[async_trait]
impl System for Listener {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let started = Instant::now();
        let seen = self.0.groups.all().await.map(|groups| judge(&groups, spec.params.opt_text("expect")));
        seen.unwrap_or_else(|fault| reading(&fault)).took(started.elapsed())
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(&self.0.groups.system, "an accelerator holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        match spec.kind.as_str() {
            "accelerator.dial" => Ok(Arc::new(Dial::new(self.0.clone(), spec)?)),
            other => Err(Fault::permanent(&self.0.groups.system, format!("there is no step `{other}`"))
                .next("run `mayday kinds`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::Status;

    #[test]
    fn one_region_alone_gets_clients_and_has_to_be_able_to_serve_them() {
        let group = |region: &str, dial, healthy| Group {
            arn: region.into(),
            region: region.into(),
            dial,
            endpoints: 2,
            healthy,
        };
        let rows = [
            (vec![group("east", 100.0, 2), group("west", 0.0, 2)], None, Status::Healthy),
            (vec![group("east", 100.0, 1), group("west", 0.0, 2)], None, Status::Degraded),
            (vec![group("east", 100.0, 0), group("west", 0.0, 2)], None, Status::Down),
            (vec![group("east", 100.0, 2), group("west", 0.0, 2)], Some("west"), Status::Down),
            (vec![group("east", 50.0, 2), group("west", 50.0, 2)], None, Status::Degraded),
            (vec![group("east", 0.0, 2), group("west", 0.0, 2)], None, Status::Down),
        ];
        for (groups, expect, wanted) in rows {
            let seen = judge(&groups, expect);
            assert_eq!(seen.status, wanted, "{}", seen.detail);
        }
    }
}
