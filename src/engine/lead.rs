//! How the lead is taken, kept and lost, where several engines share a journal. [`super::pen`] says what a lead is.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::pen::{Lease, Pen};
use super::{Handle, baseline, checklist, drills, evidence, herald, post};
use crate::domain::command::Report;
use crate::domain::journal::{JournalFault, Lead, Term};

/// A leader renews so often within a lease, ...
const RENEWALS: u32 = 4;
/// ... and so often it is looked at who leads.
const LOOKS: u32 = 20;

/// Waits until nobody leads, and takes the lead. Whoever led is waited for by the clock of this engine alone: from when its last renewal was
/// seen here, a whole lease has to pass without another.
pub async fn campaign(pen: &Pen) {
    let Some(Lease { length, .. }) = &pen.lease else { return };
    let mut seen: Option<(Option<(Term, u64)>, Duration)> = None;
    loop {
        let asked = pen.uptime();
        if let Ok(led) = pen.journal.leader().await
            && pen.barred().is_none()
        {
            let now = (led.as_ref().map(|lead| (lead.term, lead.beat)), pen.uptime());
            let since = seen.filter(|known| known.0 == now.0).unwrap_or(now);
            seen = Some(since);
            let over = now.1.saturating_sub(since.1) >= *length;
            if is_free(pen, led.as_ref(), over)
                && let Ok(Some(term)) = pen.journal.lead(&pen.who, led.as_ref()).await
            {
                pen.took(term, asked);
                return;
            }
        }
        sleep(*length / LOOKS).await;
    }
}

/// Whether nobody acts as the leader. An engine that led itself has ended that before it campaigns again, and its directory's lock tells
/// that no earlier process of it lives.
fn is_free(pen: &Pen, led: Option<&Lead>, over: bool) -> bool {
    led.is_none_or(|lead| lead.resigned || lead.who.engine == pen.who.engine || over)
}

/// Keeps the lead by renewing it; returns once it is lost, which is before the lease ends.
pub async fn reign(pen: &Pen) {
    let Some(Lease { length, .. }) = &pen.lease else { return std::future::pending().await };
    let mut last = pen.uptime();
    while pen.may_act() {
        sleep(*length / LOOKS).await;
        let asked = pen.uptime();
        let Some(term) = pen.term().filter(|_| asked.saturating_sub(last) >= *length / RENEWALS) else { continue };
        match timeout(*length / RENEWALS, pen.journal.renew(term)).await {
            Ok(Ok(true)) => {
                pen.renewed(term, asked);
                last = asked;
            }
            // What became of an append may just have been found out under a new term.
            Ok(Ok(false)) if pen.term() == Some(term) => {
                pen.lose(taken());
            }
            Ok(Ok(false)) => {}
            // It is tried again until the lease is over.
            Ok(Err(_)) | Err(_) => {}
        }
    }
    pen.lose(JournalFault {
        what: "the lead could not be renewed in time".into(),
        next: "see whether the shared journal can be reached from this host: mayday engines".into(),
    });
}

/// Gives the lead up: nobody has to wait for its end.
pub async fn resign(pen: &Pen) {
    let Some(term) = pen.term() else { return };
    pen.lose(taken());
    if let Err(fault) = pen.journal.resign(term).await {
        tracing::warn!(%fault, "the lead could not be given up: the next engine waits for its end");
    }
}

fn taken() -> JournalFault {
    JournalFault {
        what: "another engine leads".into(),
        next: "nothing: this one follows it from now on; `mayday engines` tells which".into(),
    }
}

impl Handle {
    /// What is journalled before anything else.
    pub(super) fn began(&self) -> Vec<Report> {
        let (time, version) = (&self.shared.time, env!("CARGO_PKG_VERSION").into());
        let began = Report::Started { version, anchor: time.anchor(), drift: time.drift() };
        // Where there are others it is told which one it is.
        let pen = self.shared.pen.lease.as_ref().and(self.shared.pen.term());
        let leads = pen.map(|term| Report::Leads { engine: self.shared.pen.who().name.clone(), term: term.0 });
        std::iter::once(began).chain(leads).collect()
    }

    /// What only the leader does.
    pub(super) fn begin_to_lead(&self) {
        herald::start(self);
        baseline::start(self);
        checklist::start(self);
        drills::start(self);
        evidence::start(self);
        self.spawn(post::serve(self.clone()));
    }
}
