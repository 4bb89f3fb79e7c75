//! One request as a client makes it: resolved by whom the plan says, followed only where that was asked for, its answer read as far as
//! it is needed.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use http::header::{HeaderMap, LOCATION};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant as Moment, timeout};
use url::Url;

use crate::domain::params::Params;
use crate::domain::text::clean;
use crate::outbound::wire::Silence;
use crate::outbound::wire::body::{End, MARGIN, Reach as Bounds, read};
use crate::outbound::wire::talk::{Call, Heard, Speech, bare, send};
use crate::outbound::wire::tls::{Shown, Tls};
use crate::systems::reach::Reach;

/// More of a body is not read where something is looked for in it.
pub const LONGEST: usize = 4 * 1024 * 1024;
/// The beginning of a body, for people, where nothing is looked for in it.
const BEGINNING: usize = 64 * 1024;
/// The share of the patience that a body without a length gets, where nothing is looked for in it.
const SHARE: f64 = 0.4;

/// The share of the patience that what this host needs for asking may take: beyond it the target was not asked.
const OURS: f64 = 0.7;

/// What is looked for in a body.
#[derive(Clone, Copy, Debug)]
pub enum Want<'w> {
    /// Nothing: its beginning is read, for people.
    Nothing,
    Part(&'w str),
    /// All of it.
    All,
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub body: String,
    /// How reading the body ended.
    pub end: End,
    /// What the server calls a way of writing text that is not known here.
    pub foreign: Option<String>,
    /// How long the body is by the server's word, and how much of it there is.
    pub length: (Option<u64>, usize),
    pub took: Duration,
    /// Until when the server's certificates are good; `None` without TLS.
    pub shown: Option<Shown>,
    /// Where it leads, as far as people need to know: without what may be a secret of a session.
    pub leads: Option<String>,
    /// Addresses of the same name that did not take the connection.
    pub dead: Vec<String>,
    is_binary: bool,
    streams: bool,
}

impl Reply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// The status, where it leads or the beginning of the body, for people.
    pub fn words(&self) -> String {
        let status = match StatusCode::from_u16(self.status).ok().and_then(|it| it.canonical_reason()) {
            Some(reason) if self.leads.is_some() => format!("{} {reason}", self.status),
            _ => self.status.to_string(),
        };
        if let Some(leads) = &self.leads {
            return format!("{status}, and leads to {leads}");
        }
        match (&self.end, self.is_binary) {
            (End::Unreadable(why), _) => format!("{status}; of the body nothing can be told: {why}"),
            (_, true) => format!("{status}, and {} bytes that are no text", self.length.1),
            _ => {
                let body: String = clean(&self.body).chars().take(160).collect();
                if body.is_empty() { status } else { format!("{status} {body}") }
            }
        }
    }

    /// Why a client would not have got all of the answer; `None` where it did, or where there need not be an end.
    pub fn broken(&self) -> Option<String> {
        match (&self.end, self.length) {
            (End::Cut(why), (Some(all), read)) => Some(format!("only {read} of {all} bytes came: {}", why.words())),
            (End::Cut(why), (None, read)) => Some(format!("it broke off after {read} bytes: {}", why.words())),
            (End::Time, (Some(all), read)) => Some(format!("only {read} of {all} bytes came in time")),
            _ => None,
        }
    }

    /// Nothing of a body came that was begun, and is no stream of events.
    pub fn is_hollow(&self) -> bool {
        self.end == End::Time && self.length.1 == 0 && !self.streams
    }
}

/// What is asked for, beside where.
pub struct Order<'o> {
    pub method: Method,
    pub headers: HeaderMap,
    /// Headers that prove who asks: they are sent to nobody but the host that was named.
    pub proof: HeaderMap,
    pub body: String,
    /// So many redirects are followed.
    pub follow: u64,
    pub want: Want<'o>,
}

impl Order<'_> {
    pub fn new(method: Method) -> Self {
        Self {
            method,
            headers: HeaderMap::new(),
            proof: HeaderMap::new(),
            body: String::new(),
            follow: 0,
            want: Want::All,
        }
    }
}

