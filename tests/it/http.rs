//! The http and tcp drivers against the lab's front doors, and against servers that lie.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::routing::{get, post};
use axum::{Json, Router};
use mayday::domain::health::{Reading, Status};
use mayday::domain::system::{Step, Verified};
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::common::{Log, begun, connect, eventually, probe, step};

async fn lab() -> Lab {
    Lab::start(Pace(200.0)).await.unwrap()
}

async fn looked(given: Value) -> Reading {
    connect("http", None, json!({})).probe(&probe("http.get", given)).await
}

fn transaction(url: &str, region: &str, more: Value) -> Arc<dyn Step> {
    made("http.transaction", url, region, more)
}

fn made(kind: &str, url: &str, region: &str, more: Value) -> Arc<dyn Step> {
    let mut given = json!({ "url": url });
    given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    step(&*connect("http", None, json!({})), kind, region, given)
}

async fn verify(step: &dyn Step) -> Verified {
    step.verify(&begun(Value::Null, Default::default()), &Log::default()).await.unwrap()
}

/// What a step is waiting for.
async fn pending(step: &dyn Step) -> String {
    match verify(step).await {
        Verified::Pending { detail } => detail,
        other => panic!("{other:?}"),
    }
}

/// A server on loopback that is not the lab's.
async fn server(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn a_front_door_is_healthy_down_or_not_to_be_known() {
    let lab = lab().await;
    let url = format!("{}/healthz/auth", lab.endpoints["app.us-east-1"]);
    let status = async |given: Value| looked(given).await.status;
    assert_eq!(status(json!({ "url": url })).await, Status::Healthy);
    assert_eq!(status(json!({ "url": url, "expect_status": 204 })).await, Status::Down);
    assert_eq!(status(json!({ "url": url, "body_contains": "\"ok\"" })).await, Status::Healthy);
    assert_eq!(status(json!({ "url": url, "body_contains": "no such words" })).await, Status::Down);
    for (condition, expected) in [
        (Condition::Refused, Status::Down),
        (Condition::Dark, Status::Down),
        (Condition::Garbage, Status::Down),
        (Condition::Half, Status::Down),
        (Condition::Denied, Status::Unknown),
        (Condition::Throttled, Status::Unknown),
    ] {
        lab.world.truth().faults.set("app@us-east-1", condition);
        let reading = looked(json!({ "url": url })).await;
        assert_eq!(reading.status, expected, "{condition:?}: {}", reading.detail);
    }
}

/// A server that shows a certificate which ends at the beginning of a year, and the file with the authority to trust for it.
async fn secured(dir: &Path, year: i32) -> (SocketAddr, String) {
    let mut about = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    about.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = about.self_signed(&key).unwrap();
    let pem = dir.join(format!("{year}.pem"));
    std::fs::write(&pem, certificate.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust it goes away in the middle.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        }
    });
    (address, pem.display().to_string())
}

#[tokio::test]
async fn a_certificate_that_is_about_to_end_is_seen_before_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let (good, trusted) = secured(dir.path(), 2100).await;
    let look = async |at: SocketAddr, trusted: &str, least: &str| {
        let url = format!("https://{at}/");
        looked(json!({ "url": url, "certificate_authority": trusted, "certificate": least })).await
    };
    let well = look(good, &trusted, "30d").await;
    assert_eq!(well.status, Status::Healthy, "{}", well.detail);
    let soon = look(good, &trusted, "50000d").await;
    assert_eq!(soon.status, Status::Degraded, "{}", soon.detail);
    assert!(soon.detail.contains("its certificate ends in"), "{}", soon.detail);
    let (ended, also_trusted) = secured(dir.path(), 2001).await;
    let over = look(ended, &also_trusted, "30d").await;
    assert_eq!(over.status, Status::Down, "{}", over.detail);
    assert!(over.detail.contains("expired"), "{}", over.detail);
    assert_eq!(look(good, &also_trusted, "30d").await.status, Status::Down, "nobody has signed it that is trusted");
    let missing = look(good, "/nowhere.pem", "30d").await;
    assert!(missing.detail.contains("/nowhere.pem cannot be read"), "{}", missing.detail);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_body_is_made_harmless() {
    let router = Router::new()
        .route("/moved", get(|| async { axum::response::Redirect::temporary("/fine") }))
        .route("/fine", get(|| async { "fine" }))
        .route("/rude", get(|| async { (axum::http::StatusCode::INTERNAL_SERVER_ERROR, "\u{1b}[2Jgone") }));
    let at = server(router).await;
    assert_eq!(looked(json!({ "url": format!("http://{at}/moved") })).await.status, Status::Down);
    let rude = looked(json!({ "url": format!("http://{at}/rude") })).await;
    assert_eq!((rude.status, rude.detail.as_str()), (Status::Down, "500 [2Jgone"));
}

