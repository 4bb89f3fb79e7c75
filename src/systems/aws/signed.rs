//! A call of AWS's query protocol, signed: for services of which so little is asked that an SDK of their own, some hundred thousand lines,
//! would cost more time to build than it saves. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningInstructions, SigningSettings, sign};
use aws_sigv4::sign::v4;
use futures::future::BoxFuture;
use reqwest::Method;

use super::proxy::Proxy;
use super::{Aws, Call};
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::outbound::http::{client, install_tls, root};

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A service that speaks the query protocol.
#[derive(Debug)]
pub struct Service {
    /// As in its endpoint and its signature: `elasticache`.
    pub name: &'static str,
    /// As in the sections of a profile: `ElastiCache`.
    pub id: &'static str,
    pub version: &'static str,
}

/// Where a request goes, and what it is signed for.
#[derive(Clone, Copy)]
pub struct To<'t> {
    pub url: &'t str,
    pub service: &'t str,
    pub region: &'t str,
}

/// Why there is no answer.
pub struct Unanswered {
    /// The request may have arrived.
    pub sent: bool,
    pub why: String,
}

impl Unanswered {
    fn unsent(why: impl Into<String>) -> Self {
        Self { sent: false, why: why.into() }
    }
}

/// A form of the query protocol.
pub fn form(version: &str, pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Version", version).extend_pairs(pairs).finish()
}

/// The text of the first tag of a name: AWS gives every answer a namespace, which is left out.
pub fn first(node: roxmltree::Node<'_, '_>, name: &str) -> Option<String> {
    node.descendants().find(|it| it.tag_name().name() == name).and_then(|it| it.text()).map(clean)
}

impl Aws {
    /// Sends a form, once and signed: the status, and the answer.
    ///
    /// # Errors
    /// When no whole answer came.
    pub fn post<'a>(
        &'a self,
        to: To<'a>,
        body: String,
        patience: Duration,
    ) -> BoxFuture<'a, Result<(u16, String), Unanswered>> {
        self.send(to, Method::POST, vec![("content-type", FORM.to_owned())], body, patience)
    }

    /// Sends any request, once and signed: the status, and the answer.
    ///
    /// # Errors
    /// When no whole answer came.
    pub fn send<'a>(
        &'a self,
        to: To<'a>,
        method: Method,
        headers: Vec<(&'static str, String)>,
        body: String,
        patience: Duration,
    ) -> BoxFuture<'a, Result<(u16, String), Unanswered>> {
        Box::pin(async move {
            let own = || headers.iter().map(|(name, value)| (*name, value.as_str()));
            let signed = self.signature(to, &method, own(), &body).await?;
            let mut request =
                way_to(to.url).map_err(Unanswered::unsent)?.request(method.clone(), to.url).timeout(patience);
            for (name, value) in own().chain(signed.headers()) {
                request = request.header(name, value);
            }
            let lost = |error: reqwest::Error| Unanswered {
                sent: !(error.is_connect() || error.is_builder()),
                why: root(&error.without_url()),
            };
            let answer = request.body(body).send().await.map_err(lost)?;
            let status = answer.status().as_u16();
            let text = answer.text().await.map_err(|error| Unanswered { sent: true, ..lost(error) })?;
            Ok((status, text))
        })
    }

    /// What a request has to carry beside its own headers.
    async fn signature<'s>(
        &self,
        to: To<'s>,
        method: &'s Method,
        headers: impl Iterator<Item = (&'s str, &'s str)>,
        body: &'s str,
    ) -> Result<SigningInstructions, Unanswered> {
        let unsent = |error: &(dyn std::error::Error + 'static)| Unanswered::unsent(root(error));
        let config = self.config().await.map_err(|fault| Unanswered::unsent(fault.what))?;
        let provider = config.credentials_provider().ok_or_else(|| Unanswered::unsent("there are no credentials"))?;
        let identity = provider.provide_credentials().await.map_err(|error| unsent(&error))?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(to.region)
            .name(to.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsent(&error))?
            .into();
        let bytes = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new(method.as_str(), to.url, headers, bytes).map_err(|error| unsent(&error))?;
        Ok(sign(signable, &params).map_err(|error| unsent(&error))?.into_parts().0)
    }

    /// Makes one call of a service, once, and says what its failure means; the answer is XML.
    ///
    /// # Errors
    /// As [`Aws::ask`].
    pub fn query<'a>(
        &'a self,
        call: Call,
        service: &'a Service,
        operation: &'a str,
        params: Vec<(String, String)>,
    ) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move {
            self.logged_in(call).await?;
            let url = self.place_of(service).await;
            let pairs = std::iter::once(("Action".to_owned(), operation.to_owned())).chain(params);
            let to = To { url: &url, service: service.name, region: &self.region };
            match self.post(to, form(service.version, pairs), call.patience()).await {
                Ok((200, text)) => Ok(text),
                Ok((status, text)) => {
                    let document = roxmltree::Document::parse(&text).ok();
                    let said = |name: &str| document.as_ref().and_then(|it| first(it.root(), name));
                    Err(self.refused(call, operation, status, said("Code").as_deref(), said("Message").as_deref()))
                }
                Err(lost) if lost.sent => {
                    Err(self.unsure(call, format!("{operation} broke{}: {}", self.way(), lost.why)))
                }
                Err(lost) => {
                    let what = format!("{operation} did not reach AWS in {}{}: {}", self.region, self.way(), lost.why);
                    Err(Fault::transient(&self.system, what)
                        .means(call.untouched())
                        .next("see whether this host reaches the endpoint"))
                }
            }
        })
    }

    /// Where a service of this region is: as the config, the profile or the environment says, or AWS's own.
    async fn place_of(&self, service: &Service) -> String {
        if let Some(given) = self.endpoint.clone() {
            return given;
        }
        if let Some(named) = self.endpoint_of(service.id).await {
            return named;
        }
        let fips = self.config().await.ok().and_then(|config| config.use_fips()) == Some(true);
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{}{}.{}.{suffix}/", service.name, if fips { "-fips" } else { "" }, self.region)
    }
}

/// The client for a URL: through the environment's proxy, where that is for it.
fn way_to(url: &str) -> Result<reqwest::Client, String> {
    let scheme = if url.starts_with("http://") { "http" } else { "https" };
    match Proxy::here(scheme).filter(|proxy| proxy.is_for(url)) {
        None => client(),
        Some(proxy) => {
            install_tls();
            let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
            builder.proxy(proxy.for_reqwest()?).build().map_err(|error| root(&error))
        }
    }
}
