//! The http driver against the lab.
