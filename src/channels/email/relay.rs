//! The relay that takes letters, by RFC 5321: connections that are kept for the next batch, and one transaction a letter.
//!
//! lettre's own transport gives a letter up at the first recipient who is refused, so that one dead mailbox would keep it from
//! forty-nine customers. Its connection and commands are used here, and the transaction is our own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures::future::BoxFuture;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::{Instant, timeout};

use super::super::exchange::Voice;
use crate::domain::params::Params;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::outbound::http::install_tls;
use crate::outbound::secret::Keep;

/// How long it may take to be let in, and to be answered to a command.
const ENTRY: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(30);

/// How long the answer to a whole letter may take. RFC 5321 (4.5.3.2.6) would wait ten minutes, because giving up early makes doubles:
/// here it makes a doubt.
const VERDICT: Duration = Duration::from_secs(120);

/// So many connections are kept, for so long.
const KEPT: usize = 4;
const FRESH: Duration = Duration::from_secs(30);

/// For how long a batch waits for recipients who are put off, before those who are not are told without them.
const PATIENCE: Duration = Duration::from_secs(600);

/// How the way to the relay is kept private.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Starttls,
    Implicit,
    None,
}

/// What became of a letter.
#[derive(Default)]
pub struct Taken {
    pub accepted: usize,
    pub refused: usize,
    /// The relay's words for the first refusal.
    pub why_refused: Option<String>,
}

/// `host:port`, without the brackets of an IPv6 address.
pub fn split(server: &str) -> (String, u16) {
    let (host, port) = server.rsplit_once(':').unwrap_or((server, "587"));
    (host.trim_matches(['[', ']']).to_owned(), port.parse().unwrap_or(587))
}

/// Whether what goes there stays on this host.
pub fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub struct Relay {
    host: String,
    port: u16,
    tls: Tls,
    ca: Option<String>,
    user: Option<String>,
    password: Keep,
    voice: Voice,
    /// Made once: it reads all of the host's trusted certificates.
    trust: OnceCell<TlsParameters>,
    kept: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
    /// When a recipient of each batch was put off first.
    put_off: Mutex<BTreeMap<String, Instant>>,
}

/// What the relay said to the recipients of one letter.
#[derive(Default)]
struct Roll {
    accepted: usize,
    /// Refused for good, and for now.
    refused: Vec<String>,
    put_off: Vec<String>,
}

impl Relay {
    /// # Errors
    /// When it can never be logged in to.
    pub fn new(params: &Params, tls: Tls, voice: Voice) -> Result<Self, Fault> {
        let (host, port) = split(params.text("server")?);
        let (user, password) = (params.opt_text("user").map(str::to_owned), params.secret("password"));
        if user.is_some() != password.is_some() {
            return Err(voice.unfit("`user` and `password` belong together"));
        }
        Ok(Self {
            ca: params.opt_text("ca").map(str::to_owned),
            password: Keep::new(password),
            trust: OnceCell::new(),
            kept: Mutex::default(),
            put_off: Mutex::default(),
            host,
            port,
            tls,
            user,
            voice,
        })
    }

