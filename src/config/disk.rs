//! Files that people wrote, read with care.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

/// The most bytes that one file of a config may have.
const LARGEST: u64 = 4 << 20;

pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Reads a file that a person wrote. A pipe or a device in its place would be waited for, or read, for ever.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger than any such file.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened, as the opening alone may make a device do something; and after, as it may be another file by then.
    regular(&fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    regular(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let what = format!("it is larger than {} MiB, the most that such a file may have", LARGEST >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// The same, as text.
///
/// # Errors
/// Also when it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8");
    String::from_utf8(read_file(path)?).map_err(no_text)
}

fn regular(found: &Metadata) -> io::Result<()> {
    if found.is_file() { Ok(()) } else { Err(io::Error::other("it is no regular file")) }
}

/// Whether a file is none of the operator's: editors and tools keep their locks, copies and drafts in hidden ones.
pub fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_regular_files_of_a_sensible_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        symlink("/dev/zero", at("device")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["pipe", "device", "socket", "folder"] {
            let refused = read_file(&at(name)).unwrap_err().to_string();
            assert_eq!(refused, "it is no regular file", "{name}");
        }
        fs::File::create(at("large")).unwrap().set_len(LARGEST + 1).unwrap();
        let refused = read_file(&at("large")).unwrap_err().to_string();
        assert!(refused.contains("larger than 4 MiB"), "{refused}");
        fs::File::create(at("most")).unwrap().set_len(LARGEST).unwrap();
        assert_eq!(read_file(&at("most")).unwrap().len() as u64, LARGEST);
        assert_eq!(read_file(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(at("latin"), b"caf\xe9").unwrap();
        assert!(read_text(&at("latin")).unwrap_err().to_string().contains("UTF-8"));
        symlink(at("text"), at("link")).unwrap();
        fs::write(at("text"), "text").unwrap();
        assert_eq!(read_text(&at("link")).unwrap(), "text");
    }
}
