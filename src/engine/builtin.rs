//! The steps that need nothing but Mayday itself: waiting until services are healthy, and writing the review of the incident so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

use super::archive::{Archive, ArchiveFault};
use super::clock::Timeline;
use super::stores::{Wanted, Watch};
use crate::domain::estate::{Estate, ProbeSpec, Subject, Tier};
use crate::domain::health::{Reading, Status};
use crate::domain::ids::{RegionId, SystemId};
use crate::domain::kinds::{Param, ParamType, StepKind, StepRole, SystemKind, Undo};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::state::State;
use crate::domain::system::{Begun, Checked, Fault, Observed, Preview, Receipt, Step, StepLog, System, Verified};
use crate::domain::time::{At, seconds_between};
use crate::domain::wayback::{CAUGHT_UP, STORE};

const HEALTHY: &str = "mayday.healthy";
const RECORD: &str = "mayday.record";
const PROTECTED: &str = "mayday.protected";
const WHOSE: Param = Param::required(STORE, ParamType::Text, "the id of the datastore");

/// What this engine is connected to, by id.
pub(super) type Systems = BTreeMap<SystemId, Arc<dyn System>>;

/// The row of the built-in system.
pub const KIND: SystemKind = SystemKind {
    name: "mayday",
    title: "Mayday itself",
    ambient: true,
    params: &[],
    probes: &[],
    steps: &[
        StepKind {
            name: HEALTHY,
            title: "wait until the services of a region are healthy",
            role: StepRole::Checks,
            undo: Undo::Nothing,
            instead: "",
            params: &[
                Param::optional("region", ParamType::Region, "whose services; the serving region when left out"),
                Param::optional("tier", ParamType::Choice(Tier::WORDS), "which services; all when left out"),
                Param::optional(
                    "hold",
                    ParamType::Span,
                    "for how long they must have been healthy; `policy.settle` when left out",
                ),
            ],
        },
        StepKind {
            name: CAUGHT_UP,
            title: "wait until a datastore's copy has everything of its drained writer",
            role: StepRole::Measures,
            undo: Undo::Nothing,
            instead: "",
            params: &[WHOSE],
        },
        StepKind {
            name: PROTECTED,
            title: "wait until a healthy copy of a datastore follows in a region",
            role: StepRole::Checks,
            undo: Undo::Nothing,
            instead: "",
            params: &[WHOSE],
        },
        StepKind {
            name: RECORD,
            title: "write the review of the incident so far, as the record of the run",
            role: StepRole::Records,
            undo: Undo::Nothing,
            instead: "",
            params: &[],
        },
    ],
    backups: &[],
};

/// The built-in system: it looks at the engine's own state.
pub(super) struct Mayday {
    estate: Arc<Estate>,
    states: watch::Receiver<Arc<State>>,
    archive: Arc<Archive>,
    stores: Systems,
    time: Arc<Timeline>,
}

impl Mayday {
    pub fn new(
        estate: Arc<Estate>,
        states: watch::Receiver<Arc<State>>,
        archive: Arc<Archive>,
        stores: Systems,
        time: Arc<Timeline>,
    ) -> Self {
        Self { estate, states, archive, stores, time }
    }
}

#[async_trait]
impl System for Mayday {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        Reading::unknown(format!("Mayday has no probe `{}`", spec.kind))
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(KIND.name, "holds no data of the estate"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        let (estate, states, time) = (self.estate.clone(), self.states.clone(), self.time.clone());
        match spec.kind.as_str() {
            HEALTHY => {
                let region = spec.params.opt_text("region").map(RegionId::from);
                let tier = spec.params.opt_text("tier").and_then(|tier| tier.parse().ok()).unwrap_or(Tier::Platform);
                let hold = spec.params.opt_span("hold").unwrap_or(estate.policy.settle.0).as_secs_f64();
                Ok(Arc::new(Healthy { estate, states, time, region, tier, hold }))
            }
            CAUGHT_UP | PROTECTED => {
                let id = SystemId::from(spec.params.text(STORE)?);
                let store = self.stores.get(&id).cloned().ok_or_else(|| super::no_system(&id))?;
                let region = spec.region.clone().unwrap_or_else(|| estate.standby());
                let wanted = if spec.kind == CAUGHT_UP { Wanted::CaughtUp } else { Wanted::Protected };
                Ok(Arc::new(Watch { wanted, id, store, region, states, time }))
            }
            RECORD => Ok(Arc::new(Record { states, time, archive: self.archive.clone() })),
            other => {
                Err(Fault::permanent(KIND.name, format!("knows no step kind `{other}`")).next("run `mayday kinds`"))
            }
        }
    }
}

