//! The ground floor: all that a config says, once it was read and found sound. Nothing here has happened.

pub mod alert;
pub mod backup;
pub mod checklist;
pub mod classes;
pub mod comms;
pub mod contacts;
pub mod drill;
pub mod estate;
pub mod expect;
pub mod kinds;
pub mod params;
pub mod plan;
pub mod probe;
pub mod severity;
