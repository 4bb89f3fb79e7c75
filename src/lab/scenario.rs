//! Scenarios: what goes wrong, and when.
