//! Communications, as they follow from the facts: what is due, what there is to say, how what was said fares, and what is still open
//! outside.

mod due;
mod facts;
mod outside;
mod page;
mod standing;

pub use due::{Proposal, due};
pub use facts::{components, facts};
pub use outside::{LastWord, Outside, Undelivered, Unreached, left_open, open_pages, outside, unreached};
pub use page::{PageStanding, escalations, page_standing};
pub use standing::standing;
