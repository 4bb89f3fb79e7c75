//! The cockpit under test: scenes that `decide` made, looked at through a terminal in memory.

mod alerts;
mod closing;
mod drills;
pub mod estate;
mod fits;
mod forms;
mod hands;
mod hints;
mod look;
mod plays;
mod reach;
pub mod scene;
mod screens;
mod stage;
mod stores;
mod stray;
mod styles;
mod walk;
mod wire;
