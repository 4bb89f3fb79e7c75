//! The pure core: words, rules and decisions. No I/O, no clock, no randomness; imports nothing of the rest of the crate.

pub mod estate;
pub mod health;
pub mod ids;
pub mod kinds;
pub mod params;
pub mod plan;
pub mod recovery;
pub mod system;
pub mod text;
pub mod time;
