pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod lab;
pub mod systems;
pub mod wiring;
