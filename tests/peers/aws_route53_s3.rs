//! boto3, dnspython and the `aws` command against the lab's Route 53, name server and S3. Needs `pip install boto3 dnspython awscli`
//! and `jq`.

use mayday::domain::system::Step;
use mayday::domain::time::At;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::json;

use crate::common::{connect, eventually, step};
use crate::python::{paste, run};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs boto3 and dnspython: .ci/run installs them"]
async fn boto3_finds_route53_and_s3_as_it_knows_them() {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let endpoint = |name: &str| lab.endpoints[name].clone();
    let environment = [
        ("LAB_ROUTE53", endpoint("route53")),
        ("LAB_DNS", endpoint("dns")),
        ("LAB_S3_EAST", endpoint(&format!("s3.{PRIMARY}"))),
        ("LAB_S3_WEST", endpoint(&format!("s3.{STANDBY}"))),
    ];
    run("aws_route53_s3.py", environment).await;
}

/// Pastes what `by_hand` prints into a shell, as far as a lab can take it. Answers what was printed.
async fn pasted(step: &dyn Step, lab: &Lab) -> String {
    // The last lines of a shift ask the name servers by name, and those of the lab have none.
    let lines = step.by_hand().into_iter().take_while(|line| !line.contains("what clients are told")).collect();
    let environment = [
        ("AWS_ENDPOINT_URL_ROUTE_53", lab.endpoints["route53"].clone()),
        ("AWS_ENDPOINT_URL_S3", lab.endpoints[&format!("s3.{STANDBY}")].clone()),
    ];
    paste(lines, environment).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs awscli and jq: .ci/run installs them"]
async fn what_is_printed_to_be_done_by_hand_can_be_pasted() {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let secret = json!({ "command": ["printf", "labsecret"] });
    let zone = json!({
        "hosted_zone": "Z0GENNET",
        "endpoint_url": lab.endpoints["route53"],
        "name_servers": [lab.endpoints["dns"]],
        "access_key_id": "LABKEY",
        "secret_access_key": secret,
    });
    let zone = connect("route53", None, zone);
    let resolved = || lab.world.truth().route53.resolve("app.gennet.example").map(|ip| ip.to_string());
    let there = step(&*zone, "route53.shift", STANDBY, json!({ "record": "app.gennet.example" }));
    // Without a preview: made of what is there.
    pasted(&*there, &lab).await;
    assert_eq!(resolved().as_deref(), Some("127.0.0.12"));
    // With one: its exact change.
    let back = step(&*zone, "route53.shift", PRIMARY, json!({ "record": "app.gennet.example" }));
    back.preview().await.unwrap();
    pasted(&*back, &lab).await;
    assert_eq!(resolved().as_deref(), Some("127.0.0.11"));
    let force = step(
        &*zone,
        "route53.force-health-check",
        STANDBY,
        json!({ "record": "app.gennet.example", "identifier": PRIMARY }),
    );
    pasted(&*force, &lab).await;
    assert_eq!(resolved().as_deref(), Some("127.0.0.12"));

    let buckets = connect("s3", None, json!({ "primary_bucket": "gennet-data", "standby_bucket": "gennet-data-dr" }));
    {
        let truth = &mut *lab.world.truth();
        truth.s3.write(PRIMARY, At::now(), &truth.faults).unwrap();
    }
    let measure = step(&*buckets, "s3.recovery-point", STANDBY, json!({}));
    eventually("the heartbeat is told as a replica", async || {
        let newest = lab.world.truth().s3.newest(STANDBY, &Default::default());
        newest.is_some().then_some(())
    })
    .await;
    let said = pasted(&*measure, &lab).await;
    assert!(said.lines().any(|line| line.starts_with("heartbeat/us-east-1") && line.ends_with("REPLICA")), "{said}");
}
