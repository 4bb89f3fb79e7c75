//! The cockpit. It mirrors an engine, draws what it mirrors, and asks; it decides nothing.
//!
//! Keys and news from the engine go into [`app`], which is pure; [`keymap`] is the one table of what can be done; [`screen`] places
//! the [`panes`] and what lies over them ([`layers`]); [`edge`] is the last look at every cell before the terminal gets it.

mod act;
pub mod advice;
pub mod app;
pub mod connection;
pub mod edge;
pub mod format;
pub mod health;
mod hints;
pub mod keymap;
mod keys;
pub mod layers;
mod layout;
pub mod look;
pub mod mark;
mod mouse;
mod options;
pub mod overrides;
pub mod panes;
mod press;
pub mod screen;
mod scroll;
pub mod socket;
mod tell;
mod terminal;
#[cfg(test)]
pub(crate) mod tests;
pub mod theme;
mod typing;
pub mod widgets;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use ratatui::crossterm::event::{Event, EventStream, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, timeout};

use crate::domain::clock::{Clock, Steady};
use crate::domain::time::{At, seconds_between};

pub use app::Options;
use app::{Answer, App, Dirty, Msg, RECORDS, Request};
use connection::{Arrival, Connection};
use terminal::Terminal;

/// No more than thirty frames a second, however much happens.
const FRAME: Duration = Duration::from_millis(33);
/// A key is answered sooner than news; even so, keys that are held down cost no more than this.
const KEY_FRAME: Duration = Duration::from_millis(8);
/// So many events are taken in before a key may wait for a frame.
const BURST: usize = 512;
/// An answer that takes longer is told of.
const SLOW: Duration = Duration::from_secs(2);
/// How long an answer may take before the cockpit gives up waiting for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the cockpit was left. The engine goes on in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By the operator.
    Detached,
    /// By SIGTERM or SIGHUP, or because the terminal is gone.
    Gone,
}

/// Why there is no cockpit.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    #[error("the terminal cannot be used: {0} → run it in a terminal, or use the commands: mayday --help")]
    Terminal(#[from] std::io::Error),
    #[error("{0}")]
    Options(String),
}

/// What the loop waits for.
enum Woken {
    Key(Option<std::io::Result<Event>>),
    Arrival(Option<Arrival>),
    Answer(Answer),
    Second,
    /// A key was followed by nothing, or a layer has been there for long enough.
    Pause,
    Frame,
    Signal,
    Stop,
}

/// Runs the cockpit until the operator detaches or the terminal is gone. The `clock` is this machine's: the wall clock is read once, and
/// nothing on screen jumps when it is set.
///
/// # Errors
/// When there is no terminal to run in, or the options are not right.
pub async fn run(connection: impl Connection, options: Options, clock: &dyn Clock) -> Result<Exit, TuiError> {
    let steady = Steady::new(clock.wall(), clock.uptime());
    let now = || steady.now(clock.uptime());
    let connection = Arc::new(connection);
    let mouse = options.mouse;
    let session = connection.session();
    let mut app = App::new(session, connection.is_read_only(), options, now()).map_err(TuiError::Options)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut stop = signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?;
    let mut arrivals = connection.listen();
    let (answers_in, mut answers) = mpsc::channel::<Answer>(64);
    let mut terminal = Terminal::take(mouse)?;
    let mut keys = EventStream::new();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn = Instant::now().checked_sub(FRAME).unwrap_or_else(Instant::now);
    let (mut listening, mut keyed) = (true, false);
    loop {
        let due = tokio::time::Instant::from_std(drawn + if keyed { KEY_FRAME } else { FRAME });
        let pause = app
            .wakes()
            .map_or(Duration::ZERO, |at| Duration::try_from_secs_f64(seconds_between(now(), at)).unwrap_or_default());
        let woken = tokio::select! {
            biased;
            key = keys.next() => Woken::Key(key),
            _ = terminate.recv() => Woken::Signal,
            _ = hangup.recv() => Woken::Signal,
            _ = stop.recv() => Woken::Stop,
            Some(answer) = answers.recv() => Woken::Answer(answer),
            () = tokio::time::sleep_until(due), if app.dirty == Dirty::Now => Woken::Frame,
            arrival = arrivals.recv(), if listening => Woken::Arrival(arrival),
            _ = second.tick() => Woken::Second,
            () = tokio::time::sleep(pause), if app.wakes().is_some() => Woken::Pause,
        };
        let now = now();
        let requests = match woken {
            Woken::Signal | Woken::Key(None | Some(Err(_))) => return Ok(Exit::Gone),
            Woken::Key(Some(Ok(event))) => {
                keyed = true;
                message(event).map(|msg| app.update(msg, now)).unwrap_or_default()
            }
            Woken::Answer(answer) => app.update(Msg::Answer(answer), now),
            Woken::Second => app.update(Msg::Tick, now),
            Woken::Pause => app.update(Msg::Pause, now),
            Woken::Stop => vec![Request::Suspend],
            Woken::Arrival(Some(first)) => drain(&mut app, first, &mut arrivals, now),
            Woken::Arrival(None) => {
                listening = false;
                app.update(Msg::Arrival(Arrival::Lost { why: "the connection has ended".into() }), now)
            }
            Woken::Frame => {
                terminal.draw(&app)?;
                (app.dirty, drawn, keyed) = (Dirty::No, Instant::now(), false);
                Vec::new()
            }
        };
        for request in requests {
            match request {
                Request::Detach => return Ok(Exit::Detached),
                Request::Suspend => {
                    terminal.suspend()?;
                    app.dirty = Dirty::Now;
                }
                Request::Redraw => terminal.clear()?,
                Request::Copy(text) => terminal.copy(&text)?,
                request => perform(request, connection.clone(), answers_in.clone()),
            }
        }
    }
}

