//! What the parts of an engine share: the published state, what is true now, and who listens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::archive::Archive;
use super::clock::Timeline;
use super::published::{Published, Seen};
use super::{Accepted, Channels, Parts, Pen, builtin};
use crate::domain::actor::Actor;
use crate::domain::checklist::Baseline;
use crate::domain::comms::{Counts, Message, Purpose, Voice, Wording};
use crate::domain::contacts::Rota;
use crate::domain::decide::{Context, preview, wakes};
use crate::domain::estate::{Estate, ProbeSpec};
use crate::domain::event::{Event, Record};
use crate::domain::hidden::Apart;
use crate::domain::ids::{ChannelId, ProbeId, SessionId, SystemId};
use crate::domain::journal::Journal;
use crate::domain::lead::Engines;
use crate::domain::live::{Attached, Live, LiveChange};
use crate::domain::plan::Plan;
use crate::domain::recovery::RecoveryPoint;
use crate::domain::schedule::Driller;
use crate::domain::state::{Hold, State};
use crate::domain::system::{Fault, System};
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::domain::view::{Snapshot, Update};

/// Updates that a listener may be behind before it has to take a new snapshot.
const UPDATES: usize = 8192;

pub(super) struct Shared {
    pub estate: Arc<Estate>,
    /// The same for people and programs that attach.
    shown: Arc<Estate>,
    pub plans: Vec<Arc<Plan>>,
    pub journal: Arc<dyn Journal>,
    /// What it is written with.
    pub pen: Arc<Pen>,
    pub systems: BTreeMap<SystemId, Arc<dyn System>>,
    pub apart: Option<Arc<dyn Apart>>,
    pub rota: Option<Arc<dyn Rota>>,
    pub driller: Option<Arc<dyn Driller>>,
    pub archive: Arc<Archive>,
    pub time: Arc<Timeline>,
    pub channels: Channels,
    wording: Arc<dyn Wording>,
    counts: Mutex<Counts>,
    /// A HOLD that is not in the journal yet: it holds all the same.
    held: Mutex<Option<Hold>>,
    /// What was passed on to the leader so far.
    letters: AtomicU64,
    /// Since when the journal is at an append.
    appending: Mutex<Option<Instant>>,
    published: Arc<Mutex<Published>>,
    states: watch::Sender<Arc<State>>,
    updates: broadcast::Sender<Update>,
}

/// What is true now, is not journalled, and is not learnt anew by looking: an engine hands it to the one that takes its place.
#[derive(Clone, Default)]
pub struct Kept {
    live: Live,
    /// One process, one time.
    time: Option<Arc<Timeline>>,
    baseline: Option<Baseline>,
    /// One process, one pen.
    pen: Option<Arc<Pen>>,
    /// A HOLD that is not in the journal yet.
    held: Option<Hold>,
}

impl Kept {
    /// What the engine of these parts writes with, if that is known.
    pub(super) fn pen(&self, parts: &Parts) -> Option<Arc<Pen>> {
        self.pen.clone().or_else(|| parts.pen.clone())
    }
}

impl Shared {
    /// For the engine that takes the place of this one. Readings are not among it: of another estate they may mean something else.
    pub fn kept(&self) -> Kept {
        let published = self.published();
        let Live { attached, logs, checklist, refused, points, engines, .. } = published.live.clone();
        let live = Live { attached, logs, checklist, refused, points, engines, ..Live::default() };
        let (time, pen, held) = (Some(self.time.clone()), Some(self.pen.clone()), self.unwritten_hold());
        Kept { live, time, baseline: Some(published.baseline.clone()), pen, held }
    }

    pub fn new(parts: Parts, kept: Kept, pen: Arc<Pen>) -> Self {
        let Parts { estate, plans, journal, state, mut systems, .. } = parts;
        let Parts { rota, driller, reporter, channels, wording, records, clock, apart, .. } = parts;
        let archive = Arc::new(Archive { reporter, journal: journal.clone(), folder: records });
        let Kept { mut live, time, baseline, held, .. } = kept;
        // What is in the journal needs no other place.
        let held = held.filter(|_| state.hold.is_none());
        let time = time.unwrap_or_else(|| Arc::new(Timeline::begin(clock, &state)));
        live.points.retain(|id, _| estate.system(id).is_some());
        let baseline = baseline.unwrap_or_else(|| state.baseline.clone());
        let (states, watched) = watch::channel(Arc::new(state));
        let published = Arc::new(Mutex::new(Published { live, baseline }));
        let seen = Seen(published.clone());
        let builtin = Self::builtin(&estate, watched, seen, &archive, &systems, &time);
        systems.extend(builtin::IDS.map(|id| (SystemId::from(id), builtin.clone())));
        let updates = broadcast::channel(UPDATES).0;
        let counts = Mutex::default();
        let shown = Arc::new(estate.shown());
        Self {
            estate,
            shown,
            plans,
            journal,
            pen,
            systems,
            rota,
            driller,
            archive,
            time,
            channels,
            wording,
            apart,
            counts,
            held: Mutex::new(held),
            letters: AtomicU64::default(),
            appending: Mutex::default(),
            published,
            states,
            updates,
        }
    }

