//! Steps that change nothing: they look until what they look for is there.

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};

/// What such a step is about; [`Looking`] makes a [`Step`] of it.
#[async_trait]
pub trait Look: Send + Sync {
    fn system(&self) -> &str;
    /// What is looked for, in one line.
    fn summary(&self) -> String;
    async fn look(&self, log: &dyn StepLog) -> Result<Verified, Fault>;
    /// What can be told of it long before, without doing it: whether it could be looked at.
    ///
    /// # Errors
    /// When that cannot be told: it is unknown then.
    async fn reach(&self) -> Result<Guard, Fault>;
    fn by_hand(&self) -> Vec<String>;
}

/// A look as a step: nothing to prepare, nothing to do, nothing to take back.
pub struct Looking<L>(pub L);

#[async_trait]
impl<L: Look> Step for Looking<L> {
    async fn observe(&self, _begun: Option<&Begun>) -> Result<Observed, Fault> {
        // Nothing has been looked at yet: the words must not read as if it had been seen.
        Ok(Observed::NotDone { detail: format!("not tried yet: {}", self.0.summary()) })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        Ok(Preview { summary: self.0.summary(), ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        Ok(Checked::default())
    }

    async fn apply(&self, _pre_image: &Value, _log: &dyn StepLog) -> Result<Receipt, Fault> {
        Ok(Receipt::new())
    }

    async fn verify(&self, _begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        self.0.look(log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        Ok(Fitness { guards: vec![self.0.reach().await?] })
    }

    async fn revert(&self, _begun: &Begun, _log: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(self.0.system(), "this step changes nothing, so there is nothing to take back"))
    }

    fn by_hand(&self) -> Vec<String> {
        self.0.by_hand()
    }
}
