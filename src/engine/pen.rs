//! What an engine writes with: the term of its lead, the tail it knows, and until when it may act. Whoever has no pen follows.
//!
//! The contract of a lead: it is taken by raising the term in the store, and lost the moment another does so. Writing is safe without any
//! clock, since every append compares the term. Acting on the world is not, so a leader acts only within its lease: a time that is
//! counted from before each renewal was asked for, by a clock that nobody sets and that counts a suspended host, and that ends before
//! whoever waits for it believes so.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

use crate::domain::actor::Actor;
use crate::domain::clock::Clock;
use crate::domain::event::{Event, Record};
use crate::domain::journal::{Appended, Chain, Journal, JournalFault, Term, Who, Written};
use crate::domain::system::Fault;
use crate::domain::time::At;

/// How soon it is looked again what became of an append that nobody answered.
const AGAIN: Duration = Duration::from_millis(200);
/// A leader stops so much of its lease before the end, that clocks may differ in their pace.
const MARGIN: u32 = 10;

/// A lease: how long it is, and by which clock.
pub struct Lease {
    pub length: Duration,
    pub clock: Arc<dyn Clock>,
}

/// What one engine writes a journal with.
pub struct Pen {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) who: Who,
    /// `None`: nobody shares the journal, and nobody can take the lead away.
    pub(super) lease: Option<Lease>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    term: Option<Term>,
    tail: Chain,
    /// By the lease's clock.
    until: Duration,
    /// When the lead was lost, and why.
    lost: Option<JournalFault>,
    /// Why this engine must not lead.
    barred: Option<String>,
}

impl Pen {
    /// Of the one engine that a journal has: it leads from the start, for as long as it lives.
    ///
    /// # Errors
    /// When the journal cannot be read, or somebody else has just taken the lead.
    pub async fn alone(journal: Arc<dyn Journal>) -> Result<Self, JournalFault> {
        let version = env!("CARGO_PKG_VERSION").into();
        let who = Who { engine: "the only one".into(), name: "here".into(), version };
        let led = journal.leader().await?;
        let term = journal.lead(&who, led.as_ref()).await?;
        let term = term.ok_or_else(|| JournalFault {
            what: "another engine has just taken the lead".into(),
            next: "see which one runs: mayday status".into(),
        })?;
        let held = Held { term: Some(term), tail: journal.tail().await?, ..Held::default() };
        Ok(Self { journal, who, lease: None, held: Mutex::new(held) })
    }

