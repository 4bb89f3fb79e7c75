//! The synthetic client: asks the name server where GenNet is, then writes and reads once a second, and remembers how it went.

use super::world::{Tick, Truth};

/// How the client fared.
#[derive(Default)]
pub struct SyntheticClient;

pub fn tick(_truth: &mut Truth, _tick: &Tick<'_>) {}
