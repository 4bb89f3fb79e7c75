//! Where the rooms meet: besides `main` the only file that may know all of them.

use std::sync::LazyLock;

use crate::domain::kinds::{Kinds, SystemKind};
use crate::engine::builtin;
use crate::systems;

static ROWS: LazyLock<Vec<&'static SystemKind>> =
    LazyLock::new(|| systems::KINDS.0.iter().copied().chain([&builtin::KIND]).collect());

/// Every kind that a config may name: those of the systems, and what Mayday brings itself.
pub fn kinds() -> Kinds {
    Kinds(&ROWS)
}
