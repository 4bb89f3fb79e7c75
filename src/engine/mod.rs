//! The engine: one writer that receives, decides, appends, applies, publishes and performs, in that order. It outlives the terminal;
//! what it forgets in death, the next one replays from the journal. It is handed trait objects and never names a vendor.

mod archive;
mod backups;
mod baseline;
mod border;
pub mod builtin;
mod checklist;
pub mod clock;
mod contacts;
mod core;
mod courier;
mod drills;
mod driver;
mod evidence;
mod follower;
mod herald;
mod lead;
mod monitor;
mod output;
mod pen;
mod post;
mod presence;
mod published;
mod readiness;
mod runner;
mod shared;
mod stores;
mod watchman;
pub mod waves;
mod way_back;
mod ways;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::actor::{Actor, Origin};
use crate::domain::clock::Clock;
use crate::domain::command::{Ask, Command, Envelope, Refusal, RefusalReason, Report};
use crate::domain::comms::{Message, Purpose, Wording};
use crate::domain::contacts::Rota;
use crate::domain::drill::DrillResult;
use crate::domain::estate::Estate;
use crate::domain::hidden::Apart;
use crate::domain::ids::{IncidentId, PlanId, SessionId, StepId, SystemId};
use crate::domain::journal::{Journal, JournalFault};
use crate::domain::live::{Attached, Gaze, LiveChange};
use crate::domain::plan::Plan;
use crate::domain::review::{Documents, Reporter};
use crate::domain::schedule::Driller;
use crate::domain::state::State;
use crate::domain::system::{Fault, System};
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::domain::view::{Snapshot, StepByHand, StepPreview, Update};
use crate::domain::wayback;

pub use self::courier::Channels;
pub use self::lead::{campaign, reign, resign};
pub use self::pen::{Lease, Pen};
pub use self::presence::attend;
pub use self::shared::Kept;

use self::core::{Input, Turn};
use self::shared::Shared;

/// What an engine is made of.
pub struct Parts {
    pub estate: Arc<Estate>,
    pub plans: Vec<Arc<Plan>>,
    pub journal: Arc<dyn Journal>,
    /// What is written with, where engines share the journal; `None` where this is the only one.
    pub pen: Option<Arc<Pen>>,
    /// The fold of that journal.
    pub state: State,
    /// By id; ambient systems by the name of their kind. The built-in ones are added by the engine.
    pub systems: BTreeMap<SystemId, Arc<dyn System>>,
    /// Who is on call, where somebody can be asked.
    pub rota: Option<Arc<dyn Rota>>,
    /// Plays the drills that are due by themselves, where that is possible.
    pub driller: Option<Arc<dyn Driller>>,
    /// The ways to reach people.
    pub channels: Channels,
    /// Who writes the texts.
    pub wording: Arc<dyn Wording>,
    /// Writes reviews ...
    pub reporter: Arc<dyn Reporter>,
    /// ... which are kept here.
    pub records: PathBuf,
    /// The clocks of this machine.
    pub clock: Arc<dyn Clock>,
    /// Who takes a region away, to see what breaks; absent where nobody can.
    pub apart: Option<Arc<dyn Apart>>,
}

/// How to reach a running engine from within its process.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    /// What people ask for: it overtakes ...
    people: mpsc::Sender<Input>,
    /// ... what is reported.
    machines: mpsc::Sender<Input>,
    stop: CancellationToken,
    /// Cancelled when a part of the engine has died.
    broken: CancellationToken,
    tasks: TaskTracker,
    /// Whether this is the engine of a leader. A lead that is lost leaves nothing of it that may go on.
    leads: bool,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Accepted {
    /// The number of the latest record when it was done.
    pub seq: u64,
    /// A word for whoever asked.
    #[serde(default)]
    pub note: Option<String>,
}

/// Why a command was not done. Nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("{0}")]
    Refused(Refusal),
    /// It cannot be made durable, so it is not done.
    #[error("{0}")]
    Journal(JournalFault),
    #[error("the engine is stopping → start it again: mayday engine")]
    Stopped,
}

/// How many gates may wait for an assessment; more are one too many to be worth it.
const GATES: usize = 4;

/// A journal that has not answered for so long keeps nobody waiting who asks for something.
const SILENT: Duration = Duration::from_secs(2);
/// How often that is looked at.
const GLANCE: Duration = Duration::from_millis(500);

/// How many inputs may wait for the writer, of people and of machines.
const BACKLOG: usize = 4096;

