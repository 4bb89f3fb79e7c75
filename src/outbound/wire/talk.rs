//! One HTTP request on a connection of its own, over HTTP/2 where the server offers it, or else over HTTP/1.1.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
    USER_AGENT,
};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use url::Url;

use super::dial::dial;
use super::proxy::Proxy;
use super::tls::{Shown, Tls, Witness};
use super::{Silence, causes};
use crate::domain::text::clean;

/// Who asks, for those who look into the server's log.
const AGENT: &str = concat!("mayday/", env!("CARGO_PKG_VERSION"));

/// The largest head of an answer, in bytes, and the most headers in it: as much as curl takes.
const LARGEST_HEAD: u32 = 300 * 1024;
const MOST_HEADERS: usize = 5000;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The proxy that is spoken to in place of the server.
    pub proxy: Option<Proxy>,
}

impl Call {
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new(), proxy: None }
    }

    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Bytes::from(body.to_string());
        self
    }
}

/// How HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// As the two agree: HTTP/2 only over TLS, and only where it is offered.
    Agreed,
    /// HTTP/2 without asking, as gRPC does.
    Http2,
}

/// Ends a connection when nobody reads from it any more.
struct Line(JoinHandle<()>);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The head of an answer, its body still on the wire.
pub struct Heard {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub version: Version,
    pub body: Incoming,
    pub shown: Option<Shown>,
    pub peer: SocketAddr,
    /// Addresses of the same name that did not take the connection.
    pub dead: Vec<String>,
    witness: Option<Arc<Witness>>,
    _line: Line,
}

impl Heard {
    pub fn header(&self, name: http::header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the server says that the body is.
    pub fn length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.trim().parse().ok()
    }

    /// Only the end of the connection ends the body (RFC 9112, section 6.3).
    pub fn is_ended_by_closing(&self) -> bool {
        self.version < Version::HTTP_2
            && !self.headers.contains_key(CONTENT_LENGTH)
            && !self.headers.contains_key(TRANSFER_ENCODING)
    }

    /// Why the answer broke off.
    pub fn why(&self, error: &hyper::Error) -> Silence {
        why(error, self.witness.as_deref())
    }
}

/// Sends `call` to one of `addresses`, which are those of the proxy where there is one. The caller bounds the time.
///
/// # Errors
/// Why there is no answer; never the URL, which may hold a secret.
pub fn send<'c>(
    call: &'c Call,
    addresses: Vec<SocketAddr>,
    tls: Option<&'c Tls>,
    speech: Speech,
) -> BoxFuture<'c, Result<Heard, Silence>> {
    Box::pin(async move {
        let mut dialled = dial(addresses).await.map_err(|why| match &call.proxy {
            Some(proxy) => proxy.lost(&why),
            None => why,
        })?;
        if let Some(proxy) = call.proxy.as_ref().filter(|_| tls.is_some()) {
            proxy.tunnel(&mut dialled.stream, &call.url).await?;
        }
        let (peer, dead) = (dialled.peer, dialled.dead);
        let (response, shown, witness, line) = match tls {
            Some(tls) => {
                let host = bare(call.url.host_str().unwrap_or_default());
                let (stream, witness) = tls.secure(dialled.stream, host, true).await?;
                let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let second = agreed || speech == Speech::Http2;
                let (response, line) = ask(call, stream, second, Some(&witness)).await?;
                (response, witness.shown(), Some(witness), line)
            }
            None => {
                let (response, line) = ask(call, dialled.stream, speech == Speech::Http2, None).await?;
                (response, None, None, line)
            }
        };
        let (head, body) = response.into_parts();
        let (status, headers, version) = (head.status, head.headers, head.version);
        Ok(Heard { status, headers, version, body, shown, peer, dead, witness, _line: line })
    })
}

/// A host without the brackets of an IPv6 address.
pub fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

async fn ask<S>(
    call: &Call,
    stream: S,
    second: bool,
    witness: Option<&Arc<Witness>>,
) -> Result<(Response<Incoming>, Line), Silence>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = request(call, second)?;
    let lost = |error: hyper::Error| why(&error, witness.map(|it| &**it));
    let io = TokioIo::new(stream);
    if second {
        let mut terms = http2::Builder::new(TokioExecutor::new());
        terms.max_header_list_size(LARGEST_HEAD);
        let (mut sender, connection) = terms.handshake(io).await.map_err(lost)?;
        let line = Line(tokio::spawn(async move { drop(connection.await) }));
        return Ok((sender.send_request(request).await.map_err(lost)?, line));
    }
    let (mut sender, connection) = lenient().handshake(io).await.map_err(lost)?;
    let line = Line(tokio::spawn(async move { drop(connection.await) }));
    Ok((sender.send_request(request).await.map_err(lost)?, line))
}

/// Reads a head as clients do, which bear what old servers and appliances write: a server that every client understands is not down.
fn lenient() -> http1::Builder {
    let mut terms = http1::Builder::new();
    terms
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .max_headers(MOST_HEADERS);
    terms
}

fn request(call: &Call, second: bool) -> Result<Request<Full<Bytes>>, Silence> {
    let odd = |_| Silence::unasked("this cannot be written as a request");
    let url = &call.url;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    // What is encrypted goes through the proxy unseen.
    let proxy = call.proxy.as_ref().filter(|_| url.scheme() == "http");
    let uri: Uri = match second || proxy.is_some() {
        true => format!("{}://{authority}{path}", url.scheme()).parse().map_err(odd)?,
        false => path.parse().map_err(odd)?,
    };
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if !second {
        let host = HeaderValue::from_str(authority)
            .map_err(|_| Silence::unasked("this host cannot be written as a header"))?;
        headers.insert(HOST, host);
    }
    for (name, value) in &call.headers {
        headers.insert(name, value.clone());
    }
    if let Some(login) = proxy.and_then(Proxy::login) {
        headers.insert(PROXY_AUTHORIZATION, login.clone());
    }
    if second {
        headers.remove(HOST);
    }
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

fn why(error: &hyper::Error, witness: Option<&Witness>) -> Silence {
    if let Some(witness) = witness {
        return witness.why(error);
    }
    match causes(error).last() {
        Some(cause) => Silence::Dead(clean(&cause.to_string())),
        None => Silence::Dead(clean(&error.to_string())),
    }
}
