//! Bolt connections: handshake, chunks, and the states of the protocol. Versions 4.0 to 4.4 and 5.0 to 5.4.
//! <https://neo4j.com/docs/bolt/current/bolt/>

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinSet;

use super::packstream::{Map, Value};
use super::query::{self, Access, Failure};
use super::{NEO4J, PASSWORD, USER, VERSION, servers};
use crate::lab::Site;
use crate::lab::faults::Condition;
use crate::lab::net::{GatedListener, GatedStream, Place};
use crate::lab::world::{Tick, World};

/// Versions spoken, as (major, newest minor).
const SPOKEN: [(u8, u8); 2] = [(5, 4), (4, 4)];
const MAGIC: [u8; 4] = [0x60, 0x60, 0xb0, 0x17];
/// A message longer than this is noise.
const LONGEST: usize = 1 << 20;

/// Starts all servers; their endpoints are `neo4j.neo4j-1`.
pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    for (at, (name, region, zone)) in servers(site.world.extent).into_iter().enumerate() {
        let place = Place::member(NEO4J, region, name, zone);
        let listener = GatedListener::bind(site.world, place.clone(), IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await?;
        let address = listener.address()?;
        site.world.truth().neo4j.servers[at].address = address.to_string();
        site.endpoints.insert(format!("neo4j.{name}"), format!("bolt://{address}"));
        site.tasks.spawn(serve(listener, site.world.clone(), at, place));
    }
    Ok(())
}

async fn serve(mut listener: GatedListener, world: World, at: usize, place: Place) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.next().await;
        let session = Session::new(world.clone(), at, place.clone());
        // A connection that breaks is the client's business; the next one is served all the same.
        connections.spawn(async move { session.run(stream).await.ok() });
        while connections.try_join_next().is_some() {}
    }
}