#[tokio::test]
async fn a_transaction_counts_only_where_clients_are_sent_and_by_the_right_region() {
    let lab = lab().await;
    let url = format!("http://app.gennet.example:{}/transaction?tier=standard", lab.endpoints["app.port"]);
    let resolver = json!({ "resolver": lab.endpoints["dns"] });
    let east = transaction(&url, PRIMARY, resolver.clone());
    assert!(matches!(verify(&*east).await, Verified::Holds { .. }));

    let west = transaction(&url, STANDBY, resolver);
    let waits = pending(&*west).await;
    assert!(waits.contains("served by us-east-1, not by us-west-2"), "{waits}");
    // Once the health check is red, DNS falls back to the standby.
    lab.world.truth().faults.set("app@us-east-1", Condition::Refused);
    eventually("the standby serves", async || matches!(verify(&*west).await, Verified::Holds { .. }).then_some(()))
        .await;
    assert!(pending(&*east).await.contains("served by us-west-2"));

    let nowhere = transaction("http://nobody.gennet.example/", STANDBY, json!({ "resolver": lab.endpoints["dns"] }));
    assert!(pending(&*nowhere).await.contains("NXDOMAIN"));
}

#[tokio::test]
async fn a_200_proves_nothing() {
    let count = Arc::new(AtomicU64::new(0));
    let serial = move || count.fetch_add(1, Ordering::Relaxed);
    let answer = |body: Value| post(move || std::future::ready(Json(body.clone())));
    let router = Router::new()
        .route("/cached", answer(json!({ "region": "us-east-1", "written": 1, "read": 1 })))
        .route("/stale", answer(json!({ "region": "us-east-1", "written": 2, "read": 1 })))
        .route("/empty", answer(json!({ "region": "us-east-1" })))
        .route("/text", post(|| async { "<html>Welcome</html>" }))
        .route(
            "/true",
            post(async move || {
                let nth = serial();
                Json(json!({ "who": { "region": "us-east-1" }, "written": nth, "read": nth }))
            }),
        );
    let at = server(router).await;
    let wait = async |path: &str| pending(&*transaction(&format!("http://{at}/{path}"), PRIMARY, json!({}))).await;
    assert!(wait("cached").await.contains("cache"));
    assert!(wait("stale").await.contains("wrote 2 and read 1"));
    assert!(wait("empty").await.contains("says nothing at /written"));
    assert!(wait("text").await.contains("not JSON"));
    assert!(wait("missing").await.starts_with("404"));
    let more = json!({ "region_pointer": "/who/region", "times": 3 });
    assert!(matches!(verify(&*transaction(&format!("http://{at}/true"), PRIMARY, more)).await, Verified::Holds { .. }));
}

#[tokio::test]
async fn a_recovery_point_is_read_and_nothing_is_never_no_loss() {
    let lab = lab().await;
    let url = format!("{}/recovery-point", lab.endpoints["app.us-east-1"]);
    let measure = |pointer: &str| made("http.recovery-point", &url, PRIMARY, json!({ "pointer": pointer }));
    let point = eventually("measured", async || match verify(&*measure("/user-data")).await {
        Verified::Holds { recovery_point, .. } => recovery_point,
        _ => None,
    })
    .await;
    assert!(point.measured && point.region.is_some_and(|region| region.as_str() == PRIMARY));
    assert!(jiff::Timestamp::now().duration_since(point.at).as_secs() < 30);
    lab.world.truth().faults.set("s3@us-east-1", Condition::Dark);
    assert!(pending(&*measure("/user-data")).await.contains("cannot be read"));
    assert!(pending(&*measure("/nothing")).await.contains("nothing at /nothing"));
    let at = server(Router::new().route("/", get(|| async { Json(json!({ "at": "yesterday" })) }))).await;
    let wrong = made("http.recovery-point", &format!("http://{at}/"), PRIMARY, json!({ "pointer": "/at" }));
    assert!(matches!(verify(&*wrong).await, Verified::Broken { .. }));
}

