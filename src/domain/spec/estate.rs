//! The estate: all that is protected, and what was promised for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::alert::AlertPolicy;
use super::backup::BackupSpec;
use super::checklist::ItemSpec;
use super::classes::{DataClass, Tier};
use super::comms::ChannelSpec;
use super::contacts::Contacts;
use super::drill::DrillSpec;
use super::params::{Params, SecretRef};
use super::probe::ProbeSpec;
use crate::domain::ids::{ChannelId, ProbeId, RegionId, ServiceId, SystemId};
use crate::domain::spec::comms::Comms;
use crate::domain::time::Span;
use crate::domain::words::words;

words! {
    /// The part a region plays.
    RegionRole { Primary = "primary", Standby = "standby", }
}

/// A region of the estate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Region {
    pub id: RegionId,
    pub role: RegionRole,
    pub title: String,
    /// What plans call by another name when they lead here: for a system that they name, the one of this region.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub systems: BTreeMap<SystemId, SystemId>,
}

impl Region {
    /// The system that a plan which leads here means by `named`.
    pub fn system<'s>(&'s self, named: &'s SystemId) -> &'s SystemId {
        self.systems.get(named).unwrap_or(named)
    }
    /// Whether clients work with a system when this region serves, where `others` are the regions that may serve instead: not with one that
    /// another stands in for here, and not with one that stands in elsewhere.
    fn works_with<'r>(&self, system: &SystemId, mut others: impl Iterator<Item = &'r Region>) -> bool {
        let stands_in = |region: &Region| region.systems.values().any(|it| it == system);
        self.system(system) == system && (stands_in(self) || !others.any(stands_in))
    }
}

/// A service that users need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Service {
    pub id: ServiceId,
    pub title: String,
    /// `critical` or `standard`.
    pub tier: Tier,
}

/// A connection to something that can be watched or failed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SystemSpec {
    pub id: SystemId,
    /// The name of a row of the table of system kinds.
    pub kind: String,
    pub title: String,
    /// Where it is, for a system that lives in one region (a Kubernetes API).
    #[serde(default)]
    pub region: Option<RegionId>,
    /// Makes it a datastore: what its recovery point counts for.
    #[serde(default)]
    pub class: Option<DataClass>,
    pub params: Params,
}

/// What was promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Objectives {
    pub rto: BTreeMap<Tier, Span>,
    pub rpo: BTreeMap<DataClass, Span>,
}

/// How careful the engine is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Policy {
    /// An armed cockpit falls back to read-only after so long without a key.
    pub arm_expires: Span,
    /// A preparation (observation, guards, preview) older than this is made again before the step may act.
    pub evidence_expires: Span,
    /// Waiting for an effect polls at 1 % of the time waited so far, but no faster than this ...
    pub poll_floor: Span,
    /// ... and no slower than this.
    pub poll_ceiling: Span,
    /// The first pause before a transient failure is tried again; it doubles up to `retry_ceiling`.
    pub retry_floor: Span,
    pub retry_ceiling: Span,
    /// So many attempts at a step that fails transiently; then a human decides.
    pub attempts: u32,
    /// How often datastores are surveyed for roles, lag and recovery points.
    pub survey_every: Span,
    /// For how long services must have been healthy before that counts.
    pub settle: Span,
    /// The serving region has to be silent for longer than this before the plan's first rule is met.
    pub region_down: Span,
    /// Half of its services have to fail their health checks for longer than this before the second one is.
    pub checks_down: Span,
    /// How often backups are looked at.
    pub backups_every: Span,
    /// How often plans are held against reality.
    pub readiness_every: Span,
    /// How many probes may be under way at once.
    pub probe_concurrency: u32,
    /// For so long after clients were moved the run that did it may be reverted.
    #[serde(default = "commit_window")]
    pub commit_window: Span,
    /// What a rule of the plan does that is met.
    pub on_trigger: OnTrigger,
    /// Variables of the engine that commands of the operator's get besides the few that they always do.
    #[serde(default)]
    pub script_environment: Vec<String>,
}

words! {
    /// What becomes of a rule that is met. Neither starts a run.
    OnTrigger {
        /// It is told; a human declares.
        Propose = "propose",
        /// The engine declares the incident, so that the clocks and the people are called at once.
        Declare = "declare",
    }
}

fn commit_window() -> Span {
    Span::secs(30 * 60)
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            arm_expires: Span::secs(15 * 60),
            evidence_expires: Span::secs(60),
            poll_floor: Span::millis(500),
            poll_ceiling: Span::secs(2),
            retry_floor: Span::secs(1),
            retry_ceiling: Span::secs(30),
            attempts: 5,
            survey_every: Span::secs(10),
            settle: Span::secs(10),
            region_down: Span::secs(300),
            checks_down: Span::secs(60),
            backups_every: Span::secs(60),
            readiness_every: Span::secs(15 * 60),
            probe_concurrency: 64,
            commit_window: commit_window(),
            on_trigger: OnTrigger::Propose,
            script_environment: Vec::new(),
        }
    }
}

/// Something that Mayday and its people need, and that sits in one region: single sign-on, the chat, a jump host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Dependency {
    pub name: String,
    pub region: RegionId,
    /// What to use when that region is gone.
    #[serde(default)]
    pub instead: Option<String>,
}

words! {
    /// What an estate is for.
    Environment {
        /// People depend on it: no drill is played on it.
        Production = "production",
        /// It may be broken on purpose.
        Test = "test",
    }
}

