//! One question to one name server: over UDP, asked twice, and over TCP when the answer does not fit. No cache, no recursion unless
//! it is wanted. A server that knows nothing of EDNS (RFC 6891, section 7), or drops what carries it, is asked without.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::BoxFuture;
use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::domain::text::clean;

/// The largest answer that is sure to pass every path unfragmented (DNS flag day 2020).
const LARGEST_UDP: u16 = 1232;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    name: Name,
    kind: RecordType,
    /// Whether the server shall ask others: yes for a resolver, no for the zone's own name servers.
    recurse: bool,
}

impl Question {
    /// A question for records of `kind` (`A`, `CNAME`) at `name`.
    ///
    /// # Errors
    /// When the name or the type is none.
    pub fn new(name: &str, kind: &str, recurse: bool) -> Result<Self, String> {
        // Names outside of ASCII go over the wire as IDNA says (RFC 5891); others as they are, underscores too.
        let parsed = if name.is_ascii() { Name::from_ascii(name) } else { Name::from_utf8(name) };
        let mut parsed = parsed.map_err(|e| format!("`{}` is not a DNS name: {e}", clean(name)))?;
        parsed.set_fqdn(true);
        let kind =
            kind.to_ascii_uppercase().parse().map_err(|_| format!("`{}` is not a type of DNS record", clean(kind)))?;
        Ok(Self { name: parsed, kind, recurse })
    }

    fn message(&self, with_edns: bool) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = self.recurse;
        message.add_query(Query::query(self.name.clone(), self.kind));
        if with_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(LARGEST_UDP);
            message.set_edns(edns);
        }
        message
    }

    /// Whether `reply` is to `request`: what arrives on a socket may be anybody's.
    fn is_answered_by(&self, request: &Message, reply: &Message) -> bool {
        reply.metadata.id == request.metadata.id
            && reply.metadata.message_type == MessageType::Response
            && reply.queries.iter().all(|query| *query.name() == self.name && query.query_type() == self.kind)
    }
}

/// What a name server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: ResponseCode,
    /// The server speaks for the zone itself.
    pub authoritative: bool,
    /// Values of the type asked for, as people write them, normalised by [`normal`] and sorted.
    pub values: Vec<String>,
    /// The shortest time in seconds that one of them may be kept.
    pub ttl: Option<u32>,
    /// Where the server leads to that neither holds the values nor looks them up: what a client gets is not told by it.
    pub elsewhere: Option<String>,
}

impl Reply {
    fn of(message: &Message, kind: RecordType) -> Self {
        let wanted = || message.answers.iter().filter(|record| record.record_type() == kind);
        let mut values: Vec<String> = wanted().map(|record| value_of(kind, &record.data.to_string())).collect();
        values.sort();
        let elsewhere = elsewhere(message).filter(|_| values.is_empty());
        Self {
            code: message.metadata.response_code,
            authoritative: message.metadata.authoritative,
            values,
            ttl: wanted().map(|record| record.ttl).min(),
            elsewhere,
        }
    }

    /// Whether it tells anything of the name: that there is none is an answer, that it cannot or will not say is none.
    pub fn tells(&self) -> bool {
        matches!(self.code, ResponseCode::NoError | ResponseCode::NXDomain) && self.elsewhere.is_none()
    }

    /// What was said, in a few words: `127.0.0.12 (ttl 60 s)`, `NXDOMAIN`.
    pub fn words(&self) -> String {
        match (self.code, self.ttl) {
            (ResponseCode::NoError, Some(ttl)) => format!("{} (ttl {ttl} s)", self.values.join(", ")),
            (ResponseCode::NoError, None) => self.elsewhere.clone().unwrap_or_else(|| "no record of this type".into()),
            (ResponseCode::NXDomain, _) => "no such name (NXDOMAIN)".into(),
            (code, _) => clean(&code.to_string()),
        }
    }
}

