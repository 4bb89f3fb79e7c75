//! Where moments pass between the engine's time and everybody else's. Systems live by the wall clock; what they name is carried over to
//! the engine's time as it comes in, and back as it goes out. While the two agree nothing is changed.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::clock::Timeline;
use crate::domain::backup::BackupLook;
use crate::domain::recovery::{RecoveryPoint, Survey};
use crate::domain::system::{Begun, Checked, Fault, Fitness, Observed, Preview, Receipt, Step, StepLog, Verified};

impl Timeline {
    fn own_point(&self, point: &mut Option<RecoveryPoint>) {
        if let Some(point) = point {
            point.at = self.own(point.at);
        }
    }

    pub fn own_survey(&self, mut survey: Survey) -> Survey {
        self.own_point(&mut survey.standby_point);
        survey
    }

    pub fn own_look(&self, mut look: BackupLook) -> BackupLook {
        let told = look.restorable();
        let copies = look.copies.iter_mut().map(|copy| &mut copy.at);
        for at in copies.chain(&mut look.point).chain(&mut look.oldest) {
            *at = self.own(*at);
        }
        // What was taken as it is needs no second reading.
        if look.restorable() != told {
            look.drift = self.drift();
        }
        look
    }
}

/// A step, with the moments that go in and out of it carried over.
pub(super) struct Carried {
    pub step: Arc<dyn Step>,
    pub time: Arc<Timeline>,
}

impl Carried {
    fn begun(&self, begun: &Begun) -> Begun {
        Begun { at: self.time.to_wall(begun.at), ..begun.clone() }
    }
}

#[async_trait]
impl Step for Carried {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let begun = begun.map(|begun| self.begun(begun));
        self.step.observe(begun.as_ref()).await
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        self.step.preview().await
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let mut checked = self.step.check().await?;
        if let Some(facts) = &mut checked.promotion {
            self.time.own_point(&mut facts.recovery_point);
        }
        Ok(checked)
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        self.step.apply(pre_image, log).await
    }

    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        let mut verified = self.step.verify(&self.begun(begun), log).await?;
        if let Verified::Holds { recovery_point, .. } = &mut verified {
            self.time.own_point(recovery_point);
        }
        Ok(verified)
    }

    async fn stays(&self) -> Result<Observed, Fault> {
        self.step.stays().await
    }

    fn still_runs(&self, begun: &Begun) -> bool {
        self.step.still_runs(&self.begun(begun))
    }

    async fn taken_back(&self, begun: &Begun) -> Result<Observed, Fault> {
        self.step.taken_back(&self.begun(begun)).await
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        self.step.revert(&self.begun(begun), log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.step.fitness().await
    }

    fn by_hand(&self) -> Vec<String> {
        self.step.by_hand()
    }
}
