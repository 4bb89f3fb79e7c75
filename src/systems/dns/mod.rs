//! DNS as clients see it: what a name server answers, compared with what it should.

pub mod ask;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;

use self::ask::{Question, Reply, ask, normal};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, SystemKind};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::text::clean;

/// The name servers of this host.
const RESOLV_CONF: &str = "/etc/resolv.conf";

pub static KIND: SystemKind = SystemKind {
    name: "dns",
    title: "DNS as clients see it",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[ProbeKind {
        name: "dns.answer",
        title: "A name server's answer is one of those expected",
        params: &[
            Param::required("name", ParamType::Text, "the name to ask for"),
            Param::default("type", ParamType::Text, "A", "the type of record"),
            Param::optional("expect", ParamType::List, "the values that are right; any answer when left out"),
            Param::optional("server", ParamType::Address, "whom to ask; this host's own name servers when left out"),
        ],
    }],
    steps: &[],
    backups: &[],
};

/// Makes the one connection there is: none.
pub struct DnsFactory;

impl Factory for DnsFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }
    fn connect(&self, _spec: &SystemSpec, _around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        Ok(Arc::new(Dns))
    }
}

struct Dns;

#[async_trait]
impl System for Dns {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let started = Instant::now();
        match look(spec).await {
            Ok(Ok(reply)) => judge(&reply, &spec.params.list("expect")).took(started.elapsed()),
            Ok(Err(silence)) => Reading::down(silence),
            Err(why) => Reading::unknown(why),
        }
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent("dns", "DNS holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Err(Fault::permanent("dns", format!("there is no step `{}`", spec.kind)).next("run `mayday kinds`"))
    }
}

/// Inside: what the server said or that it was silent. Outside: why nobody could be asked.
async fn look(spec: &ProbeSpec) -> Result<Result<Reply, String>, String> {
    let (params, told) = (&spec.params, |fault: Fault| fault.what);
    let name = params.text("name").map_err(told)?;
    let kind = params.opt_text("type").unwrap_or("A");
    let servers = match params.opt_text("server") {
        Some(server) => addresses(server).await?,
        None => host_servers()?,
    };
    if servers.is_empty() {
        return Err(format!("no name server is known in {RESOLV_CONF}: set `server`"));
    }
    // A resolver has to be asked to recurse; the zone's own server ignores the wish.
    let question = Question::new(name, kind, true)?;
    let patience = spec.timeout.0.mul_f64(0.9) / u32::try_from(servers.len()).unwrap_or(1).max(1);
    let mut silence = Err(String::new());
    for server in servers {
        match ask(server, &question, patience).await {
            Ok(reply) => return Ok(Ok(reply)),
            Err(why) => silence = Err(why),
        }
    }
    Ok(silence)
}

fn judge(reply: &Reply, expected: &[String]) -> Reading {
    let right = |value: &String| expected.is_empty() || expected.iter().any(|it| normal(it) == *value);
    match reply.code {
        ResponseCode::NoError if !reply.values.is_empty() && reply.values.iter().all(right) => {
            Reading::healthy(reply.words())
        }
        ResponseCode::Refused => Reading::unknown(format!("Mayday is refused: {}", reply.words())),
        ResponseCode::NoError if !reply.values.is_empty() => {
            Reading::down(format!("answers {}, expected {}", reply.words(), expected.join(" or ")))
        }
        _ => Reading::down(reply.words()),
    }
}

/// The addresses of a name server, written `host:port`, or `host` for port 53. Addresses are taken as they are; names are asked of
/// this host's resolver.
///
/// # Errors
/// When there is no such host, in a few words.
pub async fn addresses(server: &str) -> Result<Vec<SocketAddr>, String> {
    if let Ok(ip) = server.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, 53)]);
    }
    let wanted = if server.contains(':') { server.to_owned() } else { format!("{server}:53") };
    let found = tokio::time::timeout(Duration::from_secs(5), tokio::net::lookup_host(&wanted)).await;
    match found {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(format!("the name server {} cannot be found: {}", clean(server), error.kind())),
        Err(_) => Err(format!("the name server {} cannot be found within 5 s", clean(server))),
    }
}

fn host_servers() -> Result<Vec<SocketAddr>, String> {
    let text = std::fs::read_to_string(RESOLV_CONF)
        .map_err(|error| format!("{RESOLV_CONF} cannot be read ({}): set `server`", error.kind()))?;
    Ok(named_in(&text))
}

fn named_in(resolv_conf: &str) -> Vec<SocketAddr> {
    let named = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    named.filter_map(|ip| ip.trim().parse().ok()).map(|ip| SocketAddr::new(ip, 53)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::Status;

    fn reply(code: ResponseCode, values: &[&str]) -> Reply {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let ttl = (!values.is_empty()).then_some(60);
        Reply { code, authoritative: true, values, ttl }
    }

    #[test]
    fn an_answer_is_right_only_if_all_of_it_was_expected() {
        let expected = ["192.0.2.1".to_owned(), "192.0.2.2".to_owned()];
        let status = |reply: &Reply, expected: &[String]| judge(reply, expected).status;
        assert_eq!(status(&reply(ResponseCode::NoError, &["192.0.2.1"]), &expected), Status::Healthy);
        assert_eq!(status(&reply(ResponseCode::NoError, &["192.0.2.1", "192.0.2.9"]), &expected), Status::Down);
        assert_eq!(status(&reply(ResponseCode::NoError, &["192.0.2.9"]), &[]), Status::Healthy);
        assert_eq!(status(&reply(ResponseCode::NoError, &[]), &[]), Status::Down);
        assert_eq!(status(&reply(ResponseCode::NXDomain, &[]), &[]), Status::Down);
        assert_eq!(status(&reply(ResponseCode::ServFail, &[]), &[]), Status::Down);
        assert_eq!(status(&reply(ResponseCode::Refused, &[]), &expected), Status::Unknown, "who refuses tells nothing");
    }

    #[test]
    fn the_hosts_name_servers_are_read() {
        let text =
            "# a comment\nsearch example\nnameserver 192.0.2.53\n nameserver 2001:db8::53\nnameserver nonsense\n";
        let found: Vec<String> = named_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.53:53", "[2001:db8::53]:53"]);
    }
}
