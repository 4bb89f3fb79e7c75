//! The client: what cockpits and command lines use to talk to an engine.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::protocol::{self as routes, Accepted, ApiError, ErrorCode, NotedHead, READ_ONLY, Route, SESSION};
use super::user::account;
use crate::domain::command::Ask;
use crate::domain::comms::Message;
use crate::domain::event::Record;
use crate::domain::hidden::Without;
use crate::domain::ids::{IncidentId, PlanId, RegionId, SessionId};
use crate::domain::journal::Chain;
use crate::domain::live::Gaze;
use crate::domain::readiness::Assessment;
use crate::domain::review::Documents;
use crate::domain::view::{Snapshot, StepByHand, StepPreview, Update};

/// An answer that takes longer is told of.
const SLOW: Duration = Duration::from_secs(2);
/// The longest that an answer may take; a preview looks at every system of a plan.
const PATIENCE: Duration = Duration::from_secs(60);
/// A stream that says nothing for so long is dead: the server sends a comment every second.
const SILENCE: Duration = Duration::from_secs(12);
/// The pause before a lost engine is looked for again, doubled each time up to the longest.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Talks to the engine behind a socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    session: Option<(SessionId, bool)>,
    /// A user whose engine is believed besides this user's own and root's.
    trusted: Option<u32>,
    /// Called when an answer is long in coming.
    awaits: Option<fn()>,
}

