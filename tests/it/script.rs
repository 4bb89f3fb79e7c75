//! Commands as probes and steps: exit codes, output, and processes that do not end.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mayday::domain::health::Status;
use mayday::domain::process::Process;
use mayday::domain::system::{Fault, FaultClass, GuardVerdict, Observed, Receipt, Step, StepLog, Verified};
use mayday::lab::STANDBY;
use mayday::outbound::tree::identity;
use serde_json::{Value, json};

use crate::common::{Log, begun, connect, eventually, probe, step};

fn sh(script: &str) -> Value {
    json!(["sh", "-c", script])
}

fn script(kind: &str, given: Value) -> Arc<dyn Step> {
    step(&*connect("script", None, json!({})), kind, STANDBY, given)
}

#[tokio::test]
async fn a_probe_reads_exit_codes_as_nagios_does() {
    let system = connect("script", None, json!({}));
    let look = async |command: Value| system.probe(&probe("script.run", json!({ "command": command }))).await;
    for (code, status) in
        [(0, Status::Healthy), (1, Status::Degraded), (2, Status::Down), (3, Status::Unknown), (9, Status::Unknown)]
    {
        let reading = look(sh(&format!("echo DISK; echo more; exit {code}"))).await;
        assert_eq!((reading.status, reading.detail.as_str()), (status, "DISK"), "exit {code}");
    }
    assert_eq!(look(sh("kill -9 $$")).await.status, Status::Unknown);
    assert_eq!(look(json!(["/nowhere/program"])).await.status, Status::Unknown);
    assert_eq!(look(json!(["printf", "$HOME"])).await.detail, "$HOME", "no shell reads it");
}

#[tokio::test]
async fn a_command_counts_what_is_held_until_a_moment() {
    let system = connect("script", None, json!({}));
    let until = "2026-11-23T03:00:00Z".parse().unwrap();
    let count =
        async |script: &str| system.tally(&probe("script.count", json!({ "command": sh(script) })), until).await;
    let tally = count(r#"printf '{"%s": {"count": 7}}' "$MAYDAY_UNTIL""#).await.unwrap();
    assert_eq!(tally["2026-11-23T03:00:00Z"].count, 7);
    for wrong in ["echo '{}'", "echo nothing", "echo '{\"a\": {\"count\": 1}}'; exit 1"] {
        assert_eq!(count(wrong).await.unwrap_err().class, FaultClass::Transient, "{wrong}");
    }
}

#[tokio::test]
async fn a_step_converges_by_its_own_commands() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("done").display().to_string();
    let given = json!({
        "command": sh(&format!("echo working for $MAYDAY_REGION; echo oops >&2; touch {file}")),
        "observe": sh(&format!("test -e {file}")),
        "revert": ["rm", file],
    });
    let step = script("script.run-reversible", given);
    assert!(matches!(step.observe(None).await.unwrap(), Observed::NotDone { .. }));
    assert!(step.check().await.unwrap().guards.iter().all(|guard| guard.verdict == GuardVerdict::Pass));
    let log = Log::default();
    let receipt = step.apply(&Value::Null, &log).await.unwrap();
    let lines = log.0.lock().unwrap().clone();
    assert!(lines.contains(&"working for us-west-2".into()) && lines.contains(&"oops".into()), "{lines:?}");
    let begun = begun(Value::Null, receipt);
    assert!(matches!(step.observe(Some(&begun)).await.unwrap(), Observed::Done { .. }));
    assert!(matches!(step.verify(&begun, &log).await.unwrap(), Verified::Holds { .. }));
    step.revert(&begun, &log).await.unwrap();
    assert!(matches!(step.observe(Some(&begun)).await.unwrap(), Observed::NotDone { .. }));
}

