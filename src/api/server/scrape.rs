//! The metrics on loopback TCP, for a collector that cannot read a Unix socket, and a door for alerts, for a sender that cannot write to
//! one: only for who shows the token of the config. Nothing else is served there.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Engines;
use crate::api::metrics;
use crate::api::protocol::{ALERTS, Accepted, ApiError, ErrorCode, METRICS_MEDIA};
use crate::domain::actor::Actor;

/// Listens on `address`.
///
/// # Errors
/// When that is not on loopback (whoever reaches it learns how the estate stands), or cannot be listened on.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        let text =
            format!("{address} is not on loopback: metrics tell how the estate stands, and are for this host only");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    TcpListener::bind(address).await
}

/// Knows who may bring alerts.
#[async_trait]
pub trait Doorkeeper: Send + Sync {
    /// Whether this is the token of the config.
    ///
    /// # Errors
    /// Why that cannot be told.
    async fn lets_in(&self, token: &str) -> Result<bool, String>;
}

/// Serves `GET /metrics` until it is stopped, by loopback's names and those in `hosts`, and `POST /v1/alerts` where there is a `door`.
pub async fn serve(
    listener: TcpListener,
    hosts: Vec<String>,
    engines: impl Into<Engines>,
    door: Option<Arc<dyn Doorkeeper>>,
    stop: CancellationToken,
) {
    let engines = engines.into();
    let heard = (door, engines.clone(), stop.clone());
    let alerts = move |headers: HeaderMap, body: Bytes| {
        let heard = heard.clone();
        async move { alerts(heard, &headers, &body).await }
    };
    let text = move || {
        let engine = engines.now();
        async move { ([(CONTENT_TYPE, METRICS_MEDIA)], metrics::text(&engine.snapshot())).into_response() }
    };
    let alerts = post(alerts).layer(DefaultBodyLimit::max(super::ALERTS_BODY));
    let router = Router::new().route("/metrics", get(text)).route(ALERTS.path, alerts);
    let router = router.layer(middleware::from_fn_with_state(Arc::new(hosts), by_its_name));
    // Serving ends only when it is stopped.
    let _ = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
}

async fn alerts(
    (door, engines, stop): (Option<Arc<dyn Doorkeeper>>, Engines, CancellationToken),
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Json<Accepted>, ApiError> {
    let forbidden = |what: &str, next: &str| ApiError::new(ErrorCode::Forbidden, what, next);
    let Some(door) = door else {
        return Err(forbidden("alerts are not taken here", "set `token` in [alerts], and start the engine again"));
    };
    let shown = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok()).and_then(|it| it.strip_prefix("Bearer "));
    match door.lets_in(shown.unwrap_or_default()).await {
        Ok(true) => super::hear(&engines, &stop, &Actor::engine(), body).await.map(Json),
        Ok(false) => Err(forbidden("this is not the token of [alerts]", "send it as `Authorization: Bearer …`")),
        Err(why) => Err(ApiError::new(ErrorCode::Unreachable, why, "make the token of [alerts] readable")),
    }
}

/// Turns away what was not sent to this host by one of its own names: a web page whose name its owner points at 127.0.0.1 (DNS
/// rebinding) would make a browser on this host read the metrics to it.
async fn by_its_name(State(hosts): State<Arc<Vec<String>>>, request: Request, next: Next) -> Response {
    match is_asked_by(request.headers(), request.uri().authority(), &hosts) {
        true => next.run(request).await,
        false => {
            let text = "nothing is served by this name; ask for localhost, or name it with --metrics-host\n";
            (StatusCode::MISDIRECTED_REQUEST, text).into_response()
        }
    }
}

/// Whether a request names this host. The authority of a request line in absolute form counts, and the header has to fit, too.
fn is_asked_by(headers: &HeaderMap, line: Option<&Authority>, hosts: &[String]) -> bool {
    let mut named = headers.get_all(HOST).iter().map(|value| value.to_str().ok().and_then(|it| it.parse().ok()));
    let (Some(Some(header)), None) = (named.next(), named.next()) else { return false };
    [Some(&header), line].into_iter().flatten().all(|authority: &Authority| is_own(authority, hosts))
}

fn is_own(authority: &Authority, hosts: &[String]) -> bool {
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let loopback = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let named = |name: &str| bare.trim_end_matches('.').eq_ignore_ascii_case(name);
    let plain = !authority.as_str().contains('@');
    plain && (loopback || named("localhost") || hosts.iter().any(|name| named(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_hosts_own_names_are_answered_to() {
        let hosts = vec!["probe.internal".to_owned()];
        let asked = |names: &[&str], line: Option<&str>| {
            let mut headers = HeaderMap::new();
            for name in names {
                headers.append(HOST, name.parse().unwrap());
            }
            is_asked_by(&headers, line.map(|it| it.parse().unwrap()).as_ref(), &hosts)
        };
        for right in ["localhost", "LocalHost:9191", "127.0.0.1:9191", "127.9.9.9", "[::1]:9191", "probe.internal:1"] {
            assert!(asked(&[right], None), "{right}");
        }
        for wrong in [
            "evil.example:9191",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "localhost@evil.example",
            "",
            "[::2]",
        ] {
            assert!(!asked(&[wrong], None), "{wrong}");
        }
        assert!(!asked(&[], None) && !asked(&["localhost", "evil.example"], None), "none, or two");
        assert!(!asked(&["localhost"], Some("evil.example")) && !asked(&["evil.example"], Some("localhost")));
    }
}
