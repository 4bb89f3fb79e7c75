//! The kubernetes driver against the lab.
