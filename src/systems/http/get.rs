//! One URL asked, and its answer held against what is right.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use regex::Regex;
use serde_json::Value;

use super::KIND;
use super::exchange::{LONGEST, Order, Reply, Target, Want};
use crate::domain::backup::rough;
use crate::domain::estate::ProbeSpec;
use crate::domain::expect::{Statuses, pattern};
use crate::domain::health::Reading;
use crate::domain::ids::ProbeId;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::domain::time::{At, Span, seconds_between};
use crate::outbound::wire::body::End;
use crate::systems::reach::{
    BEARER, CERTIFICATE_AUTHORITY, CLIENT_CERTIFICATE, CLIENT_KEY, Credentials, PASSWORD, PROXY, RESOLVER, Reach,
    TLS_MINIMUM, USERNAME,
};

/// The most redirects that are followed.
const MOST_HOPS: u64 = 10;

#[rustfmt::skip] // one row a line
pub const PARAMS: &[Param] = &[
    super::URL,
    Param::default("method", ParamType::Choice(&["GET", "HEAD", "POST", "PUT", "OPTIONS"]), "GET", "how it is asked"),
    Param::optional("headers", ParamType::Headers, "headers to send; what proves who asks has parameters of its own"),
    Param::optional("body", ParamType::Text, "what is sent with it"),
    USERNAME,
    PASSWORD,
    BEARER,
    Param::optional("api_key", ParamType::Secret, "where the key is kept that is sent in the header `api_key_header`"),
    Param::default("api_key_header", ParamType::Text, "x-api-key", "the header that carries `api_key`"),
    Param::optional("expect_status", ParamType::Statuses, "the statuses that are right; 200 to 299 when left out"),
    Param::optional("body_contains", ParamType::Text, "what has to stand in the body"),
    Param::optional("body_matches", ParamType::Pattern, "what has to match in the body"),
    Param::optional("body_lacks", ParamType::Pattern, "what must not match in the body"),
    Param::optional("json_pointer", ParamType::Pointer, "where in the body, as JSON, something has to stand"),
    Param::optional("json_equals", ParamType::Text, "what has to stand there; anything but null and false when left out"),
    Param::default("follow", ParamType::Integer, "0", "so many redirects are followed, up to 10; never to another scheme or a link-local address"),
    Param::optional("slow", ParamType::Span, "an answer that takes longer is degraded"),
    Param::default("certificate", ParamType::Span, "14d", "with https: a chain of certificates that ends sooner than this from now is degraded"),
    CERTIFICATE_AUTHORITY,
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
    TLS_MINIMUM,
    RESOLVER,
    PROXY,
];

/// Who Mayday is at each URL: read anew no more often than a secret is.
#[derive(Default)]
pub struct Wallet(Mutex<BTreeMap<ProbeId, (Params, Arc<Credentials>)>>);

impl Wallet {
    pub fn of(&self, spec: &ProbeSpec) -> Arc<Credentials> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&spec.id) {
            Some((params, credentials)) if *params == spec.params => credentials.clone(),
            _ => {
                let made = Arc::new(Credentials::of(&spec.params));
                known.insert(spec.id.clone(), (spec.params.clone(), made.clone()));
                made
            }
        }
    }
}

/// What is right.
struct Right<'p> {
    statuses: Statuses,
    contains: Option<&'p str>,
    matches: Option<Regex>,
    lacks: Option<Regex>,
    pointer: Option<&'p str>,
    equals: Option<&'p str>,
}

impl<'p> Right<'p> {
    fn of(params: &'p Params) -> Result<Self, String> {
        let statuses = params.0.get("expect_status").map(Statuses::read).transpose()?.unwrap_or_else(Statuses::success);
        let regex = |name| params.opt_text(name).map(pattern).transpose();
        Ok(Self {
            statuses,
            contains: params.opt_text("body_contains"),
            matches: regex("body_matches")?,
            lacks: regex("body_lacks")?,
            pointer: params.opt_text("json_pointer"),
            equals: params.opt_text("json_equals"),
        })
    }