    fn builtin(
        estate: &Arc<Estate>,
        watched: watch::Receiver<Arc<State>>,
        seen: Seen,
        archive: &Arc<Archive>,
        systems: &builtin::Systems,
        time: &Arc<Timeline>,
    ) -> Arc<dyn System> {
        Arc::new(builtin::Mayday::new(estate.clone(), watched, seen, archive.clone(), systems.clone(), time.clone()))
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn state(&self) -> Arc<State> {
        self.states.borrow().clone()
    }

    /// The state with a HOLD that is not written yet.
    pub fn state_held(&self) -> Arc<State> {
        let mut state = self.state();
        if let (None, Some(hold)) = (&state.hold, self.unwritten_hold()) {
            Arc::make_mut(&mut state).hold = Some(hold);
        }
        state
    }

    fn unwritten_hold(&self) -> Option<Hold> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who holds everything, written or not.
    pub fn held_by(&self) -> Option<Hold> {
        self.states.borrow().hold.clone().or_else(|| self.unwritten_hold())
    }

    /// Holds from this moment on, whatever the journal does.
    pub fn hold(&self, by: &Actor, reason: &str) {
        let _published = self.published();
        if self.states.borrow().hold.is_some() {
            return;
        }
        let hold = Hold { by: by.clone(), at: self.now(), reason: clean(reason) };
        self.held.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| hold.clone());
        // Nobody listening is no error.
        let _ = self.updates.send(Update::Live { change: Arc::new(LiveChange::Held { hold }) });
    }

