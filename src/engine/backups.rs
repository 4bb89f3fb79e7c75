//! Looks at backups on a schedule. Only changes of what a backup is worth are journalled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Handle, monitor, no_system};
use crate::domain::backup::{BackupLive, BackupLook, BackupSpec, judge};
use crate::domain::command::Report;
use crate::domain::live::LiveChange;
use crate::domain::system::Fault;

/// The longest that a look may take: a canary has to cross between regions in it.
const LOOK: Duration = Duration::from_secs(45);

/// So many looks at once: they list and page, and must not crowd out probes.
const AT_ONCE: usize = 4;

pub(super) fn start(engine: &Handle) {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    for spec in &engine.estate().backups {
        engine.spawn(watch(engine.clone(), spec.clone(), permits.clone()));
    }
}

async fn watch(engine: Handle, spec: BackupSpec, permits: Arc<Semaphore>) {
    let mut beats = monitor::schedule(&engine, spec.id.as_str(), spec.every.0);
    let mut worth = engine.shared.state().backups.get(&spec.id).map(|known| known.worth);
    let mut taken = BackupLive::default();
    loop {
        beats.tick().await;
        let Ok(permit) = permits.acquire().await else { return };
        let outcome = look(&engine, &spec).await;
        drop(permit);
        let now = engine.shared.now();
        match outcome {
            Ok(look) => taken = BackupLive { at: Some(now), look, fault: None },
            Err(fault) => taken.fault = Some(fault.to_string()),
        }
        let serving = engine.shared.state().serving(engine.estate());
        let judged = judge(&spec, Some(&taken), &serving, now);
        if worth != Some(judged.worth) {
            worth = Some(judged.worth);
            let detail = judged.words();
            engine.report(Report::Backup { backup: spec.id.clone(), to: judged.worth, detail }).await;
        }
        engine.shared.live(LiveChange::Backup { backup: spec.id.clone(), taken: taken.clone() });
    }
}

async fn look(engine: &Handle, spec: &BackupSpec) -> Result<BackupLook, Fault> {
    let system = engine.shared.systems.get(&spec.system).ok_or_else(|| no_system(&spec.system))?;
    let late = || Fault::transient(spec.system.as_str(), format!("no answer within {} s", LOOK.as_secs()));
    let look = timeout(LOOK, system.backup(spec)).await.unwrap_or_else(|_| Err(late()))?;
    Ok(engine.shared.time.own_look(look))
}
