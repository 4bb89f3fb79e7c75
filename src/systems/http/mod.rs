//! HTTP as clients see it: is it there, does it serve, and how new is what it serves.
//!
//! # What an installation can look like
//!
//! | | |
//! |---|---|
//! | several addresses of one name, IPv4 and IPv6, some dead | the first that answers, as RFC 8305 says; the dead are named in the words |
//! | HTTP/1.0, 1.1, and 2 where TLS agrees on it (ALPN) | spoken; HTTP/3 is not, and 0.9 is down |
//! | a head as old servers write it: odd or folded headers, thousands of them, words before the answer (103) | read as curl does |
//! | TLS 1.2 with forward secrecy, 1.3; `tls_minimum` | spoken; a server without either is unknown: "it has no TLS in common with Mayday" |
//! | a certificate of X.509's version 1, as `openssl x509 -req` makes it without extensions | unknown: "is not read here" |
//! | a private authority, a self-signed certificate named as it | `certificate_authority`; the certificate is then trusted as it is, for its names and its time |
//! | a server that wants a client certificate | unknown, "Mayday is refused", until `client_certificate` and `client_key` are given |
//! | a connection closed without TLS's farewell | borne where nothing else ends the body (RFC 9112, section 6.3); broken off where a length was told |
//! | gzip and deflate, asked for or not; UTF-8 (with a mark, too) and Latin-1 | read; other codings and charsets make unknown what was looked for in them, never "is not in the answer" |
//! | a body that is large or has no end | read until what is looked for is there, up to 4 MiB and the timeout; beyond that unknown |
//! | a body with a length that does not come | down: a client waits for it |
//! | redirects | not followed, and where they lead is said; `follow` allows some: never to another scheme or a link-local address, and what proves who asks goes to the same host alone |
//! | basic authentication, bearer, keys | `username` and `password`, `bearer_token`, `api_key`: from where secrets are kept; refused in `headers` by `mayday check` |
//! | 401, 403, 407, 429 | unknown, "Mayday is refused", unless `expect_status` says that they are right |
//! | this host has no name server, route, descriptor, file | unknown, "nobody could be asked" |
//! | a forward proxy | probes and steps go directly unless `proxy` names one, or says `environment`: then https goes through a tunnel; that the proxy fails or refuses is unknown, "cannot reach it" (502 to 504) is down. SOCKS, a proxy behind TLS and a login in the config are refused by `mayday check` |

pub mod exchange;
mod get;
mod integrity;
mod login;
mod steps;

use std::sync::Arc;

use async_trait::async_trait;

use self::get::Wallet;
use self::steps::{Measure, Transaction};
use super::looking::Looking;
use super::reach::{CERTIFICATE_AUTHORITY, CLIENT_CERTIFICATE, CLIENT_KEY, PROXY, RESOLVER, Reach};
use crate::domain::checklist::Tally;
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, Undo};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::time::At;

const URL: Param = Param::required("url", ParamType::Url, "what is asked for");

pub static KIND: SystemKind = SystemKind {
    name: "http",
    title: "HTTP as clients see it",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[
        ProbeKind { name: "http.get", title: "A URL answers as it should", params: get::PARAMS },
        ProbeKind {
            name: integrity::INTEGRITY,
            title: "The application counts and sums up what its stores hold: compared with the time before an incident",
            params: &[
                Param::required(
                    "url",
                    ParamType::Url,
                    "what answers with a count, and a checksum if it can, for each store",
                ),
                CERTIFICATE_AUTHORITY,
                CLIENT_CERTIFICATE,
                CLIENT_KEY,
                RESOLVER,
                PROXY,
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
                CERTIFICATE_AUTHORITY,
                CLIENT_CERTIFICATE,
                CLIENT_KEY,
                RESOLVER,
                PROXY,
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
                CERTIFICATE_AUTHORITY,
                CLIENT_CERTIFICATE,
                CLIENT_KEY,
                RESOLVER,
                PROXY,
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
                CERTIFICATE_AUTHORITY,
                CLIENT_CERTIFICATE,
                CLIENT_KEY,
                RESOLVER,
                PROXY,
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
        Ok(Arc::new(Http::default()))
    }
}

#[derive(Default)]
struct Http {
    wallet: Wallet,
}

#[async_trait]
impl System for Http {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        match spec.kind.as_str() {
            integrity::INTEGRITY => integrity::probe(spec).await,
            login::LOGIN => login::probe(spec).await,
            _ => get::probe(spec, &self.wallet).await,
        }
    }

    fn refuses(&self, spec: &ProbeSpec) -> Option<Fault> {
        let vetted = if spec.kind == "http.get" { get::vet(spec) } else { Reach::of(&spec.params).vet() };
        vetted.err().map(|why| Fault::permanent(KIND.name, why))
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
