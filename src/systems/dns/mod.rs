//! DNS as clients see it: what a name server answers, compared with what it should.
//!
//! # What an installation can look like
//!
//! | | |
//! |---|---|
//! | name servers of this host, several | each is asked in turn; SERVFAIL, REFUSED and silence lead on to the next, as in glibc's resolver |
//! | none of this host's name servers has an answer | unknown: this host cannot look |
//! | `server`, with several addresses | the same |
//! | the named server is silent | down: it is what is watched |
//! | the named server says SERVFAIL or REFUSED | unknown: it tells Mayday nothing |
//! | the named server is no resolver, and refers to others, or the name is another name (CNAME) that it does not follow | unknown: "ask a resolver" |
//! | no EDNS (FORMERR, NOTIMP, silence) | asked without (RFC 6891, section 7) |
//! | answers that do not fit a datagram | asked over TCP (RFC 7766) |
//! | IPv6 in any form, names outside of ASCII, underscores | taken (RFC 5952, RFC 5891) |
//! | a type of record that there is not | refused by `mayday check`: "`ADDRESS` cannot be chosen" |
//! | DNS over TLS or HTTPS, DNSSEC validation | not looked at: Mayday believes the server it asks |

pub mod ask;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;

use self::ask::{Question, Reply, ask, normal, value_of};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, SystemKind};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::text::clean;

/// The name servers of this host.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The types of records that are asked for.
const TYPES: &[&str] = &[
    "A", "AAAA", "CNAME", "TXT", "MX", "NS", "SRV", "SOA", "PTR", "CAA", "HTTPS", "SVCB", "DS", "DNSKEY", "TLSA",
    "NAPTR", "a", "aaaa", "cname", "txt", "mx", "ns", "srv",
];

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
            Param::default("type", ParamType::Choice(TYPES), "A", "the type of record"),
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
            Ok(reply) => {
                let kind = spec.params.opt_text("type").unwrap_or("A");
                judge(&reply, kind, &spec.params.list("expect")).took(started.elapsed())
            }
            Err(reading) => reading,
        }
    }

    fn refuses(&self, spec: &ProbeSpec) -> Option<Fault> {
        let kind = spec.params.opt_text("type").unwrap_or("A");
        let asked = Question::new(spec.params.opt_text("name").unwrap_or_default(), kind, true);
        asked.err().map(|why| Fault::permanent(KIND.name, why))
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent("dns", "DNS holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Err(Fault::permanent("dns", format!("there is no step `{}`", spec.kind)).next("run `mayday kinds`"))
    }
}

/// What a server said, or the reading of none.
async fn look(spec: &ProbeSpec) -> Result<Reply, Reading> {
    let (params, told) = (&spec.params, |fault: Fault| Reading::unknown(fault.what));
    let name = params.text("name").map_err(told)?;
    let kind = params.opt_text("type").unwrap_or("A");
    let named = params.opt_text("server");
    let servers = match named {
        Some(server) => addresses(server).await,
        None => host_servers(),
    };
    let servers = servers.map_err(Reading::unknown)?;
    if servers.is_empty() {
        return Err(Reading::unknown(format!("no name server is known in {RESOLV_CONF}: set `server`")));
    }
    // A resolver has to be asked to recurse; the zone's own server ignores the wish.
    let question = Question::new(name, kind, true).map_err(Reading::unknown)?;
    match ask_each(&servers, &question, spec.timeout.0.mul_f64(0.9)).await {
        Ok(reply) => Ok(reply),
        // The server that was named is what is watched; this host's own are only how it looks.
        Err(why) if named.is_some() => Err(Reading::down(why)),
        Err(why) => Err(Reading::unknown(format!("no name server of this host answers: {why}"))),
    }
}

/// Asks one after another until one knows, within `patience` altogether. One that cannot or will not say leads on to the next, as in
/// resolv.conf(5); if none knows, what the last one said counts.
///
/// # Errors
/// When all of them are silent: why the last one is.
pub async fn ask_each(servers: &[SocketAddr], question: &Question, patience: Duration) -> Result<Reply, String> {
    let each = patience / u32::try_from(servers.len()).unwrap_or(1).max(1);
    let mut last = Err("there is none".to_owned());
    for server in servers {
        match ask(*server, question, each).await {
            Ok(reply) if reply.tells() => return Ok(reply),
            Ok(reply) => last = Ok(reply),
            Err(why) => last = last.or(Err(why)),
        }
    }
    last
}

