//! `mayday check --connect`: what came of trying each address, credential and permission of the config once.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::text::table;
use crate::domain::comms::IN_PART;
use crate::domain::health::{Reading, Status};
use crate::domain::system::{Fault, FaultClass, Guard, GuardVerdict};

/// What one try came to, in the order of concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Ok,
    /// Not tried: it would change something.
    Skipped,
    Warn,
    /// It could not be told.
    Unknown,
    Failed,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "not tried",
            Self::Warn => "warning",
            Self::Unknown => "unknown",
            Self::Failed => "FAILED",
        }
    }
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tried {
    pub outcome: Outcome,
    /// `probe`, `datastore`, `backup`, `permission`, `channel`, `on-call`
    pub what: &'static str,
    /// Of which system, service or channel.
    pub of: String,
    /// Which one of it.
    pub name: String,
    /// What was seen, or why nothing was.
    pub seen: String,
    /// What to do about it; empty when there is nothing.
    pub next: String,
}

impl Tried {
    pub fn new(outcome: Outcome, what: &'static str, of: &str, name: &str, words: &str) -> Self {
        // What is said with its remedy is told apart from it.
        let (seen, next) = words.split_once(" → ").unwrap_or((words, ""));
        Self { outcome, what, of: of.into(), name: name.into(), seen: seen.into(), next: next.into() }
    }

    pub fn reading(of: &str, name: &str, reading: &Reading) -> Self {
        let outcome = match reading.status {
            Status::Healthy => Outcome::Ok,
            Status::Degraded => Outcome::Warn,
            Status::Down => Outcome::Failed,
            Status::Unknown => Outcome::Unknown,
        };
        Self::new(outcome, "probe", of, name, &reading.detail)
    }

    /// A refusal leaves open what is behind it; silence does not.
    pub fn fault(what: &'static str, of: &str, name: &str, fault: &Fault) -> Self {
        let outcome = match fault.class {
            FaultClass::Transient => Outcome::Failed,
            // It works, and not for all.
            _ if fault.means.starts_with(IN_PART) => Outcome::Warn,
            _ => Outcome::Unknown,
        };
        let means = if fault.means.is_empty() { String::new() } else { format!(" — {}", fault.means) };
        Self { next: fault.next.clone(), ..Self::new(outcome, what, of, name, &format!("{}{means}", fault.what)) }
    }

    pub fn guard(what: &'static str, of: &str, name: &str, guard: &Guard) -> Self {
        let outcome = match guard.verdict {
            GuardVerdict::Pass => Outcome::Ok,
            GuardVerdict::Warn => Outcome::Warn,
            GuardVerdict::Block => Outcome::Failed,
        };
        Self::new(outcome, what, of, name, &format!("{}: {}", guard.name, guard.detail))
    }
}

/// Whether something does not work, or nobody knows.
pub fn fails(tried: &[Tried]) -> bool {
    tried.iter().any(|it| it.outcome >= Outcome::Unknown)
}

/// For people: the worst first, each with what to do.
///
/// # Errors
/// When `out` cannot be written to.
pub fn text(tried: &[Tried], out: &mut impl Write) -> io::Result<()> {
    let mut rows: Vec<&Tried> = tried.iter().collect();
    rows.sort_by_key(|it| std::cmp::Reverse(it.outcome));
    let cells = |it: &&Tried| {
        let next = if it.next.is_empty() { String::new() } else { format!(" → {}", it.next) };
        vec![it.outcome.word().into(), it.what.into(), it.of.clone(), it.name.clone(), format!("{}{next}", it.seen)]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    write!(out, "\n{}", table(&["", "tried", "of", "", "seen → what to do"], &rows))?;
    let count = |from: Outcome| tried.iter().filter(|it| it.outcome == from).count();
    let (all, failed, unknown) = (tried.len(), count(Outcome::Failed), count(Outcome::Unknown));
    writeln!(
        out,
        "\n{all} tried, nothing was changed: {failed} failed, {unknown} unknown, {} warnings",
        count(Outcome::Warn)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_says_what_to_do() {
        let refused = Fault::permanent("db", "DescribeDBInstances was refused (403)")
            .means("it was not looked at")
            .next("log in");
        let tried = [
            Tried::reading("db", "db-api", &Reading::healthy("available")),
            Tried::reading(
                "db",
                "db-api",
                &Reading::unknown("no credentials: not logged in → aws sso login --profile x"),
            ),
            Tried::fault("datastore", "db", "survey", &refused),
            Tried::fault("channel", "mail", "relay", &Fault::transient("mail", "nobody answers")),
            Tried::guard("permission", "db", "promote", &Guard::warn("credentials", "end soon")),
        ];
        let outcomes: Vec<Outcome> = tried.iter().map(|it| it.outcome).collect();
        assert_eq!(outcomes, [Outcome::Ok, Outcome::Unknown, Outcome::Unknown, Outcome::Failed, Outcome::Warn]);
        assert_eq!(
            (tried[1].seen.as_str(), tried[1].next.as_str()),
            ("no credentials: not logged in", "aws sso login --profile x")
        );
        assert!(fails(&tried) && !fails(&tried[..1]) && !fails(&tried[4..]));
        let mut out = Vec::new();
        text(&tried, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let at = |part: &str| out.find(part).unwrap_or_else(|| panic!("no `{part}` in\n{out}"));
        assert!(at("FAILED") < at("unknown") && at("unknown") < at("warning"), "{out}");
        assert!(
            out.contains("(403) — it was not looked at → log in") && out.contains("1 failed, 2 unknown, 1 warnings"),
            "{out}"
        );
    }
}
