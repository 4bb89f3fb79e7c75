//! What people ask of an engine that follows is passed on to the one that leads, through the store that both share, with the name that the
//! socket gave. The leader takes each once: what it took and did not answer is not known to be done, and is not done again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{Accepted, Denied, Handle};
use crate::domain::actor::{Actor, Origin};
use crate::domain::command::{Ask, Refusal, RefusalReason};
use crate::domain::journal::{JournalFault, Post};

/// How often the leader looks what was left for it, and a follower whether it was answered.
const LOOK: Duration = Duration::from_millis(100);
/// So long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(8);
/// So long it is waited for until this engine has read what the leader has written.
const READ: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Letter {
    actor: Actor,
    origin: Passed,
    ask: Ask,
}

/// An origin, as it is passed on: the engine's own doing never is.
#[derive(Serialize, Deserialize)]
enum Passed {
    Cockpit { session: String, read_only: bool },
    CommandLine,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Done(Accepted),
    Refused(Refusal),
    Unwritten { what: String, next: String },
}

/// Takes what followers pass on, and answers it.
pub(super) async fn serve(engine: Handle) {
    loop {
        sleep(LOOK).await;
        let Some(post) = engine.shared.journal.post() else { return };
        let Ok(left) = post.left().await else { continue };
        for (id, text) in left {
            // It is taken first: an engine that dies in between does it once, or not at all.
            if engine.shared.pen.leads() && matches!(post.take(&id).await, Ok(true)) {
                let engine = engine.clone();
                engine.clone().spawn(async move { answer(&engine, &id, &text).await });
            }
        }
    }
}

async fn answer(engine: &Handle, id: &str, text: &str) {
    let answer = match serde_json::from_str::<Letter>(text) {
        Ok(Letter { actor, origin, ask }) => {
            let origin = match origin {
                Passed::Cockpit { session, read_only } => {
                    Origin::Cockpit { session: session.as_str().into(), read_only }
                }
                Passed::CommandLine => Origin::CommandLine,
            };
            match engine.ask(actor, origin, ask).await {
                Ok(accepted) => Answer::Done(accepted),
                Err(Denied::Refused(refusal)) => Answer::Refused(refusal),
                Err(Denied::Journal(JournalFault { what, next })) => Answer::Unwritten { what, next },
                // The next leader is asked by whoever asked, once more.
                Err(Denied::Stopped) => return,
            }
        }
        Err(_) => Answer::Refused(conflict(
            "the engine that leads is of another version and does not know this command".into(),
            "run it on the host of the leader: `mayday engines` tells which",
        )),
    };
    let Some(post) = engine.shared.journal.post() else { return };
    let told = match serde_json::to_string(&answer) {
        Ok(text) => post.answer(id, &text).await,
        Err(_) => return,
    };
    if let Err(fault) = told {
        tracing::warn!(%fault, "whoever asked through another engine was not answered");
    }
}

fn conflict(why: String, next: &str) -> Refusal {
    Refusal::new(RefusalReason::Conflict, why, next)
}

impl Handle {
    /// Passes on what was asked of a follower. A HOLD holds here at once, whatever becomes of it elsewhere.
    pub(super) async fn pass_on(&self, actor: Actor, origin: Origin, ask: Ask) -> Result<Accepted, Denied> {
        let looks_only = matches!(&origin, Origin::Cockpit { read_only: true, .. });
        let holds = matches!(ask, Ask::Hold { .. }) && !looks_only;
        if let (Ask::Hold { reason }, true) = (&ask, holds) {
            self.shared.hold(&actor, reason);
        }
        if self.leads || self.shared.pen.leads() {
            // It has just begun to lead, or has ceased to: the engine that takes the place of this one answers.
            return Err(Denied::Stopped);
        }
        let released = matches!(ask, Ask::Release { .. }) && !looks_only && self.shared.unhold_here();
        let answer = match self.leader_by_name() {
            Ok(leader) => self.write_to(&leader, actor, origin, ask).await,
            Err(refusal) if holds => return Ok(self.shared.held_here(&refusal.to_string())),
            Err(refusal) => Err(Denied::Refused(refusal)),
        };
        match answer {
            Err(Denied::Journal(fault)) if holds => Ok(self.shared.held_here(&fault.to_string())),
            Err(_) if released => {
                let note =
                    "released on this engine, which alone held it; the one that leads holds nothing, or was not told";
                Ok(Accepted { seq: self.shared.state().seq, note: Some(note.into()) })
            }
            Err(denied) => {
                if holds {
                    // The leader's word.
                    self.shared.unhold_here();
                }
                Err(denied)
            }
            Ok(accepted) => {
                self.has_read(accepted.seq, READ).await;
                Ok(accepted)
            }
        }
    }

    /// What the leader is called; a refusal in words where there is none.
    fn leader_by_name(&self) -> Result<String, Refusal> {
        let engines = self.shared.engines().unwrap_or_default();
        if let Some(why) = engines.trouble().filter(|_| engines.stopped.is_some() || engines.fault.is_some()) {
            return Err(conflict(
                format!("{why}; nothing was done"),
                "mayday engines; `mayday by-hand` goes on without",
            ));
        }
        let none =
            || conflict("no engine leads; nothing was done".into(), "in some seconds one takes the lead: ask again");
        engines.living_leader().map(|leader| leader.name.clone()).ok_or_else(none)
    }

    async fn write_to(&self, leader: &str, actor: Actor, origin: Origin, ask: Ask) -> Result<Accepted, Denied> {
        let origin = match origin {
            Origin::Cockpit { session, read_only } => Passed::Cockpit { session: session.to_string(), read_only },
            Origin::CommandLine | Origin::Engine => Passed::CommandLine,
        };
        let Some(post) = self.shared.journal.post() else { return Err(Denied::Stopped) };
        let unwritten =
            |what: String| Denied::Journal(JournalFault { what, next: "mayday engines, mayday status".into() });
        let text =
            serde_json::to_string(&Letter { actor, origin, ask }).map_err(|error| unwritten(error.to_string()))?;
        let id = format!("{} {}", self.shared.pen.who().engine, self.shared.letter());
        if let Err(fault) = post.leave(&id, &text).await {
            return Err(unanswered(
                post,
                &id,
                format!("it could not be passed on to {leader}, which leads: {}", fault.what),
            )
            .await);
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            sleep(LOOK).await;
            if let Ok(Some(text)) = post.answered(&id).await {
                return match serde_json::from_str(&text) {
                    Ok(Answer::Done(accepted)) => Ok(accepted),
                    Ok(Answer::Refused(refusal)) => Err(Denied::Refused(refusal)),
                    Ok(Answer::Unwritten { what, next }) => Err(Denied::Journal(JournalFault { what, next })),
                    Err(error) => Err(unwritten(format!("the answer of {leader} makes no sense: {error}"))),
                };
            }
        }
        let why = format!("{leader}, which leads, has not answered within {} s", PATIENCE.as_secs());
        Err(unanswered(post, &id, why).await)
    }
}

/// Takes the question back, where nobody has taken it.
async fn unanswered(post: &dyn Post, id: &str, why: String) -> Denied {
    let (what, next) = match post.take(id).await {
        Ok(true) => (format!("{why}; nothing was done"), "ask again"),
        _ => (format!("{why}: it is not known whether it was done"), "look at `mayday status` before you ask again"),
    };
    Denied::Journal(JournalFault { what, next: next.into() })
}
