//! Everything that can be tested with a Rust toolchain alone: against the embedded lab, in-process or with the real binary in a pty.

mod api;
mod app;
mod architecture;
mod broken;
mod cli;
mod common;
mod config;
mod contract;
mod crash;
mod drills;
mod engine;
mod http;
mod kubernetes;
mod lab_comms;
mod lab_mail;
mod neo4j;
mod peacetime;
mod process;
mod rds;
mod redis;
mod route53;
mod s3;
mod scenarios;
mod script;
mod shipped;
mod traps;
