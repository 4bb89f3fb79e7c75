//! What a command of the operator's gets of the engine's environment: a few names that say where things are, and what the config names.
//! The rest may hold secrets that systems and channels are given that way, and they are no script's concern.

use std::collections::BTreeSet;
use std::env::vars_os;
use std::ffi::OsString;
use std::sync::{Mutex, PoisonError};

/// Passed on as they are. None of them is a secret.
pub const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "KUBECONFIG",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
];
/// Every name that begins like this says how to speak: `LC_ALL`, `LC_MESSAGES`.
const LOCALE: &str = "LC_";

/// What the config of this process's estate names.
static NAMED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Passes these on, too: `script_environment` of the policy.
pub fn pass(names: &[String]) {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner).extend(names.iter().cloned());
}

/// Without this no program finds another one.
const PATH: &str = "PATH";

/// The variables of this process that a command gets: by their names, these and nothing else; what all of them get where it names none.
pub fn passed(only: Option<&[String]>) -> Vec<(OsString, OsString)> {
    let named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
    let goes = |name: &str| match only {
        Some(only) => name == PATH || only.iter().any(|it| it == name),
        None => PASSED.contains(&name) || name.starts_with(LOCALE) || named.contains(name),
    };
    vars_os().filter(|(name, _)| name.to_str().is_some_and(goes)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::process::{Around, run};
    use super::*;

    #[tokio::test]
    async fn a_command_gets_what_is_passed_on_and_nothing_else() {
        // Cargo gives these to every test.
        let (kept, named) = ("CARGO_PKG_NAME", "CARGO_PKG_VERSION");
        assert!(std::env::var(kept).is_ok() && std::env::var(named).is_ok(), "not run by cargo");
        pass(&[named.to_owned()]);
        let seen = Mutex::new(BTreeSet::new());
        let keep = |line: &str| {
            seen.lock().unwrap().insert(line.split('=').next().unwrap_or_default().to_owned());
        };
        let around = Around { own: BTreeMap::from([("MAYDAY_STEP", "dns".to_owned())]), ..Around::default() };
        run(&["env".to_owned()], &around, Duration::from_secs(10), &keep).await.unwrap();
        let all = std::mem::take(&mut *seen.lock().unwrap());
        let around = Around { only: Some(vec![kept.to_owned()]), ..around };
        run(&["env".to_owned()], &around, Duration::from_secs(10), &keep).await.unwrap();
        let few = seen.into_inner().unwrap();
        assert!(["PATH", "MAYDAY_STEP", kept].iter().all(|name| few.contains(*name)), "{few:?}");
        assert!(!few.contains(named) && !few.contains("HOME"), "by its names, and nothing else: {few:?}");
        let seen = all;
        assert!(["PATH", "MAYDAY_STEP", named].iter().all(|name| seen.contains(*name)), "{seen:?}");
        assert!(!seen.contains(kept), "{seen:?}");
    }
}
