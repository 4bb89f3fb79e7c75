//! Hears of new records from PostgreSQL, where it tells (`NOTIFY`); who hears nothing looks more often, and loses nothing by it.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::time::{Instant, sleep, timeout};

/// What is told, in the words of the server: a channel.
const CHANNEL: &str = "mayday_record";
/// The longest that it is waited for a word, where one may come, and where none will.
const HEARS: Duration = Duration::from_millis(500);
const LOOKS: Duration = Duration::from_millis(100);
/// A server that does not speak is asked again so much later.
const AGAIN: Duration = Duration::from_secs(30);
/// The longest that listening may take to begin.
const BEGIN: Duration = Duration::from_secs(3);

#[derive(Default)]
pub(super) struct Ears {
    listener: Option<PgListener>,
    /// When it could not be listened to for the last time.
    deaf: Option<Instant>,
}

impl Ears {
    /// Waits for a word, and not for long.
    pub async fn wait(&mut self, pool: &PgPool) {
        if self.listener.is_none() && self.deaf.is_none_or(|since| since.elapsed() >= AGAIN) {
            self.listener = timeout(BEGIN, listen(pool)).await.ok().and_then(Result::ok);
            self.deaf = self.listener.is_none().then(Instant::now);
        }
        let Some(listener) = &mut self.listener else { return sleep(LOOKS).await };
        if let Ok(Err(_)) = timeout(HEARS, listener.recv()).await {
            self.listener = None;
            sleep(LOOKS).await;
        }
    }
}

async fn listen(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Tells all who listen that there is something new. Nobody waits for it, and a server that cannot is looked at instead.
pub(super) fn tell(pool: &PgPool) {
    let pool = pool.clone();
    tokio::spawn(async move {
        let told = sqlx::query("SELECT pg_notify('mayday_record', '')").execute(&pool);
        // Whoever did not hear it looks.
        let _ = timeout(BEGIN, told).await;
    });
}
