//! Amazon CloudWatch: alarms and metrics of one region as probes and checks.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html>,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
//!
//! # What an installation can look like
//!
//! | | |
//! |---|---|
//! | metric alarms and composite alarms, several in one probe | the worst counts, and is named |
//! | `INSUFFICIENT_DATA` | unknown |
//! | an alarm that does not exist, in this region or under this name | unknown: it may be misspelt, or was deleted |
//! | CloudWatch is silent, throttles, or refuses | unknown: it says nothing of what it watches |
//! | a metric without a value within `window` | unknown, or what `empty` says |
//! | `StatusCode` other than `Complete` | unknown: half an answer is none |
//! | several regions, accounts | a `[[system]]` for each, with its `region` and `profile` |
//! | metric math, Metrics Insights, anomaly bands | by an alarm on them; a probe asks one metric |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    AlarmType, Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StateValue, StatusCode,
};
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::aws::{ACCESS_KEY_ID, Aws, Call, PROFILE, SECRET_ACCESS_KEY, moment};
use super::bounds::{Bounds, DEGRADED_ABOVE, DEGRADED_BELOW, DOWN_ABOVE, DOWN_BELOW, EMPTY, of_nothing};
use crate::domain::backup::rough;
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::{Reading, Status};
use crate::domain::kinds::{Param, ParamType, ProbeKind, SystemKind, To, WayOut};
use crate::domain::params::Params;
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::text::clean;
use crate::domain::time::{At, Span, seconds_between};

/// The most alarms that one call names.
const PAGE: usize = 100;

pub static KIND: SystemKind = SystemKind {
    name: "cloudwatch",
    title: "Amazon CloudWatch in one region",
    ambient: false,
    ways: &[WayOut::new("endpoint_url", To::Own, "CloudWatch")],
    params: &[
        Param::optional(
            "aws_region",
            ParamType::Text,
            "the region as AWS calls it; the system's `region`, or else the primary, when left out",
        ),
        Param::optional("endpoint_url", ParamType::Url, "an endpoint of CloudWatch other than AWS's own"),
        PROFILE,
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
    ],
    probes: &[
        ProbeKind {
            name: "cloudwatch.alarm",
            title: "Alarms are OK",
            params: &[
                Param::required("alarms", ParamType::List, "the names of the alarms, metric alarms or composite ones"),
                Param::default(
                    "means",
                    ParamType::Choice(&["down", "degraded"]),
                    "down",
                    "what it means that one of them is in ALARM",
                ),
            ],
        },
        ProbeKind {
            name: "cloudwatch.metric",
            title: "The newest value of a metric is within its bounds",
            params: &[
                Param::required(
                    "namespace",
                    ParamType::Text,
                    "the namespace of the metric, such as AWS/ApplicationELB",
                ),
                Param::required("metric", ParamType::Text, "its name"),
                Param::optional("dimensions", ParamType::Map, "all of its dimensions: another set is another metric"),
                Param::default("stat", ParamType::Text, "Average", "the statistic: Average, Maximum, Sum, p99"),
                Param::default("period", ParamType::Span, "1m", "what one value is taken over"),
                Param::default("window", ParamType::Span, "5m", "a value that is older than this counts as none"),
                DOWN_ABOVE,
                DOWN_BELOW,
                DEGRADED_ABOVE,
                DEGRADED_BELOW,
                EMPTY,
            ],
        },
    ],
    steps: &[],
    backups: &[],
};

/// Makes connections to CloudWatch.
pub struct CloudWatchFactory;

impl Factory for CloudWatchFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let params = &spec.params;
        let own = spec.region.clone().unwrap_or_else(|| around.estate.primary());
        let region = params.opt_text("aws_region").unwrap_or(own.as_str());
        let aws = Aws::new(spec, region, params.opt_text("endpoint_url"));
        Ok(Arc::new(CloudWatch { id: spec.id.to_string(), aws, client: OnceCell::new() }))
    }
}

struct CloudWatch {
    id: String,
    aws: Aws,
    client: OnceCell<Client>,
}