/// All that is protected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Estate {
    pub name: String,
    pub environment: Environment,
    /// Where the engine and its journal are: a region, or another word for a place outside them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_in: Option<String>,
    pub regions: Vec<Region>,
    pub services: Vec<Service>,
    pub systems: Vec<SystemSpec>,
    pub probes: Vec<ProbeSpec>,
    #[serde(default)]
    pub backups: Vec<BackupSpec>,
    #[serde(default)]
    pub contacts: Contacts,
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
    /// What is rehearsed, and how often.
    #[serde(default)]
    pub drills: Vec<DrillSpec>,
    /// What has to be true before an incident is over.
    #[serde(default)]
    pub checklist: Vec<ItemSpec>,
    /// The ways to reach people.
    #[serde(default)]
    pub channels: Vec<ChannelSpec>,
    #[serde(default)]
    pub comms: Comms,
    /// What is done with the alerts of other monitoring.
    #[serde(default)]
    pub alerts: AlertPolicy,
    pub objectives: Objectives,
    pub policy: Policy,
}

impl Estate {
    /// As people and programs that attach may see it: of a command that prints a secret the program, and not its arguments.
    pub fn shown(&self) -> Self {
        let mut shown = self.clone();
        let checks = shown.checklist.iter_mut().flat_map(|it| &mut it.checks);
        let params = shown.systems.iter_mut().map(|it| &mut it.params);
        let params = params.chain(shown.probes.iter_mut().chain(checks).map(|it| &mut it.params));
        let params = params.chain(shown.backups.iter_mut().map(|it| &mut it.params));
        for params in params.chain(shown.channels.iter_mut().map(|it| &mut it.params)) {
            *params = params.shown();
        }
        if let Some(pagerduty) = &mut shown.contacts.pagerduty {
            pagerduty.token = pagerduty.token.shown();
        }
        shown.alerts.token = shown.alerts.token.as_ref().map(SecretRef::shown);
        shown
    }
    /// Whether a system has a part in what leads to a region: it is not one that stands in for another elsewhere, and no other stands in
    /// for it there.
    pub fn has_part_in(&self, system: &SystemId, target: Option<&RegionId>) -> bool {
        self.regions.iter().all(|region| match target == Some(&region.id) {
            true => !region.systems.contains_key(system),
            false => !region.systems.values().any(|it| it == system),
        })
    }

    pub fn region(&self, role: RegionRole) -> Option<&Region> {
        self.regions.iter().find(|region| region.role == role)
    }
    /// The id of the primary region; config validation has made sure that there is one.
    pub fn primary(&self) -> RegionId {
        self.region(RegionRole::Primary).map_or_else(|| RegionId::from("?"), |region| region.id.clone())
    }
    /// The id of the standby region; config validation has made sure that there is one. Of several the first in the config: which one
    /// clients are sent to is chosen at the run, and then the plan says it.
    pub fn standby(&self) -> RegionId {
        self.region(RegionRole::Standby).map_or_else(|| RegionId::from("?"), |region| region.id.clone())
    }
    /// The standby region that something does not say.
    ///
    /// # Errors
    /// When there are several, in words.
    pub fn only_standby(&self) -> Result<RegionId, String> {
        let all: Vec<&str> = self.standbys().map(|region| region.id.as_str()).collect();
        match all[..] {
            [_, _, ..] => Err(format!(
                "there are several standby regions ({}), and it does not say which is meant",
                all.join(", ")
            )),
            _ => Ok(self.standby()),
        }
    }
    /// Every region that clients can be sent to, in the order of the config.
    pub fn standbys(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter().filter(|region| region.role == RegionRole::Standby)
    }
    /// Whether a failover has a choice of regions.
    pub fn has_a_choice(&self) -> bool {
        self.standbys().nth(1).is_some()
    }
    /// The datastores that clients work with when `region` serves. In the primary that is every one: each copy of its data counts.
    pub fn stores_at(&self, region: &RegionId) -> impl Iterator<Item = &SystemSpec> {
        let here = self.standbys().find(|it| it.id == *region);
        let others = move || self.standbys().filter(move |it| here.is_none_or(|here| here.id != it.id));
        self.datastores().filter(move |store| here.is_none_or(|here| here.works_with(&store.id, others())))
    }
    pub fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.services.iter().find(|service| &service.id == id)
    }
    pub fn system(&self, id: &SystemId) -> Option<&SystemSpec> {
        self.systems.iter().find(|system| &system.id == id)
    }
    pub fn probe(&self, id: &ProbeId) -> Option<&ProbeSpec> {
        self.probes.iter().find(|probe| &probe.id == id)
    }
    pub fn channel(&self, id: &ChannelId) -> Option<&ChannelSpec> {
        self.channels.iter().find(|channel| &channel.id == id)
    }
    /// Systems with a data class, in the order of the config.
    pub fn datastores(&self) -> impl Iterator<Item = &SystemSpec> {
        self.systems.iter().filter(|system| system.class.is_some())
    }
    pub fn rto(&self, tier: Tier) -> Option<Span> {
        self.objectives.rto.get(&tier).copied()
    }
    pub fn rpo(&self, class: DataClass) -> Option<Span> {
        self.objectives.rpo.get(&class).copied()
    }
    /// Whether a service of `tier` counts for `asked`: every service counts for the platform.
    pub fn counts_for(tier: Tier, asked: Tier) -> bool {
        asked == Tier::Platform || tier == asked
    }
}
