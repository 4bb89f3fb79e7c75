//! Small things that are drawn in more than one place.

pub mod digits;
pub mod gauge;
pub mod graph;
pub mod row;
pub mod sparkline;
