//! One room per way to reach people. A room knows everything Mayday knows about that vendor: its rows in the table of channel kinds,
//! how a message is worded for it, how a double is recognised, and what may be concluded when it fails. Adding one is one file and
//! one row in [`FACTORIES`].

pub mod email;
pub mod exchange;
pub mod pagerduty;
pub mod slack;
pub mod statuspage;
pub mod webhook;

use crate::domain::comms::ChannelFactory;

/// Every way to reach people that this build knows.
#[rustfmt::skip] // one row a line
pub const FACTORIES: &[&dyn ChannelFactory] = &[
    &email::EmailFactory,
    &pagerduty::PagesFactory,
    &pagerduty::NotesFactory,
    &slack::SlackFactory,
    &statuspage::StatuspageFactory,
    &webhook::WebhookFactory,
];
