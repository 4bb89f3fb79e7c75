//! How a server is reached: who says where it is, whom TLS trusts, who Mayday is there. The same parameters wherever a server is asked.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use url::Url;
use zeroize::Zeroizing;

use crate::domain::expect;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::{Params, SecretRef};
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::outbound::secret::Keep;
use crate::outbound::wire::Silence;
use crate::outbound::wire::proxy::{Proxies, Proxy};
use crate::outbound::wire::talk::bare;
use crate::outbound::wire::tls::{Means, Tls};
use crate::outbound::{apart, secret};
use crate::systems::dns::ask::{Question, Reply};
use crate::systems::dns::{addresses, ask_each};

/// The word for this host's own resolver.
pub const HOST: &str = "host";
const EITHER: &str = "either `username` and `password` prove who Mayday is, or `bearer_token` does";
const EITHER_WAY: &str = "either `resolver` says where the host is, or the `proxy` looks for it";
const PAIR: &str = "`client_certificate` and `client_key` are only of use together";
/// More than this is no certificate but somebody's disk.
const LONGEST: usize = 4 * 1024 * 1024;

pub const RESOLVER: Param = Param::default(
    "resolver",
    ParamType::Text,
    HOST,
    "the DNS server that says where the URL's host is, as host:port; `host` is this host's own resolver, with its cache",
);
pub const PROXY: Param = Param::optional(
    "proxy",
    ParamType::Text,
    "the proxy on the way, like http://proxy.example:3128; `environment` for what HTTPS_PROXY and NO_PROXY of the engine say; none when left out",
);
pub const CERTIFICATE_AUTHORITY: Param = Param::optional(
    "certificate_authority",
    ParamType::Text,
    "a PEM file with the only authorities to trust; those of this host when left out",
);
pub const CLIENT_CERTIFICATE: Param = Param::optional(
    "client_certificate",
    ParamType::Text,
    "a PEM file with the certificate that Mayday shows, and its chain; with `client_key`",
);
pub const CLIENT_KEY: Param =
    Param::optional("client_key", ParamType::Secret, "where the key of `client_certificate` is kept, in PEM");
pub const TLS_MINIMUM: Param = Param::default(
    "tls_minimum",
    ParamType::Choice(&["1.2", "1.3"]),
    "1.2",
    "the oldest TLS to speak; a server that speaks nothing newer than 1.2 is down for `1.3`",
);
pub const USERNAME: Param = Param::optional("username", ParamType::Text, "who Mayday is there (basic authentication)");
pub const PASSWORD: Param = Param::optional("password", ParamType::Secret, "where the password of `username` is kept");
pub const BEARER: Param = Param::optional(
    "bearer_token",
    ParamType::Secret,
    "where the token is kept that is sent as `Authorization: Bearer`",
);

/// Who says where a server is, and how TLS is spoken with it.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// `host:port` of a DNS server; `None` is this host's own resolver.
    resolver: Option<String>,
    /// The proxy on the way, as it is given.
    proxy: Option<String>,
    authority: Option<String>,
    certificate: Option<String>,
    key: Option<SecretRef>,
    only_13: bool,
}

impl Reach {
    pub fn of(params: &Params) -> Self {
        let text = |name| params.opt_text(name).map(str::to_owned);
        Self {
            resolver: text("resolver").filter(|resolver| resolver != HOST),
            proxy: text(PROXY.name),
            authority: text("certificate_authority"),
            certificate: text("client_certificate"),
            key: params.secret("client_key"),
            only_13: params.opt_text("tls_minimum") == Some("1.3"),
        }
    }

    /// # Errors
    /// When what is given could never be used.
    pub fn vet(&self) -> Result<(), String> {
        match (&self.certificate, &self.key) {
            (Some(_), None) | (None, Some(_)) => return Err(PAIR.into()),
            _ => {}
        }
        match &self.proxy {
            Some(_) if self.resolver.is_some() => Err(EITHER_WAY.into()),
            Some(proxy) => Proxies::of(proxy).map(drop),
            None => Ok(()),
        }
    }

    /// The proxy on the way to `url`, if there is one.
    ///
    /// # Errors
    /// When it can be none: of the server nothing is known then.
    pub fn proxy_to(&self, url: &Url) -> Result<Option<Proxy>, Silence> {
        match &self.proxy {
            Some(proxy) => Proxies::of(proxy).map_err(Silence::Unasked)?.to(url),
            None => Ok(None),
        }
    }

