//! The relay that takes letters, by RFC 5321: one transaction a letter, and what the relay says of each recipient.
//!
//! lettre's own transport gives a letter up at the first recipient who is refused, so that one dead mailbox would keep it from
//! forty-nine customers. Its connection and commands are used here, and the transaction is our own.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
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
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};

use super::super::exchange::Voice;
use super::lanes::{ANSWER, Lane, Lanes, give_up};
use super::pause::asked;
use crate::domain::comms::CONNECTIONS;
use crate::domain::params::Params;
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::outbound::http::install_tls;
use crate::outbound::secret::Keep;

/// How long it may take to be let in.
const ENTRY: Duration = Duration::from_secs(20);

/// How long the answer to a whole letter may take. RFC 5321 (4.5.3.2.6) would wait ten minutes, because giving up early makes doubles:
/// here it makes a doubt.
const VERDICT: Duration = Duration::from_secs(120);

/// No relay that is shared takes more from one host.
const MOST_CONNECTIONS: usize = 50;

/// So long recipients are named, as soon as there is one who is taken: a relay that looks each of them up would else take longer than
/// anybody waits.
const NAMING: Duration = Duration::from_secs(20);

/// Whom the relay puts off without a word of when is tried again after this: most greylists let through who comes back after a minute.
const PUT_OFF: Duration = Duration::from_secs(61);

/// The word for a login by an access token: <https://developers.google.com/workspace/gmail/imap/xoauth2-protocol>.
pub const OAUTH: &str = "oauth";

/// How the way to the relay is kept private.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Starttls,
    Implicit,
    None,
}