/// The first of the client's four proposals that is spoken: `00 range minor major`. A proposal of a manifest
/// (`00 00 01 ff`) asks for a major version 255, which is not, so that the ones behind it count.
fn negotiate(proposals: &[u8; 16]) -> Option<(u8, u8)> {
    proposals.chunks_exact(4).find_map(|proposal| {
        let [_, range, minor, major] = *proposal else { return None };
        let (_, newest) = SPOKEN.into_iter().find(|(spoken, _)| *spoken == major)?;
        let chosen = minor.min(newest);
        (chosen >= minor.saturating_sub(range)).then_some((major, chosen))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before HELLO.
    Connected,
    /// After HELLO, before LOGON.
    Unauthenticated,
    Ready,
    /// Within an explicit transaction.
    Transaction,
    /// Everything but RESET is ignored.
    Failed,
    Closed,
}

/// The rest of a result.
struct Stream {
    rows: VecDeque<Vec<Value>>,
    summary: Map,
}

struct Session {
    world: World,
    server: usize,
    place: Place,
    version: (u8, u8),
    state: State,
    streams: BTreeMap<i64, Stream>,
    next_qid: i64,
    /// The database and mode of the explicit transaction.
    transaction: (String, Access),
    /// Moments are sent in UTC.
    utc: bool,
    out: Vec<u8>,
}

const SUCCESS: u8 = 0x70;
const RECORD: u8 = 0x71;
const IGNORED: u8 = 0x7e;
const FAILURE: u8 = 0x7f;

impl Session {
    fn new(world: World, server: usize, place: Place) -> Self {
        let transaction = (String::new(), Access::Write);
        Self {
            world,
            server,
            place,
            version: (0, 0),
            state: State::Connected,
            streams: BTreeMap::new(),
            next_qid: 0,
            transaction,
            utc: false,
            out: Vec::new(),
        }
    }

    async fn run(mut self, stream: GatedStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut hello = [0; 20];
        stream.read_exact(&mut hello).await?;
        let (magic, proposals) = hello.split_at(4);
        let chosen = proposals.try_into().ok().filter(|_| magic == MAGIC).and_then(negotiate);
        let (major, minor) = chosen.unwrap_or((0, 0));
        stream.get_mut().write_all(&[0, 0, minor, major]).await?;
        if chosen.is_none() {
            return stream.get_mut().shutdown().await;
        }
        (self.version, self.utc) = ((major, minor), major >= 5);
        while self.state != State::Closed {
            let message = read_message(&mut stream).await?;
            let Some(Value::Struct(tag, fields)) = Value::decode(&mut message.as_slice()) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            self.take(tag, &fields);
            stream.get_mut().write_all(&self.out).await?;
            self.out.clear();
        }
        stream.get_mut().shutdown().await
    }

    fn send(&mut self, tag: u8, fields: Vec<Value>) {
        let mut message = Vec::new();
        Value::Struct(tag, fields).encode(self.utc, &mut message);
        for chunk in message.chunks(u16::MAX.into()) {
            self.out.extend((chunk.len() as u16).to_be_bytes());
            self.out.extend_from_slice(chunk);
        }
        self.out.extend([0, 0]);
    }

    fn succeed(&mut self, metadata: impl IntoIterator<Item = (&'static str, Value)>) {
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.send(SUCCESS, vec![Value::Map(metadata)]);
    }

    fn fail(&mut self, failure: Failure) {
        let metadata = [("code", failure.code), ("message", failure.message)];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), Value::Text(value))).into();
        self.send(FAILURE, vec![Value::Map(metadata)]);
        self.streams.clear();
        self.state = State::Failed;
    }

    fn take(&mut self, tag: u8, fields: &[Value]) {
        match (tag, self.state) {
            (0x02, _) => self.state = State::Closed,
            (0x0f, State::Ready | State::Transaction | State::Failed) => {
                self.streams.clear();
                self.state = State::Ready;
                self.succeed([]);
            }
            (_, State::Failed) => self.send(IGNORED, vec![]),
            (0x01, State::Connected) => self.hello(fields),
            (0x6a, State::Unauthenticated) => self.log_on(fields),
            (0x6b, State::Ready) => {
                self.state = State::Unauthenticated;
                self.succeed([]);
            }
            (0x10, State::Ready | State::Transaction) => self.query(fields),
            (0x3f | 0x2f, State::Ready | State::Transaction) => self.pull(fields, tag == 0x3f),
            (0x11, State::Ready) => {
                self.transaction = target(fields.first());
                self.state = State::Transaction;
                self.succeed([]);
            }
            (0x12 | 0x13, State::Transaction) => {
                self.state = State::Ready;
                self.streams.clear();
                self.succeed([("bookmark", Value::from("FB:lab"))]);
            }
            (0x66, State::Ready) => self.route(fields),
            (0x54, State::Ready) => self.succeed([]),
            _ => {
                let message = format!("Message of signature {tag:#04x} is not allowed now.");
                self.fail(Failure::new("Neo.ClientError.Request.Invalid", message));
                self.state = State::Closed;
            }
        }
    }

    fn hello(&mut self, fields: &[Value]) {
        let patches = fields.first().and_then(Value::map).and_then(|extra| extra.get("patch_bolt"));
        let patched = matches!(patches, Some(Value::List(names)) if names.contains(&Value::from("utc")));
        if self.version < (5, 1) && !self.admits(fields) {
            return;
        }
        let mut metadata = vec![
            ("server", Value::Text(format!("Neo4j/{VERSION}"))),
            ("connection_id", Value::Text(format!("bolt-{}", self.server))),
            ("hints", Value::Map(Map::new())),
        ];
        if patched && (4, 3) <= self.version && self.version < (5, 0) {
            self.utc = true;
            metadata.push(("patch_bolt", Value::List(vec!["utc".into()])));
        }
        self.state = if self.version < (5, 1) { State::Ready } else { State::Unauthenticated };
        self.succeed(metadata);
    }

    fn log_on(&mut self, fields: &[Value]) {
        if self.admits(fields) {
            self.state = State::Ready;
            self.succeed([]);
        }
    }

    fn admits(&mut self, fields: &[Value]) -> bool {
        let given =
            |key: &str| fields.first().and_then(Value::map).and_then(|auth| auth.get(key)).and_then(Value::text);
        let known = given("principal") == Some(USER) && given("credentials") == Some(PASSWORD);
        let admitted = known && self.place.condition(&self.world) != Condition::Denied;
        if !admitted {
            let message = "The client is unauthorized due to authentication failure.";
            self.fail(Failure::new("Neo.ClientError.Security.Unauthorized", message));
            self.state = State::Closed;
        }
        admitted
    }

    fn query(&mut self, fields: &[Value]) {
        let [Value::Text(text), Value::Map(params), extra] = fields else {
            return self.fail(Failure::new("Neo.ClientError.Request.Invalid", "RUN takes a text and two maps."));
        };
        let in_transaction = self.state == State::Transaction;
        let (database, access) = if in_transaction { self.transaction.clone() } else { target(Some(extra)) };
        let answer = match self.place.condition(&self.world) {
            Condition::Throttled => Err(Failure::new(
                "Neo.TransientError.Request.NoThreadsAvailable",
                "There are no available threads to serve this request at the moment.",
            )),
            _ => self.execute(&database, access, text, params),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return self.fail(failure),
        };
        let qid = if in_transaction { self.next_qid } else { 0 };
        self.next_qid = qid + 1;
        let columns = answer.columns.iter().map(|column| Value::from(column.as_str())).collect();
        let mut metadata = vec![("fields", Value::List(columns)), ("t_first", Value::Int(1))];
        if in_transaction {
            metadata.push(("qid", Value::Int(qid)));
        }
        let kind = if answer.writes { "rw" } else { "r" };
        let summary = [("type", Value::from(kind)), ("t_last", Value::Int(1)), ("db", Value::from(database.as_str()))];
        let summary = summary.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.streams.insert(qid, Stream { rows: answer.rows.into(), summary });
        self.succeed(metadata);
    }

    fn execute(&self, database: &str, access: Access, text: &str, params: &Map) -> Result<query::Answer, Failure> {
        let truth = &mut *self.world.truth();
        let faults = truth.faults.clone();
        let tick = Tick { now: Timestamp::now(), pace: self.world.pace, faults: &faults };
        query::execute(truth, self.server, &query::Request { database, access, text, params }, &tick)
    }

    fn pull(&mut self, fields: &[Value], send: bool) {
        let number =
            |key: &str| fields.first().and_then(Value::map).and_then(|extra| extra.get(key)).and_then(Value::int);
        let qid = number("qid").filter(|qid| *qid >= 0).unwrap_or(self.next_qid - 1);
        let Some(mut stream) = self.streams.remove(&qid) else {
            return self.fail(Failure::new("Neo.ClientError.Request.Invalid", "There is no result to pull from."));
        };
        let wanted = number("n").and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let batch: Vec<_> = stream.rows.drain(..wanted.min(stream.rows.len())).collect();
        if send {
            batch.into_iter().for_each(|row| self.send(RECORD, vec![Value::List(row)]));
        }
        if stream.rows.is_empty() {
            self.send(SUCCESS, vec![Value::Map(stream.summary)]);
        } else {
            self.streams.insert(qid, stream);
            self.succeed([("has_more", Value::Bool(true))]);
        }
    }

    /// `ROUTE`: who reads and who writes, for drivers that route by themselves.
    fn route(&mut self, fields: &[Value]) {
        let database = match fields.get(2) {
            Some(Value::Text(name)) => name.clone(),
            Some(Value::Map(extra)) => extra.get("db").and_then(Value::text).unwrap_or(super::DATABASE).to_owned(),
            _ => super::DATABASE.to_owned(),
        };
        let table = {
            let truth = self.world.truth();
            truth.neo4j.routes(&database, &truth.faults)
        };
        let Some(table) = table else {
            let message =
                format!("Unable to get a routing table for database '{database}' because this database does not exist");
            return self.fail(Failure::new("Neo.ClientError.Database.DatabaseNotFound", message));
        };
        let role = |(role, addresses): (&str, Vec<String>)| {
            let addresses = Value::List(addresses.into_iter().map(Value::Text).collect());
            Value::Map(Map::from([("role".to_owned(), role.into()), ("addresses".to_owned(), addresses)]))
        };
        let table = Map::from([
            ("ttl".to_owned(), Value::Int(300)),
            ("db".to_owned(), database.into()),
            ("servers".to_owned(), Value::List(table.into_iter().map(role).collect())),
        ]);
        self.succeed([("rt", Value::Map(table))]);
    }
}

