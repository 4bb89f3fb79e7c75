//! Who Mayday is to a cluster: what the kubeconfig says, or the account of the pod that Mayday runs in, read where a hung file holds up
//! nobody, and the token of a login program, which runs as a child of Mayday's own. The vendor's client is handed what came of it, and
//! never runs or reads anything by itself.
//!
//! Login programs: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Config;
use kube::config::{ExecConfig, ExecInteractiveMode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::kubeconfig::{self, Chosen};
use super::proxy::{self, Proxy};
use super::{Host, Source};
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::domain::time::{At, seconds_between};
use crate::outbound::{apart, child, redact, secret};

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
    pub proxy: Option<Proxy>,
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

/// Finds out where the cluster is and logs in.
///
/// # Errors
/// What is wrong with the kubeconfig, or with the login program. Nothing of the program's arguments and environment is told: secrets are
/// kept there.
pub async fn log_in(system: &str, source: &Source, host: &Host) -> Result<Ready, Fault> {
    match source {
        Source::Kubeconfig { files, context } => {
            let chosen = kubeconfig::choose(kubeconfig::files(files, host), context.as_deref()).await;
            match chosen.map_err(|why| unusable(system, &why))? {
                Some(chosen) => by_kubeconfig(system, chosen, host).await,
                None if context.is_none() => in_pod(system, host).await,
                None => Err(unusable(system, "there is no kubeconfig on this host")),
            }
        }
        Source::Pod => in_pod(system, host).await,
        Source::Server { url, token, authority } => {
            let mut config = Config::new(url.clone());
            if let Some(path) = authority {
                config.root_cert = Some(authorities(system, path, &text(system, &host.path(path)).await?)?);
            }
            if let Some(token) = secret::read_opt(token.as_ref(), system).await? {
                config.auth_info.token = Some(token.expose().to_owned().into());
            }
            let renew = authority.is_some().then(|| Instant::now() + ROTATED);
            ready(system, config, None, host, renew)
        }
    }
}

fn ready(
    system: &str,
    config: Config,
    proxy_url: Option<&str>,
    host: &Host,
    renew: Option<Instant>,
) -> Result<Ready, Fault> {
    let proxy = proxy::choose(&config.cluster_url, proxy_url, host).map_err(|why| unusable(system, &why))?;
    Ok(Ready { config, proxy, renew, until: None })
}

async fn by_kubeconfig(system: &str, chosen: Chosen, host: &Host) -> Result<Ready, Fault> {
    let Chosen { mut config, cluster } = chosen;
    if let Some(data) = &cluster.certificate_authority_data {
        let nonsense = || unusable(system, "`certificate-authority-data` of its cluster is no Base64");
        let pem = STANDARD.decode(data.split_whitespace().collect::<String>()).map_err(|_| nonsense())?;
        config.root_cert = Some(authorities(system, "`certificate-authority-data`", &pem)?);
    } else if let Some(path) = &cluster.certificate_authority {
        config.root_cert = Some(authorities(system, path, &text(system, &host.path(path)).await?)?);
    }
    let mut ready = ready(system, config, cluster.proxy_url.as_deref(), host, None)?;
    files(system, host, &mut ready).await?;
    if let Some(program) = ready.config.auth_info.exec.take() {
        run(system, &program, &mut ready).await?;
    }
    let auth = &mut ready.config.auth_info;
    if auth.auth_provider.take().is_some() && auth.token.is_none() {
        return Err(unusable(system, "its user logs in by an `auth-provider`, which Kubernetes gave up in 1.26").next(
            "give the user an `exec` instead: `aws eks update-kubeconfig`, `gke-gcloud-auth-plugin`, `kubelogin`",
        ));
    }
    Ok(ready)
}

/// The account of the pod that Mayday runs in
/// (<https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api>).
async fn in_pod(system: &str, host: &Host) -> Result<Ready, Fault> {
    let (Some(name), port) = (host.variable("KUBERNETES_SERVICE_HOST"), host.variable("KUBERNETES_SERVICE_PORT"))
    else {
        return Err(unusable(system, "there is no kubeconfig on this host, and it is no pod of a cluster either"));
    };
    let name = if name.contains(':') { format!("[{name}]") } else { name };
    let url = format!("https://{name}:{}", port.as_deref().unwrap_or("443")).parse();
    let url =
        url.map_err(|_| unusable(system, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address"))?;
    let mut config = Config::new(url);
    let authority = host.account.join("ca.crt");
    config.root_cert = Some(authorities(system, &authority.display().to_string(), &text(system, &authority).await?)?);
    let token = text(system, &host.account.join("token")).await?;
    config.auth_info.token = Some(String::from_utf8_lossy(&token).trim().to_owned().into());
    // The kubelet writes a new one long before the old one ends.
    ready(system, config, None, host, Some(Instant::now() + ROTATED))
}

pub fn unusable(system: &str, why: &str) -> Fault {
    Fault::permanent(system, format!("no client can be made: {}", clean(why)))
        .means("this cluster can neither be watched nor changed")
        .next("see `kubectl config get-contexts`, then retry")
}

async fn text(system: &str, path: &Path) -> Result<Arc<Zeroizing<Vec<u8>>>, Fault> {
    let bytes = apart::file(path, MOST).await;
    bytes.map_err(|kind| unusable(system, &format!("{} cannot be read: {kind}", path.display())))
}

/// The certificates of a PEM file.
fn authorities(system: &str, place: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found.iter().map(|it| it.to_vec()).collect()),
        _ => Err(unusable(system, &format!("{place} holds no certificate (PEM)"))),
    }
}

/// Puts what stands in files into the config.
async fn files(system: &str, host: &Host, ready: &mut Ready) -> Result<(), Fault> {
    let auth = &mut ready.config.auth_info;
    let text = async |path: &str| text(system, &host.path(path)).await;
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
        ready.renew = Some(Instant::now() + ROTATED);
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
    let left = child::output(command(program, ready), MOST, PATIENCE).await;
    let left = left.map_err(|it| lost(it.words(PATIENCE)))?;
    if !left.status.success() {
        let said = hush(program, &left.printed, &left.complaint);
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
    let now = jiff::Timestamp::now();
    if let Some(end) = credential.expiration_timestamp.filter(|end| *end <= now) {
        return Err(lost(format!("printed a credential that ended at {end}, before it was printed")));
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
        let left = Duration::from_secs_f64(seconds_between(now, end).max(0.0));
        // One that is short-lived is renewed at half of its life.
        ready.renew = Some(Instant::now() + left.saturating_sub(EARLY).max(left / 2));
        ready.until = Some(Instant::now() + left);
    }
    Ok(())
}

fn command(program: &ExecConfig, ready: &Ready) -> Command {
    let config = &ready.config;
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

/// A complaint without anything that the kubeconfig gave the program, and without a token that it printed before it failed.
fn hush(program: &ExecConfig, printed: &[u8], complaint: &str) -> String {
    let arguments = program.args.iter().flatten().map(String::as_str);
    let after = arguments.clone().filter_map(|it| it.split_once('=').map(|(_, value)| value));
    let printed: Option<Printed> = serde_json::from_slice(printed).ok();
    let tokens = printed.and_then(|it| it.status).map(|it| [it.token, it.client_key_data]);
    let tokens: Vec<String> = tokens.into_iter().flatten().flatten().collect();
    let given = arguments.chain(after).chain(variables(program).map(|(_, value)| value));
    let mut given: Vec<&str> = given.chain(tokens.iter().map(String::as_str)).collect();
    // The longest first, so that nothing is left of one that holds another.
    given.sort_by_key(|it| std::cmp::Reverse(it.len()));
    given.iter().filter(|it| it.len() > 3).fold(complaint.to_owned(), |said, it| redact::text(&said, it))
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
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
        let source = Source::Kubeconfig { files: vec![kubeconfig(dir.path(), script)], context: None };
        log_in("k", &source, &host(dir.path(), &[])).await
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

    #[tokio::test]
    async fn a_login_that_is_over_before_it_began_is_none() {
        let fault =
            logged_in(r#"echo '{"status": {"token": "HUSH", "expirationTimestamp": "2020-01-01T00:00:00Z"}}'"#).await;
        let fault = fault.err().unwrap();
        assert!(fault.what.contains("ended at 2020-01-01") && !fault.what.contains("HUSH"), "{fault}");
        let fault =
            logged_in(r#"echo '{"status": {"token": "HUSH-TOKEN"}}'; echo "HUSH-TOKEN of no use" >&2; exit 1"#).await;
        let fault = fault.err().unwrap();
        assert!(fault.what.contains("of no use") && !fault.what.contains("HUSH"), "{fault}");
    }

    #[tokio::test]
    async fn in_a_pod_its_account_is_taken_and_a_kubeconfig_comes_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let account = dir.path().join("account");
        std::fs::create_dir(&account).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["kubernetes".into()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(account.join("token"), "the token\n").unwrap();
        std::fs::write(account.join("ca.crt"), certificate.pem()).unwrap();
        let pod = [("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "443")];
        let nothing = Source::Kubeconfig { files: Vec::new(), context: None };
        for source in [&nothing, &Source::Pod] {
            let ready = log_in("k", source, &host(dir.path(), &pod)).await.unwrap();
            assert_eq!(ready.config.cluster_url.to_string(), "https://[fd00::1]:443/");
            assert!(ready.config.auth_info.token.is_some() && ready.config.root_cert.is_some());
            assert!(ready.renew.is_some(), "the kubelet rotates the token");
        }
        let fault = log_in("k", &nothing, &host(dir.path(), &[])).await.err().unwrap();
        assert!(fault.what.contains("no kubeconfig") && fault.what.contains("no pod"), "{fault}");
        std::fs::write(account.join("ca.crt"), "nothing").unwrap();
        let fault = log_in("k", &Source::Pod, &host(dir.path(), &pod)).await.err().unwrap();
        assert!(fault.what.contains("holds no certificate"), "{fault}");
        std::fs::create_dir_all(dir.path().join("home/.kube")).unwrap();
        let path = kubeconfig(dir.path(), r#"echo '{"status": {"token": "t"}}'"#);
        std::fs::rename(path, dir.path().join("home/.kube/config")).unwrap();
        let ready = log_in("k", &nothing, &host(dir.path(), &pod)).await.unwrap();
        assert_eq!(ready.config.cluster_url.to_string(), "http://127.0.0.1:1/");
    }
}