impl Handle {
    /// Starts an engine: what was under way when the last one ended is observed and continued.
    ///
    /// # Errors
    /// When the journal does not take the first event: an engine that cannot write must not act.
    pub async fn start(parts: Parts) -> Result<Self, JournalFault> {
        Self::begin(parts, Kept::default(), None).await
    }

    /// Takes the place of an engine that came to rest in this process: whoever is armed or attached stays so, and what is due comes.
    ///
    /// # Errors
    /// When the journal does not take what is due.
    pub async fn succeed(parts: Parts, kept: Kept) -> Result<Self, JournalFault> {
        Self::begin(parts, kept, Some(Report::CommsDue {})).await
    }

    /// Takes the place of an engine in this process that followed, and leads; or follows in the place of one that led. Whoever is attached
    /// stays so.
    ///
    /// # Errors
    /// When the journal does not take the first event.
    pub async fn change(parts: Parts, kept: Kept) -> Result<Self, JournalFault> {
        Self::begin(parts, kept, None).await
    }

    /// `first` is what is journalled before anything else; that an engine began, where nothing is given.
    async fn begin(parts: Parts, kept: Kept, first: Option<Report>) -> Result<Self, JournalFault> {
        let pen = match kept.pen(&parts) {
            Some(pen) => pen,
            None => Arc::new(Pen::alone(parts.journal.clone()).await?),
        };
        let leads = pen.leads();
        let shared = Arc::new(Shared::new(parts, kept, pen));
        let (people, asks) = mpsc::channel(BACKLOG);
        let (machines, reports) = mpsc::channel(BACKLOG);
        let (gates, asked) = mpsc::channel(GATES);
        let (stop, broken) = (CancellationToken::new(), CancellationToken::new());
        let handle = Self { shared, people, machines, stop, broken, tasks: TaskTracker::new(), leads };
        if leads {
            let mut writer = core::Writer::new(handle.clone(), gates);
            writer.report(&first.map_or_else(|| handle.began(), |first| vec![first])).await?;
            handle.spawn(writer.run(asks, reports));
            handle.begin_to_lead();
        } else {
            handle.spawn(follower::idle(handle.clone(), asks, reports));
            handle.spawn(follower::read(handle.clone()));
        }
        clock::start(&handle);
        monitor::start(&handle);
        archive::start(&handle);
        backups::start(&handle);
        contacts::start(&handle);
        courier::start(&handle);
        readiness::start(&handle, asked);
        watchman::start(&handle);
        Ok(handle)
    }

