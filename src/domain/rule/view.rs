//! What a cockpit is given: everything once, then every change. The same fold runs on both sides of the socket.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rollup::{RollUp, of_service, roll_up};
use super::state::State;
use super::target::{self, Seen};
use super::trigger::{Trigger, triggers};
use crate::domain::chain::Chain;
use crate::domain::fact::backup;
use crate::domain::fact::backup::Judged;
use crate::domain::fact::event::Record;
use crate::domain::fact::health::Status;
use crate::domain::fact::live::{Live, LiveChange};
use crate::domain::fact::recovery::{Loss, Member, Role};
use crate::domain::fact::system::{Checked, Observed, Preview};
use crate::domain::fault::Fault;
use crate::domain::ids::{RegionId, StepId, SystemId};
use crate::domain::spec::backup::BackupSpec;
use crate::domain::spec::classes::DataClass;
use crate::domain::spec::estate::{Estate, Service, SystemSpec};
use crate::domain::spec::plan::Plan;
use crate::domain::spec::probe::Subject;
use crate::domain::time::{At, seconds_between};

/// Everything an attached cockpit needs, as of `now` by the engine's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Snapshot {
    /// The version of the engine.
    pub version: String,
    pub now: At,
    pub estate: Arc<Estate>,
    pub plans: Vec<Arc<Plan>>,
    pub state: State,
    pub live: Live,
    /// How far the journal has come, and its head: what to note outside. `None` from an older engine.
    #[serde(default)]
    pub chain: Option<Chain>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "update", rename_all = "lowercase")]
pub enum Update {
    Record { record: Arc<Record> },
    Live { change: Arc<LiveChange> },
}

impl<'s> Seen<'s> {
    pub fn of(view: &'s Snapshot, now: At) -> Self {
        let Snapshot { estate, state, live, .. } = view;
        Self { estate, state, surveys: &live.surveys, points: &live.points, readings: &live.probes, now }
    }
}

impl Snapshot {
    /// The datastores that clients work with where they are served now.
    pub fn stores(&self) -> impl Iterator<Item = &SystemSpec> {
        let serving = self.state.serving(&self.estate);
        let here: BTreeSet<&SystemId> = self.estate.stores_at(&serving).map(|store| &store.id).collect();
        self.estate.datastores().filter(move |store| here.contains(&store.id))
    }

    /// What would be lost of a datastore, in seconds, if the serving region vanished at `now`; `None` is unknown.
    pub fn store_exposure(&self, store: &SystemId, now: At) -> Option<f64> {
        let point = self.live.surveys.get(store)?.survey.standby_point.as_ref()?;
        Some(seconds_between(point.at, now).max(0.0))
    }

