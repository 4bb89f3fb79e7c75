//! Tells the writer that a rule of the plan is met by now: that comes with time alone, not with an event.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Handle;
use crate::domain::command::Report;
use crate::domain::estate::OnTrigger;

const EVERY: Duration = Duration::from_secs(1);

pub(super) fn start(engine: &Handle) {
    if engine.estate().policy.on_trigger == OnTrigger::Declare {
        engine.spawn(watch(engine.clone()));
    }
}

async fn watch(engine: Handle) {
    let mut beats = interval_at(Instant::now() + EVERY, EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let view = engine.snapshot();
        if view.state.incident.is_none() && view.triggers(view.now).iter().any(|it| it.is_met(view.now)) {
            engine.report(Report::TriggerMet {}).await;
        }
    }
}
