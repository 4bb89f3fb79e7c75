//! Where credentials come from, by the profile that the config names, and what a person does when there are none.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>,
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>

use std::path::PathBuf;

use aws_config::profile::{ProfileSet, load};
use aws_types::os_shim_internal::{Env, Fs};
use serde::Deserialize;

use crate::domain::text::clean;
use crate::domain::time::At;
use crate::systems::shell::quoted;

/// Profiles that name each other are followed so far.
const LONGEST_CHAIN: usize = 5;

/// How credentials are got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a session of IAM Identity Center that a person logs in to, at this URL.
    Sso { url: String },
    /// By a program, with its arguments as a line for a shell: they may hold a secret.
    Process(String),
    /// A role that asks for a one-time code, which nobody can type here.
    OneTimeCode { serial: String },
    /// A role that another profile's credentials are allowed to take.
    Role { arn: String },
    /// A key that is written there.
    Keys,
    /// The environment's own key.
    Environment,
    /// Whatever the place hands out: an instance's or a pod's role.
    Place,
    /// There is no such profile.
    Missing,
    /// The files cannot be read as they are.
    Unreadable(String),
}

/// Where the credentials of a connection come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The profile that is used; `None` without any.
    pub profile: Option<String>,
    /// The one that a person logs in to: another one, when that is what the profile's role is taken with.
    login: Option<String>,
    pub way: Way,
}

impl Source {
    /// Of the profile called `given`, or of what counts when none is named.
    pub async fn of(given: Option<&str>, files: &Fs, env: &Env) -> Self {
        if given.is_none() && env.get("AWS_ACCESS_KEY_ID").is_ok_and(|key| !key.is_empty()) {
            return Self { profile: None, login: None, way: Way::Environment };
        }
        #[allow(deprecated)] // the only name of this type that the crate gives away
        let places = aws_config::profile::profile_file::ProfileFiles::default();
        match load(files, env, &places, given.map(|name| name.to_owned().into())).await {
            Ok(set) => Self::in_set(&set, given),
            Err(error) => {
                let why = crate::outbound::http::root(&error);
                Self { profile: given.map(str::to_owned), login: None, way: Way::Unreadable(why) }
            }
        }
    }

    fn in_set(set: &ProfileSet, given: Option<&str>) -> Self {
        let name = set.selected_profile().to_owned();
        let Some(first) = set.get_profile(&name) else {
            let way = if given.is_some() || name != "default" { Way::Missing } else { Way::Place };
            let profile = (way == Way::Missing).then_some(name);
            return Self { profile, login: None, way };
        };
        let (mut at, mut login, mut role) = (first, name.clone(), None);
        let made = |way, login: String| Self { profile: Some(name.clone()), login: Some(login), way };
        for _ in 0..LONGEST_CHAIN {
            if let Some(serial) = at.get("mfa_serial").filter(|_| at.get("role_arn").is_some()) {
                return made(Way::OneTimeCode { serial: clean(serial) }, login);
            }
            if let Some(url) = sso_url(set, at.get("sso_session"), at.get("sso_start_url")) {
                return made(Way::Sso { url }, login);
            }
            match (at.get("role_arn"), at.get("source_profile").filter(|next| *next != login)) {
                (Some(arn), Some(next)) => {
                    role = role.or_else(|| Some(clean(arn)));
                    let Some(profile) = set.get_profile(next) else { break };
                    (at, login) = (profile, next.to_owned());
                }
                (Some(arn), None) => return made(Way::Role { arn: clean(arn) }, login),
                (None, _) => break,
            }
        }
        let way = match (role, at.get("credential_process")) {
            (Some(arn), _) => Way::Role { arn },
            (None, Some(command)) => Way::Process(command.to_owned()),
            (None, None) if at.get("aws_access_key_id").is_some() => Way::Keys,
            (None, None) => Way::Place,
        };
        made(way, login)
    }

    /// `profile \`sso\``
    pub fn name(&self) -> String {
        match (&self.profile, &self.way) {
            (_, Way::Environment) => "the environment".into(),
            (Some(profile), _) => format!("profile `{}`", clean(profile)),
            (None, _) => "the default chain of credentials".into(),
        }
    }

    /// What a person runs, or does, to have credentials again.
    pub fn next(&self) -> String {
        let named = |name: &Option<String>| name.as_deref().map_or_else(|| "default".into(), clean);
        match &self.way {
            Way::Sso { .. } => format!("aws sso login --profile {}", quoted(&named(&self.login))),
            Way::Process(_) => format!("run the `credential_process` of {} by hand, and see why it fails", self.name()),
            Way::OneTimeCode { serial } => format!(
                "get a session with `aws sts get-session-token --serial-number {serial} --token-code CODE`, put it into a profile of its own, \
                 and name that one"
            ),
            Way::Role { arn } => {
                format!(
                    "see whether `aws sts get-caller-identity --profile {}` works, and whether {arn} trusts it",
                    quoted(&named(&self.profile))
                )
            }
            Way::Keys => format!("replace the key of {} in ~/.aws/credentials", self.name()),
            Way::Environment => "give the engine a new key (AWS_ACCESS_KEY_ID and the others), and restart it".into(),
            Way::Missing => {
                format!("name a profile that is there (`aws configure list-profiles`), or make {}", self.name())
            }
            Way::Place => "set `profile`, or `access_key_id` and `secret_access_key`, or give this host a role".into(),
            Way::Unreadable(_) => "correct ~/.aws/config, then run `mayday check --connect`".into(),
        }
    }

    /// Whether it is renewed without anybody, for as long as what it is taken from stands.
    pub fn renews_itself(&self) -> bool {
        matches!(self.way, Way::Place | Way::Role { .. } | Way::Process(_))
    }
}