    /// How far a body has to be read. Only one text alone lets reading end before the body does.
    fn want(&self) -> Want<'_> {
        match (self.contains, &self.matches) {
            (None, None) if self.lacks.is_none() && self.pointer.is_none() => Want::Nothing,
            (Some(part), None) if self.lacks.is_none() && self.pointer.is_none() => Want::Part(part),
            _ => Want::All,
        }
    }

    /// What is not in the body as it should be.
    fn missing(&self, reply: &Reply) -> Option<Missing> {
        if let Some(part) = self.contains.filter(|part| !reply.body.contains(part)) {
            return Some(Missing::Absent(format!("`{part}` is not in the answer")));
        }
        if let Some(pattern) = self.matches.as_ref().filter(|pattern| !pattern.is_match(&reply.body)) {
            return Some(Missing::Absent(format!("nothing in the answer matches `{}`", pattern.as_str())));
        }
        if let Some(pattern) = &self.lacks {
            if let Some(found) = pattern.find(&reply.body) {
                return Some(Missing::Wrong(format!("`{}` is in the answer", clean(found.as_str()))));
            }
            if let Some(why) = partly(reply) {
                return Some(Missing::Absent(format!(
                    "nothing that was read matches `{}`, and {why}",
                    pattern.as_str()
                )));
            }
        }
        let pointer = self.pointer?;
        let Some(json) = reply.json() else { return Some(Missing::Absent("the answer is not JSON".into())) };
        let value = json.pointer(pointer);
        match (value, self.equals) {
            (None | Some(Value::Null), _) => Some(Missing::Wrong(format!("nothing is at {pointer}"))),
            (Some(Value::Bool(false)), None) => Some(Missing::Wrong(format!("{pointer} is false"))),
            (Some(_), None) => None,
            (Some(value), Some(wanted)) => {
                let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (said != wanted)
                    .then(|| Missing::Wrong(format!("{pointer} is `{}`, expected `{wanted}`", clean(&said))))
            }
        }
    }
}

/// What is not as it should be in a body.
enum Missing {
    /// It is not in what was read: where that is not all, it may be in the rest.
    Absent(String),
    /// What was read is wrong, whatever else there is.
    Wrong(String),
}

/// # Errors
/// Why it could never look.
pub fn vet(spec: &ProbeSpec) -> Result<(), String> {
    let params = &spec.params;
    Target::new(params.opt_text("url").unwrap_or_default(), params)?;
    Right::of(params)?;
    Reach::of(params).vet()?;
    Credentials::of(params).vet()?;
    match params.opt_integer("follow") {
        Some(follow) if follow > MOST_HOPS => {
            Err(format!("`follow` is {follow}: at most {MOST_HOPS} redirects are followed"))
        }
        _ if params.opt_text("json_equals").is_some() && params.opt_text("json_pointer").is_none() => {
            Err("`json_equals` needs `json_pointer`, which says where".into())
        }
        _ => Ok(()),
    }
}

/// Asks, and judges. Whoever is refused, held back, or could not read it all has learnt nothing of the service.
pub async fn probe(spec: &ProbeSpec, wallet: &Wallet) -> Reading {
    match look(spec, wallet).await {
        Ok(reading) | Err(reading) => reading,
    }
}

async fn look(spec: &ProbeSpec, wallet: &Wallet) -> Result<Reading, Reading> {
    let params = &spec.params;
    let told = |fault: Fault| Reading::unknown(fault.what);
    let target = Target::new(params.text("url").map_err(told)?, params).map_err(Reading::unknown)?;
    let right = Right::of(params).map_err(Reading::unknown)?;
    let (headers, proof) = wallet.of(spec).headers(KIND.name).await.map_err(told)?;
    let method = params.opt_text("method").unwrap_or("GET");
    let order = Order {
        method: Method::from_bytes(method.as_bytes()).map_err(|_| Reading::unknown("this is no method of HTTP"))?,
        headers,
        proof,
        body: params.opt_text("body").unwrap_or_default().to_owned(),
        follow: params.opt_integer("follow").unwrap_or(0).min(MOST_HOPS),
        want: right.want(),
    };
    // A little sooner than the caller, so that the reading can say what happened.
    let reply = target.send(&order, spec.timeout.0.mul_f64(0.9)).await.map_err(|silence| silence.reading())?;
    Ok(judge(&reply, &right, params, At::now()))
}

