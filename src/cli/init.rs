//! `mayday init`: a commented config to start from.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use super::schema::{self, CONFIG_LINE};
use crate::domain::kinds::Kinds;
use crate::domain::system::Fault;

/// What is written; a test makes sure that it is sound.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Writes the example config to `path`, with its directory if need be, and its schema beside it for the editor.
///
/// # Errors
/// When there is a file already (it is left alone), or none can be written.
pub fn init(path: &Path, kinds: &Kinds, out: &mut impl Write) -> Result<(), Fault> {
    let shown = path.display();
    write_new(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Fault::permanent("init", format!("{shown} exists and was left alone"))
            .next("edit it, or name another file: mayday init PATH"),
        _ => Fault::permanent("init", format!("{shown} cannot be written: {error}"))
            .next("name another file: mayday init PATH"),
    })?;
    // Without the schema the config is as good, but for the editor.
    let beside = match schema::lay_beside(path, kinds) {
        Ok(beside) => format!("{} lets an editor complete and check it.", beside.display()),
        Err(error) => format!("Its schema for editors was not written ({error}); `mayday schema config` prints it."),
    };
    let said = writeln!(
        out,
        "Wrote {shown}. {beside}\nThe config describes an example estate: put your own regions, systems and services in,\n\
         then run `mayday check`. `mayday kinds` lists what can be watched and failed over."
    );
    said.map_err(|error| Fault::permanent("init", format!("the terminal cannot be written to: {error}")))
}

/// What is written: the example under the line that names its schema.
fn text() -> String {
    format!("{CONFIG_LINE}\n{EXAMPLE}")
}

fn write_new(path: &Path) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mayday/config.toml");
        let mut said = Vec::new();
        let kinds = Kinds(&[], &[]);
        init(&path, &kinds, &mut said).unwrap();
        assert!(String::from_utf8(said).unwrap().contains("mayday check"));
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{CONFIG_LINE}\n{EXAMPLE}"));
        assert!(dir.path().join("mayday/config.schema.json").exists());
        fs::write(&path, "mine").unwrap();
        let refused = init(&path, &kinds, &mut Vec::new()).unwrap_err();
        assert!(refused.what.contains("was left alone"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