#[cfg(test)]
impl Source {
    pub fn for_test(way: Way) -> Self {
        Self { profile: Some("p".into()), login: None, way }
    }
}

fn sso_url(set: &ProfileSet, session: Option<&str>, direct: Option<&str>) -> Option<String> {
    let of_session =
        session.map(|name| set.sso_session(name).and_then(|it| it.get("sso_start_url")).unwrap_or_default());
    of_session.or(direct).map(clean)
}

/// What the `aws` command keeps of a login.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    start_url: Option<String>,
    expires_at: Option<String>,
    refresh_token: Option<String>,
}

/// A login of IAM Identity Center, as the `aws` command keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub until: At,
    /// It is renewed until the session ends that an administrator set the length of; when that is, is not kept.
    pub renewed: bool,
}

/// The latest login at `url`; `None` when nobody has logged in. It blocks: for a thread that may.
pub fn session(home: Option<PathBuf>, url: &str) -> Option<Session> {
    let folder = home?.join(".aws/sso/cache");
    let files = std::fs::read_dir(folder).ok()?.flatten();
    let kept = files.filter_map(|file| {
        let kept: Kept = serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok()?;
        let same = kept.start_url.as_deref()?.trim_end_matches(['/', '#']) == url.trim_end_matches(['/', '#']);
        let until = kept.expires_at.as_deref()?.replace("UTC", "Z").parse().ok()?;
        same.then_some(Session { until, renewed: kept.refresh_token.is_some() })
    });
    kept.max_by_key(|session| session.until)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const CONFIG: &str = "
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Recovery
[sso-session corp]
sso_start_url = https://corp.awsapps.example/start
sso_region = us-east-1
[profile behind]
role_arn = arn:aws:iam::123456789012:role/dr/recovery
source_profile = sso
[profile process]
credential_process = /opt/creds --key HUSH
[profile base]
aws_access_key_id = AKIA
aws_secret_access_key = hush
[profile role]
role_arn = arn:aws:iam::123456789012:role/dr/recovery-role
source_profile = base
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/dr/recovery-role
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/ada
[profile self]
role_arn = arn:aws:iam::123456789012:role/own
source_profile = self
aws_access_key_id = AKIA
";

    async fn of(given: Option<&str>, more: &[(&str, &str)]) -> Source {
        let files = Fs::from_map(HashMap::from([("/config".to_owned(), CONFIG.as_bytes().to_vec())]));
        let env: Vec<(&str, &str)> =
            [("AWS_CONFIG_FILE", "/config"), ("HOME", "/nobody")].into_iter().chain(more.iter().copied()).collect();
        Source::of(given, &files, &Env::from_slice(&env)).await
    }

    #[tokio::test]
    async fn a_profile_says_how_a_person_logs_in() {
        let url = || "https://corp.awsapps.example/start".to_owned();
        let role = |name: &str| Way::Role { arn: format!("arn:aws:iam::123456789012:role/{name}") };
        for (profile, way, next) in [
            ("sso", Way::Sso { url: url() }, "aws sso login --profile sso"),
            ("behind", Way::Sso { url: url() }, "aws sso login --profile sso"),
            (
                "process",
                Way::Process("/opt/creds --key HUSH".into()),
                "run the `credential_process` of profile `process`",
            ),
            ("role", role("dr/recovery-role"), "aws sts get-caller-identity --profile role"),
            ("self", role("own"), "whether arn:aws:iam::123456789012:role/own trusts it"),
            ("mfa", Way::OneTimeCode { serial: "arn:aws:iam::123456789012:mfa/ada".into() }, "--token-code CODE"),
            ("base", Way::Keys, "replace the key of profile `base`"),
            ("none", Way::Missing, "aws configure list-profiles"),
        ] {
            let source = of(Some(profile), &[]).await;
            assert_eq!(source.way, way, "{profile}");
            assert!(source.next().contains(next) && !source.next().contains("HUSH"), "{profile}: {}", source.next());
        }
        assert_eq!(of(None, &[("AWS_PROFILE", "sso")]).await.way, Way::Sso { url: url() });
        assert_eq!(of(None, &[("AWS_ACCESS_KEY_ID", "AKIA")]).await.way, Way::Environment);
        assert_eq!(of(None, &[]).await.way, Way::Place);
        assert!(
            of(Some("sso"), &[("AWS_ACCESS_KEY_ID", "AKIA")]).await.next().contains("sso login"),
            "a named one counts"
        );
    }

    #[test]
    fn how_long_a_login_lasts_is_read_where_the_aws_command_keeps_it() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join(".aws/sso/cache");
        std::fs::create_dir_all(&cache).unwrap();
        let look = |url: &str| session(Some(home.path().to_owned()), url);
        assert_eq!(look("https://corp.example/start"), None);
        for (file, text) in [
            (
                "old.json",
                r#"{"startUrl":"https://corp.example/start","expiresAt":"2026-11-22T10:00:00Z","accessToken":"h"}"#,
            ),
            (
                "new.json",
                r#"{"startUrl":"https://corp.example/start/","expiresAt":"2026-11-23T10:00:00UTC","refreshToken":"h"}"#,
            ),
            ("other.json", r#"{"startUrl":"https://other.example/start","expiresAt":"2026-12-01T10:00:00Z"}"#),
            ("registration.json", r#"{"clientId":"h","expiresAt":"2027-01-01T00:00:00Z"}"#),
            ("noise.json", "no json"),
        ] {
            std::fs::write(cache.join(file), text).unwrap();
        }
        let found = look("https://corp.example/start").unwrap();
        assert_eq!((found.until.to_string().as_str(), found.renewed), ("2026-11-23T10:00:00Z", true));
    }
}