/// Where a server leads that is no resolver: to the name that this one is another name of, or to other servers (RFC 1034, section 4.3.1).
fn elsewhere(message: &Message) -> Option<String> {
    let metadata = &message.metadata;
    if metadata.response_code != ResponseCode::NoError || metadata.recursion_available {
        return None;
    }
    let other = message.answers.iter().rfind(|record| record.record_type() == RecordType::CNAME);
    match other.map(|record| normal(&record.data.to_string())) {
        Some(name) => Some(format!("it is another name of {name}, which this server does not look up: ask a resolver")),
        None if !metadata.authoritative => Some("it refers to other servers: ask the zone's own, or a resolver".into()),
        None => None,
    }
}

/// A value in the form in which values are compared: lower case, no final dot, no white space around it, addresses in their shortest
/// form (RFC 5952).
pub fn normal(value: &str) -> String {
    let value = clean(value.trim()).to_ascii_lowercase();
    if let Ok(address) = value.parse::<IpAddr>() {
        return address.to_string();
    }
    if value.len() > 1 { value.trim_end_matches('.').to_owned() } else { value }
}

/// The same of a record of that type: a text keeps its case, and stands without quotes.
pub fn value_of(kind: RecordType, value: &str) -> String {
    match kind {
        RecordType::TXT => clean(value.trim().trim_matches('"')),
        RecordType::HTTPS | RecordType::SVCB => service(value),
        _ => normal(value),
    }
}

/// A service binding (RFC 9460), which has many ways of being written, in one: `1 . alpn=h2,h3 ipv4hint=192.0.2.1`. Its parameters and what
/// they list are in order; of a parameter that is not known here only the key counts.
fn service(value: &str) -> String {
    let mut words = unquoted(value).into_iter();
    let (priority, target) = (words.next().unwrap_or_default(), normal(&words.next().unwrap_or_default()));
    let listed = |text: &str| {
        let mut all: Vec<String> = text.split(',').map(normal).filter(|it| !it.is_empty()).collect();
        all.sort();
        all.join(",")
    };
    let parameter = |word: String| {
        let (key, value) = word.split_once('=').unwrap_or((&word, ""));
        match key.to_ascii_lowercase().as_str() {
            key @ ("alpn" | "mandatory" | "ipv4hint" | "ipv6hint") => format!("{key}={}", listed(value)),
            key @ ("port" | "ech") => format!("{key}={}", clean(value)),
            // How keys without a name are told is the reader's own affair.
            key => clean(key).replace("unknown", "key"),
        }
    };
    let mut parameters: Vec<String> = words.map(parameter).collect();
    parameters.sort();
    [vec![priority, target], parameters].concat().join(" ")
}

/// Words parted by white space; what stands in quotes is one of them, without the quotes.
fn unquoted(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            blank if blank.is_whitespace() && !quoted => {
                words.extend(Some(std::mem::take(&mut word)).filter(|it| !it.is_empty()))
            }
            other => word.push(other),
        }
    }
    words.extend(Some(word).filter(|it| !it.is_empty()));
    words
}

/// Asks `server`, for at most `patience`.
///
/// # Errors
/// Why there is no answer, in a few words.
pub fn ask(server: SocketAddr, question: &Question, patience: Duration) -> BoxFuture<'_, Result<Reply, String>> {
    Box::pin(async move {
        let asking = async {
            let reply = over_udp(server, question, patience / 2).await?;
            let reply = if reply.metadata.truncation { over_tcp(server, question).await? } else { reply };
            Ok(Reply::of(&reply, question.kind))
        };
        match timeout(patience, asking).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("no answer from {server} within {:.1} s", patience.as_secs_f64())),
        }
    })
}

/// A datagram may be lost: the question is put again after `again`, and then without EDNS. An answer to either of them counts.
async fn over_udp(server: SocketAddr, question: &Question, again: Duration) -> Result<Message, String> {
    let told = |error: std::io::Error| format!("{server}: {}", error.kind());
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(told)?;
    socket.connect(server).await.map_err(told)?;
    let mut sent = Vec::new();
    let mut with_edns = true;
    loop {
        let request = question.message(with_edns);
        let bytes = request.to_vec().map_err(|error| error.to_string())?;
        socket.send(&bytes).await.map_err(told)?;
        sent.push(request);
        match timeout(again, matching(&socket, question, &sent)).await {
            Ok(Ok(reply)) if with_edns && is_taken_aback(&reply) => with_edns = false,
            Ok(received) => return received.map_err(told),
            Err(_) => with_edns = !with_edns,
        }
    }
}