fn judge(reply: &Reply, kind: &str, expected: &[String]) -> Reading {
    let wanted =
        |value: &str| kind.to_ascii_uppercase().parse().map_or_else(|_| normal(value), |kind| value_of(kind, value));
    let right = |value: &String| expected.is_empty() || expected.iter().any(|it| wanted(it) == *value);
    match reply.code {
        ResponseCode::NoError if !reply.values.is_empty() && reply.values.iter().all(right) => {
            Reading::healthy(reply.words())
        }
        ResponseCode::NoError if !reply.values.is_empty() => {
            Reading::down(format!("answers {}, expected {}", reply.words(), expected.join(" or ")))
        }
        ResponseCode::Refused => Reading::unknown(format!("Mayday is refused: {}", reply.words())),
        _ if !reply.tells() => Reading::unknown(format!("the name server cannot tell: {}", reply.words())),
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
        Reply { code, authoritative: true, values, ttl, elsewhere: None }
    }

    #[test]
    fn an_answer_is_right_only_if_all_of_it_was_expected() {
        let expected = ["192.0.2.1".to_owned(), "192.0.2.2".to_owned()];
        let status = |reply: &Reply, expected: &[String]| judge(reply, "A", expected).status;
        assert_eq!(status(&reply(ResponseCode::NoError, &["192.0.2.1"]), &expected), Status::Healthy);
        assert_eq!(status(&reply(ResponseCode::NoError, &["192.0.2.1", "192.0.2.9"]), &expected), Status::Down);
        assert_eq!(status(&reply(ResponseCode::NoError, &["192.0.2.9"]), &[]), Status::Healthy);
        assert_eq!(status(&reply(ResponseCode::NoError, &[]), &[]), Status::Down);
        assert_eq!(status(&reply(ResponseCode::NXDomain, &[]), &[]), Status::Down);
        for lost in [ResponseCode::ServFail, ResponseCode::FormErr, ResponseCode::NotImp] {
            assert_eq!(status(&reply(lost, &[]), &[]), Status::Unknown, "{lost} tells nothing of the name");
        }
        assert_eq!(status(&reply(ResponseCode::Refused, &[]), &expected), Status::Unknown, "who refuses tells nothing");
    }

    #[test]
    fn an_address_is_right_in_any_form() {
        let seen = reply(ResponseCode::NoError, &["::1"]);
        assert_eq!(judge(&seen, "AAAA", &["0:0:0:0:0:0:0:1".to_owned()]).status, Status::Healthy);
        let text = reply(ResponseCode::NoError, &["region=East"]);
        assert_eq!(judge(&text, "TXT", &["region=East".to_owned()]).status, Status::Healthy);
        assert_eq!(judge(&text, "txt", &["region=east".to_owned()]).status, Status::Down);
    }

    /// A name server on loopback that says nothing but `code`; the address of one that is silent without it.
    async fn server(code: Option<ResponseCode>) -> SocketAddr {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let Some(code) = code else { continue };
                // The same datagram with the bit of an answer set, and the code.
                buffer[2] |= 0x80;
                buffer[3] = (buffer[3] & 0xf0) | u8::try_from(u16::from(code)).unwrap();
                let _ = socket.send_to(&buffer[..length], from).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_name_server_that_cannot_tell_leads_on_to_the_next() {
        let question = Question::new("app.example", "A", true).unwrap();
        let asked = async |codes: &[Option<ResponseCode>]| {
            let servers = futures::future::join_all(codes.iter().map(|code| server(*code))).await;
            ask_each(&servers, &question, Duration::from_secs(2)).await.map(|reply| reply.code)
        };
        let (lost, refused, gone) = (ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NXDomain);
        assert_eq!(asked(&[Some(lost), Some(gone)]).await, Ok(gone));
        assert_eq!(asked(&[Some(refused), Some(gone)]).await, Ok(gone));
        assert_eq!(asked(&[None, Some(gone)]).await, Ok(gone));
        assert_eq!(asked(&[Some(gone), Some(refused)]).await, Ok(gone), "that there is no such name is an answer");
        assert_eq!(asked(&[Some(lost), None]).await, Ok(lost));
        assert!(asked(&[None]).await.is_err());
    }

    #[test]
    fn the_hosts_name_servers_are_read() {
        let text =
            "# a comment\nsearch example\nnameserver 192.0.2.53\n nameserver 2001:db8::53\nnameserver nonsense\n";
        let found: Vec<String> = named_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.53:53", "[2001:db8::53]:53"]);
    }
}
