//! The cockpit under test: scenes that `decide` made, looked at through a terminal in memory.

mod drills;
mod estate;
mod hands;
mod look;
mod scene;
mod screens;
mod stage;
mod wire;