struct Healthy {
    estate: Arc<Estate>,
    states: watch::Receiver<Arc<State>>,
    time: Arc<Timeline>,
    region: Option<RegionId>,
    tier: Tier,
    hold: f64,
}

impl Healthy {
    fn region(&self, state: &State) -> RegionId {
        self.region.clone().unwrap_or_else(|| state.serving(&self.estate))
    }

    /// What is not healthy yet, or not for long enough; `Ok` says what is.
    fn look(&self, now: At) -> Result<String, String> {
        let state = self.states.borrow().clone();
        let region = self.region(&state);
        let in_tier = |subject: &Subject| match subject {
            Subject::Service(id) => self.estate.service(id).is_some_and(|it| Estate::counts_for(it.tier, self.tier)),
            Subject::System(_) | Subject::Region(_) => false,
        };
        let probes =
            || self.estate.probes.iter().filter(|it| it.region.as_ref() == Some(&region) && in_tier(&it.subject));
        let mut ill = Vec::new();
        let mut since: Option<At> = None;
        for probe in probes() {
            match state.probes.get(&probe.id) {
                Some(known) if known.status == Status::Healthy => since = since.max(Some(known.since)),
                Some(known) => ill.push(format!("{} is {}", probe.subject, known.status)),
                None => ill.push(format!("{} is unknown", probe.subject)),
            }
        }
        ill.dedup();
        if !ill.is_empty() {
            return Err(format!("in {region}, {}", ill.join(", ")));
        }
        let Some(since) = since else { return Err(format!("nothing in {region} is probed: its health is unknown")) };
        let healthy_for = seconds_between(since, now);
        if healthy_for < self.hold {
            return Err(format!("all healthy in {region} for {healthy_for:.0} of {:.0} s", self.hold));
        }
        Ok(format!("{} probes in {region} healthy for at least {healthy_for:.0} s", probes().count()))
    }
}

#[async_trait]
impl Step for Healthy {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(match self.look(self.time.now()) {
            Ok(detail) => Observed::Done { detail },
            Err(detail) => Observed::NotDone { detail },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let region = self.region(&self.states.borrow());
        let summary = format!("wait until all {} services in {region} are healthy for {:.0} s", self.tier, self.hold);
        Ok(Preview { summary, ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        Ok(Checked::default())
    }

    async fn apply(&self, _: &Value, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Ok(Receipt::new())
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(match self.look(self.time.now()) {
            Ok(detail) => Verified::Holds { detail, recovery_point: None },
            Err(detail) => Verified::Pending { detail },
        })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(KIND.name, "a look at health changes nothing that could be taken back"))
    }

    fn by_hand(&self) -> Vec<String> {
        let region = self.region(&self.states.borrow());
        vec![format!("# wait until every {} service in {region} is healthy", self.tier), "mayday status".into()]
    }
}

/// Writes the review of the incident as it stands, under the name of the run.
struct Record {
    states: watch::Receiver<Arc<State>>,
    time: Arc<Timeline>,
    archive: Arc<Archive>,
}

impl Record {
    async fn write(&self) -> Result<std::path::PathBuf, ArchiveFault> {
        let state = self.states.borrow().clone();
        let known = state.run.as_ref().zip(state.incident.as_ref());
        let (run, incident) = known.ok_or(ArchiveFault::Missing)?;
        self.archive.write(&incident.id, run.id.as_str(), self.time.now()).await
    }
}

#[async_trait]
impl Step for Record {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let run = self.states.borrow().run.as_ref().map(|run| run.id.clone());
        let Some(run) = run else { return Ok(Observed::NotDone { detail: "there is no run yet".into() }) };
        let path = self.archive.path(run.as_str(), "md");
        Ok(if path.exists() {
            Observed::Done { detail: format!("{} is written", path.display()) }
        } else {
            Observed::NotDone { detail: "not written yet".into() }
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let summary = format!("write the record of the run to {}", self.archive.folder.display());
        Ok(Preview { summary, ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        Ok(Checked::default())
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let failed = |fault: ArchiveFault| {
            Fault::transient(KIND.name, format!("cannot write the record: {fault}"))
                .means("the recovery is done; only its record is missing, and the journal has all of it")
                .next("make room or mend the permissions, then retry the step")
        };
        let path = self.write().await.map_err(failed)?;
        log.line(&format!("wrote {}", path.display()));
        Ok(Receipt::from([("file".to_owned(), path.display().to_string())]))
    }

    async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(match self.observe(Some(begun)).await? {
            Observed::Done { detail } => Verified::Holds { detail, recovery_point: None },
            other => Verified::Pending { detail: other.words().to_owned() },
        })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(KIND.name, "a record is not taken back"))
    }

    fn by_hand(&self) -> Vec<String> {
        vec!["mayday report --out failover.md".into(), "mayday journal export > failover-journal.json".into()]
    }
}
