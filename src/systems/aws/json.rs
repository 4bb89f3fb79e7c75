//! Services of AWS that speak JSON 1.1, without a generated client: one signed request an operation. A generated client of a service with
//! two operations that matter would cost a minute of every build.

use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::timeout;

use super::{Aws, Call, THROTTLED};
use crate::domain::system::Fault;
use crate::outbound::http::root;
use crate::systems::permits::way_to;

const MEDIA: &str = "application/x-amz-json-1.1";

/// A service, as its requests name it.
pub struct Service {
    /// As signatures have it: `globalaccelerator`.
    pub name: &'static str,
    /// What stands before the operation in `X-Amz-Target`.
    pub target: &'static str,
    /// Where it is, if the config does not say otherwise.
    pub url: &'static str,
}

impl Aws {
    /// One operation, once, and what its failure means.
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
            self.logged_in(call).await?;
            if call == Call::Read
                && let Err(left) = self.pace.turn().await
            {
                let what = format!("{operation} {THROTTLED}: it is asked again in {:.1} s", left.as_secs_f64());
                return Err(Fault::transient(&self.system, what).next("wait a little, then retry"));
            }
            let url = self.endpoint.as_deref().unwrap_or(service.url);
            let answer =
                match timeout(call.patience(), self.send(call, service, operation, (url, body.to_string()))).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        let what = format!("{operation} was not answered within {} s", call.patience().as_secs());
                        Err(self.unsure(call, what))
                    }
                };
            match &answer {
                Err(fault) if fault.what.contains(THROTTLED) => self.pace.throttled(),
                _ => self.pace.answered(),
            }
            answer
        })
    }

    async fn send(
        &self,
        call: Call,
        service: &Service,
        operation: &str,
        (url, body): (&str, String),
    ) -> Result<Value, Fault> {
        let unmade = |why: String| {
            Fault::permanent(&self.system, format!("{operation}: {why}"))
                .means("the call could not be made")
                .next("run `mayday check`, and see whether there are credentials")
        };
        let config = self.config().await?;
        let provider = config.credentials_provider().ok_or_else(|| unmade("there are no credentials".into()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| unmade(root(&error)))?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service.name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unmade(root(&error)))?
            .into();
        let target = format!("{}.{operation}", service.target);
        let headers = [("content-type", MEDIA), ("x-amz-target", target.as_str())];
        let signable = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))
            .map_err(|error| unmade(root(&error)))?;
        let signed = sign(signable, &params).map_err(|error| unmade(root(&error)))?;
        let mut request = way_to(url).map_err(unmade)?.post(url);
        for (name, value) in headers.into_iter().chain(signed.output().headers()) {
            request = request.header(name, value);
        }
        let unreached = |error: reqwest::Error| match error.is_connect() {
            true => Fault::transient(
                &self.system,
                format!("{operation} did not reach AWS in {}: {}", self.region, root(&error.without_url())),
            )
            .means(call.untouched())
            .next("see whether this host reaches the endpoint"),
            false => self.unsure(call, format!("{operation} broke: {}", root(&error.without_url()))),
        };
        let answer = request.body(body).send().await.map_err(unreached)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreached)?;
        let told: Result<Value, _> = serde_json::from_str(&text);
        match (status.is_success(), told) {
            (true, Ok(told)) => Ok(told),
            (true, Err(error)) => Err(self.unreadable(call, operation, &root(&error))),
            (false, told) => {
                let told = told.unwrap_or_default();
                let said = |names: [&str; 2]| names.into_iter().find_map(|name| told[name].as_str().map(str::to_owned));
                // The code may stand behind its namespace.
                let code = said(["__type", "code"]).map(|it| it.rsplit('#').next().unwrap_or_default().to_owned());
                let message = said(["message", "Message"]);
                Err(self.refused(call, operation, status.as_u16(), code.as_deref(), message.as_deref()))
            }
        }
    }
}
