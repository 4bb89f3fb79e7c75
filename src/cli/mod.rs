//! One file per subcommand: prints, and nothing else.

pub mod check;
pub mod init;
pub mod kinds;
