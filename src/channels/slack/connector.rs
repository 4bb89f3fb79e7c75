//! How slack-morphism reaches Slack: by the HTTP client that everything here uses.
//!
//! Its own connector would do, but for three things. It keeps connections from before an incident, it has no time limit, and what it
//! says of a failure does not tell whether anything was sent. A connector of one's own is the library's way to change that, and it
//! takes the API's address from the config as well.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};
use slack_morphism::errors::{
    SlackClientApiError, SlackClientError, SlackClientHttpError, SlackClientProtocolError, SlackClientSystemError,
    SlackRateLimitError,
};
use slack_morphism::multipart_form::FileMultipartData;
use slack_morphism::{
    ClientResult, SlackApiToken, SlackClientApiCallContext, SlackClientHttpConnector, SlackClientId, SlackClientSecret,
};
use url::Url;

use super::super::exchange::{Reply, Silence, send};
use super::super::line::Line;
use crate::domain::text::clean;
use crate::outbound::secret::Secret;

pub struct Connector {
    /// `https://slack.com/api`, without a slash at its end.
    pub url: String,
    pub line: Line,
}

/// Until when Slack asked for no more, by workspace and method: its limits are those of an app in a workspace, whichever of its channels
/// is meant. <https://docs.slack.dev/apis/web-api/rate-limits/>
static CALM: Mutex<BTreeMap<[u8; 32], Instant>> = Mutex::new(BTreeMap::new());

/// What a limit is of: a method, asked with a token. The token itself is kept nowhere.
fn limit(url: &Url, token: Option<&SlackApiToken>) -> [u8; 32] {
    let token = token.map(|token| token.token_value.0.as_str()).unwrap_or_default();
    Sha256::digest(format!("{token}\n{url}").as_bytes()).into()
}

/// For how long nobody asks.
fn still_calm(limit: &[u8; 32]) -> Option<Duration> {
    let mut calm = CALM.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    calm.retain(|_, until| *until > now);
    calm.get(limit).map(|until| *until - now)
}

fn system(silence: Silence) -> SlackClientError {
    SlackClientError::SystemError(SlackClientSystemError::new().with_cause(Box::new(silence)))
}

/// What Mayday does not do: it uploads nothing, and it logs in by a bot's token alone.
fn unused<'a, T: Send + 'a>(what: &str) -> BoxFuture<'a, ClientResult<T>> {
    let error = system(Silence::Unsent(format!("{what} is nothing that this connector does")));
    async move { Err(error) }.boxed()
}

impl Connector {
    /// What the library puts into a query goes as a form: every method takes that, and what is asked for stays out of the logs on the
    /// way. <https://docs.slack.dev/apis/web-api/#post_bodies>
    async fn form(&self, mut url: Url, token: Option<&SlackApiToken>) -> ClientResult<RequestBuilder> {
        let form = url.query().unwrap_or_default().to_owned();
        url.set_query(None);
        let request = self.request(url, token).await?.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        Ok(request.body(form))
    }

    async fn request(&self, url: Url, token: Option<&SlackApiToken>) -> ClientResult<RequestBuilder> {
        let client = self.line.client(url.as_str()).await.map_err(|why| system(Silence::Unsent(why)))?;
        let request = client.post(url);
        Ok(match token {
            Some(token) => request.bearer_auth(&token.token_value.0),
            None => request,
        })
    }

    async fn ask<T: DeserializeOwned>(
        request: ClientResult<RequestBuilder>,
        limit: [u8; 32],
        token: Option<&SlackApiToken>,
    ) -> ClientResult<T> {
        if let Some(left) = still_calm(&limit) {
            return Err(SlackClientError::RateLimitError(SlackRateLimitError::new().with_retry_after(left)));
        }
        let secret = token.map(|token| Secret::new(token.token_value.0.as_str()));
        let reply = send(request?, secret.as_ref()).await.map_err(system)?;
        if let Some(pause) = reply.pause.filter(|_| reply.status == StatusCode::TOO_MANY_REQUESTS) {
            CALM.lock().unwrap_or_else(PoisonError::into_inner).insert(limit, Instant::now() + pause);
        }
        read(&reply)
    }
}

/// Slack answers 200 to nearly everything: whether it did something is what `ok` says.
fn read<T: DeserializeOwned>(reply: &Reply) -> ClientResult<T> {
    if reply.status == StatusCode::TOO_MANY_REQUESTS {
        return Err(SlackClientError::RateLimitError(SlackRateLimitError::new().opt_retry_after(reply.pause)));
    }
    if reply.status != StatusCode::OK {
        return Err(SlackClientError::HttpError(SlackClientHttpError::new(reply.status)));
    }
    let unread = |error| SlackClientError::ProtocolError(SlackClientProtocolError::new(error));
    let answer: Value = serde_json::from_str(&reply.body).map_err(unread)?;
    if answer["ok"] != true {
        let word = clean(answer["error"].as_str().unwrap_or("no reason"));
        let needed = answer["needed"].as_str().map(clean);
        let messages = answer["response_metadata"]["messages"].as_array().into_iter().flatten();
        let more: Vec<String> = needed.into_iter().chain(messages.filter_map(Value::as_str).map(clean)).collect();
        return Err(SlackClientError::ApiError(SlackClientApiError::new(word).with_errors(more)));
    }
    serde_json::from_value(answer).map_err(unread)
}

impl SlackClientHttpConnector for Connector {
    fn create_method_uri_path(&self, method: &str) -> ClientResult<Url> {
        Ok(format!("{}/{method}", self.url).parse()?)
    }

    fn http_get_uri<'a, RS>(
        &'a self,
        full_uri: Url,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
    {
        let mut method = full_uri.clone();
        method.set_query(None);
        let limit = limit(&method, context.token);
        async move { Self::ask(self.form(full_uri, context.token).await, limit, context.token).await }.boxed()
    }

    fn http_post_uri<'a, RQ, RS>(
        &'a self,
        full_uri: Url,
        request_body: &'a RQ,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RQ: serde::Serialize + Send + Sync,
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
    {
        let limit = limit(&full_uri, context.token);
        async move {
            let request = self.request(full_uri, context.token).await.map(|it| it.json(request_body));
            Self::ask(request, limit, context.token).await
        }
        .boxed()
    }

    fn http_get_with_client_secret<'a, RS>(
        &'a self,
        _full_uri: Url,
        _client_id: &'a SlackClientId,
        _client_secret: &'a SlackClientSecret,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
    {
        unused("OAuth")
    }

    fn http_post_uri_multipart_form<'a, 'p, RS, PT, TS>(
        &'a self,
        _full_uri: Url,
        _file: Option<FileMultipartData<'p>>,
        _params: &'p PT,
        _context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
        PT: IntoIterator<Item = (&'p str, Option<TS>)> + Clone,
        TS: AsRef<str> + 'p + Send,
    {
        unused("an upload")
    }

    fn http_post_uri_binary<'a, 'p, RS>(
        &'a self,
        _full_uri: Url,
        _content_type: String,
        _data: &'a [u8],
        _context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::Deserialize<'de> + Send + 'a,
    {
        unused("an upload")
    }
}
