//! Credentials: got apart from any call, kept, and renewed before they end. Whoever has none is not logged in, which says nothing of what
//! he wanted to look at: that is unknown, and the words tell what logs in.
//!
//! A program that hands them out may hang, and a login service may be down with its region: there is one try at a time, it is bounded, and
//! what is still good serves on meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_types::os_shim_internal::{Env, Fs};
use tokio::time::{Instant, timeout};

use super::process::{LIMIT, process, without_secrets};
use super::proxy::{self, Proxy};
use super::source::{Session, Source, Way, session};
use super::{ACCESS_KEY_ID, PROFILE, SECRET_ACCESS_KEY};
use crate::domain::estate::SystemSpec;
use crate::domain::system::{Fault, FaultClass};
use crate::domain::time::{At, Span, seconds_between};
use crate::outbound::apart::Flight;
use crate::outbound::http::root;
use crate::outbound::secret;

/// What every fault of credentials begins with.
pub const NONE: &str = "no credentials: ";

/// So long before their end they are got anew.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// Those that have no end are got anew so often: somebody may have changed them.
const ANEW: Duration = Duration::from_secs(5 * 60);
/// The secret of a key is read anew so often, and when the key was refused.
const REREAD: Duration = Duration::from_secs(15 * 60);
/// How soon a try that failed is made again, and how soon one that brought what ends soon.
const AGAIN: Duration = Duration::from_secs(5);
/// For how long new ones are waited for while the old ones are good.
const BRIEFLY: Duration = Duration::from_millis(200);
/// What one connection logs in with.
pub enum Login {
    /// An access key of the config, and what was made of its secret when that was read last.
    Key { id: String, secret: secret::Keep, made: Mutex<Option<(Instant, Credentials)>> },
    /// A profile, or whatever counts without one.
    Chain(Arc<Chain>),
}

/// Why there are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    class: FaultClass,
    what: String,
    next: String,
}

impl Why {
    fn fault(&self, system: &str) -> Fault {
        Fault::new(self.class, system, format!("{NONE}{}", self.what))
            .means("nothing was asked and nothing was changed")
            .next(self.next.clone())
    }
}

/// A profile, if one is named, and a region.
type Whose = (Option<String>, String);

impl Login {
    /// What `spec` names, for calls into `region`. Chains are shared: a program that hands out credentials is not begun by everybody.
    pub fn of(spec: &SystemSpec, region: &str) -> Self {
        static CHAINS: Mutex<BTreeMap<Whose, Arc<Chain>>> = Mutex::new(BTreeMap::new());
        let params = &spec.params;
        if let (Some(id), Some(place)) = (params.opt_text(ACCESS_KEY_ID.name), params.secret(SECRET_ACCESS_KEY.name)) {
            return Self::Key { id: id.to_owned(), secret: secret::Keep::new(Some(place)), made: Mutex::default() };
        }
        let profile = params.opt_text(PROFILE.name).map(str::to_owned);
        let mut chains = CHAINS.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = chains.entry((profile.clone(), region.to_owned()));
        Self::Chain(chain.or_insert_with(|| Arc::new(Chain::new(profile, region))).clone())
    }

