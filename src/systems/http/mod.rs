//! HTTP as clients see it: is it there, does it serve, and how new is what it serves.

mod exchange;
mod integrity;
mod login;
mod steps;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;

use self::exchange::{HOST, Reply, Target, UNASKED};
use self::steps::{Measure, Transaction};
use super::looking::Looking;
use crate::domain::backup::rough;
use crate::domain::checklist::Tally;
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, Undo};
use crate::domain::params::Params;
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::time::{At, Span, seconds_between};

const URL: Param = Param::required("url", ParamType::Url, "what is asked for");
const RESOLVER: Param = Param::default(
    "resolver",
    ParamType::Text,
    HOST,
    "the DNS server that says where the URL's host is, as host:port; `host` is this host's own resolver, with its cache",
);

pub static KIND: SystemKind = SystemKind {
    name: "http",
    title: "HTTP as clients see it",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[
        ProbeKind {
            name: "http.get",
            title: "A URL answers as it should",
            params: &[
                URL,
                Param::optional(
                    "expect_status",
                    ParamType::Integer,
                    "the status that is right; 200 to 299 when left out",
                ),
                Param::optional("body_contains", ParamType::Text, "what has to stand in the body"),
                Param::optional("slow", ParamType::Span, "an answer that takes longer is degraded"),
                Param::default(
                    "certificate",
                    ParamType::Span,
                    "14d",
                    "with https: a certificate that ends sooner than this from now is degraded",
                ),
                Param::optional(
                    "certificate_authority",
                    ParamType::Text,
                    "a PEM file with the only authorities to trust; those of this host when left out",
                ),
                RESOLVER,
            ],
        },
        ProbeKind {
            name: integrity::INTEGRITY,
            title: "The application counts and sums up what its stores hold: compared with the time before an incident",
            params: &[
                Param::required(
                    "url",
                    ParamType::Url,
                    "what answers with a count, and a checksum if it can, for each store",
                ),
                RESOLVER,
                Param::default(
                    "until",
                    ParamType::Text,
                    "until",
                    "the query parameter that limits it to what was written until a moment (RFC 3339)",
                ),
                Param::default(
                    "pointer",
                    ParamType::Text,
                    "/stores",
                    "where the answer holds the stores, as a JSON pointer: { name: { count, checksum } }",
                ),
            ],
        },
        ProbeKind {
            name: login::LOGIN,
            title: "A synthetic user signs in, and the session is good for something",
            params: &[
                Param::required("url", ParamType::Url, "what takes a username and a password, as JSON, by POST"),
                Param::required("username", ParamType::Text, "a user made for this, who may do nothing"),
                Param::required("password", ParamType::Secret, "where the password of that user is kept"),
                Param::default("token_pointer", ParamType::Text, "/token", "where the answer holds the token"),
                Param::required(
                    "session_url",
                    ParamType::Url,
                    "what says who is signed in, to the bearer of that token",
                ),
                Param::default("user_pointer", ParamType::Text, "/user", "where that answer says who it is"),
                RESOLVER,
            ],
        },
    ],
    steps: &[
        StepKind {
            name: "http.transaction",
            title: "Use the application as a client does: write, read back, and see who served",
            role: StepRole::Synthetic,
            undo: Undo::Nothing,
            instead: "",
            params: &[
                Param::required("url", ParamType::Url, "what a POST makes the application write and read back"),
                RESOLVER,
                Param::default("times", ParamType::Integer, "2", "so many successes in a row, 1 to 5"),
                Param::default(
                    "region_pointer",
                    ParamType::Text,
                    "/region",
                    "where the answer says which region served, as a JSON pointer; compared with the step's region",
                ),
                Param::default("written_pointer", ParamType::Text, "/written", "where it says what was written"),
                Param::default("read_pointer", ParamType::Text, "/read", "where it says what was read back"),
            ],
        },
        StepKind {
            name: "http.recovery-point",
            title: "Read from the application how new its data is",
            role: StepRole::Measures,
            undo: Undo::Nothing,
            instead: "",
            params: &[
                URL,
                RESOLVER,
                Param::required(
                    "pointer",
                    ParamType::Text,
                    "where the answer holds the moment of the newest write (RFC 3339), as a JSON pointer",
                ),
            ],
        },
    ],
    backups: &[],
};

