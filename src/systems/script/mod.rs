//! Commands of the operator's own, for what Mayday does not know: run without a shell, by the engine's user.
//!
//! Whether a step can be taken back is a property of its kind, because plans and gates rely on it. So there are two: `script.run` is a
//! point of no return, `script.run-reversible` has a command that takes it back.
//!
//! | what a script of old needs | Mayday |
//! |---|---|
//! | variables of its own | `env = ["NAME"]`: these of the engine's, `PATH`, and nothing else; without it the few that hold no secret, and `script_environment` of the policy |
//! | a folder to run in | `cwd` |
//! | a password | `secret`, as its standard input, or by a descriptor; never an argument, never a variable; taken out of what it prints |
//! | to move clients | `role = "traffic"` and `region` on the step: then what serves, the way back, the components of the status page and the guards know it |
//! | a way home after it moved clients | taking the run back (`script.run-reversible`); a mirror image of a command is nothing that can be made: refused, "write failback.toml" |
//! | steps that may fail | `optional = true`: it is told, and the run goes on; refused where clients or data hang on it |
//! | its output afterwards | the last 64 KiB beside the reviews, the last lines in the journal, on the screen and in the review |
//! | to be found again after a crash of the engine | the process is journalled before it does anything; `observe` tells whether it is done |
//! | a shell's own syntax | `command = ["sh", "-c", "…"]` |

pub mod environment;
pub mod keeper;
pub mod process;
mod step;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;

use self::process::{Around, Ended, run};
use self::step::Script;
use crate::domain::checklist::Tally;
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::{Reading, Status};
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, Undo};
use crate::domain::params::Params;
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::text::clean;
use crate::domain::time::At;

const COMMAND: Param = Param::required(
    "command",
    ParamType::Command,
    "program and arguments; 0 is success, 75 says that nothing happened and it may be tried again",
);
const OBSERVE: Param = Param::optional(
    "observe",
    ParamType::Command,
    "tells by its exit code whether it is done: 0 done, 1 not done, 2 in progress, 3 impossible",
);
const VERIFY: Param = Param::optional(
    "verify",
    ParamType::Command,
    "tells whether the effect is there: 0 yes, 1 or 2 not yet, 3 never; `observe` when left out",
);

const ENV: Param = Param::optional(
    "env",
    ParamType::List,
    "the names of variables of the engine that the command gets, besides PATH, and nothing else; PATH, HOME, LANG and the like when left out",
);
const CWD: Param =
    Param::optional("cwd", ParamType::Path, "the folder that it is run in; the engine's own when left out");
const SECRET: Param =
    Param::optional("secret", ParamType::Secret, "what the command is handed; taken out of what it prints");
const SECRET_BY: Param = Param::default(
    "secret_by",
    ParamType::Choice(&["stdin", "descriptor"]),
    "stdin",
    "as its standard input, or by a descriptor that it reads from the path in $MAYDAY_SECRET",
);

const COUNT: &str = "script.count";

/// The variables that a command gets by their names.
fn named(params: &Params) -> Option<Vec<String>> {
    params.0.contains_key(ENV.name).then(|| params.list(ENV.name))
}