    /// Logs in and out again; says how.
    pub fn greet(&self) -> BoxFuture<'_, Result<String, Fault>> {
        Box::pin(async move {
            let mut connection = self.open().await?;
            let private = if connection.is_encrypted() { "over TLS" } else { "in the open, on this host" };
            let _ = timeout(ANSWER, connection.quit()).await;
            let who = self.user.as_ref().map_or_else(|| "without a login".into(), |user| format!("as {}", clean(user)));
            Ok(format!("{}:{} lets us in {who}, {private}", self.host, self.port))
        })
    }

    /// Sends one letter once. `batch` names it for as long as recipients of it are put off.
    pub fn send<'a>(
        &'a self,
        batch: &'a str,
        from: &'a Address,
        to: &'a [Address],
        letter: &'a [u8],
    ) -> BoxFuture<'a, Result<Taken, Fault>> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            let roll = match self.address(&mut connection, from, to).await.and_then(|roll| self.judge(roll)) {
                Ok(roll) if roll.put_off.is_empty() || self.waited(batch).await => roll,
                Ok(roll) => {
                    give_up(connection).await;
                    let (count, of) = (roll.put_off.len(), to.len());
                    let what = format!("{count} of {of} recipients are put off: {}", roll.put_off[0]);
                    return Err(self.voice.later(what).retry_after(super::CALM));
                }
                Err(fault) => {
                    give_up(connection).await;
                    return Err(fault);
                }
            };
            match self.hand_over(&mut connection, letter).await {
                Ok(()) => self.keep(connection).await,
                Err(fault) => {
                    give_up(connection).await;
                    return Err(fault);
                }
            }
            self.put_off.lock().await.remove(batch);
            let left_out: Vec<String> = roll.refused.into_iter().chain(roll.put_off).collect();
            Ok(Taken { accepted: roll.accepted, refused: left_out.len(), why_refused: left_out.into_iter().next() })
        })
    }

    /// Whether a batch has waited long enough for those who are put off.
    async fn waited(&self, batch: &str) -> bool {
        let mut put_off = self.put_off.lock().await;
        let since = *put_off.entry(batch.to_owned()).or_insert_with(Instant::now);
        since.elapsed() >= PATIENCE
    }

    /// Says who it is from and to. Nothing is sent by that.
    async fn address(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: &Address,
        to: &[Address],
    ) -> Result<Roll, Fault> {
        self.command(connection, Mail::new(Some(from.clone()), Vec::new()))
            .await
            .map_err(|error| self.early(&error))?;
        let mut roll = Roll::default();
        for address in to {
            match self.command(connection, Rcpt::new(address.clone(), Vec::new())).await {
                Ok(()) => roll.accepted += 1,
                Err(Unsaid::Answered(error)) if error.is_permanent() => roll.refused.push(words(&error, address)),
                Err(Unsaid::Answered(error)) if error.is_transient() => roll.put_off.push(words(&error, address)),
                Err(other) => return Err(self.early(&other)),
            }
        }
        Ok(roll)
    }

    /// Whether there is anybody to send it to.
    fn judge(&self, roll: Roll) -> Result<Roll, Fault> {
        match (roll.accepted, roll.put_off.first(), roll.refused.first()) {
            (0, Some(why), _) => {
                Err(self.voice.later(format!("all recipients are put off: {why}")).retry_after(super::CALM))
            }
            (0, None, why) => {
                let why = why.map(String::as_str).unwrap_or_default();
                let what = format!("all {} recipients of a letter are refused: {why}", roll.refused.len());
                Err(self.voice.broken(what).next("look at the list of recipients and at what the relay says"))
            }
            _ => Ok(roll),
        }
    }

    /// Hands the letter over. Until its last line the relay does nothing with it.
    async fn hand_over(&self, connection: &mut AsyncSmtpConnection, letter: &[u8]) -> Result<(), Fault> {
        self.command(connection, Data).await.map_err(|error| self.early(&error))?;
        match timeout(VERDICT, connection.message(letter)).await {
            Ok(Ok(_)) => Ok(()),
            // Whoever refuses a letter has not taken it (RFC 5321, 4.2.5).
            Ok(Err(error)) if error.is_transient() || error.is_permanent() => Err(self.refused(&error)),
            Ok(Err(error)) => {
                Err(self.voice.doubtful(format!("the relay's answer to the letter was lost: {}", plain(&error))))
            }
            Err(_) => {
                Err(self.voice.doubtful(format!("the relay did not answer the letter within {} s", VERDICT.as_secs())))
            }
        }
    }

    async fn command(
        &self,
        connection: &mut AsyncSmtpConnection,
        command: impl std::fmt::Display,
    ) -> Result<(), Unsaid> {
        match timeout(ANSWER, connection.command(command)).await {
            Ok(answer) => answer.map(drop).map_err(Unsaid::Answered),
            Err(_) => Err(Unsaid::Late),
        }
    }

    /// What a failure before the letter means: nothing was sent.
    fn early(&self, unsaid: &Unsaid) -> Fault {
        match unsaid {
            Unsaid::Answered(error) => self.refused(error),
            Unsaid::Late => self.voice.later(format!("the relay did not answer within {} s", ANSWER.as_secs())),
        }
    }

    fn refused(&self, error: &Error) -> Fault {
        let what = format!("the relay {}:{} says {}", self.host, self.port, plain(error));
        match error.status().map(u16::from) {
            // Not logged in, or not well enough (RFC 4954).
            Some(530 | 534 | 535 | 538) => {
                let next = format!(
                    "look at `user` and `password` of [[channel]] {}, then `mayday outbox retry`",
                    self.voice.channel
                );
                self.voice.broken(what).next(next)
            }
            // More recipients than it takes (RFC 5321, 4.5.3.1.10), or more of everything.
            Some(_) if error.is_transient() => self.voice.later(what).retry_after(super::CALM),
            Some(_) => self.voice.broken(what),
            None if is_distrusted(error) => {
                self.voice.broken(what).next("look at the relay's certificate, and at `ca` of the channel")
            }
            None => self.voice.later(what),
        }
    }

    /// One that is still good, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, Fault> {
        loop {
            // The lock ends with the statement: the others need not wait for the relay's answer.
            let Some((mut connection, since)) = self.kept.lock().await.pop() else { return self.open().await };
            if since.elapsed() < FRESH && timeout(ANSWER, connection.test_connected()).await.unwrap_or(false) {
                return Ok(connection);
            }
            give_up(connection).await;
        }
    }

    async fn keep(&self, connection: AsyncSmtpConnection) {
        let mut kept = self.kept.lock().await;
        kept.push((connection, Instant::now()));
        if kept.len() > KEPT {
            let (oldest, _) = kept.remove(0);
            drop(kept);
            give_up(oldest).await;
        }
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Fault> {
        match timeout(ENTRY, self.enter()).await {
            Ok(entered) => entered,
            Err(_) => {
                let what = format!("the relay {}:{} let nobody in within {} s", self.host, self.port, ENTRY.as_secs());
                Err(self.voice.later(what))
            }
        }
    }

    async fn enter(&self) -> Result<AsyncSmtpConnection, Fault> {
        let (hello, failed) = (ClientId::default(), |error: Error| self.refused(&error));
        let server = (self.host.as_str(), self.port);
        let implicit = if self.tls == Tls::Implicit { Some(self.trust().await?) } else { None };
        let opened = AsyncSmtpConnection::connect_tokio1(server, Some(ENTRY), &hello, implicit, None).await;
        let mut connection = opened.map_err(failed)?;
        if self.tls == Tls::Starttls {
            if !connection.can_starttls() {
                give_up(connection).await;
                let what = format!("the relay {}:{} offers no STARTTLS", self.host, self.port);
                return Err(self.voice.broken(what).next("never send mail there in the open; ask who runs the relay"));
            }
            connection.starttls(self.trust().await?, &hello).await.map_err(failed)?;
        }
        if let Some(user) = &self.user {
            let password = self.password.read(self.voice.channel.as_str()).await?;
            let password = password.map(|it| it.expose().to_owned()).unwrap_or_default();
            let credentials = Credentials::new(user.clone(), password);
            connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await.map_err(failed)?;
        }
        Ok(connection)
    }

    async fn trust(&self) -> Result<TlsParameters, Fault> {
        self.trust.get_or_try_init(|| self.make_trust()).await.cloned()
    }

    async fn make_trust(&self) -> Result<TlsParameters, Fault> {
        install_tls();
        let builder = TlsParametersBuilder::new(self.host.clone());
        let builder = match &self.ca {
            Some(file) => {
                let wrong = |why: String| self.voice.broken(format!("`ca` {file}: {why}"));
                let pem = tokio::fs::read(file).await.map_err(|error| wrong(error.kind().to_string()))?;
                let authority = Certificate::from_pem(&pem).map_err(|error| wrong(plain(&error)))?;
                builder.certificate_store(CertificateStore::None).add_root_certificate(authority)
            }
            None => builder,
        };
        builder.build_rustls().map_err(|error| self.voice.broken(format!("TLS cannot be set up: {}", plain(&error))))
    }
}

/// Why a command was not obeyed.
enum Unsaid {
    Answered(Error),
    Late,
}

/// Ends a connection that is of no more use; its transaction ends with it.
async fn give_up(mut connection: AsyncSmtpConnection) {
    let _ = timeout(ANSWER, connection.abort()).await;
}

/// Whether the relay showed a certificate that is not trusted. lettre calls a handshake that fails a failed connection, and what it
/// failed for lies deeper.
fn is_distrusted(error: &Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = cause.downcast_ref() {
            return true;
        }
        // An I/O error keeps what it was made of beside its source.
        let within = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match within {
            Some(within) => Some(within),
            None => cause.source(),
        };
    }
    false
}

fn plain(error: &Error) -> String {
    clean(&error.to_string())
}

/// The relay's words, without the address that they often repeat: customers' addresses are not journalled.
fn words(error: &Error, address: &Address) -> String {
    plain(error).replace(&address.to_string(), "…")
}
