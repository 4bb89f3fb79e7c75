//! The s3 driver against the lab.
