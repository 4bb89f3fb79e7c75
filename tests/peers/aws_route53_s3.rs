//! boto3 and dnspython against the lab's Route 53, name server and S3. Needs `pip install boto3 dnspython`.

use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};

use crate::python::run;

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
