//! A journal in a store that several engines share. What one of them has seen of it is kept in its own state directory: a store that was
//! restored from an old copy, or replaced, is not taken for the same one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::bucket::BucketStore;
use super::chain::{self, Pages, broken};
use super::file::chain_of;
use super::postgres::PostgresStore;
use super::shared_file::SharedFile;
use super::snapshot;
use super::store::{Put, Store, moved_on, outdated};
use crate::domain::actor::Actor;
use crate::domain::event::{Event, Record};
use crate::domain::journal::{Appended, Chain, Journal, JournalFault, Lead, Post, Presence, Records, Term, Who};
use crate::domain::objects::Objects;
use crate::domain::state::State;
use crate::domain::time::At;

/// Of a shared journal, in the state directory: how far this engine has seen it.
const MARK: &str = "ledger.mark";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    journal: String,
    seen: Chain,
}

/// Where a journal is that engines share.
pub enum Place<'p> {
    /// A file, for engines of one host.
    File(&'p Path),
    /// The PostgreSQL of this URL.
    Postgres(&'p str),
    /// A bucket.
    Bucket(Arc<dyn Objects>),
}

/// What does not fit what was seen from here.
struct Doubt {
    /// What a person types to go on.
    phrase: String,
    what: String,
    seen: Chain,
}

/// A journal that several engines share.
pub struct SharedJournal {
    store: Box<dyn Store>,
    /// The state directory of this engine.
    dir: PathBuf,
    identity: String,
    /// How far this engine has seen it, and how far it is kept that it has.
    seen: Mutex<(Chain, Chain)>,
}

impl SharedJournal {
    /// In PostgreSQL; the tables are made if they are missing.
    ///
    /// # Errors
    /// When it cannot be reached, or is not the one that was seen from here before.
    pub async fn postgres(url: &str, dir: &Path) -> Result<Self, JournalFault> {
        Self::open(&Place::Postgres(url), dir).await
    }

    /// In a file that engines of one host share; it is made if there is none.
    ///
    /// # Errors
    /// When it cannot be read and written, or is not the one that was seen from here before.
    pub async fn file(path: &Path, dir: &Path) -> Result<Self, JournalFault> {
        Self::open(&Place::File(path), dir).await
    }

    /// # Errors
    /// As of each place.
    pub async fn open(place: &Place<'_>, dir: &Path) -> Result<Self, JournalFault> {
        let (journal, doubt) = Self::find(place, dir).await?;
        match doubt {
            Some(doubt) => Err(journal.fault(&doubt)),
            None => Ok(journal),
        }
    }

    /// Whether a place answers at all. A file of this host that cannot be opened is no store that comes back by itself.
    pub async fn answers(place: &Place<'_>) -> bool {
        match Self::unasked(place) {
            Ok(Some(store)) => store.identity().await.is_ok(),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// The store of a place that may not answer now; `None` where that is no place to wait for.
    fn unasked(place: &Place<'_>) -> Result<Option<Box<dyn Store>>, JournalFault> {
        Ok(match place {
            Place::File(_) => None,
            Place::Postgres(url) => Some(Box::new(PostgresStore::unasked(url)?)),
            Place::Bucket(objects) => Some(Box::new(BucketStore::unasked(objects.clone()))),
        })
    }

    /// The journal as it was last known here, of a store that does not answer: nothing is written there before it does, and what it says
    /// then has to follow from what is known. `None` where nothing is known.
    ///
    /// # Errors
    /// When the place is none.
    pub fn last_known(place: &Place<'_>, dir: &Path) -> Result<Option<(Self, State, Chain)>, JournalFault> {
        let Some(store) = Self::unasked(place)? else { return Ok(None) };
        let Some(mark) = load(dir).map_err(|error| unkept(dir, &error))? else { return Ok(None) };
        let Some((state, chain)) = snapshot::last_known(&dir.join(snapshot::SHARED), &mark.journal) else {
            return Ok(None);
        };
        let seen = Mutex::new((mark.seen.clone(), mark.seen));
        Ok(Some((Self { store, dir: dir.into(), identity: mark.journal, seen }, state, chain)))
    }

    /// The journal, and what does not fit what was seen of it from here.
    async fn find(place: &Place<'_>, dir: &Path) -> Result<(Self, Option<Doubt>), JournalFault> {
        let store: Box<dyn Store> = match place {
            Place::Postgres(url) => Box::new(PostgresStore::open(url).await?),
            Place::File(path) => Box::new(SharedFile::open(path).await?),
            Place::Bucket(objects) => Box::new(BucketStore::open(objects.clone()).await?),
        };
        let identity = store.identity().await?.unwrap_or_default();
        let mark = load(dir).map_err(|error| unkept(dir, &error))?;
        let seen = mark.as_ref().map(|mark| mark.seen.clone()).unwrap_or_default();
        let journal = Self { store, dir: dir.into(), identity, seen: Mutex::new((seen.clone(), seen)) };
        let doubt = match mark {
            Some(mark) => journal.doubt(&mark).await?,
            None => None,
        };
        Ok((journal, doubt))
    }

    /// Whether it is the journal that was seen from here, and has all that was.
    async fn doubt(&self, mark: &Mark) -> Result<Option<Doubt>, JournalFault> {
        let doubt = |phrase: String, what: String| {
            let seen = mark.seen.clone();
            Ok(Some(Doubt { phrase, what, seen }))
        };
        if mark.journal != self.identity {
            let what = "it is another journal than the one that this host has seen there";
            return doubt("another journal".into(), what.into());
        }
        let had = mark.seen.records;
        if had == 0 {
            return Ok(None);
        }
        match self.store.stored(had).await? {
            Some(hash) if hash == mark.seen.head => Ok(None),
            Some(_) => doubt(
                format!("another history up to record {had}"),
                format!("its record {had} is not the one that this host has seen: the history was rewritten"),
            ),
            None => {
                let have = self.store.tail().await?.0;
                let lost = had.saturating_sub(have);
                let records = if lost == 1 { "1 record".to_owned() } else { format!("{lost} records") };
                let what = format!("it ends at record {have}, and this host has seen {had}: {lost} are lost");
                doubt(format!("shorter by {records}"), what)
            }
        }
    }

    /// What an engine says that does not start.
    fn fault(&self, doubt: &Doubt) -> JournalFault {
        let next = format!(
            "put back what belongs there; or, if you know what is lost: mayday journal accept '{}'",
            doubt.phrase
        );
        JournalFault { what: format!("{}: {}", self.store.name(), doubt.what), next }
    }

    /// Takes the journal as it is, which is written into it. `None` if there is nothing to accept.
    ///
    /// # Errors
    /// When the phrase is not the one that names what is lost, an engine leads, or the journal cannot be written.
    pub async fn accept(
        place: &Place<'_>,
        dir: &Path,
        phrase: Option<&str>,
        by: (Actor, &Who),
        (at, lease): (At, Duration),
    ) -> Result<Option<String>, JournalFault> {
        let (journal, doubt) = Self::find(place, dir).await?;
        let Some(doubt) = doubt else { return Ok(None) };
        if phrase != Some(doubt.phrase.as_str()) {
            return Err(journal.fault(&doubt));
        }
        let (actor, who) = by;
        let term = journal.lead_alone(who, lease).await?;
        let Doubt { phrase, what, seen } = doubt;
        let event = Event::JournalAccepted { phrase, what: what.clone(), records: seen.records, head: seen.head };
        let tail = journal.tail().await?;
        let appended = journal.append(term, &tail, at, vec![(actor, event)]).await;
        journal.resign(term).await?;
        match appended {
            Appended::Durable(written) => {
                let mark = Mark { journal: journal.identity.clone(), seen: written.chain };
                store(dir, &mark).map_err(|error| unkept(dir, &error))?;
                Ok(Some(what))
            }
            Appended::NotWritten(fault) | Appended::Unknown(_, fault) | Appended::Fenced(fault) => Err(fault),
        }
    }

    /// Takes the lead where no engine has it: nobody writes meanwhile. Of one that did not give it up nothing may be heard for a whole lease:
    /// an engine that died, or a store that was restored, goes on saying that somebody leads.
    ///
    /// # Errors
    /// When one has it.
    pub(super) async fn lead_alone(&self, who: &Who, lease: Duration) -> Result<Term, JournalFault> {
        let mut led = self.leader().await?;
        let busy = |name: &str| JournalFault {
            what: format!("{}: the engine {name} leads there", self.name()),
            next: "stop the engines first: mayday engine stop, on every host".into(),
        };
        if let Some(lead) = led.as_ref().filter(|lead| !lead.resigned && lead.who.engine != who.engine) {
            sleep(lease).await;
            let now = self.leader().await?;
            if now.as_ref().is_some_and(|now| (now.term, now.beat) != (lead.term, lead.beat)) {
                return Err(busy(&lead.who.name));
            }
            led = now;
        }
        self.lead(who, led.as_ref()).await?.ok_or_else(|| busy("that has just begun"))
    }

    /// As the chain is read from it.
    pub fn reading(&self) -> &dyn Pages {
        &*self.store
    }

    /// The state that follows from it: from this engine's snapshot and what came after, or from every record.
    ///
    /// # Errors
    /// As [`replay`](super::replay()).
    pub async fn resume(&self) -> Result<State, JournalFault> {
        snapshot::resumed(&*self.store, self.dir.join(snapshot::SHARED)).await
    }

    /// Where it is, in words without a secret.
    pub fn name(&self) -> String {
        self.store.name()
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    fn saw(&self, chain: &Chain) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if chain.records > seen.0.records {
            seen.0 = chain.clone();
        }
    }

    /// Keeps how far it was seen, if that is news.
    async fn mark(&self) -> Result<(), JournalFault> {
        let seen = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.0 == seen.1 {
                return Ok(());
            }
            seen.0.clone()
        };
        let (dir, mark) = (self.dir.clone(), Mark { journal: self.identity.clone(), seen: seen.clone() });
        let kept = tokio::task::spawn_blocking(move || store(&dir, &mark)).await.map_err(broken)?;
        kept.map_err(|error| unkept(&self.dir, &error))?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).1 = seen;
        Ok(())
    }
}

fn unkept(dir: &Path, error: &io::Error) -> JournalFault {
    JournalFault {
        what: format!("{}: {error}", dir.join(MARK).display()),
        next: "make the state directory readable and writable, and see whether its disk has room".into(),
    }
}

fn load(dir: &Path) -> io::Result<Option<Mark>> {
    match fs::read(dir.join(MARK)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Beside it first: it is there whole or as it was.
fn store(dir: &Path, mark: &Mark) -> io::Result<()> {
    let draft = dir.join("ledger.mark.draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&serde_json::to_vec(mark)?)?;
    file.sync_all()?;
    fs::rename(&draft, dir.join(MARK))?;
    File::open(dir)?.sync_all()
}

#[async_trait]
impl Journal for SharedJournal {
    async fn tail(&self) -> Result<Chain, JournalFault> {
        Ok(chain_of(&self.store.tail().await?))
    }

    async fn pages(&self, after: &Chain, limit: usize) -> Result<(Vec<Record>, Chain), JournalFault> {
        let (records, chain) = chain::pages(&*self.store, after, limit).await?;
        self.saw(&chain);
        Ok((records, chain))
    }

    async fn leader(&self) -> Result<Option<Lead>, JournalFault> {
        self.store.leader().await
    }

    async fn lead(&self, who: &Who, over: Option<&Lead>) -> Result<Option<Term>, JournalFault> {
        self.store.lead(who, over).await
    }

    async fn renew(&self, term: Term) -> Result<bool, JournalFault> {
        self.store.renew(term).await
    }

    async fn resign(&self, term: Term) -> Result<(), JournalFault> {
        self.store.resign(term).await
    }

    async fn append(&self, term: Term, expected: &Chain, at: At, events: Vec<(Actor, Event)>) -> Appended {
        let (written, rows) = match chain::draft(expected, at, events) {
            Ok(drafted) => drafted,
            Err(fault) => return Appended::NotWritten(fault),
        };
        match self.store.put(term, expected, &rows).await {
            Put::Durable => {
                self.saw(&written.chain);
                Appended::Durable(written)
            }
            Put::NotWritten(fault) => Appended::NotWritten(fault),
            Put::Unknown(fault) => Appended::Unknown(written, fault),
            Put::Outdated => Appended::Fenced(outdated(term)),
            Put::Moved(found) => Appended::Fenced(moved_on(expected, found)),
        }
    }

    async fn watch(&self, seq: u64) {
        self.store.watch(seq).await;
    }

    async fn meet(&self, who: &Who, seq: u64) -> Result<Vec<Presence>, JournalFault> {
        let met = self.store.meet(who, seq).await?;
        self.mark().await?;
        Ok(met)
    }

    async fn check(&self, whole: bool) -> Result<(), JournalFault> {
        let journal = self.store.identity().await?.unwrap_or_default();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
        if let Some(doubt) = self.doubt(&Mark { journal, seen }).await? {
            return Err(self.fault(&doubt));
        }
        if whole {
            self.verify().await?;
        }
        self.mark().await
    }

    async fn keep(&self, state: &State) -> Result<(), JournalFault> {
        let Some(head) = self.store.stored(state.seq).await? else { return Ok(()) };
        let (file, journal, state) = (self.dir.join(snapshot::SHARED), self.identity.clone(), state.clone());
        let kept = tokio::task::spawn_blocking(move || snapshot::keep(&file, &journal, &head, &state));
        kept.await.map_err(broken)?.map_err(|error| JournalFault {
            what: format!("{}: {error}", self.dir.display()),
            next: "make the state directory writable, and see whether its disk has room".into(),
        })
    }

    fn post(&self) -> Option<&dyn Post> {
        Some(&*self.store)
    }

    async fn close(&self) {
        if let Err(fault) = self.mark().await {
            tracing::warn!(%fault, "how far the journal was seen is not kept");
        }
        self.store.close().await;
    }
}

#[async_trait]
impl Records for SharedJournal {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalFault> {
        self.store.rows(after, limit).await?.iter().map(chain::Row::record).collect()
    }

    async fn verify(&self) -> Result<Chain, JournalFault> {
        chain::whole(&*self.store).await
    }

    async fn hash(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        self.store.stored(seq).await
    }

    async fn find(&self, head: &str) -> Result<Option<u64>, JournalFault> {
        let Some(plain) = chain::beginning(head) else { return Ok(None) };
        self.store.find(&plain).await
    }
}
