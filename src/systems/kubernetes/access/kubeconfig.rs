//! Kubeconfigs: which files, merged as kubectl merges them, and what a context of them says.
//!
//! <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files>

use std::io::ErrorKind;
use std::path::PathBuf;

use kube::Config;
use kube::config::{AuthInfo, Cluster, Kubeconfig, KubeconfigError};
use tokio::sync::oneshot;

use super::Host;
use crate::outbound::apart;

/// What a context says.
pub struct Chosen {
    /// Without anything that is kept in other files.
    pub config: Config,
    pub cluster: Cluster,
}

/// The files of a kubeconfig in their order, and whether somebody named them.
pub struct Files {
    paths: Vec<PathBuf>,
    named: String,
}

/// What is written in the config, several with a `:` between them; else what `$KUBECONFIG` says; else the file in the home.
pub fn files(written: &[String], host: &Host) -> Files {
    let split = |text: &str| -> Vec<PathBuf> {
        text.split(':').map(str::trim).filter(|it| !it.is_empty()).map(|it| host.path(it)).collect()
    };
    if !written.is_empty() {
        return Files { paths: written.iter().flat_map(|it| split(it)).collect(), named: "`kubeconfig`".into() };
    }
    match host.variable("KUBECONFIG") {
        Some(text) => Files { paths: split(&text), named: "the variable KUBECONFIG".into() },
        None => Files { paths: vec![host.path("~/.kube/config")], named: String::new() },
    }
}

/// Reads the files and takes a context of them, the current one when `context` is none; `None` when there are no files and none was named.
///
/// # Errors
/// What is wrong with them. Nothing of what they hold is told but names.
pub async fn choose(files: Files, context: Option<&str>) -> Result<Option<Chosen>, String> {
    let (sender, read) = oneshot::channel();
    let shown: Vec<String> = files.paths.iter().map(|it| it.display().to_string()).collect();
    apart::thread("kubeconfig", move || {
        // Nobody waits for it any more when the engine ends.
        let _ = sender.send(read_all(&files));
    });
    let read = read.await.unwrap_or_else(|_| Err("no thread could be started to read it".into()))?;
    read.map(|read| take(read, context, &shown.join(":"))).transpose()
}

/// A file that is not there is passed over, as long as another one is.
fn read_all(files: &Files) -> Result<Option<Kubeconfig>, String> {
    let mut merged = None::<Kubeconfig>;
    let mut missing = Vec::new();
    for path in &files.paths {
        let shown = path.display();
        let found = match Kubeconfig::read_from(path) {
            // An empty name is none, and leaves the next file its own.
            Ok(mut found) => {
                found.current_context = found.current_context.filter(|name| !name.is_empty());
                found
            }
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == ErrorKind::NotFound => {
                missing.push(shown.to_string());
                continue;
            }
            Err(KubeconfigError::ReadConfig(error, _)) => {
                return Err(format!("{shown} cannot be read: {}", error.kind()));
            }
            // The parser's words may quote what it read.
            Err(_) => return Err(format!("{shown} is no kubeconfig that can be read: see `kubectl config view`")),
        };
        merged = Some(match merged {
            None => found,
            Some(first) => {
                first.merge(found).map_err(|_| format!("{shown} is of another kind than the files before it"))?
            }
        });
    }
    match (&merged, missing.is_empty(), files.named.is_empty()) {
        (None, false, false) => Err(format!("{}, named by {}, is not there", missing.join(" and "), files.named)),
        _ => Ok(merged),
    }
}

