//! One HTTP request to whoever tells people, and what may be concluded when it fails. Nothing here tries twice.

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::domain::comms::{Audience, Parcel};
use crate::domain::ids::ChannelId;
use crate::domain::params::Params;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::outbound::http::root;
use crate::outbound::redact;
use crate::outbound::secret::{Keep, Secret};

/// How long one request may take: longer than a connection may take to open, so that running out of it means that the request may
/// have arrived.
const PATIENCE: Duration = Duration::from_secs(10);

/// More of an answer is not read.
const LONGEST: usize = 4 << 20;

/// So much of an answer is shown to people, in characters.
const SHOWN: usize = 160;

/// A pause that a vendor asks for is believed up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Statuspage's second word for too many requests: <https://developer.statuspage.io/#section/Rate-Limiting>.
const ENHANCE_YOUR_CALM: u16 = 420;

/// Whether a request tells people something. What only asks can be asked again whatever became of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purport {
    Asks,
    Tells,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Silence {
    /// There was no connection, so nothing was sent.
    Unsent(String),
    /// The request may have arrived.
    Lost(String),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(why) | Self::Lost(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Silence {}

/// What came back.
pub struct Reply {
    pub status: StatusCode,
    /// How long the vendor asks to be left alone.
    pub pause: Option<Duration>,
    /// The host that it sends us on to. Nobody follows: it was not asked for, and the secret would go with it.
    pub leads: Option<String>,
    pub body: String,
}

impl Reply {
    /// Only a status: of an answer that was read by somebody else.
    pub fn of(status: StatusCode) -> Self {
        Self { status, pause: None, leads: None, body: String::new() }
    }

    /// The same without another secret that the vendor may have repeated.
    pub fn without(self, secret: &Secret) -> Self {
        let body = redact::answer(&self.body, secret.expose());
        Self { body, ..self }
    }

    /// The status and the beginning of the body, for people.
    pub fn words(&self) -> String {
        let body: String = clean(&self.body).chars().take(SHOWN).collect();
        let leads = self.leads.as_ref().map(|host| format!(" (it leads to {host})")).unwrap_or_default();
        if body.is_empty() { format!("{}{leads}", self.status) } else { format!("{}{leads}: {body}", self.status) }
    }
}

/// Sends a request once. `secret` is taken out of the answer, should the vendor repeat it.
///
/// # Errors
/// When no whole answer came.
pub fn send(request: RequestBuilder, secret: Option<&Secret>) -> BoxFuture<'_, Result<Reply, Silence>> {
    Box::pin(async move {
        let answer = request.timeout(PATIENCE).send().await.map_err(silence)?;
        let (status, pause, leads) = (answer.status(), pause(answer.headers()), leads(&answer));
        let body = read(answer).await?;
        let body = secret.map_or_else(|| body.clone(), |secret| redact::answer(&body, secret.expose()));
        Ok(Reply { status, pause, leads, body })
    })
}

async fn read(mut answer: Response) -> Result<String, Silence> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Silence::Lost(root(&error.without_url())))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST {
            return Err(Silence::Lost(format!("an answer of more than {LONGEST} bytes")));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The URL stays out of the words: it may be a secret.
fn silence(error: reqwest::Error) -> Silence {
    let (early, late) = (error.is_connect() || error.is_builder(), error.is_timeout());
    let why = match root(&error.without_url()) {
        _ if late && !early => format!("no answer within {} s", PATIENCE.as_secs()),
        why => why,
    };
    if early { Silence::Unsent(why) } else { Silence::Lost(why) }
}

/// Where an answer sends us on to: scheme and host, for the rest may hold a secret.
fn leads(answer: &Response) -> Option<String> {
    let to = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection())?.to_str().ok()?;
    let to = answer.url().join(to).ok()?;
    Some(clean(&format!("{}://{}", to.scheme(), to.host_str()?)))
}

/// So many seconds a date may lie back that was meant as "now".
const JUST_PASSED: f64 = 5.0;

/// `Retry-After` in seconds, which may have a fraction (Discord's have), or as a date (RFC 9110, 10.2.3), counted from the server's own
/// `Date`; or PagerDuty's `ratelimit-reset`: <https://developer.pagerduty.com/docs/rest-api-rate-limits>.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let named = headers.get(RETRY_AFTER).or_else(|| headers.get("ratelimit-reset"))?.to_str().ok()?.trim();
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|it| it.timestamp());
    let seconds = match (named.parse::<f64>(), date(named)) {
        (Ok(seconds), _) => seconds,
        (Err(_), Some(until)) => {
            let now = headers.get(DATE).and_then(|it| date(it.to_str().ok()?)).unwrap_or_else(Timestamp::now);
            let left = until.duration_since(now).as_secs_f64();
            // One that has just passed says "now"; that is asked again soon, and not at once. One of long ago says nothing.
            if left < -JUST_PASSED {
                return None;
            }
            left.max(1.0)
        }
        (Err(_), None) => return None,
    };
    Duration::try_from_secs_f64(seconds).ok().map(|pause| pause.min(LONGEST_PAUSE))
}