    /// Whoever asked for it may not.
    pub fn unhold(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Releases what is held by this engine alone; says whether anything was.
    pub fn unhold_here(&self) -> bool {
        let _published = self.published();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take().is_some();
        if held && self.states.borrow().hold.is_none() {
            // Nobody listening is no error.
            let _ = self.updates.send(Update::Live { change: Arc::new(LiveChange::Unheld {}) });
        }
        held
    }

    /// The answer to who has set a HOLD that the journal has not taken.
    pub fn held_unwritten(&self, why: &str) -> Accepted {
        let note = format!("held; not journalled yet: {why}; an engine that starts before it is does not know of it");
        Accepted { seq: self.state().seq, note: Some(note) }
    }

    /// The answer to who has set a HOLD on an engine that follows, and whose leader did not hear of it.
    pub fn held_here(&self, why: &str) -> Accepted {
        let note = format!(
            "held ON THIS ENGINE ALONE: it begins nothing if it takes the lead; whoever leads was not told: {why}"
        );
        Accepted { seq: self.state().seq, note: Some(note) }
    }

    /// A name for what is passed on to the leader, that this engine has given nothing else.
    pub fn letter(&self) -> String {
        format!("{} {}", self.now(), self.letters.fetch_add(1, Ordering::Relaxed))
    }

    /// Who leads and who is there, where engines share the journal.
    pub fn engines(&self) -> Option<Engines> {
        self.published().live.engines.as_deref().cloned()
    }

    /// An append begins now.
    pub fn appends(&self) -> Instant {
        let now = Instant::now();
        *self.appending.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        now
    }

    pub fn appended(&self) {
        *self.appending.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// For how long the journal has not answered.
    pub fn silence(&self) -> Option<Duration> {
        self.appending.lock().unwrap_or_else(PoisonError::into_inner).map(|begun| begun.elapsed())
    }

    /// Every state from now on.
    pub fn watch(&self) -> watch::Receiver<Arc<State>> {
        self.states.subscribe()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps into how many parts a channel splits a message; a count that fails does not undo an earlier one.
    pub fn counted(&self, channel: &ChannelId, parts: Result<u32, Fault>) {
        let mut counts = self.counts();
        if parts.is_ok() || !matches!(counts.get(channel), Some(Ok(_))) {
            counts.insert(channel.clone(), parts);
        }
    }

    pub fn parts(&self, channel: &ChannelId) -> Option<u32> {
        self.counts().get(channel)?.as_ref().ok().copied()
    }

    /// Decides on something with all that is true around it.
    pub fn in_context<T>(
        &self,
        points: &BTreeMap<SystemId, RecoveryPoint>,
        baseline: &Baseline,
        then: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let counts = self.counts().clone();
        let voice = Voice { wording: &*self.wording, counts: Some(&counts) };
        let (estate, plans, now, chain) = (&self.estate, &self.plans, self.now(), &self.pen.tail());
        // Not copied: with thousands of probes that would cost more than the decision.
        let published = self.published();
        let (surveys, readings) = (&published.live.surveys, &published.live.probes);
        then(&Context { estate, plans, now, points, baseline, voice, surveys, readings, chain })
    }

    /// An update as it would be sent now.
    pub fn draft(&self, purpose: Purpose, note: &str) -> Option<Message> {
        let state = self.state();
        self.in_context(&BTreeMap::new(), &Baseline::default(), |cx| preview(cx, &state, purpose, note))
    }

    /// When the next thing of communications after `since` comes due by itself.
    pub fn comms_wake(&self, since: At) -> Option<At> {
        wakes(&self.estate, &self.state(), since)
    }

    pub fn points(&self) -> BTreeMap<SystemId, RecoveryPoint> {
        self.published().live.points.clone()
    }

    pub fn baseline(&self) -> Baseline {
        self.published().baseline.clone()
    }

    pub fn keep(&self, baseline: Baseline) {
        self.published().baseline = baseline;
    }

    /// A check of the checklist.
    pub fn check(&self, id: &ProbeId) -> Option<&ProbeSpec> {
        self.estate.checklist.iter().flat_map(|it| &it.checks).find(|check| &check.id == id)
    }

    /// Why the journal could not be written the last time it was tried.
    pub fn journal_fault(&self) -> Option<String> {
        self.published().live.journal_fault.clone()
    }

    /// The engine's time: never before the latest record, and it goes on whatever becomes of the wall clock.
    pub fn now(&self) -> At {
        self.time.now()
    }

    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_of(&self.published())
    }

    fn snapshot_of(&self, published: &Published) -> Snapshot {
        let mut state = State::clone(&self.states.borrow());
        state.hold = state.hold.or_else(|| self.unwritten_hold());
        Snapshot {
            version: env!("CARGO_PKG_VERSION").into(),
            now: self.now(),
            estate: self.shown.clone(),
            plans: self.plans.clone(),
            state,
            live: published.live.clone(),
            chain: Some(self.pen.tail()),
        }
    }

    pub fn subscribe(&self) -> (Snapshot, broadcast::Receiver<Update>) {
        let published = self.published();
        (self.snapshot_of(&published), self.updates.subscribe())
    }

    pub fn attached(&self, session: &SessionId) -> Option<Attached> {
        self.published().live.attached.get(session).cloned()
    }

    /// Whether anybody has a cockpit open.
    pub fn is_attended(&self) -> bool {
        !self.published().live.attached.is_empty()
    }

    /// Attaches a cockpit, unless another user has one of this name; says whether it did.
    pub fn attach(&self, session: SessionId, who: Attached) -> bool {
        let mut published = self.published();
        if published.live.attached.get(&session).is_some_and(|known| known.uid != who.uid) {
            return false;
        }
        self.announce(&mut published, LiveChange::Attached { session, who });
        true
    }

    /// Folds durable records in and announces them.
    pub fn records(&self, records: Vec<Record>) {
        let _published = self.published();
        for record in records {
            self.time.not_before(record.at);
            self.states.send_modify(|state| Arc::make_mut(state).apply(&record));
            if matches!(record.event, Event::HoldSet { .. }) {
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            // Nobody listening is no error.
            let _ = self.updates.send(Update::Record { record: Arc::new(record) });
        }
    }

    /// Folds in and announces what is true now but not journalled.
    pub fn live(&self, change: LiveChange) {
        let mut published = self.published();
        self.announce(&mut published, change);
    }

    fn announce(&self, published: &mut Published, change: LiveChange) {
        published.live.apply(change.clone());
        // Nobody listening is no error.
        let _ = self.updates.send(Update::Live { change: Arc::new(change) });
    }
}
