//! Who Mayday is to a cluster: what the kubeconfig says, read where a hung file holds up nobody, and the token of a login program, which
//! runs as a child of Mayday's own. The vendor's client is handed what came of it, and never runs or reads anything by itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Config;
use kube::config::{ExecConfig, ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::domain::time::{At, seconds_between};
use crate::outbound::{apart, child};

/// Stands in the words of every fault of a login: the cluster itself was not asked.
pub const LOGIN: &str = "the login ";

/// How long a login program may take; some of them ask a service that is slow on a bad day.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than this is no credential.
const MOST: usize = 256 * 1024;
/// A file may be rotated: it is read again after so long.
const ROTATED: Duration = Duration::from_secs(60);
/// So long before its end a credential is renewed.
const EARLY: Duration = Duration::from_secs(60);

/// What a client is made of, and for how long it is good.
pub struct Ready {
    pub config: Config,
    /// When to log in anew; the client serves on meanwhile.
    pub renew: Option<Instant>,
    /// When it is of no use any more.
    pub until: Option<Instant>,
}

/// What a login program prints (`client.authentication.k8s.io`).
#[derive(Deserialize)]
struct Printed {
    status: Option<Credential>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<At>,
}

/// Reads the kubeconfig and logs in.
///
/// # Errors
/// What is wrong with it, or with the login program. Nothing of the program's arguments and environment is told: secrets are kept there.
pub async fn log_in(system: &str, path: Option<String>, context: Option<String>) -> Result<Ready, Fault> {
    let config = read(path, context).await.map_err(|why| unusable(system, &why))?;
    let mut ready = Ready { config, renew: None, until: None };
    files(system, &mut ready).await?;
    if let Some(program) = ready.config.auth_info.exec.take() {
        run(system, &program, &mut ready).await?;
    }
    let asks = ready.config.auth_info.auth_provider.as_ref();
    if asks.is_some_and(|it| it.config.contains_key("cmd-path")) {
        return Err(unusable(
            system,
            "its user has an `auth-provider` with a program, which Kubernetes gave up in 1.26",
        )
        .next("give the user an `exec` instead"));
    }
    Ok(ready)
}

pub fn unusable(system: &str, why: &str) -> Fault {
    Fault::permanent(system, format!("no client can be made: {}", clean(why)))
        .means("this cluster can neither be watched nor changed")
        .next("see `kubectl config get-contexts`, then retry")
}

async fn read(path: Option<String>, context: Option<String>) -> Result<Config, String> {
    let (sender, config) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    apart::thread("kubeconfig", move || {
        let options = KubeConfigOptions { context, ..Default::default() };
        let read = path.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
        let config = read.and_then(|read| runtime.block_on(Config::from_custom_kubeconfig(read, &options)));
        // Nobody waits for it any more when the engine ends.
        let _ = sender.send(config.map_err(|error| error.to_string()));
    });
    config.await.unwrap_or_else(|_| Err("no thread could be started to read it".into()))
}

/// Puts what stands in files into the config.
async fn files(system: &str, ready: &mut Ready) -> Result<(), Fault> {
    let auth = &mut ready.config.auth_info;
    let text = async |path: &str| {
        let bytes = apart::file(Path::new(path), MOST).await;
        bytes.map_err(|kind| unusable(system, &format!("{path} cannot be read: {kind}")))
    };
    if auth.token.is_none()
        && let Some(path) = auth.token_file.take()
    {
        let token = text(&path).await?;
        auth.token = Some(String::from_utf8_lossy(&token).trim().to_owned().into());
        ready.renew = Some(Instant::now() + ROTATED);
    }
    if auth.client_certificate_data.is_none()
        && let Some(path) = auth.client_certificate.take()
    {
        auth.client_certificate_data = Some(STANDARD.encode(text(&path).await?.as_slice()));
    }
    if auth.client_key_data.is_none()
        && let Some(path) = auth.client_key.take()
    {
        auth.client_key_data = Some(STANDARD.encode(text(&path).await?.as_slice()).into());
    }
    Ok(())
}

/// Runs the login program and puts what it printed into the config.
async fn run(system: &str, program: &ExecConfig, ready: &mut Ready) -> Result<(), Fault> {
    let name = program.command.clone().unwrap_or_default();
    let short = Path::new(&name).file_name().map(|it| clean(&it.to_string_lossy())).unwrap_or_default();
    let fault = |fault: Fault| {
        fault
            .means("this cluster can neither be watched nor changed")
            .next(format!("run `{short}` by hand as the engine's user, as the kubeconfig's `exec` says"))
    };
    let lost = |why: String| fault(Fault::transient(system, format!("{LOGIN}program `{short}` {why}")));
    if program.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(fault(Fault::permanent(system, format!("the login program `{short}` wants a terminal"))));
    }
    let left = child::output(command(program, &ready.config), MOST, PATIENCE).await;
    let left = left.map_err(|it| lost(it.words(PATIENCE)))?;
    if !left.status.success() {
        let said = hush(program, &left.complaint);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        return Err(lost(format!("failed ({}){said}", left.status)));
    }
    // The parser's words may quote what it read.
    let nonsense = || lost("printed no credential that Mayday can read (JSON with `status`)".into());
    let printed: Printed = serde_json::from_slice(&left.printed).map_err(|_| nonsense())?;
    let credential = printed.status.ok_or_else(nonsense)?;
    if credential.token.is_none() && credential.client_certificate_data.is_none() {
        return Err(nonsense());
    }
    let auth = &mut ready.config.auth_info;
    if let Some(token) = credential.token {
        auth.token = Some(token.into());
    }
    if let (Some(certificate), Some(key)) = (credential.client_certificate_data, credential.client_key_data) {
        auth.client_certificate_data = Some(STANDARD.encode(certificate));
        auth.client_key_data = Some(STANDARD.encode(key).into());
    }
    if let Some(end) = credential.expiration_timestamp {
        let left = Duration::from_secs_f64(seconds_between(jiff::Timestamp::now(), end).max(0.0));
        // One that is short-lived is renewed at half of its life.
        ready.renew = Some(Instant::now() + left.saturating_sub(EARLY).max(left / 2));
        ready.until = Some(Instant::now() + left);
    }
    Ok(())
}

