//! The steps that need nothing but Mayday itself: waiting until services are healthy, and writing the review of the incident so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

use super::archive::{Archive, ArchiveFault};
use super::clock::Timeline;
use super::published::Seen;
use super::stores::{Wanted, Watch};
use super::waves::{self, Wave};
use crate::domain::estate::{Estate, ProbeSpec, Service, Tier};
use crate::domain::health::{Reading, Status};
use crate::domain::ids::{RegionId, SystemId};
use crate::domain::kinds::{Param, ParamType, StepKind, StepRole, SystemKind, Undo};
use crate::domain::plan::{CAUGHT_UP, RUN, StepSpec};
use crate::domain::recovery::Survey;
use crate::domain::rollup::{Readings, RollUp, of_service};
use crate::domain::state::State;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, System, Verified,
};
use crate::domain::time::{At, seconds_between};
use crate::domain::wayback::STORE;

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
    ways: &[],
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

/// The ids that the built-in system goes by: Mayday itself, and its plans.
pub(super) const IDS: [&str; 2] = [KIND.name, waves::KIND.name];

/// The built-in system: it looks at the engine's own state.
pub(super) struct Mayday {
    estate: Arc<Estate>,
    states: watch::Receiver<Arc<State>>,
    seen: Seen,
    archive: Arc<Archive>,
    stores: Systems,
    time: Arc<Timeline>,
}

impl Mayday {
    pub fn new(
        estate: Arc<Estate>,
        states: watch::Receiver<Arc<State>>,
        seen: Seen,
        archive: Arc<Archive>,
        stores: Systems,
        time: Arc<Timeline>,
    ) -> Self {
        Self { estate, states, seen, archive, stores, time }
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
                Ok(Arc::new(Healthy { estate, states, seen: self.seen.clone(), time, region, tier, hold }))
            }
            CAUGHT_UP | PROTECTED => {
                let id = SystemId::from(spec.params.text(STORE)?);
                let store = self.stores.get(&id).cloned().ok_or_else(|| super::no_system(&id))?;
                let unsaid = |why| Fault::permanent(KIND.name, why).next(format!("give step `{}` its region", spec.id));
                let region = spec.region.clone().map_or_else(|| estate.only_standby().map_err(unsaid), Ok)?;
                let wanted = if spec.kind == CAUGHT_UP { Wanted::CaughtUp } else { Wanted::Protected };
                Ok(Arc::new(Watch { wanted, step: spec.id.clone(), id, store, region, states, time }))
            }
            RUN => Ok(Arc::new(Wave::new(estate, states, self.seen.clone(), time, spec)?)),
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
    seen: Seen,
    region: Option<RegionId>,
    tier: Tier,
    hold: f64,
}

impl Healthy {
    fn region(&self, state: &State) -> RegionId {
        self.region.clone().unwrap_or_else(|| state.serving(&self.estate))
    }

    /// What is not healthy yet, or not for long enough; `Ok` says what is.
    fn look(&self, now: At) -> Result<String, Short> {
        let region = self.region(&self.states.borrow());
        self.seen.with(|readings| healthy(&self.estate, readings, (&region, self.tier), self.hold, now))
    }
}

/// What a region lacks to be called healthy.
#[derive(Debug, PartialEq)]
enum Short {
    /// A service is not well.
    Ill(String),
    /// None is known to be ill, and of one it is not known.
    Unknown(String),
    /// All are healthy, and not for long enough.
    Early(String),
}