/// How a channel speaks of what fails.
#[derive(Clone)]
pub struct Voice {
    pub channel: ChannelId,
    audience: Audience,
    vendor: &'static str,
    /// How long it is left alone when it says "too many" and not for how long.
    calm: Duration,
    /// The proxy on the way, if there is one.
    pub(super) via: String,
}

impl Voice {
    pub fn new(channel: &ChannelId, audience: Audience, vendor: &'static str, calm: Duration) -> Self {
        Self { channel: channel.clone(), audience, vendor, calm, via: String::new() }
    }

    fn id(&self) -> &str {
        self.channel.as_str()
    }

    /// Nothing was sent, and later it may be.
    pub fn later(&self, what: impl Into<String>) -> Fault {
        Fault::transient(self.id(), what)
            .means("nothing was sent by this channel yet")
            .next("it is tried again by itself")
    }

    /// It may have been sent.
    pub fn doubtful(&self, what: impl Into<String>) -> Fault {
        Fault::ambiguous(self.id(), what)
            .means("whether it was sent is not known")
            .next(format!("look at {} before it is sent again", self.vendor))
    }

    /// Nothing was sent, and nothing will be until somebody mends something.
    pub fn broken(&self, what: impl Into<String>) -> Fault {
        Fault::permanent(self.id(), what)
            .means("nobody is told by this channel")
            .next(format!("fix [[channel]] {}, then `mayday outbox retry`", self.id()))
    }

    /// The parameters can never work.
    pub fn unfit(&self, what: impl Into<String>) -> Fault {
        Fault::permanent(self.id(), what)
            .means("nobody would be told by this channel")
            .next(format!("fix [[channel]] {}, then `mayday check`", self.id()))
    }

    pub fn throttled(&self, pause: Option<Duration>) -> Fault {
        let pause = pause.unwrap_or(self.calm);
        self.later(format!("{} takes no more for {} s: too many requests", self.vendor, pause.as_secs_f64().ceil()))
            .retry_after(pause)
    }

    pub fn silent(&self, silence: &Silence, purport: Purport) -> Fault {
        let what = format!("{} does not answer{}: {silence}", self.vendor, self.via);
        match (silence, purport) {
            (Silence::Lost(_), Purport::Tells) => self.doubtful(what),
            _ => self.later(what),
        }
    }

    /// What an answer that is no success means.
    pub fn refused(&self, reply: &Reply, purport: Purport) -> Fault {
        let what = format!("{} answers {}", self.vendor, reply.words());
        match reply.status {
            StatusCode::TOO_MANY_REQUESTS => self.throttled(reply.pause),
            status if status.as_u16() == ENHANCE_YOUR_CALM => self.throttled(reply.pause),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let next = format!("renew the secret of [[channel]] {}, then `mayday outbox retry`", self.id());
                self.broken(format!("{} refuses the credentials ({})", self.vendor, reply.words())).next(next)
            }
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => match purport {
                Purport::Tells => self.doubtful(what),
                Purport::Asks => self.later(what),
            },
            _ => self.broken(what),
        }
    }

    /// The answer of a request, if it is a success.
    ///
    /// # Errors
    /// What the failure means.
    pub async fn ask(
        &self,
        request: RequestBuilder,
        secret: Option<&Secret>,
        purport: Purport,
    ) -> Result<Reply, Fault> {
        let reply = send(request, secret).await.map_err(|silence| self.silent(&silence, purport))?;
        if reply.status.is_success() { Ok(reply) } else { Err(self.refused(&reply, purport)) }
    }

    /// The same, read as JSON.
    ///
    /// # Errors
    /// What the failure means; a success that cannot be read leaves a doubt where the request told people something.
    pub async fn read<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        secret: Option<&Secret>,
        purport: Purport,
    ) -> Result<T, Fault> {
        let reply = self.ask(request, secret, purport).await?;
        serde_json::from_str(&reply.body).map_err(|error| {
            let what = format!("{} answers what cannot be read ({error}): {}", self.vendor, reply.words());
            if purport == Purport::Tells { self.doubtful(what) } else { self.later(what) }
        })
    }

    /// Refuses what is for practice where it would reach customers or the public. `decide` leaves these channels out of drills; this
    /// holds even if it did not.
    ///
    /// # Errors
    /// When the parcel must not go this way.
    pub fn allow(&self, parcel: &Parcel) -> Result<(), Fault> {
        if parcel.drill && self.audience != Audience::Internal {
            return Err(Fault::permanent(self.id(), format!("a drill is not told to {}", self.audience))
                .means("nothing was sent, and nothing should have been")
                .next("tell whoever keeps Mayday: this message should not have come so far"));
        }
        Ok(())
    }
}

