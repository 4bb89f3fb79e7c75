//! The connection to an API server: straight, or past a proxy. Kubernetes' own client is handed it ready made.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderName, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connect, Connected, Connection, HttpConnector};
use hyper_util::client::legacy::{self, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::{Body, ConfigExt};
use kube::config::AuthInfo;
use kube::{Client, Config};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tower_service::Service;

use super::proxy::Proxy;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(2);

/// A client of the API server that `config` describes. Nothing is connected yet.
///
/// # Errors
/// When a certificate, a key or a header cannot be used, in words without any of them.
pub fn connect(config: &Config, proxy: Option<&Proxy>) -> Result<Client, String> {
    let mut plain = HttpConnector::new();
    plain.enforce_http(false);
    plain.set_connect_timeout(Some(CONNECT));
    let Some(proxy) = proxy else { return wired(config, plain, HeaderMap::new()) };
    match (proxy.uri.scheme_str(), config.cluster_url.scheme_str()) {
        (Some("socks5"), _) => {
            let socks = SocksV5::new(proxy.uri.clone(), plain);
            let user = proxy.user().cloned();
            let socks = match user {
                Some((user, password)) => socks.with_auth(user, password),
                None => socks,
            };
            wired(config, socks, HeaderMap::new())
        }
        // What is not encrypted is handed to the proxy, as browsers and kubectl do it: many open tunnels to port 443 only.
        (Some("http"), Some("http")) => {
            let headers = proxy.authorization().map(|value| (PROXY_AUTHORIZATION, value)).into_iter().collect();
            wired(config, Forward { proxy: proxy.uri.clone(), inner: plain }, headers)
        }
        (Some("https"), _) => {
            let to_proxy = Config::new(proxy.uri.clone());
            let secured = to_proxy.rustls_https_connector_with_connector(plain).map_err(|error| root(&error))?;
            wired(config, tunnel(proxy, secured), HeaderMap::new())
        }
        _ => wired(config, tunnel(proxy, plain), HeaderMap::new()),
    }
}

fn tunnel<C>(proxy: &Proxy, connector: C) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.uri.clone(), connector);
    match proxy.authorization() {
        Some(value) => tunnel.with_auth(value),
        None => tunnel,
    }
}

fn wired<C>(config: &Config, connector: C, mut headers: HeaderMap) -> Result<Client, String>
where
    C: Connect + Service<Uri> + Clone + Send + Sync + 'static,
    <C as Service<Uri>>::Response: Connection + Read + Write + Send + Unpin + 'static,
    <C as Service<Uri>>::Future: Send + 'static,
    <C as Service<Uri>>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    headers.extend(who(&config.auth_info)?);
    let secured = config.rustls_https_connector_with_connector(connector).map_err(|error| root(&error))?;
    let client = legacy::Client::builder(TokioExecutor::new()).build(secured);
    let wire = Wire { client, base: config.cluster_url.clone(), headers: Arc::new(headers) };
    Ok(Client::new(wire, config.default_namespace.clone()))
}

fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

/// The headers that say who asks.
fn who(auth: &AuthInfo) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: &str, what: &str| {
        let value = HeaderValue::from_str(value);
        let mut value = value.map_err(|_| format!("{what} holds what no header can hold"))?;
        value.set_sensitive(true);
        headers.append(name, value);
        Ok::<_, String>(())
    };
    match (&auth.username, &auth.password, &auth.token) {
        (Some(user), Some(password), None) => {
            let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
            add(AUTHORIZATION, &format!("Basic {pair}"), "the password")?;
        }
        (_, _, Some(token)) => add(AUTHORIZATION, &format!("Bearer {}", token.expose_secret()), "the token")?,
        _ => {}
    }
    if let Some(user) = &auth.impersonate {
        add(HeaderName::from_static("impersonate-user"), user, "`as`")?;
    }
    if let Some(uid) = &auth.impersonate_uid {
        add(HeaderName::from_static("impersonate-uid"), uid, "`as-uid`")?;
    }
    for group in auth.impersonate_groups.iter().flatten() {
        add(HeaderName::from_static("impersonate-group"), group, "`as-groups`")?;
    }
    Ok(headers)
}

/// Sends every request to the server, whatever its path is under.
#[derive(Clone)]
struct Wire<C> {
    client: legacy::Client<C, Body>,
    base: Uri,
    headers: Arc<HeaderMap>,
}

impl<C: Connect + Clone + Send + Sync + 'static> Service<Request<Body>> for Wire<C> {
    type Response = Response<Incoming>;
    type Error = legacy::Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), legacy::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> ResponseFuture {
        *request.uri_mut() = under(&self.base, request.uri());
        for (name, value) in self.headers.iter() {
            request.headers_mut().append(name, value.clone());
        }
        self.client.request(request)
    }
}

/// `/api/v1/pods?limit=1` under `https://rancher.example/k8s/clusters/c-1`.
fn under(base: &Uri, asked: &Uri) -> Uri {
    let mut parts = base.clone().into_parts();
    let prefix = base.path().trim_end_matches('/');
    let path = asked.path_and_query().map_or("/", |it| it.as_str());
    // Both were paths before, so together they are one.
    parts.path_and_query = format!("{prefix}{path}").parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| base.clone())
}

/// Connects to a proxy that requests are handed to as they are.
#[derive(Clone)]
struct Forward {
    proxy: Uri,
    inner: HttpConnector,
}

impl Service<Uri> for Forward {
    type Response = Forwarded;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = BoxFuture<'static, Result<Forwarded, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connecting = self.inner.call(self.proxy.clone());
        Box::pin(async move { connecting.await.map(Forwarded) })
    }
}

/// A connection on which whole URLs are asked for.
struct Forwarded(TokioIo<TcpStream>);

impl Connection for Forwarded {
    fn connected(&self) -> Connected {
        self.0.connected().proxy(true)
    }
}

impl Read for Forwarded {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, into)
    }
}

impl Write for Forwarded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}