    /// Credentials that are good now, waited for no longer than `wait`.
    ///
    /// # Errors
    /// Permanent when a person has to log in, transient when they are still being got; both begin with [`NONE`].
    pub async fn get(&self, system: &str, wait: Duration) -> Result<Credentials, Fault> {
        match self {
            Self::Key { id, secret, made } => {
                let last = made.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some((_, it)) = last.as_ref().filter(|(since, _)| since.elapsed() < REREAD) {
                    return Ok(it.clone());
                }
                let it = match secret.read(system).await {
                    Ok(Some(kept)) => Credentials::new(id, kept.expose(), None, None, "mayday"),
                    Ok(None) => return Err(Fault::permanent(system, format!("{NONE}the access key has no secret"))),
                    // What keeps the secrets may be down with the region.
                    Err(fault) => match last {
                        Some((_, it)) => it,
                        None => return Err(Fault { what: format!("{NONE}{}", fault.what), ..fault }),
                    },
                };
                *made.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), it.clone()));
                Ok(it)
            }
            Self::Chain(chain) => chain.get(wait).await.map_err(|why| why.fault(system)),
        }
    }

    /// They were refused as expired or unknown: the next call gets new ones.
    pub fn forget(&self) {
        match self {
            Self::Chain(chain) => drop(chain.held().take()),
            Self::Key { made, .. } => drop(made.lock().unwrap_or_else(PoisonError::into_inner).take()),
        }
    }

    /// How long what this logs in with will last; `None` for a key, which has no end.
    ///
    /// # Errors
    /// When there are no credentials now.
    pub async fn standing(&self, system: &str) -> Result<Option<Standing>, Fault> {
        let found = self.get(system, LIMIT).await?;
        let Self::Chain(chain) = self else { return Ok(None) };
        let source = chain.source().await;
        let until = found.expiry().and_then(|end| At::try_from(end).ok());
        let login = match &source.way {
            Way::Sso { url } => {
                let (home, url) = (home(), url.clone());
                tokio::task::spawn_blocking(move || session(home, &url)).await.ok().flatten()
            }
            _ => None,
        };
        let temporary = found.session_token().is_some();
        Ok(Standing { source, until, login, temporary }.told())
    }
}

/// For the SDKs: they ask for credentials at each call, and keep none.
impl ProvideCredentials for Given {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let got = async move {
            self.login.get(&self.system, LIMIT).await.map_err(|fault| CredentialsError::not_loaded(fault.what))
        };
        future::ProvideCredentials::new(got)
    }
}

/// What the SDKs are given.
pub struct Given {
    pub login: Arc<Login>,
    pub system: String,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given(…)")
    }
}

/// How long credentials last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    source: Source,
    until: Option<At>,
    login: Option<Session>,
    temporary: bool,
}

impl Standing {
    /// `None` when there is nothing to tell: a key has no end.
    fn told(self) -> Option<Self> {
        (self.until.is_some() || self.login.is_some() || self.temporary).then_some(self)
    }

    /// When somebody has to do something; `None` when nobody has to, or it is not known. A login that was to be renewed and has ended
    /// was not: what was got by it lasts a little longer.
    pub fn ends(&self, now: At) -> Option<At> {
        match (&self.source.way, self.login) {
            (Way::Sso { .. }, Some(login)) if login.renewed && login.until < now => self.until.or(Some(login.until)),
            (Way::Sso { .. }, login) => login.filter(|it| !it.renewed).map(|it| it.until),
            _ if self.source.renews_itself() => None,
            _ => self.until,
        }
    }

    /// Whether it is not known when they end, and they do.
    pub fn is_open(&self) -> bool {
        self.temporary && self.until.is_none() && self.login.is_none() && !self.source.renews_itself()
    }

    pub fn words(&self, now: At) -> String {
        let left = |at: At| {
            format!("until {} ({})", at.strftime("%F %H:%MZ"), Span::secs(seconds_between(now, at).max(0.0) as u64))
        };
        let name = self.source.name();
        match (&self.source.way, self.login, self.until) {
            (Way::Sso { .. }, Some(login), until) if login.until < now => {
                let rest =
                    until.map(|until| format!("; what was got by it is good {}", left(until))).unwrap_or_default();
                format!("the login of {name} ended at {}{rest}", login.until.strftime("%F %H:%MZ"))
            }
            (Way::Sso { .. }, Some(login), _) if login.renewed => {
                format!("{name} is logged in; renewed by itself until its session ends, now good {}", left(login.until))
            }
            (Way::Sso { .. }, Some(login), _) => format!("{name} is logged in {}", left(login.until)),
            (_, _, Some(until)) if self.source.renews_itself() => {
                format!("credentials of {name} are good {}, and renewed by themselves", left(until))
            }
            (_, _, Some(until)) => format!("credentials of {name} are good {}", left(until)),
            (_, _, None) => format!("credentials of {name} are temporary, and until when they are good is not told"),
        }
    }

    /// What a person runs to have them anew.
    pub fn next(&self) -> String {
        self.source.next()
    }
}

