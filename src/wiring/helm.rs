//! Who leads, in the life of one process: it follows until nobody else leads, leads for as long as it can renew that, and follows again.

use std::future::pending;
use std::sync::Arc;

use futures::future::select_all;
use tokio_util::sync::CancellationToken;

use super::reload::Reloader;
use crate::engine::{Pen, attend, campaign, reign, resign};

/// Steers, and shows who leads and who is there, until the process ends. Returns before that only when a part of it has died.
pub async fn hold(reloader: Arc<Reloader>, pen: Option<Arc<Pen>>, wanted: u64, stop: CancellationToken) {
    let Some(pen) = pen else { return pending().await };
    let steering = steer(reloader.clone(), pen.clone());
    let shown = async move { attend(pen, wanted, |seen| reloader.now().engines_seen(seen)).await };
    // Each in a task of its own: the lead is renewed whatever else hangs. Neither goes on in a process that ends.
    let (until, till) = (stop.clone(), stop.clone());
    let both = [
        tokio::spawn(async move { until.run_until_cancelled(steering).await }),
        tokio::spawn(async move { till.run_until_cancelled(shown).await }),
    ];
    let _ = select_all(both).await;
    if stop.is_cancelled() {
        pending().await
    }
}

async fn steer(reloader: Arc<Reloader>, pen: Arc<Pen>) {
    loop {
        campaign(&pen).await;
        // Renewed from the first moment on: to catch up takes time.
        let reigning = tokio::spawn({
            let pen = pen.clone();
            async move { reign(&pen).await }
        });
        match reloader.promote().await {
            Ok(()) => tracing::info!(engine = pen.who().name, "this engine leads"),
            Err(why) => {
                tracing::error!(why, "this engine took the lead and cannot keep it");
                resign(&pen).await;
            }
        }
        // One that died has renewed nothing either.
        let _ = reigning.await;
        tracing::warn!(engine = pen.who().name, "this engine leads no longer, and follows");
        reloader.demote().await;
    }
}
