//! What other monitoring says: journalled where it is news, and never acted on. A trigger may count it.

use super::Draft;
use crate::domain::fact::alert::{Alert, MOST};
use crate::domain::fact::event::Event;

/// **Rule 41.** Other monitoring is heard and shown; by itself it changes nothing.
pub(super) fn take(draft: &mut Draft<'_>, alerts: &[Alert]) {
    let (mut news, mut left) = (0, 0);
    for alert in alerts.iter().cloned().map(Alert::cleaned) {
        let known = &draft.state().alerts;
        if !known.is_news(&alert, draft.cx.now) {
            continue;
        }
        if known.is_full() && !known.0.contains_key(&alert.id) {
            left += 1;
            continue;
        }
        news += 1;
        draft.event(Event::AlertHeard { alert: Box::new(alert) });
    }
    let all = alerts.len();
    let mut note = format!("{all} {} heard, {news} of them news", if all == 1 { "alert" } else { "alerts" });
    if left > 0 {
        note += &format!("; {left} NOT taken: more than {MOST} alerts fire already");
    }
    draft.decision.note = Some(note);
}
