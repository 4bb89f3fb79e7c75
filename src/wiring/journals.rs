//! `mayday journal`: from the engine if one answers; else from its file, so that what happened can be read when no engine can start.

use std::io::{self, Write};

use super::failure::Failure;
use super::places::Places;
use super::say::say;
use super::{engine, kinds, ledger, moving};
use crate::api::client::{Client, Fed};
use crate::api::user::account;
use crate::cli::args::{Format, JournalCommand};
use crate::cli::exit::Exit;
use crate::cli::journal;
use crate::cli::out::out;
use crate::config;
use crate::config::journal::Kept;
use crate::domain::actor::Actor;
use crate::domain::event::Record;
use crate::domain::journal::{Chain, Journal, JournalFault, Records};
use crate::domain::time::At;
use crate::domain::view::Update;
use crate::journal::{Lock, Reader, SharedJournal, accept as journal_accept, doubts, is_fresh, texts};

/// Records that are asked for at once.
const PAGE: usize = 1000;

/// Reads the journal.
///
/// # Errors
/// When it cannot be read, or was altered.
pub async fn run(places: &Places, command: JournalCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        JournalCommand::Verify { head } => verify(&Source::of(places).await?, head.as_deref(), format).await,
        JournalCommand::Accept { phrase } => accept(places, phrase.as_deref(), format).await,
        JournalCommand::Export => export(&Source::of(places).await?).await,
        JournalCommand::Copy { from, to } => moving::copy(places, &from, &to, format).await,
        JournalCommand::Tail { lines, follow: true } => follow(&engine::ensure(places).await?, lines, format).await,
        JournalCommand::Tail { lines, follow: false } => tail(places, lines, format).await,
    }
}

/// The fewest digits of a head that are taken for it.
const DIGITS: usize = 8;

async fn verify(source: &Source, head: Option<&str>, format: Format) -> Result<Exit, Failure> {
    let chain = source.verify().await?;
    let anchored = source.is_anchored();
    let Some(head) = head else {
        let json = serde_json::json!({ "records": chain.records, "head": chain.head, "anchored": anchored });
        return say(format, &json, journal::proof(&chain, None, anchored));
    };
    if head.len() < DIGITS || !head.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let text = format!("`{head}` is no head → give its first {DIGITS} hexadecimal digits, or more");
        return Err(Failure::new(Exit::Usage, text));
    }
    match source.find(head).await? {
        Some(seq) => {
            let json = serde_json::json!({ "records": chain.records, "head": chain.head, "noted": head, "noted_at": seq });
            say(format, &json, journal::proof(&chain, Some((head, seq)), anchored))
        }
        None => Err(JournalFault {
            what: format!(
                "its {} records fit together, but it never had the head {head}: it is another journal, or was rewritten after \
                that head was noted",
                chain.records
            ),
            next: "keep the state directory as evidence, and look for the one that the head was noted of".into(),
        }
        .into()),
    }
}

/// Who types this.
fn myself() -> Actor {
    let uid = rustix::process::getuid().as_raw();
    let name = account(uid);
    Actor { nameless: name.is_none(), ..Actor::named(name.unwrap_or_else(|| format!("uid {uid}")), Some(uid)) }
}

async fn accept(places: &Places, phrase: Option<&str>, format: Format) -> Result<Exit, Failure> {
    // No engine may work on it meanwhile.
    let _lock = Lock::take(&places.state)?;
    let config = config::load(&places.config, &kinds()).ok().filter(|it| it.journal.kept != Kept::Beside);
    let accepted = match config {
        Some(config) => ledger::accept(&config.journal, places, phrase, myself()).await?,
        None => accept_own(places, phrase).await?,
    };
    let Some(accepted) = accepted else {
        let nothing = "the journal fits what was seen of it: there is nothing to accept";
        return say(format, &serde_json::json!({ "accepted": null }), nothing.into());
    };
    let text = format!("accepted, and written into the journal: {accepted}");
    say(format, &serde_json::json!({ "accepted": accepted }), text)
}

async fn accept_own(places: &Places, phrase: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(fault) = doubts(&places.state).await? else { return Ok(None) };
    let Some(phrase) = phrase else { return Err(fault.into()) };
    Ok(journal_accept(&places.state, phrase, myself(), At::now()).await?)
}

/// Where the journal is read from.
pub(super) enum Source {
    Engine(Client),
    File(Reader),
    /// What engines share, without any of them.
    Shared(Box<SharedJournal>),
    /// No engine has worked here yet: there is nothing to list, and that is no fault.
    Fresh,
}

