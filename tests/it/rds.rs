//! The rds driver against the lab.
