//! The API: HTTP and JSON over a Unix socket that only its owner can open, and a stream of events. One table of routes feeds the
//! server, the client, the OpenAPI document and their test.

pub mod alerts;
pub mod client;
pub mod metrics;
pub mod openapi;
pub mod protocol;
pub mod server;
pub mod user;
