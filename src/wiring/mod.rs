//! The one place, with `main`, that knows every room: it joins tables, connects systems and assembles engines.

mod about;
mod alerts;
mod cockpit;
mod connect;
#[cfg(debug_assertions)]
mod crash;
mod demo;
mod drill;
mod edit;
mod engine;
mod failure;
mod follow;
mod helm;
mod init;
mod journals;
mod lab;
mod ledger;
pub mod log;
mod moving;
mod notices;
mod places;
mod refuse;
mod reload;
mod reports;
mod revert;
mod run;
mod say;
mod settings;
mod stage;
mod sweep;
mod towards;
mod visit;
#[cfg(debug_assertions)]
mod wall;
mod warnings;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use crate::channels::{self, pagerduty::PagerDuty};
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::comms::{Channel, ChannelKind, ChannelSpec, Found, Parcel};
use crate::domain::contacts::Rota;
use crate::domain::estate::{Estate, ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::hidden::{self, Apart, Left};
use crate::domain::ids::{ChannelId, RegionId, SystemId};
use crate::domain::journal::Journal;
use crate::domain::kinds::{Kinds, SystemKind};
use crate::domain::params::Params;
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::schedule::Driller;
use crate::domain::state::State;
use crate::domain::system::{Factory, Fault, Receipt, Step, Surroundings, System};
use crate::engine::clock::Machine;
use crate::engine::{Channels, Parts, builtin, waves};
use crate::report::Reports;
use crate::systems::FACTORIES;

pub use failure::Failure;
pub use run::run;

static ROWS: LazyLock<Vec<&'static SystemKind>> =
    LazyLock::new(|| FACTORIES.iter().map(|factory| factory.kind()).chain([&builtin::KIND, &waves::KIND]).collect());

static CHANNELS: LazyLock<Vec<&'static ChannelKind>> =
    LazyLock::new(|| channels::FACTORIES.iter().map(|factory| factory.kind()).collect());

/// Every kind that this build knows, the built-in ones included.
pub fn kinds() -> Kinds {
    Kinds(&ROWS, &CHANNELS)
}

/// What an engine of this config is made of.
pub fn assemble(
    config: Config,
    journal: Arc<dyn Journal>,
    state: State,
    records: PathBuf,
    driller: Option<Arc<dyn Driller>>,
) -> Parts {
    let estate = Arc::new(config.estate);
    let plans = config.plans.into_iter().map(Arc::new).collect();
    let systems = connect(&estate);
    #[cfg(debug_assertions)]
    let journal = crash::armed(journal);
    let rota = rota(&estate);
    let reporter = Arc::new(Reports);
    let channels = Channels::new(&estate, reach(&estate));
    let wording = Arc::new(config.templates);
    let clock: Arc<dyn Clock> = Arc::new(Machine::new());
    #[cfg(debug_assertions)]
    let clock = wall::set_by_file(clock);
    let place = records.parent().unwrap_or(&records).display().to_string();
    let apart: Option<Arc<dyn Apart>> = Some(Arc::new(WithoutRegion { estate: estate.clone(), place }));
    // Whoever shares the journal with others puts one in.
    let pen = None;
    Parts {
        estate,
        plans,
        journal,
        pen,
        state,
        systems,
        rota,
        driller,
        reporter,
        channels,
        wording,
        records,
        clock,
        apart,
    }
}

/// Takes a region away from the estate.
struct WithoutRegion {
    estate: Arc<Estate>,
    place: String,
}

impl Apart for WithoutRegion {
    fn without(&self, region: &RegionId) -> Left {
        let estate = Arc::new(hidden::without(&self.estate, &kinds(), region));
        let place = hidden::Place { journal: &self.place };
        Left {
            systems: connect(&estate),
            clusters: hidden::clusters(&self.estate, &kinds(), region),
            own: hidden::own(&self.estate, &kinds(), &place, region),
        }
    }
}

/// Connects every channel. One that cannot be says so whenever it is used.
fn reach(estate: &Estate) -> BTreeMap<ChannelId, Arc<dyn Channel>> {
    let connect = |spec: &ChannelSpec| -> Arc<dyn Channel> {
        try_channel(spec).unwrap_or_else(|fault| {
            tracing::error!(%fault, "a channel cannot be used");
            Arc::new(Mute(fault))
        })
    };
    estate.channels.iter().map(|spec| (spec.id.clone(), connect(spec))).collect()
}

/// What is wrong with what this host holds for the channels, lists of recipients above all, and with channels that can never work. Nobody
/// is asked over the network.
pub async fn inspect(estate: &Estate) -> Vec<String> {
    let mut found = Vec::new();
    for spec in &estate.channels {
        let wrong = match try_channel(spec) {
            Ok(channel) => timeout(INSPECTION, channel.inspect())
                .await
                .unwrap_or_else(|_| vec![format!("its list could not be read within {} s", INSPECTION.as_secs())]),
            Err(fault) => vec![format!("{} — {} → {}", fault.what, fault.means, fault.next)],
        };
        found.extend(wrong.into_iter().map(|why| format!("`{}`: {why}", spec.id)));
    }
    found
}

/// The longest that a file on a mount that hangs is waited for.
const INSPECTION: Duration = Duration::from_secs(5);

fn try_channel(spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
    let unknown = || Fault::permanent(spec.id.as_str(), format!("there is no channel kind `{}`", spec.kind));
    let factory = channels::FACTORIES.iter().find(|factory| factory.kind().name == spec.kind);
    factory.ok_or_else(unknown).and_then(|factory| factory.connect(spec))
}

/// Stands for a channel whose parameters can never work.
struct Mute(Fault);

#[async_trait]
impl Channel for Mute {
    async fn deliver(&self, _: &Parcel) -> Result<Receipt, Fault> {
        Err(self.0.clone())
    }

    /// An engine with another config may have sent it: who cannot look must not say that nothing is there, or it goes out twice.
    async fn find(&self, _: &Parcel) -> Result<Found, Fault> {
        Ok(Found::Untold(format!(
            "this channel cannot be used, so nobody can look whether it arrived: {}",
            self.0.what
        )))
    }

    async fn reach(&self) -> Result<String, Fault> {
        Err(self.0.clone())
    }
}

/// Whoever knows who is on call.
fn rota(estate: &Estate) -> Option<Arc<dyn Rota>> {
    let spec = estate.contacts.pagerduty.as_ref()?;
    Some(Arc::new(PagerDuty::new(spec)))
}

/// Connects every system of the estate, and the ambient ones.
fn connect(estate: &Arc<Estate>) -> BTreeMap<SystemId, Arc<dyn System>> {
    let around = Surroundings { estate: estate.clone() };
    with_ambient(estate).into_iter().map(|spec| (spec.id.clone(), connect_one(&spec, &around))).collect()
}

/// Every system that is connected: those of the estate and those that need no table of their own.
fn with_ambient(estate: &Estate) -> Vec<SystemSpec> {
    let ambient = FACTORIES.iter().filter(|factory| factory.kind().ambient).map(|factory| SystemSpec {
        id: factory.kind().name.into(),
        kind: factory.kind().name.into(),
        title: factory.kind().title.into(),
        region: None,
        class: None,
        params: Params::default(),
    });
    ambient.chain(estate.systems.iter().cloned()).collect()
}

/// One system that cannot be connected must not keep the engine from serving the others.
fn connect_one(spec: &SystemSpec, around: &Surroundings) -> Arc<dyn System> {
    try_connect(spec, around).unwrap_or_else(|fault| {
        tracing::error!(%fault, "a system cannot be used");
        Arc::new(Unusable(fault))
    })
}

fn try_connect(spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
    let unknown = || Fault::permanent(spec.id.as_str(), format!("there is no system kind `{}`", spec.kind));
    let factory: Option<&&dyn Factory> = FACTORIES.iter().find(|factory| factory.kind().name == spec.kind);
    factory.ok_or_else(unknown).and_then(|factory| factory.connect(spec, around))
}

/// Stands for a system whose parameters can never work: it says so whenever it is asked.
struct Unusable(Fault);

#[async_trait]
impl System for Unusable {
    async fn probe(&self, _: &ProbeSpec) -> Reading {
        Reading::unknown(self.0.to_string())
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(self.0.clone())
    }

    fn step(&self, _: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Err(self.0.clone())
    }
}
