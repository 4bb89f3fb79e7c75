//! Turning the dials: the region that shall serve is opened first, then all others are closed, so that at no moment nobody is served.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::groups::Group;
use super::{Connected, HOME, words};
use crate::domain::ids::RegionId;
use crate::domain::plan::StepSpec;
use crate::domain::readiness::CONTROL_PLANE_GUARD;
use crate::domain::system::{
    Begun, Checked, Fault, FaultClass, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::systems::permits::{Need, On};
use crate::systems::shell::quoted;

/// What every group's dial is to be, by its ARN.
type Dials = BTreeMap<String, f64>;

pub struct Dial {
    listener: Arc<Connected>,
    to: RegionId,
}

impl Dial {
    /// # Errors
    /// When the plan does not say where to.
    pub fn new(listener: Arc<Connected>, spec: &StepSpec) -> Result<Self, Fault> {
        let unsaid = || {
            Fault::permanent(&listener.groups.system, format!("the step `{}` does not say where to", spec.id))
                .means("this step cannot move the traffic")
                .next("give it `region` in the plan")
        };
        let to = spec.region.clone().ok_or_else(unsaid)?;
        Ok(Self { listener, to })
    }

    fn wanted(&self, groups: &[Group]) -> Dials {
        let dial = |it: &Group| if it.region == self.to { 100.0 } else { 0.0 };
        groups.iter().map(|it| (it.arn.clone(), dial(it))).collect()
    }

    /// The group of the region that shall serve; inside, why there is none.
    async fn seen(&self) -> Result<Result<(Vec<Group>, Group), String>, Fault> {
        let groups = self.listener.groups.all().await?;
        let own = groups.iter().find(|it| it.region == self.to).cloned();
        Ok(own.map(|own| (groups, own)).ok_or_else(|| format!("the listener has no endpoint group in {}", self.to)))
    }

    /// Sets what differs: what is opened first, what is closed last.
    async fn set(&self, now: &[Group], dials: &Dials, log: &dyn StepLog) -> Result<(), Fault> {
        let mut todo: Vec<(&Group, f64)> =
            now.iter().filter_map(|it| Some((it, *dials.get(&it.arn)?))).filter(|(it, to)| it.dial != *to).collect();
        todo.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        for (nth, (group, to)) in todo.into_iter().enumerate() {
            log.line(&format!("{}: dial {:.0} → {to:.0} %", group.region, group.dial));
            let done = self.listener.groups.dial(&group.arn, to).await;
            // What was dialled before has happened: nobody may think that nothing did.
            done.map_err(|fault| match nth {
                0 => fault,
                _ => Fault { class: FaultClass::Ambiguous, means: "some dials are turned already".into(), ..fault },
            })?;
        }
        Ok(())
    }
}

fn is_so(groups: &[Group], dials: &Dials) -> bool {
    groups.iter().all(|it| dials.get(&it.arn).is_none_or(|to| *to == it.dial))
}

#[async_trait]
impl Step for Dial {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(match self.seen().await? {
            Err(why) => Observed::Impossible { why },
            Ok((groups, _)) if is_so(&groups, &self.wanted(&groups)) => Observed::Done { detail: words(&groups) },
            Ok((groups, _)) => Observed::NotDone { detail: words(&groups) },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let groups = self.listener.groups.all().await?;
        let wanted = self.wanted(&groups);
        let after: Vec<Group> = groups.iter().map(|it| Group { dial: wanted[&it.arn], ..it.clone() }).collect();
        let before: Dials = groups.iter().map(|it| (it.arn.clone(), it.dial)).collect();
        let pre_image = serde_json::to_value(before)
            .map_err(|error| Fault::permanent(&self.listener.groups.system, error.to_string()))?;
        let diff = groups.iter().zip(&after).filter(|(old, new)| old.dial != new.dial);
        let diff = diff.flat_map(|(old, new)| {
            [format!("- {} dial {:.0} %", old.region, old.dial), format!("+ {} dial {:.0} %", new.region, new.dial)]
        });
        Ok(Preview { summary: format!("{} → {}", words(&groups), words(&after)), diff: diff.collect(), pre_image })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let mut guards = vec![match self.listener.left.as_str() == HOME && self.to.as_str() != HOME {
            true => Guard::warn(
                CONTROL_PLANE_GUARD,
                format!(
                    "the dials depend on {HOME}, the region this step leaves; the accelerator leaves endpoints that are unhealthy by itself"
                ),
            ),
            false => Guard::pass(CONTROL_PLANE_GUARD, format!("it lives in {HOME}, which is not left")),
        }];
        guards.push(match self.seen().await? {
            Err(why) => Guard::block("endpoints", why),
            Ok((_, own)) if own.healthy == 0 => Guard::block(
                "endpoints",
                format!(
                    "none of {} endpoints in {} is healthy: clients would go on being sent elsewhere",
                    own.endpoints, self.to
                ),
            ),
            Ok((_, own)) if own.healthy < own.endpoints => Guard::warn(
                "endpoints",
                format!("{} of {} endpoints in {} are healthy", own.healthy, own.endpoints, self.to),
            ),
            Ok((_, own)) => {
                Guard::pass("endpoints", format!("all {} endpoints in {} are healthy", own.endpoints, self.to))
            }
        });
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let groups = self.listener.groups.all().await?;
        let wanted = self.wanted(&groups);
        self.set(&groups, &wanted, log).await?;
        Ok(Receipt::from([("dialled".to_owned(), self.to.to_string())]))
    }

    /// The accelerator sends clients to a region that has a healthy endpoint, once it is deployed: no client could see more from here.
    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let (groups, own) = match self.seen().await? {
            Ok(seen) => seen,
            Err(why) => return Ok(Verified::Broken { why }),
        };
        let detail = words(&groups);
        if !is_so(&groups, &self.wanted(&groups)) {
            return Ok(Verified::Broken { why: format!("{detail}: somebody turned the dials") });
        }
        if own.healthy == 0 {
            return Ok(Verified::Pending { detail: format!("{detail}; no endpoint in {} is healthy", self.to) });
        }
        Ok(match self.listener.groups.is_deployed().await? {
            true => Verified::Holds { detail: format!("{detail}, deployed"), recovery_point: None },
            false => Verified::Pending { detail: format!("{detail}; being deployed") },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let lost = |_| {
            Fault::permanent(&self.listener.groups.system, "the journal holds nothing of how the dials stood before")
                .means("there is nothing to restore")
                .next("turn them by hand; the step's commands are a start")
        };
        let before: Dials = serde_json::from_value(begun.pre_image.clone()).map_err(lost)?;
        let groups = self.listener.groups.all().await?;
        if is_so(&groups, &before) {
            log.line("the dials are already as they were before");
            return Ok(Receipt::new());
        }
        self.set(&groups, &before, log).await?;
        Ok(Receipt::new())
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let groups = self.listener.groups.all().await?;
        let may = |it: &Group| Need::new("globalaccelerator:UpdateEndpointGroup", On::Arn(it.arn.clone()));
        let needs: Vec<Need> = groups.iter().map(may).collect();
        self.listener.permits.fitness(&needs).await
    }

    fn by_hand(&self) -> Vec<String> {
        let listener = quoted(&self.listener.groups.listener);
        let aws = format!("aws globalaccelerator --region {HOME}");
        vec![
            format!("{aws} list-endpoint-groups --listener-arn {listener}"),
            format!("# First the group of {}, then with 0 every other one:", self.to),
            format!("{aws} update-endpoint-group --endpoint-group-arn ARN --traffic-dial-percentage 100"),
            format!("{aws} update-endpoint-group --endpoint-group-arn ARN --traffic-dial-percentage 0"),
            "# Verify: the dials, and Status DEPLOYED".to_owned(),
            format!("{aws} list-endpoint-groups --listener-arn {listener}"),
        ]
    }
}
