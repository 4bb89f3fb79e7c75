//! The cockpit's model. It holds no truth: a mirror of what the engine says, and what the operator is looking at.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use ratatui::crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Rect;

use crate::domain::actor::{Actor, Origin};
use crate::domain::command::{Ask, Command, Envelope, Refusal};
use crate::domain::comms::Voice;
use crate::domain::decide::{Context as Around, decide};
use crate::domain::event::{Event, Record};
use crate::domain::health::Status;
use crate::domain::ids::{SessionId, StepId};
use crate::domain::live::{Gaze, LiveChange};
use crate::domain::review::Documents;
use crate::domain::run::{Run, StepPhase};
use crate::domain::time::{At, after, seconds_between};
use crate::domain::view::{Snapshot, StepByHand, Update};

use super::connection::Arrival;
use super::keymap::{self, Action, Binding, Context, Danger};
use super::layers::Layer;
use super::panes::{Pane, Place};
use super::theme::{Role, Theme};
use super::typing::Typing;

pub use super::options::Options;
pub use super::scroll::Scroll;

/// So many records are kept for the timeline.
pub const RECORDS: usize = 500;
/// A message stays until a key or for so long.
const MESSAGE: std::time::Duration = std::time::Duration::from_secs(20);

/// What happens to the cockpit.
#[derive(Debug)]
pub enum Msg {
    Key(KeyEvent),
    /// Nothing came for as long as [`App::wakes`] said.
    Pause,
    Mouse(MouseEvent),
    Paste(String),
    Arrival(Arrival),
    Answer(Answer),
    Tick,
    Resize,
}

/// What the shell around the model is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// `said` is what to tell the operator once it is done.
    Ask {
        ask: Ask,
        said: String,
    },
    ByHand {
        step: StepId,
        plan: crate::domain::ids::PlanId,
    },
    /// Every update as it would be sent now.
    Drafts,
    Records {
        after: u64,
    },
    /// The review of the open or the latest incident.
    Report,
    Resync,
    /// Tells the others what is looked at here.
    Looks(Gaze),
    Copy(String),
    Redraw,
    Suspend,
    Detach,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is long in coming.
    Awaited,
    Asked {
        said: String,
        result: Result<Option<String>, String>,
    },
    ByHand {
        step: StepId,
        result: Result<Vec<StepByHand>, String>,
    },
    Records(Result<Vec<Record>, String>),
    Report(Result<Box<Documents>, String>),
    Drafts(Result<Vec<crate::domain::comms::Message>, String>),
}

/// How the engine is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    Connecting,
    Live,
    Lost { since: At, why: String },
}

/// Whether the screen is to be drawn anew: at once, or with the next second's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dirty {
    No,
    Soon,
    Now,
}

/// A word to the operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    pub text: String,
    pub until: At,
}

/// The model.
pub struct App {
    pub mirror: Option<Snapshot>,
    pub link: Link,
    /// When the engine was last heard, by this machine's clock.
    pub heard: At,
    /// The engine's clock minus this machine's, in seconds.
    skew: f64,
    /// This machine's clock, as of the latest message.
    pub at: At,
    pub session: SessionId,
    pub read_only: bool,
    pub records: VecDeque<Arc<Record>>,
    pub options: Options,
    pub theme: Theme,

    pub focus: Pane,
    /// Of the panes that share a place, the one that was last asked for.
    pub asked_aside: Option<Pane>,
    pub zoomed: bool,
    /// The step chosen by hand; otherwise the selection follows what matters.
    pub selected: Option<StepId>,
    /// The plan chosen while nothing runs.
    pub plan_at: usize,
    pub scrolls: [Scroll; Pane::ALL.len()],
    /// Where the panes were drawn last: what the mouse points at.
    pub drawn: RefCell<Vec<(Pane, Rect)>>,
    pub filter: Option<(Pane, String)>,
    pub layers: Vec<Layer>,
    /// What the others were told is looked at here.
    told: Option<Gaze>,
    pub message: Option<Message>,
    pub dirty: Dirty,
    pub(super) typing: Typing,
}

