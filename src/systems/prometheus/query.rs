//! One query, and what its values come to. Whatever is not an answer is unknown: a Prometheus that is down says nothing of what it
//! watches.

use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use super::Server;
use crate::domain::health::{Reading, Status};
use crate::domain::params::Params;
use crate::domain::text::clean;
use crate::domain::time::{At, Span};
use crate::systems::bounds::{Bounds, of_nothing};
use crate::systems::http::exchange::{Order, Reply};

/// So many series are named; the others are counted.
const NAMED: usize = 3;
/// What a value is called that has no labels.
const UNNAMED: &str = "the value";

/// A query with the bounds of its values.
pub struct Ask {
    pub query: String,
    bounds: Bounds,
    empty: Status,
    clock: Duration,
}

/// What a look came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: Status,
    pub words: String,
}

impl Answer {
    fn new(status: Status, words: impl Into<String>) -> Self {
        Self { status, words: words.into() }
    }

    fn unknown(words: impl Into<String>) -> Self {
        Self::new(Status::Unknown, words)
    }

    /// How long Prometheus takes is no latency of what it watches: it is not told as one.
    pub fn reading(&self) -> Reading {
        Reading::new(self.status, &self.words)
    }
}

impl Ask {
    /// # Errors
    /// When nothing says which values are right.
    pub fn of(params: &Params) -> Result<Self, String> {
        Ok(Self {
            query: params.text("query").map_err(|fault| fault.what)?.to_owned(),
            bounds: Bounds::of(params)?,
            empty: of_nothing(params),
            clock: params.opt_span("clock").unwrap_or(Duration::from_secs(120)),
        })
    }
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    value: Option<(f64, String)>,
}

impl Server {
    /// Asks once, within `patience`.
    pub async fn ask(&self, ask: &Ask, patience: Duration) -> Answer {
        let (mut headers, proof) = match self.credentials.headers(&self.id).await {
            Ok(both) => both,
            Err(fault) => return Answer::unknown(fault.what),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        // Prometheus takes no fractions in a length of time.
        let limit = format!("{}ms", patience.as_millis());
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &ask.query)
            .append_pair("timeout", &limit)
            .finish();
        let order = Order { headers, proof, body, ..Order::new(Method::POST) };
        match self.target.send(&order, patience).await {
            Ok(reply) => judge(ask, &reply, At::now()),
            Err(silence) => Answer::unknown(format!("{} does not answer: {}", self.id, silence.words())),
        }
    }
}

fn judge(ask: &Ask, reply: &Reply, now: At) -> Answer {
    if matches!(reply.status, 401 | 403 | 407 | 429) {
        return Answer::unknown(format!("Mayday is refused: {}", reply.words()));
    }
    if let Some(why) = reply.broken() {
        return Answer::unknown(format!("the answer is not whole: {why}"));
    }
    let Ok(envelope) = serde_json::from_str::<Envelope>(&reply.body) else {
        return Answer::unknown(format!("this is no answer of Prometheus: {}", reply.words()));
    };
    match envelope.data {
        Some(data) if envelope.status == "success" => {
            let answer = values(ask, &data, now);
            match envelope.warnings.first() {
                // Half an answer that looks well is none; what is wrong in it is wrong.
                Some(half) if answer.status != Status::Down => {
                    Answer::unknown(format!("the answer is only a part: {}; {}", clean(half), answer.words))
                }
                _ => answer,
            }
        }
        _ => Answer::unknown(format!("the query was refused ({}): {}", reply.status, clean(&envelope.error))),
    }
}

fn values(ask: &Ask, data: &Data, now: At) -> Answer {
    let unread = || Answer::unknown("the values cannot be read as Prometheus writes them");
    let series: Vec<Series> = match data.result_type.as_str() {
        "vector" => match serde_json::from_value(data.result.clone()) {
            Ok(series) => series,
            Err(_) => return unread(),
        },
        "scalar" => match serde_json::from_value(data.result.clone()) {
            Ok(value) => vec![Series { metric: Default::default(), value: Some(value) }],
            Err(_) => return unread(),
        },
        other => {
            let words = format!("the query has to give an instant vector or a scalar, and gives a {}", clean(other));
            return Answer::unknown(words);
        }
    };
    if series.is_empty() {
        return Answer::new(ask.empty, "the query finds nothing");
    }
    let mut judged = Vec::with_capacity(series.len());
    for one in &series {
        // Histograms have no value.
        let Some((at, value)) = &one.value else { return unread() };
        if let Some(apart) = apart(*at, now, ask.clock) {
            return Answer::unknown(apart);
        }
        let Ok(value) = value.parse::<f64>() else { return unread() };
        let (status, words) = ask.bounds.judge(value);
        judged.push((status, format!("{} {words}", name(one))));
    }
    told(&judged)
}

