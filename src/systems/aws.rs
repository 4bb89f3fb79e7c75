//! What all AWS services share: credentials, endpoints, one attempt a call, and what an error means.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::domain::estate::SystemSpec;
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::outbound::secret;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(3);

/// Parameters that every AWS system has; a row lists those it uses.
pub const PROFILE: Param = Param::optional(
    "profile",
    ParamType::Text,
    "the profile of ~/.aws/config; the default chain of credentials when left out",
);
pub const ACCESS_KEY_ID: Param =
    Param::optional("access_key_id", ParamType::Text, "the id of an access key, with `secret_access_key`");
pub const SECRET_ACCESS_KEY: Param =
    Param::optional("secret_access_key", ParamType::Secret, "where the secret of the access key is kept");

/// Whether a call changes anything: that decides how long it may take, and what silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Mutation,
}

impl Call {
    fn patience(self) -> Duration {
        match self {
            Self::Read => Duration::from_secs(5),
            Self::Mutation => Duration::from_secs(10),
        }
    }

    /// The class of a failure that leaves open whether the call arrived.
    fn unsure(self) -> FaultClass {
        match self {
            Self::Read => FaultClass::Transient,
            Self::Mutation => FaultClass::Ambiguous,
        }
    }
}

/// Error codes that say "later", from all services (the SDKs' retry tables).
const LATER: [&str; 9] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "BandwidthLimitExceeded",
    "SlowDown",
    "PriorRequestNotComplete",
];

/// Error codes that say "not you".
const DENIED: [&str; 10] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
];

const THROTTLED: &str = "is throttled";

/// A way into AWS: one region, one set of credentials, perhaps an endpoint of its own. Nothing is read or opened before the first call.
pub struct Aws {
    system: String,
    region: String,
    endpoint: Option<String>,
    spec: SystemSpec,
    config: OnceCell<SdkConfig>,
}

impl Aws {
    /// For `spec`, in `region`, at `endpoint` if it is not AWS's own.
    pub fn new(spec: &SystemSpec, region: &str, endpoint: Option<&str>) -> Self {
        let (system, region) = (spec.id.to_string(), region.to_owned());
        Self { system, region, endpoint: endpoint.map(str::to_owned), spec: spec.clone(), config: OnceCell::new() }
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// What the clients of the services are made from: retries are off, time is limited.
    ///
    /// # Errors
    /// When the secret of the access key cannot be read.
    pub fn config(&self) -> BoxFuture<'_, Result<SdkConfig, Fault>> {
        Box::pin(async move { self.config.get_or_try_init(|| self.load()).await.cloned() })
    }

    async fn load(&self) -> Result<SdkConfig, Fault> {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let patience = TimeoutConfig::builder().connect_timeout(CONNECT).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(self.region.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(patience);
        let params = &self.spec.params;
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(profile) = params.opt_text(PROFILE.name) {
            loader = loader.profile_name(profile);
        }
        let key = params.opt_text(ACCESS_KEY_ID.name);
        let kept = secret::read_opt(params.secret(SECRET_ACCESS_KEY.name).as_ref(), &self.system).await?;
        if let (Some(key), Some(kept)) = (key, kept) {
            loader = loader.credentials_provider(Credentials::new(key, kept.expose(), None, None, "mayday"));
        }
        Ok(loader.load().await)
    }

    /// Makes one call, once, and says what its failure means.
    ///
    /// # Errors
    /// Transient: nothing happened. Permanent: refused. Ambiguous: a mutation that may have happened.
    pub fn ask<'a, O: Send, E>(
        &'a self,
        call: Call,
        operation: &'a str,
        sent: impl Future<Output = Result<O, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<O, Fault>>
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        Box::pin(async move {
            match timeout(call.patience(), sent).await {
                Ok(Ok(output)) => Ok(output),
                Ok(Err(error)) => Err(self.fault(call, operation, error)),
                Err(_) => {
                    let what = format!("{operation} was not answered within {} s", call.patience().as_secs());
                    Err(self.unsure(call, what))
                }
            }
        })
    }

