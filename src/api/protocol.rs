//! What goes over the socket.

use serde::{Deserialize, Serialize};

use crate::domain::command::Refusal;
use crate::domain::ids::{IncidentId, PlanId};
use crate::domain::journal::JournalFault;

/// A cockpit names its session in this header; a command line sends none.
pub const SESSION: &str = "x-mayday-session";
/// Set to `true` by a cockpit that may never change anything.
pub const READ_ONLY: &str = "x-mayday-read-only";

/// A route: what the server answers, the client calls and the document describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub method: &'static str,
    /// As axum and OpenAPI write it: `/v1/plans/{id}`.
    pub path: &'static str,
    /// Parameters of the query, each with its JSON type; all may be left out.
    pub query: &'static [(&'static str, &'static str)],
    pub summary: &'static str,
    /// Names of schemas in the document; empty for none.
    pub request: &'static str,
    pub response: &'static str,
}

macro_rules! routes {
    ($($name:ident = $method:literal $path:literal $query:expr, $summary:literal, $request:literal => $response:literal;)+) => {
        $(pub const $name: Route = Route {
            method: $method, path: $path, query: &$query, summary: $summary, request: $request, response: $response,
        };)+
        /// Every route.
        pub const ROUTES: &[Route] = &[$($name),+];
    };
}

routes! {
    SNAPSHOT = "GET" "/v1/snapshot" [], "Everything: estate, plans, state, and what is true now", "" => "Snapshot";
    EVENTS = "GET" "/v1/events" [("session", "string"), ("read_only", "boolean")],
        "A server-sent stream: one `snapshot`, then every `update`", "" => "Update";
    COMMANDS = "POST" "/v1/commands" [], "Ask for something", "Ask" => "Accepted";
    ALERTS = "POST" "/v1/alerts" [],
        "What other monitoring says: Alertmanager's webhook, or a CloudWatch alarm as SNS or EventBridge carries it", "Sending" => "Accepted";
    LOOKS = "POST" "/v1/looks" [], "Say what this attached cockpit looks at, for the others to see", "Gaze" => "Accepted";
    PREVIEW = "POST" "/v1/plans/{id}/preview" [], "Every step of a plan held against reality; nothing is changed", "" => "StepPreviews";
    BY_HAND = "GET" "/v1/plans/{id}/by-hand" [("remaining", "boolean")],
        "The commands that do a plan without Mayday", "" => "StepsByHand";
    READINESS = "POST" "/v1/readiness" [("plan", "string")],
        "Hold one plan, or all, against reality now; nothing is changed", "" => "Assessments";
    WITHOUT = "POST" "/v1/readiness/without/{id}" [("plan", "string")],
        "Hold one plan, or all that leave the region, against reality without it, and list what breaks", "" => "Without";
    METRICS = "GET" "/v1/metrics" [], "Freshness, exposure, readiness and clocks in the Prometheus text format", "" => "Metrics";
    DRAFTS = "GET" "/v1/drafts" [("note", "string")], "Every update as it would be sent now; nothing is sent", "" => "Messages";
    JOURNAL = "GET" "/v1/journal" [("after", "integer"), ("limit", "integer")],
        "Records after a number, in order", "" => "Records";
    VERIFY = "GET" "/v1/journal/verify" [], "Recompute the journal's chain", "" => "Chain";
    HEAD = "GET" "/v1/journal/head" [("head", "string")],
        "The newest record whose hash begins with these digits", "" => "NotedHead";
    REPORT = "GET" "/v1/report" [("incident", "string")],
        "The review of an incident, or of the latest one: Markdown, HTML and JSON", "" => "Documents";
    OPENAPI = "GET" "/v1/openapi.json" [], "This document", "" => "Document";
    RELOAD = "POST" "/v1/reload" [], "Take the config that is on disk, if it is valid and no run is under way", "" => "Accepted";
    STOP = "POST" "/v1/stop" [], "End the engine in order; a run in flight is continued by the next one", "" => "Accepted";
}

impl Route {
    /// What the body of its answer is.
    pub fn media(&self) -> &'static str {
        match self.path {
            path if path == EVENTS.path => "text/event-stream",
            path if path == METRICS.path => METRICS_MEDIA,
            _ => "application/json",
        }
    }
}

/// The query of [`EVENTS`]: a cockpit attaches by naming its session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EventsQuery {
    pub session: Option<String>,
    #[serde(default)]
    pub read_only: bool,
}

/// The query of [`JOURNAL`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct JournalQuery {
    #[serde(default)]
    pub after: u64,
    pub limit: Option<usize>,
}

/// The query of [`HEAD`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HeadQuery {
    #[serde(default)]
    pub head: String,
}

/// The answer to [`HEAD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NotedHead {
    /// `None`: the journal never had it.
    pub record: Option<u64>,
}

/// The query of [`REPORT`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReportQuery {
    pub incident: Option<IncidentId>,
}

/// The query of [`BY_HAND`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ByHandQuery {
    /// Only what the run under way has not done.
    #[serde(default)]
    pub remaining: bool,
}

/// The query of [`READINESS`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReadinessQuery {
    pub plan: Option<PlanId>,
}

/// The query of [`DRAFTS`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DraftsQuery {
    /// Put into what is written.
    #[serde(default)]
    pub note: String,
}

/// The media type of Prometheus' text format.
pub const METRICS_MEDIA: &str = "text/plain; version=0.0.4";

/// The kinds of failure, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// A rule or the state of things stands against it.
    Refused,
    /// It could not be made durable, so it was not done.
    Journal,
    /// No engine answers.
    Unreachable,
    /// The peer is not allowed to talk to this engine.
    Forbidden,
    /// The request makes no sense.
    BadRequest,
    /// The engine is stopping.
    Stopping,
    /// The config on disk has mistakes.
    Config,
}

/// What went wrong; nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[error("{what}{}", if next.is_empty() { String::new() } else { format!(" → {next}") })]
pub struct ApiError {
    pub code: ErrorCode,
    pub what: String,
    /// What to press or run next.
    #[serde(default)]
    pub next: String,
    /// Why it was refused, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

impl ApiError {
    pub fn new(code: ErrorCode, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, what: what.into(), next: next.into(), refusal: None }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (what, next) = (refusal.why.clone(), refusal.next.clone());
        Self { code: ErrorCode::Refused, what, next, refusal: Some(refusal) }
    }
}

impl From<JournalFault> for ApiError {
    fn from(fault: JournalFault) -> Self {
        Self::new(ErrorCode::Journal, format!("journal: {}", fault.what), fault.next)
    }
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Accepted {
    /// The number of the latest record when it was done.
    pub seq: u64,
    /// A word for whoever asked.
    #[serde(default)]
    pub note: Option<String>,
}