/// The database and the access mode that BEGIN or an auto-commit RUN asks for.
fn target(extra: Option<&Value>) -> (String, Access) {
    let text = |key: &str| extra.and_then(Value::map).and_then(|extra| extra.get(key)).and_then(Value::text);
    let access = if text("mode") == Some("r") { Access::Read } else { Access::Write };
    (text("db").unwrap_or(super::DATABASE).to_owned(), access)
}

/// The next message, joined from its chunks. Empty chunks between messages keep a connection alive.
async fn read_message(stream: &mut BufReader<GatedStream>) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let size = usize::from(stream.read_u16().await?);
        if size == 0 && !message.is_empty() {
            return Ok(message);
        }
        let start = message.len();
        if start + size > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        message.resize(start + size, 0);
        stream.read_exact(&mut message[start..]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_spoken_proposal_counts() {
        let pick = |proposals: [[u8; 4]; 4]| negotiate(proposals.as_flattened().try_into().unwrap());
        let none = [0; 4];
        assert_eq!(pick([[0, 0, 1, 4], [0, 0, 0, 4], none, none]), Some((4, 1)));
        // A manifest first, then 5.8 down to 5.0: the newest of the range that is spoken.
        assert_eq!(pick([[0, 0, 1, 255], [0, 8, 8, 5], [0, 2, 4, 4], [0, 0, 0, 3]]), Some((5, 4)));
        assert_eq!(pick([[0, 1, 8, 5], [0, 2, 4, 4], none, none]), Some((4, 4)));
        assert_eq!(pick([[0, 0, 0, 3], none, none, none]), None);
    }
}
