//! Connections to servers and Sentinels: one attempt, a time limit over connect and answer together, and errors in our words.
//!
//! TLS is ours and not the client library's: `redis-cli` never looks at the name in a certificate, so many that are in use hold none, and
//! the library cannot be told another name (<https://redis.io/docs/latest/operate/oss_and_stack/management/security/encryption/>).

use std::time::Duration;

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::domain::estate::SystemSpec;
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::outbound::secret::Keep;
use crate::outbound::stream::{self, Terms, Tls, Wire};
use crate::systems::shell::quoted;

/// How long a command that changes something may take.
const MUTATION: Duration = Duration::from_secs(10);

/// Who is spoken to, which decides about the user, the password and TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Server,
    Sentinel,
}

/// How a kind of peer lets people in.
struct Door {
    username: Option<String>,
    password: Keep,
    tls: Option<Tls>,
}

pub struct Client {
    system: String,
    servers: Door,
    sentinels: Door,
    /// What `redis-cli` has to be told of the files that TLS needs.
    cli: Vec<String>,
    timeout: Duration,
}

/// The host and the port of `host:port`, without the brackets of an IPv6 address.
pub fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()?)).filter(|(host, _)| !host.is_empty())
}

impl Client {
    /// # Errors
    /// When the parameters can never work together.
    pub fn new(spec: &SystemSpec) -> Result<Self, Fault> {
        let (params, id) = (&spec.params, spec.id.as_str());
        let terms = Terms::of(id, params)?;
        let tls = params.flag("tls");
        let of_sentinels = if params.0.contains_key("sentinel_tls") { params.flag("sentinel_tls") } else { tls };
        if let Some(name) = Terms::needless(params).filter(|_| !tls && !of_sentinels) {
            return Err(Fault::permanent(id, format!("`{name}` is set, and `tls` is not: nothing would be encrypted"))
                .next("set tls = true, or take it out"));
        }
        let door = |username: &str, password: &str, tls: bool| -> Result<Door, Fault> {
            let (username, password) = (params.opt_text(username), params.secret(password));
            if let Some(username) = username.filter(|_| password.is_none()) {
                return Err(Fault::permanent(id, format!("the user `{}` has no password here", clean(username)))
                    .next("set the password beside the user: Redis lets nobody in by name alone"));
            }
            let tls = tls.then(|| Tls::new(terms.clone()));
            Ok(Door { username: username.map(str::to_owned), password: Keep::new(password), tls })
        };
        let files =
            [("--cacert", "ca"), ("--cert", "client_certificate"), ("--key", "client_key"), ("--sni", "server_name")];
        let told =
            files.iter().filter_map(|(flag, name)| Some([(*flag).to_owned(), params.opt_text(name)?.to_owned()]));
        Ok(Self {
            system: spec.id.to_string(),
            servers: door("username", "password", tls)?,
            sentinels: door("sentinel_username", "sentinel_password", of_sentinels)?,
            cli: told.flatten().collect(),
            timeout: params.opt_span("timeout").unwrap_or(Duration::from_secs(2)),
        })
    }

    fn door(&self, peer: Peer) -> &Door {
        if peer == Peer::Server { &self.servers } else { &self.sentinels }
    }

    /// The command that asks the same by hand. Passwords are asked for, never printed.
    pub fn by_hand(&self, peer: Peer, address: &str, words: &[&str]) -> String {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "6379"));
        let place = format!("-h {} -p {}", quoted(host.trim_matches(['[', ']'])), quoted(port));
        self.by_hand_at(peer, &place, words)
    }

    /// The same, where `place` is written as a shell reads it.
    pub fn by_hand_at(&self, peer: Peer, place: &str, words: &[&str]) -> String {
        let (door, mut all) = (self.door(peer), Vec::new());
        if door.tls.is_some() {
            all.push("--tls");
            all.extend(self.cli.iter().map(String::as_str));
        }
        if let Some(username) = &door.username {
            all.extend(["--user", username]);
        }
        if door.password.is_some() {
            all.push("--askpass");
        }
        all.extend(words);
        format!("redis-cli {place} {}", all.into_iter().map(quoted).collect::<Vec<_>>().join(" "))
    }

    /// A connection for one look or one change.
    pub fn connect<'a>(&'a self, peer: Peer, address: &'a str) -> BoxFuture<'a, Result<Link, Fault>> {
        Box::pin(async move {
            let door = self.door(peer);
            let password = door.password.read(&self.system).await?;
            let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
            if let Some(username) = door.username.as_ref().filter(|_| password.is_some()) {
                settings = settings.set_username(username);
            }
            if let Some(password) = &password {
                settings = settings.set_password(password.expose());
            }
            // The limits are kept here, over the whole exchange, so that a mutation can be given more.
            let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
            let connecting = async {
                let wire = self.wire(door, address).await?;
                let made = MultiplexedConnection::new_with_config(&settings, wire, config).await;
                made.map_err(|error| fault(&self.system, address, &error, false))
            };
            match timeout(self.timeout, connecting).await {
                Ok(Ok((link, driver))) => Ok(Link {
                    link,
                    driver: tokio::spawn(driver),
                    system: self.system.clone(),
                    address: address.to_owned(),
                    timeout: self.timeout,
                }),
                Ok(Err(fault)) => Err(fault),
                Err(_) => Err(Fault::transient(
                    &self.system,
                    format!("{address} did not let us in within {}", secs(self.timeout)),
                )),
            }
        })
    }

    async fn wire(&self, door: &Door, address: &str) -> Result<Box<dyn Wire>, Fault> {
        let Some((host, port)) = split(address) else {
            return Err(Fault::permanent(&self.system, format!("`{}` is not host:port", clean(address))));
        };
        let stream = stream::dial(&self.system, host, port).await?;
        match &door.tls {
            Some(tls) => tls.wrap(&self.system, host, address, stream).await,
            None => Ok(Box::new(stream)),
        }
    }

    /// Whether the server at `address` sends as much as one byte, or could not even be looked for. Something that turns us away, or speaks
    /// nonsense, is not proven dead.
    pub fn may_live<'a>(&'a self, address: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let talk = async {
                // One that refuses our certificate, or shows one that we do not trust, has spoken; a name that is not found says nothing.
                let mut stream = match self.wire(&self.servers, address).await {
                    Ok(stream) => stream,
                    Err(fault) => return fault.class == FaultClass::Permanent,
                };
                stream.write_all(b"PING\r\n").await.is_ok() && stream.read_u8().await.is_ok()
            };
            timeout(self.timeout, talk).await.unwrap_or(false)
        })
    }
}

