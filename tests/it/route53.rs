//! The route53 driver against the lab.
