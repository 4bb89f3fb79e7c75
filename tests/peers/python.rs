//! Runs a Python script that lies beside these tests, and lines of a shell with the tools that Python installed.

use std::path::Path;

use tokio::process::Command;

/// Which Python there is: `MAYDAY_PEERS_PYTHON`, `python3` if that is not set. Tools it installed lie beside it.
pub fn interpreter() -> String {
    std::env::var("MAYDAY_PEERS_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// Runs `script` with `environment` by [`interpreter`]; its failure is the test's. Answers what was printed.
pub async fn run<'a>(script: &str, environment: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let done =
        Command::new(interpreter()).arg("-B").arg(&script).envs(environment).output().await.expect("Python starts");
    let said = [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)].concat();
    assert!(done.status.success(), "{} failed:\n{said}", script.display());
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Pastes `lines` into a shell that has the `aws` command and the lab's credentials. Answers what was printed.
pub async fn paste<'a>(lines: Vec<String>, environment: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let (folder, python) = (tempfile::tempdir().unwrap(), interpreter());
    let tools = Path::new(&python).parent().unwrap_or(Path::new(""));
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let credentials = [
        ("AWS_ACCESS_KEY_ID", "LABKEY"),
        ("AWS_SECRET_ACCESS_KEY", "labsecret"),
        ("AWS_DEFAULT_REGION", mayday::lab::PRIMARY),
    ];
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &lines.join("\n")])
        .current_dir(folder.path())
        .env("PATH", path)
        .envs(environment)
        .envs(credentials)
        .output()
        .await
        .expect("bash starts");
    let said = [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)].concat();
    assert!(done.status.success(), "{}\n{said}", lines.join("\n"));
    said
}