    /// The addresses of `host`, in the order in which they are tried, within `patience`.
    pub fn find<'f>(
        &'f self,
        host: &'f str,
        port: u16,
        patience: Duration,
    ) -> BoxFuture<'f, Result<Vec<SocketAddr>, Silence>> {
        Box::pin(async move {
            let host = bare(host);
            match (host.parse(), &self.resolver) {
                (Ok(ip), _) => Ok(vec![SocketAddr::new(ip, port)]),
                (Err(_), Some(resolver)) => by_resolver(resolver, host, port, patience).await,
                (Err(_), None) => by_host(host, port, patience).await,
            }
        })
    }

    /// What TLS trusts and brings along.
    ///
    /// # Errors
    /// When a file or a secret cannot be read or used: of the server nothing is known then.
    pub async fn tls(&self) -> Result<Tls, Silence> {
        let authorities = file(self.authority.as_deref(), "the authorities in").await?;
        let certificate = file(self.certificate.as_deref(), "the client certificate in").await?;
        let told = |fault: Fault| Silence::Unasked(fault.what);
        let key = secret::read_opt(self.key.as_ref(), "client_key").await.map_err(told)?;
        let identity = match (&certificate, &key) {
            (Some(certificate), Some(key)) => Some((certificate.as_slice(), key.expose().as_bytes())),
            (None, None) => None,
            _ => return Err(Silence::unasked(PAIR)),
        };
        let authorities = authorities.as_ref().map(|bytes| bytes.as_slice());
        let means = Means { authorities, identity, only_13: self.only_13 };
        let made = Tls::new(&means).await;
        made.map_err(|why| match &self.authority {
            Some(path) => Silence::Unasked(format!("{why} ({})", clean(path))),
            None => Silence::Unasked(why),
        })
    }
}

async fn file(path: Option<&str>, what: &str) -> Result<Option<Arc<Zeroizing<Vec<u8>>>>, Silence> {
    let Some(path) = path else { return Ok(None) };
    let read = apart::file(Path::new(path), LONGEST).await;
    read.map(Some).map_err(|kind| Silence::Unasked(format!("{what} {} cannot be read: {kind}", clean(path))))
}

/// That a name server is silent or cannot say, tells of it and not of the host that is looked for.
async fn by_resolver(resolver: &str, host: &str, port: u16, patience: Duration) -> Result<Vec<SocketAddr>, Silence> {
    let servers = addresses(resolver).await.map_err(Silence::Unasked)?;
    let patience = patience.mul_f64(0.8);
    let (four, six) =
        futures::join!(answered(&servers, host, "A", patience), answered(&servers, host, "AAAA", patience));
    let of = |reply: &Result<Reply, String>| -> Vec<SocketAddr> {
        let values = reply.iter().flat_map(|reply| &reply.values);
        values.filter_map(|value| value.parse().ok()).map(|ip| SocketAddr::new(ip, port)).collect()
    };
    let found: Vec<SocketAddr> = of(&four).into_iter().chain(of(&six)).collect();
    match (found.is_empty(), four) {
        (false, _) => Ok(found),
        (true, Ok(reply)) if reply.tells() => {
            let why = if reply.code == ResponseCode::NXDomain { reply.words() } else { "no address".into() };
            Err(Silence::Dead(format!("{} answers for {}: {why}", clean(resolver), clean(host))))
        }
        (true, Ok(reply)) => {
            Err(Silence::Unasked(format!("the resolver {} cannot tell: {}", clean(resolver), reply.words())))
        }
        (true, Err(why)) => Err(Silence::Unasked(format!("the resolver is silent: {why}"))),
    }
}

async fn answered(servers: &[SocketAddr], host: &str, kind: &str, patience: Duration) -> Result<Reply, String> {
    ask_each(servers, &Question::new(host, kind, true)?, patience).await
}

/// A name that there is not is told by the resolver; any other failure is one of resolving (`EAI_AGAIN`, `EAI_FAIL`).
async fn by_host(host: &str, port: u16, patience: Duration) -> Result<Vec<SocketAddr>, Silence> {
    let name = clean(host);
    match timeout(patience, tokio::net::lookup_host((host, port))).await {
        Err(_) => Err(Silence::Unasked(format!("{name} cannot be resolved within {:.1} s", patience.as_secs_f64()))),
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => {
            let words = clean(&error.to_string());
            let unknown_name = [
                "Name or service not known",
                "No address associated",
                "nodename nor servname",
                "Name does not resolve",
            ];
            match unknown_name.iter().any(|it| words.contains(it)) {
                true => Err(Silence::Dead(format!("{name} is no name that this host's resolver knows"))),
                false => Err(Silence::Unasked(format!("{name} cannot be resolved: {words}"))),
            }
        }
    }
}

/// Who Mayday is at a server, and what it says beside that.
pub struct Credentials {
    headers: Result<HeaderMap, String>,
    username: Option<String>,
    password: Keep,
    bearer: Keep,
    key: Keep,
    key_header: Option<String>,
}