pub static KIND: SystemKind = SystemKind {
    name: "script",
    title: "Commands of your own",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[
        ProbeKind {
            name: "script.run",
            title: "A check that exits as Nagios plugins do: 0 ok, 1 warning, 2 critical, 3 unknown",
            params: &[Param::required("command", ParamType::Command, "program and arguments"), ENV, CWD],
        },
        ProbeKind {
            name: COUNT,
            title: "A command counts and sums up what stores hold: compared with the time before an incident",
            params: &[
                Param::required(
                    "command",
                    ParamType::Command,
                    "program and arguments; prints { name: { count, checksum } } as JSON, of what was written until $MAYDAY_UNTIL (RFC 3339)",
                ),
                ENV,
                CWD,
            ],
        },
    ],
    steps: &[
        StepKind {
            name: "script.run",
            title: "Run a command",
            role: StepRole::Changes,
            undo: Undo::PointOfNoReturn,
            instead: "take it back by hand, or use script.run-reversible with a `revert` command",
            params: &[COMMAND, OBSERVE, VERIFY, ENV, CWD, SECRET, SECRET_BY],
        },
        StepKind {
            name: "script.run-reversible",
            title: "Run a command that another one takes back",
            role: StepRole::Changes,
            undo: Undo::Revert,
            instead: "",
            params: &[
                COMMAND,
                OBSERVE,
                VERIFY,
                Param::required("revert", ParamType::Command, "takes it back"),
                ENV,
                CWD,
                SECRET,
                SECRET_BY,
            ],
        },
    ],
    backups: &[],
};

/// Makes the one connection there is: none.
pub struct ScriptFactory;

impl Factory for ScriptFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }
    fn connect(&self, _spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        environment::pass(&around.estate.policy.script_environment);
        Ok(Arc::new(Scripts))
    }
}

struct Scripts;

#[async_trait]
impl System for Scripts {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let (started, first) = (Instant::now(), Mutex::new(String::new()));
        let keep = |line: &str| {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.is_empty() {
                line.clone_into(&mut first);
            }
        };
        let command = spec.params.list("command");
        let around = Around {
            only: named(&spec.params),
            cwd: spec.params.opt_text(CWD.name).map(str::to_owned),
            ..Around::default()
        };
        let ended = match run(&command, &around, spec.timeout.0.mul_f64(0.9), &keep).await {
            Ok(ended) => ended,
            Err(why) => return Reading::unknown(why),
        };
        let status = match ended {
            Ended::Exited(Ok(0)) => Status::Healthy,
            Ended::Exited(Ok(1)) => Status::Degraded,
            Ended::Exited(Ok(2)) => Status::Down,
            _ => Status::Unknown,
        };
        let first = first.into_inner().unwrap_or_else(PoisonError::into_inner);
        let detail = if first.is_empty() { format!("it {}", ended.words()) } else { first };
        Reading::new(status, detail).took(started.elapsed())
    }

    fn tallies(&self, kind: &str) -> bool {
        kind == COUNT
    }

    async fn tally(&self, spec: &ProbeSpec, until: At) -> Result<Tally, Fault> {
        count(spec, until).await
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(KIND.name, "a command holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        match spec.kind.as_str() {
            "script.run" | "script.run-reversible" => Ok(Arc::new(Script::new(spec))),
            other => Err(Fault::permanent(KIND.name, format!("there is no step `{other}`")).next("run `mayday kinds`")),
        }
    }
}

/// What a command counts.
async fn count(spec: &ProbeSpec, until: At) -> Result<Tally, Fault> {
    let printed = Mutex::new(String::new());
    let keep = |line: &str| printed.lock().unwrap_or_else(PoisonError::into_inner).push_str(line);
    let own = BTreeMap::from([("MAYDAY_UNTIL", until.to_string())]);
    let cwd = spec.params.opt_text(CWD.name).map(str::to_owned);
    let around = Around { own, only: named(&spec.params), cwd, secret: None };
    let lost = |why: String| Fault::transient(KIND.name, format!("what the stores hold was not counted: {why}"));
    let ended = run(&spec.params.list("command"), &around, spec.timeout.0.mul_f64(0.9), &keep).await.map_err(lost)?;
    if !matches!(ended, Ended::Exited(Ok(0))) {
        return Err(lost(format!("it {}", ended.words())));
    }
    let printed = printed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let tally: Tally = serde_json::from_str(&printed).map_err(|error| lost(clean(&error.to_string())))?;
    match tally.is_empty() {
        true => Err(lost("it counted nothing".into())),
        false => Ok(tally.into_iter().map(|(name, sum)| (clean(&name), sum)).collect()),
    }
}