/// What servers answer that do not know EDNS, or not this version of it.
fn is_taken_aback(reply: &Message) -> bool {
    matches!(reply.metadata.response_code, ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS)
}

async fn matching(socket: &UdpSocket, question: &Question, sent: &[Message]) -> std::io::Result<Message> {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What cannot be read is not the answer that is waited for.
        match Message::from_vec(&buffer[..length]) {
            Ok(reply) if sent.iter().any(|request| question.is_answered_by(request, &reply)) => return Ok(reply),
            _ => {}
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Question) -> Result<Message, String> {
    let told = |error: std::io::Error| format!("{server} over TCP: {}", error.kind());
    let mut stream = TcpStream::connect(server).await.map_err(told)?;
    let request = question.message(false);
    let bytes = request.to_vec().map_err(|error| error.to_string())?;
    let length = u16::try_from(bytes.len()).map_err(|error| error.to_string())?;
    stream.write_all(&[&length.to_be_bytes()[..], &bytes].concat()).await.map_err(told)?;
    let mut answer = vec![0; usize::from(stream.read_u16().await.map_err(told)?)];
    stream.read_exact(&mut answer).await.map_err(told)?;
    match Message::from_vec(&answer) {
        Ok(reply) if question.is_answered_by(&request, &reply) => Ok(reply),
        _ => Err(format!("{server} does not speak DNS")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server on loopback that answers each datagram as `answer` says.
    async fn server(answer: impl Fn(&Message) -> Option<Message> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let Ok(asked) = Message::from_vec(&buffer[..length]) else { continue };
                if let Some(reply) = answer(&asked) {
                    let _ = socket.send_to(&reply.to_vec().unwrap(), from).await;
                }
            }
        });
        address
    }

    fn reply(asked: &Message, code: ResponseCode) -> Message {
        let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
        reply.metadata.response_code = code;
        reply.add_queries(asked.queries.iter().cloned());
        reply
    }

    #[tokio::test]
    async fn a_server_that_knows_no_edns_is_asked_without() {
        let question = Question::new("app.example", "a", true).unwrap();
        let patience = Duration::from_secs(4);
        let taken_aback = server(|asked| {
            let code = if asked.edns.is_some() { ResponseCode::FormErr } else { ResponseCode::NXDomain };
            Some(reply(asked, code))
        });
        assert_eq!(ask(taken_aback.await, &question, patience).await.unwrap().code, ResponseCode::NXDomain);
        let deaf = server(|asked| asked.edns.is_none().then(|| reply(asked, ResponseCode::NXDomain)));
        assert_eq!(ask(deaf.await, &question, patience / 4).await.unwrap().code, ResponseCode::NXDomain);
        let broken = server(|asked| Some(reply(asked, ResponseCode::FormErr)));
        assert_eq!(ask(broken.await, &question, patience).await.unwrap().code, ResponseCode::FormErr);
    }

    #[tokio::test]
    async fn a_service_binding_is_told_over_the_wire_as_the_zone_has_it() {
        use hickory_proto::rr::rdata::svcb::{Alpn, IpHint, SVCB, SvcParamKey, SvcParamValue};
        use hickory_proto::rr::rdata::{A, HTTPS};
        use hickory_proto::rr::{RData, Record};

        let alpn = SvcParamValue::Alpn(Alpn(vec!["h3".into(), "h2".into()]));
        let hint = SvcParamValue::Ipv4Hint(IpHint(vec![A::new(198, 51, 100, 1)]));
        let bound = SVCB::new(1, Name::root(), vec![(SvcParamKey::Alpn, alpn), (SvcParamKey::Ipv4Hint, hint)]);
        let server = server(move |asked| {
            let mut told = reply(asked, ResponseCode::NoError);
            let name = asked.queries[0].name().clone();
            told.add_answer(Record::from_rdata(name, 60, RData::HTTPS(HTTPS(bound.clone()))));
            Some(told)
        });
        let question = Question::new("app.example", "HTTPS", false).unwrap();
        let said = ask(server.await, &question, Duration::from_secs(4)).await.unwrap();
        let kept = value_of(RecordType::HTTPS, "1 . alpn=\"h2,h3\" ipv4hint=\"198.51.100.1\"");
        assert_eq!((said.values, said.ttl), (vec![kept], Some(60)));
    }

    #[test]
    fn who_only_leads_elsewhere_tells_nothing_of_the_name() {
        use hickory_proto::rr::{RData, Record, rdata};
        let name = Name::from_ascii("app.example.").unwrap();
        let other = || RData::CNAME(rdata::CNAME(Name::from_ascii("lb.example.").unwrap()));
        let said = |authoritative: bool, recursion: bool, answer: Option<RData>| {
            let mut message = Message::query();
            message.metadata.authoritative = authoritative;
            message.metadata.recursion_available = recursion;
            message.add_answers(answer.map(|data| Record::from_rdata(name.clone(), 60, data)));
            Reply::of(&message, RecordType::A)
        };
        let address = || RData::A(rdata::A::new(192, 0, 2, 1));
        for (what, reply, tells) in [
            ("the zone has no such record", said(true, false, None), true),
            ("a resolver found none", said(false, true, None), true),
            ("a resolver followed it to nothing", said(false, true, Some(other())), true),
            ("a referral", said(false, false, None), false),
            ("the zone has another name for it", said(true, false, Some(other())), false),
            ("an answer out of a cache", said(false, false, Some(address())), true),
        ] {
            assert_eq!(reply.tells(), tells, "{what}: {}", reply.words());
        }
        assert!(said(true, false, Some(other())).words().contains("another name of lb.example"));
    }

    #[test]
    fn values_are_compared_in_one_form() {
        let rows = [
            (RecordType::AAAA, "0:0:0:0:0:0:0:1", "::1"),
            (RecordType::AAAA, "2001:DB8:0::1", "2001:db8::1"),
            (RecordType::A, "192.0.2.1", "192.0.2.1"),
            (RecordType::CNAME, "LB.Example.", "lb.example"),
            (RecordType::TXT, "\"region=East\"", "region=East"),
            (
                RecordType::HTTPS,
                "1 . alpn=\"h3,h2\" ipv4hint=192.0.2.2,192.0.2.1",
                "1 . alpn=h2,h3 ipv4hint=192.0.2.1,192.0.2.2",
            ),
            (
                RecordType::HTTPS,
                "1 . ipv4hint=192.0.2.1,192.0.2.2, alpn=h3,h2,",
                "1 . alpn=h2,h3 ipv4hint=192.0.2.1,192.0.2.2",
            ),
            (RecordType::HTTPS, "0  LB-west.Example. ", "0 lb-west.example"),
            (RecordType::HTTPS, "1 . key65400=\"a b\" ech=\"AB==\"", "1 . ech=AB== key65400"),
            (RecordType::HTTPS, "1 . ech=AB== unknown65400=\"a\",", "1 . ech=AB== key65400"),
        ];
        for (kind, given, wanted) in rows {
            assert_eq!(value_of(kind, given), wanted);
        }
    }

    #[test]
    fn names_outside_of_ascii_are_asked_for_as_idna_says() {
        let asked = |name: &str| Question::new(name, "A", true).map(|question| question.name.to_ascii());
        assert_eq!(asked("bücher.example").unwrap(), "xn--bcher-kva.example.");
        assert_eq!(asked("_app._tcp.my_app.example").unwrap(), "_app._tcp.my_app.example.");
        assert!(asked("a..b").is_err() && Question::new("a", "ADDRESS", true).is_err());
    }
}