impl Client {
    /// For a command line: what it asks for is armed by having been typed.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), session: None, trusted: None, awaits: None }
    }

    /// For a cockpit: it has to be armed before it may change anything, and never may if it is read-only.
    pub fn cockpit(socket: impl Into<PathBuf>, session: SessionId, read_only: bool) -> Self {
        Self { session: Some((session, read_only)), ..Self::new(socket) }
    }

    /// Believes the engine of this user, too. Without it only this user's own and root's are talked to: whoever may write to the folder
    /// of a socket could lay one there, show a platform that is well, and be told what is asked.
    pub fn trusting(self, uid: Option<u32>) -> Self {
        Self { trusted: uid, ..self }
    }

    /// Calls this whenever an answer is long in coming, so that whoever waits knows what for.
    pub fn awaiting(self, told: fn()) -> Self {
        Self { awaits: Some(told), ..self }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// # Errors
    /// As of every call: when no engine answers, or it answers with an error.
    pub async fn snapshot(&self) -> Result<Snapshot, ApiError> {
        self.call(routes::SNAPSHOT, routes::SNAPSHOT.path, None::<&()>).await
    }

    /// # Errors
    /// Also when it is refused; nothing happened then.
    pub async fn ask(&self, ask: &Ask) -> Result<Accepted, ApiError> {
        self.call(routes::COMMANDS, routes::COMMANDS.path, Some(ask)).await
    }

    /// What other monitoring says, as it says it.
    ///
    /// # Errors
    /// Also when it is something else: nothing was taken then.
    pub async fn alerts(&self, sending: &serde_json::Value) -> Result<Accepted, ApiError> {
        self.call(routes::ALERTS, routes::ALERTS.path, Some(sending)).await
    }

    /// # Errors
    /// Also when this cockpit is not attached.
    pub async fn looks(&self, at: &Gaze) -> Result<Accepted, ApiError> {
        self.call(routes::LOOKS, routes::LOOKS.path, Some(at)).await
    }

    /// # Errors
    /// Also when there is no such plan.
    pub async fn preview(&self, plan: &PlanId) -> Result<Vec<StepPreview>, ApiError> {
        self.call(routes::PREVIEW, &with_id(routes::PREVIEW, plan), None::<&()>).await
    }

    /// # Errors
    /// Also when there is no such plan.
    pub async fn assess(&self, plan: Option<&PlanId>) -> Result<Vec<Assessment>, ApiError> {
        let query = plan.map(|plan| format!("?plan={}", encode(plan.as_str()))).unwrap_or_default();
        let path = format!("{}{query}", routes::READINESS.path);
        self.call(routes::READINESS, &path, None::<&()>).await
    }

    /// # Errors
    /// Also when there is no such region or plan.
    pub async fn without(&self, region: &RegionId, plan: Option<&PlanId>) -> Result<Without, ApiError> {
        let query = plan.map(|plan| format!("?plan={}", encode(plan.as_str()))).unwrap_or_default();
        let path = routes::WITHOUT.path.replace("{id}", &encode(region.as_str()));
        self.call(routes::WITHOUT, &format!("{path}{query}"), None::<&()>).await
    }

    /// The review of an incident, or of the latest one.
    ///
    /// # Errors
    /// Also when there is no such incident.
    pub async fn report(&self, incident: Option<&IncidentId>) -> Result<Documents, ApiError> {
        let query = incident.map(|id| format!("?incident={}", encode(id.as_str()))).unwrap_or_default();
        self.call(routes::REPORT, &format!("{}{query}", routes::REPORT.path), None::<&()>).await
    }

    /// Every update as it would be sent now.
    ///
    /// # Errors
    /// When no engine answers.
    pub async fn drafts(&self, note: &str) -> Result<Vec<Message>, ApiError> {
        let path = format!("{}?note={}", routes::DRAFTS.path, encode(note));
        self.call(routes::DRAFTS, &path, None::<&()>).await
    }

    /// The metrics in the Prometheus text format.
    ///
    /// # Errors
    /// When no engine answers.
    pub async fn metrics(&self) -> Result<String, ApiError> {
        let answer = async {
            let response = self.send(routes::METRICS.method, routes::METRICS.path, None::<&()>).await?;
            let bytes = response.into_body().collect().await.map_err(|error| self.broken(&error))?.to_bytes();
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        self.patient(routes::METRICS, answer).await
    }

    /// # Errors
    /// Also when there is no such plan.
    pub async fn by_hand(&self, plan: &PlanId, remaining: bool) -> Result<Vec<StepByHand>, ApiError> {
        let path = format!("{}?remaining={remaining}", with_id(routes::BY_HAND, plan));
        self.call(routes::BY_HAND, &path, None::<&()>).await
    }

    /// # Errors
    /// Also when the journal cannot be read.
    pub async fn records(&self, after: u64, limit: usize) -> Result<Vec<Record>, ApiError> {
        let path = format!("{}?after={after}&limit={limit}", routes::JOURNAL.path);
        self.call(routes::JOURNAL, &path, None::<&()>).await
    }

    /// # Errors
    /// Also when the journal was altered: the error names the first record that does not fit.
    pub async fn verify(&self) -> Result<Chain, ApiError> {
        self.call(routes::VERIFY, routes::VERIFY.path, None::<&()>).await
    }

    /// The newest record whose hash begins so; `None` if the journal never came by it.
    ///
    /// # Errors
    /// Also when the journal cannot be read.
    pub async fn find_head(&self, head: &str) -> Result<Option<u64>, ApiError> {
        let head: String = form_urlencoded::byte_serialize(head.as_bytes()).collect();
        let path = format!("{}?head={head}", routes::HEAD.path);
        let found: NotedHead = self.call(routes::HEAD, &path, None::<&()>).await?;
        Ok(found.record)
    }

    /// The engine takes the config that is on disk.
    ///
    /// # Errors
    /// When that has mistakes (all are told), a run is under way, or something would be left behind: nothing happened then.
    pub async fn reload(&self) -> Result<Accepted, ApiError> {
        self.call(routes::RELOAD, routes::RELOAD.path, None::<&()>).await
    }

    /// # Errors
    /// When no engine answers.
    pub async fn stop(&self) -> Result<Accepted, ApiError> {
        self.call(routes::STOP, routes::STOP.path, None::<&()>).await
    }

    /// Everything, then every change, for as long as the caller listens; a cockpit is attached meanwhile.
    pub fn feed(&self) -> Feed {
        Feed { client: self.clone(), stream: None, pause: Duration::ZERO }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        route: Route,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ApiError> {
        let answer = async {
            let response = self.send(route.method, path, body).await?;
            let status = response.status();
            let bytes = response.into_body().collect().await.map_err(|error| self.broken(&error))?.to_bytes();
            self.read(status, &bytes)
        };
        self.patient(route, answer).await
    }

    async fn patient<T>(&self, route: Route, answer: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        let mut answer = pin!(answer);
        if let Ok(answer) = timeout(SLOW, &mut answer).await {
            return answer;
        }
        if let Some(told) = self.awaits {
            told();
        }
        timeout(PATIENCE - SLOW, answer).await.unwrap_or_else(|_| {
            let what = format!("the engine did not answer {} within {} s", route.path, PATIENCE.as_secs());
            Err(ApiError::new(ErrorCode::Unreachable, what, "look at its log; `mayday engine stop` ends it in order"))
        })
    }

    fn read<T: DeserializeOwned>(&self, status: StatusCode, bytes: &[u8]) -> Result<T, ApiError> {
        if !status.is_success() {
            return Err(self.refused(status, bytes));
        }
        serde_json::from_slice(bytes).map_err(|error| self.nonsense(&error))
    }

    fn refused(&self, status: StatusCode, bytes: &[u8]) -> ApiError {
        serde_json::from_slice(bytes).unwrap_or_else(|error| self.nonsense(&format!("{status}, {error}")))
    }

    fn nonsense(&self, why: &dyn std::fmt::Display) -> ApiError {
        let what = format!("what answers on {} is no engine of this version: {why}", self.socket.display());
        ApiError::new(ErrorCode::Unreachable, what, "stop it (`mayday engine stop`) and start this version's")
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Response<Incoming>, ApiError> {
        let mut sender = self.connect().await?;
        let mut request = Request::builder().method(method).uri(path).header(HOST, "mayday");
        if let Some((session, read_only)) = &self.session {
            request = request.header(SESSION, session.as_str()).header(READ_ONLY, read_only.to_string());
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                serde_json::to_vec(body).map_err(|error| self.broken(&error))?
            }
            None => Vec::new(),
        };
        let request = request.body(Full::new(Bytes::from(bytes))).map_err(|error| self.broken(&error))?;
        sender.send_request(request).await.map_err(|error| self.broken(&error))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ApiError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(&error))?;
        self.believe(stream.peer_cred().ok().map(|peer| peer.uid()))?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| self.broken(&error))?;
        // The task ends with the connection.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Whether what listens on the socket is to be talked to at all: asked of the kernel before a word is said.
    fn believe(&self, peer: Option<u32>) -> Result<(), ApiError> {
        let own = rustix::process::geteuid().as_raw();
        let Some(uid) = peer else {
            let what = format!("the system does not say whose engine answers on {}", self.socket.display());
            return Err(ApiError::new(ErrorCode::Forbidden, what, "nothing was said to it; name another --socket"));
        };
        if uid == own || uid == 0 || Some(uid) == self.trusted {
            return Ok(());
        }
        let name = account(uid).unwrap_or_else(|| format!("uid {uid}"));
        let what = format!(
            "what answers on {} is run by {name}, and that is not you, not root, and nobody whom you named: nothing was said to it",
            self.socket.display()
        );
        let next = format!("if that is your team's engine, name its user: --engine-user {name}");
        Err(ApiError::new(ErrorCode::Forbidden, what, next))
    }

    fn unreachable(&self, error: &std::io::Error) -> ApiError {
        let what = format!("no engine answers on {} ({error})", self.socket.display());
        ApiError::new(ErrorCode::Unreachable, what, "start one: mayday engine")
    }

    fn broken(&self, error: &dyn std::error::Error) -> ApiError {
        let what = format!("the connection to the engine on {} broke: {error}", self.socket.display());
        ApiError::new(ErrorCode::Unreachable, what, "try again; the engine's journal knows what was done")
    }
}

fn with_id(route: Route, id: &PlanId) -> String {
    route.path.replace("{id}", &encode(id.as_str()))
}

/// Percent-encodes all that is not plain in a path.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What a feed brings.
#[derive(Clone, Debug)]
pub enum Fed {
    /// Everything: at first, after every loss, and when the listener could not keep up.
    Snapshot(Box<Snapshot>),
    Update(Update),
    /// Nothing has changed, and the engine is there.
    Alive,
    /// The engine is lost; the feed goes on looking for it.
    Lost(ApiError),
}

/// A stream of the engine's that reconnects by itself.
pub struct Feed {
    client: Client,
    stream: Option<(Incoming, Parser)>,
    pause: Duration,
}

impl Feed {
    /// Waits for what comes next. Safe to cancel: nothing that arrived is dropped.
    pub async fn next(&mut self) -> Fed {
        loop {
            let Some((body, parser)) = &mut self.stream else {
                match self.open().await {
                    Ok(()) => continue,
                    Err(error) => return Fed::Lost(error),
                }
            };
            if let Some(fed) = parser.next() {
                return fed;
            }
            let why: Box<dyn std::error::Error + Send + Sync> = match timeout(SILENCE, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    parser.buffer.extend(frame.data_ref().into_iter().flatten());
                    continue;
                }
                Ok(Some(Err(error))) => error.into(),
                Ok(None) => "it was closed".into(),
                Err(_) => "it has gone silent".into(),
            };
            self.stream = None;
            self.pause = RECONNECT.0;
            return Fed::Lost(self.client.broken(why.as_ref()));
        }
    }

    async fn open(&mut self) -> Result<(), ApiError> {
        sleep(self.pause).await;
        self.pause = (self.pause * 2).clamp(RECONNECT.0, RECONNECT.1);
        let session = self.client.session.as_ref();
        let query =
            session.map(|(session, read_only)| format!("?session={}&read_only={read_only}", encode(session.as_str())));
        let path = format!("{}{}", routes::EVENTS.path, query.unwrap_or_default());
        let opened = async {
            let response = self.client.send(routes::EVENTS.method, &path, None::<&()>).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response.into_body());
            }
            let body = response.into_body().collect().await.map_err(|error| self.client.broken(&error))?;
            Err(self.client.refused(status, &body.to_bytes()))
        };
        let silent = |_| Err(self.client.broken(&std::io::Error::from(std::io::ErrorKind::TimedOut)));
        self.stream = Some((timeout(SILENCE, opened).await.unwrap_or_else(silent)?, Parser::default()));
        Ok(())
    }
}