/// One way of logging in, into one region.
pub struct Chain {
    profile: Option<String>,
    region: String,
    held: Mutex<Option<Held>>,
    failed: Mutex<Option<(Instant, Why)>>,
    getting: Flight<Result<Credentials, Why>>,
}

struct Held {
    since: Instant,
    credentials: Credentials,
}

impl Held {
    fn left(&self) -> Option<Duration> {
        self.credentials.expiry().map(|end| end.duration_since(SystemTime::now()).unwrap_or_default())
    }

    fn is_good(&self) -> bool {
        self.left().is_none_or(|left| left > Duration::from_secs(5))
    }

    /// Whether new ones are to be got, good as these may be.
    fn is_due(&self) -> bool {
        match self.left() {
            Some(left) => left < EARLY && self.since.elapsed() > AGAIN,
            None => self.since.elapsed() > ANEW,
        }
    }
}

impl Chain {
    fn new(profile: Option<String>, region: &str) -> Self {
        let (held, failed) = (Mutex::default(), Mutex::default());
        Self { profile, region: region.to_owned(), held, failed, getting: Flight::default() }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn source(&self) -> Source {
        Source::of(self.profile.as_deref(), &Fs::real(), &Env::real()).await
    }

    async fn get(self: &Arc<Self>, wait: Duration) -> Result<Credentials, Why> {
        let last = match &*self.held() {
            Some(held) if held.is_good() && !held.is_due() => return Ok(held.credentials.clone()),
            Some(held) if held.is_good() => Some(held.credentials.clone()),
            _ => None,
        };
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, why)) = failed.filter(|(at, _)| at.elapsed() < AGAIN) {
            return last.ok_or(why);
        }
        let getting = self.getting.join(|landing| {
            let chain = self.clone();
            tokio::spawn(async move {
                let got = chain.fetch().await;
                chain.keep(&got);
                landing.send_replace(Some(got));
            });
        });
        if let Some(last) = last {
            // Nobody waits while the old ones are good.
            return Ok(timeout(BRIEFLY, getting).await.ok().flatten().and_then(Result::ok).unwrap_or(last));
        }
        match timeout(wait, getting).await {
            Ok(Some(got)) => got,
            Ok(None) => Err(self.pending("nothing could be begun: Mayday has no room".into())),
            Err(_) => {
                let what = format!("they are still being got after {:.1} s", wait.as_secs_f64());
                Err(self.pending(what))
            }
        }
    }

    fn pending(&self, what: String) -> Why {
        let next = "wait a moment: they are asked for until they come, or see what hands them out".into();
        Why { class: FaultClass::Transient, what, next }
    }

    fn keep(&self, got: &Result<Credentials, Why>) {
        if let Ok(credentials) = got {
            *self.held() = Some(Held { since: Instant::now(), credentials: credentials.clone() });
        }
        let why = got.as_ref().err().map(|why| (Instant::now(), why.clone()));
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    async fn fetch(&self) -> Result<Credentials, Why> {
        let source = self.source().await;
        let made = timeout(LIMIT, self.fetch_by(&source)).await;
        made.unwrap_or_else(|_| {
            let what = format!("{} did not give any within {} s", source.name(), LIMIT.as_secs());
            Err(Why { class: FaultClass::Transient, what, next: source.next() })
        })
    }

    async fn fetch_by(&self, source: &Source) -> Result<Credentials, Why> {
        let permanent = |what: String| Why { class: FaultClass::Permanent, what, next: source.next() };
        let name = source.name();
        match &source.way {
            Way::Process(command) => return process(command, &name).await.map_err(permanent),
            Way::OneTimeCode { .. } => {
                return Err(permanent(format!(
                    "{name} asks for a one-time code (`mfa_serial`), which nobody can type here"
                )));
            }
            Way::Missing => return Err(permanent(format!("there is no {name}"))),
            Way::Unreadable(why) => return Err(permanent(format!("the files of {name} cannot be read: {why}"))),
            _ => {}
        }
        let client = proxy::client("https", Proxy::here("https"));
        let region = Region::new(self.region.clone());
        let got = match &self.profile {
            // A profile that is named counts before the environment's key, as for the `aws` command.
            Some(profile) => {
                let config = ProviderConfig::without_region().with_region(Some(region)).with_http_client(client);
                ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_name(profile)
                    .build()
                    .provide_credentials()
                    .await
            }
            None => {
                let config =
                    aws_config::defaults(BehaviorVersion::latest()).http_client(client).region(region).load().await;
                match config.credentials_provider() {
                    Some(provider) => provider.provide_credentials().await,
                    None => Err(CredentialsError::not_loaded_no_source()),
                }
            }
        };
        got.map_err(|error| permanent(refusal(source, &error)))
    }
}

