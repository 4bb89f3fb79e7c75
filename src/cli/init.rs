//! `mayday init`: a commented config to start from.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::domain::system::Fault;

/// What is written; a test makes sure that it is sound.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Writes the example config to `path`, with its directory if need be.
///
/// # Errors
/// When there is a file already (it is left alone), or none can be written.
pub fn init(path: &Path, out: &mut impl Write) -> Result<(), Fault> {
    let shown = path.display();
    write_new(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Fault::permanent("init", format!("{shown} exists and was left alone"))
            .next("edit it, or name another file: mayday init PATH"),
        _ => Fault::permanent("init", format!("{shown} cannot be written: {error}"))
            .next("name another file: mayday init PATH"),
    })?;
    let said = writeln!(
        out,
        "Wrote {shown}. It describes an example estate: put your own regions, systems and services in,\n\
         then run `mayday check`. `mayday kinds` lists what can be watched and failed over."
    );
    said.map_err(|error| Fault::permanent("init", format!("the terminal cannot be written to: {error}")))
}

fn write_new(path: &Path) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(EXAMPLE.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mayday/config.toml");
        let mut said = Vec::new();
        init(&path, &mut said).unwrap();
        assert!(String::from_utf8(said).unwrap().contains("mayday check"));
        assert_eq!(fs::read_to_string(&path).unwrap(), EXAMPLE);
        fs::write(&path, "mine").unwrap();
        let refused = init(&path, &mut Vec::new()).unwrap_err();
        assert!(refused.what.contains("was left alone"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
