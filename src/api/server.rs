//! The server: bounded, and only for the owner of the socket.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path as UrlPath, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response, Sse as SseBody};
use axum::routing::{MethodRouter, get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use futures::Stream;
use tokio::net::UnixListener;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::openapi;
use super::protocol::{self as routes, Accepted, ApiError, ByHandQuery, ErrorCode, EventsQuery, JournalQuery, Route};
use crate::domain::actor::{Actor, Origin};
use crate::domain::command::Ask;
use crate::domain::ids::{PlanId, SessionId};
use crate::domain::live::Attached;
use crate::domain::view::{Snapshot, Update};
use crate::engine::{Denied, Handle};

/// The largest request body that is read.
const BODY: usize = 64 * 1024;
/// The most records that one request for the journal gets.
const RECORDS: usize = 10_000;
/// A comment goes out this often, so that a dead peer is noticed on both sides.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// What the handlers share.
#[derive(Clone)]
struct Site {
    engine: Handle,
    /// Cancelled when somebody asks the engine to stop.
    stop: CancellationToken,
}

/// Who is at the other end of a connection, as the kernel says.
#[derive(Clone, Debug)]
struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self { uid: stream.io().peer_cred().ok().map(|peer| peer.uid()) }
    }
}

impl Peer {
    fn actor(&self) -> Actor {
        let uid = self.uid.unwrap_or(u32::MAX);
        let name = uzers::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned());
        Actor { name: name.unwrap_or_else(|| format!("uid {uid}")), uid: Some(uid) }
    }
}

/// Listens on a socket that only its owner can open. One that a dead engine left behind is replaced.
///
/// # Errors
/// When another engine answers there, or the path cannot be listened on.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    if path.exists() {
        if BlockingStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another engine answers there"));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `stop` is cancelled; a request to stop cancels it too.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(listener: UnixListener, path: PathBuf, engine: Handle, stop: CancellationToken) -> io::Result<()> {
    let app = router(Site { engine, stop: stop.clone() }).into_make_service_with_connect_info::<Peer>();
    let served = tokio::select! {
        served = async { axum::serve(listener, app).await } => served,
        () = stop.cancelled() => Ok(()),
    };
    // A socket that stays behind is recognised and replaced by the next engine.
    let _ = fs::remove_file(path);
    served
}

fn router(site: Site) -> Router {
    let table: [(Route, MethodRouter<Site>); 9] = [
        (routes::SNAPSHOT, get(snapshot)),
        (routes::EVENTS, get(events)),
        (routes::COMMANDS, post(commands)),
        (routes::PREVIEW, post(preview)),
        (routes::BY_HAND, get(by_hand)),
        (routes::JOURNAL, get(journal)),
        (routes::VERIFY, get(verify)),
        (routes::OPENAPI, get(|| async { Json(openapi::document()) })),
        (routes::STOP, post(stop)),
    ];
    let router = table.into_iter().fold(Router::new(), |router, (route, handler)| router.route(route.path, handler));
    let lost = |request: Request| async move {
        let known: Vec<&str> = routes::ROUTES.iter().map(|route| route.path).collect();
        let what = format!("there is nothing at {} {}", request.method(), request.uri().path());
        ApiError::new(ErrorCode::BadRequest, what, format!("there is {}", known.join(", ")))
    };
    router
        .fallback(lost)
        .method_not_allowed_fallback(lost)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn(admit))
        .with_state(site)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match self.code {
            ErrorCode::Refused => StatusCode::CONFLICT,
            ErrorCode::Journal => StatusCode::INSUFFICIENT_STORAGE,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::Unreachable | ErrorCode::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(self)).into_response()
    }
}

/// Only the engine's own user, and root, may talk to it: the mode of the socket says so too.
async fn admit(ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    let own = rustix::process::getuid().as_raw();
    if peer.uid.is_some_and(|uid| uid == own || uid == 0) {
        return next.run(request).await;
    }
    let next = "ask its owner, or run your own engine";
    ApiError::new(ErrorCode::Forbidden, "this engine belongs to another user", next).into_response()
}

async fn snapshot(State(site): State<Site>) -> Json<Snapshot> {
    Json(site.engine.snapshot())
}

