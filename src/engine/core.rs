//! The writer: the only task that decides and appends.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Accepted, Denied, Handle, runner};
use crate::domain::actor::{Actor, Origin};
use crate::domain::command::{Ask, Command, Envelope, Refusal, RefusalReason, Report};
use crate::domain::decide::{Decision, decide, decide_reports};
use crate::domain::event::{Event, Prepared, Record};
use crate::domain::ids::PlanId;
use crate::domain::journal::JournalFault;
use crate::domain::live::LiveChange;
use crate::domain::state::State;

/// How long the writer waits before it tries again to journal an outcome.
const RETRY: Duration = Duration::from_secs(1);
/// So many outcomes become durable together at most: what a person asks for waits for no more than one such batch.
const BATCH: usize = 256;
/// A journal that has not answered for so long is told of, and again at every further second.
const SLOW: Duration = Duration::from_secs(2);

pub(super) enum Input {
    Ask(Box<Envelope>, oneshot::Sender<Result<Accepted, Denied>>, Arc<Turn>),
    Report(Report),
    /// The same, for one who may not go on before it is durable: tried once, and told what came of it.
    Witness(Report, oneshot::Sender<Result<(), JournalFault>>),
    /// Come to rest, if nothing stands against it: another engine takes over.
    Rest(Check, oneshot::Sender<Result<(), Denied>>),
}

/// Whether the writer may rest in this state.
pub(super) type Check = Box<dyn FnOnce(&State) -> Result<(), Refusal> + Send>;

/// Whose turn an ask is: the writer's, once it has begun with it, or the asker's, who has given up before that.
#[derive(Default)]
pub(super) struct Turn(AtomicBool);

impl Turn {
    /// Says whether the other side has not come first.
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

pub(super) struct Writer {
    engine: Handle,
    /// Outcomes that could not be made durable yet. They are facts: they wait, in order, and none overtakes another.
    unsaved: VecDeque<Report>,
    /// A HOLD that holds already and is not in the journal yet.
    hold: Option<Envelope>,
    /// Where a plan is named whose gate has opened: it is held against reality then.
    gates: mpsc::Sender<PlanId>,
}

impl Writer {
    pub fn new(engine: Handle, gates: mpsc::Sender<PlanId>) -> Self {
        // One that this process has set before it led.
        let hold = engine.shared.held_by().filter(|_| engine.shared.state().hold.is_none()).map(|hold| Envelope {
            actor: hold.by,
            origin: Origin::CommandLine,
            command: Command::Ask(Ask::Hold { reason: hold.reason }),
        });
        Self { engine, unsaved: VecDeque::new(), hold, gates }
    }

    /// People come before machines: what is asked overtakes all that is reported.
    pub async fn run(mut self, mut people: mpsc::Receiver<Input>, mut machines: mpsc::Receiver<Input>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let waits = !self.unsaved.is_empty() || self.hold.is_some();
            tokio::select! {
                biased;
                input = people.recv() => match input {
                    Some(Input::Rest(check, reply)) => {
                        let _ = self.save().await;
                        let answer = self.may_rest(check);
                        let rests = answer.is_ok();
                        if rests {
                            self.rest(&mut people, &mut machines).await;
                        }
                        let _ = reply.send(answer);
                        if rests {
                            return;
                        }
                    }
                    Some(input) => self.take(input).await,
                    None => return,
                },
                // While outcomes wait for the journal, more of them wait where they come from.
                count = machines.recv_many(&mut batch, BATCH), if !waits => {
                    if count == 0 {
                        return;
                    }
                    for input in batch.drain(..) {
                        self.queue(input);
                    }
                    let _ = self.save().await;
                }
                () = tokio::time::sleep(RETRY), if waits => { let _ = self.save().await; }
            }
        }
    }

    /// Nothing is decided any more after a yes.
    fn may_rest(&self, check: Check) -> Result<(), Denied> {
        if !self.unsaved.is_empty() || self.hold.is_some() {
            let fault = self.engine.shared.journal_fault().unwrap_or_default();
            let why = format!("outcomes wait that the journal does not take: {fault}");
            let next = "repair the journal first; then: mayday engine reload";
            return Err(Denied::Refused(Refusal::new(RefusalReason::Conflict, why, next)));
        }
        check(&self.engine.shared.state()).map_err(Denied::Refused)
    }

    /// What was reported before is still journalled. Whoever asked is told that this engine has stopped, and nothing was done.
    async fn rest(&mut self, people: &mut mpsc::Receiver<Input>, machines: &mut mpsc::Receiver<Input>) {
        people.close();
        machines.close();
        while let Some(input) = machines.recv().await {
            self.queue(input);
        }
        while people.recv().await.is_some() {}
        let _ = self.save().await;
    }

    fn queue(&mut self, input: Input) {
        match input {
            Input::Report(report) => self.unsaved.push_back(report),
            Input::Ask(..) | Input::Witness(..) | Input::Rest(..) => {}
        }
    }

    async fn take(&mut self, input: Input) {
        match input {
            Input::Ask(envelope, reply, turn) => {
                let holds = matches!(envelope.command, Command::Ask(Ask::Hold { .. }));
                // Who has given up was told that nothing is done. A HOLD is never given up.
                if !turn.take() && !holds {
                    return;
                }
                let answer = self.answer(&envelope).await;
                // Whoever asked may be gone; what was done stays done.
                let _ = reply.send(answer);
            }
            Input::Witness(report, reply) => {
                let answer = match self.save().await {
                    Ok(()) => self.witness(&report).await,
                    Err(fault) => Err(fault),
                };
                // Whoever waited for it may have given up, and then does nothing.
                let _ = reply.send(answer);
            }
            report => {
                self.queue(report);
                let _ = self.save().await;
            }
        }
    }