fn take(read: Kubeconfig, context: Option<&str>, place: &str) -> Result<Chosen, String> {
    let names: Vec<&str> = read.contexts.iter().map(|it| it.name.as_str()).collect();
    let known = if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
    let current = read.current_context.as_deref().filter(|name| !name.is_empty());
    let Some(asked) = context.or(current) else {
        return Err(format!("no context is named, and {place} has no current one: {known}"));
    };
    let found = read.contexts.iter().find(|it| it.name == asked).and_then(|it| it.context.clone());
    let found = found.ok_or_else(|| format!("there is no context {asked} in {place}: {known}"))?;
    let cluster = read.clusters.iter().find(|it| it.name == found.cluster).and_then(|it| it.cluster.clone());
    let cluster = cluster
        .ok_or_else(|| format!("the context {asked} is of the cluster {}, which is not in {place}", found.cluster))?;
    let named = found.user.as_deref().unwrap_or_default();
    // A user that is missing is nobody, as for kubectl.
    let user = read.auth_infos.iter().find(|it| it.name == named).and_then(|it| it.auth_info.clone());
    let server = cluster.server.clone().filter(|it| !it.is_empty());
    let server = server.ok_or_else(|| format!("the cluster {} has no `server`", found.cluster))?;
    let url =
        server.parse().map_err(|error| format!("the `server` of the cluster {} is no URL: {error}", found.cluster))?;
    let mut config = Config::new(url);
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name.clone().filter(|it| !it.is_empty());
    config.auth_info = user.unwrap_or_else(AuthInfo::default);
    Ok(Chosen { config, cluster })
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    fn write(path: &std::path::Path, name: &str, current: &str) -> String {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: \"{current}\"\nclusters:\n- name: {name}\n  cluster: {{server: \"https://{name}.example\", tls-server-name: \"api.{name}\"}}\n\
             contexts:\n- {{name: {name}, context: {{cluster: {name}, user: u}}}}\nusers:\n- {{name: u, user: {{token: HUSH-{name}}}}}\n"
        );
        std::fs::write(path, text).unwrap();
        path.display().to_string()
    }

    async fn server(written: &[String], context: Option<&str>, host: &Host) -> Result<String, String> {
        let chosen = choose(files(written, host), context).await?;
        Ok(chosen.map_or("none".into(), |it| it.config.cluster_url.to_string()))
    }

    #[tokio::test]
    async fn several_files_are_one_and_the_first_has_the_last_word() {
        let dir = tempfile::tempdir().unwrap();
        let bare = host(dir.path(), &[]);
        assert_eq!(server(&[], None, &bare).await.unwrap(), "none");
        let (a, b) = (write(&dir.path().join("a"), "east", ""), write(&dir.path().join("b"), "west", "west"));
        let both = format!("{a}:{}/gone::{b}", dir.path().display());
        let named = host(dir.path(), &[("KUBECONFIG", both.as_str())]);
        assert_eq!(server(&[], None, &named).await.unwrap(), "https://west.example/", "the first that names one");
        assert_eq!(server(&[], Some("east"), &named).await.unwrap(), "https://east.example/");
        assert_eq!(server(std::slice::from_ref(&both), Some("east"), &bare).await.unwrap(), "https://east.example/");
        assert_eq!(server(&[a.clone(), b], Some("west"), &bare).await.unwrap(), "https://west.example/");
        let no_current = server(&[a], None, &named).await.unwrap_err();
        assert!(no_current.contains("no context is named") && no_current.contains("it has east"), "{no_current}");
        let absent = server(&[], Some("north"), &named).await.unwrap_err();
        assert!(absent.contains("no context north") && absent.contains("east, west"), "{absent}");
    }

    #[tokio::test]
    async fn the_home_is_the_engines_users_and_what_was_named_has_to_be_there() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("home/.kube/config"), "home", "home");
        let host = host(dir.path(), &[]);
        assert_eq!(server(&[], None, &host).await.unwrap(), "https://home.example/");
        assert_eq!(server(&["~/.kube/config".into()], None, &host).await.unwrap(), "https://home.example/");
        let gone = server(&["~/.kube/other".into()], None, &host).await.unwrap_err();
        assert!(gone.contains("home/.kube/other") && gone.contains("is not there"), "{gone}");
        std::fs::write(dir.path().join("broken"), "users: [{name: u, user: {token: HUSH").unwrap();
        let broken = server(&[dir.path().join("broken").display().to_string()], None, &host).await.unwrap_err();
        assert!(broken.contains("no kubeconfig") && !broken.contains("HUSH"), "{broken}");
    }

    #[tokio::test]
    async fn what_a_cluster_is_called_in_its_certificate_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(&dir.path().join("a"), "east", "east");
        let chosen = choose(files(&[path], &host(dir.path(), &[])), None).await.unwrap().unwrap();
        assert_eq!(chosen.config.tls_server_name.as_deref(), Some("api.east"));
        assert!(chosen.config.auth_info.token.is_some());
    }
}