    /// The same of a data class: its worst datastore counts, and unknown is worst.
    pub fn exposure(&self, class: DataClass, now: At) -> Option<f64> {
        let stores = self.stores().filter(|store| store.class == Some(class));
        let exposures = stores.map(|store| self.store_exposure(&store.id, now));
        exposures.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)
    }

    /// What an incident that is declared now would say is lost of a data class, when `disruption` is the last moment at which clients could
    /// write: its worst datastore counts, and unknown is worst.
    pub fn loss_if_declared(&self, class: DataClass, disruption: At) -> Loss {
        let stores = self.stores().filter(|store| store.class == Some(class));
        Loss::worst(stores.map(|store| Loss::of(self.live.points.get(&store.id), disruption)))
    }

    /// A datastore in which more than one member is seen to take writes, and these members: what each of them takes is lost to the
    /// others. A writer that cannot be seen, because its region is gone for instance, is not one of them.
    pub fn split(&self) -> Option<(&SystemId, Vec<&str>)> {
        let writers = |store: &SystemId| -> Vec<&str> {
            let known = self.live.surveys.get(store).into_iter().flat_map(|known| &known.survey.members);
            let writes = |member: &&Member| member.role == Role::Writer && member.status < Status::Unknown;
            known.filter(writes).map(|member| member.name.as_str()).collect()
        };
        self.estate.datastores().map(|store| (&store.id, writers(&store.id))).find(|(_, writers)| writers.len() > 1)
    }

    /// Every backup and what it is worth at `now`.
    pub fn backups(&self, now: At) -> Vec<(&BackupSpec, Judged)> {
        let serving = self.state.serving(&self.estate);
        let judged = |spec| backup::judge(spec, self.live.backups.get(&spec.id), &serving, now);
        self.estate.backups.iter().map(|spec| (spec, judged(spec))).collect()
    }

    /// How old the data of a class would be after a restore, in seconds: its worst datastore counts, by its best copy; `None` when
    /// there is no copy of one of them, or it is unknown.
    pub fn restore_exposure(&self, class: DataClass, now: At) -> Option<f64> {
        let judged = self.backups(now);
        let stores = self.stores().filter(|store| store.class == Some(class));
        let of = |store: &SystemId| {
            let own = judged.iter().filter(|(spec, _)| spec.subject == *store && spec.class == Some(class));
            own.filter_map(|(_, judged)| judged.point).max()
        };
        let points = stores.map(|store| of(&store.id)).collect::<Option<Vec<At>>>()?;
        points.into_iter().min().map(|point| seconds_between(point, now).max(0.0))
    }

    /// The rules of the plan whose condition holds at `now`, the soonest met first.
    pub fn triggers(&self, now: At) -> Vec<Trigger> {
        let plans = target::in_order(&Seen::of(self, now), &self.plans);
        triggers(&self.estate, &self.state, &self.live.probes, now, plans.into_iter())
    }

    /// What the probes of a service in a region say at `now`.
    pub fn service(&self, service: &Service, region: &RegionId, now: At) -> RollUp<'_> {
        of_service(&self.estate, &self.live.probes, service, Some(region), now)
    }

    /// What the probes of a region itself say at `now`.
    pub fn region(&self, region: &RegionId, now: At) -> RollUp<'_> {
        roll_up(&self.estate, &self.live.probes, &Subject::Region(region.clone()), Some(region), now)
    }

    /// How a region is together with the services in it: the worst that is said of any; and, where that is true of some services only,
    /// of how many of how many.
    pub fn whole(&self, region: &RegionId, now: At) -> (Status, Option<(usize, usize)>) {
        let own = self.region(region, now).status();
        let of = |service| self.service(service, region, now).status();
        let statuses: Vec<Status> = self.estate.services.iter().map(of).collect();
        let worst = Status::worst(statuses.iter().copied());
        let count = statuses.iter().filter(|status| **status == worst).count();
        let some = (worst > own && count < statuses.len()).then_some((count, statuses.len()));
        (own.max(worst), some)
    }

    /// The services that are probed along the path of clients, and what these probes say at `now`: no region's own health.
    pub fn clients_path(&self, now: At) -> Vec<(&Service, RollUp<'_>)> {
        let seen = |service| (service, of_service(&self.estate, &self.live.probes, service, None, now));
        self.estate.services.iter().map(seen).filter(|(_, seen)| seen.is_probed()).collect()
    }

    /// Folds a change in. A record that is known already (it raced with the snapshot) changes nothing; a gap cannot be folded over.
    ///
    /// # Errors
    /// When records are missing in between: the whole has to be asked for again.
    pub fn take(&mut self, update: &Update) -> Result<(), Gap> {
        match update {
            Update::Record { record } if record.seq <= self.state.seq => Ok(()),
            Update::Record { record } if record.seq == self.state.seq + 1 => {
                self.now = self.now.max(record.at);
                self.state.apply(record);
                Ok(())
            }
            Update::Record { .. } => Err(Gap),
            Update::Live { change } => {
                match &**change {
                    LiveChange::Held { hold } => drop(self.state.hold.get_or_insert_with(|| hold.clone())),
                    LiveChange::Unheld {} => self.state.hold = None,
                    _ => {}
                }
                self.live.apply(LiveChange::clone(change));
                Ok(())
            }
        }
    }
}

/// Updates were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("updates were missed")]
pub struct Gap;

/// One step of a plan held against reality; nothing was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepPreview {
    pub step: StepId,
    pub title: String,
    pub kind: String,
    pub observed: Result<Observed, Fault>,
    pub preview: Result<Preview, Fault>,
    pub checked: Result<Checked, Fault>,
}

/// One step as commands for a shell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepByHand {
    pub step: StepId,
    pub title: String,
    pub lines: Vec<String>,
}
