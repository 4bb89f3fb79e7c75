//! Connections to servers and Sentinels: one attempt, a time limit over connect and answer together, and errors in our words.

use std::time::Duration;

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::domain::estate::SystemSpec;
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::outbound::secret::Keep;
use crate::systems::shell::quoted;

/// How long a command that changes something may take.
const MUTATION: Duration = Duration::from_secs(10);

/// Who is spoken to, which decides about the password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Server,
    Sentinel,
}

pub struct Client {
    system: String,
    username: Option<String>,
    password: Keep,
    sentinel_password: Keep,
    timeout: Duration,
}

impl Client {
    pub fn new(spec: &SystemSpec) -> Result<Self, Fault> {
        let params = &spec.params;
        Ok(Self {
            system: spec.id.to_string(),
            username: params.opt_text("username").map(str::to_owned),
            password: Keep::new(params.secret("password")),
            sentinel_password: Keep::new(params.secret("sentinel_password")),
            timeout: params.opt_span("timeout").unwrap_or(Duration::from_secs(2)),
        })
    }

    /// The command that asks the same by hand. Passwords are asked for, never printed.
    pub fn by_hand(&self, peer: Peer, address: &str, words: &[&str]) -> String {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "6379"));
        let place = format!("-h {} -p {}", quoted(host.trim_matches(['[', ']'])), quoted(port));
        self.by_hand_at(peer, &place, words)
    }

    /// The same, where `place` is written as a shell reads it.
    pub fn by_hand_at(&self, peer: Peer, place: &str, words: &[&str]) -> String {
        let mut all = Vec::new();
        let password = if peer == Peer::Server { &self.password } else { &self.sentinel_password };
        if let Some(username) = self.username.as_ref().filter(|_| peer == Peer::Server) {
            all.extend(["--user", username]);
        }
        if password.is_some() {
            all.push("--askpass");
        }
        all.extend(words);
        format!("redis-cli {place} {}", all.into_iter().map(quoted).collect::<Vec<_>>().join(" "))
    }

    /// A connection for one look or one change.
    pub fn connect<'a>(&'a self, peer: Peer, address: &'a str) -> BoxFuture<'a, Result<Link, Fault>> {
        Box::pin(async move {
            let kept = if peer == Peer::Server { &self.password } else { &self.sentinel_password };
            let password = kept.read(&self.system).await?;
            let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
            if let Some(username) = self.username.as_ref().filter(|_| peer == Peer::Server && password.is_some()) {
                settings = settings.set_username(username);
            }
            if let Some(password) = &password {
                settings = settings.set_password(password.expose());
            }
            let bad = |_| Fault::permanent(&self.system, format!("`{}` is not host:port", clean(address)));
            let target = format!("redis://{address}").into_connection_info().map_err(bad)?.set_redis_settings(settings);
            let client = redis::Client::open(target).map_err(bad)?;
            // The limits are kept here, over the whole exchange, so that a mutation can be given more.
            let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
            let connecting = client.get_multiplexed_async_connection_with_config(&config);
            match timeout(self.timeout, connecting).await {
                Ok(Ok(link)) => {
                    Ok(Link { link, system: self.system.clone(), address: address.to_owned(), timeout: self.timeout })
                }
                Ok(Err(error)) => Err(fault(&self.system, address, &error, false)),
                Err(_) => Err(Fault::transient(
                    &self.system,
                    format!("{address} did not let us in within {}", secs(self.timeout)),
                )),
            }
        })
    }
}

impl Client {
    /// Whether `address` sends as much as one byte. Something that turns us away, or speaks nonsense, is not proven dead.
    pub fn says_anything<'a>(&'a self, address: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let talk = async {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(b"PING\r\n").await?;
                stream.read_u8().await
            };
            matches!(timeout(self.timeout, talk).await, Ok(Ok(_)))
        })
    }
}

/// An open connection.
pub struct Link {
    link: MultiplexedConnection,
    system: String,
    pub address: String,
    timeout: Duration,
}

impl Link {
    /// Asks something that changes nothing.
    pub fn ask<'a>(&'a mut self, words: &'a [&'a str]) -> BoxFuture<'a, Result<Value, Fault>> {
        Box::pin(async move { self.send(words, self.timeout, false).await })
    }

    /// Changes something, in one attempt: a fault is ambiguous unless the server itself refused.
    pub fn change<'a>(&'a mut self, words: &'a [&'a str]) -> BoxFuture<'a, Result<Value, Fault>> {
        Box::pin(async move { self.send(words, MUTATION, true).await })
    }

    async fn send(&mut self, words: &[&str], limit: Duration, mutates: bool) -> Result<Value, Fault> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        match timeout(limit, self.link.send_packed_command(&command)).await {
            Ok(Ok(Value::ServerError(error))) => Err(fault(&self.system, &self.address, &error.into(), mutates)),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(fault(&self.system, &self.address, &error, mutates)),
            Err(_) => {
                let class = if mutates { FaultClass::Ambiguous } else { FaultClass::Transient };
                let what = format!("{} did not answer {} within {}", self.address, words[0], secs(limit));
                Err(Fault::new(class, &self.system, what))
            }
        }
    }
}

fn secs(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

/// What an error of the client library means. Passwords are in none of them: the library keeps them out, and Redis never echoes one.
fn fault(system: &str, address: &str, error: &RedisError, mutates: bool) -> Fault {
    let said = clean(&error.to_string());
    let what = format!("{address}: {said}");
    let code = error.code().unwrap_or_default();
    match (error.kind(), code) {
        (ErrorKind::AuthenticationFailed, _) | (_, "NOAUTH" | "WRONGPASS" | "NOPERM") => {
            Fault::permanent(system, what).next("check `username`, `password` and `sentinel_password`, and the ACL")
        }
        (_, "NOGOODSLAVE") => Fault::permanent(system, what)
            .means("no replica is fit: all are down, of priority 0, or cut off for longer than ten times down-after")
            .next("if the data on one of them is good enough, stop the Sentinels and use redis.promote"),
        (_, "INPROG") => Fault::ambiguous(system, what).means("a failover is already running, perhaps the wanted one"),
        (_, "LOADING" | "TRYAGAIN" | "MASTERDOWN" | "BUSY" | "READONLY") => Fault::transient(system, what),
        (ErrorKind::Server(_) | ErrorKind::Extension, _) if said.contains("max number of clients") => {
            Fault::transient(system, what).next("wait a little, then retry")
        }
        (ErrorKind::Server(_) | ErrorKind::Extension, _) => Fault::permanent(system, what),
        _ if mutates && !error.is_connection_refusal() => {
            Fault::ambiguous(system, what).means("the command may have been carried out")
        }
        _ => Fault::transient(system, what),
    }
}

/// A reply as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Okay => Some("OK".into()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A reply's items.
pub fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        _ => &[],
    }
}

/// The fields of an entry of a Sentinel, which is a flat array of keys and values in RESP2.
pub fn fields(value: &Value) -> std::collections::BTreeMap<String, String> {
    let pair = |pair: &[Value]| Some((text(&pair[0])?, text(&pair[1])?));
    match value {
        Value::Map(entries) => entries.iter().filter_map(|(key, value)| Some((text(key)?, text(value)?))).collect(),
        other => items(other).chunks_exact(2).filter_map(pair).collect(),
    }
}