/// Takes in all that has arrived, so that a burst costs one frame.
fn drain(app: &mut App, first: Arrival, arrivals: &mut mpsc::Receiver<Arrival>, now: At) -> Vec<Request> {
    let mut requests = app.update(Msg::Arrival(first), now);
    for _ in 0..BURST {
        let Ok(next) = arrivals.try_recv() else { break };
        requests.extend(app.update(Msg::Arrival(next), now));
    }
    requests.dedup();
    requests
}

fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(key)),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Mouse(mouse) => Some(Msg::Mouse(mouse)),
        Event::Resize(..) => Some(Msg::Resize),
        _ => None,
    }
}

/// Asks the engine without making the screen wait. One that is slow to answer is told of.
fn perform(request: Request, connection: Arc<impl Connection>, answers: mpsc::Sender<Answer>) {
    tokio::spawn(async move {
        let mut answering = pin!(answer(request, connection));
        let answer = match timeout(SLOW, &mut answering).await {
            Ok(answer) => answer,
            Err(_) => {
                let _ = answers.send(Answer::Awaited).await;
                answering.await
            }
        };
        if let Some(answer) = answer {
            // Nobody listens any more only when the cockpit is being left.
            let _ = answers.send(answer).await;
        }
    });
}

/// What the engine answers, where somebody waits for it.
async fn answer(request: Request, connection: Arc<impl Connection>) -> Option<Answer> {
    let late = "the engine does not answer; it may still do it → watch the timeline before asking again";
    Some(match request {
        Request::Ask { ask, said } => {
            let result = timeout(PATIENCE, connection.ask(ask)).await.unwrap_or_else(|_| Err(late.into()));
            Answer::Asked { said, result }
        }
        Request::ByHand { step, plan } => {
            let result = timeout(PATIENCE, connection.by_hand(plan)).await;
            Answer::ByHand { step, result: result.unwrap_or_else(|_| Err(late.into())) }
        }
        Request::Drafts => {
            let result = timeout(PATIENCE, connection.drafts()).await;
            Answer::Drafts(result.unwrap_or_else(|_| Err(late.into())))
        }
        Request::Records { after } => {
            let result = timeout(PATIENCE, connection.records(after, RECORDS)).await;
            Answer::Records(result.unwrap_or_else(|_| Err(late.into())))
        }
        Request::Report => {
            let result = timeout(PATIENCE, connection.report()).await;
            let slow = "the engine does not answer; `mayday report` reads the journal without it";
            Answer::Report(result.unwrap_or_else(|_| Err(slow.into())).map(Box::new))
        }
        Request::Resync => {
            connection.resync().await;
            return None;
        }
        Request::Looks(at) => {
            connection.looks(at).await;
            return None;
        }
        _ => return None,
    })
}