/// Why there are none, as far as it may be told.
fn refusal(source: &Source, error: &CredentialsError) -> String {
    let (name, why) = (source.name(), without_secrets(&root(error)));
    match (&source.way, error) {
        (Way::Sso { .. }, _) => format!("{name} is not logged in: {why}"),
        (_, CredentialsError::CredentialsNotLoaded(_)) => format!("{name} has none"),
        _ => format!("{name} gave none: {why}"),
    }
}

fn home() -> Option<std::path::PathBuf> {
    std::env::var_os("HOME").map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::aws::is_silence;

    #[test]
    fn what_is_not_there_says_nothing_of_the_target() {
        for class in [FaultClass::Permanent, FaultClass::Transient] {
            let why = Why {
                class,
                what: "profile `sso` is not logged in".into(),
                next: "aws sso login --profile sso".into(),
            };
            let fault = why.fault("database");
            assert!(!is_silence(&fault), "{fault}");
            let reading = crate::systems::aws::reading(&fault);
            assert_eq!(reading.status, crate::domain::health::Status::Unknown);
            assert!(reading.detail.ends_with("not logged in → aws sso login --profile sso"), "{}", reading.detail);
        }
    }

    #[tokio::test]
    async fn what_is_good_serves_on_while_new_ones_cannot_be_got() {
        let chain = Arc::new(Chain::new(Some("nobody-has-this".into()), "us-west-2"));
        let ends = |seconds| Some(SystemTime::now() + Duration::from_secs(seconds));
        let held = |seconds| {
            let credentials = Credentials::new("A", "s", None, ends(seconds), "test");
            *chain.held() = Some(Held { since: Instant::now() - Duration::from_secs(60), credentials });
        };
        held(60);
        assert!(chain.get(LIMIT).await.is_ok(), "renewing fails, and these are good for a minute");
        held(1);
        let why = chain.get(LIMIT).await.unwrap_err();
        assert!(why.what.contains("there is no profile `nobody-has-this`"), "{why:?}");
    }

    #[test]
    fn how_long_they_last_is_told_with_what_ends() {
        let now: At = "2026-11-23T12:00:00Z".parse().unwrap();
        let at = |text: &str| Some(text.parse::<At>().unwrap());
        let standing = |way: Way, until, login: Option<Session>| {
            let source = Source::for_test(way);
            Standing { source, until, login, temporary: true }
        };
        let login = |renewed| at("2026-11-23T15:30:00Z").map(|until| Session { until, renewed });
        let over = at("2026-11-23T10:00:00Z").map(|until| Session { until, renewed: true });
        let sso = || Way::Sso { url: "u".into() };
        let cases = [
            (standing(sso(), at("2026-11-23T13:00:00Z"), login(false)), at("2026-11-23T15:30:00Z"), "(3h30m)"),
            (standing(sso(), at("2026-11-23T13:00:00Z"), login(true)), None, "renewed by itself"),
            (
                standing(sso(), at("2026-11-23T13:00:00Z"), over),
                at("2026-11-23T13:00:00Z"),
                "ended at 2026-11-23 10:00Z",
            ),
            (standing(Way::Place, at("2026-11-23T13:00:00Z"), None), None, "renewed by themselves"),
            (standing(Way::Environment, at("2026-11-23T13:00:00Z"), None), at("2026-11-23T13:00:00Z"), "(1h)"),
            (standing(Way::Environment, None, None), None, "is not told"),
        ];
        for (standing, ends, words) in cases {
            assert_eq!(standing.ends(now), ends, "{standing:?}");
            assert!(standing.words(now).contains(words), "{}", standing.words(now));
        }
    }
}
