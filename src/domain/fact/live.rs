//! What is true now but not journalled: latest readings, surveys, step logs, who is attached. Lost with the engine and learnt anew.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::backup::{BackupLive, rough};
use super::contacts::OnCallLive;
use super::findings::ItemLook;
use super::health::{Reading, Status};
use super::hold::Hold;
use super::lead::Engines;
use super::readiness::Assessment;
use super::recovery::{RecoveryPoint, Survey};
use crate::domain::fault::Fault;
use crate::domain::ids::{BackupId, ChannelId, ItemId, PlanId, ProbeId, SessionId, StepId, SystemId};
use crate::domain::time::{At, Span, seconds_between};

/// So many latencies are kept a probe.
pub const HISTORY: usize = 60;

/// So many lines are kept of a step's log.
pub const LOG_LINES: usize = 200;

/// The latest of a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProbeLive {
    pub at: At,
    /// By hysteresis; the reading alone may differ.
    pub status: Status,
    pub reading: Reading,
    /// Since when `status` is what is seen, by readings of this life of the engine.
    #[serde(default)]
    pub since: Option<At>,
    /// Latencies in milliseconds, oldest first; `None` where a look got none.
    pub history: VecDeque<Option<u32>>,
}

/// The latest of a datastore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SurveyLive {
    /// When `survey` was taken; what is older than it looks is worse than nothing.
    pub at: Option<At>,
    /// The latest one that succeeded.
    pub survey: Survey,
    /// Why the latest attempt failed, if it did.
    pub fault: Option<String>,
}

/// So many rounds may be missed before a survey says nothing any more, and so many seconds may be added to them.
const ROUNDS: f64 = 3.0;

const LATE: f64 = 15.0;

impl SurveyLive {
    /// The survey, as long as it says how things are now. Surveys are taken every `every`.
    ///
    /// # Errors
    /// Why it says nothing: the latest attempt failed, none succeeded yet, or nobody looked lately.
    pub fn current(&self, every: Span, now: At) -> Result<&Survey, String> {
        let limit = every.as_secs_f64() * ROUNDS + LATE;
        match (&self.fault, self.at) {
            (Some(fault), _) => Err(fault.clone()),
            (None, None) => Err("it was not looked at yet".into()),
            (None, Some(at)) if seconds_between(at, now) > limit => {
                Err(format!("it was last looked at {} ago", rough(seconds_between(at, now))))
            }
            (None, Some(_)) => Ok(&self.survey),
        }
    }
}

/// Who is attached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attached {
    pub name: String,
    pub uid: u32,
    pub since: At,
    pub read_only: bool,
    /// What this cockpit says it looks at: for the others to see, nothing is decided by it.
    #[serde(default)]
    pub looks_at: Option<Gaze>,
}

/// What somebody looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Gaze {
    pub pane: String,
    /// The step that is chosen, while a run is shown.
    #[serde(default)]
    pub step: Option<StepId>,
}

/// Whether a channel could deliver now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChannelLive {
    pub at: Option<At>,
    pub reach: Result<String, Fault>,
    /// Into how many parts it splits a message; `None` when its recipients are not known.
    pub parts: Option<u32>,
}

/// A line of a step's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogLine {
    pub at: At,
    pub text: String,
}

/// Everything that is true now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Live {
    pub probes: BTreeMap<ProbeId, ProbeLive>,
    pub surveys: BTreeMap<SystemId, SurveyLive>,
    /// The newest recovery point known of each datastore's copies: kept when later surveys know none, since a region that is gone takes
    /// what it knew with it.
    #[serde(default)]
    pub points: BTreeMap<SystemId, RecoveryPoint>,
    #[serde(default)]
    pub backups: BTreeMap<BackupId, BackupLive>,
    #[serde(default)]
    pub readiness: BTreeMap<PlanId, Assessment>,
    #[serde(default)]
    pub on_call: OnCallLive,
    /// The latest look at each item of the checklist.
    #[serde(default)]
    pub checklist: BTreeMap<ItemId, ItemLook>,
    #[serde(default)]
    pub channels: BTreeMap<ChannelId, ChannelLive>,
    pub logs: BTreeMap<StepId, VecDeque<LogLine>>,
    pub attached: BTreeMap<SessionId, Attached>,
    /// Why the journal cannot be written, while it cannot.
    pub journal_fault: Option<String>,
    /// The files of the config that are not what they were when it was loaded, by name; empty while it is what is on disk.
    #[serde(default)]
    pub config_changed: Vec<String>,
    /// The engines that share the journal; `None` where this is the only one.
    #[serde(default)]
    pub engines: Option<Box<Engines>>,
    /// How often something was asked for and refused since this engine began: nothing happened then, so no journal tells it.
    #[serde(default)]
    pub refused: u32,
}