/// Makes the one connection there is: none.
pub struct HttpFactory;

impl Factory for HttpFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }
    fn connect(&self, _spec: &SystemSpec, _around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        Ok(Arc::new(Http))
    }
}

struct Http;

#[async_trait]
impl System for Http {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        match spec.kind.as_str() {
            integrity::INTEGRITY => return integrity::probe(spec).await,
            login::LOGIN => return login::probe(spec).await,
            _ => {}
        }
        let params = &spec.params;
        let target = match params.text("url").map_err(|fault| fault.what) {
            Ok(url) => Target::new(url, params.opt_text("resolver"))
                .map(|target| target.trusting(params.opt_text("certificate_authority"))),
            Err(why) => Err(why),
        };
        match target {
            // A little sooner than the caller, so that the reading can say what happened.
            Ok(target) => match target.ask(Method::GET, spec.timeout.0.mul_f64(0.9)).await {
                Ok(reply) => judge(&reply, params, At::now()),
                Err(why) if why.starts_with(UNASKED) => Reading::unknown(why),
                Err(why) => Reading::down(why),
            },
            Err(why) => Reading::unknown(why),
        }
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(KIND.name, "HTTP holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn tallies(&self, kind: &str) -> bool {
        kind == integrity::INTEGRITY
    }

    async fn tally(&self, spec: &ProbeSpec, until: At) -> Result<Tally, Fault> {
        integrity::tally(spec, Some(until), spec.timeout.0.mul_f64(0.9)).await
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        match spec.kind.as_str() {
            "http.transaction" => Ok(Arc::new(Looking(Transaction::new(spec)?))),
            "http.recovery-point" => Ok(Arc::new(Looking(Measure::new(spec)?))),
            other => Err(Fault::permanent(KIND.name, format!("there is no step `{other}`")).next("run `mayday kinds`")),
        }
    }
}

/// Whoever is refused or held back has learnt nothing about the service.
fn judge(reply: &Reply, params: &Params, now: At) -> Reading {
    let (expected, contains) = (params.opt_integer("expect_status"), params.opt_text("body_contains"));
    let right = expected.map_or_else(|| reply.is_success(), |status| u64::from(reply.status) == status);
    let reading = match (right, contains) {
        (true, Some(part)) if !reply.body.contains(part) => {
            Reading::down(format!("`{part}` is not in the answer: {}", reply.words()))
        }
        (true, _) => match late(reply, params).or_else(|| ending(reply, params, now)) {
            Some(why) => Reading::degraded(format!("{} {why}", reply.status)),
            None => Reading::healthy(format!("{} in {} ms", reply.status, reply.took.as_millis())),
        },
        (false, _) if matches!(reply.status, 401 | 403 | 429) => {
            Reading::unknown(format!("Mayday is refused: {}", reply.words()))
        }
        (false, _) => Reading::down(reply.words()),
    };
    reading.took(reply.took)
}

fn late(reply: &Reply, params: &Params) -> Option<String> {
    let slow = params.opt_span("slow").filter(|slow| reply.took > *slow)?;
    Some(format!("in {} ms; up to {} is well", reply.took.as_millis(), Span(slow)))
}

/// Of a certificate that is about to end. One that has ended, or that nobody here trusts, gets no answer in the first place.
fn ending(reply: &Reply, params: &Params, now: At) -> Option<String> {
    let (ends, least) = (reply.certificate_ends?, params.opt_span("certificate")?);
    let left = seconds_between(now, ends);
    let soon = left < least.as_secs_f64();
    soon.then(|| format!("and its certificate ends in {}; {} is well", rough(left), Span(least)))
}
