//! Bolt, as much of it as is needed to ask one server: versions 4.1 to 4.4 and 5.0 to 5.4, which every Neo4j since 4.1 speaks. Nothing is
//! repeated, routed or pooled here. <https://neo4j.com/docs/bolt/current/bolt/>

mod pack;

use std::io;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

use crate::outbound::stream::Wire;

/// `60 60 b0 17`, then four proposals as `00 range minor major`: 5.4 down to 5.0, 4.4 down to 4.1.
pub const HANDSHAKE: [u8; 20] = [0x60, 0x60, 0xb0, 0x17, 0, 4, 4, 5, 0, 3, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0];
/// A message is not larger.
const LARGEST: usize = 16 * 1024 * 1024;
const AGENT: &str = concat!("mayday/", env!("CARGO_PKG_VERSION"));

const HELLO: u8 = 0x01;
const GOODBYE: u8 = 0x02;
const RESET: u8 = 0x0f;
const RUN: u8 = 0x10;
const BEGIN: u8 = 0x11;
const COMMIT: u8 = 0x12;
const ROLLBACK: u8 = 0x13;
const PULL: u8 = 0x3f;
const LOGON: u8 = 0x6a;
const SUCCESS: u8 = 0x70;
const RECORD: u8 = 0x71;
const FAILURE: u8 = 0x7f;

/// A query and its parameters.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    params: Map<String, Value>,
}

pub fn query(text: &str) -> Query {
    Query { text: text.to_owned(), params: Map::new() }
}

impl Query {
    pub fn param(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }
}

/// A row of an answer, by column.
#[derive(Clone, Debug, Default)]
pub struct Row(pub Map<String, Value>);

impl Row {
    /// A column as what is wanted; `None` where it is missing, null or something else.
    pub fn get<T: serde::de::DeserializeOwned>(&self, column: &str) -> Option<T> {
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

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An open connection.
pub struct Session {
    wire: BufReader<Box<dyn Wire>>,
    version: (u8, u8),
}

impl Session {
    /// Agrees on a version. Nobody is logged in yet.
    ///
    /// # Errors
    /// When the server breaks off, or is none.
    pub async fn open(wire: Box<dyn Wire>) -> Result<Self, Broken> {
        let mut wire = BufReader::new(wire);
        wire.get_mut().write_all(&HANDSHAKE).await?;
        wire.get_mut().flush().await?;
        let mut chosen = [0; 4];
        match wire.read_exact(&mut chosen).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Broken::HungUp),
            Err(error) => return Err(error.into()),
        }
        match chosen {
            [0, 0, minor, major @ (4 | 5)] if minor <= 4 => Ok(Self { wire, version: (major, minor) }),
            [0, 0, 0, 0] => Err(Broken::Version),
            _ => Err(Broken::Noise),
        }
    }

    /// Logs in.
    ///
    /// # Errors
    /// [`Broken::LoginRefused`] when the server refuses the user.
    pub async fn log_in(&mut self, username: &str, password: &str) -> Result<(), Broken> {
        let who = json!({ "scheme": "basic", "principal": username, "credentials": password });
        let mut hello = json!({ "user_agent": AGENT });
        if self.version >= (5, 3) {
            hello["bolt_agent"] = json!({ "product": AGENT });
        }
        let refused = |broken| match broken {
            Broken::Said { code, message } => Broken::LoginRefused { code, message },
            other => other,
        };
        if self.version >= (5, 1) {
            self.ask(HELLO, &[hello]).await.map_err(refused)?;
            self.ask(LOGON, &[who]).await.map_err(refused)?;
            return Ok(());
        }
        for key in ["scheme", "principal", "credentials"] {
            hello[key] = who[key].clone();
        }
        self.ask(HELLO, &[hello]).await.map(drop).map_err(refused)
    }

    /// Begins a transaction of several statements.
    ///
    /// # Errors
    /// When it is refused: then nothing was begun.
    pub async fn begin(&mut self, database: &str) -> Result<(), Broken> {
        self.ask(BEGIN, &[json!({ "db": database })]).await.map(drop)
    }

    /// The rows of a query within a transaction.
    ///
    /// # Errors
    /// When it is refused, or the connection breaks.
    pub async fn rows(&mut self, query: &Query) -> Result<Vec<Row>, Broken> {
        let head = self.ask(RUN, &[query.text.clone().into(), query.params.clone().into(), json!({})]).await?;
        let columns: Vec<String> = serde_json::from_value(head["fields"].clone()).unwrap_or_default();
        self.send(PULL, &[json!({ "n": -1 })]).await?;
        let mut rows = Vec::new();
        loop {
            match self.receive().await? {
                (RECORD, fields) => {
                    let Some(Value::Array(cells)) = fields.into_iter().next() else { return Err(Broken::Noise) };
                    rows.push(Row(columns.iter().cloned().zip(cells).collect()));
                }
                (SUCCESS, _) => return Ok(rows),
                (FAILURE, fields) => return Err(said(&fields)),
                _ => return Err(Broken::Noise),
            }
        }
    }

    /// # Errors
    /// When it is refused, or the connection breaks: then it may have been carried out.
    pub async fn commit(&mut self) -> Result<(), Broken> {
        self.ask(COMMIT, &[]).await.map(drop)
    }

    /// # Errors
    /// When the connection breaks.
    pub async fn rollback(&mut self) -> Result<(), Broken> {
        self.ask(ROLLBACK, &[]).await.map(drop)
    }

    /// Makes it usable again after a refusal.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn reset(&mut self) -> Result<(), Broken> {
        self.ask(RESET, &[]).await.map(drop)
    }

    /// Says goodbye, if anybody still listens.
    pub async fn close(mut self) {
        let _ = self.send(GOODBYE, &[]).await;
    }

    async fn ask(&mut self, tag: u8, fields: &[Value]) -> Result<Value, Broken> {
        self.send(tag, fields).await?;
        match self.receive().await? {
            (SUCCESS, fields) => Ok(fields.into_iter().next().unwrap_or_default()),
            (FAILURE, fields) => Err(said(&fields)),
            _ => Err(Broken::Noise),
        }
    }

    async fn send(&mut self, tag: u8, fields: &[Value]) -> Result<(), Broken> {
        let (mut message, mut out) = (Vec::new(), Vec::new());
        pack::structure(tag, fields, &mut message);
        for chunk in message.chunks(u16::MAX.into()) {
            out.extend((chunk.len() as u16).to_be_bytes());
            out.extend_from_slice(chunk);
        }
        out.extend([0, 0]);
        self.wire.get_mut().write_all(&out).await?;
        Ok(self.wire.get_mut().flush().await?)
    }

    /// The next message, joined from its chunks. Empty chunks between messages keep a connection alive.
    async fn receive(&mut self) -> Result<(u8, Vec<Value>), Broken> {
        let mut bytes = Vec::new();
        loop {
            let size = usize::from(self.wire.read_u16().await?);
            if size == 0 && !bytes.is_empty() {
                return pack::message(&bytes).ok_or(Broken::Noise);
            }
            let start = bytes.len();
            if start + size > LARGEST {
                return Err(Broken::Noise);
            }
            bytes.resize(start + size, 0);
            self.wire.read_exact(&mut bytes[start..]).await?;
        }
    }
}

/// What may be left out of a failure by a server that is none of Neo4j's.
fn said(fields: &[Value]) -> Broken {
    let text =
        |key: &str| fields.first().and_then(|it| it.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
    Broken::Said { code: text("code"), message: text("message") }
}