/// A URL, and who says where its host is.
#[derive(Clone, Debug)]
pub struct Target {
    pub url: Url,
    reach: Reach,
}

impl Target {
    /// # Errors
    /// When the URL is none, in a few words.
    pub fn new(url: &str, params: &Params) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("`{}` is not a URL: {error}", clean(url)))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(format!("`{}` is not an http or https URL", clean(url.as_str())));
        }
        Ok(Self { url, reach: Reach::of(params) })
    }

    /// Asks once, and reads all of the answer. `patience` bounds all of it, name resolution included.
    ///
    /// # Errors
    /// Why there is no answer, in a few words; never the URL, which may hold a secret.
    pub fn ask(&self, method: Method, patience: Duration) -> BoxFuture<'_, Result<Reply, Silence>> {
        Box::pin(async move { self.send(&Order::new(method), patience).await })
    }

    /// The same, as `order` says.
    ///
    /// # Errors
    /// As for [`ask`](Self::ask).
    pub fn send<'a>(&'a self, order: &'a Order<'a>, patience: Duration) -> BoxFuture<'a, Result<Reply, Silence>> {
        Box::pin(async move {
            let late = || Silence::Dead(format!("no answer within {:.1} s", patience.as_secs_f64()));
            timeout(patience, self.follow(order, patience)).await.unwrap_or_else(|_| Err(late()))
        })
    }

    async fn follow(&self, order: &Order<'_>, patience: Duration) -> Result<Reply, Silence> {
        let (started, until) = (Instant::now(), Moment::now() + patience.saturating_sub(MARGIN));
        let tls = match self.url.scheme() {
            "https" => Some(self.tls(patience.mul_f64(OURS)).await?),
            _ => None,
        };
        let mut call = Call::new(order.method.clone(), self.url.clone());
        call.body = order.body.clone().into();
        for hop in 0..=order.follow {
            call.headers = order.headers.clone();
            if is_same_host(&call.url, &self.url) {
                call.headers.extend(order.proof.clone());
            }
            let mut heard = self.hop(&call, tls.as_ref(), hop > 0, patience).await?;
            let took = started.elapsed();
            let next = heard.header(LOCATION).filter(|_| heard.status.is_redirection()).map(str::to_owned);
            let Some(next) = next.as_deref() else {
                return Ok(whole(&mut heard, order.want, until, patience, (started, took), None).await);
            };
            let next =
                call.url.join(next).map_err(|_| Silence::Dead(format!("{} leads nowhere", heard.status.as_u16())))?;
            let shown = without_secrets(&next);
            if hop == order.follow {
                return Ok(whole(&mut heard, Want::Nothing, until, patience, (started, took), Some(shown)).await);
            }
            if next.scheme() != self.url.scheme() {
                return Err(Silence::Refused(format!(
                    "it leads from {} to {shown}, and another scheme is never followed: ask that address",
                    self.url.scheme()
                )));
            }
            if matches!(heard.status, StatusCode::SEE_OTHER | StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND)
                && call.method != Method::HEAD
            {
                (call.method, call.body) = (Method::GET, Default::default());
            }
            call.url = next;
        }
        Err(Silence::Dead("it leads in a circle".into()))
    }

    async fn tls(&self, patience: Duration) -> Result<Tls, Silence> {
        let late = || Silence::unasked("the certificates and the key that Mayday needs cannot be read in time");
        timeout(patience, self.reach.tls()).await.unwrap_or_else(|_| Err(late()))
    }

    /// One request. Where a server leads, it may not lead into this host's own surroundings: a link-local address (RFC 3927) is where
    /// clouds keep the credentials of a machine.
    async fn hop(&self, call: &Call, tls: Option<&Tls>, led: bool, patience: Duration) -> Result<Heard, Silence> {
        let host = call.url.host_str().unwrap_or_default();
        if let Some(proxy) = self.reach.proxy_to(&call.url)? {
            // The proxy looks for a name; an address is one here, too.
            if led && bare(host).parse().is_ok_and(is_link_local) {
                return Err(never_followed(call));
            }
            let found = self.reach.find(&proxy.host, proxy.port, patience.mul_f64(OURS)).await;
            let found = found.map_err(|why| proxy.lost(&why))?;
            let call = Call { proxy: Some(proxy), ..call.clone() };
            return send(&call, found, tls, Speech::Agreed).await;
        }
        let port = call.url.port_or_known_default().unwrap_or(80);
        let mut addresses = self.reach.find(host, port, patience.mul_f64(OURS)).await?;
        if led && addresses.iter().any(|address| is_link_local(address.ip())) {
            addresses.retain(|address| !is_link_local(address.ip()));
            if addresses.is_empty() {
                return Err(never_followed(call));
            }
        }
        send(call, addresses, tls, Speech::Agreed).await
    }
}

