//! TCP: whether something listens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, SystemKind};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};

pub static KIND: SystemKind = SystemKind {
    name: "tcp",
    title: "TCP connections",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[ProbeKind {
        name: "tcp.connect",
        title: "A port takes connections",
        params: &[Param::required("address", ParamType::Address, "where to connect to")],
    }],
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
        match spec.params.text("address") {
            Ok(address) => connect(address, spec.timeout.0.mul_f64(0.9)).await,
            Err(fault) => Reading::unknown(fault.what),
        }
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
async fn connect(address: &str, patience: Duration) -> Reading {
    let started = Instant::now();
    let connecting = async {
        let found = match lookup_host(address).await {
            Ok(found) => found,
            Err(error) => return Reading::unknown(format!("{address} cannot be found: {error}")),
        };
        let mut why = format!("{address} has no address");
        for one in found {
            match TcpStream::connect(one).await {
                Ok(_) => return Reading::healthy(format!("{one} takes connections")).took(started.elapsed()),
                Err(error) => why = format!("{one}: {}", error.kind()),
            }
        }
        Reading::down(why)
    };
    let late = || Reading::down(format!("{address} does not answer within {:.1} s", patience.as_secs_f64()));
    timeout(patience, connecting).await.unwrap_or_else(|_| late())
}