    /// Asks for something in a person's name.
    ///
    /// # Errors
    /// When it is refused, or cannot be made durable. Nothing happened then.
    pub async fn ask(&self, actor: Actor, origin: Origin, ask: Ask) -> Result<Accepted, Denied> {
        if !self.leads || !self.shared.pen.leads() {
            return self.pass_on(actor, origin, ask).await;
        }
        // Nobody answers for what was true a while ago.
        if let Ask::TickItem { item, .. } | Ask::LookAtItem { item } = &ask {
            self.look_at_item(item.clone()).await;
        }
        if matches!(ask, Ask::Tell { .. } | Ask::Declare { .. } | Ask::HandOver { .. } | Ask::Acknowledge {}) {
            self.count_recipients().await;
        }
        if let Ask::RecordDrill { result } = &ask
            && result.passed
        {
            self.vouched(result).await.map_err(Denied::Refused)?;
        }
        let looks_only = matches!(&origin, Origin::Cockpit { read_only: true, .. });
        let holds = match &ask {
            Ask::Hold { reason } if !looks_only => {
                self.shared.hold(&actor, reason);
                true
            }
            _ => false,
        };
        let ((reply, answer), turn) = (oneshot::channel(), Arc::new(Turn::default()));
        let envelope = Box::new(Envelope { actor, origin, command: Command::Ask(ask) });
        self.people.send(Input::Ask(envelope, reply, turn.clone())).await.map_err(|_| Denied::Stopped)?;
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| Denied::Stopped)?,
            silent = self.journal_is_silent() => match holds {
                true => Ok(self.shared.held_unwritten(&unanswered(silent))),
                // The writer has not begun with it, and will not.
                false if turn.take() => Err(Denied::Journal(JournalFault {
                    what: format!("{}; nothing was done", unanswered(silent)),
                    next: "see whether its disk works, then ask again; HOLD works all the same".into(),
                })),
                false => Err(Denied::Journal(JournalFault {
                    what: format!("{}: it is not known whether that is written", unanswered(silent)),
                    next: "see whether its disk works; look at `mayday status` before you ask again".into(),
                })),
            },
        }
    }

    /// Until the journal has not answered for longer than whoever asks is kept waiting; for how long then.
    async fn journal_is_silent(&self) -> Duration {
        loop {
            tokio::time::sleep(GLANCE).await;
            if let Some(silent) = self.shared.silence().filter(|silent| *silent >= SILENT) {
                return silent;
            }
        }
    }

    /// That a drill passed is believed for its evidence, and for nobody's word.
    async fn vouched(&self, result: &DrillResult) -> Result<(), Refusal> {
        let checked = match &self.shared.driller {
            Some(driller) => driller.check(result, self.shared.now()).await,
            None => Err("this engine cannot look at its evidence".into()),
        };
        checked.map_err(|why| {
            let what = format!("that the drill {} passed is not believed: {why}", clean(&result.name));
            let next = "let its evidence lie where the engine can read it (`bundles` of [[drill]]), or play it again: mayday drill run";
            Refusal::new(RefusalReason::Unsafe, what, next)
        })
    }

    /// Every update as it would be sent now, for all who hear of it; empty when no incident is open. Nothing is sent.
    pub async fn drafts(&self, note: &str) -> Vec<Message> {
        self.count_recipients().await;
        let updates = Purpose::ALL.iter().copied().filter(|purpose| purpose.is_update());
        updates.filter_map(|purpose| self.shared.draft(purpose, note)).collect()
    }

    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }

    /// A snapshot and every update after it. A receiver that lags takes a new snapshot.
    pub fn subscribe(&self) -> (Snapshot, broadcast::Receiver<Update>) {
        self.shared.subscribe()
    }

    /// Attaches a cockpit, unless another user has one of this name; says whether it did.
    pub fn attach(&self, session: SessionId, who: Attached) -> bool {
        self.shared.attach(session, who)
    }

    /// The user whose cockpit is attached by this name.
    pub fn holder(&self, session: &SessionId) -> Option<u32> {
        self.shared.attached(session).map(|who| who.uid)
    }

    /// Tells the others what an attached cockpit looks at, if it is this user's; says whether it is.
    pub fn looks(&self, session: &SessionId, uid: Option<u32>, at: Gaze) -> bool {
        let own = self.holder(session).is_some_and(|holder| Some(holder) == uid);
        if own {
            let step = at.step.map(|step| StepId::from(clean(step.as_str())));
            let at = Gaze { pane: clean(&at.pane), step };
            self.shared.live(LiveChange::Looks { session: session.clone(), at });
        }
        own
    }

    /// A cockpit that is gone is no longer armed; one that has come back since then is not gone.
    pub async fn detach(&self, session: &SessionId, actor: Actor, since: At) {
        if self.shared.attached(session).is_none_or(|who| who.since != since) {
            return;
        }
        self.shared.live(LiveChange::Detached { session: session.clone() });
        if self.shared.state().armed.contains_key(session) {
            let origin = Origin::Cockpit { session: session.clone(), read_only: false };
            // A refusal or a full disk leaves a session armed that no one can use any more.
            let _ = self.ask(actor, origin, Ask::Disarm {}).await;
        }
    }

    /// Every step of a plan observed, checked and previewed against reality. Nothing is changed.
    ///
    /// # Errors
    /// When there is no such plan.
    pub async fn preview(&self, plan: &PlanId) -> Result<Vec<StepPreview>, Refusal> {
        let plan = self.plan(plan)?;
        let previews = plan.steps.iter().map(|spec| runner::preview(&self.shared, &self.shared.systems, spec));
        Ok(futures::future::join_all(previews).await)
    }

    /// The commands that do a plan's steps without Mayday; of the run under way, only what is left when `remaining` is set.
    ///
    /// # Errors
    /// When there is no such plan.
    pub fn by_hand(&self, plan: &PlanId, remaining: bool) -> Result<Vec<StepByHand>, Refusal> {
        let (plan, state) = (self.plan(plan)?, self.shared.state());
        let run = state.run.as_ref().filter(|run| run.is_open() && run.plan.id == plan.id);
        let is_left = |id: &StepId| !run.is_some_and(|run| run.phase(id).is_over());
        let steps = plan.steps.iter().filter(|spec| !remaining || is_left(&spec.id));
        Ok(steps.map(|spec| runner::by_hand(&self.shared, spec)).collect())
    }

    /// The review of an incident, or of the latest one; `None` if there was none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn review(&self, incident: Option<&IncidentId>) -> Result<Option<Documents>, JournalFault> {
        self.shared.archive.review(incident, self.shared.now()).await
    }

    /// For reading only: the engine is the single writer.
    pub fn journal(&self) -> Arc<dyn Journal> {
        self.shared.journal.clone()
    }

    pub fn estate(&self) -> &Arc<Estate> {
        &self.shared.estate
    }

    pub fn plans(&self) -> &[Arc<Plan>] {
        &self.shared.plans
    }

    /// Comes to rest for another engine to take over, unless `check` or an outcome that is not saved stands against it. What is asked
    /// from then on is answered by [`Denied::Stopped`]; nothing of it was done. What the next one needs is handed out.
    ///
    /// # Errors
    /// Why it goes on.
    pub async fn rest(
        &self,
        check: impl FnOnce(&State) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Kept, Denied> {
        let (reply, answer) = oneshot::channel();
        self.people.send(Input::Rest(Box::new(check), reply)).await.map_err(|_| Denied::Stopped)?;
        answer.await.map_err(|_| Denied::Stopped)??;
        self.end().await;
        Ok(self.shared.kept())
    }

    /// Whether it has come to rest, or has stopped: it decides nothing any more.
    pub fn rests(&self) -> bool {
        self.people.is_closed()
    }

    /// Whether both are the same engine.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Tells everybody which files of the config are not what was loaded.
    pub fn config_changed(&self, changed: Vec<String>) {
        if self.shared.snapshot().live.config_changed != changed {
            self.shared.live(LiveChange::Config { changed });
        }
    }

    /// Ends in order: nothing new is begun, what is being written is written. Steps in flight are observed by the next engine.
    pub async fn stop(&self) {
        self.end().await;
        let journal = &self.shared.journal;
        resign(&self.shared.pen).await;
        if let Err(fault) = journal.keep(&self.shared.state()).await {
            tracing::warn!(%fault, "the next start reads the journal from its first record");
        }
        journal.close().await;
    }

    /// Ends the tasks; the journal stays open.
    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The plan of that name as things stand: one for the way back is made for this moment.
    ///
    /// # Errors
    /// When there is none.
    pub fn plan(&self, id: &PlanId) -> Result<Arc<Plan>, Refusal> {
        let missing = |why| Refusal::new(RefusalReason::NotFound, why, "see `mayday plan list`");
        wayback::plan(&self.shared.estate, &self.shared.state(), self.plans(), id).map_err(missing)
    }

    /// Whether there is a plan of that name, to whichever region.
    ///
    /// # Errors
    /// When there is none.
    pub fn is_planned(&self, id: &PlanId) -> Result<(), Refusal> {
        let known = self.plans().iter().any(|plan| plan.is_called(id));
        if known { Ok(()) } else { self.plan(id).map(drop) }
    }

    /// Runs a task that ends with the engine, and with which the engine ends, should it die: half an engine would look like a whole
    /// one.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let (stop, broken) = (self.stop.clone(), self.broken.clone());
        let task = AssertUnwindSafe(task).catch_unwind();
        self.tasks.spawn(async move {
            tokio::select! {
                done = task => if done.is_err() {
                    tracing::error!("a part of the engine has died (see above): it ends; the next one observes and goes on");
                    broken.cancel();
                },
                () = stop.cancelled() => {}
            }
        });
    }

    /// Until a part of the engine dies by a defect of Mayday's: whoever runs it has to end it then.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Has something journalled before whoever reports it goes on.
    ///
    /// # Errors
    /// When it is not durable. It may become so all the same, where nothing was heard from the journal.
    async fn witness(&self, report: Report) -> Result<(), JournalFault> {
        let stopping =
            || JournalFault { what: "the engine is stopping".into(), next: "start it again: mayday engine".into() };
        let (reply, answer) = oneshot::channel();
        self.people.send(Input::Witness(report, reply)).await.map_err(|_| stopping())?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Hands what was looked at because of an ask to the writer, ahead of that ask: it is decided on what was seen.
    async fn report_first(&self, report: Report) {
        // As below.
        let _ = self.people.send(Input::Report(report)).await;
    }

    /// Hands the outcome of an effect to the writer.
    async fn report(&self, report: Report) {
        // The leader looks for itself.
        if !self.leads {
            return;
        }
        // Fails only when the engine is stopping: the next one looks for itself.
        let _ = self.machines.send(Input::Report(report)).await;
    }
}

fn unanswered(silent: Duration) -> String {
    format!("the journal has not answered for {} s", silent.as_secs())
}

/// The fault of a step whose system this engine was not given.
fn no_system(system: &SystemId) -> Fault {
    Fault::permanent(system.as_str(), "is not a system of this estate").next("run `mayday check`")
}
