//! Communications, as configured: who is told, of what, by which way.

mod policy;

use serde::{Deserialize, Serialize};

use super::params::Params;
use crate::domain::ids::ChannelId;
use crate::domain::words::words;

pub use policy::Comms;

words! {
    /// Who reads it.
    Audience {
        /// The people who work on it: blunt.
        Internal = "internal",
        /// Whoever looks at the status page: plain.
        Public = "public",
        /// Customers by name: courteous, and nothing internal.
        Customers = "customers",
    }
}

words! {
    /// What a message is for. The middle four are the words of status pages, in their order.
    Purpose {
        /// Wakes the on-call engineer.
        Page = "page",
        /// Somebody has taken the page.
        Acknowledge = "acknowledge",
        Investigating = "investigating",
        Identified = "identified",
        Monitoring = "monitoring",
        Resolved = "resolved",
        /// A brief for whoever takes over.
        Handoff = "handoff",
    }
}

impl Purpose {
    /// Whether it tells of the state of the incident, and so answers the cadence.
    pub fn is_update(self) -> bool {
        matches!(self, Self::Investigating | Self::Identified | Self::Monitoring | Self::Resolved)
    }
}

words! {
    /// How a component of the platform is shown to the public.
    ComponentStatus {
        Operational = "operational",
        Degraded = "degraded",
        PartialOutage = "partial-outage",
        MajorOutage = "major-outage",
    }
}

words! {
    /// What a channel can do about an attempt whose outcome is not known.
    Doubles {
        /// The vendor shows what it has, or merges doubles itself: at least once, and recognised.
        Recognised = "recognised",
        /// Nobody can look: at most once, and a human decides.
        Undetectable = "undetectable",
    }
}

/// `[[channel]]` of the config: one way to reach one audience.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChannelSpec {
    pub id: ChannelId,
    /// The name of a row of the table of channel kinds.
    pub kind: String,
    pub title: String,
    pub audience: Audience,
    /// It exists in drills and rehearsals; what does not is absent there. Never set for the public or for customers.
    #[serde(default)]
    pub drills: bool,
    /// Paged only when nobody has acknowledged in time.
    #[serde(default)]
    pub escalation: bool,
    /// What its kind can carry.
    #[serde(default)]
    pub carries: Vec<Purpose>,
    /// What can be done about an attempt whose outcome is not known.
    pub doubles: Doubles,
    /// The components of the status page that the estate's services are shown as.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    pub params: Params,
}

/// The parameter of a channel kind that takes several parts at once: how many at most.
pub const CONNECTIONS: &str = "connections";

/// So many parts are worth another connection: every one that is open is one more whose letters nobody knows the fate of, should this
/// host fail.
const A_CONNECTION: usize = 10;

/// What a fault means where people are told, and not all of what there is.
pub const IN_PART: &str = "people are told all the same, and not all of it is shown";

impl ChannelSpec {
    /// How many of so many parts may be under way at once. One, where a vendor has its messages in an order.
    pub fn abreast(&self, parts: usize) -> usize {
        let most = self.params.opt_integer(CONNECTIONS).and_then(|most| usize::try_from(most).ok()).unwrap_or(1);
        parts.div_ceil(A_CONNECTION).clamp(1, most.max(1))
    }

    /// Whether it is there at all. In a drill only what was marked for drills is, and never what reaches the public or customers,
    /// however it was marked.
    pub fn exists_in(&self, drill: bool) -> bool {
        !drill || (self.drills && self.audience == Audience::Internal)
    }
}

/// What one audience reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// Plain text with line breaks.
    pub body: String,
}

/// Whether a channel holds a page open at its vendor until it is told that it is over. What carries updates as well holds none.
pub fn is_pager(spec: &ChannelSpec) -> bool {
    let carries = |purpose| spec.carries.contains(&purpose);
    carries(Purpose::Page) && carries(Purpose::Resolved) && !carries(Purpose::Investigating)
}

/// Who hears of a purpose at all.
pub fn audiences(purpose: Purpose) -> &'static [Audience] {
    if purpose.is_update() { Audience::ALL } else { &[Audience::Internal] }
}
