//! PagerDuty: who is on call now.
//!
//! `GET /oncalls` of the REST API v2: <https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls>.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::domain::contacts::{self, OnCall, Rota};
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::outbound::http::{client, root};
use crate::outbound::secret::Keep;

const NAME: &str = "pagerduty";

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many on-calls are asked for at once, and so many times: an estate has a handful of policies.
const MOST: usize = 100;
const PAGES: usize = 10;

pub struct PagerDuty {
    token: Keep,
    url: String,
    policies: Vec<String>,
}

impl PagerDuty {
    pub fn new(spec: &contacts::PagerDuty) -> Self {
        let url = spec.url.trim_end_matches('/').to_owned();
        Self { token: Keep::new(Some(spec.token.clone())), url, policies: spec.policies.clone() }
    }

    async fn page(&self, offset: usize) -> Result<Told, Fault> {
        let token = self.token.read(NAME).await?;
        let token = token.as_ref().map_or("", |secret| secret.expose());
        let unusable = |why: String| Fault::permanent(NAME, why);
        let (most, offset) = (MOST.to_string(), offset.to_string());
        let mut query = vec![("include[]", "users"), ("earliest", "true"), ("limit", &most), ("offset", &offset)];
        query.extend(self.policies.iter().map(|id| ("escalation_policy_ids[]", id.as_str())));
        let wrong = |error| Fault::permanent(NAME, format!("`url` is no URL: {error}")).next("run `mayday check`");
        let url = Url::parse_with_params(&format!("{}/oncalls", self.url), &query).map_err(wrong)?;
        let asked = client()
            .map_err(unusable)?
            .get(url)
            .header("Accept", "application/vnd.pagerduty+json;version=2")
            .header("Authorization", format!("Token token={token}"))
            .timeout(PATIENCE);
        let answer = asked.send().await.map_err(|error| Self::silent(root(&error.without_url())))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(Fault::permanent(NAME, format!("the token is refused ({})", answer.status()))
                    .means("who is on call now is not known")
                    .next("renew the token of [contacts.pagerduty]; call the first of the escalation path"));
            }
            status => return Err(Self::silent(format!("answers {status}"))),
        }
        answer.json().await.map_err(|error| Self::silent(root(&error.without_url())))
    }

    fn silent(what: String) -> Fault {
        Fault::transient(NAME, what)
            .means("who is on call now is not known")
            .next("call the first of the escalation path")
    }
}

#[async_trait]
impl Rota for PagerDuty {
    async fn on_call(&self) -> Result<Vec<OnCall>, Fault> {
        let mut people: Vec<OnCall> = Vec::new();
        for page in 0..PAGES {
            let told = self.page(page * MOST).await?;
            people.extend(told.oncalls.into_iter().map(person));
            if !told.more {
                people.sort_by(|a, b| (a.level, &a.policy, &a.name).cmp(&(b.level, &b.policy, &b.name)));
                people.dedup();
                return Ok(people);
            }
        }
        // Whoever is paged first may be among those that were not told.
        Err(Self::silent(format!("there are more than {} on-calls: name the escalation policies", PAGES * MOST)))
    }
}

#[derive(Deserialize)]
struct Told {
    oncalls: Vec<Entry>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Entry {
    escalation_level: u32,
    end: Option<String>,
    user: User,
    escalation_policy: Named,
}

#[derive(Deserialize)]
struct Named {
    summary: Option<String>,
}

#[derive(Deserialize)]
struct User {
    summary: Option<String>,
    name: Option<String>,
    html_url: Option<String>,
    #[serde(default)]
    contact_methods: Vec<Method>,
}

/// Only its summary unless `include[]` asks for more than users; then an address too.
#[derive(Deserialize)]
struct Method {
    #[serde(rename = "type")]
    kind: String,
    address: Option<String>,
    country_code: Option<u32>,
}

fn person(entry: Entry) -> OnCall {
    let Entry { escalation_level, end, user, escalation_policy } = entry;
    let phone = user.contact_methods.iter().filter(|method| method.kind.starts_with("phone")).find_map(|method| {
        let country = method.country_code.map(|code| format!("+{code} ")).unwrap_or_default();
        Some(clean(&format!("{country}{}", method.address.as_ref()?)))
    });
    OnCall {
        name: clean(&user.name.or(user.summary).unwrap_or_else(|| "somebody without a name".into())),
        level: escalation_level,
        policy: clean(&escalation_policy.summary.unwrap_or_default()),
        phone,
        link: user.html_url.map(|link| clean(&link)),
        until: end.and_then(|at| at.parse::<At>().ok()),
    }
}
