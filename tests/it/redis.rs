//! The redis driver against the lab.
