//! What engines that share a bucket hand one another: an object for each ask, one that says that it is taken, and one with the answer.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::BucketStore;
use crate::domain::journal::{JournalFault, Post};
use crate::domain::objects::When;
use crate::domain::time::{At, seconds_between};

const ASKS: &str = "asks/";
const ASK: &str = "ask";
const TAKEN: &str = "taken";
const ANSWER: &str = "answer";

/// What nobody needs any more.
const OLD: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize)]
struct Ask {
    /// By its engine's clock: only to put those of one second into an order.
    at: At,
    text: String,
}

fn key(id: &str, part: &str) -> String {
    format!("{ASKS}{id}.{part}")
}

/// The id and the part that a name is made of.
fn parts(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(ASKS)?.rsplit_once('.')
}

impl BucketStore {
    async fn sweep(&self) -> Result<(), JournalFault> {
        let listed = self.listed(ASKS, None, None).await?;
        let Some(now) = listed.iter().map(|it| it.written).max() else { return Ok(()) };
        let old = listed.iter().filter(|it| seconds_between(it.written, now) > OLD.as_secs_f64());
        let asks = old.filter_map(|it| parts(&it.key).filter(|(_, part)| *part == ASK));
        for (id, _) in asks {
            // The ask goes first, and what says that it was taken only once that is gone: it would be an ask again. Who may not take it
            // away leaves all of it there, which costs little.
            if self.objects.remove(&key(id, ASK)).await.is_ok() {
                let _ = self.objects.remove(&key(id, TAKEN)).await;
                let _ = self.objects.remove(&key(id, ANSWER)).await;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Post for BucketStore {
    async fn leave(&self, id: &str, text: &str) -> Result<(), JournalFault> {
        let ask = self.text(&Ask { at: At::now(), text: text.into() })?;
        match self.swap(&key(id, ASK), &ask, When::Absent).await? {
            Some(_) => self.sweep().await,
            None => Err(self.odd(&format!("an ask `{id}` is there already"))),
        }
    }

    async fn left(&self) -> Result<Vec<(String, String)>, JournalFault> {
        let listed = self.listed(ASKS, None, None).await?;
        let of = |wanted: &str| {
            let named = listed.iter().filter_map(|it| parts(&it.key).filter(|(_, part)| *part == wanted));
            named.map(|(id, _)| id).collect::<BTreeSet<&str>>()
        };
        let (asks, taken) = (of(ASK), of(TAKEN));
        let read = asks.difference(&taken).map(async |id| {
            let found = self.get(&key(id, ASK)).await?;
            Ok::<_, JournalFault>(
                found.and_then(|it| Some((serde_json::from_str::<Ask>(&it.body).ok()?, (*id).to_owned()))),
            )
        });
        let mut left: Vec<(Ask, String)> = try_join_all(read).await?.into_iter().flatten().collect();
        left.sort_by(|a, b| (a.0.at, &a.1).cmp(&(b.0.at, &b.1)));
        Ok(left.into_iter().map(|(ask, id)| (id, ask.text)).collect())
    }

    async fn take(&self, id: &str) -> Result<bool, JournalFault> {
        let by = super::random().map_err(|error| self.odd(&format!("there are no random bytes: {error}")))?;
        Ok(self.swap(&key(id, TAKEN), &by, When::Absent).await?.is_some())
    }

    async fn answer(&self, id: &str, text: &str) -> Result<(), JournalFault> {
        self.swap(&key(id, ANSWER), text, When::Always).await.map(drop)
    }

    async fn answered(&self, id: &str) -> Result<Option<String>, JournalFault> {
        Ok(self.get(&key(id, ANSWER)).await?.map(|object| object.body))
    }
}
