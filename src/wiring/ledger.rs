//! Which journal an engine of a config has, and what it writes it with.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::failure::Failure;
use super::places::Places;
use crate::cli::exit::Exit;
use crate::config::journal::{Journal as Spec, Kept};
use crate::domain::actor::Actor;
use crate::domain::journal::{Chain, Journal, Records, Who};
use crate::domain::objects::Objects;
use crate::domain::params::SecretRef;
use crate::domain::state::State;
use crate::domain::time::At;
use crate::engine::clock::Machine;
use crate::engine::{Lease, Pen};
use crate::journal::{Place, SharedJournal, SqliteJournal, random_name, resume};
use crate::outbound::secret::{self, Secret};
use crate::systems::s3::JournalBucket;

/// What makes this engine another one than all others, beside the journal.
const NAME: &str = "engine.id";

/// A journal that is open.
pub struct Opened {
    pub journal: Arc<dyn Journal>,
    /// The fold of it.
    pub state: State,
    /// `None`: this is the only engine.
    pub pen: Option<Arc<Pen>>,
}

/// Opens the journal that a config names. `name` is what this engine is called by the others.
///
/// # Errors
/// When it cannot be opened, was altered, or has records that this build does not understand.
pub async fn open(spec: &Spec, places: &Places, name: Option<&str>) -> Result<Opened, Failure> {
    let (journal, state, tail) = match shared(spec, places).await {
        Ok(None) => {
            let journal = SqliteJournal::open(&places.state).await?;
            let state = resume(journal.reader()).await?;
            return Ok(Opened { journal: Arc::new(journal), state, pen: None });
        }
        Ok(Some(journal)) => {
            let state = journal.resume().await?;
            let head = journal.hash(state.seq).await?.unwrap_or_default();
            let tail = Chain { records: state.seq, head };
            (journal, state, tail)
        }
        // It may be back soon; until then what is known here is better than nothing.
        Err(failure) => match last_known(spec, places).await {
            Some(known) => {
                tracing::error!(why = failure.text, "the shared journal cannot be opened; what is shown is as it was");
                known
            }
            None => return Err(failure),
        },
    };
    let who = who(&places.state, name)?;
    let journal: Arc<dyn Journal> = Arc::new(journal);
    #[cfg(debug_assertions)]
    let journal = super::crash::armed(journal);
    let lease = Lease { length: spec.lease, clock: Arc::new(Machine::new()) };
    let pen = Arc::new(Pen::shared(journal.clone(), who, lease, tail));
    Ok(Opened { journal, state, pen: Some(pen) })
}

/// What was last known here of a store that does not answer.
async fn last_known(spec: &Spec, places: &Places) -> Option<(SharedJournal, State, Chain)> {
    let place = Where::of(spec).await.ok()??;
    // One that answers, and says what does not fit, is not passed over.
    if SharedJournal::answers(&place.place()).await {
        return None;
    }
    SharedJournal::last_known(&place.place(), &places.state).ok()?
}

/// Where a journal is that engines share, with the secret that leads there.
enum Where<'s> {
    File(&'s Path),
    Postgres(Secret),
    Bucket(Arc<dyn Objects>),
}

impl<'s> Where<'s> {
    async fn of(spec: &'s Spec) -> Result<Option<Self>, Failure> {
        Ok(match &spec.kept {
            Kept::Beside => None,
            Kept::File(path) => Some(Self::File(path)),
            Kept::Postgres(url) => Some(Self::Postgres(read(url).await?)),
            Kept::Bucket(params) => Some(Self::Bucket(Arc::new(JournalBucket::new(params)))),
        })
    }

    fn place(&self) -> Place<'_> {
        match self {
            Self::File(path) => Place::File(path),
            Self::Postgres(url) => Place::Postgres(url.expose()),
            Self::Bucket(objects) => Place::Bucket(objects.clone()),
        }
    }
}

/// The journal that engines share; `None` where none is.
///
/// # Errors
/// When it cannot be reached, or is another one than was seen from here before.
pub async fn shared(spec: &Spec, places: &Places) -> Result<Option<SharedJournal>, Failure> {
    let Some(place) = Where::of(spec).await? else { return Ok(None) };
    Ok(Some(SharedJournal::open(&place.place(), &places.state).await?))
}

async fn read(url: &SecretRef) -> Result<Secret, Failure> {
    secret::read(url, "journal").await.map_err(|fault| Failure::new(Exit::Journal, fault.to_string()))
}

/// Takes a shared journal as it is, though it is not as it was seen from here. `None` if there is nothing to accept.
///
/// # Errors
/// When the phrase is not the one that names what is lost: the fault tells which one does.
pub async fn accept(
    spec: &Spec,
    places: &Places,
    phrase: Option<&str>,
    actor: Actor,
) -> Result<Option<String>, Failure> {
    let who = who(&places.state, None)?;
    let (dir, by, at) = (&places.state, (actor, &who), (At::now(), spec.lease));
    let Some(place) = Where::of(spec).await? else { return Ok(None) };
    Ok(SharedJournal::accept(&place.place(), dir, phrase, by, at).await?)
}

/// This engine, as the others know it.
///
/// # Errors
/// When the state directory cannot be written.
pub fn who(dir: &Path, name: Option<&str>) -> Result<Who, Failure> {
    let kept =
        own_name(dir).map_err(|error| Failure::new(Exit::Journal, format!("{}: {error}", dir.join(NAME).display())))?;
    // A copy of the directory on another host, or elsewhere on this one, is another engine.
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("a host without a name");
    let place = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let digest = Sha256::digest(format!("{kept}\n{}\n{host}\n{}", machine.trim(), place.display()));
    let engine = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let name = crate::domain::text::clean(name.unwrap_or(host));
    Ok(Who { engine, name, version: env!("CARGO_PKG_VERSION").into() })
}

fn own_name(dir: &Path) -> std::io::Result<String> {
    let path = dir.join(NAME);
    match fs::read_to_string(&path) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let name = random_name()?;
    let draft = dir.join("engine.id.draft");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(file, "{name}")?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    Ok(name)
}
