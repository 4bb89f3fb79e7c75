//! One connection to one server, by neo4rs, which speaks Bolt 4.0 and 4.1; every Neo4j since 4.0 speaks one of them
//! (<https://neo4j.com/docs/bolt/current/bolt-compatibility/>). neo4rs repeats a plain `run` or `execute` by itself, for up to a minute,
//! whenever the server says "transient"; so everything goes through explicit transactions, which it does not repeat. It also unwraps what a
//! server may leave out of an answer; such a panic is caught here and told as an answer that is not Bolt.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use neo4rs::{ConfigBuilder, Error, Graph, Txn};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::login::UNAUTHORIZED;
use super::relay::Relay;
use super::values;
use crate::outbound::stream::Wire;

/// How neo4rs begins: `60 60 b0 17`, then what it proposes, 4.1 and 4.0, as `00 00 minor major`.
pub const HANDSHAKE: [u8; 20] = [0x60, 0x60, 0xb0, 0x17, 0, 0, 1, 4, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0];

/// A query and its parameters.
#[derive(Clone)]
pub struct Query(neo4rs::Query);

pub fn query(text: &str) -> Query {
    Query(neo4rs::query(text))
}

impl Query {
    pub fn param(self, name: &str, value: impl Into<Value>) -> Self {
        Self(self.0.param(name, values::bolt(value.into())))
    }
}

/// A row of an answer, by column.
#[derive(Clone, Debug, Default)]
pub struct Row(pub Map<String, Value>);

impl Row {
    /// A column as what is wanted; `None` where it is missing, null or something else.
    pub fn get<T: DeserializeOwned>(&self, column: &str) -> Option<T> {
        serde_json::from_value(self.0.get(column)?.clone()).ok()
    }

