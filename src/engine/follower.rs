//! An engine that follows: it replays what the leader writes, shows it, looks at the world by itself, and writes nothing.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::core::Input;
use super::{Denied, Handle};
use crate::domain::event::{Event, Record};
use crate::domain::journal::JournalFault;
use crate::domain::live::LiveChange;

/// Records that are read at once.
const PAGE: usize = 1000;
/// How soon a journal that does not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often it is looked whether what was asked for by the leader has arrived here.
const GLANCE: Duration = Duration::from_millis(10);

/// Answers what only a writer could do, and drops what is reported: the leader looks for itself.
pub(super) async fn idle(engine: Handle, mut people: mpsc::Receiver<Input>, mut machines: mpsc::Receiver<Input>) {
    loop {
        tokio::select! {
            input = people.recv() => match input {
                Some(Input::Rest(check, reply)) => {
                    let answer = check(&engine.shared.state()).map_err(Denied::Refused);
                    let rests = answer.is_ok();
                    if rests {
                        people.close();
                    }
                    // Whoever asked may be gone.
                    let _ = reply.send(answer);
                    if rests {
                        return;
                    }
                }
                // Whoever waits for an answer hears that there is none.
                Some(_) => {}
                None => return,
            },
            input = machines.recv() => if input.is_none() { return },
        }
    }
}

/// Reads what is written, for as long as it fits what was read before and makes sense to this build.
pub(super) async fn read(engine: Handle) {
    let (pen, journal) = (&engine.shared.pen, &engine.shared.journal);
    let (mut told, mut limit) = (false, PAGE);
    loop {
        let tail = pen.tail();
        match journal.pages(&tail, limit).await {
            Ok((records, chain)) => {
                match records.iter().position(|it| matches!(it.event, Event::Newer { .. })) {
                    Some(0) => return stop(&engine, &records[0]).await,
                    // What comes before it is still understood.
                    Some(known) => {
                        limit = known;
                        continue;
                    }
                    None => limit = PAGE,
                }
                pen.bar(None);
                if std::mem::take(&mut told) {
                    engine.shared.live(LiveChange::Journal { fault: None });
                }
                if records.is_empty() {
                    journal.watch(tail.records).await;
                } else {
                    // Between the two nothing waits: who ends this task finds both at the same place.
                    engine.shared.records(records);
                    pen.read(chain);
                }
            }
            Err(fault) => {
                // It can be read, and what it says does not follow from what was read before: whoever leads on that leads astray.
                let reachable = journal.hash(tail.records).await.is_ok();
                pen.bar(reachable.then(|| fault.to_string()));
                engine.shared.live(LiveChange::Journal { fault: Some(fault.to_string()) });
                told = true;
                sleep(AGAIN).await;
            }
        }
    }
}

/// A record of a newer Mayday: what comes after it would be half understood.
async fn stop(engine: &Handle, newer: &Record) {
    let Event::Newer { kind, .. } = &newer.event else { return };
    let leader = engine.shared.journal.leader().await.ok().flatten();
    let version = leader.map_or_else(|| "a newer version".to_owned(), |lead| format!("version {}", lead.who.version));
    let why = format!(
        "record {} is of a newer Mayday ({kind}), and this one is {}: start {version} on this host",
        newer.seq,
        env!("CARGO_PKG_VERSION")
    );
    tracing::error!(why, "this engine follows no longer, and takes no lead");
    engine.shared.pen.bar(Some(why.clone()));
    engine.shared.live(LiveChange::Journal { fault: Some(why) });
    // It stays as it is until it is replaced.
    std::future::pending().await
}

impl Handle {
    /// Until this engine has read up to a record, or for so long.
    pub(super) async fn has_read(&self, seq: u64, patience: Duration) {
        let begun = Instant::now();
        while self.shared.state().seq < seq && begun.elapsed() < patience {
            sleep(GLANCE).await;
        }
    }

    /// Until this engine, which has just taken the lead, has read all there is.
    ///
    /// # Errors
    /// When what is written makes no sense to it, or the journal cannot be read within its lease.
    pub async fn catch_up(&self) -> Result<(), JournalFault> {
        let pen = &self.shared.pen;
        loop {
            if let Some(why) = pen.barred() {
                return Err(JournalFault { what: why, next: "this engine gives the lead up again".into() });
            }
            match self.shared.journal.tail().await {
                Ok(tail) if tail == pen.tail() => return Ok(()),
                Err(fault) if !pen.may_act() => return Err(fault),
                _ => sleep(GLANCE).await,
            }
        }
    }
}
