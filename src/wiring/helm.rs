//! Who leads, in the life of one process: it follows until nobody else leads, leads for as long as it can renew that, and follows again.

use std::sync::Arc;

use super::reload::Reloader;
use crate::engine::{Pen, attend, campaign, reign, resign};

/// Steers until the process ends.
pub async fn steer(reloader: Arc<Reloader>, pen: Arc<Pen>) {
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

/// Shows who leads and who is there until the process ends.
pub async fn show(reloader: Arc<Reloader>, pen: Arc<Pen>, wanted: u64) {
    attend(pen, wanted, |seen| reloader.now().engines_seen(seen)).await;
}
