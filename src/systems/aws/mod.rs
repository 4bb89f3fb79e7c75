//! What all AWS services share: credentials, endpoints, the way out, one attempt a call, and what an error means.
//!
//! What an installation can look like:
//!
//! | installation | Mayday |
//! |---|---|
//! | an access key in the config, `~/.aws/credentials`, the environment, IMDS, ECS, pod identity, web identity | supported; the secret of a key is read anew every quarter of an hour, and when it was refused |
//! | IAM Identity Center (`sso_session`, `sso_start_url`), also behind a role | supported; logged out is unknown with `aws sso login --profile …`; `ready` says until when the login lasts |
//! | `credential_process` | supported, 30 s at most, ended with all that it started; its last line is told without what may be a secret |
//! | a role with `source_profile` or `credential_source` | supported; STS is that of the region of the call |
//! | a role with `mfa_serial` | refused: "asks for a one-time code (`mfa_serial`), which nobody can type here" |
//! | `login_session` (`aws login`) | refused by the SDK's own words: export it by `credential_process` |
//! | `services` sections, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_…` | supported for every service, IAM too; an endpoint of the config counts before them |
//! | `use_fips_endpoint`, `AWS_USE_FIPS_ENDPOINT` | supported; not for an endpoint that the config names |
//! | `aws-cn`, `aws-us-gov` | supported ([`partition`]); encrypted copies across their regions are refused in words |
//! | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | supported ([`proxy`]); what does not get through the proxy says nothing of the target |
//! | throttling | reads slow down ([`pace`]); what changes something is sent once and never held back |
//! | this host's clock is wrong | unknown, with that word |
//! | this host finds no name, trusts no certificate (a proxy that opens TLS), has no descriptor left | unknown, "could not be asked from this host"; never silence, so nothing is promoted because of it |
//! | `aws-iso`, `aws-iso-b`, `aws-eusc` | taken for commercial, which is wrong for IAM and ARNs: Mayday was never tried there; set `iam_endpoint_url`, `sts_endpoint_url` and `signing_region`, and do not trust the permission checks |

pub mod login;
mod pace;
pub mod partition;
pub mod plain;
mod process;
pub mod proxy;
pub mod signed;
mod source;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::service_config::ServiceConfigKey;
use futures::future::BoxFuture;
use tokio::net::lookup_host;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use self::login::{Given, Login};
use self::pace::Pace;
use self::proxy::Proxy;
use crate::domain::estate::SystemSpec;
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::domain::time::At;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(3);
/// How long this host's resolver may take to say anything, where it was asked the same a moment ago.
const RESOLVED: Duration = Duration::from_secs(1);

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

    /// How long credentials are waited for, before it.
    fn login_wait(self) -> Duration {
        match self {
            // A look is bounded by its caller: those that come later serve the next one.
            Self::Read => Duration::from_millis(1500),
            Self::Mutation => Duration::from_secs(30),
        }
    }

    /// What a failure before anything was sent means.
    fn untouched(self) -> &'static str {
        match self {
            Self::Read => "it was not looked at",
            Self::Mutation => "nothing was changed by it",
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
const DENIED: [&str; 6] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
];

/// Error codes that say "log in again".
const STRANGER: [&str; 9] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "MissingAuthenticationToken",
    "RequestExpired",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];

/// The error of a call that is signed by a clock which is wrong.
const SKEWED: [&str; 2] = ["RequestTimeTooSkewed", "RequestInTheFuture"];

const THROTTLED: &str = "is throttled";
const BY_PROXY: &str = "by the proxy ";
/// What a call says that came to nothing on this host already.
const HERE: &str = "could not be asked from this host: ";

/// A way into AWS: one region, one set of credentials, perhaps an endpoint of its own. Nothing is read or opened before the first call.
pub struct Aws {
    system: String,
    region: String,
    endpoint: Option<String>,
    spec: SystemSpec,
    login: Arc<Login>,
    pace: Pace,
    /// Whether its calls go by a proxy is known once it is configured.
    proxy: OnceCell<Option<Proxy>>,
    config: OnceCell<SdkConfig>,
}

