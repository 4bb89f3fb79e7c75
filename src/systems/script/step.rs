//! A command as a step. What it did is known as far as its own `observe` and `verify` commands tell.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::Value;

use super::keeper::By;
use super::process::{Around, Ended, Waiting, run, typed};
use super::{CWD, KIND, SECRET, SECRET_BY, named};
use crate::domain::params::SecretRef;
use crate::domain::plan::StepSpec;
use crate::domain::process::{Fate, Process};
use crate::domain::system::{Begun, Checked, Fault, Guard, Observed, Preview, Receipt, Step, StepLog, Verified};
use crate::domain::text::clean;
use crate::outbound::program::is_found;
use crate::outbound::secret;
use crate::outbound::tree::fate;

/// How long `observe` and `verify` may take.
const LOOK: Duration = Duration::from_secs(20);
/// "Nothing happened, try later" (`EX_TEMPFAIL` of sysexits.h).
const LATER: i32 = 75;
/// The receipt's word for the exit code.
const EXIT: &str = "exit";

/// What `observe` and `verify` say by their exit code; `kinds` tells it in the help of the parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    NotYet,
    UnderWay,
    Never,
}

pub struct Script {
    command: Vec<String>,
    observe: Vec<String>,
    verify: Vec<String>,
    revert: Vec<String>,
    own: BTreeMap<&'static str, String>,
    only: Option<Vec<String>>,
    cwd: Option<String>,
    secret: Option<SecretRef>,
    by: By,
    /// A little less than the engine waits, so that the end can be told.
    patience: Duration,
}

impl Script {
    pub fn new(spec: &StepSpec) -> Self {
        let list = |name| spec.params.list(name);
        let region = spec.region.as_ref().map(ToString::to_string).unwrap_or_default();
        Self {
            command: list("command"),
            observe: list("observe"),
            verify: list("verify"),
            revert: list("revert"),
            own: BTreeMap::from([("MAYDAY_STEP", spec.id.to_string()), ("MAYDAY_REGION", region)]),
            only: named(&spec.params),
            cwd: spec.params.opt_text(CWD.name).map(str::to_owned),
            secret: spec.params.secret(SECRET.name),
            by: if spec.params.opt_text(SECRET_BY.name) == Some("descriptor") { By::Descriptor } else { By::Stdin },
            patience: spec.timeout.0.mul_f64(0.95),
        }
    }

    /// What is around each of its commands. All of them are handed the secret: who looks may have to log in, too.
    async fn around(&self) -> Result<Around, Fault> {
        let secret = secret::read_opt(self.secret.as_ref(), KIND.name).await?.map(|secret| (secret, self.by));
        Ok(Around { own: self.own.clone(), only: self.only.clone(), cwd: self.cwd.clone(), secret })
    }

    /// Runs a command that only looks.
    async fn ask(&self, words: &[String], log: &(dyn Fn(&str) + Send + Sync)) -> Result<(Said, String), Fault> {
        let last = std::sync::Mutex::new(String::new());
        let keep = |line: &str| {
            log(line);
            line.clone_into(&mut last.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        };
        let around = self.around().await?;
        let ended = run(words, &around, LOOK, &keep).await.map_err(unstarted)?;
        let said = match ended {
            Ended::Exited(Ok(0)) => Said::Yes,
            Ended::Exited(Ok(1)) => Said::NotYet,
            Ended::Exited(Ok(2)) => Said::UnderWay,
            Ended::Exited(Ok(3)) => Said::Never,
            other => {
                let what = format!("`{}` {}", typed(words), other.words());
                return Err(Fault::transient(KIND.name, what).next("it has to exit with 0, 1, 2 or 3"));
            }
        };
        let last = last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let words = if last.is_empty() { format!("`{}` {}", typed(words), ended.words()) } else { last };
        Ok((said, words))
    }

    /// Runs a command that changes something, once it is journalled in which process.
    async fn act(&self, words: &[String], log: &dyn StepLog) -> Result<Receipt, Fault> {
        log.line(&typed(words));
        let begun = Instant::now();
        let around = self.around().await?;
        let waiting = Waiting::start(words, &around).map_err(unstarted)?;
        let process = waiting.process().ok_or_else(|| unstarted("it ended before it was begun".into()))?;
        log.runs_as(&process).await?;
        let patience = self.patience.saturating_sub(begun.elapsed());
        let ended = waiting.go(patience, &|line| log.printed(line)).await.map_err(unstarted)?;
        let what = format!("`{}` {}", typed(words), ended.words());
        match ended {
            Ended::Exited(Ok(0)) => Ok(Receipt::from([(EXIT.to_owned(), "0".to_owned())])),
            Ended::Exited(Ok(LATER)) => Err(Fault::transient(KIND.name, what).means("it says that nothing happened")),
            // Not looked at and begun again: what got away may come to its end after any look.
            Ended::Unkept => Err(Fault::permanent(KIND.name, what)
                .means("it may still do its work, so it is not begun again by itself")
                .next("look by hand; then retry the step, or call it done")),
            _ => Err(Fault::ambiguous(KIND.name, what)
                .means("it may have done a part of its work")
                .next("read its output, and look at what it was to change")),
        }
    }
}

impl Script {
    /// Whether the folder is there that it is run in.
    fn place(&self) -> Option<Guard> {
        let cwd = self.cwd.as_ref()?;
        Some(match std::fs::metadata(cwd) {
            Ok(found) if found.is_dir() => Guard::pass("folder", format!("{} is there", clean(cwd))),
            Ok(_) => Guard::block("folder", format!("{} is no folder", clean(cwd))),
            Err(error) => Guard::block("folder", format!("{} cannot be entered: {}", clean(cwd), error.kind())),
        })
    }

