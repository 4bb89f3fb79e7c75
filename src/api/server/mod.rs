//! The server: bounded, and only for the owner of the socket, or for the group that the owner shares it with.

mod admission;
mod engines;
mod events;
mod listen;
mod patient;
mod peer;
pub mod scrape;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Extension, Path as UrlPath, Query, Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response, Sse as SseBody};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use futures::Stream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::admission::{NotShared, share};
pub use self::engines::{Engines, Reload};
use self::events::Feed;
pub use self::listen::{Limits, listen, serve};
use self::peer::Peer;
use super::openapi;
use super::protocol::{
    self as routes, Accepted, ApiError, ByHandQuery, DraftsQuery, ErrorCode, EventsQuery, HeadQuery, JournalQuery,
    METRICS_MEDIA, NotedHead, ReadinessQuery, ReportQuery, Route,
};
use crate::domain::actor::{Actor, Origin};
use crate::domain::command::{Ask, Refusal, RefusalReason};
use crate::domain::ids::{PlanId, RegionId, SessionId};
use crate::domain::live::Gaze;
use crate::domain::view::Snapshot;
use crate::engine::Handle;

/// The largest body of a sending of alerts, in bytes.
const ALERTS_BODY: usize = 1024 * 1024;
/// The most records that one request for the journal gets.
const RECORDS: usize = 10_000;
/// A comment goes out this often, so that a dead peer is noticed on both sides.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Said to whoever comes with a session of another user's.
const NOT_YOURS: &str = "this session is another user's";

/// What the handlers share.
#[derive(Clone)]
struct Site {
    engines: Engines,
    /// Room for those who listen to the stream of events.
    observers: Arc<Semaphore>,
    limits: Limits,
    /// Cancelled when somebody asks the engine to stop.
    stop: CancellationToken,
}

impl Site {
    /// The engine that answers now.
    fn engine(&self) -> Handle {
        self.engines.now()
    }
}

