//! `ReplicaLag` of CloudWatch, and the recovery point that follows from it.
//!
//! For PostgreSQL the metric is how far the newest replayed transaction lies back; on an idle database it reads up to five minutes, and
//! -1 when nothing replicates (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PostgreSQL.Replication.ReadReplicas.html>).

use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use tokio::sync::OnceCell;

use crate::domain::ids::RegionId;
use crate::domain::recovery::RecoveryPoint;
use crate::domain::system::Fault;
use crate::domain::time::{At, seconds_between};
use crate::systems::aws::{Aws, Call, moment};

/// How far back a datapoint is looked for.
const BACK: Duration = Duration::from_secs(30 * 60);
/// How far ahead of this host's clock: as far as one that is wrong may be behind.
const AHEAD: Duration = Duration::from_secs(24 * 3600);
/// The metric comes once a minute.
const PERIOD: i32 = 60;
/// A datapoint that is older says nothing about the lag now; its recovery point stays true.
const FRESH: f64 = 180.0;
/// No replica is further behind than ten years.
const LONGEST: f64 = 10.0 * 365.0 * 86_400.0;

/// One datapoint.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub at: At,
    /// In seconds.
    pub lag: f64,
}

impl Measured {
    /// What the replica surely holds: the metric's time less the lag.
    pub fn holds(self) -> At {
        let lag = Duration::try_from_secs_f64(self.lag).unwrap_or_default();
        self.at - lag
    }

    pub fn is_fresh(self) -> bool {
        seconds_between(self.at, At::now()) <= FRESH
    }

    pub fn point(self, region: &RegionId) -> RecoveryPoint {
        let source = format!("ReplicaLag {:.1} s at {}", self.lag, self.at.strftime("%H:%M:%SZ"));
        RecoveryPoint { at: self.holds(), region: Some(region.clone()), source, measured: false }
    }
}

/// -1 says that nothing replicates, and what no replica can be behind is no lag either: it would count as none.
fn is_lag(seconds: f64) -> bool {
    (0.0..=LONGEST).contains(&seconds)
}

pub struct LagMetric {
    system: String,
    replica: String,
    aws: Aws,
    client: OnceCell<Client>,
}

impl LagMetric {
    pub fn new(system: &str, replica: &str, aws: Aws) -> Self {
        Self { system: system.to_owned(), replica: replica.to_owned(), aws, client: OnceCell::new() }
    }

    /// The newest datapoint; `None` when there is none, or when the replica says that nothing replicates.
    ///
    /// # Errors
    /// When CloudWatch does not answer, or refuses.
    pub async fn newest(&self) -> Result<Option<Measured>, Fault> {
        let now = At::now();
        let found = self.between(now - BACK, now + Duration::from_secs(1)).await?;
        match found {
            Some(found) => Ok(Some(found)),
            // A host whose clock was set back asks for a time before the newest ones: what is ahead of it shows that.
            None => self.between(now, now + AHEAD).await,
        }
    }

    async fn between(&self, from: At, to: At) -> Result<Option<Measured>, Fault> {
        let make = async || Ok::<_, Fault>(Client::new(&self.aws.config().await?));
        let client = self.client.get_or_try_init(make).await?;
        let dimension = Dimension::builder().name("DBInstanceIdentifier").value(&self.replica).build();
        let metric = Metric::builder().namespace("AWS/RDS").metric_name("ReplicaLag").dimensions(dimension).build();
        let stat = MetricStat::builder().metric(metric).period(PERIOD).stat("Maximum").build();
        let asked = client
            .get_metric_data()
            .metric_data_queries(MetricDataQuery::builder().id("lag").metric_stat(stat).build())
            .start_time(DateTime::from_secs(from.as_second()))
            .end_time(DateTime::from_secs(to.as_second()))
            .scan_by(ScanBy::TimestampDescending);
        let answer = self.aws.ask(Call::Read, "GetMetricData", asked.send()).await?;
        let results = answer.metric_data_results();
        // A metric that nobody may see, or that could not be read, comes as one without values.
        let untold = results
            .iter()
            .filter_map(|it| it.status_code())
            .find(|it| matches!(it, StatusCode::Forbidden | StatusCode::InternalError));
        if let Some(code) = untold {
            let what = format!("CloudWatch does not tell ReplicaLag of {}: {}", self.replica, code.as_str());
            return Err(Fault::permanent(&self.system, what));
        }
        let points = results.iter().flat_map(|it| it.timestamps().iter().zip(it.values()));
        let points = points.filter_map(|(at, lag)| Some(Measured { at: moment(at)?, lag: *lag }));
        Ok(points.max_by_key(|it| it.at).filter(|it| is_lag(it.lag)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_lag_is_not_zero() {
        for (seconds, lag) in
            [(0.0, true), (300.0, true), (-1.0, false), (f64::NAN, false), (f64::INFINITY, false), (1e300, false)]
        {
            assert_eq!(is_lag(seconds), lag, "{seconds}");
        }
        let at: At = "2026-11-23T12:00:00Z".parse().unwrap();
        assert_eq!(Measured { at, lag: 90.0 }.holds(), "2026-11-23T11:58:30Z".parse::<At>().unwrap());
    }
}
