//! What an editor knows of Mayday's files: Taplo, which completes and checks TOML in editors, follows the `#:schema` line of a config that
//! `mayday init` writes.

use std::fs;
use std::path::Path;

use tokio::process::Command;

use crate::python::interpreter;

/// Whether Taplo finds nothing wrong, and what it says.
async fn checked(file: &Path) -> (bool, String) {
    let taplo = Path::new(&interpreter()).with_file_name("taplo");
    let done = Command::new(taplo).arg("check").arg(file).output().await.expect("taplo starts");
    (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[tokio::test]
#[ignore = "needs Taplo: .ci/run installs it"]
async fn an_editor_takes_what_init_writes_and_marks_what_check_would_refuse() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, slips) in [
        ("--minimal", [("role = \"standby\"", "role = \"standy\""), ("[estate]", "[estate]\ncolour = \"red\"")]),
        ("--example", [("tier = \"critical\"", "tier = \"critcal\""), ("every = ", "evry = ")]),
    ] {
        let file = dir.path().join(format!("{}.toml", kind.trim_start_matches('-')));
        let init = Command::new(env!("CARGO_BIN_EXE_mayday")).args(["init", kind]).arg(&file).output().await.unwrap();
        assert!(init.status.success(), "{init:?}");
        let (sound, said) = checked(&file).await;
        assert!(sound, "{kind}: {said}");
        let text = fs::read_to_string(&file).unwrap();
        for (right, wrong) in slips {
            assert!(text.contains(right), "{kind} has no {right}");
            fs::write(&file, text.replacen(right, wrong, 1)).unwrap();
            let (sound, said) = checked(&file).await;
            assert!(!sound, "{kind}: {wrong} was taken: {said}");
        }
    }
}
