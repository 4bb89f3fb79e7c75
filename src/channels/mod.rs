//! One file per way to reach people.

pub mod pagerduty;

use crate::domain::comms::ChannelFactory;

/// Every way to reach people that this build knows.
pub const FACTORIES: &[&dyn ChannelFactory] = &[];
