//! A few lines of a vendor on loopback, for tests: it answers as it is told, and keeps what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::domain::comms::{Audience, ChannelKind, ChannelSpec, Parcel, Purpose, Text};
use crate::domain::incident::Severity;
use crate::domain::kinds::{Need, ParamType};
use crate::domain::params::Params;
use crate::domain::system::Receipt;

/// What a vendor was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// A value of a form or of the query.
    pub fn form(&self, name: &str) -> Option<String> {
        let form = if self.body.is_empty() { self.path.split_once('?')?.1 } else { &self.body };
        form_urlencoded::parse(form.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// A status, headers and a body.
pub type Answer = (u16, Vec<(&'static str, String)>, String);

pub fn ok(body: Value) -> Answer {
    (200, Vec::new(), body.to_string())
}

pub fn says(status: u16, body: Value) -> Answer {
    (status, Vec::new(), body.to_string())
}

type Mind = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

pub struct Vendor {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Vendor {
    pub async fn start(mind: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mind: Mind = Arc::new(mind);
        let router = Router::new().fallback(answer).with_state((mind, asked.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked by a method, of a path that begins so.
    pub fn of(&self, method: &Method, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|it| it.method == *method && it.path.starts_with(path)).collect()
    }
}

async fn answer(
    State((mind, kept)): State<(Mind, Arc<Mutex<Vec<Asked>>>)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked { method, path: uri.to_string(), headers, body: String::from_utf8_lossy(&body).into_owned() };
    let (status, named, body) = mind(&asked);
    kept.lock().unwrap().push(asked);
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in named {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A channel's spec with its defaults, as validation would hand it over.
pub fn spec(kind: &ChannelKind, audience: Audience, given: Value) -> ChannelSpec {
    let mut params: Params = serde_json::from_value(given).unwrap();
    for row in kind.params {
        if let Need::Default(text) = row.need {
            let is_text = !matches!(row.ty, ParamType::Integer | ParamType::Flag | ParamType::List | ParamType::Map);
            let value = if is_text { Value::from(text) } else { serde_json::from_str(text).unwrap() };
            params.0.entry(row.name.to_owned()).or_insert(value);
        }
    }
    ChannelSpec {
        id: kind.name.into(),
        kind: kind.name.into(),
        title: kind.title.into(),
        audience,
        drills: false,
        escalation: false,
        carries: kind.carries.to_vec(),
        doubles: kind.doubles,
        components: Vec::new(),
        params,
    }
}

/// Where a secret of this value is.
pub fn secret(value: &str) -> Value {
    serde_json::json!({ "command": ["printf", value] })
}

pub fn parcel(purpose: Purpose) -> Parcel {
    Parcel {
        message: "INC-20261123-1.m1".into(),
        incident: "INC-20261123-1".into(),
        title: "us-east-1 is down".into(),
        purpose,
        severity: Severity::Sev1,
        drill: false,
        text: Text { subject: "us-east-1 is down".into(), body: "We are looking.".into() },
        chain: None,
        components: Default::default(),
        part: 0,
        parts: 1,
        only: Vec::new(),
        thread: Receipt::new(),
    }
}