/// One change of what is true now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "live", rename_all = "kebab-case")]
pub enum LiveChange {
    Probe {
        probe: ProbeId,
        at: At,
        status: Status,
        reading: Reading,
        #[serde(default)]
        since: Option<At>,
    },
    Survey {
        system: SystemId,
        taken: SurveyLive,
    },
    Backup {
        backup: BackupId,
        taken: BackupLive,
    },
    Readiness {
        assessments: Vec<Assessment>,
    },
    OnCall {
        taken: OnCallLive,
    },
    Item {
        item: ItemId,
        look: ItemLook,
    },
    /// A new incident begins: what was seen for the last one goes.
    ItemsCleared {},
    Channel {
        channel: ChannelId,
        taken: ChannelLive,
    },
    Log {
        step: StepId,
        line: LogLine,
    },
    /// A new run begins: the logs of the last one go.
    LogsCleared {},
    Attached {
        session: SessionId,
        who: Attached,
    },
    Detached {
        session: SessionId,
    },
    Looks {
        session: SessionId,
        at: Gaze,
    },
    Journal {
        fault: Option<String>,
    },
    /// The config on disk is another one than the one that was loaded, or the same again.
    Config {
        changed: Vec<String>,
    },
    /// The engines that share the journal.
    Engines {
        seen: Option<Box<Engines>>,
    },
    /// What was held without being in the journal is so no longer.
    Unheld {},
    /// Everything is held, and that is not in the journal yet.
    Held {
        hold: Hold,
    },
    /// Something was refused.
    Refused {},
}

impl Live {
    pub fn apply(&mut self, change: LiveChange) {
        match change {
            LiveChange::Probe { probe, at, status, reading, since } => {
                let fresh = || ProbeLive { at, status, reading: reading.clone(), since, history: VecDeque::new() };
                let known = self.probes.entry(probe).or_insert_with(fresh);
                known.history.push_back(reading.latency_ms);
                if known.history.len() > HISTORY {
                    known.history.pop_front();
                }
                (known.at, known.status, known.reading, known.since) = (at, status, reading, since);
            }
            LiveChange::Survey { system, taken } => {
                if let Some(point) = &taken.survey.standby_point {
                    self.points.insert(system.clone(), point.clone());
                }
                self.surveys.insert(system, taken);
            }
            LiveChange::Backup { backup, taken } => {
                self.backups.insert(backup, taken);
            }
            LiveChange::Readiness { assessments } => {
                self.readiness.extend(assessments.into_iter().map(|it| (it.plan.clone(), it)));
            }
            LiveChange::OnCall { taken } => self.on_call = taken,
            LiveChange::Item { item, look } => {
                self.checklist.insert(item, look);
            }
            LiveChange::ItemsCleared {} => self.checklist.clear(),
            LiveChange::Channel { channel, taken } => {
                self.channels.insert(channel, taken);
            }
            LiveChange::Log { step, line } => {
                let lines = self.logs.entry(step).or_default();
                lines.push_back(line);
                if lines.len() > LOG_LINES {
                    lines.pop_front();
                }
            }
            LiveChange::LogsCleared {} => self.logs.clear(),
            LiveChange::Attached { session, who } => {
                self.attached.insert(session, who);
            }
            LiveChange::Detached { session } => {
                self.attached.remove(&session);
            }
            LiveChange::Looks { session, at } => {
                if let Some(who) = self.attached.get_mut(&session) {
                    who.looks_at = Some(at);
                }
            }
            LiveChange::Journal { fault } => self.journal_fault = fault,
            LiveChange::Config { changed } => self.config_changed = changed,
            LiveChange::Engines { seen } => self.engines = seen,
            // It is a part of the state, where the record of it will find it.
            LiveChange::Held { .. } | LiveChange::Unheld {} => {}
            LiveChange::Refused {} => self.refused += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::time::before;

    #[test]
    fn a_survey_says_something_only_while_it_is_of_now() {
        let now: At = "2026-11-23T12:00:00Z".parse().unwrap();
        let taken = |seconds: Option<u64>, fault: Option<&str>| SurveyLive {
            at: seconds.map(|seconds| before(now, Duration::from_secs(seconds))),
            survey: Survey::default(),
            fault: fault.map(str::to_owned),
        };
        let rows = [
            ("just now", taken(Some(0), None), Ok(())),
            ("the last moment that it counts", taken(Some(45), None), Ok(())),
            ("a second later", taken(Some(46), None), Err("it was last looked at 46s ago")),
            ("the latest attempt failed", taken(Some(1), Some("403")), Err("403")),
            ("it never answered", taken(None, Some("no answer within 10 s")), Err("no answer within 10 s")),
            ("it was never asked", taken(None, None), Err("it was not looked at yet")),
        ];
        for (what, taken, wanted) in rows {
            let said = taken.current(Span::secs(10), now).map(|_| ());
            assert_eq!(said, wanted.map_err(str::to_owned), "{what}");
        }
    }
}
