//! Runs a Python script that lies beside these tests.

use std::path::Path;

use tokio::process::Command;

/// Which Python there is: `MAYDAY_PEERS_PYTHON`, `python3` if that is not set. Tools it installed lie beside it.
pub fn interpreter() -> String {
    std::env::var("MAYDAY_PEERS_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// Runs `script` with `environment` by [`interpreter`]; its failure is the test's.
pub async fn run<'a>(script: &str, environment: impl IntoIterator<Item = (&'a str, String)>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script);
    let done = Command::new(interpreter()).arg(&script).envs(environment).output().await.expect("Python starts");
    let said = [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)].concat();
    assert!(done.status.success(), "{} failed:\n{said}", script.display());
}
