//! `mayday drill`: what is rehearsed, when it is due, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::text::{length, length_or_unknown, table};
use crate::domain::drill::{Cadence, DrillResult};
use crate::domain::ids::StepId;
use crate::domain::schedule::{Drill, DrillSpec, Due, Standing, schedule, trend};
use crate::domain::time::At;
use crate::domain::view::Snapshot;

/// Every drill with its standing.
pub fn due(view: &Snapshot) -> Vec<Due> {
    schedule(&view.estate, &view.state, view.now)
}

/// For programs.
pub fn schedule_json(view: &Snapshot) -> Value {
    json!({ "now": view.now, "under_way": view.state.drill_under_way(view.now), "drills": due(view) })
}

/// For people: the most urgent in words too.
pub fn schedule_text(view: &Snapshot) -> String {
    let all = due(view);
    if all.is_empty() {
        return "No drill is configured, so nobody knows whether the plans work → add a [[drill]] to the config".into();
    }
    let row = |it: &Due| {
        let last = it.last.as_ref().map_or_else(|| "never".to_owned(), |it| outcome(&it.result).into());
        let passed = it.passed_at.map_or_else(|| "never".to_owned(), day);
        let by = if it.spec.automatic { "automatic" } else { "by hand" };
        vec![
            it.spec.name.clone(),
            it.spec.cadence.to_string(),
            it.standing.to_string(),
            day(it.due_at),
            passed,
            last,
            by.into(),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    let mut out = table(&["drill", "cadence", "stands", "due", "passed last", "last", "started"], &rows);
    if let Some(name) = view.state.drill_under_way(view.now) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\nThe engine plays {name} right now.");
    }
    for it in all.iter().filter(|it| is_due(it)) {
        let _ = writeln!(out, "→ mayday drill run {}", it.spec.name);
    }
    out
}

fn is_due(due: &Due) -> bool {
    matches!(due.standing, Standing::Due | Standing::Overdue)
}

/// Whether a drill is due or overdue, or there is none.
pub fn fails(view: &Snapshot) -> bool {
    let all = due(view);
    all.is_empty() || all.iter().any(is_due)
}

pub fn list_json(view: &Snapshot) -> Value {
    json!({ "drills": view.estate.drills, "results": view.state.drills })
}

pub fn list(view: &Snapshot) -> String {
    let row = |it: &DrillSpec| {
        let place = it.estate.clone().unwrap_or_else(|| format!("the lab, {}x", it.speed));
        vec![it.name.clone(), it.cadence.to_string(), it.plan.to_string(), it.scenario.clone(), place]
    };
    let rows: Vec<Vec<String>> = view.estate.drills.iter().map(row).collect();
    let mut out = table(&["drill", "cadence", "plan", "what goes wrong", "played on"], &rows);
    let mut past: Vec<&Drill> = view.state.drills.values().flatten().collect();
    past.sort_by_key(|it| std::cmp::Reverse(it.ended_at));
    if past.is_empty() {
        return out + "\nNothing was rehearsed yet → mayday drill run NAME\n";
    }
    let row = |it: &&Drill| {
        let result = &it.result;
        let slowest = result.rto.values().copied().reduce(f64::max);
        let lost = result.rpo.values().copied().reduce(f64::max);
        vec![
            it.id.to_string(),
            result.name.clone(),
            outcome(result).into(),
            length_or_unknown(slowest),
            length_or_unknown(lost),
            result.bundle.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = past.iter().map(row).collect();
    out += "\n";
    out + &table(&["id", "drill", "came to", "recovered in", "lost", "evidence"], &rows)
}

/// A drill by its id, or the latest of its name.
pub fn find<'v>(view: &'v Snapshot, name: &str) -> Option<&'v Drill> {
    let by_id = view.state.drills.values().flatten().find(|it| it.id.as_str() == name);
    by_id.or_else(|| view.state.drills.get(name)?.back())
}

/// For people: every stage, the measurements, and how each step's time has gone.
pub fn show(view: &Snapshot, drill: &Drill) -> String {
    compose(drill, &trend(&view.state, &drill.result.name))
}

/// The same of a drill that nobody took down.
pub fn show_alone(drill: &Drill) -> String {
    compose(drill, &BTreeMap::new())
}

fn compose(drill: &Drill, trend: &BTreeMap<&StepId, Vec<Option<f64>>>) -> String {
    let result = &drill.result;
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}  {}  {}", drill.id, result.name, outcome(result));
    let _ = writeln!(
        out,
        "{} on {}, {}, began {}",
        result.plan,
        result.estate,
        result.scenario,
        result.started_at.strftime("%F %T UTC")
    );
    let rows: Vec<Vec<String>> = result
        .stages
        .iter()
        .map(|(stage, passed, word)| vec![stage.to_string(), verdict(*passed).into(), word.clone()])
        .collect();
    let _ = write!(out, "\n{}", table(&["stage", "", ""], &rows));
    let rto = result.rto.iter().map(|(tier, seconds)| vec![format!("RTO {tier}"), length(*seconds)]);
    let rpo = result.rpo.iter().map(|(class, seconds)| vec![format!("RPO {class}"), length(*seconds)]);
    let _ = write!(out, "\n{}", table(&["objective", "measured"], &rto.chain(rpo).collect::<Vec<_>>()));
    let row = |(step, seconds): (&StepId, &f64)| {
        let past = trend.get(step).into_iter().flatten();
        let past: Vec<String> = past.map(|it| it.map_or_else(|| "-".into(), length)).collect();
        vec![step.to_string(), length(*seconds), past.join(", ")]
    };
    let _ = write!(
        out,
        "\n{}",
        table(&["step", "took", "in the drills so far"], &result.steps.iter().map(row).collect::<Vec<_>>())
    );
    for what in &result.left_behind {
        let _ = writeln!(out, "LEFT BEHIND: {what}");
    }
    if !result.bundle.is_empty() {
        let _ = writeln!(out, "\nevidence: {}", result.bundle);
    }
    out
}

