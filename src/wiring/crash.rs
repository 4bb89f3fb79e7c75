//! A journal that kills the engine at a chosen append, for the test that dies at every one of them. Not part of a release build.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::domain::actor::Actor;
use crate::domain::event::{Event, Record};
use crate::domain::journal::{Appended, Chain, Journal, JournalFault, Lead, Post, Presence, Records, Term, Who};
use crate::domain::state::State;
use crate::domain::time::At;

/// `before:N` or `after:N`: die just before, or just after, the N-th append of this process is durable that says what is done, counted
/// from the one that starts a run or composes an update. What is only seen may come in between at any time, and nothing depends on it.
const VARIABLE: &str = "MAYDAY_CRASH";

/// Wraps `journal` if the environment asks for a crash.
pub(super) fn armed(journal: Arc<dyn Journal>) -> Arc<dyn Journal> {
    let wish = std::env::var(VARIABLE).ok();
    let Some((when, number)) = wish.as_deref().and_then(|wish| wish.split_once(':')) else { return journal };
    let Ok(at) = number.parse() else { return journal };
    Arc::new(Crashing { journal, before: when == "before", at, appends: AtomicU64::new(0) })
}

/// What a test dies in: a run, or the telling of an update.
fn begins(event: &Event) -> bool {
    match event {
        Event::RunStarted { .. } => true,
        Event::MessageComposed { message } => message.purpose.is_update(),
        _ => false,
    }
}

fn is_only_seen(event: &Event) -> bool {
    matches!(
        event,
        Event::ProbeChanged { .. }
            | Event::BackupChanged { .. }
            | Event::ReadinessAssessed { .. }
            | Event::ItemSeen { .. }
            | Event::AlertHeard { .. }
            | Event::LeadTaken { .. }
    )
}

struct Crashing {
    journal: Arc<dyn Journal>,
    before: bool,
    at: u64,
    appends: AtomicU64,
}

#[async_trait]
impl Journal for Crashing {
    async fn append(&self, term: Term, expected: &Chain, at: At, events: Vec<(Actor, Event)>) -> Appended {
        let counts = events.iter().any(|(_, event)| begins(event))
            || self.appends.load(Ordering::SeqCst) > 0 && !events.iter().all(|(_, event)| is_only_seen(event));
        let due = counts && self.appends.fetch_add(1, Ordering::SeqCst) + 1 == self.at;
        if due && self.before {
            std::process::abort();
        }
        let appended = self.journal.append(term, expected, at, events).await;
        if due {
            std::process::abort();
        }
        appended
    }

    async fn tail(&self) -> Result<Chain, JournalFault> {
        self.journal.tail().await
    }

    async fn pages(&self, after: &Chain, limit: usize) -> Result<(Vec<Record>, Chain), JournalFault> {
        self.journal.pages(after, limit).await
    }

    async fn leader(&self) -> Result<Option<Lead>, JournalFault> {
        self.journal.leader().await
    }

    async fn lead(&self, who: &Who, over: Option<&Lead>) -> Result<Option<Term>, JournalFault> {
        self.journal.lead(who, over).await
    }

    async fn renew(&self, term: Term) -> Result<bool, JournalFault> {
        self.journal.renew(term).await
    }

    async fn resign(&self, term: Term) -> Result<(), JournalFault> {
        self.journal.resign(term).await
    }

    async fn watch(&self, seq: u64) {
        self.journal.watch(seq).await;
    }

    async fn meet(&self, who: &Who, seq: u64) -> Result<Vec<Presence>, JournalFault> {
        self.journal.meet(who, seq).await
    }

    async fn check(&self, whole: bool) -> Result<(), JournalFault> {
        self.journal.check(whole).await
    }

    async fn keep(&self, state: &State) -> Result<(), JournalFault> {
        self.journal.keep(state).await
    }

    fn post(&self) -> Option<&dyn Post> {
        self.journal.post()
    }

    async fn close(&self) {
        self.journal.close().await;
    }
}

#[async_trait]
impl Records for Crashing {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalFault> {
        self.journal.read(after, limit).await
    }

    async fn verify(&self) -> Result<Chain, JournalFault> {
        self.journal.verify().await
    }

    async fn hash(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        self.journal.hash(seq).await
    }

    async fn find(&self, head: &str) -> Result<Option<u64>, JournalFault> {
        self.journal.find(head).await
    }
}

/// Lets a cockpit panic soon after it has begun, in a task of its own, if a test asks for it.
pub(super) fn of_cockpit() {
    if std::env::var_os("MAYDAY_COCKPIT_PANIC").is_some() {
        tokio::spawn(async {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            std::panic::panic_any("as the test asked");
        });
    }
}
