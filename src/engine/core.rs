//! The writer: the only task that decides and appends.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Accepted, Denied, Handle, runner};
use crate::domain::actor::{Actor, Origin};
use crate::domain::command::{Command, Envelope, Refusal, RefusalReason, Report};
use crate::domain::decide::{Decision, decide};
use crate::domain::event::{Event, Prepared};
use crate::domain::ids::PlanId;
use crate::domain::journal::JournalFault;
use crate::domain::live::LiveChange;
use crate::domain::state::State;

/// How long the writer waits before it tries again to journal an outcome.
const RETRY: Duration = Duration::from_secs(1);

pub(super) enum Input {
    Ask(Box<Envelope>, oneshot::Sender<Result<Accepted, Denied>>),
    Report(Report),
    /// Come to rest, if nothing stands against it: another engine takes over.
    Rest(Check, oneshot::Sender<Result<(), Denied>>),
}

/// Whether the writer may rest in this state.
pub(super) type Check = Box<dyn FnOnce(&State) -> Result<(), Refusal> + Send>;

pub(super) struct Writer {
    engine: Handle,
    /// Outcomes that could not be made durable yet. They are facts: they wait, in order, and nothing overtakes them.
    unsaved: VecDeque<Report>,
    /// Where a plan is named whose gate has opened: it is held against reality then.
    gates: mpsc::Sender<PlanId>,
}

impl Writer {
    pub fn new(engine: Handle, gates: mpsc::Sender<PlanId>) -> Self {
        Self { engine, unsaved: VecDeque::new(), gates }
    }

    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            let input = if self.unsaved.is_empty() {
                inputs.recv().await
            } else {
                tokio::select! {
                    input = inputs.recv() => input,
                    () = tokio::time::sleep(RETRY) => { self.save().await; continue; }
                }
            };
            match input {
                None => return,
                Some(Input::Report(report)) => {
                    self.unsaved.push_back(report);
                    self.save().await;
                }
                Some(Input::Ask(envelope, reply)) => {
                    self.save().await;
                    let answer = self.ask(&envelope).await;
                    // Whoever asked may be gone; what was done stays done.
                    let _ = reply.send(answer);
                }
                Some(Input::Rest(check, reply)) => {
                    self.save().await;
                    let answer = self.may_rest(check);
                    let rests = answer.is_ok();
                    if rests {
                        self.rest(&mut inputs).await;
                    }
                    let _ = reply.send(answer);
                    if rests {
                        return;
                    }
                }
            }
        }
    }

    /// Nothing is decided any more after a yes.
    fn may_rest(&self, check: Check) -> Result<(), Denied> {
        if !self.unsaved.is_empty() {
            let fault = self.engine.shared.journal_fault().unwrap_or_default();
            let why = format!("outcomes wait that the journal does not take: {fault}");
            let next = "mend the journal first; then: mayday engine reload";
            return Err(Denied::Refused(Refusal::new(RefusalReason::Conflict, why, next)));
        }
        check(&self.engine.shared.state()).map_err(Denied::Refused)
    }

    /// What was reported before is still journalled. Whoever asked is told that this engine has stopped, and nothing was done.
    async fn rest(&mut self, inputs: &mut mpsc::Receiver<Input>) {
        inputs.close();
        while let Some(input) = inputs.recv().await {
            if let Input::Report(report) = input {
                self.unsaved.push_back(report);
            }
        }
        self.save().await;
    }

    /// Journals outcomes in their order until one does not go in.
    async fn save(&mut self) {
        while let Some(report) = self.unsaved.front() {
            if self.report(report.clone()).await.is_err() {
                return;
            }
            self.unsaved.pop_front();
        }
    }

    async fn ask(&mut self, envelope: &Envelope) -> Result<Accepted, Denied> {
        let decision = self.decide(envelope).map_err(|refusal| {
            self.engine.shared.live(LiveChange::Refused {});
            Denied::Refused(refusal)
        })?;
        let note = decision.note.clone();
        self.commit(decision).await.map_err(Denied::Journal)?;
        Ok(Accepted { seq: self.engine.shared.state().seq, note })
    }

    pub async fn report(&mut self, report: Report) -> Result<(), JournalFault> {
        let envelope = Envelope { actor: Actor::engine(), origin: Origin::Engine, command: Command::Report(report) };
        // Reports are facts and are never refused.
        let decision = self.decide(&envelope).unwrap_or_default();
        self.commit(decision).await
    }

    fn decide(&self, envelope: &Envelope) -> Result<Decision, crate::domain::command::Refusal> {
        let shared = &self.engine.shared;
        let (state, points, baseline) = (shared.state(), shared.points(), shared.baseline());
        shared.in_context(&points, &baseline, |cx| decide(cx, &state, envelope))
    }

    /// Durable first, then applied and published, then performed.
    async fn commit(&mut self, decision: Decision) -> Result<(), JournalFault> {
        let shared = &self.engine.shared;
        let Decision { events, effects, .. } = decision;
        if !events.is_empty() {
            let gate =
                events.iter().any(|(_, event)| matches!(event, Event::StepPrepared { verdict: Prepared::Gate, .. }));
            let fresh_run = events.iter().any(|(_, event)| matches!(event, Event::RunStarted { .. }));
            let fresh_incident = events.iter().any(|(_, event)| matches!(event, Event::IncidentDeclared { .. }));
            match shared.journal.append(shared.now(), events).await {
                Ok(records) => {
                    if shared.journal_fault().is_some() {
                        shared.live(LiveChange::Journal { fault: None });
                    }
                    if fresh_run {
                        shared.live(LiveChange::LogsCleared {});
                    }
                    if fresh_incident {
                        shared.live(LiveChange::ItemsCleared {});
                    }
                    shared.records(records);
                    if gate && let Some(run) = &shared.state().run {
                        // With that many waiting, the plan is being looked at anyway.
                        let _ = self.gates.try_send(run.plan.id.clone());
                    }
                }
                Err(fault) => {
                    tracing::error!(%fault, "the journal does not take events");
                    shared.live(LiveChange::Journal { fault: Some(fault.to_string()) });
                    return Err(fault);
                }
            }
        }
        for effect in effects {
            runner::perform(&self.engine, effect);
        }
        Ok(())
    }
}
