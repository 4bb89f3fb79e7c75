//! What is written when it is over: the review of an incident, and the evidence of a drill.
//!
//! Records of the journal become a [`Review`] ([`fold`], which keeps nothing but the incident it was asked for), and a review, like the
//! [evidence of a drill](drill), becomes a [`Doc`](doc::Doc): headings, tables, figures. A document is written as Markdown or as one
//! HTML page that needs nothing else; text from outside is made harmless in those two files and nowhere else.

pub mod doc;
pub mod drill;
mod figure;
mod html;
mod junit;
mod markdown;
mod trend;
mod words;

pub use doc::Doc;
pub use junit::junit;
pub use trend::{Row, Trend, trend};
