//! Asks who is on call, so that the name is on screen before it is needed.

use std::time::Duration;

use tokio::time::timeout;

use super::{Handle, monitor};
use crate::domain::live::LiveChange;

const ASK: Duration = Duration::from_secs(10);

pub(super) fn start(engine: &Handle) {
    let every = engine.estate().contacts.pagerduty.as_ref().map(|it| it.every.0);
    if let (Some(every), Some(_)) = (every, &engine.shared.rota) {
        engine.spawn(watch(engine.clone(), every));
    }
}

async fn watch(engine: Handle, every: Duration) {
    let Some(rota) = engine.shared.rota.clone() else { return };
    let mut beats = monitor::schedule(&engine, "on-call", every);
    let mut taken = crate::domain::contacts::OnCallLive::default();
    loop {
        beats.tick().await;
        match timeout(ASK, rota.on_call()).await {
            Ok(Ok(people)) => (taken.at, taken.people, taken.fault) = (Some(engine.shared.now()), people, None),
            Ok(Err(fault)) => taken.fault = Some(fault.to_string()),
            Err(_) => taken.fault = Some(format!("no answer within {} s", ASK.as_secs())),
        }
        engine.shared.live(LiveChange::OnCall { taken: taken.clone() });
    }
}
