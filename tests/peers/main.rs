//! What needs real servers or vendors' own clients: `.ci/run` installs them and runs these with `--ignored`.

mod aws_route53_s3;
mod python;
