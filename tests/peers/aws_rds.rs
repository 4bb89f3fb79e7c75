//! boto3 and the `aws` command against the lab's RDS, CloudWatch and STS. Needs `pip install boto3 awscli`.

use mayday::lab::rds::REPLICA;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::json;

use crate::common::{connect, eventually, step};
use crate::python::{paste, run};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs boto3: .ci/run installs it"]
async fn boto3_finds_rds_as_it_knows_it() {
    let lab = Lab::start(Pace(50.0)).await.unwrap();
    let endpoint = |name: String| lab.endpoints[&name].clone();
    let environment = [
        ("LAB_RDS_EAST", endpoint(format!("rds.{PRIMARY}"))),
        ("LAB_RDS_WEST", endpoint(format!("rds.{STANDBY}"))),
        ("LAB_CLOUDWATCH_WEST", endpoint(format!("cloudwatch.{STANDBY}"))),
        ("LAB_STS_EAST", endpoint(format!("sts.{PRIMARY}"))),
    ];
    run("aws_rds.py", environment).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs awscli: .ci/run installs it"]
async fn a_promotion_by_hand_can_be_pasted() {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let rds = connect("rds", None, json!({ "instance": "gennet-db", "replica": REPLICA }));
    let promote = step(&*rds, "rds.promote-replica", STANDBY, json!({}));
    let said = paste(promote.by_hand(), [("AWS_ENDPOINT_URL_RDS", lab.endpoints["rds.us-west-2"].clone())]).await;
    assert!(said.contains("modifying") && said.trim_end().ends_with("available\tNone"), "{said}");
    eventually("promoted", async || {
        lab.world.truth().rds.instance(REPLICA).is_some_and(|it| it.source.is_none()).then_some(())
    })
    .await;
}
