//! Services of AWS without a generated client: one signed request an operation, in JSON 1.1 or plain REST. A generated client of a service
//! with two operations that matter would cost a minute of every build.

use futures::future::BoxFuture;
use reqwest::Method;
use serde_json::Value;
use tokio::time::timeout;

use super::signed::{To, Unanswered};
use super::{Aws, Call, THROTTLED};
use crate::domain::system::Fault;
use crate::outbound::http::root;

const MEDIA: &str = "application/x-amz-json-1.1";

/// A service, as its requests name it.
pub struct Service {
    /// As signatures have it: `globalaccelerator`.
    pub name: &'static str,
    /// What stands before the operation in `X-Amz-Target`; empty for a service that speaks REST.
    pub target: &'static str,
    /// Where it is, if the config does not say otherwise.
    pub url: &'static str,
}

/// One request, and what it is called in words.
struct Asked<'a> {
    call: Call,
    service: &'a Service,
    operation: &'a str,
    method: Method,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// What is asked for, as its server says why not.
struct Refused {
    code: Option<String>,
    message: Option<String>,
}

impl Aws {
    /// One operation of a service that speaks JSON, once, and what its failure means.
    ///
    /// # Errors
    /// Transient: nothing happened. Permanent: refused. Ambiguous: a mutation that may have happened.
    pub fn json<'a>(
        &'a self,
        call: Call,
        service: &'a Service,
        operation: &'a str,
        body: &'a Value,
    ) -> BoxFuture<'a, Result<Value, Fault>> {
        Box::pin(async move {
            let target = format!("{}.{operation}", service.target);
            let headers = vec![("content-type", MEDIA.to_owned()), ("x-amz-target", target)];
            let url = self.endpoint.as_deref().unwrap_or(service.url).to_owned();
            let asked = Asked { call, service, operation, method: Method::POST, url, headers, body: body.to_string() };
            let text = self.asked(asked, of_json).await?;
            serde_json::from_str(&text).map_err(|error| self.unreadable(call, operation, &root(&error)))
        })
    }

    /// The document at `path` of a service that speaks REST.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub fn document<'a>(
        &'a self,
        service: &'a Service,
        operation: &'a str,
        path: &'a str,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move {
            let base = self.endpoint.as_deref().unwrap_or(service.url).trim_end_matches('/');
            let (call, method, url) = (Call::Read, Method::GET, format!("{base}{path}"));
            let asked = Asked { call, service, operation, method, url, headers: Vec::new(), body: String::new() };
            self.asked(asked, of_xml).await
        })
    }

    /// Bounded, and no oftener than the service likes.
    async fn asked(&self, asked: Asked<'_>, refusal: fn(&str) -> Refused) -> Result<String, Fault> {
        let (call, operation) = (asked.call, asked.operation);
        self.logged_in(call).await?;
        if call == Call::Read
            && let Err(left) = self.pace.turn().await
        {
            let what = format!("{operation} {THROTTLED}: it is asked again in {:.1} s", left.as_secs_f64());
            return Err(Fault::transient(&self.system, what).next("wait a little, then retry"));
        }
        let late = || self.unsure(call, format!("{operation} was not answered within {} s", call.patience().as_secs()));
        let answer = match timeout(call.patience(), self.sent(&asked)).await {
            Ok(Ok((200..=299, text))) => Ok(text),
            Ok(Ok((status, text))) => {
                let Refused { code, message } = refusal(&text);
                Err(self.refused(call, operation, status, code.as_deref(), message.as_deref()))
            }
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(late()),
        };
        match &answer {
            Err(fault) if fault.what.contains(THROTTLED) => self.pace.throttled(),
            _ => self.pace.answered(),
        }
        answer
    }

    async fn sent(&self, asked: &Asked<'_>) -> Result<(u16, String), Fault> {
        let Asked { call, service, operation, method, url, headers, body } = asked;
        let to = To { url, service: service.name, region: &self.region };
        let sent = self.send(to, method.clone(), headers.clone(), body.clone(), call.patience()).await;
        sent.map_err(|Unanswered { sent, why }| match sent {
            true => self.unsure(*call, format!("{operation} broke{}: {why}", self.way())),
            false => {
                let what = format!("{operation} did not reach AWS in {}{}: {why}", self.region, self.way());
                Fault::transient(&self.system, what)
                    .means(call.untouched())
                    .next("see whether this host reaches the endpoint")
            }
        })
    }
}

fn of_json(text: &str) -> Refused {
    let told: Value = serde_json::from_str(text).unwrap_or_default();
    let said = |names: [&str; 2]| names.into_iter().find_map(|name| told[name].as_str().map(str::to_owned));
    // The code may stand behind its namespace.
    let code = said(["__type", "code"]).map(|it| it.rsplit('#').next().unwrap_or_default().to_owned());
    Refused { code, message: said(["message", "Message"]) }
}

fn of_xml(text: &str) -> Refused {
    let document = roxmltree::Document::parse(text).ok();
    let said = |name: &str| {
        let found =
            document.as_ref()?.descendants().find(|it| it.has_tag_name(name) || it.tag_name().name() == name)?;
        found.text().map(str::to_owned)
    };
    Refused { code: said("Code"), message: said("Message") }
}
