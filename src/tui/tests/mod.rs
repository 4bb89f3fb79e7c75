//! The cockpit under test: scenes that `decide` made, looked at through a terminal in memory.

mod drills;
pub mod estate;
mod fits;
mod hands;
mod look;
mod reach;
pub mod scene;
mod screens;
mod stage;
mod styles;
mod walk;
mod wire;
