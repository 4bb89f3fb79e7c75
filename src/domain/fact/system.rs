//! What the shell implements for the domain: how a system is watched, and how a step converges.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::backup::BackupLook;
use super::findings::Tally;
use super::guard::Guard;
use super::health::Reading;
use super::process::Process;
use super::readiness::Fact;
use super::recovery::{RecoveryPoint, Survey};
use crate::domain::fault::Fault;
use crate::domain::ids::RegionId;
use crate::domain::spec::backup::BackupSpec;
use crate::domain::spec::estate::{Estate, SystemSpec};
use crate::domain::spec::kinds::SystemKind;
use crate::domain::spec::plan::StepSpec;
use crate::domain::spec::probe::ProbeSpec;
use crate::domain::time::{At, is_ahead};

/// What a system's factory may use from its surroundings.
pub struct Surroundings {
    pub estate: Arc<Estate>,
}

/// Makes the connections of one system kind. Connecting is lazy: a factory fails only for parameters that can never work.
pub trait Factory: Send + Sync {
    fn kind(&self) -> &'static SystemKind;
    fn connect(&self, spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault>;
}

/// A system that can be watched and failed over.
#[async_trait]
pub trait System: Send + Sync {
    /// Looks once. Never fails: what could not be learnt is a reading of status unknown that says why. A target that
    /// refuses or times out *is* learnt: it is down. The caller bounds the time.
    async fn probe(&self, spec: &ProbeSpec) -> Reading;

    /// Why a probe could never be made as it is written, if so: nothing is asked for that.
    fn refuses(&self, _spec: &ProbeSpec) -> Option<Fault> {
        None
    }

    /// Members, roles, lag and recovery points of a datastore. Only called for a system with a data class.
    async fn survey(&self) -> Result<Survey, Fault>;

    /// Looks at the copies of some data, or at what protects it. Only called for the backup kinds of this system.
    ///
    /// # Errors
    /// When the copies could not be looked at: then nothing is known of them.
    async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        Err(Fault::permanent(&*spec.kind, "cannot be looked at here").next("run `mayday check`"))
    }

    /// Whether a probe of this kind counts what is held, and can be asked by [`tally`](Self::tally).
    fn tallies(&self, _kind: &str) -> bool {
        false
    }

    /// Counts what is held of everything that was written until a moment: the same before and after a failover, or something is wrong.
    ///
    /// # Errors
    /// When it could not be counted: then nothing is known.
    async fn tally(&self, spec: &ProbeSpec, _until: At) -> Result<Tally, Fault> {
        Err(Fault::permanent(&*spec.kind, "counts nothing").next("run `mayday check`"))
    }

    /// What ought to be the same in both regions: versions, parameters, images. Empty where nothing has two sides.
    async fn facts(&self) -> Result<Vec<Fact>, Fault> {
        Ok(Vec::new())
    }

    /// The code behind a step of one of this system's kinds.
    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault>;
}

/// What reality says about a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Observed {
    NotDone {
        detail: String,
    },
    InProgress {
        detail: String,
    },
    Done {
        detail: String,
    },
    /// It cannot be done as things stand; a human has to change something first.
    Impossible {
        why: String,
    },
    /// It cannot be told whether it was done (a script without an `observe` command). A human decides.
    Unknowable {
        why: String,
    },
}

impl Observed {
    /// The detail, whatever was observed.
    pub fn words(&self) -> &str {
        match self {
            Self::NotDone { detail } | Self::InProgress { detail } | Self::Done { detail } => detail,
            Self::Impossible { why } | Self::Unknowable { why } => why,
        }
    }
}

/// The exact change a step would make.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Preview {
    /// One line for the gate card: `weight of api.gennet.example @us-west-2: 0 → 100`.
    pub summary: String,
    /// A unified-diff style listing: lines start with `-`, `+` or a space.
    pub diff: Vec<String>,
    /// What `revert` needs to restore: journalled before `apply`, handed back to `revert`.
    pub pre_image: Value,
}

/// What a driver saw of the old writer. The driver reports, `decide` judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OldWriter {
    /// It answers and can take writes.
    Reachable,
    /// The same, and the step itself makes the two sides hand over: the old writer is demoted by its own system.
    HandsOver,
    /// It answers, and provably takes no writes.
    Fenced,
    /// Tried and not reached.
    Unreachable,
    /// Not tried, or it cannot be told.
    Unknown,
    /// There is none (it already moved).
    Absent,
}

/// The facts that the rule on promotions judges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PromotionFacts {
    pub old_writer: OldWriter,
    /// `None`: this system has no quorum to lose.
    pub quorum: Option<bool>,
    /// What the copy to be promoted holds; `None` is unknown, and unknown is refused.
    pub recovery_point: Option<RecoveryPoint>,
    /// The data will move without any loss (a switchover while both sides live); the recovery point is then not needed.
    #[serde(default)]
    pub lossless: bool,
}