impl App {
    /// # Errors
    /// When the theme cannot be loaded.
    pub fn new(session: SessionId, read_only: bool, options: Options, at: At) -> Result<Self, String> {
        let theme = options.themes.load(&options.theme, options.depth)?;
        let message = options.notice.clone().map(|text| Message { role: Role::Warn, text, until: after(at, MESSAGE) });
        Ok(Self {
            mirror: None,
            link: Link::Connecting,
            heard: at,
            skew: 0.0,
            at,
            session,
            read_only,
            records: VecDeque::new(),
            options,
            theme,
            focus: Pane::Services,
            asked_aside: None,
            zoomed: false,
            selected: None,
            plan_at: 0,
            scrolls: Default::default(),
            drawn: RefCell::default(),
            filter: None,
            layers: Vec::new(),
            told: None,
            message,
            dirty: Dirty::Now,
            typing: Typing::default(),
        })
    }

    /// Takes in what happened, at this machine's time `at`.
    pub fn update(&mut self, msg: Msg, at: At) -> Vec<Request> {
        self.at = at;
        if self.message.as_ref().is_some_and(|message| message.until <= at) {
            self.message = None;
        }
        let was = self.typing.is_settled();
        self.typing.shows(self.layers.len(), self.context(), at);
        let requests = self.take_in(msg);
        self.typing.shows(self.layers.len(), self.context(), at);
        if was != self.typing.is_settled() && self.context() == Context::Tell {
            self.dirty = Dirty::Now;
        }
        requests
    }

    /// When to be told that nothing has come since: a key may be waiting to be told from a paste.
    pub fn wakes(&self) -> Option<At> {
        self.typing.wakes()
    }

    fn take_in(&mut self, msg: Msg) -> Vec<Request> {
        match msg {
            Msg::Key(key) => {
                self.dirty = Dirty::Now;
                let mut requests = self.released();
                requests.extend(self.key(key));
                requests
            }
            Msg::Pause => self.released(),
            Msg::Mouse(event) => {
                self.mouse(event);
                Vec::new()
            }
            Msg::Paste(text) => {
                self.dirty = Dirty::Now;
                self.paste(&text);
                Vec::new()
            }
            Msg::Arrival(arrival) => self.arrived(arrival),
            Msg::Answer(answer) => {
                self.dirty = Dirty::Now;
                self.answered(answer);
                Vec::new()
            }
            Msg::Resize => {
                self.dirty = Dirty::Now;
                Vec::new()
            }
            Msg::Tick => {
                self.dirty = Dirty::Now;
                self.tell_gaze()
            }
        }
    }

    /// What is looked at here, if the others do not know it yet: once a second at most.
    fn tell_gaze(&mut self) -> Vec<Request> {
        let step = self.shown_run().and(self.step());
        let gaze = Gaze { pane: self.focus.word().to_owned(), step };
        if self.link != Link::Live || self.told.as_ref() == Some(&gaze) {
            return Vec::new();
        }
        self.told = Some(gaze.clone());
        vec![Request::Looks(gaze)]
    }

    fn arrived(&mut self, arrival: Arrival) -> Vec<Request> {
        match arrival {
            Arrival::Connected(snapshot) => {
                self.skew = seconds_between(self.at, snapshot.now);
                (self.heard, self.link, self.dirty) = (self.at, Link::Live, Dirty::Now);
                let first = self.mirror.is_none();
                let after = snapshot.state.seq.saturating_sub(RECORDS as u64);
                self.mirror = Some(*snapshot);
                self.records.clear();
                self.told = None;
                if first && self.run().is_some_and(Run::is_open) {
                    self.focus = Pane::Plan;
                }
                vec![Request::Records { after }]
            }
            Arrival::Update(update) => {
                self.heard = self.at;
                self.fold(&update)
            }
            Arrival::Alive => {
                self.heard = self.at;
                Vec::new()
            }
            Arrival::Lost { why } => {
                self.dirty = Dirty::Now;
                if !matches!(self.link, Link::Lost { .. }) {
                    self.link = Link::Lost { since: self.at, why };
                }
                Vec::new()
            }
        }
    }