#[async_trait]
impl System for CloudWatch {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let looked = match spec.kind.as_str() {
            "cloudwatch.alarm" => self.alarms(&spec.params).await,
            _ => self.metric(&spec.params).await,
        };
        // Whatever keeps CloudWatch from answering says nothing of what it watches.
        looked.unwrap_or_else(|fault| Reading::unknown(&fault.what))
    }

    fn refuses(&self, spec: &ProbeSpec) -> Option<Fault> {
        let unsound = |why: String| Fault::permanent(&self.id, why);
        match spec.kind.as_str() {
            "cloudwatch.alarm" => spec.params.list("alarms").is_empty().then(|| unsound("no alarm is named".into())),
            _ => Bounds::of(&spec.params).err().map(unsound),
        }
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(&self.id, "metrics are no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Err(Fault::permanent(&self.id, format!("there is no step `{}`", spec.kind)).next("run `mayday kinds`"))
    }
}

impl CloudWatch {
    async fn client(&self) -> Result<&Client, Fault> {
        let make = async || Ok::<_, Fault>(Client::new(&self.aws.config().await?));
        self.client.get_or_try_init(make).await
    }

    fn alarms<'a>(&'a self, params: &'a Params) -> BoxFuture<'a, Result<Reading, Fault>> {
        Box::pin(async move {
            let (wanted, mut seen) = (params.list("alarms"), Vec::new());
            for names in wanted.chunks(PAGE) {
                let asked = self
                    .client()
                    .await?
                    .describe_alarms()
                    .set_alarm_names(Some(names.to_vec()))
                    .alarm_types(AlarmType::MetricAlarm)
                    .alarm_types(AlarmType::CompositeAlarm)
                    .max_records(100);
                let answer = self.aws.ask(Call::Read, "DescribeAlarms", asked.send()).await?;
                let metric =
                    answer.metric_alarms().iter().map(|it| (it.alarm_name(), it.state_value(), it.state_reason()));
                let composite =
                    answer.composite_alarms().iter().map(|it| (it.alarm_name(), it.state_value(), it.state_reason()));
                seen.extend(metric.chain(composite).filter_map(|(name, state, why)| {
                    let alarm = Alarm { state: state.cloned(), why: clean(why.unwrap_or_default()) };
                    Some((name?.to_owned(), alarm))
                }));
            }
            Ok(judge_alarms(&wanted, &seen, params.opt_text("means") == Some("degraded")))
        })
    }

    fn metric<'a>(&'a self, params: &'a Params) -> BoxFuture<'a, Result<Reading, Fault>> {
        Box::pin(async move {
            let unsound = |why: String| Fault::permanent(&self.id, why).next("run `mayday check`");
            let bounds = Bounds::of(params).map_err(unsound)?;
            let (period, window) = (params.span("period")?, params.span("window")?);
            let named = |(name, value)| Dimension::builder().name(name).value(value).build();
            let metric = Metric::builder()
                .namespace(params.text("namespace")?)
                .metric_name(params.text("metric")?)
                .set_dimensions(Some(params.map("dimensions").into_iter().map(named).collect()))
                .build();
            let seconds = i32::try_from(period.as_secs()).unwrap_or(i32::MAX).max(1);
            let stat = MetricStat::builder().metric(metric).period(seconds).stat(params.text("stat")?).build();
            let now = At::now();
            let asked = self
                .client()
                .await?
                .get_metric_data()
                .metric_data_queries(MetricDataQuery::builder().id("value").metric_stat(stat).build())
                // A value carries the moment at which its period begins.
                .start_time(DateTime::from_secs((now - window - period).as_second()))
                .end_time(DateTime::from_secs(now.as_second()))
                .scan_by(ScanBy::TimestampDescending);
            let answer = self.aws.ask(Call::Read, "GetMetricData", asked.send()).await?;
            let name = params.text("metric")?;
            Ok(judge_metric(name, answer.metric_data_results(), &bounds, of_nothing(params), (period, window), now))
        })
    }
}

#[derive(Clone, Debug)]
struct Alarm {
    state: Option<StateValue>,
    why: String,
}

/// The worst alarm counts; one that is not there is not known.
fn judge_alarms(wanted: &[String], seen: &[(String, Alarm)], mild: bool) -> Reading {
    let of = |name: &String| {
        let Some((_, alarm)) = seen.iter().find(|(known, _)| known == name) else {
            return (Status::Unknown, format!("there is no alarm `{}` here", clean(name)));
        };
        let (name, why) = (clean(name), &alarm.why);
        match &alarm.state {
            Some(StateValue::Ok) => (Status::Healthy, format!("{name} is OK")),
            Some(StateValue::Alarm) if mild => (Status::Degraded, format!("{name} is in ALARM: {why}")),
            Some(StateValue::Alarm) => (Status::Down, format!("{name} is in ALARM: {why}")),
            Some(other) => (Status::Unknown, format!("{name} is {}: {why}", clean(other.as_str()))),
            None => (Status::Unknown, format!("{name} tells no state")),
        }
    };
    let judged: Vec<(Status, String)> = wanted.iter().map(of).collect();
    let worst = Status::worst(judged.iter().map(|(status, _)| *status));
    let words: Vec<&str> =
        judged.iter().filter(|(status, _)| *status == worst).map(|(_, words)| words.as_str()).collect();
    match worst {
        Status::Healthy if words.len() > 1 => Reading::healthy(format!("{} alarms are OK", words.len())),
        _ if words.is_empty() => Reading::unknown("no alarm is named"),
        _ => Reading::new(worst, words.join("; ")),
    }
}

