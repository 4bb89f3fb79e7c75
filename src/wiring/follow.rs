//! Following a run from a plain terminal: its progress, its gates, its end.

use std::io::{self, BufRead, IsTerminal, Write};

use super::failure::Failure;
use crate::api::client::{Client, Fed, Feed};
use crate::cli::args::Format;
use crate::cli::exit::Exit;
use crate::cli::failover::{self, Pace};
use crate::cli::out::out;
use crate::domain::command::Ask;
use crate::domain::event::Record;
use crate::domain::ids::{RunId, StepId};
use crate::domain::run::{Run, StepPhase};
use crate::domain::view::{Snapshot, Update};

/// So many of the latest records are looked through for the beginning of the run: as many as one request gets.
const BACKLOG: u64 = 10_000;

/// Where a follower stands.
struct Follower<'a> {
    client: &'a Client,
    view: Snapshot,
    run: RunId,
    format: Format,
    pace: Pace,
    /// Gates that whoever sits at the terminal left unanswered.
    left: Vec<StepId>,
}

/// Follows the current run until it ends or goes no further without a human; prints its progress and its end.
///
/// # Errors
/// When the engine is lost for good, or the terminal is.
pub async fn follow(client: &Client, format: Format) -> Result<Exit, Failure> {
    follow_at(Pace::OfLife, client, format).await
}

/// The same on something that lives at such a pace.
///
/// # Errors
/// As [`follow`].
pub async fn follow_at(pace: Pace, client: &Client, format: Format) -> Result<Exit, Failure> {
    let mut feed = client.feed();
    let view = first(&mut feed).await?;
    let Some(run) = view.state.run.as_ref().map(|run| run.id.clone()) else {
        return Err(Failure::new(Exit::Refused, "nothing was run yet → mayday failover run PLAN"));
    };
    let mut follower = Follower { client, view, run, format, pace, left: Vec::new() };
    let backlog = client.records(follower.view.state.seq.saturating_sub(BACKLOG), BACKLOG as usize).await?;
    follower.tell_backlog(&backlog);
    loop {
        if let Some(exit) = follower.settled().await? {
            return Ok(exit);
        }
        match feed.next().await {
            Fed::Snapshot(view) => follower.view = *view,
            Fed::Update(update) => follower.take(&update).await?,
            Fed::Alive => {}
            Fed::Lost(error) => eprintln!("{error}; looking for it again"),
        }
    }
}

async fn first(feed: &mut Feed) -> Result<Snapshot, Failure> {
    match feed.next().await {
        Fed::Snapshot(view) => Ok(*view),
        Fed::Lost(error) => Err(error.into()),
        Fed::Update(_) | Fed::Alive => {
            Err(Failure::unreachable("the engine sent an update before the whole → try again"))
        }
    }
}

impl Follower<'_> {
    fn run(&self) -> Option<&Run> {
        self.view.state.run.as_ref().filter(|run| run.id == self.run)
    }

    async fn take(&mut self, update: &Update) -> Result<(), Failure> {
        if self.view.take(update).is_err() {
            self.view = self.client.snapshot().await?;
        }
        if let Update::Record { record } = update {
            self.tell(record);
        }
        Ok(())
    }

    /// Progress goes to standard error, so that standard output holds the result alone.
    fn tell(&self, record: &Record) {
        if let Some(line) = failover::progress(&self.view, record) {
            eprintln!("{line}");
        }
    }

    /// What happened between the start of the run and the first look at it.
    fn tell_backlog(&self, records: &[Record]) {
        let Some(started) = self.run().map(|run| run.started_at) else { return };
        let ours = |record: &&Record| record.at >= started && record.seq <= self.view.state.seq;
        for record in records.iter().filter(ours).filter(|record| record.event.step().is_none()) {
            self.tell(record);
        }
    }

    /// The exit, once the run has ended or waits for a human who is not here.
    async fn settled(&mut self) -> Result<Option<Exit>, Failure> {
        let Some(run) = self.run() else {
            return Err(Failure::failed(format!("{} is not the current run any more", self.run)));
        };
        if run.is_open() && !self.waits(run) {
            return Ok(None);
        }
        // One decision of the engine is several records: only a snapshot is never taken in the middle of one.
        self.view = self.client.snapshot().await?;
        let Some(run) = self.run() else { return Ok(None) };
        if run.is_open() && !self.waits(run) {
            return Ok(None);
        }
        if run.is_open() && self.attended() && self.answer().await? {
            return Ok(None);
        }
        let Some(run) = self.run() else { return Ok(None) };
        match self.format {
            Format::Json => writeln!(out(), "{:#}", failover::summary_json(&self.view, run))?,
            Format::Text => write!(out(), "{}", failover::summary(&self.view, run, self.pace))?,
        }
        if run.is_open() {
            eprint!("\n{}", failover::waiting(run));
        }
        Ok(Some(failover::judge(&self.view, run)))
    }

    /// Whether nothing goes on without a human; one who sits at the terminal is asked at the first open gate.
    fn waits(&self, run: &Run) -> bool {
        run.waits_for_human(self.view.state.hold.is_some()) || (self.attended() && self.gate(run).is_some())
    }

    fn attended(&self) -> bool {
        self.format == Format::Text && io::stdin().is_terminal()
    }

    fn gate(&self, run: &Run) -> Option<StepId> {
        let open = |step: &StepId| run.phase(step) == StepPhase::Gated && !self.left.contains(step);
        run.plan.steps.iter().map(|step| step.id.clone()).find(open)
    }

    /// Puts the next open gate to whoever sits at the terminal; says whether there was one.
    async fn answer(&mut self) -> Result<bool, Failure> {
        let Some(run) = self.run() else { return Ok(false) };
        let Some(id) = self.gate(run) else { return Ok(false) };
        let (Some(spec), Some(step)) = (run.plan.step(&id), run.step(&id)) else { return Ok(false) };
        let seen = step.card.as_ref().map(|card| card.at);
        let (spec, run) = (spec.clone(), run.id.clone());
        eprint!("{}{}", failover::card(&spec, step), failover::question(&spec));
        io::stderr().flush()?;
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        let answer = line.await.map_err(io::Error::other)??;
        if !failover::is_yes(&spec, &answer) {
            self.left.push(id);
            return Ok(true);
        }
        let ask = Ask::Confirm { run, step: id.clone(), phrase: answer.trim().to_owned(), seen };
        match self.client.ask(&ask).await {
            Ok(accepted) => accepted.note.iter().for_each(|note| eprintln!("  {note}")),
            Err(error) => eprintln!("  {error}"),
        }
        self.view = self.client.snapshot().await?;
        Ok(true)
    }
}
