//! The way into a cluster: which kubeconfig, context and account, by which login, past which proxy. All of it is Mayday's own business: a
//! file on a mount that hangs, or a program that does, holds up nobody, and nothing secret is ever told.

mod kubeconfig;
mod login;
mod proxy;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use crate::domain::params::SecretRef;

pub use self::login::{LOGIN, log_in, unusable};
pub use self::proxy::Proxy;
pub use self::wire::connect;

/// Where the credentials come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The files, the first of which has the last word; those of the environment when there are none. Without any of them, the account of
    /// the pod that Mayday runs in.
    Kubeconfig {
        files: Vec<String>,
        context: Option<String>,
    },
    Server {
        url: http::Uri,
        token: Option<SecretRef>,
        authority: Option<String>,
    },
    /// The account of the pod that Mayday runs in, and nothing else.
    Pod,
}

/// What an environment variable holds.
type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What there is around Mayday: a test has its own.
#[derive(Clone)]
pub struct Host {
    variables: Arc<Variables>,
    home: Option<PathBuf>,
    /// Where a pod finds its account.
    account: PathBuf,
}

impl Host {
    /// The one that Mayday runs on.
    pub fn this() -> Self {
        Self {
            variables: Arc::new(|name| std::env::var(name).ok()),
            home: std::env::home_dir(),
            account: "/var/run/secrets/kubernetes.io/serviceaccount".into(),
        }
    }

    /// A variable that says something.
    fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.trim().is_empty())
    }

    /// `~/…` is in the home of the engine's user.
    fn path(&self, written: &str) -> PathBuf {
        match (written.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => written.into(),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A host that has these variables, and its home and account in `dir`.
    pub fn host(dir: &std::path::Path, variables: &[(&str, &str)]) -> Host {
        let own: std::collections::BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Host {
            variables: Arc::new(move |name| own.get(name).cloned()),
            home: Some(dir.join("home")),
            account: dir.join("account"),
        }
    }
}
