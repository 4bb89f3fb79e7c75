//! Where a program is.

use std::env;
use std::path::Path;

/// Whether a program is where it is said to be, or, when it is a name without a slash, in one of the folders of `PATH`.
pub fn is_found(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}