    async fn answer(&mut self, envelope: &Envelope) -> Result<Accepted, Denied> {
        let saved = self.save().await;
        let Command::Ask(ask) = &envelope.command else { return Err(Denied::Stopped) };
        match ask {
            Ask::Hold { .. } => self.hold(envelope).await,
            // A HOLD is not released before it is written that there was one.
            Ask::Release { .. } if self.hold.is_some() => Err(Denied::Journal(saved.err().unwrap_or_else(silent))),
            _ => self.ask(envelope).await,
        }
    }

    /// Holds already; here it only becomes durable.
    async fn hold(&mut self, envelope: &Envelope) -> Result<Accepted, Denied> {
        match self.ask(envelope).await {
            Err(Denied::Journal(fault)) => {
                self.hold.get_or_insert_with(|| envelope.clone());
                Ok(self.engine.shared.held_unwritten(&fault.to_string()))
            }
            Err(refused) => {
                // An earlier one that waits for the journal goes on holding.
                if self.hold.is_none() {
                    self.engine.shared.unhold();
                }
                Err(refused)
            }
            done => done,
        }
    }

    /// Journals outcomes in their order until some do not go in; first of all a HOLD.
    async fn save(&mut self) -> Result<(), JournalFault> {
        if let Some(envelope) = self.hold.take()
            && let Err(Denied::Journal(fault)) = self.ask(&envelope).await
        {
            self.hold = Some(envelope);
            return Err(fault);
        }
        while !self.unsaved.is_empty() {
            let reports: Vec<Report> = self.unsaved.iter().take(BATCH).cloned().collect();
            self.report(&reports).await?;
            self.unsaved.drain(..reports.len());
        }
        Ok(())
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

    /// Reports are facts and are never refused. They become durable together.
    pub async fn report(&mut self, reports: &[Report]) -> Result<(), JournalFault> {
        let shared = &self.engine.shared;
        let (state, points, baseline) = (shared.state_held(), shared.points(), shared.baseline());
        let decision = shared.in_context(&points, &baseline, |cx| decide_reports(cx, &state, reports));
        drop(state);
        self.commit(decision).await
    }

    /// Journals what is to come of a report now, or nothing ever.
    async fn witness(&mut self, report: &Report) -> Result<(), JournalFault> {
        let shared = &self.engine.shared;
        let (state, points, baseline) = (shared.state_held(), shared.points(), shared.baseline());
        let reports = std::slice::from_ref(report);
        let decision = shared.in_context(&points, &baseline, |cx| decide_reports(cx, &state, reports));
        if !decision
            .events
            .iter()
            .any(|(_, event)| matches!(event, Event::StepRunsAs { .. } | Event::StepGoesBy { .. }))
        {
            return Err(JournalFault {
                what: "the step has gone on without it".into(),
                next: "look at the step".into(),
            });
        }
        self.commit(decision).await
    }

    fn decide(&self, envelope: &Envelope) -> Result<Decision, crate::domain::command::Refusal> {
        let shared = &self.engine.shared;
        // What becomes of a HOLD is decided on what is written; everything else by what holds.
        let holds = matches!(envelope.command, Command::Ask(Ask::Hold { .. }));
        let state = if holds { shared.state() } else { shared.state_held() };
        let (points, baseline) = (shared.points(), shared.baseline());
        shared.in_context(&points, &baseline, |cx| decide(cx, &state, envelope))
    }

    /// Waits for the journal for as long as it takes, and tells how long that is: what was handed to it may be written.
    async fn append(&self, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, JournalFault> {
        let shared = &self.engine.shared;
        let mut appending = pin!(shared.pen.append(shared.now(), events));
        let begun = shared.appends();
        loop {
            tokio::select! {
                biased;
                answer = &mut appending => {
                    shared.appended();
                    return answer;
                }
                () = tokio::time::sleep_until((begun + SLOW).max(Instant::now() + RETRY)) => {
                    shared.live(LiveChange::Journal { fault: Some(silence(begun.elapsed())) });
                }
            }
        }
    }

    /// Durable first, then applied and published, then performed.
    async fn commit(&mut self, decision: Decision) -> Result<(), JournalFault> {
        let shared = &self.engine.shared;
        let Decision { events, effects, .. } = decision;
        if !events.is_empty() {
            let known = shared.state();
            let was_open = |step| known.run.as_ref().is_some_and(|run| run.step(step).is_some_and(|it| it.was_open()));
            let gate = events.iter().any(
                |(_, event)| matches!(event, Event::StepPrepared { step, verdict: Prepared::Gate, .. } if !was_open(step)),
            );
            let fresh_run = events.iter().any(|(_, event)| matches!(event, Event::RunStarted { .. }));
            let fresh_incident = events.iter().any(|(_, event)| matches!(event, Event::IncidentDeclared { .. }));
            match self.append(events).await {
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

fn silence(time: Duration) -> String {
    format!(
        "the journal has not answered for {} s → see whether its disk works; HOLD holds all the same",
        time.as_secs()
    )
}

/// When a HOLD waits and it is not known why.
fn silent() -> JournalFault {
    JournalFault { what: "a HOLD is not written yet".into(), next: "see whether its disk works".into() }
}