fn router(site: Site) -> Router {
    let table: [(Route, MethodRouter<Site>); 18] = [
        (routes::SNAPSHOT, get(snapshot)),
        (routes::EVENTS, get(events)),
        (routes::COMMANDS, post(commands)),
        (routes::ALERTS, post(alerts)),
        (routes::LOOKS, post(looks)),
        (routes::PREVIEW, post(preview)),
        (routes::BY_HAND, get(by_hand)),
        (routes::READINESS, post(readiness)),
        (routes::WITHOUT, post(without)),
        (routes::METRICS, get(metrics)),
        (routes::DRAFTS, get(drafts)),
        (routes::JOURNAL, get(journal)),
        (routes::VERIFY, get(verify)),
        (routes::HEAD, get(head)),
        (routes::REPORT, get(report)),
        (routes::OPENAPI, get(|| async { Json(openapi::document()) })),
        (routes::RELOAD, post(reload)),
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
        .layer(middleware::from_fn_with_state(site.limits, gather))
        .layer(middleware::from_fn_with_state(site.limits.group, admission::admit))
        .with_state(site)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match self.code {
            ErrorCode::Refused => StatusCode::CONFLICT,
            ErrorCode::Journal => StatusCode::INSUFFICIENT_STORAGE,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
            ErrorCode::Config => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::Unreachable | ErrorCode::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        // Whoever was refused, and keeps its connection, keeps somebody else out.
        (status, [(CONNECTION, "close")], Json(self)).into_response()
    }
}

/// Takes the body of a request in before anything is done about it: it has to be small, and to arrive.
async fn gather(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let refused = |what: String| ApiError::new(ErrorCode::BadRequest, what, "nothing was done; send it again");
    // Alertmanager sends whole groups.
    let most = if head.uri.path() == routes::ALERTS.path { limits.body.max(ALERTS_BODY) } else { limits.body };
    match timeout(limits.sending, axum::body::to_bytes(body, most)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => {
            let kilobytes = most / 1024;
            refused(format!("the body broke off, or is larger than {kilobytes} KiB")).into_response()
        }
        Err(_) => refused(format!("the body did not arrive within {} s", limits.sending.as_secs())).into_response(),
    }
}

async fn snapshot(State(site): State<Site>) -> Json<Snapshot> {
    Json(site.engine().snapshot())
}

async fn commands(
    State(site): State<Site>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Json<Ask>, JsonRejection>,
) -> Result<Json<Accepted>, ApiError> {
    let Json(ask) = body.map_err(|error| {
        ApiError::new(ErrorCode::BadRequest, error.body_text(), "the commands are listed by GET /v1/openapi.json")
    })?;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let read_only = header(routes::READ_ONLY) == Some("true");
    let origin = match header(routes::SESSION) {
        Some(session) => {
            let session = SessionId::from(session);
            if site.engine().holder(&session).is_some_and(|uid| Some(uid) != peer.uid) {
                return Err(ApiError::new(ErrorCode::Forbidden, NOT_YOURS, "attach a cockpit of your own"));
            }
            Origin::Cockpit { session, read_only }
        }
        None => Origin::CommandLine,
    };
    let accepted = site.engines.ask(&site.stop, &peer.actor(), &origin, &ask).await?;
    Ok(Json(Accepted { seq: accepted.seq, note: accepted.note }))
}

/// What other monitoring says, whoever brings it.
async fn alerts(
    State(site): State<Site>,
    Extension(peer): Extension<Peer>,
    body: axum::body::Bytes,
) -> Result<Json<Accepted>, ApiError> {
    hear(&site.engines, &site.stop, &peer.actor(), &body).await.map(Json)
}

/// Hands the alerts of a sending to the engine.
async fn hear(engines: &Engines, stop: &CancellationToken, actor: &Actor, body: &[u8]) -> Result<Accepted, ApiError> {
    let (alerts, left) = super::alerts::read(body).map_err(|why| {
        let next = "send Alertmanager's webhook, or the JSON of a CloudWatch alarm as SNS carries it";
        ApiError::new(ErrorCode::BadRequest, why, next)
    })?;
    let accepted = engines.ask(stop, actor, &Origin::CommandLine, &Ask::TakeAlerts { alerts }).await?;
    let note = [accepted.note, left].into_iter().flatten().collect::<Vec<_>>().join("; ");
    Ok(Accepted { seq: accepted.seq, note: Some(note) })
}

async fn reload(State(site): State<Site>, Extension(peer): Extension<Peer>) -> Result<Json<Accepted>, ApiError> {
    site.engines.reload(peer.actor()).await.map(Json)
}

async fn looks(
    State(site): State<Site>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Json<Gaze>, JsonRejection>,
) -> Result<Json<Accepted>, ApiError> {
    let Json(at) = body.map_err(|error| {
        ApiError::new(ErrorCode::BadRequest, error.body_text(), "the fields are listed by GET /v1/openapi.json")
    })?;
    let session = headers.get(routes::SESSION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if site.engine().looks(&SessionId::from(session), peer.uid, at) {
        return Ok(Json(Accepted { seq: site.engine().snapshot().state.seq, note: None }));
    }
    Err(ApiError::new(ErrorCode::Refused, "no cockpit of yours is attached by this name", "attach first"))
}

async fn preview(State(site): State<Site>, id: Result<UrlPath<String>, PathRejection>) -> Result<Response, ApiError> {
    Ok(Json(site.engine().preview(&plan(id)?).await?).into_response())
}

async fn by_hand(
    State(site): State<Site>,
    id: Result<UrlPath<String>, PathRejection>,
    query: Result<Query<ByHandQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    Ok(Json(site.engine().by_hand(&plan(id)?, asked(query)?.remaining)?).into_response())
}

async fn readiness(
    State(site): State<Site>,
    query: Result<Query<ReadinessQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = asked(query)?.plan;
    if let Some(plan) = &asked {
        site.engine().is_planned(plan)?;
    }
    Ok(Json(site.engine().assess(asked.as_ref()).await).into_response())
}

async fn without(
    State(site): State<Site>,
    region: Result<UrlPath<String>, PathRejection>,
    query: Result<Query<ReadinessQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let (region, asked) = (RegionId::from(plan(region)?.as_str()), asked(query)?.plan);
    if let Some(plan) = &asked {
        site.engine().is_planned(plan)?;
    }
    Ok(Json(site.engine().without(&region, asked.as_ref()).await?).into_response())
}

async fn drafts(
    State(site): State<Site>,
    query: Result<Query<DraftsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    Ok(Json(site.engine().drafts(&asked(query)?.note).await).into_response())
}

async fn metrics(State(site): State<Site>) -> Response {
    ([(CONTENT_TYPE, METRICS_MEDIA)], crate::api::metrics::text(&site.engine().snapshot())).into_response()
}

fn plan(id: Result<UrlPath<String>, PathRejection>) -> Result<PlanId, ApiError> {
    let nonsense = |error: PathRejection| ApiError::new(ErrorCode::BadRequest, error.body_text(), "name a plan");
    id.map(|UrlPath(id)| PlanId::from(id)).map_err(nonsense)
}

fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    let nonsense = |error: QueryRejection| {
        ApiError::new(ErrorCode::BadRequest, error.body_text(), "the parameters are listed by GET /v1/openapi.json")
    };
    query.map(|Query(query)| query).map_err(nonsense)
}

async fn journal(
    State(site): State<Site>,
    query: Result<Query<JournalQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let query = asked(query)?;
    let limit = query.limit.unwrap_or(RECORDS).min(RECORDS);
    Ok(Json(site.engine().journal().read(query.after, limit).await?).into_response())
}

async fn verify(State(site): State<Site>) -> Result<Response, ApiError> {
    Ok(Json(site.engine().journal().verify().await?).into_response())
}

async fn head(State(site): State<Site>, query: Result<Query<HeadQuery>, QueryRejection>) -> Result<Response, ApiError> {
    Ok(Json(NotedHead { record: site.engine().journal().find(&asked(query)?.head).await? }).into_response())
}

async fn report(
    State(site): State<Site>,
    query: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = asked(query)?.incident;
    let found = site.engine().review(asked.as_ref()).await?;
    let missing = || match &asked {
        Some(id) => {
            Refusal::new(RefusalReason::NotFound, format!("there is no incident `{id}`"), "mayday incident list")
        }
        None => {
            Refusal::new(RefusalReason::NotFound, "no incident was declared yet", "press D, or mayday incident declare")
        }
    };
    Ok(Json(found.ok_or_else(missing)?).into_response())
}

async fn stop(State(site): State<Site>) -> Json<Accepted> {
    let seq = site.engine().snapshot().state.seq;
    site.stop.cancel();
    Json(Accepted { seq, note: Some("the engine stops".into()) })
}

async fn events(
    State(site): State<Site>,
    Extension(peer): Extension<Peer>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<SseBody<impl Stream<Item = Result<Sse, Infallible>>>, ApiError> {
    let feed = Feed::open(site, &peer, asked(query)?)?;
    let stream = futures::stream::unfold(feed, async |mut feed| Some((Ok(feed.next().await?), feed)));
    Ok(SseBody::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