/// An open connection.
pub struct Link {
    link: MultiplexedConnection,
    driver: JoinHandle<()>,
    system: String,
    pub address: String,
    timeout: Duration,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What a server says instead of an answer: its code, where it said one (`NOREPLICAS`), and all in our words.
pub struct Refusal {
    pub code: Option<String>,
    pub fault: Fault,
}

impl Link {
    /// Asks something that changes nothing.
    pub fn ask<'a>(&'a mut self, words: &'a [&'a str]) -> BoxFuture<'a, Result<Value, Fault>> {
        Box::pin(async move { self.send(words, self.timeout, false).await.map_err(|refusal| refusal.fault) })
    }

    /// The same, for one that has to know by which code it was refused.
    pub fn tell<'a>(&'a mut self, words: &'a [&'a str]) -> BoxFuture<'a, Result<Value, Refusal>> {
        Box::pin(async move { self.send(words, self.timeout, false).await })
    }

    /// Changes something, in one attempt: a fault is ambiguous unless the server itself refused.
    pub fn change<'a>(&'a mut self, words: &'a [&'a str]) -> BoxFuture<'a, Result<Value, Fault>> {
        Box::pin(async move { self.send(words, MUTATION, true).await.map_err(|refusal| refusal.fault) })
    }

    async fn send(&mut self, words: &[&str], limit: Duration, mutates: bool) -> Result<Value, Refusal> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        let refused = |error: &RedisError| Refusal {
            code: error.code().map(str::to_owned),
            fault: fault(&self.system, &self.address, error, mutates),
        };
        match timeout(limit, self.link.send_packed_command(&command)).await {
            Ok(Ok(Value::ServerError(error))) => Err(refused(&error.into())),
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(refused(&error)),
            Err(_) => {
                let class = if mutates { FaultClass::Ambiguous } else { FaultClass::Transient };
                let what = format!("{} did not answer {} within {}", self.address, words[0], secs(limit));
                Err(Refusal { code: None, fault: Fault::new(class, &self.system, what) })
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
        // It says so to whatever is asked first, AUTH included.
        _ if said.contains(CROWDED) => Fault::transient(system, what).next("wait a little, then retry"),
        (ErrorKind::AuthenticationFailed, _) | (_, "NOAUTH" | "WRONGPASS" | "NOPERM") => Fault::permanent(system, what)
            .next("check the user, the password and the ACL: those of Sentinels are their own"),
        (_, "DENIED") => Fault::permanent(system, what).next(
            "it takes only its own host without a password (protected-mode): set one, or let it listen to this host",
        ),
        (_, "NOGOODSLAVE") => Fault::permanent(system, what)
            .means("no replica is fit: all are down, of priority 0, or cut off for longer than ten times down-after")
            .next("if the data on one of them is good enough, stop the Sentinels and use redis.promote"),
        (_, "INPROG") => Fault::ambiguous(system, what).means("a failover is already running, perhaps the wanted one"),
        (_, "LOADING" | "TRYAGAIN" | "MASTERDOWN" | "BUSY" | "READONLY" | "CLUSTERDOWN") => {
            Fault::transient(system, what)
        }
        (ErrorKind::Server(_) | ErrorKind::Extension, _) => Fault::permanent(system, what),
        // With TLS 1.3 a client hears only now that its certificate is not taken.
        _ if said.contains("received fatal alert") => Fault::permanent(system, what)
            .means("it answers, and refuses this client's certificate, or wants one")
            .next("set `client_certificate` and `client_key` to what it trusts"),
        _ if mutates && !error.is_connection_refusal() => {
            Fault::ambiguous(system, what).means("the command may have been carried out")
        }
        _ => Fault::transient(system, what),
    }
}

/// How a server begins to say that it lets nobody else in.
const CROWDED: &str = "max number of clients";

/// Whether a fault says that somebody is there who turned us away: then whatever was asked is not known, and nothing is down.
pub fn is_refusal(fault: &Fault) -> bool {
    fault.class == FaultClass::Permanent || fault.what.contains(CROWDED)
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
