//! Mayday: the terminal incident cockpit for disaster recovery.
//!
//! # The idea
//!
//! Every fact of an incident is an event in one journal, durable before anything acts on it. State is the fold of the journal; the
//! screen, the command line, the record of a run and recovery from a crash are readings of it. A pure core decides, a thin shell acts:
//!
//! ```text
//!             people (cockpits, command lines)             systems (AWS, Kubernetes, Redis, Neo4j, HTTP, scripts)
//!                        │  ask                                   ▲ observe, apply, verify      │ readings, outcomes
//!                        ▼                                        │                             ▼
//!   api::server ──▶ engine: receive ─▶ decide(state, command, now) ─▶ journal ─▶ apply ─▶ publish ─▶ perform
//!                        ▲                  pure: domain                                    │
//!                        └───────────────────── updates ◀───────────────────────────────────┘
//! ```
//!
//! A step of a plan converges: it is observed, previewed and checked; a gate is answered; the intent is journalled; it is applied at
//! most once; it is verified by the effect a client would see. After a crash, or an answer that never came, it is observed before
//! anything else. A script's process is journalled before it does anything: one that outlives its engine is waited for.
//!
//! Time is the engine's own: the wall clock is taken once, and nothing stops or jumps when it is set. [`domain::clock`] says which time
//! is which, [`engine::clock`] keeps it.
//!
//! # The house
//!
//! In the order of dependency; `tests/it/architecture.rs` enforces who may import whom, and that no file needs itself by way of others.
//!
//! - [`domain`]: the words, the rules and the decisions. No I/O, no clock, no randomness. It has three floors: what was configured
//!   ([`domain::spec`]), what happened ([`domain::fact`]), and what follows ([`domain::rule`]).
//! - [`messages`]: the texts of messages, by template. It reads templates and nothing else.
//! - [`config`]: TOML to a validated estate and its plans; every mistake at once, in its place.
//! - [`outbound`]: what every way out needs: secrets, and one HTTP client.
//! - [`systems`]: one room per system that can be watched or failed over. A row in a table each.
//! - [`channels`]: one room per way to reach people: Slack, Teams, Discord, e-mail, text messages, Statuspage, PagerDuty (which says who
//!   is on call, too), Opsgenie, webhooks.
//! - [`journal`]: the durable, hash-chained event log: the chain, which knows no storage, and a file for each store: SQLite, with the anchor
//!   that tells when it was cut, and PostgreSQL, for engines that share one. Snapshots of its fold.
//! - [`engine`]: the single writer (of several engines one leads, and the others follow: `engine/pen.rs` has the contract), the runner of steps, the monitor, the courier of messages. It is handed trait objects and never names a vendor.
//! - [`api`]: HTTP and JSON over a Unix socket: protocol, server, client.
//! - [`report`]: the review of an incident and the evidence of a drill, from the journal alone: Markdown, HTML, JSON, JUnit.
//! - [`tui`]: the cockpit. It holds no truth, only a mirror of the engine's.
//! - [`cli`]: the headless subcommands: they print, and nothing else.
//! - [`lab`]: the embedded estate, two regions (or three) that speak the real wire protocols on loopback. It is the outside world: it imports
//!   nothing of Mayday, and Mayday reaches it through an ordinary config file.
//! - [`wiring`]: with `main`, the only place that knows every room.

pub mod api;
pub mod channels;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod journal;
pub mod lab;
pub mod messages;
pub mod outbound;
pub mod report;
pub mod systems;
pub mod tui;
pub mod wiring;
