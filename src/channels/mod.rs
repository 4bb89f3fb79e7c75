//! One room per way to reach people. A room knows everything Mayday knows about that vendor: its rows in the table of channel kinds,
//! how a message is worded for it, how a double is recognised, and what may be concluded when it fails. Adding one is one file and
//! one row in [`FACTORIES`].

#[cfg(test)]
mod bench;
pub mod discord;
pub mod email;
pub mod exchange;
pub mod line;
pub mod opsgenie;
pub mod pagerduty;
pub mod slack;
pub mod sms;
pub mod statuspage;
pub mod teams;
pub mod webhook;

use crate::domain::comms::ChannelFactory;

/// Every way to reach people that this build knows.
#[rustfmt::skip] // one row a line
pub const FACTORIES: &[&dyn ChannelFactory] = &[
    &discord::DiscordFactory,
    &email::EmailFactory,
    &opsgenie::OpsgenieFactory,
    &pagerduty::PagesFactory,
    &pagerduty::NotesFactory,
    &slack::SlackFactory,
    &sms::SmsFactory,
    &statuspage::StatuspageFactory,
    &teams::TeamsFactory,
    &webhook::WebhookFactory,
];
