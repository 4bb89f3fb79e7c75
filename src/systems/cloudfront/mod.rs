//! CloudFront's origin groups, as observed: they answer from their second origin by themselves, request by request, when the first one fails
//! (GET, HEAD and OPTIONS only). There is nothing to move; what has to be known is whether there is a second one, and whether it is used.
//! The API is a control plane in us-east-1; the edge goes on without it
//! (<https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/high_availability_origin_failover.html>).

mod group;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, SystemKind, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::systems::aws::plain::Service;
use crate::systems::aws::{ACCESS_KEY_ID, Aws, PROFILE, SECRET_ACCESS_KEY, reading};

const HOME: &str = "us-east-1";
const SERVICE: Service = Service { name: "cloudfront", target: "", url: "https://cloudfront.amazonaws.com" };

pub static KIND: SystemKind = SystemKind {
    name: "cloudfront",
    title: "A distribution of CloudFront",
    ambient: false,
    ways: &[WayOut::unset(
        "endpoint_url",
        HOME,
        "the API of CloudFront",
        "only this probe needs it: the edge answers from the second origin without it",
    )],
    params: &[
        Param::required("distribution", ParamType::Text, "the id of the distribution"),
        Param::optional("endpoint_url", ParamType::Url, "an endpoint of CloudFront other than AWS's own"),
        PROFILE,
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
    ],
    probes: &[ProbeKind {
        name: "cloudfront.origin-group",
        title: "Requests that fail at one origin are answered by another",
        params: &[
            Param::optional("group", ParamType::Text, "the id of the origin group; the only one when left out"),
            Param::optional("first", ParamType::Text, "the id of the origin that has to come first"),
        ],
    }],
    steps: &[],
    backups: &[],
};

/// Connects to distributions.
pub struct CloudFrontFactory;

impl Factory for CloudFrontFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, _: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let id = spec.params.text("distribution")?.to_owned();
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(Fault::permanent(spec.id.as_str(), "the id of a distribution is made of letters and digits")
                .next("see `aws cloudfront list-distributions`"));
        }
        let aws = Aws::new(spec, HOME, spec.params.opt_text("endpoint_url"));
        Ok(Arc::new(Distribution { system: spec.id.to_string(), id, aws }))
    }
}

struct Distribution {
    system: String,
    id: String,
    aws: Aws,
}

#[async_trait]
impl System for Distribution {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let started = Instant::now();
        let path = format!("/2020-05-31/distribution/{}", self.id);
        let told = self.aws.document(&SERVICE, "GetDistribution", &path).await;
        let (group, first) = (spec.params.opt_text("group"), spec.params.opt_text("first"));
        let seen = told.map(|text| group::judge(&text, group, first));
        // The edge serves whether its API answers or not: silence here says nothing of clients.
        let unseen = |fault: Fault| Reading::unknown(reading(&fault).detail);
        seen.unwrap_or_else(unseen).took(started.elapsed())
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(&self.system, "a distribution holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Err(Fault::permanent(&self.system, format!("there is no step `{}`", spec.kind)).next("run `mayday kinds`"))
    }
}
