//! CloudFront's origin groups against a server that answers as its API does, for those who sign as it wants.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use mayday::domain::health::Status;
use serde_json::json;
use tokio::net::TcpListener;

use crate::common::{connect, probe};

const DISTRIBUTION: &str = "<Distribution xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Id>E1LAB</Id>\
    <Status>Deployed</Status><DistributionConfig><OriginGroups><Quantity>1</Quantity><Items><OriginGroup><Id>web</Id>\
    <FailoverCriteria><StatusCodes><Items><StatusCode>503</StatusCode></Items></StatusCodes></FailoverCriteria><Members><Items>\
    <OriginGroupMember><OriginId>east</OriginId></OriginGroupMember><OriginGroupMember><OriginId>west</OriginId></OriginGroupMember>\
    </Items></Members></OriginGroup></Items></OriginGroups><DefaultCacheBehavior><TargetOriginId>web</TargetOriginId>\
    </DefaultCacheBehavior><Enabled>true</Enabled></DistributionConfig></Distribution>";

#[tokio::test]
async fn a_distribution_is_looked_at_and_silence_of_its_api_says_nothing_of_it() {
    let signed = Arc::new(Mutex::new(Vec::new()));
    let kept = signed.clone();
    let answer = move |Path(id): Path<String>, headers: HeaderMap| async move {
        let authorization = headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
        kept.lock().unwrap().push(authorization);
        match id.as_str() {
            "E1LAB" => DISTRIBUTION.into_response(),
            "E2LAB" => {
                let error =
                    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
                (StatusCode::FORBIDDEN, error).into_response()
            }
            _ => {
                let error = "<ErrorResponse><Error><Code>NoSuchDistribution</Code><Message>none</Message></Error></ErrorResponse>";
                (StatusCode::NOT_FOUND, error).into_response()
            }
        }
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/2020-05-31/distribution/{id}", get(answer));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let look = async |id: &str| {
        let given = json!({
            "distribution": id,
            "endpoint_url": url,
            "access_key_id": "LABKEY",
            "secret_access_key": { "command": ["printf", "labsecret"] },
        });
        let system = connect("cloudfront", None, given);
        system.probe(&probe("cloudfront.origin-group", json!({ "first": "east" }))).await
    };
    let well = look("E1LAB").await;
    assert!(well.status == Status::Healthy && well.detail.contains("east, then west on 503"), "{well:?}");
    assert!(signed.lock().unwrap()[0].contains("/us-east-1/cloudfront/aws4_request"), "{signed:?}");
    let refused = look("E2LAB").await;
    assert!(refused.status == Status::Unknown && refused.detail.contains("refused (403): AccessDenied"), "{refused:?}");
    let missing = look("E3LAB").await;
    assert!(missing.status == Status::Unknown && missing.detail.contains("NoSuchDistribution"), "{missing:?}");
    server.abort();
    let _ = server.await;
    assert_eq!(look("E1LAB").await.status, Status::Unknown, "the edge serves without its API");
}
