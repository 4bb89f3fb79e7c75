//! Whether a drill that is said to have passed was played: its evidence is read again, and the journal that it was played in is folded.
//! A word over the socket is not enough: the schedule, the forecast and an auditor rest on it. Somebody who forges a whole journal is not
//! found out by this; somebody who only says so is.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::domain::drill::DrillResult;
use crate::domain::event::{Event, Record};
use crate::domain::run::{Mode, Outcome, Run};
use crate::domain::state::State;
use crate::domain::text::clean;
use crate::domain::time::{At, after};

/// More of a file is not read: a journal of a drill has a few megabytes.
const LARGEST: u64 = 256 << 20;
/// So far may the clocks of the drill's process and of its engine lie apart.
const APART: Duration = Duration::from_secs(60);

/// Holds a result against the bundle that it names.
///
/// # Errors
/// What speaks against it, in a few words.
pub fn check(result: &DrillResult, now: At) -> Result<(), String> {
    let folder = Path::new(&result.bundle);
    if !folder.is_absolute() {
        return Err("it names no folder with its evidence".into());
    }
    let told: Value = serde_json::from_reader(open(&folder.join("evidence.json"))?)
        .map_err(|error| format!("its evidence cannot be read: {}", clean(&error.to_string())))?;
    let told: DrillResult = serde_json::from_value(told["evidence"]["result"].clone())
        .map_err(|error| format!("its evidence cannot be read: {}", clean(&error.to_string())))?;
    if told != *result {
        return Err("its evidence says something else".into());
    }
    played(result, &records(&folder.join("journal.jsonl"))?, now)
}

/// A file of the bundle; what is none (a pipe, a device) is not waited for.
fn open(path: &Path) -> Result<impl BufRead, String> {
    let unread =
        |error: std::io::Error| format!("{} cannot be read by the engine: {error}", clean(&path.display().to_string()));
    let is_file = path.metadata().map_err(unread)?.is_file();
    let file = if is_file { File::open(path) } else { Err(std::io::ErrorKind::InvalidInput.into()) };
    Ok(BufReader::new(file.map_err(unread)?.take(LARGEST)))
}

fn records(path: &Path) -> Result<Vec<Record>, String> {
    let mut records = Vec::new();
    for line in open(path)?.lines() {
        let line = line.map_err(|error| format!("its journal cannot be read: {error}"))?;
        let record: Record = serde_json::from_str(&line)
            .map_err(|error| format!("its journal cannot be read: {}", clean(&error.to_string())))?;
        records.push(record);
    }
    Ok(records)
}

/// Whether the journal tells of this drill: begun when it says, of its plan, played to its end with every step, and verified.
fn played(result: &DrillResult, records: &[Record], now: At) -> Result<(), String> {
    let mut state = State::default();
    for record in records {
        if record.seq != state.seq + 1 {
            return Err(format!("its journal has no record {} in its place", state.seq + 1));
        }
        state.apply(record);
    }
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return Err("its journal is empty".into());
    };
    if after(first.at, APART) < result.started_at || last.at > after(now, APART) {
        return Err("its journal is of another time".into());
    }
    let Some(run) = &state.run else { return Err("its journal tells of no run".into()) };
    if run.plan.id != result.plan || run.mode != Mode::Drill {
        return Err(format!(
            "its journal tells of {} ({}), and not of a drill of {}",
            run.plan.id, run.mode, result.plan
        ));
    }
    if run.outcome != Some(Outcome::Completed) {
        return Err("the run in its journal was not completed".into());
    }
    let verified = |record: &Record| matches!(&record.event, Event::StepVerified { run: of, .. } if *of == run.id);
    if !records.iter().any(verified) || !same_steps(result, run) {
        return Err("its journal tells of other steps".into());
    }
    Ok(())
}

