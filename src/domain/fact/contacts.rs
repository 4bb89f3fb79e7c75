//! Whom to call: who is on call now, who is next, and who helps from outside.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::backup::rough;
use crate::domain::fault::Fault;
use crate::domain::spec::contacts::PagerDuty;
use crate::domain::time::{At, seconds_between};

/// Somebody who is on call. Texts are cleaned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OnCall {
    pub name: String,
    /// 1 is paged first.
    pub level: u32,
    pub policy: String,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub link: Option<String>,
    /// When the shift ends; `None` for somebody who always is.
    #[serde(default)]
    pub until: Option<At>,
}

/// The latest that is known of who is on call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OnCallLive {
    /// When `people` was read.
    pub at: Option<At>,
    /// The first to be paged first.
    pub people: Vec<OnCall>,
    /// Why the latest attempt failed, if it did.
    pub fault: Option<String>,
}

/// Who is on call is asked on a schedule; what is older than so many rounds, and a little, says nothing any more.
const ROUNDS: f64 = 3.0;

const LATE: f64 = 10.0;

impl OnCallLive {
    /// The first to be paged now; `None` when PagerDuty says that there is nobody.
    ///
    /// # Errors
    /// Why nobody knows: it does not answer, was not asked yet, or was asked too long ago.
    pub fn now(&self, asked: &PagerDuty, now: At) -> Result<Option<&OnCall>, String> {
        let limit = asked.every.as_secs_f64() * ROUNDS + LATE;
        match (&self.fault, self.at) {
            (Some(fault), _) => Err(format!("PagerDuty does not answer: {fault}")),
            (None, None) => Err("PagerDuty was not asked yet".into()),
            (None, Some(at)) if seconds_between(at, now) > limit => {
                Err(format!("PagerDuty has not answered (for {})", rough(seconds_between(at, now))))
            }
            (None, Some(_)) => Ok(self.people.first()),
        }
    }
}

/// Knows who is on call.
#[async_trait]
pub trait Rota: Send + Sync {
    /// The first to be paged first.
    ///
    /// # Errors
    /// When it could not be asked: then nobody is known, and the escalation path of the config is what there is.
    async fn on_call(&self) -> Result<Vec<OnCall>, Fault>;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::spec::params::SecretRef;
    use crate::domain::time::{Span, before};

    #[test]
    fn who_is_on_call_is_known_only_from_an_answer_of_now() {
        let now: At = "2026-11-23T12:00:00Z".parse().unwrap();
        let asked = PagerDuty {
            token: SecretRef::Env("TOKEN".into()),
            url: "http://localhost".into(),
            policies: Vec::new(),
            every: Span::secs(60),
        };
        let ada = OnCall { name: "Ada".into(), level: 1, policy: "p".into(), phone: None, link: None, until: None };
        let live = |seconds: Option<u64>, people: &[&OnCall], fault: Option<&str>| OnCallLive {
            at: seconds.map(|seconds| before(now, Duration::from_secs(seconds))),
            people: people.iter().map(|it| (*it).clone()).collect(),
            fault: fault.map(str::to_owned),
        };
        let rows = [
            ("somebody is", live(Some(1), &[&ada], None), Ok(Some("Ada"))),
            ("nobody is", live(Some(1), &[], None), Ok(None)),
            ("the last moment that it counts", live(Some(190), &[&ada], None), Ok(Some("Ada"))),
            ("yesterday's answer", live(Some(191), &[&ada], None), Err("has not answered")),
            ("it was never asked", live(None, &[], None), Err("not asked yet")),
            ("it refuses", live(Some(1), &[&ada], Some("the token is refused")), Err("the token is refused")),
            ("it never answered", live(None, &[], Some("no answer within 10 s")), Err("no answer within 10 s")),
        ];
        for (what, live, wanted) in rows {
            match (live.now(&asked, now), wanted) {
                (Ok(seen), Ok(name)) => assert_eq!(seen.map(|it| it.name.as_str()), name, "{what}"),
                (Err(why), Err(words)) => assert!(why.contains(words), "{what}: {why}"),
                (seen, _) => panic!("{what}: {seen:?}"),
            }
        }
    }
}