#[tokio::test]
async fn a_port_takes_connections_or_does_not() {
    let lab = lab().await;
    let tcp = connect("tcp", None, json!({}));
    let look = async |address: &str| tcp.probe(&probe("tcp.connect", json!({ "address": address }))).await.status;
    let open = lab.endpoints["app.us-east-1"].trim_start_matches("http://");
    assert_eq!(look(open).await, Status::Healthy);
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    assert_eq!(look(&closed).await, Status::Down);
    assert_eq!(look("nobody.invalid:1").await, Status::Unknown);
}

#[tokio::test]
async fn what_the_stores_hold_until_a_moment_is_the_same_whenever_it_is_asked() {
    let lab = lab().await;
    let given = json!({ "url": format!("{}/integrity", lab.endpoints["app.us-east-1"]) });
    let (http, spec) = (connect("http", None, json!({})), probe("http.integrity", given));
    assert!(http.tallies(&spec.kind) && !http.tallies("http.get"));
    let until = eventually("something was written", async || {
        let newest = mayday::lab::app::recovery_points(&lab.world.truth(), PRIMARY)["rds"];
        newest.filter(|_| lab.world.truth().client.succeeded > 3)
    })
    .await;
    let first = http.tally(&spec, until).await.unwrap();
    let before = lab.world.truth().client.succeeded;
    eventually("more is written", async || (lab.world.truth().client.succeeded > before + 3).then_some(())).await;
    assert_eq!(http.tally(&spec, until).await.unwrap(), first);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["neo4j", "rds", "redis", "s3"]);
    assert!(first["rds"].count > 0 && first["s3"].count > 0, "{first:?}");

    lab.world.truth().faults.set(&format!("rds@{PRIMARY}"), Condition::Corrupt);
    eventually("a row is lost", async || {
        let now = http.tally(&spec, until).await.unwrap();
        (now["rds"] != first["rds"] && now["s3"] == first["s3"]).then_some(())
    })
    .await;
    lab.world.truth().faults.set(&format!("s3@{PRIMARY}"), Condition::Dark);
    let fault = http.tally(&spec, until).await.unwrap_err();
    assert!(fault.what.contains("s3 cannot be counted"), "{fault}");
}

#[tokio::test]
async fn a_synthetic_user_signs_in_or_it_is_said_why_not() {
    let lab = lab().await;
    let door = &lab.endpoints["app.us-east-1"];
    let given = |password: &str| {
        json!({
            "url": format!("{door}/login"), "session_url": format!("{door}/session"), "username": "synthetic",
            "password": { "command": ["printf", password] },
        })
    };
    let http = connect("http", None, json!({}));
    let look = async |given: Value| http.probe(&probe("http.login", given)).await;
    // The lab's application has to find its database first.
    eventually("somebody signs in", async || {
        (look(given("labpassword")).await.status == Status::Healthy).then_some(())
    })
    .await;
    let wrong = look(given("guessed")).await;
    assert!(wrong.status == Status::Down && wrong.detail.contains("wrong username or password"), "{wrong:?}");
    assert!(!wrong.detail.contains("guessed"), "a secret: {wrong:?}");
    lab.world.truth().faults.set(&format!("auth@{PRIMARY}"), Condition::Refused);
    let down = eventually("sign-in has no pod", async || {
        let down = look(given("labpassword")).await;
        (down.status == Status::Down).then_some(down)
    })
    .await;
    assert!(down.detail.contains("auth"), "{down:?}");
}
