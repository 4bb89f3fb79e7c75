//! The cockpit under test: scenes that `decide` made, looked at through a terminal in memory.

mod drills;
mod estate;
pub mod estate;
mod hands;
mod look;
pub mod scene;
mod screens;
mod stage;
mod walk;
mod reach;
mod scene;
mod screens;
mod stage;
mod styles;
mod wire;
