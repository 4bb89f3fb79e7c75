//! The endpoint groups of a listener: one for each region, with its dial and the health of what is behind it.

use serde_json::{Value, json};

use crate::domain::estate::SystemSpec;
use crate::domain::ids::RegionId;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::systems::aws::plain::Service;
use crate::systems::aws::{Aws, Call};

const SERVICE: Service = Service {
    name: "globalaccelerator",
    target: "GlobalAccelerator_V20180706",
    url: "https://globalaccelerator.us-west-2.amazonaws.com/",
};

/// The group of one region.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub arn: String,
    pub region: RegionId,
    /// Which share of the clients that would come here does, in percent.
    pub dial: f64,
    pub endpoints: usize,
    pub healthy: usize,
}

impl Group {
    fn of(told: &Value) -> Option<Self> {
        let endpoints = told["EndpointDescriptions"].as_array().map(Vec::as_slice).unwrap_or_default();
        Some(Self {
            arn: told["EndpointGroupArn"].as_str()?.to_owned(),
            region: RegionId::from(clean(told["EndpointGroupRegion"].as_str()?)),
            // A group that says nothing of its dial gets all.
            dial: told["TrafficDialPercentage"].as_f64().unwrap_or(100.0),
            endpoints: endpoints.len(),
            healthy: endpoints.iter().filter(|it| it["HealthState"] == "HEALTHY").count(),
        })
    }
}

pub struct Groups {
    pub system: String,
    pub listener: String,
    aws: Aws,
}

impl Groups {
    /// # Errors
    /// When the listener is none.
    pub fn new(spec: &SystemSpec) -> Result<Self, Fault> {
        let listener = spec.params.text("listener")?.to_owned();
        if !listener.contains(":globalaccelerator:") || !listener.contains("/listener/") {
            let what = format!("`{}` is not the ARN of a listener", clean(&listener));
            return Err(Fault::permanent(spec.id.as_str(), what)
                .next("see `aws globalaccelerator list-listeners --region us-west-2`"));
        }
        let aws = Aws::new(spec, super::HOME, spec.params.opt_text("endpoint_url"));
        Ok(Self { system: spec.id.to_string(), listener, aws })
    }

    /// Every group, all pages of them, in the order of their regions.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub async fn all(&self) -> Result<Vec<Group>, Fault> {
        let (mut groups, mut page) = (Vec::new(), Value::Null);
        loop {
            let mut asked = json!({ "ListenerArn": self.listener, "MaxResults": 100 });
            if let Some(next) = page.as_str() {
                asked["NextToken"] = next.into();
            }
            let told = self.aws.json(Call::Read, &SERVICE, "ListEndpointGroups", &asked).await?;
            groups.extend(told["EndpointGroups"].as_array().into_iter().flatten().filter_map(Group::of));
            page = told["NextToken"].clone();
            if !page.is_string() {
                break;
            }
        }
        groups.sort_by(|one, other| one.region.cmp(&other.region));
        Ok(groups)
    }

    /// Whether every change of the accelerator has arrived everywhere.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub async fn is_deployed(&self) -> Result<bool, Fault> {
        let accelerator = self.listener.split("/listener/").next().unwrap_or_default();
        let asked = json!({ "AcceleratorArn": accelerator });
        let told = self.aws.json(Call::Read, &SERVICE, "DescribeAccelerator", &asked).await?;
        Ok(told["Accelerator"]["Status"] == "DEPLOYED")
    }

    /// Sets one dial. Set twice it is set once.
    ///
    /// # Errors
    /// Transient: nothing happened. Permanent: refused. Ambiguous: it may have happened.
    pub async fn dial(&self, arn: &str, percent: f64) -> Result<(), Fault> {
        let asked = json!({ "EndpointGroupArn": arn, "TrafficDialPercentage": percent });
        self.aws.json(Call::Mutation, &SERVICE, "UpdateEndpointGroup", &asked).await.map(drop)
    }
}
