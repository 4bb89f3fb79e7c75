//! What is sent to vendors, held against their documentation; and what the tests of the channels share.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use mayday::domain::comms::{Audience, Channel, ComponentStatus, Parcel, Purpose, Text};
use mayday::domain::incident::Severity;
use serde_json::{Value, json};

use crate::common::try_channel;
use crate::python;

pub fn secret(value: &str) -> Value {
    json!({ "command": ["printf", "%s", value] })
}

pub fn connect(kind: &str, audience: Audience, given: Value) -> Arc<dyn Channel> {
    try_channel(kind, audience, given).expect("it can be connected")
}

pub fn parcel(number: u32, purpose: Purpose) -> Parcel {
    Parcel {
        message: format!("INC-20261123-1.m{number}").into(),
        incident: "INC-20261123-1".into(),
        title: "us-east-1 is down".into(),
        purpose,
        severity: Severity::Sev1,
        drill: false,
        text: Text { subject: "We are looking into it".into(), body: "R&D: <1> \"more\"\nsecond line".into() },
        chain: None,
        components: Default::default(),
        part: 0,
        parts: 1,
        only: Vec::new(),
        thread: Default::default(),
    }
}

type Requests = Arc<Mutex<Vec<Value>>>;

/// A server that keeps what it is asked, and answers as the vendors' documentation shows.
async fn recorder() -> (Requests, String) {
    let requests = Requests::default();
    let router = Router::new().fallback(record).with_state(requests.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (requests, url)
}

async fn record(State(requests): State<Requests>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers: serde_json::Map<String, Value> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    requests.lock().unwrap().push(json!({
        "method": method, "path": path, "query": parts.uri.query().unwrap_or_default(), "headers": headers,
        "body": serde_json::from_slice::<Value>(&body).unwrap_or_default(),
    }));
    let (status, told) = match (&*method, &*path) {
        (_, "/v2/enqueue") => {
            (202, json!({ "status": "success", "message": "Event processed", "dedup_key": "INC-20261123-1" }))
        }
        ("GET", "/incidents") => (
            200,
            json!({ "incidents": [{ "id": "PT4KHLK", "html_url": "https://x.pagerduty.com/incidents/PT4KHLK" }] }),
        ),
        ("POST", "/incidents/PT4KHLK/notes") => (201, json!({ "note": { "id": "PWL7QXS", "content": "x" } })),
        ("GET", "/v1/pages/kctbh9vrtdwd/components") => (200, json!([{ "id": "8kbf7d35c070", "name": "API" }])),
        ("GET", "/v1/pages/kctbh9vrtdwd/incidents/unresolved") => (200, json!([])),
        ("POST", "/v1/pages/kctbh9vrtdwd/incidents") => {
            (201, json!({ "id": "p31zjtct2jer", "shortlink": "https://stspg.io/x" }))
        }
        ("PATCH", "/v1/pages/kctbh9vrtdwd/incidents/p31zjtct2jer") => (200, json!({ "id": "p31zjtct2jer" })),
        _ => (404, json!({ "error": "not found" })),
    };
    Response::builder().status(status).body(Body::from(told.to_string())).unwrap()
}

#[tokio::test]
#[ignore = "needs Python's jsonschema: .ci/run installs it"]
async fn what_pagerduty_and_statuspage_are_sent_is_what_they_document() {
    let (requests, url) = recorder().await;
    let pages = connect("pagerduty", Audience::Internal, json!({ "url": url, "routing_key": secret(&"R".repeat(32)) }));
    for (number, purpose) in [(1, Purpose::Page), (2, Purpose::Acknowledge), (3, Purpose::Resolved)] {
        pages.deliver(&parcel(number, purpose)).await.unwrap();
    }
    pages.reach().await.unwrap();
    let given = json!({ "url": url, "token": secret("y_NbAkKc66ryYTWUXYEu"), "from": "ada@gennet.example" });
    let notes = connect("pagerduty-notes", Audience::Internal, given);
    notes.deliver(&parcel(4, Purpose::Handoff)).await.unwrap();
    notes.reach().await.unwrap();
    let given = json!({ "url": url, "token": secret("89a229ce1a8dbcf9ff30430fbe35eb4c"), "page": "kctbh9vrtdwd" });
    let page = connect("statuspage", Audience::Public, given);
    let mut first = parcel(5, Purpose::Investigating);
    first.components = [("API".to_owned(), ComponentStatus::PartialOutage)].into();
    let known = page.deliver(&first).await.unwrap();
    let resolved = Parcel { thread: known, ..parcel(6, Purpose::Resolved) };
    page.deliver(&resolved).await.unwrap();
    page.reach().await.unwrap();

    let sent = serde_json::to_string(&*requests.lock().unwrap()).unwrap();
    let said = python::run("vendors.py", [("REQUESTS", sent)]).await;
    assert!(said.contains("12 requests are as documented"), "{said}");
}
