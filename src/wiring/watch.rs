//! `mayday watch`: the engine's changes as lines, for as long as somebody reads them.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::failure::Failure;
use crate::api::client::{Client, Fed};
use crate::cli::args::{Format, WatchArgs};
use crate::cli::exit::Exit;
use crate::cli::watch;
use crate::domain::clock::{Clock, Steady};
use crate::domain::time::At;
use crate::domain::view::{Snapshot, Update};
use crate::engine::clock::Machine;

/// Follows the engine until the reader is gone.
///
/// # Errors
/// When the lines cannot be written for another reason.
pub async fn run(client: &Client, args: &WatchArgs, format: Format) -> Result<Exit, Failure> {
    match follow(client, args, format).await {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
        Err(error) => Err(error.into()),
        Ok(never) => match never {},
    }
}

async fn follow(client: &Client, args: &WatchArgs, format: Format) -> io::Result<std::convert::Infallible> {
    let mut feed = client.feed();
    let mut clocks = interval(Duration::from_secs(args.clocks.max(1)));
    clocks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let machine = Machine::new();
    let engine = Steady::new(machine.wall(), machine.uptime());
    let mut teller = Teller { format, view: None, machine, engine, lost: false };
    loop {
        tokio::select! {
            fed = feed.next() => match fed {
                Fed::Snapshot(view) => teller.opening(*view)?,
                Fed::Update(update) => {
                    if teller.take(&update)? {
                        // A line was missed: the whole again, which says so.
                        feed = client.feed();
                    }
                }
                Fed::Alive => {}
                Fed::Lost(error) => teller.lost(&error.to_string())?,
            },
            _ = clocks.tick(), if args.clocks > 0 => teller.clocks()?,
        }
    }
}

/// Whoever tells the lines.
struct Teller {
    format: Format,
    view: Option<Snapshot>,
    machine: Machine,
    /// The engine's time, as the latest whole had it; it goes on when the engine is lost, and when this machine's clock is set.
    engine: Steady,
    lost: bool,
}

impl Teller {
    fn now(&self) -> At {
        self.engine.now(self.machine.uptime())
    }

    fn tell(&self, text: impl IntoIterator<Item = String>, json: impl FnOnce() -> Value) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Text => text.into_iter().try_for_each(|line| writeln!(out, "{line}"))?,
            Format::Json => writeln!(out, "{}", json())?,
        }
        out.flush()
    }

    fn opening(&mut self, view: Snapshot) -> io::Result<()> {
        self.engine = Steady::new(view.now, self.machine.uptime());
        self.lost = false;
        self.tell(watch::opening(&view, view.now), || watch::opening_json(&view, view.now))?;
        self.view = Some(view);
        Ok(())
    }

    /// Whether something was missed, so that the whole has to be asked for again.
    fn take(&mut self, update: &Update) -> io::Result<bool> {
        let Some(view) = &mut self.view else { return Ok(false) };
        let known = view.state.seq;
        if view.take(update).is_err() {
            return Ok(true);
        }
        if let Update::Record { record } = update
            && record.seq > known
        {
            self.tell([watch::line(record)], || watch::line_json(record))?;
        }
        Ok(false)
    }

    fn clocks(&self) -> io::Result<()> {
        let (Some(view), now) = (&self.view, self.now()) else { return Ok(()) };
        let Some(line) = watch::clocks(view, now) else { return Ok(()) };
        self.tell([line], || watch::clocks_json(view, now).unwrap_or_default())
    }

    /// Told once a loss, not once an attempt.
    fn lost(&mut self, why: &str) -> io::Result<()> {
        if std::mem::replace(&mut self.lost, true) {
            return Ok(());
        }
        let now = self.now();
        self.tell([watch::lost(now, why)], || watch::lost_json(now, why))
    }
}