impl Credentials {
    pub fn of(params: &Params) -> Self {
        let given = params.map("headers").into_iter().map(|(name, value)| expect::header(&name, &value));
        Self {
            headers: given.collect::<Result<HeaderMap, String>>(),
            username: params.opt_text("username").map(str::to_owned),
            password: Keep::new(params.secret("password")),
            bearer: Keep::new(params.secret("bearer_token")),
            key: Keep::new(params.secret("api_key")),
            key_header: params.opt_text("api_key_header").map(str::to_owned),
        }
    }

    /// # Errors
    /// When what is given could never be used.
    pub fn vet(&self) -> Result<(), String> {
        let header = self.key_header.as_deref().map(HeaderName::try_from);
        match (self.username.is_some(), self.password.is_some(), self.bearer.is_some()) {
            (true, true, false) | (false, false, _) => {}
            _ => return Err(EITHER.into()),
        }
        if header.is_some_and(|name| name.is_err()) {
            return Err("`api_key_header` is not the name of a header".into());
        }
        self.headers.clone().map(drop)
    }

    /// The headers to send, and apart from them those that prove who asks: these go to nobody else.
    ///
    /// # Errors
    /// When a secret cannot be read, or what is given does not fit together.
    pub async fn headers(&self, system: &str) -> Result<(HeaderMap, HeaderMap), Fault> {
        let unsound = |why: String| Fault::permanent(system, why).next("run `mayday check`");
        let plain = self.headers.clone().map_err(unsound)?;
        let (password, bearer) = (self.password.read(system).await?, self.bearer.read(system).await?);
        let mut proof = HeaderMap::new();
        let mut prove = |name: HeaderName, value: String| {
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| unsound(format!("what is sent as `{name}` is no text of one line")))?;
            value.set_sensitive(true);
            proof.insert(name, value);
            Ok::<(), Fault>(())
        };
        match (&self.username, password, bearer) {
            (Some(user), Some(password), None) => {
                let both = BASE64_STANDARD.encode(format!("{user}:{}", password.expose()));
                prove(AUTHORIZATION, format!("Basic {both}"))?;
            }
            (None, None, Some(token)) => prove(AUTHORIZATION, format!("Bearer {}", token.expose()))?,
            (None, None, None) => {}
            _ => return Err(unsound(EITHER.into())),
        }
        if let Some(key) = self.key.read(system).await? {
            let name = HeaderName::try_from(self.key_header.as_deref().unwrap_or("x-api-key"));
            prove(
                name.map_err(|_| unsound("`api_key_header` is not the name of a header".into()))?,
                key.expose().to_owned(),
            )?;
        }
        Ok((plain, proof))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(given: serde_json::Value) -> Params {
        serde_json::from_value(given).unwrap()
    }

    async fn sent(given: serde_json::Value) -> Result<Vec<String>, String> {
        let (_, proof) = Credentials::of(&params(given)).headers("here").await.map_err(|fault| fault.to_string())?;
        Ok(proof.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect())
    }

    #[tokio::test]
    async fn who_mayday_is_comes_from_where_secrets_are_kept() {
        let secret = json!({ "command": ["printf", "s3cret-pass"] });
        let basic = json!({ "username": "probe", "password": secret });
        assert_eq!(sent(basic).await.unwrap(), ["authorization: Basic cHJvYmU6czNjcmV0LXBhc3M="]);
        assert_eq!(sent(json!({ "bearer_token": secret })).await.unwrap(), ["authorization: Bearer s3cret-pass"]);
        let key = json!({ "api_key": secret, "api_key_header": "X-Tenant-Key" });
        assert_eq!(sent(key).await.unwrap(), ["x-tenant-key: s3cret-pass"]);
        assert!(sent(json!({})).await.unwrap().is_empty());
        for half in [
            json!({ "username": "probe" }),
            json!({ "password": secret }),
            json!({ "username": "probe", "password": secret, "bearer_token": secret }),
            json!({ "bearer_token": { "command": ["printf", "s3cret\npass"] } }),
            json!({ "headers": { "authorization": "s3cret" } }),
        ] {
            let why = sent(half).await.unwrap_err();
            assert!(!why.contains("s3cret"), "{why}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_here_says_nothing_of_the_server() {
        for given in [
            json!({ "certificate_authority": "/nonexistent/authorities.pem" }),
            json!({ "client_certificate": "/nonexistent/client.pem", "client_key": { "command": ["printf", "x"] } }),
            json!({ "client_key": { "command": ["printf", "x"] } }),
        ] {
            let why = Reach::of(&params(given)).tls().await.err().unwrap();
            assert!(why.is_unknown(), "{why:?}");
        }
        let nobody = Reach::of(&params(json!({ "resolver": "127.0.0.1:1" })));
        assert!(nobody.find("app.example", 80, Duration::from_secs(1)).await.unwrap_err().is_unknown());
        let bracketed = Reach::default().find("[::1]", 443, Duration::from_secs(1)).await.unwrap();
        assert_eq!(bracketed, ["[::1]:443".parse().unwrap()]);
    }
}