impl PromotionFacts {
    /// What the copy holds, unless it says so by a clock that runs ahead: then how new it is, is not known.
    pub fn believed_point(&self, now: At) -> Option<&RecoveryPoint> {
        self.recovery_point.as_ref().filter(|point| !is_ahead(point.at, now))
    }
}

/// The outcome of `check`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Checked {
    pub guards: Vec<Guard>,
    /// Required from a step whose role is `Promotes`; its absence counts as everything unknown.
    pub promotion: Option<PromotionFacts>,
}

/// What has to be true long before a step is needed, and that neither observation nor guards show: above all whether these
/// credentials may do it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fitness {
    pub guards: Vec<Guard>,
}

/// What `apply` or `revert` leaves for the journal: `ChangeInfo.Id`, a request id, the new epoch.
pub type Receipt = BTreeMap<String, String>;

/// What `verify` saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verified {
    /// Not yet; asked again until the step's time is up.
    Pending { detail: String },
    /// The effect a client would see is there.
    Holds {
        detail: String,
        /// For a step that measures: the newest moment held by the copy now serving.
        #[serde(default)]
        recovery_point: Option<RecoveryPoint>,
    },
    /// The effect is there, and by nobody's doing: it may go as it came.
    HoldsForNow { detail: String },
    /// It will not come by waiting.
    Broken { why: String },
}

/// Where a step says what it is doing, line by line. Lines are cleaned and bounded by the receiver.
#[async_trait]
pub trait StepLog: Send + Sync {
    fn line(&self, text: &str);

    /// A line that a command of the operator's printed: kept beside the journal, its end in it.
    fn printed(&self, text: &str) {
        self.line(text);
    }

    /// Makes durable in which process the work will be done. Returns before any of it may begin.
    ///
    /// # Errors
    /// When it is not durable: then the process has to be ended, and nothing may have happened.
    async fn runs_as(&self, _process: &Process) -> Result<(), Fault> {
        Ok(())
    }

    /// Makes durable which of several ways is gone now, and how it was there before. Returns before anything of it is changed.
    ///
    /// # Errors
    /// When it is not durable: then that way must not be gone.
    async fn goes_by(&self, _receipt: &Receipt) -> Result<(), Fault> {
        Ok(())
    }
}

/// What the journal holds of a step that was begun, also after a crash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Begun {
    /// When the first attempt was journalled: an event of the vendor's from before cannot be this step's doing.
    pub at: At,
    /// What `preview` returned just before the first attempt.
    pub pre_image: Value,
    /// What `apply` left; empty when the engine died before it could be journalled.
    pub receipt: Receipt,
    /// The process that the latest attempt to apply or revert it runs in, of a step that needs one and whose end was not heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// The code behind one step. All methods may be called again at any time, after a crash too; only `apply` and `revert` change
/// anything, and each makes its mutating call at most once (vendor retries switched off).
#[async_trait]
pub trait Step: Send + Sync {
    /// `begun` is `None` as long as this run never tried to apply the step.
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault>;
    async fn preview(&self) -> Result<Preview, Fault>;
    async fn check(&self) -> Result<Checked, Fault>;
    /// `pre_image` is what `preview` returned and the journal holds: where the vendor can compare and swap, reality must still be that.
    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault>;
    /// By the effect a client would see, not by an API's 200. Called repeatedly until it holds or the time is up.
    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault>;
    /// Whether the effect was set, and stays when what it was only found by changes.
    ///
    /// # Errors
    /// When it could not be looked at: then nothing is known.
    async fn stays(&self) -> Result<Observed, Fault> {
        self.observe(None).await
    }
    /// Whether a process that this step runs in, by what the journal holds of it, still works here. Nothing is begun beside it.
    fn still_runs(&self, _begun: &Begun) -> bool {
        false
    }
    /// What reality says about taking it back: `Done` when that was done already. Asked before a revert is begun another time.
    ///
    /// # Errors
    /// When it could not be looked at: then nothing is known.
    async fn taken_back(&self, _begun: &Begun) -> Result<Observed, Fault> {
        Ok(Observed::NotDone { detail: "it is looked at before each change".into() })
    }
    /// Restores the pre-image. Only called where the kind's undo is `Revert`. It looks first and changes only what is not restored yet,
    /// so that after a crash nothing is changed twice; a step that cannot, says so by [`taken_back`](Self::taken_back).
    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault>;
    /// Asks for permissions and the like without using them. Empty where there is no way to ask.
    ///
    /// # Errors
    /// When it could not be asked.
    async fn fitness(&self) -> Result<Fitness, Fault> {
        Ok(Fitness::default())
    }
    /// Commands that an engineer can paste into a shell, with comments; the last lines verify.
    fn by_hand(&self) -> Vec<String>;
}

/// Regions by what a system calls its members, for systems whose own protocol does not tell.
pub type RegionOf = BTreeMap<String, RegionId>;