    /// Of one of several engines. It follows from `tail` on until it takes the lead.
    pub fn shared(journal: Arc<dyn Journal>, who: Who, lease: Lease, tail: Chain) -> Self {
        Self { journal, who, lease: Some(lease), held: Mutex::new(Held { tail, ..Held::default() }) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Whether other engines may have the journal, too.
    pub fn is_shared(&self) -> bool {
        self.lease.is_some()
    }

    /// How far this engine has read, or written.
    pub fn tail(&self) -> Chain {
        self.held().tail.clone()
    }

    /// The term, while this engine leads; it may have to stop acting before it knows that it does not.
    pub fn term(&self) -> Option<Term> {
        let held = self.held();
        held.term.filter(|_| held.lost.is_none())
    }

    pub fn leads(&self) -> bool {
        self.term().is_some()
    }

    /// Whether anything may be done to the world now.
    pub fn may_act(&self) -> bool {
        let held = self.held();
        let within = self.lease.as_ref().is_none_or(|lease| lease.clock.uptime() < held.until);
        held.term.is_some() && held.lost.is_none() && within
    }

    /// Does it only while this engine may act: what is under way when the lease ends goes no further, however long the process slept
    /// in between. `None` then: how much of it was done is not known.
    pub async fn while_it_may<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        let mut what = pin!(what);
        poll_fn(|context| match self.may_act() {
            true => what.as_mut().poll(context).map(Some),
            false => Poll::Ready(None),
        })
        .await
    }

    /// Why this engine must not take the lead, if so.
    pub fn barred(&self) -> Option<String> {
        self.held().barred.clone()
    }

    /// `None`: it may.
    pub(super) fn bar(&self, why: Option<String>) {
        self.held().barred = why;
    }

    pub(super) fn uptime(&self) -> Duration {
        self.lease.as_ref().map(|lease| lease.clock.uptime()).unwrap_or_default()
    }

    /// Has read up to there.
    pub(super) fn read(&self, tail: Chain) {
        self.held().tail = tail;
    }

    /// The lead was taken; it was asked for at `asked`.
    pub(super) fn took(&self, term: Term, asked: Duration) {
        let until = self.until(asked);
        let mut held = self.held();
        (held.term, held.until, held.lost) = (Some(term), until, None);
    }

    /// The lead was renewed; that was asked for at `asked`.
    pub(super) fn renewed(&self, term: Term, asked: Duration) {
        let until = self.until(asked);
        let mut held = self.held();
        if held.term == Some(term) {
            held.until = held.until.max(until);
        }
    }

    fn until(&self, asked: Duration) -> Duration {
        let length = self.lease.as_ref().map(|lease| lease.length).unwrap_or_default();
        asked + length - length / MARGIN
    }

    /// Somebody else leads, or nobody knows: nothing is begun from here any more.
    pub(super) fn lose(&self, why: JournalFault) -> JournalFault {
        if !self.is_shared() {
            // There is nobody to follow: what does not go in is told, as of a disk that fails.
            return why;
        }
        self.held().lost.get_or_insert(why).clone()
    }

    /// It follows from now on.
    pub(super) fn lay_down(&self) {
        let mut held = self.held();
        (held.term, held.lost) = (None, None);
    }

    /// Makes events durable, as the leader.
    ///
    /// # Errors
    /// When they were not written; when this engine leads no longer, it may be that they were.
    pub async fn append(&self, at: At, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, JournalFault> {
        let (term, tail) = {
            let held = self.held();
            match (held.term, &held.lost) {
                (Some(term), None) => (term, held.tail.clone()),
                (_, lost) => return Err(lost.clone().unwrap_or_else(follows)),
            }
        };
        match self.journal.append(term, &tail, at, events).await {
            Appended::Durable(written) => Ok(self.wrote(written)),
            Appended::NotWritten(fault) => Err(fault),
            Appended::Fenced(fault) => Err(self.lose(fault)),
            Appended::Unknown(meant, fault) => self.resolve(meant, fault).await,
        }
    }

    fn wrote(&self, written: Written) -> Vec<Record> {
        self.held().tail = written.chain;
        written.records
    }

    /// Nobody answered. Once nothing of it can be under way any more, the record after the tail tells: it is ours, another's, or none.
    async fn resolve(&self, meant: Written, fault: JournalFault) -> Result<Vec<Record>, JournalFault> {
        tracing::warn!(%fault, "whether records were written is not known; it is looked for");
        loop {
            if self.is_shared() && !self.may_act() {
                return Err(self.lose(fault));
            }
            match self.look_for(&meant).await {
                Ok(Found::Ours) => return Ok(self.wrote(meant)),
                Ok(Found::None) => return Err(fault),
                Ok(Found::Anothers) => return Err(self.lose(anothers(&meant))),
                // It cannot be read either.
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    async fn look_for(&self, meant: &Written) -> Result<Found, JournalFault> {
        if self.is_shared() && !self.fence_off().await? {
            return Ok(Found::Anothers);
        }
        let next = self.tail().records + 1;
        Ok(match self.journal.hash(next).await? {
            None => Found::None,
            Some(hash) if hash == meant.first => Found::Ours,
            Some(_) => Found::Anothers,
        })
    }

    /// Takes the lead once more, under a new term: an append of the old one that is still on its way is written no more. `false` if
    /// somebody else leads.
    async fn fence_off(&self) -> Result<bool, JournalFault> {
        loop {
            let asked = self.uptime();
            let led = self.journal.leader().await?;
            if led.as_ref().is_none_or(|lead| lead.who.engine != self.who.engine || lead.resigned) {
                return Ok(false);
            }
            // A renewal of our own may come in between.
            if let Some(term) = self.journal.lead(&self.who, led.as_ref()).await? {
                self.took(term, asked);
                return Ok(true);
            }
        }
    }
}

/// What stands after the tail.
enum Found {
    Ours,
    Anothers,
    None,
}

fn anothers(meant: &Written) -> JournalFault {
    JournalFault {
        what: format!("record {} is another engine's", meant.chain.records + 1 - meant.records.len() as u64),
        next: "nothing: this one follows it from now on; `mayday engines` tells which".into(),
    }
}

fn follows() -> JournalFault {
    JournalFault {
        what: "this engine follows, and writes nothing".into(),
        next: "`mayday engines` tells which one leads".into(),
    }
}

/// What was done by an engine whose lead ended meanwhile: whoever leads now looks.
pub(super) fn lead_lost() -> Fault {
    Fault::ambiguous("mayday", "this engine lost the lead before it was done")
        .means("it may or may not have happened; nothing more of it is done from here")
        .next("nothing: the engine that leads looks; `mayday engines` tells which")
}
