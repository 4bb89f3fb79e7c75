//! The CloudWatch driver against the lab: what it watches is told, and a CloudWatch that is silent tells nothing.

use mayday::domain::health::Status;
use mayday::lab::faults::Condition;
use mayday::lab::rds::REPLICA;
use mayday::lab::{Lab, Pace, STANDBY};
use serde_json::{Value, json};

use crate::common::{connect, eventually, probe};

#[tokio::test]
async fn a_metric_and_an_alarm_are_read_or_it_is_said_why_not() {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let given = json!({
        "aws_region": STANDBY, "endpoint_url": lab.endpoints["cloudwatch.us-west-2"], "access_key_id": "LABKEY",
        "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    let system = connect("cloudwatch", None, given);
    let look = async |kind: &str, given: Value| system.probe(&probe(kind, given)).await;
    let metric = |name: &str, bound: f64| {
        json!({
            "namespace": "AWS/RDS", "metric": name, "dimensions": { "DBInstanceIdentifier": REPLICA }, "stat": "Maximum",
            "window": "1h", "down_above": bound,
        })
    };
    eventually("a value is there", async || {
        let seen = look("cloudwatch.metric", metric("ReplicaLag", 1e6)).await;
        (seen.status == Status::Healthy).then_some(())
    })
    .await;
    let down = look("cloudwatch.metric", metric("ReplicaLag", -1.0)).await;
    assert!(down.status == Status::Down && down.detail.contains("ReplicaLag is"), "{down:?}");
    let none = look("cloudwatch.metric", metric("NoSuchMetric", 1.0)).await;
    assert!(none.status == Status::Unknown && none.detail.contains("has no value"), "{none:?}");
    let alarm = |name: &str| json!({ "alarms": [name] });
    let well = look("cloudwatch.alarm", alarm("replica-lag")).await;
    assert_eq!((well.status, well.detail.as_str()), (Status::Healthy, "replica-lag is OK"));
    let missing = look("cloudwatch.alarm", alarm("replica-lga")).await;
    assert!(missing.status == Status::Unknown && missing.detail.contains("there is no alarm"), "{missing:?}");
    for condition in [Condition::Dark, Condition::Refused, Condition::Denied, Condition::Throttled] {
        lab.world.truth().faults.set("cloudwatch@us-west-2", condition);
        let seen = look("cloudwatch.alarm", alarm("replica-lag")).await;
        assert_eq!(seen.status, Status::Unknown, "{condition:?} says nothing of what is watched: {seen:?}");
    }
}