impl Aws {
    /// For `spec`, in `region`, at `endpoint` if it is not AWS's own.
    pub fn new(spec: &SystemSpec, region: &str, endpoint: Option<&str>) -> Self {
        let (system, region) = (spec.id.to_string(), region.to_owned());
        let login = Arc::new(Login::of(spec, &region));
        let (endpoint, pace) = (endpoint.map(str::to_owned), Pace::default());
        let (proxy, config) = (OnceCell::new(), OnceCell::new());
        Self { system, region, endpoint, spec: spec.clone(), login, pace, proxy, config }
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// What the clients of the services are made from: retries are off, time is limited, credentials are asked for at each call.
    ///
    /// # Errors
    /// None now: what cannot be read shows at the call.
    pub fn config(&self) -> BoxFuture<'_, Result<SdkConfig, Fault>> {
        Box::pin(async move { Ok(self.config.get_or_init(|| self.load()).await.clone()) })
    }

    async fn load(&self) -> SdkConfig {
        let scheme =
            if self.endpoint.as_ref().is_some_and(|url| url.starts_with("http://")) { "http" } else { "https" };
        let proxy = Proxy::here(scheme).filter(|proxy| {
            let own = || format!("https://service.{}.amazonaws.com/", self.region);
            proxy.is_for(&self.endpoint.clone().unwrap_or_else(own))
        });
        // It is set once, here.
        let _ = self.proxy.set(proxy.clone());
        let patience = TimeoutConfig::builder().connect_timeout(CONNECT).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(proxy::client(scheme, proxy))
            .region(Region::new(self.region.clone()))
            .retry_config(RetryConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .credentials_provider(Given { login: self.login.clone(), system: self.system.clone() })
            .timeout_config(patience);
        if let Some(endpoint) = &self.endpoint {
            // An endpoint that is named is what it is: the SDKs refuse to make another one of it.
            loader = loader.endpoint_url(endpoint).use_fips(false);
        }
        if let Some(profile) = self.spec.params.opt_text(PROFILE.name) {
            loader = loader.profile_name(profile);
        }
        loader.load().await
    }

    /// The endpoint that the profile or the environment names for a service (`IAM`), if it does.
    pub async fn endpoint_of(&self, service: &str) -> Option<String> {
        let config = self.config().await.ok()?;
        let key =
            ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
        let own = config.service_config().and_then(|it| it.load_config(key.ok()?));
        own.or_else(|| config.endpoint_url().map(str::to_owned)).filter(|_| self.endpoint.is_none())
    }

    /// What this logs in with.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// Waits a moment for credentials, so that a look at the target is not bounded by them.
    ///
    /// # Errors
    /// When there are none: that says nothing of the target.
    pub async fn logged_in(&self, call: Call) -> Result<(), Fault> {
        self.login.get(&self.system, call.login_wait()).await.map(drop)
    }

    /// The same for a look that may take `whole` at most.
    ///
    /// # Errors
    /// When there are none: that says nothing of the target.
    pub async fn logged_in_of(&self, whole: Duration) -> Result<(), Fault> {
        self.login.get(&self.system, whole.mul_f64(0.6).min(Call::Read.login_wait())).await.map(drop)
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
            self.logged_in(call).await?;
            if call == Call::Read
                && let Err(left) = self.pace.turn().await
            {
                let what = format!(
                    "{operation} {THROTTLED}: it was put off before, and is asked again in {:.1} s",
                    left.as_secs_f64()
                );
                return Err(Fault::transient(&self.system, what).next("wait a little, then retry"));
            }
            let answer = match timeout(call.patience(), sent).await {
                Ok(Ok(output)) => Ok(output),
                Ok(Err(error)) => Err(self.fault(call, operation, error)),
                Err(_) => {
                    let what =
                        format!("{operation} was not answered within {} s{}", call.patience().as_secs(), self.way());
                    let deaf = if call == Call::Read { self.deaf(operation).await } else { None };
                    Err(deaf.unwrap_or_else(|| self.unsure(call, what)))
                }
            };
            match &answer {
                Err(fault) if fault.what.contains(THROTTLED) => self.pace.throttled(),
                _ => self.pace.answered(),
            }
            answer
        })
    }

    /// What a read that nobody answered means when this host's own resolver answers nothing, either: that it was never sent.
    pub fn deaf<'a>(&'a self, operation: &'a str) -> BoxFuture<'a, Option<Fault>> {
        Box::pin(async move {
            let own = || format!("https://sts.{}.amazonaws.com/", self.region);
            let url = url::Url::parse(&self.endpoint.clone().unwrap_or_else(own)).ok()?;
            let at = (url.host_str()?.trim_matches(['[', ']']).to_owned(), url.port_or_known_default()?);
            // A proxy looks names up by itself; and that there is no such name is an answer, too.
            if self.proxy.get().is_some_and(Option::is_some) || timeout(RESOLVED, lookup_host(at)).await.is_ok() {
                return None;
            }
            let what = format!("{operation} {HERE}its resolver does not answer");
            Some(
                Fault::transient(&self.system, what)
                    .next("look at this host's resolver (/etc/resolv.conf), then retry"),
            )
        })
    }

    /// Through whom it went, if through anybody.
    fn way(&self) -> String {
        let proxy = self.proxy.get().and_then(Option::as_ref);
        proxy.map(|proxy| format!(" {BY_PROXY}{}", proxy.name())).unwrap_or_default()
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
            SdkError::DispatchFailure(_) if is_ours(&error) => Fault::transient(
                &self.system,
                format!("{operation}{} {HERE}{}", self.way(), root(&error)),
            )
            .means(format!("{}; of AWS in {} nothing is known", call.untouched(), self.region))
            .next(
                "see whether this host resolves names, trusts the endpoint's certificate and has room for connections",
            ),
            SdkError::DispatchFailure(failure) if failure.is_user() || never_sent(&error) => Fault::transient(
                &self.system,
                format!("{operation} did not reach AWS in {}{}: {}", self.region, self.way(), root(&error)),
            )
            .means(call.untouched())
            .next("see whether this host reaches the endpoint"),
            _ => self.unsure(call, format!("{operation} broke{}: {}", self.way(), root(&error))),
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
        let is = |known: &[&str]| known.contains(&code.as_str());
        if is(&LATER) || status == 429 {
            return Fault::transient(&self.system, format!("{operation} {THROTTLED}: {words}"))
                .means(call.untouched())
                .next("wait a little, then retry; everybody in the account shares the rate");
        }
        if status >= 500 {
            return self.unsure(call, format!("{operation} failed with {status}: {words}"));
        }
        let fault = Fault::permanent(&self.system, format!("{operation} was refused ({status}): {words}"));
        match () {
            () if is(&SKEWED) => fault
                .means(format!("this host's clock is wrong; {}", call.untouched()))
                .next("set this host's clock (chronyc tracking, timedatectl)"),
            () if is(&STRANGER) => {
                self.login.forget();
                fault
                    .means(format!("the credentials are no longer good; {}", call.untouched()))
                    .next("log in again (`mayday check --connect` tells how), then retry")
            }
            () if is(&DENIED) || status == 403 => fault
                .means(format!("these credentials may not do it; {}", call.untouched()))
                .next("log in with the role for recovery, then retry"),
            () => fault.means(call.untouched()),
        }
    }
}

