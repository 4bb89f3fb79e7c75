//! Carries what was composed to the people it is for, and looks whether it arrived. A channel that hangs holds up nobody else: each
//! errand is a task of its own, and the rules never have more than one of them open on a channel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::pen::lead_lost;
use super::{Handle, monitor};
use crate::domain::command::{Errand, Report};
use crate::domain::comms::{Channel, ChannelSpec, Found, Handed};
use crate::domain::estate::Estate;
use crate::domain::ids::ChannelId;
use crate::domain::live::{ChannelLive, LiveChange};
use crate::domain::system::Fault;
use crate::domain::time::seconds_between;

/// The longest that one attempt may take. Every channel has limits of its own, which know what was sent by then; this one, which does
/// not, is above them all: a relay may take two minutes for its last word on a letter.
const ATTEMPT: Duration = Duration::from_secs(300);

/// The longest that one look may take, and for how long it is tried to look before a human has to.
const LOOK: Duration = Duration::from_secs(20);
const LOOKING: Duration = Duration::from_secs(300);
/// The first pause between two looks; it doubles up to the last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The longest that counting recipients may hold up whoever wants to send.
const COUNT: Duration = Duration::from_secs(3);

/// How often channels are asked whether they could deliver.
const REACH: Duration = Duration::from_secs(60);

/// The longest that nothing is looked at: a clock that jumps must not lose an escalation.
const NAP: Duration = Duration::from_secs(5);

/// The connected channels. Those that are not for drills are not in the map that a drill's errands are looked up in.
pub struct Channels {
    live: BTreeMap<ChannelId, Arc<dyn Channel>>,
    drill: BTreeMap<ChannelId, Arc<dyn Channel>>,
}

impl Channels {
    pub fn new(estate: &Estate, connected: BTreeMap<ChannelId, Arc<dyn Channel>>) -> Self {
        let for_drills = |id: &ChannelId| estate.channel(id).is_some_and(|spec| spec.exists_in(true));
        let drill = connected.iter().filter(|(id, _)| for_drills(id));
        Self { drill: drill.map(|(id, channel)| (id.clone(), channel.clone())).collect(), live: connected }
    }

    /// No way to reach anybody.
    pub fn none() -> Self {
        Self { live: BTreeMap::new(), drill: BTreeMap::new() }
    }

    /// All that there are outside drills.
    pub fn iter(&self) -> impl Iterator<Item = (&ChannelId, &Arc<dyn Channel>)> {
        self.live.iter()
    }

    pub fn get(&self, id: &ChannelId, drill: bool) -> Option<&Arc<dyn Channel>> {
        if drill { self.drill.get(id) } else { self.live.get(id) }
    }
}

pub(super) fn start(engine: &Handle) {
    engine.spawn(watch(engine.clone()));
    for spec in &engine.estate().channels {
        engine.spawn(reach(engine.clone(), spec.clone()));
    }
}

/// Tells the writer when something is due: a message that can no longer be taken back, another try, an escalation.
async fn watch(engine: Handle) {
    let mut states = engine.shared.watch();
    let mut told = engine.shared.now();
    loop {
        let wake = engine.shared.comms_wake(told);
        let pause = wake.map_or(NAP, |at| {
            Duration::from_secs_f64(seconds_between(engine.shared.now(), at).max(0.0)).min(NAP)
                + Duration::from_millis(1)
        });
        tokio::select! {
            changed = states.changed() => if changed.is_err() { return },
            () = sleep(pause) => {}
        }
        let now = engine.shared.now();
        if wake.is_some_and(|at| at <= now) {
            told = now;
            engine.report(Report::CommsDue {}).await;
        }
    }
}