/// Cuts server-sent events out of a stream of bytes.
#[derive(Default)]
struct Parser {
    buffer: Vec<u8>,
    /// Up to here the buffer holds no end of an event.
    seen: usize,
}

impl Parser {
    fn next(&mut self) -> Option<Fed> {
        loop {
            let from = self.seen.saturating_sub(1);
            let Some(end) = self.buffer[from..].windows(2).position(|pair| pair == b"\n\n").map(|at| from + at) else {
                self.seen = self.buffer.len();
                return None;
            };
            let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
            self.seen = 0;
            if let Some(fed) = read(&event) {
                return Some(fed);
            }
        }
    }
}

/// An event of the two kinds there are, or a comment; what a newer engine might send is passed over.
fn read(event: &[u8]) -> Option<Fed> {
    let text = std::str::from_utf8(event).ok()?;
    if text.starts_with(':') {
        return Some(Fed::Alive);
    }
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
    let data = field("data:")?;
    match field("event:")? {
        "snapshot" => serde_json::from_str(data).ok().map(Fed::Snapshot),
        "update" => serde_json::from_str(data).ok().map(Fed::Update),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ones_own_engine_roots_and_the_named_one_are_talked_to() {
        let own = rustix::process::geteuid().as_raw();
        let (client, stranger) = (Client::new("s"), own + 4321);
        for right in [own, 0] {
            assert!(client.believe(Some(right)).is_ok());
        }
        for wrong in [Some(stranger), None] {
            assert_eq!(client.believe(wrong).unwrap_err().code, ErrorCode::Forbidden);
        }
        let said = client.believe(Some(stranger)).unwrap_err().to_string();
        assert!(said.contains("nothing was said to it") && said.contains("--engine-user"), "{said}");
        let team = client.trusting(Some(stranger));
        assert!(team.believe(Some(stranger)).is_ok() && team.believe(Some(stranger + 1)).is_err());
    }
}
