//! The first floor: what happened, what was seen, and what people asked for. A fact says nothing of what follows from it.

pub mod about;
pub mod alert;
pub mod backup;
pub mod bout;
pub mod checklist;
pub mod clocks;
pub mod command;
pub mod comms;
pub mod contacts;
pub mod drill;
pub mod event;
pub mod evidence;
pub mod findings;
pub mod guard;
pub mod health;
pub mod hold;
pub mod incident;
pub mod live;
pub mod moved;
pub mod process;
pub mod promise;
pub mod readiness;
pub mod recovery;
pub mod run;
pub mod system;
pub mod told;
