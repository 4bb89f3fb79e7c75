//! What needs real servers or vendors' own clients: `.ci/run` installs them and runs these with `--ignored`.