    fn fold(&mut self, update: &Update) -> Vec<Request> {
        let Some(mirror) = &mut self.mirror else { return Vec::new() };
        let known = mirror.state.seq;
        if mirror.take(update).is_err() {
            return vec![Request::Resync];
        }
        match update {
            Update::Record { record } if record.seq > known => {
                if matches!(record.event, Event::RunStarted { .. }) {
                    self.selected = None;
                }
                if let Event::ItemTicked { item, .. } | Event::ItemSkipped { item, .. } = &record.event {
                    self.leave_page(item);
                }
                self.records.push_back(record.clone());
                while self.records.len() > RECORDS {
                    self.records.pop_front();
                }
                self.dirty = Dirty::Now;
            }
            Update::Record { .. } => {}
            Update::Live { change } => {
                let log = matches!(**change, LiveChange::Log { .. });
                self.dirty = self.dirty.max(if log { Dirty::Now } else { Dirty::Soon });
            }
        }
        Vec::new()
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Awaited => self.say(Role::Busy, "waiting for the engine…"),
            Answer::Asked { said, result: Ok(note) } => {
                // What has no words of its own counts down until it goes out, and is not true for longer than that.
                let counts_down = said.is_empty();
                let text = note.unwrap_or(said);
                if !text.is_empty() {
                    self.say(Role::Good, text);
                }
                let take_back = self.mirror.as_ref().map(|mirror| mirror.estate.comms.take_back.0);
                if let (Some(message), Some(take_back), true) = (&mut self.message, take_back, counts_down) {
                    message.until = message.until.min(after(self.at, take_back));
                }
            }
            Answer::Asked { result: Err(why), .. }
            | Answer::ByHand { result: Err(why), .. }
            | Answer::Drafts(Err(why))
            | Answer::Records(Err(why))
            | Answer::Report(Err(why)) => self.say(Role::Bad, why),
            Answer::ByHand { step, result: Ok(steps) } => self.show_by_hand(&step, &steps),
            Answer::Report(Ok(documents)) => self.show_report(&documents),
            Answer::Drafts(Ok(drafts)) => self.show_drafts(drafts),
            Answer::Records(Ok(records)) => {
                let oldest = self.records.front().map_or(u64::MAX, |record| record.seq);
                let before: Vec<_> = records.into_iter().filter(|record| record.seq < oldest).map(Arc::new).collect();
                for record in before.into_iter().rev() {
                    self.records.push_front(record);
                }
                while self.records.len() > RECORDS {
                    self.records.pop_front();
                }
            }
        }
    }

    /// A word to the operator, until the next key or for a while.
    pub fn say(&mut self, role: Role, text: impl Into<String>) {
        self.message = Some(Message { role, text: text.into(), until: after(self.at, MESSAGE) });
    }

    /// The engine's time, as well as it is known; it goes on when the engine is lost, as the outage does.
    pub fn now(&self) -> At {
        let skew = jiff::SignedDuration::try_from_secs_f64(self.skew).unwrap_or_default();
        self.at.saturating_add(skew).unwrap_or(self.at)
    }

    pub fn run(&self) -> Option<&Run> {
        self.mirror.as_ref()?.state.run.as_ref()
    }

    /// The run that is worth showing: an open one, or the latest one of the open incident or of peacetime.
    pub fn shown_run(&self) -> Option<&Run> {
        let incident = self.mirror.as_ref()?.state.incident.as_ref().map(|incident| &incident.id);
        self.run().filter(|run| run.is_open() || run.incident.as_ref() == incident)
    }

    pub fn has_incident(&self) -> bool {
        self.mirror.as_ref().is_some_and(|mirror| mirror.state.incident.is_some())
    }

    /// Nothing burns and nothing runs: then it matters what there would be if something did.
    pub fn is_calm(&self) -> bool {
        !self.has_incident() && self.shown_run().is_none()
    }

    /// Whether a pane is shown only when it is asked for.
    pub fn shares_a_place(&self, pane: Pane) -> bool {
        match pane.place() {
            Place::Own => false,
            Place::Aside | Place::Page => true,
            Place::Peace => !self.is_calm(),
        }
    }

    /// Of the panes that take turns in one place, the one that is shown.
    pub fn aside(&self) -> Pane {
        self.asked_aside.filter(|pane| pane.place() == Place::Aside).unwrap_or(Pane::Timeline)
    }

    /// Seconds for which this cockpit stays armed, if it is.
    pub fn armed(&self) -> Option<f64> {
        let mirror = self.mirror.as_ref()?;
        let armed = mirror.state.armed.get(&self.session)?;
        let left = mirror.estate.policy.arm_expires.as_secs_f64() - seconds_between(armed.at, self.now());
        (left > 0.0 && !self.read_only).then_some(left)
    }

    /// The step that keys act on: the one whose card is open, the one chosen by hand, or what matters most.
    pub fn step(&self) -> Option<StepId> {
        let run = self.shown_run()?;
        let card = self.layers.iter().rev().find_map(|layer| match layer {
            Layer::Card(card) => Some(card.step.clone()),
            _ => None,
        });
        card.or_else(|| self.selected.clone()).filter(|step| run.step(step).is_some()).or_else(|| self.followed())
    }

    /// What matters most in the run: what waits for a human, then what is under way, then what is next, then the last.
    fn followed(&self) -> Option<StepId> {
        let run = self.shown_run()?;
        let first = |wanted: fn(StepPhase) -> bool| {
            run.in_order().find(|(_, step)| wanted(step.phase)).map(|(spec, _)| spec.id.clone())
        };
        first(StepPhase::waits_for_human)
            .or_else(|| first(StepPhase::is_in_flight))
            .or_else(|| first(|phase| !phase.is_over()))
            .or_else(|| run.plan.steps.last().map(|spec| spec.id.clone()))
    }

    /// Steps that wait for a human, in the order of the plan.
    pub fn waiting(&self) -> Vec<StepId> {
        let run = self.shown_run().filter(|run| run.is_open());
        let steps = run.into_iter().flat_map(Run::in_order);
        steps.filter(|(_, step)| step.phase.waits_for_human()).map(|(spec, _)| spec.id.clone()).collect()
    }

    /// Whether the rules would let this cockpit ask for this now. The rules are asked themselves; the engine has the last word.
    ///
    /// # Errors
    /// The refusal that the engine would give.
    pub fn may(&self, ask: &Ask) -> Result<(), Refusal> {
        let Some(mirror) = &self.mirror else { return Ok(()) };
        let (points, baseline) = (std::collections::BTreeMap::new(), Default::default());
        let around = Around {
            estate: &mirror.estate,
            plans: &mirror.plans,
            now: self.now(),
            points: &points,
            baseline: &baseline,
            voice: Voice::mute(),
            surveys: &mirror.live.surveys,
            chain: &Default::default(),
            readings: &mirror.live.probes,
        };
        let origin = Origin::Cockpit { session: self.session.clone(), read_only: self.read_only };
        let who = mirror.live.attached.get(&self.session);
        // Nobody's: a cockpit that is not known yet has confirmed nothing.
        let (name, uid) = who.map_or((String::new(), u32::MAX), |who| (who.name.clone(), who.uid));
        let actor = Actor::named(name, Some(uid));
        let envelope = Envelope { actor, origin, command: Command::Ask(ask.clone()) };
        decide(&around, &mirror.state, &envelope).map(|_| ())
    }

    /// Why a row of the keymap does not count now; `None` if it does.
    pub fn unbound(&self, row: &Binding) -> Option<String> {
        match row.danger {
            Danger::Looks => None,
            _ if self.read_only => Some("this cockpit is read-only → attach one without --read-only".into()),
            _ if self.link != Link::Live => Some(format!(
                "the engine does not answer, so nothing can be asked of it → wait, or {}: by hand",
                keymap::key(Action::ByHand)
            )),
            Danger::Changes if self.armed().is_none() => {
                Some(format!("this cockpit is view only → {} arms it", keymap::key(Action::Arm)))
            }
            Danger::Speaks | Danger::Changes => None,
        }
    }

    /// Where the operator is.
    pub fn context(&self) -> Context {
        self.layers.last().map_or(Context::Main, Layer::context)
    }

    /// The status of the whole: the worst service in the region that serves.
    pub fn worst(&self) -> Status {
        let Some(mirror) = &self.mirror else { return Status::Unknown };
        let serving = mirror.state.serving(&mirror.estate);
        let services = mirror.estate.services.iter();
        Status::worst(services.map(|service| mirror.service(service, &serving, self.now()).status()))
    }
}