fn never_followed(call: &Call) -> Silence {
    let leads = without_secrets(&call.url);
    Silence::Refused(format!("it leads to {leads}, a link-local address, which is never followed"))
}

/// Reads the body as far as `want` needs it.
async fn whole(
    heard: &mut Heard,
    want: Want<'_>,
    until: Moment,
    patience: Duration,
    (started, took): (Instant, Duration),
    leads: Option<String>,
) -> Reply {
    let (most, endless) = match want {
        Want::Nothing => (BEGINNING, until.min(Moment::now() + patience.mul_f64(SHARE))),
        _ => (LONGEST, until),
    };
    let body = read(heard, Bounds { most, until, endless }, |bytes, seen| match want {
        Want::Part(part) => has(&bytes[seen.saturating_sub(part.len())..], part),
        _ => false,
    })
    .await;
    let ended = matches!(body.end, End::Whole | End::Enough);
    let streams = heard.header(http::header::CONTENT_TYPE).is_some_and(|it| it.starts_with("text/event-stream"));
    let length = (heard.length(), body.bytes.len());
    Reply {
        status: heard.status.as_u16(),
        foreign: body.foreign().map(str::to_owned),
        is_binary: body.is_binary(),
        took: if ended { started.elapsed() } else { took },
        shown: heard.shown,
        dead: std::mem::take(&mut heard.dead),
        body: body.text(),
        end: body.end,
        length,
        leads,
        streams,
    }
}

fn has(bytes: &[u8], part: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(part)
}

fn is_same_host(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// A query may hold the state of a session.
fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // Fails for URLs that have no host: these have no credentials either.
    let _ = (shown.set_username(""), shown.set_password(None));
    clean(shown.as_str())
}

/// `169.254.0.0/16` and `fe80::/10`, and what clouds answer at beside them (`fd00:ec2::254`).
fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.segments()[..2] == [0xfd00, 0x0ec2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_machine_keeps_its_credentials_nobody_is_led() {
        for (ip, local) in [
            ("169.254.169.254", true),
            ("fe80::1", true),
            ("::ffff:169.254.169.254", true),
            ("fd00:ec2::254", true),
            ("127.0.0.1", false),
            ("10.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_link_local(ip.parse().unwrap()), local, "{ip}");
        }
    }

    #[test]
    fn of_where_an_answer_leads_no_secret_is_told() {
        let url = Url::parse("https://me:hunter2@login.example/start?state=hunter2#hunter2").unwrap();
        assert_eq!(without_secrets(&url), "https://login.example/start");
    }

    #[tokio::test]
    async fn authorities_that_cannot_be_read_are_no_target_that_is_down() {
        let params =
            serde_json::from_value(serde_json::json!({ "certificate_authority": "/nonexistent/a.pem" })).unwrap();
        let target = Target::new("https://127.0.0.1:9/", &params).unwrap();
        let why = target.ask(Method::GET, Duration::from_secs(2)).await.err().unwrap();
        assert!(why.is_unknown() && why.words().contains("/nonexistent/a.pem"), "{why:?}");
    }
}
