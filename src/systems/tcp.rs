//! TCP: whether something listens, and whether TLS is spoken there with a certificate that holds.
//!
//! # What an installation can look like
//!
//! | | |
//! |---|---|
//! | several addresses of one name, some dead | the first that answers (RFC 8305); the dead are named in the words |
//! | a name that nobody knows | unknown: it says nothing of the port |
//! | no route, no descriptor, a firewall of this host | unknown: nobody could be asked |
//! | TLS from the first byte | `tcp.tls`: the chain's end, the names, the version |
//! | STARTTLS | not spoken: ask the port by `tcp.connect`, or by a script |

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::time::timeout;

use super::reach::{CERTIFICATE_AUTHORITY, CLIENT_CERTIFICATE, CLIENT_KEY, RESOLVER, Reach, TLS_MINIMUM};
use crate::domain::backup::rough;
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, SystemKind};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::time::{At, Span, seconds_between};
use crate::outbound::wire::dial::{Dialled, dial};
use crate::outbound::wire::talk::bare;

const ADDRESS: Param = Param::required("address", ParamType::Address, "where to connect to");

pub static KIND: SystemKind = SystemKind {
    name: "tcp",
    title: "TCP connections",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[
        ProbeKind { name: "tcp.connect", title: "A port takes connections", params: &[ADDRESS] },
        ProbeKind {
            name: "tcp.tls",
            title: "A port speaks TLS, with certificates that hold",
            params: &[
                ADDRESS,
                Param::optional(
                    "server_name",
                    ParamType::Text,
                    "whom the certificate has to name; the host of `address` when left out",
                ),
                Param::default(
                    "certificate",
                    ParamType::Span,
                    "14d",
                    "a chain of certificates that ends sooner than this from now is degraded",
                ),
                CERTIFICATE_AUTHORITY,
                CLIENT_CERTIFICATE,
                CLIENT_KEY,
                TLS_MINIMUM,
                RESOLVER,
            ],
        },
    ],
    steps: &[],
    backups: &[],
};

/// Makes the one connection there is: none.
pub struct TcpFactory;

impl Factory for TcpFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }
    fn connect(&self, _spec: &SystemSpec, _around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        Ok(Arc::new(Tcp))
    }
}

struct Tcp;

#[async_trait]
impl System for Tcp {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let (started, patience) = (Instant::now(), spec.timeout.0.mul_f64(0.9));
        let address = spec.params.opt_text("address").unwrap_or_default();
        let late = || Reading::down(format!("{address} does not answer within {:.1} s", patience.as_secs_f64()));
        let looking = async {
            let secured = spec.kind == "tcp.tls";
            let looked =
                if secured { secure(spec, address, patience).await } else { connect(spec, address, patience).await };
            looked.unwrap_or_else(|reading| reading).took(started.elapsed())
        };
        timeout(patience, looking).await.unwrap_or_else(|_| late())
    }

    fn refuses(&self, spec: &ProbeSpec) -> Option<Fault> {
        Reach::of(&spec.params).vet().err().map(|why| Fault::permanent(KIND.name, why))
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(KIND.name, "a port holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Err(Fault::permanent(KIND.name, format!("there is no step `{}`", spec.kind)).next("run `mayday kinds`"))
    }
}

/// A name that nobody knows says nothing about the port, so it is unknown; whatever the network answers is learnt.
async fn dialled(spec: &ProbeSpec, address: &str, patience: Duration) -> Result<Dialled, Reading> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let port = port.parse().map_err(|_| Reading::unknown(format!("{address} is not host:port")))?;
    let reach = Reach::of(&spec.params);
    let found = reach.find(host, port, patience.mul_f64(0.7)).await;
    let found = found.map_err(|why| Reading::unknown(format!("{address} cannot be found: {}", why.words())))?;
    dial(found).await.map_err(|silence| silence.reading())
}

fn beside(dead: &[String]) -> String {
    if dead.is_empty() { String::new() } else { format!("; does not answer: {}", dead.join(", ")) }
}

async fn connect(spec: &ProbeSpec, address: &str, patience: Duration) -> Result<Reading, Reading> {
    let Dialled { peer, dead, .. } = dialled(spec, address, patience).await?;
    Ok(Reading::healthy(format!("{peer} takes connections{}", beside(&dead))))
}

async fn secure(spec: &ProbeSpec, address: &str, patience: Duration) -> Result<Reading, Reading> {
    let params = &spec.params;
    let tls = Reach::of(params).tls().await.map_err(|silence| silence.reading())?;
    let Dialled { stream, peer, dead } = dialled(spec, address, patience).await?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| bare(host));
    let name = params.opt_text("server_name").unwrap_or(host);
    let (stream, witness) = tls.secure(stream, name, false).await.map_err(|silence| silence.reading())?;
    let version = match stream.get_ref().1.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS 1.2",
    };
    let shown =
        witness.shown().ok_or_else(|| Reading::unknown(format!("{peer} shows no certificate that can be read")))?;
    let left = seconds_between(At::now(), shown.chain_ends);
    let least = params.opt_span("certificate").unwrap_or_default();
    let whose = if shown.chain_ends < shown.ends { "a certificate of its chain" } else { "its certificate" };
    if left < least.as_secs_f64() {
        return Ok(Reading::degraded(format!(
            "{version}, and {whose} ends in {}; {} is well",
            rough(left),
            Span(least)
        )));
    }
    Ok(Reading::healthy(format!(
        "{peer} speaks {version}; its certificates are good for {}{}",
        rough(left),
        beside(&dead)
    )))
}