fn judge_metric(
    name: &str,
    results: &[MetricDataResult],
    bounds: &Bounds,
    empty: Status,
    (period, window): (Duration, Duration),
    now: At,
) -> Reading {
    let name = clean(name);
    let half = |it: &&MetricDataResult| it.status_code().is_some_and(|code| *code != StatusCode::Complete);
    if let Some(half) = results.iter().find(half) {
        let code = half.status_code().map(StatusCode::as_str).unwrap_or_default();
        return Reading::unknown(format!("{name}: CloudWatch has only a part of the answer ({})", clean(code)));
    }
    let points = results.iter().flat_map(|it| it.timestamps().iter().zip(it.values()));
    let newest = points.filter_map(|(at, value)| Some((moment(at)?, *value))).max_by_key(|(at, _)| *at);
    let Some((at, value)) = newest else {
        return Reading::new(empty, format!("{name} has no value of the last {}", Span(window)));
    };
    let age = seconds_between(at, now) - period.as_secs_f64();
    if age > window.as_secs_f64() {
        return Reading::new(empty, format!("the newest value of {name} is {} old", rough(age)));
    }
    let (status, words) = bounds.judge(value);
    Reading::new(status, format!("{name} {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_alarm_counts_and_a_missing_one_is_not_known() {
        let alarm = |state: StateValue| Alarm { state: Some(state), why: "it is so".into() };
        let seen = [
            ("well".to_owned(), alarm(StateValue::Ok)),
            ("ill".to_owned(), alarm(StateValue::Alarm)),
            ("blind".to_owned(), alarm(StateValue::InsufficientData)),
        ];
        let judge = |names: &[&str], mild| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            judge_alarms(&names, &seen, mild)
        };
        for (names, mild, wanted) in [
            (&["well"][..], false, Status::Healthy),
            (&["well", "ill"], false, Status::Down),
            (&["well", "ill"], true, Status::Degraded),
            (&["well", "blind"], false, Status::Unknown),
            (&["well", "gone"], false, Status::Unknown),
            (&["blind", "ill"], false, Status::Down),
            (&[], false, Status::Unknown),
        ] {
            let seen = judge(names, mild);
            assert_eq!(seen.status, wanted, "{names:?}: {}", seen.detail);
        }
        assert!(judge(&["gone"], false).detail.contains("no alarm `gone`"));
    }

    #[test]
    fn an_old_or_a_half_value_is_none() {
        let now = At::from_second(1_000_000).unwrap();
        let bounds = Bounds::of(&serde_json::from_value(serde_json::json!({ "down_above": 5 })).unwrap()).unwrap();
        let result = |code: StatusCode, points: &[(i64, f64)]| {
            let (times, values): (Vec<i64>, Vec<f64>) = points.iter().copied().unzip();
            MetricDataResult::builder()
                .status_code(code)
                .set_timestamps(Some(times.into_iter().map(DateTime::from_secs).collect()))
                .set_values(Some(values))
                .build()
        };
        let minute = Duration::from_secs(60);
        let judge = |result| judge_metric("Errors", &[result], &bounds, Status::Unknown, (minute, 5 * minute), now);
        for (given, wanted) in [
            (result(StatusCode::Complete, &[(999_940, 1.0), (999_880, 9.0)]), Status::Healthy),
            (result(StatusCode::Complete, &[(999_880, 1.0), (999_940, 9.0)]), Status::Down),
            (result(StatusCode::Complete, &[(990_000, 1.0)]), Status::Unknown),
            (result(StatusCode::Complete, &[]), Status::Unknown),
            (result(StatusCode::PartialData, &[(999_940, 1.0)]), Status::Unknown),
        ] {
            let seen = judge(given);
            assert_eq!(seen.status, wanted, "{}", seen.detail);
        }
    }
}