/// A password is no argument, no variable, and nothing that is printed.
#[tokio::test]
async fn a_secret_is_handed_over_and_taken_out_of_what_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let secret = json!({ "command": ["printf", "hunter2-and-more"] });
    for (by, read) in [("stdin", "got=$(cat)"), ("descriptor", "got=$(cat \"$MAYDAY_SECRET\")")] {
        let script_text = format!("{read}; echo \"$got\" > {by}; pwd; echo \"it is $got\"; env");
        let given = json!({ "command": sh(&script_text), "secret": secret, "secret_by": by, "cwd": dir.path(), "env": ["LANG"] });
        let log = Log::default();
        script("script.run", given).apply(&Value::Null, &log).await.unwrap();
        let lines = log.0.lock().unwrap().clone();
        assert_eq!(std::fs::read_to_string(dir.path().join(by)).unwrap(), "hunter2-and-more\n", "{by}");
        assert!(lines.contains(&"it is …".into()) && !lines.concat().contains("hunter2"), "{by}: {lines:?}");
        assert!(
            lines.iter().any(|line| line.ends_with(dir.path().file_name().unwrap().to_str().unwrap())),
            "{lines:?}"
        );
        let names = |line: &&String| line.starts_with("HOME=") || line.starts_with("USER=");
        assert!(!lines.iter().any(|line| names(&line)), "by its names, and nothing else: {lines:?}");
    }
    let without = script("script.run", json!({ "command": sh("cat; echo end; test -z \"$MAYDAY_SECRET\"") }));
    without.apply(&Value::Null, &Log::default()).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_known_before() {
    let step = script("script.run", json!({ "command": ["true"], "cwd": "/nowhere", "env": ["MAYDAY_NO_SUCH_NAME"] }));
    let guards = step.check().await.unwrap().guards;
    let of = |name: &str| guards.iter().find(|guard| guard.name == name).unwrap();
    assert_eq!((of("folder").verdict, of("variables").verdict), (GuardVerdict::Block, GuardVerdict::Warn));
    assert_eq!(step.apply(&Value::Null, &Log::default()).await.unwrap_err().class, FaultClass::Permanent);
}

#[tokio::test]
async fn without_observe_nobody_guesses() {
    let step = script("script.run", json!({ "command": ["true"] }));
    assert!(matches!(step.observe(None).await.unwrap(), Observed::Unknowable { .. }));
    let crashed = begun(Value::Null, Receipt::new());
    assert!(matches!(step.observe(Some(&crashed)).await.unwrap(), Observed::Unknowable { .. }));
    assert!(matches!(step.verify(&crashed, &Log::default()).await.unwrap(), Verified::Pending { .. }));
    let ran = begun(Value::Null, step.apply(&Value::Null, &Log::default()).await.unwrap());
    assert!(matches!(step.verify(&ran, &Log::default()).await.unwrap(), Verified::Holds { .. }));
    assert!(step.revert(&ran, &Log::default()).await.is_err());
}

#[tokio::test]
async fn a_failure_is_classed_by_what_may_have_happened() {
    let class = async |command: Value| {
        let step = script("script.run", json!({ "command": command }));
        step.apply(&Value::Null, &Log::default()).await.unwrap_err().class
    };
    assert_eq!(class(sh("exit 1")).await, FaultClass::Ambiguous);
    assert_eq!(class(sh("kill -9 $$")).await, FaultClass::Ambiguous);
    assert_eq!(class(sh("exit 75")).await, FaultClass::Transient);
    assert_eq!(class(json!(["/nowhere/program"])).await, FaultClass::Permanent);
    let missing = script("script.run", json!({ "command": ["/nowhere/program"] }));
    assert!(missing.check().await.unwrap().guards.iter().any(|guard| guard.verdict == GuardVerdict::Block));
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_no_process_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let command = sh(&format!("sleep 300 & echo $! > {}; wait", file.display()));
    let step = script("script.run", json!({ "command": command }));
    let log = Log::default();
    let applying = step.apply(&Value::Null, &log);
    let started = eventually("started", {
        let file = file.clone();
        let mut applying = Box::pin(tokio::time::timeout(Duration::from_millis(400), applying));
        async move || {
            let _ = (&mut applying).await;
            std::fs::read_to_string(&file).ok()
        }
    })
    .await;
    let child = format!("/proc/{}/stat", started.trim());
    eventually("the grandchild is gone", async || {
        // A zombie has ended; who reaps it is not ours to say.
        let stat = std::fs::read_to_string(&child).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_script_leaves_running_does_not_hold_the_step() {
    let step = script("script.run", json!({ "command": sh("sleep 20 & echo started") }));
    let (started, log) = (Instant::now(), Log::default());
    step.apply(&Value::Null, &log).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10), "it waited for what was left behind");
    assert!(log.0.lock().unwrap().contains(&"started".into()));
}

/// A journal that does not take in which process a script would run.
struct Refusing;

#[async_trait::async_trait]
impl StepLog for Refusing {
    fn line(&self, _text: &str) {}
    async fn runs_as(&self, _process: &Process) -> Result<(), Fault> {
        Err(Fault::transient("mayday", "the journal does not take events"))
    }
}

#[tokio::test]
async fn what_cannot_be_journalled_never_runs() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ran").display().to_string();
    let given = json!({ "command": ["touch", file], "revert": ["touch", file] });
    let step = script("script.run-reversible", given);
    assert_eq!(step.apply(&Value::Null, &Refusing).await.unwrap_err().class, FaultClass::Transient);
    let begun = begun(Value::Null, Receipt::new());
    assert_eq!(step.revert(&begun, &Refusing).await.unwrap_err().class, FaultClass::Transient);
    // Whoever stood at the gate has ended: nothing can come any more.
    eventually("nobody is left at the gate", async || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let waits = |entry: std::fs::DirEntry| {
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(&file)
        };
        (!all.into_iter().any(waits)).then_some(())
    })
    .await;
    assert!(!std::path::Path::new(&file).exists());
}

