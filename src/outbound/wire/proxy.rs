//! A forward proxy on the way to a server: what is encrypted goes through a tunnel (CONNECT, RFC 9110, section 9.3.6), what is not is asked
//! of the proxy itself (RFC 9112, section 3.2.2). That the proxy fails says nothing of the server.

use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Position, Url};

use super::Silence;
use crate::domain::text::clean;

/// The word for the proxies that the environment names.
pub const ENVIRONMENT: &str = "environment";
/// The head of a proxy's answer is not longer.
const LONGEST_HEAD: usize = 16 * 1024;

/// Which proxies there are, and for whom.
#[derive(Clone, Debug)]
pub struct Proxies(Arc<Matcher>);

/// The proxy for one server.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub host: String,
    pub port: u16,
    login: Option<HeaderValue>,
}

impl Proxies {
    /// One proxy for everything, or those of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, which may hold a login.
    ///
    /// # Errors
    /// When it can never be one, without a secret that may stand in it.
    pub fn of(text: &str) -> Result<Self, String> {
        if text == ENVIRONMENT {
            return Ok(Self(Arc::new(Matcher::from_env())));
        }
        let url = Url::parse(text).map_err(|error| format!("`proxy` is no URL: {error}"))?;
        match () {
            () if url.scheme() != "http" => Err("`proxy` has to begin with http://".into()),
            () if url.host().is_none() => Err("`proxy` names no host".into()),
            () if !url.username().is_empty() || url.password().is_some() => Err(format!(
                "`proxy`: a login for the proxy does not belong in a config file; put it into HTTPS_PROXY of the engine, and write \
                 `proxy = \"{ENVIRONMENT}\"`"
            )),
            () => Ok(Self(Arc::new(Matcher::builder().all(text).build()))),
        }
    }

    /// The proxy that is on the way to `url`; none for what goes there directly.
    ///
    /// # Errors
    /// When it is spoken to in a way that is not known here.
    pub fn to(&self, url: &Url) -> Result<Option<Proxy>, Silence> {
        let Ok(uri) = url[..Position::AfterPath].parse::<Uri>() else { return Ok(None) };
        let Some(found) = self.0.intercept(&uri) else { return Ok(None) };
        let place = found.uri();
        let host = place.host().unwrap_or_default();
        if place.scheme_str() != Some("http") || host.is_empty() {
            let scheme = clean(place.scheme_str().unwrap_or_default());
            return Err(Silence::Unasked(format!("a proxy is spoken to by http:// here, and this one is {scheme}://")));
        }
        let port = place.port_u16().unwrap_or(80);
        Ok(Some(Proxy { host: host.to_owned(), port, login: found.basic_auth().cloned() }))
    }
}

impl Proxy {
    /// `proxy.corp.example:3128`, without a login.
    pub fn name(&self) -> String {
        clean(&format!("{}:{}", self.host, self.port))
    }

    /// What proves to it who asks.
    pub fn login(&self) -> Option<&HeaderValue> {
        self.login.as_ref()
    }

    /// That the proxy could not be reached, or not be found.
    pub fn lost(&self, why: &Silence) -> Silence {
        Silence::Unasked(format!("the proxy {}: {}", self.name(), why.bare()))
    }

    /// Has it open a tunnel to the server of `url`, on a connection to it. The caller bounds the time.
    ///
    /// # Errors
    /// Dead when the proxy says that the server cannot be reached; else of the server nothing is known.
    pub async fn tunnel(&self, stream: &mut TcpStream, url: &Url) -> Result<(), Silence> {
        let place = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
        let mut head = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n").into_bytes();
        if let Some(login) = &self.login {
            head.extend([&b"Proxy-Authorization: "[..], login.as_bytes(), b"\r\n"].concat());
        }
        head.extend_from_slice(b"\r\n");
        let broke = |error: std::io::Error| self.lost(&Silence::Dead(error.kind().to_string()));
        stream.write_all(&head).await.map_err(broke)?;
        let mut answer = Vec::new();
        // What follows the head is the server's: no byte of that may be read here.
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.map_err(broke)?);
            if answer.len() > LONGEST_HEAD {
                return Err(self.lost(&Silence::Dead("its answer has no end".into())));
            }
        }
        self.judge(&String::from_utf8_lossy(&answer))
    }

    fn judge(&self, head: &str) -> Result<(), Silence> {
        let first = head.lines().next().unwrap_or_default();
        let mut words = first.splitn(2, ' ');
        let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/"));
        let said = clean(words.next().unwrap_or_default().trim());
        let status = said.get(..3).and_then(|code| code.parse::<u16>().ok()).filter(|_| is_http);
        match status {
            Some(200..=299) => Ok(()),
            Some(502..=504) => Err(Silence::Dead(format!("the proxy {} cannot reach it ({said})", self.name()))),
            Some(_) => Err(Silence::Refused(format!("the proxy {} answers {said}", self.name()))),
            None => Err(self.lost(&Silence::Dead("it does not answer as a proxy does".into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_proxy_is_refused_without_its_secret() {
        for (given, words) in [
            ("socks5://p:1", "begin with http://"),
            ("https://p:1", "begin with http://"),
            ("http://ada:hush@p:1", "does not belong in a config file"),
            ("p", "no URL"),
        ] {
            let why = Proxies::of(given).unwrap_err();
            assert!(why.contains(words) && !why.contains("hush"), "{given}: {why}");
        }
        let url = Url::parse("https://app.example/x?token=hush").unwrap();
        let proxy = Proxies::of("http://proxy.example:3128").unwrap().to(&url).unwrap().unwrap();
        assert_eq!((proxy.name().as_str(), proxy.login()), ("proxy.example:3128", None));
    }

    #[test]
    fn that_a_proxy_fails_says_nothing_of_the_server() {
        let proxy = Proxy { host: "p".into(), port: 3128, login: None };
        for (head, wanted) in [
            ("HTTP/1.1 200 Connection established\r\n\r\n", None),
            ("HTTP/1.0 200\r\n\r\n", None),
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Some(true)),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", Some(true)),
            ("HTTP/1.1 500 Oops\r\n\r\n", Some(true)),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some(false)),
            ("SSH-2.0-x\r\n\r\n", Some(true)),
            ("\r\n\r\n", Some(true)),
        ] {
            let judged = proxy.judge(head).err().map(|why| why.is_unknown());
            assert_eq!(judged, wanted, "{head}");
        }
    }
}