/// Whether the result has the time of exactly those steps that were done.
fn same_steps(result: &DrillResult, run: &Run) -> bool {
    let timed = run.in_order().filter(|(_, step)| step.begun.is_some() && step.ended_at.is_some());
    let timed: Vec<_> = timed.map(|(spec, _)| &spec.id).collect();
    timed.len() == result.steps.len() && timed.iter().all(|id| result.steps.contains_key(*id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::domain::drill::{Cadence, Stage};

    fn result(folder: &Path) -> DrillResult {
        DrillResult {
            name: "monthly".into(),
            cadence: Cadence::Monthly,
            plan: "failover".into(),
            scenario: "region-dark".into(),
            estate: "lab".into(),
            pace: 1,
            started_at: At::UNIX_EPOCH,
            passed: true,
            stages: Stage::ALL.iter().map(|stage| (*stage, true, String::new())).collect(),
            rto: BTreeMap::new(),
            rpo: BTreeMap::new(),
            steps: [("dns".into(), 1.5)].into(),
            left_behind: Vec::new(),
            bundle: folder.display().to_string(),
        }
    }

    fn write(folder: &Path, result: &DrillResult, journal: &str) {
        let evidence = serde_json::json!({ "evidence": { "result": result } });
        fs::write(folder.join("evidence.json"), evidence.to_string()).unwrap();
        fs::write(folder.join("journal.jsonl"), journal).unwrap();
    }

    /// The journal of a drill of one step, up to one of its records.
    fn journal(plan: &str, records: usize) -> String {
        let plan =
            serde_json::json!({ "id": plan, "title": "Failover", "about": "", "fingerprint": "f", "steps": [step()] });
        let of = |mut event: Value| {
            event["run"] = "R".into();
            event
        };
        let step = |kind: &str, mut event: Value| {
            event["type"] = kind.into();
            event["step"] = "dns".into();
            event
        };
        let events = [
            serde_json::json!({ "type": "run-started", "plan": plan, "mode": "drill", "reason": "", "unattended": true }),
            step("step-applying", serde_json::json!({ "attempt": 1 })),
            step("step-verified", serde_json::json!({ "detail": "there", "point": null })),
            serde_json::json!({ "type": "run-ended", "outcome": "completed", "reason": "" }),
        ];
        let lines = events.into_iter().take(records).enumerate().map(|(at, event)| {
            let actor = serde_json::json!({ "name": "mayday", "uid": null });
            serde_json::json!({ "seq": at + 1, "at": "1970-01-01T00:00:10Z", "actor": actor, "event": of(event) })
                .to_string()
                + "\n"
        });
        lines.collect()
    }

    fn step() -> Value {
        serde_json::json!({
            "id": "dns", "title": "Move", "kind": "test.moves", "system": "db", "needs": [], "gate": "auto", "yes": false,
            "timeout": "1m", "phrase": "db", "role": "measures", "undo": "nothing", "params": {},
        })
    }

    #[test]
    fn a_result_is_believed_for_its_journal_and_not_for_its_word() {
        let dir = tempfile::tempdir().unwrap();
        let (claim, now) = (result(dir.path()), At::UNIX_EPOCH);
        let refused = |why: &str| {
            let said = check(&claim, now).unwrap_err();
            assert!(said.contains(why), "{said}");
        };
        refused("cannot be read");
        write(dir.path(), &DrillResult { passed: false, ..claim.clone() }, &journal("failover", 4));
        refused("says something else");
        for (plan, records, why) in [
            ("failover", 0, "is empty"),
            ("failover", 3, "was not completed"),
            ("failback", 4, "and not of a drill of failover"),
        ] {
            write(dir.path(), &claim, &journal(plan, records));
            refused(why);
        }
        let whole = journal("failover", 4);
        let cut: String =
            whole.lines().filter(|line| !line.contains("step-verified")).map(|line| format!("{line}\n")).collect();
        write(dir.path(), &claim, &cut);
        refused("no record 3");
        let more = DrillResult { steps: [("dns".into(), 1.5), ("promote".into(), 2.0)].into(), ..claim.clone() };
        write(dir.path(), &more, &whole);
        assert!(check(&more, now).unwrap_err().contains("other steps"));
        let late = DrillResult { started_at: "1970-01-02T00:00:00Z".parse().unwrap(), ..claim.clone() };
        write(dir.path(), &late, &whole);
        assert!(check(&late, now).unwrap_err().contains("another time"));
        let astray = DrillResult { bundle: "drills/x".into(), ..claim.clone() };
        assert!(check(&astray, now).unwrap_err().contains("names no folder"));
        write(dir.path(), &claim, &whole);
        check(&claim, now).unwrap();
    }
}