fn command(program: &ExecConfig, config: &Config) -> Command {
    let mut command = Command::new(program.command.as_deref().unwrap_or_default());
    command.args(program.args.iter().flatten());
    for (name, value) in variables(program) {
        command.env(name, value);
    }
    let mut spec = serde_json::json!({ "interactive": false });
    if program.provide_cluster_info {
        let authority = config.root_cert.as_ref().map(|all| STANDARD.encode(pem(all)));
        let cluster: BTreeMap<&str, serde_json::Value> = BTreeMap::from([
            ("server", config.cluster_url.to_string().into()),
            ("insecure-skip-tls-verify", config.accept_invalid_certs.into()),
            ("certificate-authority-data", authority.into()),
            ("tls-server-name", config.tls_server_name.clone().into()),
        ]);
        let known: serde_json::Map<_, _> =
            cluster.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, it)| (name.to_owned(), it)).collect();
        spec["cluster"] = known.into();
    }
    let version = program.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1");
    let asked = serde_json::json!({ "kind": "ExecCredential", "apiVersion": version, "spec": spec });
    command.env("KUBERNETES_EXEC_INFO", asked.to_string());
    command
}

fn pem(certificates: &[Vec<u8>]) -> String {
    let block = |der: &Vec<u8>| {
        let text = STANDARD.encode(der);
        let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    certificates.iter().map(block).collect()
}

fn variables(program: &ExecConfig) -> impl Iterator<Item = (&str, &str)> {
    let all = program.env.iter().flatten();
    all.filter_map(|it| Some((it.get("name")?.as_str(), it.get("value")?.as_str())))
}

/// A complaint without anything that the kubeconfig gave the program.
fn hush(program: &ExecConfig, complaint: &str) -> String {
    let arguments = program.args.iter().flatten().map(String::as_str);
    let after = arguments.clone().filter_map(|it| it.split_once('=').map(|(_, value)| value));
    let mut given: Vec<&str> = arguments.chain(after).chain(variables(program).map(|(_, value)| value)).collect();
    // The longest first, so that nothing is left of one that holds another.
    given.sort_by_key(|it| std::cmp::Reverse(it.len()));
    given.iter().filter(|it| it.len() > 3).fold(complaint.to_owned(), |said, it| said.replace(it, "…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kubeconfig whose user logs in by this shell script.
    fn kubeconfig(dir: &Path, script: &str) -> String {
        let path = dir.join("kubeconfig");
        let text = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": { "server": "http://127.0.0.1:1" } }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
            "users": [{ "name": "u", "user": { "exec": {
                "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "interactiveMode": "Never",
                "args": ["-c", script, "login", "--secret=HUSH-ARGUMENT"],
                "env": [{ "name": "VENDOR_KEY", "value": "HUSH-VARIABLE" }],
            } } }],
        });
        std::fs::write(&path, text.to_string()).unwrap();
        path.display().to_string()
    }

    async fn logged_in(script: &str) -> Result<Ready, Fault> {
        let dir = tempfile::tempdir().unwrap();
        log_in("k", Some(kubeconfig(dir.path(), script)), None).await
    }

    #[tokio::test]
    async fn a_login_program_gives_a_token_that_is_renewed_before_its_end() {
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(15);
        let script = format!(
            r#"test -n "$KUBERNETES_EXEC_INFO" && printf '{{"status": {{"token": "%s", "expirationTimestamp": "{end}"}}}}' "$VENDOR_KEY""#
        );
        let ready = logged_in(&script).await.unwrap();
        let token = ready.config.auth_info.token.as_ref().map(|it| format!("{it:?}"));
        assert!(token.is_some() && ready.config.auth_info.exec.is_none());
        assert!(ready.renew.unwrap() < ready.until.unwrap());
        assert!(ready.renew.unwrap() > Instant::now(), "it is used for a while");
    }

    #[tokio::test]
    async fn a_login_program_that_fails_is_told_by_its_last_word_and_nothing_secret() {
        let script = r#"echo first >&2; echo "bad key $VENDOR_KEY for $1 (HUSH-ARGUMENT)" >&2; exit 7"#;
        for script in
            [script, "echo '{\"status\": {\"token\": 5}, \"x\": \"HUSH\"}'", "echo HUSH", "exec /nowhere/HUSH"]
        {
            let fault = logged_in(script).await.err().unwrap();
            assert!(fault.what.contains("`sh`"), "{fault}");
            assert!(!format!("{fault} {fault:?}").contains("HUSH") || script.contains("nowhere"), "{fault}");
        }
        let fault = logged_in(script).await.err().unwrap();
        assert!(fault.what.contains("bad key …") && !fault.what.contains("first"), "{fault}");
    }
}
