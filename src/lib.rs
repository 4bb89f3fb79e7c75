pub mod config;
pub mod domain;
pub mod lab;
pub mod systems;
