//! One request as a client makes it: resolved by whom the plan says, followed nowhere, read up to a bound.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use reqwest::{Client, Method, RequestBuilder, Url};
use serde_json::Value;
use tokio::time::timeout;

use crate::domain::text::clean;
use crate::domain::time::At;
use crate::outbound::http::{Way, certificate_ends, client, make, root};
use crate::systems::dns::addresses;
use crate::systems::dns::ask::{Question, ask};

/// More of a body is not read.
const LONGEST: usize = 256 * 1024;

/// What the words begin with when this host itself could not ask: of the target nothing is known then.
pub const UNASKED: &str = "nobody could be asked: ";

fn unasked(why: impl std::fmt::Display) -> String {
    format!("{UNASKED}{why}")
}

/// `EMFILE` and `ENFILE`, as Rust words them: no descriptor is left here.
const EXHAUSTED: [&str; 2] = ["(os error 24)", "(os error 23)"];

/// Why there is no answer; that this host has nothing left to ask with is no word on the target.
fn silence(error: &(dyn std::error::Error + 'static)) -> String {
    let why = root(error);
    if EXHAUSTED.iter().any(|code| why.contains(code)) { unasked(why) } else { why }
}

/// The word for this host's own resolver.
pub const HOST: &str = "host";

/// What came back.
pub struct Reply {
    pub status: u16,
    pub body: String,
    pub took: Duration,
    /// Until when the server's certificate is good; `None` without TLS.
    pub certificate_ends: Option<At>,
}

impl Reply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// The status and the beginning of the body, for people.
    pub fn words(&self) -> String {
        let body: String = clean(&self.body).chars().take(160).collect();
        if body.is_empty() { self.status.to_string() } else { format!("{} {body}", self.status) }
    }
}

/// A URL, and who says where its host is.
#[derive(Clone, Debug)]
pub struct Target {
    pub url: Url,
    /// `host:port` of a DNS server; `None` is this host's own resolver.
    resolver: Option<String>,
    /// A PEM file with the authorities that are trusted; `None`: those of this host.
    authority: Option<String>,
    kept: Kept,
}

/// The client that was made last. Each new one reads all of the host's trusted certificates, so it is kept for as long as the host is
/// at the same address and the same authorities are trusted.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Option<(Known, Client)>>>);

/// Where the host is, if a resolver was asked, and the authorities that are trusted, in PEM.
type Known = (Option<(String, SocketAddr)>, Option<Vec<u8>>);

impl Kept {
    fn get(&self, known: Known, make: impl FnOnce(&Known) -> Result<Client, String>) -> Result<Client, String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((before, client)) if *before == known => Ok(client.clone()),
            _ => {
                let client = make(&known)?;
                *kept = Some((known, client.clone()));
                Ok(client)
            }
        }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Kept")
    }
}

impl Target {
    /// # Errors
    /// When the URL is none, in a few words.
    pub fn new(url: &str, resolver: Option<&str>) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("`{}` is not a URL: {error}", clean(url)))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(format!("`{}` is not an http or https URL", clean(url.as_str())));
        }
        let resolver = resolver.filter(|resolver| *resolver != HOST).map(str::to_owned);
        Ok(Self { url, resolver, authority: None, kept: Kept::default() })
    }

    pub fn trusting(mut self, authority: Option<&str>) -> Self {
        self.authority = authority.map(str::to_owned);
        self
    }

    /// Asks once. `patience` bounds all of it, name resolution included.
    ///
    /// # Errors
    /// Why there is no answer, in a few words; never the URL, which may hold a secret.
    pub fn ask(&self, method: Method, patience: Duration) -> BoxFuture<'_, Result<Reply, String>> {
        Box::pin(async move { self.send(method, patience, |request| request).await })
    }

    /// The same, with what `with` adds to the request.
    ///
    /// # Errors
    /// As for [`ask`](Self::ask).
    pub fn send<'a>(
        &'a self,
        method: Method,
        patience: Duration,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder + Send + 'a,
    ) -> BoxFuture<'a, Result<Reply, String>> {
        Box::pin(async move {
            let started = Instant::now();
            let asking = async {
                let client = self.client(patience).await?;
                let sent = with(client.request(method, self.url.clone())).send().await;
                let response = sent.map_err(|error| silence(&error.without_url()))?;
                let (status, certificate_ends) = (response.status().as_u16(), certificate_ends(&response));
                Ok(Reply { status, body: body(response).await?, took: started.elapsed(), certificate_ends })
            };
            timeout(patience, asking)
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {:.1} s", patience.as_secs_f64())))
        })
    }

    async fn client(&self, patience: Duration) -> Result<Client, String> {
        if self.resolver.is_none() && self.authority.is_none() {
            return client().map_err(unasked);
        }
        let authorities = match &self.authority {
            Some(path) => {
                let unread = |error| unasked(format!("the authorities in {} cannot be read: {error}", clean(path)));
                Some(tokio::fs::read(path).await.map_err(unread)?)
            }
            None => None,
        };
        let host = self.url.host_str().unwrap_or_default();
        let pinned = match &self.resolver {
            Some(resolver) => Some((host, self.resolved(resolver, patience).await?)),
            None => None,
        };
        let way = (pinned.map(|(host, at)| (host.to_owned(), at)), authorities);
        self.kept.get(way, |(pinned, authorities)| {
            let pinned = pinned.as_ref().map(|(host, at)| (host.as_str(), *at));
            make(&Way { pinned, authorities: authorities.as_deref() }).map_err(unasked)
        })
    }

    async fn resolved(&self, resolver: &str, patience: Duration) -> Result<SocketAddr, String> {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or(80);
        let mut why = format!("the resolver {} has no address", clean(resolver));
        for kind in ["A", "AAAA"] {
            let question = Question::new(host, kind, true).map_err(unasked)?;
            for server in addresses(resolver).await.map_err(unasked)? {
                match ask(server, &question, patience / 2).await {
                    Ok(reply) => match reply.values.iter().find_map(|value| value.parse().ok()) {
                        Some(ip) => return Ok(SocketAddr::new(ip, port)),
                        None => why = format!("{server} answers for {host}: {}", reply.words()),
                    },
                    Err(silence) => why = silence,
                }
            }
        }
        Err(why)
    }
}

async fn body(mut response: reqwest::Response) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| root(&error.without_url()))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST {
            bytes.truncate(LONGEST);
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_host_lacks_says_nothing_of_the_target() {
        let of = |code| silence(&std::io::Error::from_raw_os_error(code));
        for (code, here) in [(24, true), (23, true), (111, false), (110, false)] {
            assert_eq!(of(code).starts_with(UNASKED), here, "{}", of(code));
        }
    }

    #[tokio::test]
    async fn authorities_that_cannot_be_read_are_no_target_that_is_down() {
        let target = Target::new("https://127.0.0.1:9/", None).unwrap().trusting(Some("/nonexistent/authorities.pem"));
        let why = target.ask(Method::GET, Duration::from_secs(2)).await.err().unwrap();
        assert!(why.starts_with(UNASKED) && why.contains("/nonexistent/authorities.pem"), "{why}");
    }
}