/// Keeps counting a channel's recipients and asking whether it could deliver; nobody is told anything by that.
async fn reach(engine: Handle, spec: ChannelSpec) {
    let mut beats = monitor::schedule(&engine, spec.id.as_str(), REACH);
    loop {
        beats.tick().await;
        count(&engine, &spec.id).await;
        let Some(channel) = engine.shared.channels.get(&spec.id, false) else { return };
        let outcome = timeout(LOOK, channel.reach()).await.unwrap_or_else(|_| Err(late(&spec.id, LOOK)));
        let taken = ChannelLive { at: Some(engine.shared.now()), reach: outcome, parts: engine.shared.parts(&spec.id) };
        engine.shared.live(LiveChange::Channel { channel: spec.id.clone(), taken });
    }
}

async fn count(engine: &Handle, id: &ChannelId) {
    let Some(channel) = engine.shared.channels.get(id, false) else { return };
    let parts = timeout(COUNT, channel.parts()).await.unwrap_or_else(|_| Err(late(id, COUNT)));
    // A list that cannot be read right now is as it was last read; that it cannot be is told where nothing was read yet.
    engine.shared.counted(id, parts);
}

impl Handle {
    /// Counts the recipients of every channel, so that what is composed next is split as they are now.
    pub(super) async fn count_recipients(&self) {
        join_all(self.estate().channels.iter().map(|spec| count(self, &spec.id))).await;
    }
}

fn late(id: &ChannelId, patience: Duration) -> Fault {
    Fault::transient(id.as_str(), format!("no answer within {} s", patience.as_secs()))
}

fn absent(errand: &Errand) -> Fault {
    let drill = if errand.parcel.drill { " in a drill" } else { "" };
    Fault::permanent(errand.channel.as_str(), format!("there is no such channel{drill}"))
        .means("nobody is told by it")
        .next("run `mayday check`")
}

/// Makes one attempt. No answer in time means that it may have been sent.
pub(super) async fn deliver(engine: &Handle, errand: Errand) -> Report {
    let outcome = attempt(engine, &errand).await;
    let Errand { channel, attempt, parcel } = errand;
    Report::Delivered { message: parcel.message, channel, part: parcel.part, attempt, outcome }
}

async fn attempt(engine: &Handle, errand: &Errand) -> Result<Handed, Fault> {
    let channel = engine.shared.channels.get(&errand.channel, errand.parcel.drill).ok_or_else(|| absent(errand))?;
    let late = || {
        Fault::ambiguous(errand.channel.as_str(), format!("no answer within {} s", ATTEMPT.as_secs()))
            .means("it may have been sent")
    };
    let handed = engine.shared.pen.while_it_may(timeout(ATTEMPT, channel.hand_over(&errand.parcel))).await;
    handed.ok_or_else(lead_lost)?.unwrap_or_else(|_| Err(late()))
}

/// Looks until there is an answer, or until it has been tried for so long that a human has to look.
pub(super) async fn find(engine: &Handle, errand: Errand) -> Report {
    let outcome = look(engine, &errand).await;
    let Errand { channel, parcel, .. } = errand;
    Report::Looked { message: parcel.message, channel, part: parcel.part, outcome }
}

async fn look(engine: &Handle, errand: &Errand) -> Result<Found, Fault> {
    let channel = engine.shared.channels.get(&errand.channel, errand.parcel.drill).ok_or_else(|| absent(errand))?;
    let (begun, mut pause) = (Instant::now(), PAUSE.0);
    loop {
        let found = timeout(LOOK, channel.find(&errand.parcel)).await;
        let fault = match found.unwrap_or_else(|_| Err(late(&errand.channel, LOOK))) {
            Ok(found) => return Ok(found),
            Err(fault) => fault,
        };
        if begun.elapsed() >= LOOKING {
            return Err(Fault::ambiguous(errand.channel.as_str(), format!("it cannot be looked for: {}", fault.what))
                .means("it may have been sent; it is not sent again by itself")
                .next("look whether it has arrived, then `mayday outbox settle` says what you saw"));
        }
        sleep(fault.retry_after.map_or(pause, |asked| asked.0.max(pause))).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}
