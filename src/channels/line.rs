//! How a channel gets out of the house: whom it trusts, and the proxy on the way. Companies have hosts with no other way out.
//!
//! | an installation can have | Mayday |
//! |---|---|
//! | no proxy | goes direct |
//! | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` in the engine's environment, in either case | every channel goes by them; addresses of this host never do |
//! | a proxy of its own for a channel | `proxy = "http://proxy.example:3128"`: this one, whatever the environment says |
//! | a proxy in the environment that a channel must not use | `proxy = "none"` |
//! | a proxy that wants a login | in `HTTPS_PROXY` of the engine, as `http://user:password@host:port`; refused in the config: "a login for the proxy does not belong in a config file" |
//! | SOCKS | refused: "`proxy` has to begin with http:// or https://" |
//! | an authority of its own, or a proxy that opens TLS | `ca`: a PEM file with one or more authorities, the only ones that are trusted then |

use reqwest::{Client, Url};
use tokio::sync::OnceCell;

use super::exchange::{Voice, is_local};
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::outbound::apart;
use crate::outbound::http::{Via, make_by};

pub const CA: Param = Param::optional(
    "ca",
    ParamType::Path,
    "a PEM file with the only authorities that are trusted; those of this host when left out",
);

pub const PROXY: Param = Param::optional(
    "proxy",
    ParamType::Text,
    "the proxy on the way, like http://proxy.example:3128, or none; what HTTPS_PROXY and NO_PROXY of the engine say when left out",
);

/// No proxy, whatever the environment says.
const NONE: &str = "none";

/// A larger file holds no authorities.
const LARGEST: usize = 4 << 20;

/// The way out of one channel. Its clients are made once: each new one would read all trusted certificates.
#[derive(Default)]
pub struct Line {
    ca: Option<String>,
    proxy: Option<String>,
    out: OnceCell<Client>,
    direct: OnceCell<Client>,
}

impl Line {
    /// # Errors
    /// When the proxy can never be one.
    pub fn new(params: &Params, voice: &Voice) -> Result<Self, Fault> {
        let proxy =
            params.opt_text(PROXY.name).map(|text| checked(text).map_err(|why| voice.unfit(why))).transpose()?;
        Ok(Self { ca: params.opt_text(CA.name).map(str::to_owned), proxy, ..Self::default() })
    }

    /// The client for a URL.
    ///
    /// # Errors
    /// When the authorities cannot be read.
    pub async fn client(&self, url: &str) -> Result<Client, String> {
        let is_here = Url::parse(url).is_ok_and(|url| is_local(&url));
        let (via, kept) = match self.proxy.as_deref() {
            Some(NONE) => (Via::Direct, &self.direct),
            Some(proxy) => (Via::By(proxy), &self.out),
            // What the environment says is about the way out, and this host is not out there.
            None if is_here => (Via::Direct, &self.direct),
            None => (Via::Environment, &self.out),
        };
        kept.get_or_try_init(|| self.make(via)).await.cloned()
    }

    async fn make(&self, via: Via<'_>) -> Result<Client, String> {
        let Some(file) = &self.ca else { return make_by(via, None) };
        let wrong = |why: String| format!("`ca` {}: {why}", clean(file));
        let pem = apart::file(file.as_ref(), LARGEST).await.map_err(|kind| wrong(kind.to_string()))?;
        make_by(via, Some(&pem)).map_err(wrong)
    }

    /// The proxy that a fault has to name; nothing when there is none.
    pub fn words(&self) -> String {
        match self.proxy.as_deref() {
            Some(NONE) => String::new(),
            Some(proxy) => format!(" by the proxy {}", clean(proxy)),
            None if ENVIRONMENT.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) => {
                " (by the proxy of HTTPS_PROXY, unless NO_PROXY names it)".into()
            }
            None => String::new(),
        }
    }
}

impl Voice {
    /// The same, which names the proxy on the way.
    pub fn by(mut self, line: &Line) -> Self {
        self.via = line.words();
        self
    }

    /// The client for a URL.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn client(&self, line: &Line, url: &str) -> Result<Client, Fault> {
        line.client(url).await.map_err(|why| self.broken(why))
    }
}

/// The variables that name a proxy.
const ENVIRONMENT: &[&str] = &["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

fn checked(text: &str) -> Result<String, String> {
    if text == NONE {
        return Ok(text.to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("`proxy` is no URL: {error}"))?;
    match () {
        () if !matches!(url.scheme(), "http" | "https") => Err("`proxy` has to begin with http:// or https://".into()),
        () if url.host().is_none() => Err("`proxy` names no host".into()),
        () if !url.username().is_empty() || url.password().is_some() => Err(
            "`proxy`: a login for the proxy does not belong in a config file; put it into HTTPS_PROXY of the engine"
                .into(),
        ),
        () => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::domain::comms::Audience;

    fn line(given: serde_json::Value) -> Result<Line, Fault> {
        let voice = Voice::new(&"page".into(), Audience::Public, "Statuspage", Duration::from_secs(60));
        Line::new(&serde_json::from_value(given).unwrap(), &voice)
    }

    #[tokio::test]
    async fn a_proxy_of_its_own_is_asked_for_names_that_nobody_else_can_find() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 2048];
            let read = stream.read(&mut asked).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        let line = line(serde_json::json!({ "proxy": proxy })).unwrap();
        let url = "http://hooks.vendor.invalid/x";
        let answer = line.client(url).await.unwrap().get(url).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "ok");
        let heard = heard.await.unwrap();
        assert!(heard.starts_with("GET http://hooks.vendor.invalid/x "), "{heard}");
        assert!(line.words().contains("by the proxy http://127.0.0.1:"), "a fault names it");
    }

    #[tokio::test]
    async fn what_can_be_no_proxy_is_refused_in_words() {
        for (given, words) in [
            ("socks5://p:1", "http:// or https://"),
            ("http://u:hush@p:1", "does not belong in a config file"),
            ("p", "no URL"),
        ] {
            let fault = line(serde_json::json!({ "proxy": given })).err().unwrap();
            assert!(fault.what.contains(words) && !fault.what.contains("hush"), "{given}: {fault}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n").unwrap();
        for path in ["/nowhere/ca.pem", file.path().to_str().unwrap()] {
            let line = line(serde_json::json!({ "ca": path, "proxy": "none" })).unwrap();
            let why = line.client("https://a.example").await.unwrap_err();
            assert!(why.contains("`ca`") && why.contains(path), "{why}");
        }
    }
}
