//! The moments that an incident is measured by.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::spec::classes::Tier;
use crate::domain::time::At;
use crate::domain::words::words;

/// The moments an incident is measured by. What has not happened, or was not seen, is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Clocks {
    /// Disruption: the last healthy reading before the failure, per tier.
    pub t0: BTreeMap<Tier, At>,
    /// Nothing was seen failing: t0 is the declaration.
    pub t0_is_declaration: bool,
    /// Tiers whose failure nobody saw begin: it was there at the first look. Their t0 is that look, and the truth is not later.
    #[serde(default)]
    pub t0_not_later: BTreeSet<Tier>,
    /// The latest healthy reading after t0 of what comes and goes: clients wrote until then.
    #[serde(default)]
    pub last_well: Option<At>,
    /// It was declared in a good phase of what comes and goes: clients wrote on.
    #[serde(default)]
    pub well_when_declared: bool,
    /// Detected: the first status change to down.
    pub t1: Option<At>,
    /// Declared.
    pub t2: Option<At>,
    /// First action: the first step that changes the world began.
    pub t3: Option<At>,
    /// Technically up: the last promotion, scaling and traffic step was verified.
    pub t4: Option<At>,
    /// Verified by a synthetic transaction through the client path, per tier.
    pub t5: BTreeMap<Tier, At>,
}

words! {
    /// What is known of the moment that t0 stands for.
    Onset {
        /// The last healthy reading before the failure.
        Seen = "seen",
        /// The failure was there at the first look: it began at that moment or before.
        NotLater = "not-later",
        /// Nothing was seen failing: it is the declaration.
        Declaration = "declaration",
    }
}

impl Onset {
    /// What t0 is, for a line beside the moment.
    pub fn words(self) -> &'static str {
        match self {
            Self::Seen => "the last healthy reading",
            Self::NotLater => "not later than this: it was failing when first looked at",
            Self::Declaration => "nothing was seen failing, so it is the declaration",
        }
    }
}

impl Clocks {
    /// The disruption of the whole: the earliest of all tiers.
    pub fn disruption(&self) -> Option<(At, Onset)> {
        let of = |(tier, at): (&Tier, &At)| (*at, self.onset(*tier));
        // Of two that begin together, the one that may have begun earlier.
        self.t0.iter().map(of).min_by_key(|(at, onset)| (*at, std::cmp::Reverse(*onset)))
    }

    /// What is known of a tier's t0.
    pub fn onset(&self, tier: Tier) -> Onset {
        match (self.t0_is_declaration, self.t0_not_later.contains(&tier)) {
            (true, _) => Onset::Declaration,
            (false, true) => Onset::NotLater,
            (false, false) => Onset::Seen,
        }
    }

    /// Nothing failed when it was declared: clients wrote on until somebody acted.
    pub fn was_well(&self) -> bool {
        self.t0_is_declaration || self.well_when_declared
    }

    /// Until when clients may have written to what failed, as far as it is known: what a copy lacks of that is lost.
    pub fn written_until(&self) -> Option<At> {
        let (t0, _) = self.disruption()?;
        // A region that is left on purpose takes writes until the first step stops them.
        let until = if self.was_well() { self.t3.or(self.t2) } else { self.last_well };
        Some(until.map_or(t0, |until| until.max(t0)))
    }
}
