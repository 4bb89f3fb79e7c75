//! Who leads and who is there, as this engine sees it: told to the others, heard of them, and shown to whoever looks.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::pen::Pen;
use super::{Handle, Kept};
use crate::domain::journal::{JournalFault, Lead, Presence, Term};
use crate::domain::lead::{Engine, Engines, Leader, SILENT};
use crate::domain::live::LiveChange;
use crate::domain::state::State;

/// How often.
const EVERY: Duration = Duration::from_secs(1);
/// For how long an engine is silent is told in such steps: what changes every second is told every second.
const STEP: u64 = 5;

/// Looks at who is there for as long as the process lives, and tells it.
pub async fn attend(pen: Arc<Pen>, wanted: u64, tell: impl Fn(Engines)) {
    let mut known = Engines { me: pen.who().name.clone(), wanted, ..Engines::default() };
    let mut beat: Option<((Term, u64), Duration)> = None;
    loop {
        known.leads = pen.leads();
        known.stopped = pen.barred();
        match look(&pen).await {
            Ok((met, led)) => {
                known.fault = None;
                known.leader = led.as_ref().map(|lead| leader(&pen, lead, &mut beat));
                known.all = engines(&met, led.as_ref());
            }
            Err(fault) => known.fault = Some(fault.what),
        }
        tell(known.clone());
        sleep(EVERY).await;
    }
}

async fn look(pen: &Pen) -> Result<(Vec<Presence>, Option<Lead>), JournalFault> {
    let met = pen.journal.meet(pen.who(), pen.tail().records).await?;
    Ok((met, pen.journal.leader().await?))
}

/// Whether it lives is told by its renewals, which are seen here by this engine's own clock.
fn leader(pen: &Pen, lead: &Lead, beat: &mut Option<((Term, u64), Duration)>) -> Leader {
    let (key, now) = ((lead.term, lead.beat), pen.uptime());
    let since = beat.filter(|known| known.0 == key).map_or(now, |known| known.1);
    *beat = Some((key, since));
    let within = pen.lease.as_ref().is_none_or(|lease| now.saturating_sub(since) < lease.length);
    let (name, version) = (lead.who.name.clone(), lead.who.version.clone());
    Leader { name, version, since: lead.since, term: lead.term.0, lives: within && !lead.resigned }
}

fn engines(met: &[Presence], led: Option<&Lead>) -> Vec<Engine> {
    let last = met.iter().map(|it| it.seq).max().unwrap_or(0);
    let leads = |it: &Presence| led.is_some_and(|lead| lead.who.engine == it.who.engine && !lead.resigned);
    let engine = |it: &Presence| Engine {
        name: it.who.name.clone(),
        version: it.who.version.clone(),
        leads: leads(it),
        behind: last - it.seq,
        silent: (it.silent >= SILENT).then(|| it.silent as u64 / STEP * STEP),
    };
    met.iter().map(engine).collect()
}

impl Handle {
    /// Tells everybody who leads and who is there.
    pub fn engines_seen(&self, seen: Engines) {
        if self.shared.engines().as_ref() != Some(&seen) {
            self.shared.live(LiveChange::Engines { seen: Some(Box::new(seen)) });
        }
    }

    /// The state that follows from what was read, or written, and from nothing else: no HOLD that is not in the journal.
    pub fn state_read(&self) -> State {
        State::clone(&self.shared.state())
    }

    /// Ends without another word to the journal, which is another engine's by now, or cannot be reached: what was in flight is looked at by
    /// whoever leads next. What the next one in this process needs is handed out.
    pub async fn halt(&self) -> Kept {
        self.end().await;
        self.shared.pen.lay_down();
        self.shared.kept()
    }
}
