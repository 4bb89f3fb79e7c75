//! The built-in looks at a datastore, whatever system it is of: has its copy everything of a drained writer, and does a copy follow.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

use super::clock::Timeline;
use crate::domain::health::Status;
use crate::domain::ids::{RegionId, StepId, SystemId};
use crate::domain::kinds::StepRole;
use crate::domain::recovery::{RecoveryPoint, Survey};
use crate::domain::state::State;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, System, Verified,
};
use crate::domain::time::At;
use crate::domain::wayback::{caught_up, protected_in};

/// What is looked for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    /// The copy has everything that was written before the writers of this run were stopped.
    CaughtUp,
    /// A healthy copy follows, and one member alone takes writes.
    Protected,
}

pub(super) struct Watch {
    pub wanted: Wanted,
    /// Itself.
    pub step: StepId,
    pub id: SystemId,
    pub store: Arc<dyn System>,
    pub region: RegionId,
    pub states: watch::Receiver<Arc<State>>,
    pub time: Arc<Timeline>,
}

impl Watch {
    /// When the last writer was stopped that this look waits for, or of the whole run where it waits for none; `None` while one may write.
    fn drained_at(&self) -> Option<At> {
        let state = self.states.borrow();
        let run = state.run.as_ref()?;
        let before = run.plan.ancestors(&self.step);
        let all = || run.in_order().filter(|(spec, _)| spec.role == StepRole::Fences);
        let waits = all().any(|(spec, _)| before.contains(&spec.id));
        let mut fences = all().filter(|(spec, _)| !waits || before.contains(&spec.id));
        let ends: Option<Vec<At>> =
            fences.by_ref().map(|(_, step)| step.ended_at.filter(|_| step.phase.is_in_effect())).collect();
        ends?.into_iter().max()
    }

    async fn look(&self) -> Result<Result<(String, Option<RecoveryPoint>), String>, Fault> {
        // The moment first: what is looked at has to be from after it.
        let drained = self.drained_at();
        let survey = self.time.own_survey(self.store.survey().await?);
        Ok(match (self.wanted, drained) {
            (Wanted::Protected, _) => protected_in(&survey, &self.region).map(|detail| (detail, None)),
            (Wanted::CaughtUp, None) => Err("its writers are not stopped yet".into()),
            (Wanted::CaughtUp, Some(drained)) => {
                caught_up(&survey, &self.region, drained).map(|(detail, point)| (detail, Some(point)))
            }
        })
    }
}

/// How many members of a store can be looked at: a survey of none is no survey.
fn answering(id: &str, survey: &Survey) -> Result<Guard, Fault> {
    let (all, seen) =
        (survey.members.len(), survey.members.iter().filter(|member| member.status < Status::Unknown).count());
    let words = format!("{seen} of {all} members answer");
    match seen {
        0 => Err(Fault::transient(id, "no member could be looked at")
            .means("whether a copy follows is not known")
            .next("check the network between here and the store, and the credentials")),
        _ if seen < all => Ok(Guard::warn("reach", words)),
        _ => Ok(Guard::pass("reach", words)),
    }
}

#[async_trait]
impl Step for Watch {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        // What is measured is measured by `verify`, which keeps the figure.
        Ok(match self.look().await? {
            Ok((detail, None)) => Observed::Done { detail },
            Ok((detail, Some(_))) | Err(detail) => Observed::NotDone { detail },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (id, region) = (&self.id, &self.region);
        let summary = match self.wanted {
            Wanted::CaughtUp => {
                format!("wait until the copy of {id} in {region} has everything its drained writer wrote")
            }
            Wanted::Protected => format!("wait until a healthy copy of {id} follows in {region}"),
        };
        Ok(Preview { summary, ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        Ok(Checked::default())
    }

    async fn apply(&self, _: &Value, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Ok(Receipt::new())
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(match self.look().await? {
            Ok((detail, recovery_point)) => Verified::Holds { detail, recovery_point },
            Err(detail) => Verified::Pending { detail },
        })
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        Ok(Fitness { guards: vec![answering(self.id.as_str(), &self.store.survey().await?)?] })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(self.id.as_str(), "a look changes nothing that could be taken back"))
    }

    fn by_hand(&self) -> Vec<String> {
        vec![
            format!(
                "# the copy of {} in {} has to be healthy, and without lag once nothing writes",
                self.id, self.region
            ),
            "mayday status".into(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recovery::{Member, Role};
    use crate::domain::system::GuardVerdict;

    #[test]
    fn a_store_of_which_nobody_answers_was_not_looked_at() {
        use Status::*;
        let said = |statuses: &[Status]| {
            let member = |status: &Status| Member {
                name: "m".into(),
                region: None,
                role: Role::Replica,
                status: *status,
                lag: None,
                detail: String::new(),
            };
            let survey = Survey { members: statuses.iter().map(member).collect(), ..Survey::default() };
            answering("db", &survey).map(|guard| (guard.verdict, guard.detail)).map_err(|fault| fault.what)
        };
        let rows = [
            ("all answer", &[Healthy, Degraded][..], Ok((GuardVerdict::Pass, "2 of 2 members answer"))),
            ("half an answer", &[Healthy, Unknown], Ok((GuardVerdict::Warn, "1 of 2 members answer"))),
            ("one is silent", &[Healthy, Down], Ok((GuardVerdict::Warn, "1 of 2 members answer"))),
            ("all refuse", &[Unknown, Unknown], Err("no member could be looked at")),
            ("all are silent", &[Down], Err("no member could be looked at")),
            ("nobody is told", &[], Err("no member could be looked at")),
        ];
        for (what, statuses, wanted) in rows {
            let wanted = wanted.map(|(verdict, words)| (verdict, words.to_owned())).map_err(str::to_owned);
            assert_eq!(said(statuses), wanted, "{what}");
        }
    }
}
