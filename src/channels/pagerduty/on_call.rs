//! PagerDuty: who is on call now.
//!
//! `GET /oncalls` of the REST API v2: <https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls>.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::super::line::Line;
use crate::domain::contacts::{self, OnCall, Rota};
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::outbound::http::root;
use crate::outbound::secret::Keep;

const NAME: &str = "pagerduty";

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many on-calls are asked for at once, and so many times: what PagerDuty pages through is 10,000 long at most.
/// <https://developer.pagerduty.com/docs/pagination>
const MOST: usize = 100;
const PAGES: usize = 100;

pub struct PagerDuty {
    token: Keep,
    url: String,
    policies: Vec<String>,
    line: Line,
}

impl PagerDuty {
    pub fn new(spec: &contacts::PagerDuty) -> Self {
        let url = spec.url.trim_end_matches('/').to_owned();
        Self { token: Keep::new(Some(spec.token.clone())), url, policies: spec.policies.clone(), line: Line::default() }
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
        let client = self.line.client(&self.url).await.map_err(unusable)?;
        let asked = client
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
            let count = told.oncalls.len();
            people.extend(told.oncalls.into_iter().map(person));
            // An API that says "more" and tells nobody has told all that it will.
            if !told.more || count == 0 {
                return Ok(once(people));
            }
        }
        // Whoever is paged first may be among those that were not told.
        Err(Self::silent(format!("there are more than {} on-calls: name the escalation policies", PAGES * MOST)))
    }
}

/// Everybody once a level of a policy, the first to be paged first. Somebody who is on call by two schedules is until the later one ends;
/// one without an end always is.
fn once(mut people: Vec<OnCall>) -> Vec<OnCall> {
    people.sort_by(|a, b| (a.level, &a.policy, &a.name).cmp(&(b.level, &b.policy, &b.name)));
    people.dedup_by(|next, kept| {
        let same =
            (next.level, &next.policy, &next.name, &next.link) == (kept.level, &kept.policy, &kept.name, &kept.link);
        if same {
            kept.until = kept.until.zip(next.until).map(|(a, b)| a.max(b));
            kept.phone = kept.phone.take().or_else(|| next.phone.take());
        }
        same
    });
    people
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::bench::{Asked, Vendor, ok};
    use super::*;
    use crate::domain::params::SecretRef;
    use crate::domain::time::Span;

    fn entry(level: u32, policy: &str, name: &str, end: Option<&str>) -> Value {
        json!({ "escalation_level": level, "end": end, "user": { "name": name }, "escalation_policy": { "summary": policy } })
    }

    #[tokio::test]
    async fn who_is_on_call_is_read_to_the_last_page_and_everybody_is_told_once() {
        let (early, late) = ("2026-11-29T08:00:00Z", "2026-11-29T09:00:00Z");
        let crowd = (0..1212).map(|at| entry(1 + at % 4, &format!("team {at:04}"), &format!("Person {at:04}"), None));
        let last = [entry(1, "a platform", "Nadia", Some(early)), entry(1, "a platform", "Nadia", Some(late))];
        let all: Vec<Value> = crowd.chain(last).collect();
        let vendor = Vendor::start(move |asked: &Asked| {
            let number = |name| asked.form(name).and_then(|it| it.parse::<usize>().ok()).unwrap();
            let (offset, limit) = (number("offset"), number("limit").min(100));
            let some: Vec<&Value> = all.iter().skip(offset).take(limit).collect();
            ok(json!({ "oncalls": some, "more": offset + limit < all.len() }))
        })
        .await;
        let token = SecretRef::Command(vec!["printf".into(), "x".into()]);
        let spec = contacts::PagerDuty { token, url: vendor.url.clone(), policies: Vec::new(), every: Span::secs(5) };
        let people = PagerDuty::new(&spec).on_call().await.unwrap();
        assert_eq!((people.len(), &*people[0].name), (1213, "Nadia"));
        assert_eq!(people[0].until, late.parse().ok(), "until the later shift ends");
    }
}
