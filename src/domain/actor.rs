//! Who acts, and from where.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::SessionId;

/// A person, as the socket's peer credentials vouch for them, or the engine itself (no user id).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Actor {
    pub name: String,
    pub uid: Option<u32>,
}

impl Actor {
    pub fn engine() -> Self {
        Self { name: "mayday".into(), uid: None }
    }
    /// Whether both are one person: names can be chosen, user ids cannot.
    pub fn is_same_person(&self, other: &Actor) -> bool {
        self.uid == other.uid
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// Where a command came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Origin {
    /// An attached cockpit: it has to be armed before it may change anything.
    Cockpit { session: SessionId, read_only: bool },
    /// One explicit command line: armed by being typed.
    CommandLine,
    /// The engine's own doing: outcomes of effects, probes, retries.
    Engine,
}