/// The base URL of a vendor's API, without a slash at its end.
///
/// # Errors
/// When the parameter is not there, or a secret would cross the network in the open.
pub fn base(params: &Params, voice: &Voice) -> Result<String, Fault> {
    let url = params.text("url")?;
    let parsed = Url::parse(url).map_err(|error| voice.unfit(format!("`url` is no URL: {error}")))?;
    match parsed.scheme() {
        "https" => {}
        "http" if is_local(&parsed) => {}
        _ => return Err(voice.unfit("`url` has to be https: the secret goes with every request")),
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// A URL that is a secret itself, as those of incoming webhooks are.
///
/// # Errors
/// When there is none, or it would cross the network in the open.
pub async fn secret_url(keep: &Keep, voice: &Voice) -> Result<(Url, Secret), Fault> {
    let secret = keep.read(voice.channel.as_str()).await?.ok_or_else(|| voice.unfit("there is no URL"))?;
    let url = Url::parse(secret.expose()).map_err(|_| voice.broken("what the secret holds is no URL"))?;
    match url.scheme() {
        "https" => Ok((url, secret)),
        "http" if is_local(&url) => Ok((url, secret)),
        _ => Err(voice.broken("its URL has to be https: whoever knows it can write there")),
    }
}

/// As much of a text as fits, and whether that is less than all of it.
pub fn fitted(text: &str, longest: usize) -> (String, bool) {
    if text.chars().count() <= longest {
        return (text.to_owned(), false);
    }
    let mut kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    kept.push('…');
    (kept, true)
}

/// The receipt's word for a text that was cut, which people are shown.
pub const CUT: &str = "cut";

/// Whether it is on this host.
pub fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::system::FaultClass;

    fn voice(audience: Audience) -> Voice {
        Voice::new(&"page".into(), audience, "Statuspage", Duration::from_secs(60))
    }

    #[test]
    fn an_answer_says_whether_anything_was_sent() {
        let voice = voice(Audience::Public);
        let class = |status: u16, purport| {
            let status = StatusCode::from_u16(status).unwrap();
            voice.refused(&Reply::of(status), purport).class
        };
        for (status, asked, told) in [
            (400, FaultClass::Permanent, FaultClass::Permanent),
            (401, FaultClass::Permanent, FaultClass::Permanent),
            (420, FaultClass::Transient, FaultClass::Transient),
            (429, FaultClass::Transient, FaultClass::Transient),
            (500, FaultClass::Transient, FaultClass::Ambiguous),
            (503, FaultClass::Transient, FaultClass::Ambiguous),
            (302, FaultClass::Permanent, FaultClass::Permanent),
        ] {
            assert_eq!((class(status, Purport::Asks), class(status, Purport::Tells)), (asked, told), "{status}");
        }
        let lost = voice.silent(&Silence::Lost("reset".into()), Purport::Tells);
        let unsent = voice.silent(&Silence::Unsent("refused".into()), Purport::Tells);
        assert_eq!((lost.class, unsent.class), (FaultClass::Ambiguous, FaultClass::Transient));
    }

    #[test]
    fn the_pause_that_is_asked_for_is_kept() {
        let mut headers = HeaderMap::new();
        assert_eq!(pause(&headers), None);
        headers.insert("ratelimit-reset", "7".parse().unwrap());
        assert_eq!(pause(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, "99999999".parse().unwrap());
        assert_eq!(pause(&headers), Some(LONGEST_PAUSE));
        headers.insert(RETRY_AFTER, "soon".parse().unwrap());
        assert_eq!(pause(&headers), None);
        headers.insert(RETRY_AFTER, "0.25".parse().unwrap());
        assert_eq!(pause(&headers), Some(Duration::from_millis(250)));
        headers.insert(DATE, "Sun, 29 Nov 2026 03:00:00 GMT".parse().unwrap());
        for (until, seconds) in [("03:00:40", Some(40)), ("02:59:58", Some(1)), ("02:00:00", None)] {
            headers.insert(RETRY_AFTER, format!("Sun, 29 Nov 2026 {until} GMT").parse().unwrap());
            assert_eq!(pause(&headers), seconds.map(Duration::from_secs), "{until}");
        }
        assert_eq!(voice(Audience::Public).throttled(None).retry_after.map(|it| it.0), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_secret_does_not_cross_the_network_in_the_open() {
        let of = |url: &str| Params([("url".to_owned(), url.into())].into());
        for right in ["https://api.statuspage.io/", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
            assert!(base(&of(right), &voice(Audience::Public)).is_ok_and(|url| !url.ends_with('/')), "{right}");
        }
        for wrong in ["http://api.statuspage.io", "http://10.0.0.1", "ftp://localhost", "x"] {
            assert!(base(&of(wrong), &voice(Audience::Public)).is_err(), "{wrong}");
        }
    }
}
