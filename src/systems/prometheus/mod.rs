//! Prometheus, and all that speak its HTTP API (<https://prometheus.io/docs/prometheus/latest/querying/api/>): any metric as a probe, as a
//! check of the checklist ("performance metrics normal"), and as a step that waits until values are right.
//!
//! # What an installation can look like
//!
//! | | |
//! |---|---|
//! | Prometheus 2 and 3, Thanos, Cortex and Mimir (`headers = { X-Scope-OrgID = "…" }`), VictoriaMetrics, a path before `/api` | asked |
//! | basic authentication, bearer, private authority, client certificate, a proxy on the way | `username` and `password`, `bearer_token`, `certificate_authority`, `client_certificate`, `proxy` |
//! | it does not answer, refuses, or answers in half ("warnings") | unknown, whatever is in the half: a dead Prometheus says nothing of what it watches |
//! | its clock differs from the engine's | unknown: its values are of another time |
//! | a query without values, as of a target that is not scraped any more | unknown, or what `empty` says |
//! | several series | the worst counts, and is named |
//! | a value that is no number | unknown |
//! | a range vector, a string | refused in words: "the query has to give an instant vector or a scalar" |
//! | Amazon Managed Prometheus, which wants SigV4 | not spoken: ask it through its proxy (aws-sigv4-proxy) |
//! | no bounds | refused: "nothing says which values are right" |

mod query;
mod steps;

use std::sync::Arc;

use async_trait::async_trait;

use self::query::Ask;
use self::steps::Holds;
use super::bounds::{DEGRADED_ABOVE, DEGRADED_BELOW, DOWN_ABOVE, DOWN_BELOW, EMPTY};
use super::http::exchange::Target;
use super::looking::Looking;
use super::reach::{
    BEARER, CERTIFICATE_AUTHORITY, CLIENT_CERTIFICATE, CLIENT_KEY, Credentials, PASSWORD, PROXY, RESOLVER, Reach,
    TLS_MINIMUM, USERNAME,
};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, Undo};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};

/// What both the probe and the step ask.
#[rustfmt::skip] // one row a line
const PARAMS: &[Param] = &[
    Param::required("query", ParamType::Text, "what is asked, in PromQL, for this moment"),
    DOWN_ABOVE,
    DOWN_BELOW,
    DEGRADED_ABOVE,
    DEGRADED_BELOW,
    EMPTY,
    Param::default("clock", ParamType::Span, "2m", "so far Prometheus's clock may differ from the engine's"),
];

pub static KIND: SystemKind = SystemKind {
    name: "prometheus",
    title: "Prometheus, or what speaks its query API",
    ambient: false,
    ways: &[],
    params: &[
        Param::required("url", ParamType::Url, "where it is, without /api/v1"),
        USERNAME,
        PASSWORD,
        BEARER,
        Param::optional("headers", ParamType::Headers, "headers to send, such as X-Scope-OrgID"),
        CERTIFICATE_AUTHORITY,
        CLIENT_CERTIFICATE,
        CLIENT_KEY,
        TLS_MINIMUM,
        RESOLVER,
        PROXY,
    ],
    probes: &[ProbeKind {
        name: "prometheus.query",
        title: "The values of a query are within their bounds",
        params: PARAMS,
    }],
    steps: &[StepKind {
        name: "prometheus.holds",
        title: "Wait until the values of a query are within their bounds",
        role: StepRole::Checks,
        undo: Undo::Nothing,
        instead: "",
        params: PARAMS,
    }],
    backups: &[],
};

/// Makes connections to Prometheus.
pub struct PrometheusFactory;

impl Factory for PrometheusFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, _around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let unsound = |why: String| Fault::permanent(spec.id.as_str(), why).next("run `mayday check`");
        let mut target = Target::new(spec.params.text("url")?, &spec.params).map_err(unsound)?;
        let path = format!("{}/api/v1/query", target.url.path().trim_end_matches('/'));
        target.url.set_path(&path);
        let credentials = Credentials::of(&spec.params);
        Reach::of(&spec.params).vet().and_then(|()| credentials.vet()).map_err(unsound)?;
        Ok(Arc::new(Prometheus(Arc::new(Server { id: spec.id.to_string(), target, credentials }))))
    }
}

/// One server.
pub struct Server {
    id: String,
    target: Target,
    credentials: Credentials,
}

struct Prometheus(Arc<Server>);

#[async_trait]
impl System for Prometheus {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        match Ask::of(&spec.params) {
            Ok(ask) => self.0.ask(&ask, spec.timeout.0.mul_f64(0.9)).await.reading(),
            Err(why) => Reading::unknown(why),
        }
    }

    fn refuses(&self, spec: &ProbeSpec) -> Option<Fault> {
        Ask::of(&spec.params).err().map(|why| Fault::permanent(&self.0.id, why))
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(&self.0.id, "metrics are no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        match spec.kind.as_str() {
            "prometheus.holds" => Ok(Arc::new(Looking(Holds::new(self.0.clone(), spec)?))),
            other => {
                Err(Fault::permanent(&self.0.id, format!("there is no step `{other}`")).next("run `mayday kinds`"))
            }
        }
    }
}