/// That the values are of another time than this, if they are.
fn apart(at: f64, now: At, most: Duration) -> Option<String> {
    let ahead = at - now.as_duration().as_secs_f64();
    if ahead.abs() <= most.as_secs_f64() {
        return None;
    }
    let by = Span(Duration::try_from_secs_f64(ahead.abs().round()).unwrap_or_default());
    let way = if ahead > 0.0 { "ahead of" } else { "behind" };
    Some(format!("its values are of another time: its clock is {by} {way} the engine's"))
}

/// The worst of all counts, and is named.
fn told(judged: &[(Status, String)]) -> Answer {
    let worst = Status::worst(judged.iter().map(|(status, _)| *status));
    let named: Vec<&str> =
        judged.iter().filter(|(status, _)| *status == worst).map(|(_, words)| words.as_str()).collect();
    let more = match named.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let of = match (worst, named.len() == judged.len()) {
        (Status::Healthy, _) | (_, true) => String::new(),
        _ => format!(" ({} of {})", named.len(), judged.len()),
    };
    let words = named[..named.len().min(NAMED)].join(", ");
    Answer::new(worst, format!("{words}{more}{of}"))
}

/// `http_errors{job="api"}`, as people write it.
fn name(series: &Series) -> String {
    let own = series.metric.get("__name__").cloned().unwrap_or_default();
    let labels = series.metric.iter().filter(|(key, _)| *key != "__name__");
    let labels: Vec<String> = labels.map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    match (own.is_empty(), labels.is_empty()) {
        (true, true) => UNNAMED.into(),
        (false, true) => clean(&own),
        _ => clean(&format!("{own}{{{}}}", labels.join(","))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(given: serde_json::Value, data: serde_json::Value) -> Answer {
        let mut params = json!({ "query": "x" });
        params.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let ask = Ask::of(&serde_json::from_value(params).unwrap()).unwrap();
        values(&ask, &serde_json::from_value(data).unwrap(), At::from_second(1_000_000).unwrap())
    }

    fn vector(series: &[(&str, &str)]) -> serde_json::Value {
        let of = |(job, value): &(&str, &str)| json!({ "metric": { "__name__": "up", "job": job }, "value": [1_000_000.0, value] });
        json!({ "resultType": "vector", "result": series.iter().map(of).collect::<Vec<_>>() })
    }

    #[test]
    fn the_worst_series_counts_and_is_named() {
        let given = json!({ "down_below": 1 });
        let well = answered(given.clone(), vector(&[("a", "1"), ("b", "1")]));
        assert_eq!(well.status, Status::Healthy, "{well:?}");
        let ill = answered(given.clone(), vector(&[("a", "1"), ("b", "0")]));
        assert_eq!((ill.status, ill.words.as_str()), (Status::Down, "up{job=\"b\"} is 0, below 1 (1 of 2)"));
        let odd = answered(given.clone(), vector(&[("a", "1"), ("b", "NaN")]));
        assert_eq!(odd.status, Status::Unknown, "{odd:?}");
        let scalar = answered(given, json!({ "resultType": "scalar", "result": [1_000_000.0, "2"] }));
        assert_eq!((scalar.status, scalar.words.as_str()), (Status::Healthy, "the value is 2"));
    }

    #[test]
    fn nothing_is_what_the_config_says_and_unknown_otherwise() {
        for (empty, wanted) in
            [(None, Status::Unknown), (Some("healthy"), Status::Healthy), (Some("down"), Status::Down)]
        {
            let mut given = json!({ "down_above": 0 });
            if let Some(empty) = empty {
                given["empty"] = json!(empty);
            }
            assert_eq!(answered(given, vector(&[])).status, wanted);
        }
    }

    #[test]
    fn what_is_of_another_time_or_of_another_form_is_unknown() {
        let given = json!({ "down_above": 5 });
        let old = json!({ "resultType": "vector", "result": [{ "metric": {}, "value": [996_400.0, "1"] }] });
        let old = answered(given.clone(), old);
        assert!(old.status == Status::Unknown && old.words.contains("1h behind"), "{old:?}");
        for data in [
            json!({ "resultType": "matrix", "result": [] }),
            json!({ "resultType": "string", "result": [1.0, "x"] }),
            json!({ "resultType": "vector", "result": [{ "metric": {}, "histogram": [1.0, {}] }] }),
            json!({ "resultType": "vector", "result": "x" }),
        ] {
            let seen = answered(given.clone(), data);
            assert_eq!(seen.status, Status::Unknown, "{seen:?}");
        }
    }
}