    /// Whether the variables are set that it gets.
    fn variables(&self) -> Option<Guard> {
        let names = self.only.as_ref()?;
        let missing: Vec<String> =
            names.iter().filter(|name| std::env::var_os(name).is_none()).map(|name| clean(name)).collect();
        Some(match missing.is_empty() {
            true => Guard::pass("variables", format!("all {} variables are set", names.len())),
            false => Guard::warn("variables", format!("not set where the engine runs: {}", missing.join(", "))),
        })
    }
}

/// The process that the latest attempt runs in, by the journal, and what became of it.
fn attempt(begun: Option<&Begun>) -> Option<(&Process, Fate)> {
    let process = begun?.process.as_ref()?;
    Some((process, fate(process)))
}

fn lives(process: &Process) -> String {
    format!("process {} of an earlier attempt still runs", process.pid)
}

/// Why "not done" is not believed: what was begun may still come to its end. `None` when nothing can come any more.
fn may_come(begun: Option<&Begun>) -> Option<String> {
    let (process, fate) = attempt(begun)?;
    let pid = process.pid;
    match fate {
        Fate::Ended => None,
        Fate::Lives => Some(lives(process)),
        Fate::Left => Some(format!("process {pid} of an earlier attempt has ended, but what it started still runs")),
        Fate::Unknown => {
            Some(format!("process {pid} of an earlier attempt ran on {}: it may still run there", clean(&process.host)))
        }
    }
}

fn unstarted(why: String) -> Fault {
    Fault::permanent(KIND.name, why).means("nothing happened").next("see whether the engine's user can run it")
}

#[async_trait]
impl Step for Script {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        // What is seen in the middle of it is neither done nor not done.
        if let Some((process, Fate::Lives)) = attempt(begun) {
            return Ok(Observed::InProgress { detail: lives(process) });
        }
        if self.observe.is_empty() {
            return Ok(Observed::Unknowable { why: "the step has no `observe` command".into() });
        }
        let (said, detail) = self.ask(&self.observe, &|_| {}).await?;
        Ok(match said {
            Said::Yes => Observed::Done { detail },
            Said::NotYet => match may_come(begun) {
                None => Observed::NotDone { detail },
                Some(why) => Observed::Unknowable { why: format!("not done yet: {detail}; {why}") },
            },
            Said::UnderWay => Observed::InProgress { detail },
            Said::Never => Observed::Impossible { why: detail },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let diff = vec![format!("+{}", typed(&self.command))];
        Ok(Preview { summary: format!("run {}", typed(&self.command)), diff, pre_image: Value::Null })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let commands = [&self.command, &self.observe, &self.verify, &self.revert];
        let missing: Vec<&str> = commands
            .into_iter()
            .filter_map(|words| words.first())
            .map(String::as_str)
            .filter(|it| !is_found(it))
            .collect();
        let program = match missing.as_slice() {
            [] => Guard::pass("program", "every program of the step is there"),
            missing => Guard::block("program", format!("not found: {}", missing.join(", "))),
        };
        let observed = match self.observe.is_empty() {
            true => Guard::warn("observable", "no `observe` command: after a crash a human has to say whether it ran"),
            false => Guard::pass("observable", "its effect can be observed"),
        };
        let guards = [program, observed].into_iter().chain(self.place()).chain(self.variables()).collect();
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        self.act(&self.command, log).await
    }

    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        let words = if self.verify.is_empty() { &self.observe } else { &self.verify };
        if words.is_empty() {
            let ran = begun.receipt.contains_key(EXIT);
            let detail = if ran { "exited with 0; nothing else tells of it" } else { "nothing tells whether it ran" };
            return Ok(match ran {
                true => Verified::Holds { detail: detail.into(), recovery_point: None },
                false => Verified::Pending { detail: detail.into() },
            });
        }
        let (said, detail) = self.ask(words, &|line| log.line(line)).await?;
        Ok(match said {
            Said::Yes => Verified::Holds { detail, recovery_point: None },
            Said::NotYet | Said::UnderWay => Verified::Pending { detail },
            Said::Never => Verified::Broken { why: detail },
        })
    }

    fn still_runs(&self, begun: &Begun) -> bool {
        matches!(attempt(Some(begun)), Some((_, Fate::Lives)))
    }

    async fn taken_back(&self, begun: &Begun) -> Result<Observed, Fault> {
        if let Some((process, Fate::Lives)) = attempt(Some(begun)) {
            return Ok(Observed::InProgress { detail: lives(process) });
        }
        if self.observe.is_empty() {
            return Ok(Observed::Unknowable { why: "the step has no `observe` command".into() });
        }
        let (said, detail) = self.ask(&self.observe, &|_| {}).await?;
        Ok(match said {
            Said::Yes => match may_come(Some(begun)) {
                None => Observed::NotDone { detail },
                Some(why) => Observed::Unknowable { why: format!("still in effect: {detail}; {why}") },
            },
            Said::NotYet => Observed::Done { detail },
            Said::UnderWay => Observed::InProgress { detail },
            Said::Never => Observed::Impossible { why: detail },
        })
    }

    async fn revert(&self, _begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        match self.revert.is_empty() {
            true => Err(Fault::permanent(KIND.name, "the step has no `revert` command").next("take it back by hand")),
            false => self.act(&self.revert, log).await,
        }
    }

    fn by_hand(&self) -> Vec<String> {
        let mut lines = vec![typed(&self.command)];
        let check = if self.verify.is_empty() { &self.observe } else { &self.verify };
        if !check.is_empty() {
            lines.push("# 0: done, 1: not yet, 2: under way, 3: it will not come".into());
            lines.push(format!("{}; echo $?", typed(check)));
        }
        lines
    }
}