/// A moment as the SDKs carry it; `None` when it is out of all bounds.
pub fn moment(at: &DateTime) -> Option<At> {
    At::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// Whether a failed read was met with silence: a refusal or a full queue is an answer, and says nothing about the target. Nor does it that
/// nobody is logged in, that a proxy stood in the way, or that this host knows no such name or trusts no such certificate.
pub fn is_silence(fault: &Fault) -> bool {
    let others = [THROTTLED, BY_PROXY, HERE, login::NONE];
    fault.class == FaultClass::Transient && !others.iter().any(|it| fault.what.contains(it))
}

/// What could not even be asked from here, and why: that says nothing of it.
pub fn unasked(system: &str, what: &str, why: &str) -> Fault {
    Fault::transient(system, format!("{what} {HERE}{why}")).next("see whether this host resolves names, then retry")
}

/// Whether nothing was heard, for whatever reason: then others are to be asked what they see.
pub fn is_unheard(fault: &Fault) -> bool {
    is_silence(fault) || fault.class == FaultClass::Transient && fault.what.contains(HERE)
}

/// What a failed read says of the target: silence is a target that is down, a refusal or a full queue says nothing about it.
pub fn reading(fault: &Fault) -> Reading {
    if is_silence(fault) { Reading::down(&fault.what) } else { Reading::unknown(told(fault)) }
}

/// What failed, and for whom nobody is logged in, what logs in.
pub fn told(fault: &Fault) -> String {
    let next = Some(&fault.next).filter(|next| !next.is_empty() && fault.what.contains(login::NONE));
    next.map_or_else(|| fault.what.clone(), |next| format!("{} → {next}", fault.what))
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

/// Whether a call failed by what this host lacks: a name that is not found, a certificate that is not trusted, no descriptor left, no way
/// into the network. All that says nothing of who would have been asked.
fn is_ours(error: &(dyn Error + 'static)) -> bool {
    let ours = |cause: &(dyn Error + 'static)| {
        let certificate = matches!(cause.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)));
        // Neither has a public type where it comes from.
        let words = cause.to_string();
        let told = words.contains("dns error") || words.contains("invalid peer certificate");
        told || certificate || cause.downcast_ref::<std::io::Error>().is_some_and(is_no_way)
    };
    causes(error).any(ours)
}

/// Whether a connection failed before it left this host: no descriptor, no address, no way into the network.
pub fn is_no_way(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    const OURS: [Errno; 4] = [Errno::MFILE, Errno::NFILE, Errno::NETUNREACH, Errno::ADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| OURS.iter().any(|it| it.raw_os_error() == code))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The innermost cause: `connection refused`.
fn root(error: &(dyn Error + 'static)) -> String {
    clean(&causes(error).last().map(ToString::to_string).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault of a read at an endpoint.
    async fn fault_at(endpoint: &str) -> Fault {
        let params = serde_json::json!({ "access_key_id": "A", "secret_access_key": { "command": ["printf", "s"] } });
        let params = params.as_object().cloned().unwrap_or_default().into_iter().collect();
        let (id, kind, title) = ("db".into(), "rds".into(), "db".into());
        let spec =
            SystemSpec { id, kind, title, region: None, class: None, params: crate::domain::params::Params(params) };
        let aws = Aws::new(&spec, "us-east-1", Some(endpoint));
        let client = aws_sdk_rds::Client::new(&aws.config().await.unwrap());
        aws.ask(Call::Read, "DescribeDBInstances", client.describe_db_instances().send()).await.unwrap_err()
    }

    #[tokio::test]
    async fn what_this_host_lacks_is_nobodys_silence() {
        let nameless = fault_at("http://no-such-name.invalid:1").await;
        assert!(!is_silence(&nameless) && is_unheard(&nameless), "{nameless}");
        assert!(nameless.what.contains("could not be asked from this host"), "{nameless}");
        assert_eq!(reading(&nameless).status, crate::domain::health::Status::Unknown);
        let refused = fault_at("http://127.0.0.1:1").await;
        assert!(is_silence(&refused) && is_unheard(&refused), "{refused}");
        for (error, ours) in [(24, true), (101, true), (111, false), (113, false)] {
            assert_eq!(is_no_way(&std::io::Error::from_raw_os_error(error)), ours, "{error}");
        }
    }
}