async fn commands(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    body: Result<Json<Ask>, JsonRejection>,
) -> Result<Json<Accepted>, ApiError> {
    let Json(ask) = body.map_err(|error| {
        ApiError::new(ErrorCode::BadRequest, error.body_text(), "the commands are listed by GET /v1/openapi.json")
    })?;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let read_only = header(routes::READ_ONLY) == Some("true");
    let origin = match header(routes::SESSION) {
        Some(session) => Origin::Cockpit { session: SessionId::from(session), read_only },
        None => Origin::CommandLine,
    };
    let accepted = site.engine.ask(peer.actor(), origin, ask).await.map_err(|denied| match denied {
        Denied::Refused(refusal) => ApiError::from(refusal),
        Denied::Journal(fault) => ApiError::from(fault),
        Denied::Stopped => {
            ApiError::new(ErrorCode::Stopping, "the engine is stopping", "start it again: mayday engine")
        }
    })?;
    Ok(Json(Accepted { seq: accepted.seq, note: accepted.note }))
}

async fn preview(State(site): State<Site>, UrlPath(id): UrlPath<String>) -> Result<Response, ApiError> {
    Ok(Json(site.engine.preview(&PlanId::from(id)).await?).into_response())
}

async fn by_hand(
    State(site): State<Site>,
    UrlPath(id): UrlPath<String>,
    Query(query): Query<ByHandQuery>,
) -> Result<Response, ApiError> {
    Ok(Json(site.engine.by_hand(&PlanId::from(id), query.remaining)?).into_response())
}

async fn journal(State(site): State<Site>, Query(query): Query<JournalQuery>) -> Result<Response, ApiError> {
    let limit = query.limit.unwrap_or(RECORDS).min(RECORDS);
    Ok(Json(site.engine.journal().read(query.after, limit).await?).into_response())
}

async fn verify(State(site): State<Site>) -> Result<Response, ApiError> {
    Ok(Json(site.engine.journal().verify().await?).into_response())
}

async fn stop(State(site): State<Site>) -> Json<Accepted> {
    let seq = site.engine.snapshot().state.seq;
    site.stop.cancel();
    Json(Accepted { seq, note: Some("the engine stops".into()) })
}

async fn events(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(query): Query<EventsQuery>,
) -> SseBody<impl Stream<Item = Result<Sse, Infallible>>> {
    let attachment = query.session.map(|session| Attachment::new(&site.engine, session.into(), &peer, query.read_only));
    let (snapshot, updates) = site.engine.subscribe();
    let feed = Feed { engine: site.engine, snapshot: Some(Box::new(snapshot)), updates, _attachment: attachment };
    let stream = futures::stream::unfold(feed, async |mut feed| Some((Ok(feed.next().await?), feed)));
    SseBody::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// One listener: first everything, then every change; everything again when it could not keep up.
struct Feed {
    engine: Handle,
    snapshot: Option<Box<Snapshot>>,
    updates: Receiver<Update>,
    _attachment: Option<Attachment>,
}

impl Feed {
    async fn next(&mut self) -> Option<Sse> {
        loop {
            if let Some(snapshot) = self.snapshot.take() {
                return sse("snapshot", &snapshot);
            }
            match self.updates.recv().await {
                Ok(update) => return sse("update", &update),
                Err(RecvError::Lagged(_)) => {
                    let (snapshot, updates) = self.engine.subscribe();
                    (self.snapshot, self.updates) = (Some(Box::new(snapshot)), updates);
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn sse(name: &str, value: &impl serde::Serialize) -> Option<Sse> {
    Sse::default().event(name).json_data(value).ok()
}

/// A cockpit is attached for as long as it listens.
struct Attachment {
    engine: Handle,
    session: SessionId,
    actor: Actor,
}

impl Attachment {
    fn new(engine: &Handle, session: SessionId, peer: &Peer, read_only: bool) -> Self {
        let actor = peer.actor();
        let since = engine.snapshot().now;
        let who = Attached { name: actor.name.clone(), uid: peer.uid.unwrap_or(u32::MAX), since, read_only };
        engine.attach(session.clone(), who);
        Self { engine: engine.clone(), session, actor }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let (engine, session, actor) = (self.engine.clone(), self.session.clone(), self.actor.clone());
        tokio::spawn(async move { engine.detach(&session, actor).await });
    }
}