pub fn outcome(result: &DrillResult) -> &'static str {
    if result.passed { "passed" } else { "FAILED" }
}

pub fn verdict(passed: bool) -> &'static str {
    if passed { "ok" } else { "FAILED" }
}

fn day(at: At) -> String {
    at.strftime("%F").to_string()
}

/// What systemd and cron need to play a drill at its time: `command` plays it.
pub fn timer(spec: &DrillSpec, command: &str) -> String {
    let (calendar, cron) = match spec.cadence {
        Cadence::Monthly => ("monthly", "17 3 1 * *"),
        Cadence::Quarterly => ("quarterly", "17 3 1 1,4,7,10 *"),
        Cadence::Annual => ("yearly", "17 3 1 1 *"),
    };
    let (name, plan) = (&spec.name, &spec.plan);
    format!(
        "# ~/.config/systemd/user/mayday-drill-{name}.service
[Unit]
Description=Mayday drill {name}: {plan}

[Service]
Type=oneshot
ExecStart={command}

# ~/.config/systemd/user/mayday-drill-{name}.timer
[Unit]
Description=Mayday drill {name}, {cadence}

[Timer]
OnCalendar={calendar}
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target

# systemctl --user enable --now mayday-drill-{name}.timer
# or, for cron:
{cron} {command}
",
        cadence = spec.cadence,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_plays_the_drill_at_its_cadence() {
        let spec = DrillSpec::shipped(&"regional-failover".into()).remove(1);
        let text = timer(&spec, "/usr/bin/mayday drill run quarterly");
        assert!(text.contains("OnCalendar=quarterly") && text.contains("Persistent=true"), "{text}");
        assert!(text.contains("ExecStart=/usr/bin/mayday drill run quarterly\n"), "{text}");
        assert!(text.contains("17 3 1 1,4,7,10 * /usr/bin/mayday drill run quarterly\n"), "{text}");
    }
}