    fn fault<E>(&self, call: Call, operation: &str, error: SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match &error {
            SdkError::ServiceError(refusal) => {
                let status = refusal.raw().status();
                if status.is_success() {
                    return self.unreadable(call, operation, &root(&error));
                }
                let status = status.as_u16();
                self.refused(call, operation, status, refusal.err().code(), refusal.err().message())
            }
            SdkError::ConstructionFailure(_) => {
                Fault::permanent(&self.system, format!("{operation}: {}", root(&error)))
                    .means("the call could not be made")
                    .next("run `mayday check`, and see whether there are credentials")
            }
            SdkError::DispatchFailure(failure) if failure.is_user() || never_sent(&error) => Fault::transient(
                &self.system,
                format!("{operation} did not reach AWS in {}: {}", self.region, root(&error)),
            )
            .means("nothing was changed by it")
            .next("see whether this host reaches the endpoint"),
            _ => self.unsure(call, format!("{operation} broke: {}", root(&error))),
        }
    }

    fn unsure(&self, call: Call, what: String) -> Fault {
        let fault = Fault::new(call.unsure(), &self.system, format!("{what} (region {})", self.region));
        match call {
            Call::Read => fault.next("see whether this host reaches the endpoint, then retry"),
            Call::Mutation => fault.means("it may have happened").next("Mayday looks before anything is tried again"),
        }
    }

    /// It was answered as done, and the answer cannot be read: a mutation may well have happened, and of the target nothing is known.
    fn unreadable(&self, call: Call, operation: &str, why: &str) -> Fault {
        let what = format!("{operation} was answered, but not as AWS answers: {why}");
        match call {
            Call::Read => Fault::permanent(&self.system, what).next("see whether the endpoint is the service's own"),
            Call::Mutation => self.unsure(call, what),
        }
    }

    fn refused(&self, call: Call, operation: &str, status: u16, code: Option<&str>, message: Option<&str>) -> Fault {
        let code = clean(code.unwrap_or_default());
        let words = clean(&format!("{code} {}", message.unwrap_or_default()));
        if LATER.contains(&code.as_str()) || status == 429 {
            return Fault::transient(&self.system, format!("{operation} {THROTTLED}: {words}"))
                .means("nothing was changed by it")
                .next("wait a little, then retry; everybody in the account shares the rate");
        }
        if status >= 500 {
            return self.unsure(call, format!("{operation} failed with {status}: {words}"));
        }
        let fault = Fault::permanent(&self.system, format!("{operation} was refused ({status}): {words}"));
        match DENIED.contains(&code.as_str()) || status == 403 {
            true => fault
                .means("these credentials may not do it; nothing was changed")
                .next("log in with the role for recovery, then retry"),
            false => fault.means("nothing was changed"),
        }
    }
}

/// A moment as the SDKs carry it; `None` when it is out of all bounds.
pub fn moment(at: &DateTime) -> Option<At> {
    At::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// Whether a failed read was met with silence: a refusal or a full queue is an answer, and says nothing about the target.
pub fn is_silence(fault: &Fault) -> bool {
    fault.class == FaultClass::Transient && !fault.what.contains(THROTTLED)
}

/// What a failed read says of the target: silence is a target that is down, a refusal or a full queue says nothing about it.
pub fn reading(fault: &Fault) -> Reading {
    if is_silence(fault) { Reading::down(&fault.what) } else { Reading::unknown(&fault.what) }
}

/// Whether the connection was never made, so that nothing can have been sent.
fn never_sent(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        let client = cause.downcast_ref::<hyper_util::client::legacy::Error>();
        // The timeout of a connection has no public type.
        client.is_some_and(hyper_util::client::legacy::Error::is_connect)
            || cause.to_string().contains("connect timeout")
    })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The innermost cause: `connection refused`.
fn root(error: &(dyn Error + 'static)) -> String {
    clean(&causes(error).last().map(ToString::to_string).unwrap_or_default())
}
