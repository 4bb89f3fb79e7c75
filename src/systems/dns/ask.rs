//! One question to one name server: over UDP, asked twice, and over TCP when the answer does not fit. No cache, no recursion unless
//! it is wanted.

use std::net::SocketAddr;
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
        let mut parsed = Name::from_ascii(name).map_err(|e| format!("`{}` is not a DNS name: {e}", clean(name)))?;
        parsed.set_fqdn(true);
        let kind = kind.parse().map_err(|_| format!("`{}` is not a type of DNS record", clean(kind)))?;
        Ok(Self { name: parsed, kind, recurse })
    }

    fn message(&self) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = self.recurse;
        message.add_query(Query::query(self.name.clone(), self.kind));
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_UDP);
        message.set_edns(edns);
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
}

impl Reply {
    fn of(message: &Message, kind: RecordType) -> Self {
        let wanted = || message.answers.iter().filter(|record| record.record_type() == kind);
        let mut values: Vec<String> = wanted().map(|record| normal(&record.data.to_string())).collect();
        values.sort();
        Self {
            code: message.metadata.response_code,
            authoritative: message.metadata.authoritative,
            values,
            ttl: wanted().map(|record| record.ttl).min(),
        }
    }

    /// What was said, in a few words: `127.0.0.12 (ttl 60 s)`, `NXDOMAIN`.
    pub fn words(&self) -> String {
        match (self.code, self.ttl) {
            (ResponseCode::NoError, Some(ttl)) => format!("{} (ttl {ttl} s)", self.values.join(", ")),
            (ResponseCode::NoError, None) => "no record of this type".into(),
            (ResponseCode::NXDomain, _) => "no such name (NXDOMAIN)".into(),
            (code, _) => clean(&code.to_string()),
        }
    }
}

/// A value in the form in which values are compared: lower case, no final dot, no white space around it.
pub fn normal(value: &str) -> String {
    let value = clean(value.trim()).to_ascii_lowercase();
    if value.len() > 1 { value.trim_end_matches('.').to_owned() } else { value }
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

/// A datagram may be lost: the question is put again after `again`.
async fn over_udp(server: SocketAddr, question: &Question, again: Duration) -> Result<Message, String> {
    let told = |error: std::io::Error| format!("{server}: {}", error.kind());
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(told)?;
    socket.connect(server).await.map_err(told)?;
    let request = question.message();
    let bytes = request.to_vec().map_err(|error| error.to_string())?;
    loop {
        socket.send(&bytes).await.map_err(told)?;
        if let Ok(received) = timeout(again, matching(&socket, question, &request)).await {
            return received.map_err(told);
        }
    }
}

async fn matching(socket: &UdpSocket, question: &Question, request: &Message) -> std::io::Result<Message> {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What cannot be read is not the answer that is waited for.
        match Message::from_vec(&buffer[..length]) {
            Ok(reply) if question.is_answered_by(request, &reply) => return Ok(reply),
            _ => {}
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Question) -> Result<Message, String> {
    let told = |error: std::io::Error| format!("{server} over TCP: {}", error.kind());
    let mut stream = TcpStream::connect(server).await.map_err(told)?;
    let request = question.message();
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
