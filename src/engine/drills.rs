//! Tells the writer from time to time that a drill may be due by now, and plays the one that it begins.

use std::time::Duration;

use super::Handle;
use super::clock::Beats;
use crate::domain::command::Report;
use crate::domain::system::Fault;

const EVERY: Duration = Duration::from_secs(60);
/// The first time: once the probes have had a chance to say that something is the matter.
const SOON: Duration = Duration::from_secs(10);

pub(super) fn start(engine: &Handle) {
    if engine.shared.driller.is_some() && engine.estate().drills.iter().any(|it| it.automatic) {
        engine.spawn(watch(engine.clone()));
    }
}

async fn watch(engine: Handle) {
    let mut beats = Beats::new(&engine, SOON, EVERY);
    loop {
        beats.tick().await;
        engine.report(Report::DrillsDue {}).await;
    }
}

/// Plays a drill to its end.
pub(super) async fn play(engine: &Handle, name: String) -> Report {
    let outcome = match &engine.shared.driller {
        Some(driller) => driller.play(&name).await,
        None => Err(Fault::permanent("mayday", "this engine cannot begin drills").next("mayday drill run")),
    };
    Report::DrillOver { name, outcome }
}