impl Source {
    pub async fn of(places: &Places) -> Result<Self, Failure> {
        let client = places.client();
        match client.snapshot().await {
            Ok(_) => return Ok(Self::Engine(client)),
            Err(error) if places.foreign => return Err(error.into()),
            Err(_) => {}
        }
        if let Some(journal) = shared(places).await? {
            return Ok(Self::Shared(Box::new(journal)));
        }
        if is_fresh(&places.state) {
            let dir = places.state.display();
            // A mistyped directory must not pass for one in which nothing has happened.
            let _ = writeln!(io::stderr(), "nothing was recorded in {dir} yet; another one: --state-dir DIR");
            return Ok(Self::Fresh);
        }
        Ok(Self::File(Reader::open(&places.state).await?))
    }

    async fn verify(&self) -> Result<Chain, Failure> {
        Ok(match self {
            Self::Engine(client) => client.verify().await?,
            Self::File(reader) => reader.verify().await?,
            Self::Shared(journal) => journal.verify().await?,
            Self::Fresh => return Err(nothing_to_prove()),
        })
    }

    /// An engine never works without one.
    fn is_anchored(&self) -> bool {
        match self {
            Self::Engine(_) | Self::Shared(_) => true,
            Self::File(reader) => reader.is_anchored(),
            Self::Fresh => false,
        }
    }

    async fn find(&self, head: &str) -> Result<Option<u64>, Failure> {
        Ok(match self {
            Self::Engine(client) => client.find_head(head).await?,
            Self::File(reader) => reader.find(head).await?,
            Self::Shared(journal) => journal.find(head).await?,
            Self::Fresh => None,
        })
    }

    /// The number of the last record.
    async fn last(&self) -> Result<u64, Failure> {
        Ok(match self {
            Self::Engine(client) => client.snapshot().await?.state.seq,
            Self::File(reader) => reader.last().await?,
            Self::Shared(journal) => journal.tail().await?.records,
            Self::Fresh => 0,
        })
    }

    /// Records as they were written, each with its number.
    async fn texts(&self, after: u64) -> Result<Vec<(u64, String)>, Failure> {
        match self {
            Self::Engine(client) => {
                let records = client.records(after, PAGE).await?;
                let text = |record: &Record| Ok((record.seq, serde_json::to_string(record).map_err(io::Error::other)?));
                records.iter().map(text).collect()
            }
            Self::File(reader) => Ok(texts(reader, after, PAGE).await?),
            Self::Shared(journal) => Ok(texts(journal.reading(), after, PAGE).await?),
            Self::Fresh => Ok(Vec::new()),
        }
    }

    pub async fn records(&self, after: u64) -> Result<Vec<Record>, Failure> {
        Ok(match self {
            Self::Engine(client) => client.records(after, PAGE).await?,
            Self::File(reader) => reader.read(after, PAGE).await?,
            Self::Shared(journal) => journal.read(after, PAGE).await?,
            Self::Fresh => Vec::new(),
        })
    }
}

/// What the config of these places says is shared. A config that is not sound names nothing: `mayday check` tells why.
async fn shared(places: &Places) -> Result<Option<SharedJournal>, Failure> {
    match config::load(&places.config, &kinds()) {
        Ok(config) => ledger::shared(&config.journal, places).await,
        Err(_) => Ok(None),
    }
}

/// A journal that never was is no proof of anything.
fn nothing_to_prove() -> Failure {
    let what = "there is no journal here, so nothing can be verified".to_owned();
    JournalFault { what, next: "name the state directory of an engine with --state-dir".into() }.into()
}

/// As it was written: what this Mayday does not understand is handed on whole.
async fn export(source: &Source) -> Result<Exit, Failure> {
    let mut after = 0;
    loop {
        let texts = source.texts(after).await?;
        let Some((last, _)) = texts.last() else { return Ok(Exit::Ok) };
        after = *last;
        for (_, text) in &texts {
            writeln!(out(), "{text}")?;
        }
    }
}

fn print(record: &Record, format: Format) -> Result<(), Failure> {
    let line = match format {
        Format::Json => serde_json::to_string(record).map_err(io::Error::other)?,
        Format::Text => journal::line(record),
    };
    Ok(writeln!(out(), "{line}")?)
}

async fn tail(places: &Places, lines: usize, format: Format) -> Result<Exit, Failure> {
    let source = Source::of(places).await?;
    let mut after = source.last().await?.saturating_sub(lines as u64);
    loop {
        let records = source.records(after).await?;
        let Some(last) = records.last() else { return Ok(Exit::Ok) };
        after = last.seq;
        records.iter().try_for_each(|record| print(record, format))?;
    }
}

async fn follow(client: &Client, lines: usize, format: Format) -> Result<Exit, Failure> {
    let mut after = client.snapshot().await?.state.seq.saturating_sub(lines as u64);
    let mut feed = client.feed();
    loop {
        for record in client.records(after, PAGE).await? {
            after = record.seq;
            print(&record, format)?;
        }
        loop {
            match feed.next().await {
                Fed::Update(Update::Record { record }) if record.seq > after => break,
                Fed::Snapshot(view) if view.state.seq > after => break,
                Fed::Lost(error) => eprintln!("{error}; looking for it again"),
                _ => {}
            }
        }
    }
}
