//! The metrics on loopback TCP, for a collector that cannot read a Unix socket. Nothing else is served there.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Engines;
use crate::api::metrics;
use crate::api::protocol::METRICS_MEDIA;

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

/// Serves `GET /metrics` until it is stopped.
pub async fn serve(listener: TcpListener, engines: impl Into<Engines>, stop: CancellationToken) {
    let engines = engines.into();
    let text = move || {
        let engine = engines.now();
        async move { ([(CONTENT_TYPE, METRICS_MEDIA)], metrics::text(&engine.snapshot())).into_response() }
    };
    let router = Router::new().route("/metrics", get(text));
    // Serving ends only when it is stopped.
    let _ = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
}