/// What became of a letter. Whoever is named is named by the place in the list of recipients.
#[derive(Default)]
pub struct Taken {
    pub accepted: usize,
    /// Refused for good: how many, and the relay's words for the first.
    pub refused: usize,
    pub why_refused: Option<String>,
    /// Put off, for how long and why.
    pub put_off: Vec<(usize, Duration, String)>,
    /// Not named: the relay takes no more in one letter, or takes its time.
    pub left: Vec<usize>,
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
    /// The password is an access token.
    oauth: bool,
    voice: Voice,
    /// Made once: it reads all of the host's trusted certificates.
    trust: OnceCell<TlsParameters>,
    lanes: Lanes,
    /// The most recipients of one letter, once it has said so.
    most: AtomicUsize,
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
        if user.is_none() && params.opt_text("login") == Some(OAUTH) {
            return Err(voice.unfit("`login = \"oauth\"` needs `user`, and as `password` what prints an access token"));
        }
        let connections = params.opt_integer(CONNECTIONS).and_then(|most| usize::try_from(most).ok()).unwrap_or(1);
        if !(1..=MOST_CONNECTIONS).contains(&connections) {
            return Err(voice.unfit(format!("`{CONNECTIONS}` has to be 1 to {MOST_CONNECTIONS}")));
        }
        Ok(Self {
            ca: params.opt_text("ca").map(str::to_owned),
            password: Keep::new(password),
            oauth: params.opt_text("login") == Some(OAUTH),
            trust: OnceCell::new(),
            lanes: Lanes::new(connections),
            most: AtomicUsize::new(usize::MAX),
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
            let lane = self.lanes.enter().await.map_err(|why| self.voice.later(why))?;
            let (mut connection, _) = self.open(&lane).await?;
            let private = if connection.is_encrypted() { "over TLS" } else { "in the open, on this host" };
            let _ = timeout(ANSWER, connection.quit()).await;
            let who = self.user.as_ref().map_or_else(|| "without a login".into(), |user| format!("as {}", clean(user)));
            Ok(format!("{}:{} lets us in {who}, {private}", self.host, self.port))
        })
    }

    /// Sends one letter once, to those of `to` whom the relay takes.
    pub fn send<'a>(
        &'a self,
        from: &'a Address,
        to: &'a [Address],
        letter: &'a [u8],
    ) -> BoxFuture<'a, Result<Taken, Fault>> {
        Box::pin(async move {
            let lane = self.lanes.enter().await.map_err(|why| self.voice.later(why).retry_after(super::CALM))?;
            let (mut connection, mut was_kept) = self.connection(&lane).await?;
            let named = loop {
                match self.name(&mut connection, from, to).await {
                    // Relays take so many letters, or minutes, by one connection. Nothing was sent by it.
                    Err(fault) if was_kept && fault.class == FaultClass::Transient => {
                        give_up(connection).await;
                        (connection, was_kept) = self.open(&lane).await?;
                    }
                    named => break named,
                }
            };
            let taken = match named {
                Ok(taken) => taken,
                Err(fault) => {
                    give_up(connection).await;
                    return Err(fault);
                }
            };
            if taken.accepted == 0 {
                // Ends the transaction; what is left of it goes with the connection.
                give_up(connection).await;
                return Ok(taken);
            }
            match self.hand_over(&mut connection, letter).await {
                Ok(None) => self.lanes.keep(connection).await,
                Ok(Some((pause, why))) => {
                    give_up(connection).await;
                    let all = (0..to.len()).map(|at| (at, pause, why.clone())).collect();
                    return Ok(Taken { put_off: all, ..Taken::default() });
                }
                Err(fault) => {
                    give_up(connection).await;
                    return Err(fault);
                }
            }
            Ok(taken)
        })
    }

    /// Says who it is from and to. Nothing is sent by that.
    async fn name(&self, connection: &mut AsyncSmtpConnection, from: &Address, to: &[Address]) -> Result<Taken, Fault> {
        self.command(connection, Mail::new(Some(from.clone()), Vec::new()))
            .await
            .map_err(|error| self.early(&error))?;
        let (mut taken, begun, most) = (Taken::default(), Instant::now(), self.most.load(Ordering::Relaxed));
        for (at, address) in to.iter().enumerate() {
            if taken.accepted >= most || (taken.accepted > 0 && begun.elapsed() > NAMING) {
                taken.left.extend(at..to.len());
                break;
            }
            match self.command(connection, Rcpt::new(address.clone(), Vec::new())).await {
                Ok(()) => taken.accepted += 1,
                Err(Unsaid::Answered(error)) if taken.accepted > 0 && is_too_many(&error) => {
                    self.most.fetch_min(taken.accepted, Ordering::Relaxed);
                    taken.left.extend(at..to.len());
                    break;
                }
                Err(Unsaid::Answered(error)) if ends(&error) => return Err(self.refused(&error)),
                Err(Unsaid::Answered(error)) if error.is_permanent() => {
                    taken.refused += 1;
                    taken.why_refused.get_or_insert_with(|| words(&error, address));
                }
                Err(Unsaid::Answered(error)) if error.is_transient() => {
                    let why = words(&error, address);
                    taken.put_off.push((at, asked(&why).unwrap_or(PUT_OFF), why));
                }
                Err(other) => return Err(self.early(&other)),
            }
        }
        Ok(taken)
    }

    /// What it means that there is nobody to send it to, now or later.
    pub fn nobody(&self, taken: &Taken) -> Fault {
        let why = taken.why_refused.as_deref().unwrap_or_default();
        let what = match taken.refused {
            1 => format!("the recipient of a letter is refused: {why}"),
            all => format!("all {all} recipients of a letter are refused: {why}"),
        };
        self.voice.broken(what).next("look at the list of recipients and at what the relay says")
    }

    /// Hands the letter over. Until its last line the relay does nothing with it. It may put off the letter itself: for how long, and why.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        letter: &[u8],
    ) -> Result<Option<(Duration, String)>, Fault> {
        let put_off = |error: &Error| (asked(&plain(error)).unwrap_or(PUT_OFF), plain(error));
        match self.command(connection, Data).await {
            Ok(()) => {}
            Err(Unsaid::Answered(error)) if error.is_transient() && !ends(&error) => return Ok(Some(put_off(&error))),
            Err(other) => return Err(self.early(&other)),
        }
        match timeout(VERDICT, connection.message(letter)).await {
            Ok(Ok(_)) => Ok(None),
            // Whoever refuses a letter has not taken it (RFC 5321, 4.2.5).
            Ok(Err(error)) if error.is_transient() && !ends(&error) => Ok(Some(put_off(&error))),
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
            // It takes no more of anybody for now.
            Some(_) if error.is_transient() => {
                let pause = asked(&what).unwrap_or(super::CALM);
                self.voice.later(what).retry_after(pause)
            }
            Some(_) => self.voice.broken(what),
            None if is_distrusted(error) => {
                self.voice.broken(what).next("look at the relay's certificate, and at `ca` of the channel")
            }
            None => self.voice.later(what),
        }
    }

    /// One that is still good, or a new one; and whether it was used before.
    async fn connection(&self, lane: &Lane<'_>) -> Result<(AsyncSmtpConnection, bool), Fault> {
        loop {
            let Some(mut connection) = self.lanes.kept().await else { return self.open(lane).await };
            if timeout(ANSWER, connection.test_connected()).await.unwrap_or(false) {
                lane.is_in();
                return Ok((connection, true));
            }
            give_up(connection).await;
        }
    }

    /// Opens a connection, or takes one that another letter was sent by: that is said. Where the relay lets others of ours in and this one
    /// not, it takes no more of us: this one waits for its turn.
    async fn open(&self, lane: &Lane<'_>) -> Result<(AsyncSmtpConnection, bool), Fault> {
        loop {
            lane.enters();
            let fault = match timeout(ENTRY, self.enter()).await {
                Ok(Ok(connection)) => {
                    lane.is_in();
                    return Ok((connection, false));
                }
                Ok(Err(fault)) => fault,
                Err(_) => {
                    let (host, port) = (&self.host, self.port);
                    let what = format!("the relay {host}:{port} let nobody in within {} s", ENTRY.as_secs());
                    self.voice.later(what)
                }
            };
            if fault.class != FaultClass::Transient || !lane.turn_back().await {
                return Err(fault);
            }
            if let Some(mut connection) = self.lanes.kept().await
                && timeout(ANSWER, connection.test_connected()).await.unwrap_or(false)
            {
                lane.is_in();
                return Ok((connection, true));
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
            self.log_in(&mut connection, &credentials).await?;
        }
        Ok(connection)
    }

    async fn log_in(&self, connection: &mut AsyncSmtpConnection, credentials: &Credentials) -> Result<(), Fault> {
        let ways: &[Mechanism] = if self.oauth { &[Mechanism::Xoauth2] } else { &[Mechanism::Plain, Mechanism::Login] };
        let place = format!("the relay {}:{}", self.host, self.port);
        if connection.server_info().get_auth_mechanism(ways).is_none() {
            let names: Vec<String> = ways.iter().map(ToString::to_string).collect();
            let next = "look at `login`, or take `user` and `password` out where the relay wants none";
            return Err(self.voice.broken(format!("{place} offers no login by {}", names.join(" or "))).next(next));
        }
        match connection.auth(ways, credentials).await {
            Ok(_) => Ok(()),
            // A token that is not taken is answered with a question that has no answer.
            Err(error) if self.oauth && error.is_client() => Err(self
                .voice
                .broken(format!("{place} does not take the access token"))
                .next("run the command that prints it by hand; then `mayday outbox retry`")),
            Err(error) => Err(self.refused(&error)),
        }
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

/// Whether the relay takes no more recipients in one letter (RFC 5321, 4.5.3.1.10, which has 552 count as 452). A full mailbox and a full
/// disk have the same number, and another code behind it (RFC 3463).
fn is_too_many(error: &Error) -> bool {
    let said = plain(error);
    let code = said.split(|c: char| c.is_whitespace() || c == '(' || c == ':').find(|word| is_code(word));
    matches!(error.status().map(u16::from), Some(452 | 552))
        && code.map_or_else(|| error.is_transient(), |code| code.ends_with(".5.3"))
}

/// `4.5.3`
fn is_code(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether it is said of the connection, and not of a recipient or a letter: the relay hangs up (RFC 5321, 3.8), or wants a login.
fn ends(error: &Error) -> bool {
    matches!(error.status().map(u16::from), Some(421 | 503 | 530 | 535 | 538))
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