#[tokio::test]
async fn nothing_is_believed_of_a_script_that_may_still_run() {
    let step = script("script.run", json!({ "command": ["true"], "observe": ["false"] }));
    let mut known = begun(Value::Null, Receipt::new());
    assert!(matches!(step.observe(Some(&known)).await.unwrap(), Observed::NotDone { .. }));
    let mut living = std::process::Command::new("sh").args(["-c", "read end"]).stdin(Stdio::piped()).spawn().unwrap();
    known.process = identity(i32::try_from(living.id()).unwrap());
    assert!(step.still_runs(&known));
    assert!(matches!(step.observe(Some(&known)).await.unwrap(), Observed::InProgress { .. }));
    assert!(matches!(step.taken_back(&known).await.unwrap(), Observed::InProgress { .. }));
    living.kill().unwrap();
    living.wait().unwrap();
    assert!(!step.still_runs(&known));
    assert!(matches!(step.observe(Some(&known)).await.unwrap(), Observed::NotDone { .. }));
    assert!(matches!(step.taken_back(&known).await.unwrap(), Observed::Done { .. }));
    // Of another host's processes nothing is known here.
    known.process.as_mut().unwrap().host = "elsewhere".into();
    let Observed::Unknowable { why } = step.observe(Some(&known)).await.unwrap() else { panic!("it was believed") };
    assert!(why.contains("elsewhere"), "{why}");
}

const ESTATE: &str = r#"
plans_dir = "plans"
[estate]
name = "Field"
environment = "test"
[objectives.rto]
critical = "5m"
standard = "15m"
platform = "30m"
[objectives.rpo]
database = "1h"
application-state = "15m"
user-data = "1h"
[[region]]
id = "east"
role = "primary"
[[region]]
id = "west"
role = "standby"
[[service]]
id = "web"
tier = "critical"
[[service.probe]]
kind = "http.get"
region = "east"
url = "http://127.0.0.1:1/"
"#;

/// What `mayday check` says of a plan with one step.
fn planned(step: &str) -> Result<mayday::config::Config, mayday::config::Mistakes> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("plans")).unwrap();
    let head = "title = \"Activate\"\nabout = \"x\"\n\n[[step]]\nid = \"dns\"\ntitle = \"Move\"\ntimeout = \"1m\"\n";
    std::fs::write(dir.path().join("plans/activate.toml"), format!("{head}{step}")).unwrap();
    let origin = dir.path().join("mayday.toml");
    std::fs::write(&origin, ESTATE).unwrap();
    mayday::config::load(&origin, &mayday::wiring::kinds())
}

#[test]
fn a_plan_says_what_its_commands_are_for() {
    let run = "kind = \"script.run\"\ncommand = [\"true\"]\n";
    let config = planned(&format!("{run}role = \"traffic\"\nregion = \"{{standby}}\"\n")).unwrap();
    let step = &config.plans.iter().find(|plan| plan.id.as_str() == "activate").unwrap().steps[0];
    assert_eq!(step.role, mayday::domain::kinds::StepRole::Traffic);
    assert!(step.own_role && step.region.as_ref().is_some_and(|region| region.as_str() == "west"));
    assert!(
        planned(&format!("{run}optional = true\nsecret = {{ env = \"X\" }}\n"))
            .unwrap()
            .plans
            .iter()
            .any(|plan| { plan.steps.iter().any(|step| step.optional) })
    );
    for (more, words) in [
        ("role = \"traffic\"\n", "does not say where to"),
        ("role = \"promotes\"\n", "`role` cannot be `promotes`"),
        ("role = \"traffic\"\nregion = \"west\"\noptional = true\n", "cannot be optional: it moves clients"),
        ("secret = { command = [\"vault\", \"-token=hunter2\"] }\n", "is journalled with each run"),
        ("secret = \"hunter2\"\n", "does not belong in a config file"),
    ] {
        let why = planned(&format!("{run}{more}")).unwrap_err().to_string();
        assert!(why.contains(words), "{more}: {why}");
    }
    let own = "kind = \"http.transaction\"\nurl = \"http://127.0.0.1:1/\"\nrole = \"traffic\"\n";
    assert!(planned(own).unwrap_err().to_string().contains("role"), "a kind that has a role keeps it");
}