fn judge(reply: &Reply, right: &Right<'_>, params: &Params, now: At) -> Reading {
    let reading = match right.statuses.contains(reply.status) {
        false if matches!(reply.status, 401 | 403 | 407 | 429) => {
            Reading::unknown(format!("Mayday is refused: {}", reply.words()))
        }
        false => Reading::down(reply.words()),
        true => judge_body(reply, right).unwrap_or_else(|| {
            match late(reply, params).or_else(|| ending(reply, params, now)) {
                Some(why) => Reading::degraded(format!("{} {why}", reply.status)),
                None => Reading::healthy(format!("{} in {} ms{}", reply.status, reply.took.as_millis(), beside(reply))),
            }
        }),
    };
    reading.took(reply.took)
}

fn judge_body(reply: &Reply, right: &Right<'_>) -> Option<Reading> {
    let looked_into = !matches!(right.want(), Want::Nothing);
    if let Some(why) = reply.broken() {
        let enough = looked_into && right.missing(reply).is_none() && right.lacks.is_none() && right.pointer.is_none();
        return (!enough).then(|| Reading::down(format!("{}, and {why}", reply.status)));
    }
    if !looked_into {
        let hollow = || format!("{}, and nothing of its body came within {} ms", reply.status, reply.took.as_millis());
        return reply.is_hollow().then(|| Reading::degraded(hollow()));
    }
    let missing = right.missing(reply)?;
    Some(match (missing, partly(reply)) {
        (Missing::Absent(what), Some(why)) => {
            Reading::unknown(format!("{}: {what} as far as it was read: {why}", reply.status))
        }
        (Missing::Absent(what) | Missing::Wrong(what), _) => Reading::down(format!("{what}: {}", reply.words())),
    })
}

/// Why what was read is not all that a client gets, if it is not.
fn partly(reply: &Reply) -> Option<String> {
    match (&reply.end, &reply.foreign) {
        (End::Limit, _) => Some(format!("only the first {} MiB were read", LONGEST / (1024 * 1024))),
        (End::Time, _) => Some(format!("it did not end in time, and only {} bytes were read", reply.length.1)),
        (End::Unreadable(why), _) => Some(why.clone()),
        (_, Some(charset)) => Some(format!("its text is written in `{}`, which is not read here", clean(charset))),
        _ => None,
    }
}

/// What is well, and worth a word.
fn beside(reply: &Reply) -> String {
    let dead =
        if reply.dead.is_empty() { String::new() } else { format!("; does not answer: {}", reply.dead.join(", ")) };
    let endless = if reply.end == End::Time { "; its body has no end" } else { "" };
    format!("{endless}{dead}")
}

fn late(reply: &Reply, params: &Params) -> Option<String> {
    let slow = params.opt_span("slow").filter(|slow| reply.took > *slow)?;
    Some(format!("in {} ms; up to {} is well", reply.took.as_millis(), Span(slow)))
}

/// Of a chain of certificates that is about to end. One that has ended, or that nobody here trusts, gets no answer in the first place.
fn ending(reply: &Reply, params: &Params, now: At) -> Option<String> {
    let (shown, least) = (reply.shown?, params.opt_span("certificate")?);
    let left = seconds_between(now, shown.chain_ends);
    let whose = if shown.chain_ends < shown.ends { "a certificate of its chain" } else { "its certificate" };
    let soon = left < least.as_secs_f64();
    soon.then(|| format!("and {whose} ends in {}; {} is well", rough(left), Span(least)))
}
