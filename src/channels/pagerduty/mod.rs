//! PagerDuty: wakes whoever is on call, keeps them posted, and says who that is.
//!
//! Two kinds of channel, because they are two APIs that fail apart and want different credentials: `pagerduty` sends events, and
//! `pagerduty-notes` writes notes upon the incident that an event opened. Both know an incident by the same key.

mod events;
mod notes;
mod on_call;

pub use events::PagesFactory;
pub use notes::NotesFactory;
pub use on_call::PagerDuty;

use crate::domain::comms::Parcel;
use crate::domain::kinds::{Param, ParamType};

const VENDOR: &str = "PagerDuty";

/// What stands before the incident's id in the key by which PagerDuty knows it.
const PREFIX: Param = Param::default(
    "prefix",
    ParamType::Text,
    "",
    "stands before the incident's id in the deduplication key: for estates that share one integration",
);

/// The longest deduplication key: <https://developer.pagerduty.com/docs/send-alert-event>.
const LONGEST_KEY: usize = 255;

/// The key by which PagerDuty knows the incident.
fn key(prefix: &str, parcel: &Parcel) -> String {
    format!("{prefix}{}", parcel.incident).chars().take(LONGEST_KEY).collect()
}