    /// The only column.
    pub fn only(&self) -> Option<&Value> {
        self.0.values().next().filter(|_| self.0.len() == 1)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Broken {
    /// The server says no, with a code like `Neo.ClientError.Security.Unauthorized`.
    Said {
        code: String,
        message: String,
    },
    /// The same to the login itself.
    LoginRefused {
        code: String,
        message: String,
    },
    /// It speaks Bolt, in no version that is known here.
    Version,
    /// What came is no Bolt.
    Noise,
    /// It took the connection and ended it at once.
    HungUp,
    Io(io::Error),
}

/// An open connection with somebody logged in.
pub struct Session {
    // A transaction holds the only connection of the pool.
    txn: Option<Txn>,
    /// neo4rs logs in when it begins something: the database, and what came of it.
    begun: Option<(String, Result<Txn, Broken>)>,
    graph: Graph,
    relay: Relay,
}

impl Session {
    /// Agrees on a version, logs in, and begins at `database`: what comes of that is told by [`Self::begin`].
    ///
    /// # Errors
    /// [`Broken::LoginRefused`] when the server refuses the user; anything else when it breaks off, or is none.
    pub async fn log_in(wire: Box<dyn Wire>, username: &str, password: &str, database: &str) -> Result<Self, Broken> {
        let relay = Relay::start(wire).await.map_err(Broken::Io)?;
        let config = ConfigBuilder::default().uri(relay.uri()).user(username).password(password);
        let config = config.db(database).max_connections(1).build();
        let config = config.map_err(|error| broken(&relay, error))?;
        // Nothing is connected to yet: that happens with the first transaction.
        let graph = heard(&relay, Graph::connect(config)).await?;
        let begun = match heard(&relay, graph.start_txn_on(database)).await {
            Ok(txn) => Ok(txn),
            Err(said @ Broken::Said { .. }) => Err(said),
            Err(other) => return Err(other),
        };
        Ok(Self { txn: None, begun: Some((database.to_owned(), begun)), graph, relay })
    }

    /// Begins a transaction of several statements.
    ///
    /// # Errors
    /// When it is refused: then nothing was begun.
    pub async fn begin(&mut self, database: &str) -> Result<(), Broken> {
        self.reset();
        let begun = self.begun.take().filter(|(of, _)| of == database);
        self.txn = Some(match begun {
            Some((_, begun)) => begun?,
            None => heard(&self.relay, self.graph.start_txn_on(database)).await?,
        });
        Ok(())
    }

    /// The rows of a query within a transaction.
    ///
    /// # Errors
    /// When it is refused, or the connection breaks.
    pub async fn rows(&mut self, query: &Query) -> Result<Vec<Row>, Broken> {
        let txn = self.txn.as_mut().ok_or_else(not_begun)?;
        let asking = async {
            let mut stream = txn.execute(query.0.clone()).await?;
            let mut rows = Vec::new();
            while let Some(row) = stream.next(txn.handle()).await? {
                rows.push(Row(values::columns(&row).map_err(Error::DeserializationError)?));
            }
            Ok(rows)
        };
        heard(&self.relay, asking).await
    }

    /// # Errors
    /// When it is refused, or the connection breaks: then it may have been carried out.
    pub async fn commit(&mut self) -> Result<(), Broken> {
        let txn = self.txn.take().ok_or_else(not_begun)?;
        heard(&self.relay, txn.commit()).await
    }

    /// # Errors
    /// When the connection breaks.
    pub async fn rollback(&mut self) -> Result<(), Broken> {
        let txn = self.txn.take().ok_or_else(not_begun)?;
        heard(&self.relay, txn.rollback()).await
    }

    /// Makes it usable again after a refusal: a connection that goes back to the pool of neo4rs is reset before it is used again.
    pub fn reset(&mut self) {
        self.txn = None;
    }

    /// Hangs up in peace.
    pub fn close(self) {
        let Self { txn, begun, graph, relay } = self;
        drop((txn, begun, graph));
        relay.release();
    }
}

fn not_begun() -> Broken {
    Broken::Io(io::ErrorKind::NotConnected.into())
}

/// What came of something that neo4rs does.
async fn heard<T>(relay: &Relay, what: impl Future<Output = Result<T, Error>>) -> Result<T, Broken> {
    match AssertUnwindSafe(what).catch_unwind().await {
        Ok(outcome) => outcome.map_err(|error| broken(relay, error)),
        Err(_) => Err(Broken::Noise),
    }
}

fn broken(relay: &Relay, error: Error) -> Broken {
    match error {
        Error::Neo4j(said) => Broken::Said { code: said.code().to_owned(), message: said.message().to_owned() },
        Error::AuthenticationError(message) => {
            let code = code(&relay.seen().head).unwrap_or_else(|| UNAUTHORIZED.to_owned());
            Broken::LoginRefused { code, message }
        }
        Error::UnexpectedMessage(text) => said(&text).unwrap_or(Broken::Noise),
        Error::IOError { .. } | Error::ConnectionError | Error::UnsupportedVersion(_) => ended(relay),
        _ => Broken::Noise,
    }
}

/// How the server ended it, by what came over the wire.
fn ended(relay: &Relay) -> Broken {
    let mut seen = relay.seen();
    let cut = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    let version = seen.head.first_chunk().copied();
    match (version, seen.error.take()) {
        (None, None) => Broken::HungUp,
        (None, Some(error)) if cut(&error) => Broken::HungUp,
        (Some([0, 0, 0, 0]), _) => Broken::Version,
        (Some([0, 0, 0 | 1, 4]) | None, Some(error)) => Broken::Io(error),
        (Some([0, 0, 0 | 1, 4]), None) => Broken::Io(io::ErrorKind::UnexpectedEof.into()),
        (Some(_), _) => Broken::Noise,
    }
}

/// The code of a refused login, of which neo4rs tells the message alone.
fn code(head: &[u8]) -> Option<String> {
    const BEGINS: &[u8] = b"Neo.";
    let start = head.windows(BEGINS.len()).position(|window| window == BEGINS)?;
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'.';
    Some(head[start..].iter().take_while(is_part).map(|byte| char::from(*byte)).collect())
}

/// A failure where neo4rs expects none, which is to anything but RUN: it tells that as the text of its own structure, `unexpected response
/// for PULL: Ok(Failure(Failure { metadata: BoltMap { value: {BoltString { value: "code" }: String(BoltString { value: "Neo.…" }), …`.
fn said(text: &str) -> Option<Broken> {
    let (_, answer) = text.split_once(": ")?;
    if !answer.trim_start_matches("Ok(").starts_with("Failure(") {
        return None;
    }
    let field = |key: &str| {
        let begins = format!("BoltString {{ value: \"{key}\" }}: String(BoltString {{ value: \"");
        answer.split_once(&begins).map(|(_, rest)| unescaped(rest)).unwrap_or_default()
    };
    Some(Broken::Said { code: field("code"), message: field("message") })
}

/// A text as [`std::fmt::Debug`] writes it, up to the quote that ends it.
fn unescaped(written: &str) -> String {
    let (mut text, mut rest) = (String::new(), written.chars());
    while let Some(next) = rest.next().filter(|next| *next != '"') {
        let escaped = if next == '\\' { rest.next() } else { None };
        text.extend(match escaped {
            None => Some(next),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('0') => Some('\0'),
            Some('u') => {
                let digits: String =
                    rest.by_ref().take_while(|next| *next != '}').filter(|next| *next != '{').collect();
                u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
            }
            Some(itself) => Some(itself),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const VERSION: [u8; 4] = [0, 0, 1, 4];
    const FORBIDDEN: &str = "Neo.ClientError.Security.Forbidden";
    const WORDS: &str = "it said \"no\" to 'é',\n\tfor { value: \\ }";

    fn text(text: &str) -> Vec<u8> {
        [&[0xd0, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    /// In one chunk.
    fn message(parts: &[&[u8]]) -> Vec<u8> {
        let message = parts.concat();
        let size = u16::try_from(message.len()).unwrap().to_be_bytes();
        [&size[..], &message, &[0, 0]].concat()
    }

    fn done() -> Vec<u8> {
        message(&[&[0xb1, 0x70, 0xa0]])
    }

    fn failure(entries: &[(&str, &str)]) -> Vec<u8> {
        let map: Vec<u8> = entries.iter().flat_map(|(key, value)| [text(key), text(value)].concat()).collect();
        message(&[&[0xb1, 0x7f, 0xa0 | u8::try_from(entries.len()).unwrap()], &map])
    }

    fn no() -> Vec<u8> {
        failure(&[("code", FORBIDDEN), ("message", WORDS)])
    }

    /// What it answers to RUN: one column.
    fn fields() -> Vec<u8> {
        message(&[&[0xb1, 0x70, 0xa1], &text("fields"), &[0x91], &text("it")])
    }

    /// A server that says its version, then to each message one of `answers`; it hangs up when it has none left. How often it was asked
    /// for a connection is counted.
    async fn server(version: Vec<u8>, answers: Vec<Vec<u8>>) -> (Box<dyn Wire>, Arc<AtomicUsize>) {
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = door.local_addr().unwrap();
        let knocks = Arc::new(AtomicUsize::new(0));
        let counted = knocks.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = door.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                stream.read_exact(&mut [0; 20]).await.unwrap();
                stream.write_all(&version).await.unwrap();
                for answer in &answers {
                    loop {
                        let Ok(size) = stream.read_u16().await else { return };
                        if size == 0 {
                            break;
                        }
                        stream.read_exact(&mut vec![0; size.into()]).await.unwrap();
                    }
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
        (Box::new(TcpStream::connect(address).await.unwrap()), knocks)
    }

    async fn log_in(wire: Box<dyn Wire>) -> Result<Session, Broken> {
        Session::log_in(wire, "neo4j", "secret", "neo4j").await
    }

    /// One change.
    async fn change(answers: Vec<Vec<u8>>) -> Result<Vec<Row>, Broken> {
        let mut session = log_in(server(VERSION.into(), answers).await.0).await?;
        session.begin("neo4j").await?;
        let rows = session.rows(&query("RETURN 1")).await?;
        session.commit().await?;
        Ok(rows)
    }

    #[tokio::test]
    async fn a_no_is_told_with_its_code_and_its_words_whatever_it_answers() {
        // HELLO and BEGIN, RUN, PULL, COMMIT.
        let well = [done(), done(), fields(), done(), done()];
        assert!(change(well.to_vec()).await.is_ok());
        for place in 0..well.len() {
            let answers = well[..place].iter().cloned().chain([no()]).collect();
            let (code, message) = match (place, change(answers).await) {
                (0, Err(Broken::LoginRefused { code, message })) => (code, message),
                (1.., Err(Broken::Said { code, message })) => (code, message),
                (_, other) => panic!("{place}: {other:?}"),
            };
            assert_eq!((code.as_str(), message.as_str()), (FORBIDDEN, WORDS), "{place}");
        }
    }

    #[tokio::test]
    async fn who_breaks_off_is_told_from_who_speaks_otherwise() {
        let cut = Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()));
        type Row<'a> = (&'a [u8], Vec<Vec<u8>>, Result<(), Broken>);
        let rows: [Row<'_>; 7] = [
            (b"", vec![], Err(Broken::HungUp)),
            (&[0, 0], vec![], Err(Broken::HungUp)),
            (&[0; 4], vec![], Err(Broken::Version)),
            (&[0, 0, 4, 5], vec![], Err(Broken::Noise)),
            (b"HTTP/1.1 400 Bad Request", vec![], Err(Broken::Noise)),
            (&VERSION, vec![], cut),
            // Something is left out that neo4rs unwraps.
            (&VERSION, vec![failure(&[("code", FORBIDDEN)])], Err(Broken::Noise)),
        ];
        for (version, answers, wanted) in rows {
            let told = log_in(server(version.into(), answers).await.0).await.map(drop);
            assert_eq!(format!("{told:?}"), format!("{wanted:?}"), "{version:x?}");
        }
    }

    #[tokio::test]
    async fn a_refused_query_does_not_end_the_connection() {
        // HELLO and BEGIN, RUN; RESET and BEGIN, RUN, PULL, ROLLBACK.
        let record = message(&[&[0xb1, 0x71, 0x91, 0x92, 0xc0, 0xa1], &text("at"), &[0xb3, b'F', 0, 0, 0]]);
        let answers = vec![done(), done(), no(), done(), done(), fields(), [record, done()].concat(), done()];
        let (wire, knocks) = server(VERSION.into(), answers).await;
        let mut session = log_in(wire).await.unwrap();
        session.begin("neo4j").await.unwrap();
        assert!(matches!(session.rows(&query("SHOW SERVERS")).await, Err(Broken::Said { .. })));
        session.reset();
        session.begin("system").await.unwrap();
        let rows = session.rows(&query("RETURN $it").param("it", json!({ "a": [1, null] }))).await.unwrap();
        assert_eq!(rows[0].only(), Some(&json!([null, { "at": "1970-01-01T00:00:00Z" }])));
        session.rollback().await.unwrap();
        session.close();
        assert_eq!(knocks.load(Ordering::SeqCst), 1);
    }
}