/// Whether every service of a tier in a region has been healthy for `hold` seconds, by what this engine has read itself.
fn healthy(
    estate: &Estate,
    readings: &Readings,
    (region, tier): (&RegionId, Tier),
    hold: f64,
    now: At,
) -> Result<String, Short> {
    let services = estate.services.iter().filter(|service| Estate::counts_for(service.tier, tier));
    let seen: Vec<_> =
        services.map(|service| (service, of_service(estate, readings, service, Some(region), now))).collect();
    let word = |(service, seen): &(&Service, RollUp<'_>)| {
        let why = seen.worst().map_or("no probe looks at it there", |worst| worst.detail);
        (seen.status() != Status::Healthy).then(|| format!("{} is {}: {why}", service.id, seen.status()))
    };
    let ill: Vec<String> = seen.iter().filter_map(word).collect();
    if !ill.is_empty() {
        let words = format!("in {region}, {}", ill.join(", "));
        let bad = |(_, seen): &(&Service, RollUp<'_>)| matches!(seen.status(), Status::Degraded | Status::Down);
        return Err(if seen.iter().any(bad) { Short::Ill(words) } else { Short::Unknown(words) });
    }
    let since = seen.iter().map(|(_, seen)| seen.since()).collect::<Option<Vec<At>>>();
    let Some(since) = since.and_then(|all| all.into_iter().max()) else {
        return Err(Short::Unknown(format!("no service is of this tier: whether {region} can serve is unknown")));
    };
    let healthy_for = seconds_between(since, now);
    if healthy_for < hold {
        return Err(Short::Early(format!("all healthy in {region} for {healthy_for:.0} of {hold:.0} s")));
    }
    let probes: usize = seen.iter().map(|(_, seen)| seen.said.len()).sum();
    Ok(format!("{probes} probes in {region} healthy for at least {healthy_for:.0} s"))
}

#[async_trait]
impl Step for Healthy {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(match self.look(self.time.now()) {
            Ok(detail) => Observed::Done { detail },
            Err(Short::Unknown(why)) => Observed::Unknowable { why },
            Err(Short::Ill(detail) | Short::Early(detail)) => Observed::NotDone { detail },
        })
    }

    /// A region that is ill now would keep the plan from going on now.
    async fn fitness(&self) -> Result<Fitness, Fault> {
        let guard = match self.look(self.time.now()) {
            Ok(detail) | Err(Short::Early(detail)) => Guard::pass("health", detail),
            Err(Short::Ill(detail)) => Guard::block("health", detail),
            Err(Short::Unknown(why)) => {
                return Err(Fault::transient(KIND.name, why).means("a region that is not seen is not healthy"));
            }
        };
        Ok(Fitness { guards: vec![guard] })
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
            Err(Short::Unknown(detail) | Short::Ill(detail) | Short::Early(detail)) => Verified::Pending { detail },
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
                .next("make room or fix the permissions, then retry the step")
        };
        let path = self.write().await.map_err(failed)?;
        log.line(&format!("wrote {}", path.display()));
        Ok(Receipt::from([("file".to_owned(), path.display().to_string())]))
    }

    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        if let Observed::Done { detail } = self.observe(Some(begun)).await? {
            return Ok(Verified::Holds { detail, recovery_point: None });
        }
        // Each engine keeps its records in its own state directory, and the one that wrote this record may be gone with its host. It follows
        // from the journal, so it is written here, too.
        Ok(match self.write().await {
            Ok(path) => {
                log.line(&format!("wrote {}, where another engine had written its own", path.display()));
                Verified::Holds { detail: format!("{} is written", path.display()), recovery_point: None }
            }
            Err(fault) => Verified::Pending { detail: format!("not written yet: {fault}") },
        })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(KIND.name, "a record is not taken back"))
    }

    fn by_hand(&self) -> Vec<String> {
        vec!["mayday report --out failover.md".into(), "mayday journal export > failover-journal.json".into()]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::estate::{Policy, Subject};
    use crate::domain::live::ProbeLive;
    use crate::domain::params::Params;
    use crate::domain::time::{Span, after};

    const EAST: &str = "us-east-1";

    fn at(seconds: u64) -> At {
        after(At::UNIX_EPOCH, Duration::from_secs(seconds))
    }

    fn probe(service: &str) -> ProbeSpec {
        ProbeSpec {
            id: format!("{service}@{EAST}").into(),
            kind: "http.get".into(),
            system: "http".into(),
            subject: Subject::Service(service.into()),
            region: Some(EAST.into()),
            every: Span::secs(5),
            timeout: Span::secs(2),
            fall: 3,
            window: None,
            rise: 2,
            params: Params::default(),
        }
    }

    /// An estate of a critical service and a standard one, each with a probe in the east.
    fn estate() -> Estate {
        let nothing = serde_json::json!({
            "name": "test", "environment": "production", "regions": [], "services": [], "systems": [], "probes": [],
            "objectives": { "rto": {}, "rpo": {} }, "policy": Policy::default(),
        });
        let service = |(id, tier): (&str, Tier)| Service { id: id.into(), title: id.into(), tier };
        Estate {
            services: [("api", Tier::Critical), ("blog", Tier::Standard)].map(service).into(),
            probes: ["api", "blog"].map(probe).into(),
            ..serde_json::from_value(nothing).unwrap()
        }
    }

    fn read(status: Status, taken: u64, since: u64) -> ProbeLive {
        let reading = Reading::new(status, "as told");
        ProbeLive { at: at(taken), status, reading, since: Some(at(since)), history: Default::default() }
    }

    #[test]
    fn a_region_that_nobody_could_look_at_is_not_called_healthy() {
        use Status::*;
        let well = || Some(read(Healthy, 100, 40));
        type Row = (
            &'static str,
            Option<ProbeLive>,
            Option<ProbeLive>,
            Result<&'static str, fn(String) -> Short>,
            &'static str,
        );
        let rows: [Row; 9] = [
            ("both are well", well(), well(), Ok(""), "2 probes in us-east-1 healthy for at least 60 s"),
            ("just long enough", well(), Some(read(Healthy, 100, 90)), Ok(""), "at least 10 s"),
            ("not for long enough", well(), Some(read(Healthy, 100, 91)), Err(Short::Early), "for 9 of 10 s"),
            ("one is down", well(), Some(read(Down, 100, 40)), Err(Short::Ill), "blog is down: as told"),
            ("one is slow", well(), Some(read(Degraded, 100, 40)), Err(Short::Ill), "blog is degraded"),
            ("one refuses", well(), Some(read(Unknown, 100, 40)), Err(Short::Unknown), "blog is unknown: as told"),
            ("one was not looked at", well(), None, Err(Short::Unknown), "not looked at since this engine started"),
            ("one is yesterday's", well(), Some(read(Healthy, 10, 5)), Err(Short::Unknown), "too old"),
            ("nobody looked at all", None, None, Err(Short::Unknown), "api is unknown"),
        ];
        let said =
            |estate: &Estate, readings: &Readings, tier| healthy(estate, readings, (&EAST.into(), tier), 10.0, at(100));
        for (what, api, blog, wanted, words) in rows {
            let both = [("api", api), ("blog", blog)];
            let readings: Readings =
                both.into_iter().filter_map(|(id, live)| Some((format!("{id}@{EAST}").into(), live?))).collect();
            match (said(&estate(), &readings, Tier::Platform), wanted) {
                (Ok(detail), Ok(_)) => assert!(detail.contains(words), "{what}: {detail}"),
                (Err(short), Err(kind)) => {
                    let (Short::Ill(detail) | Short::Unknown(detail) | Short::Early(detail)) = &short;
                    assert!(detail.contains(words) && short == kind(detail.clone()), "{what}: {short:?}");
                }
                (seen, _) => panic!("{what}: {seen:?}"),
            }
        }
        let mut blind = estate();
        blind.probes.clear();
        let unprobed = said(&blind, &Readings::new(), Tier::Platform);
        assert!(
            matches!(&unprobed, Err(Short::Unknown(why)) if why.contains("no probe looks at it there")),
            "{unprobed:?}"
        );
        blind.services.clear();
        let nobody = said(&blind, &Readings::new(), Tier::Platform);
        assert!(
            matches!(&nobody, Err(Short::Unknown(why)) if why.contains("no service is of this tier")),
            "{nobody:?}"
        );
        let critical: Readings = [(format!("api@{EAST}").into(), read(Healthy, 100, 40))].into();
        assert!(said(&estate(), &critical, Tier::Critical).is_ok(), "of another tier nothing is asked");
    }
}
