//! A step that waits until the values of a query are right: that the standby is fast enough, that errors have ended.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Server;
use super::query::Ask;
use crate::domain::health::Status;
use crate::domain::plan::StepSpec;
use crate::domain::system::{Fault, Guard, StepLog, Verified};
use crate::domain::text::clean;
use crate::systems::looking::Look;
use crate::systems::shell::quoted;

/// How long one query may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Holds {
    server: Arc<Server>,
    ask: Ask,
}

impl Holds {
    /// # Errors
    /// When nothing says which values are right.
    pub fn new(server: Arc<Server>, spec: &StepSpec) -> Result<Self, Fault> {
        let ask = Ask::of(&spec.params).map_err(|why| Fault::permanent(&server.id, why).next("run `mayday check`"))?;
        Ok(Self { server, ask })
    }

    fn unknown(&self, words: String) -> Fault {
        Fault::transient(&self.server.id, words)
            .means("whether the values are right is not known")
            .next("ask Prometheus by hand, or skip the step with a reason")
    }
}

#[async_trait]
impl Look for Holds {
    fn system(&self) -> &str {
        &self.server.id
    }

    fn summary(&self) -> String {
        format!("wait until the values of `{}` are within their bounds", clean(&self.ask.query))
    }

    async fn look(&self, log: &dyn StepLog) -> Result<Verified, Fault> {
        let answer = self.server.ask(&self.ask, PATIENCE).await;
        log.line(&answer.words);
        match answer.status {
            Status::Healthy => Ok(Verified::Holds { detail: answer.words, recovery_point: None }),
            Status::Degraded | Status::Down => Ok(Verified::Pending { detail: answer.words }),
            Status::Unknown => Err(self.unknown(answer.words)),
        }
    }

    async fn reach(&self) -> Result<Guard, Fault> {
        let answer = self.server.ask(&self.ask, PATIENCE).await;
        match answer.status {
            Status::Unknown => Err(self.unknown(answer.words)),
            _ => Ok(Guard::pass("reach", format!("{} answers: {}", self.server.id, answer.words))),
        }
    }

    fn by_hand(&self) -> Vec<String> {
        let url = quoted(self.server.target.url.as_str());
        vec![
            "# right when every value is within its bounds".into(),
            format!(
                "curl -sS {url} --data-urlencode {} | jq .data.result",
                quoted(&format!("query={}", self.ask.query))
            ),
        ]
    }
}
