//! Standard output for answers. Whoever reads them may have seen enough (`mayday status | head`): that is no failure of the command,
//! so its exit code stays what it has to say.

use std::io::{self, Write};

/// Standard output, which goes on without a word when nobody reads any more.
pub fn out() -> Quiet<io::Stdout> {
    Quiet(io::stdout())
}

/// A writer that takes what nobody reads any more for written.
pub struct Quiet<W>(pub W);

impl<W: Write> Write for Quiet<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match harmless(bytes) {
            Some(harmless) => unread(self.0.write(&harmless), bytes.len()),
            None => unread(self.0.write(bytes), bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        unread(self.0.flush(), ())
    }
}

/// Without what would tell a terminal to do something: names and titles are anybody's. `None`: it is harmless as it is. As long as before.
pub fn harmless(bytes: &[u8]) -> Option<Vec<u8>> {
    let harms = |byte: &u8| (*byte < b' ' && !b"\n\t".contains(byte)) || *byte == 0x7f;
    bytes.iter().any(harms).then(|| bytes.iter().map(|byte| if harms(byte) { b'?' } else { *byte }).collect())
}

fn unread<T>(written: io::Result<T>, all: T) -> io::Result<T> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(all),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(io::ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn nothing_that_is_told_commands_a_terminal() {
        let mut out = Quiet(Vec::new());
        write!(out, "E\u{1b}[31mRED\u{1b}]0;x\u{7}\n\tü→").unwrap();
        assert_eq!(String::from_utf8(out.0).unwrap(), "E?[31mRED?]0;x?\n\tü→");
    }

    #[test]
    fn a_reader_who_left_is_no_failure_and_a_full_disk_is() {
        let mut left = Quiet(Fails(io::ErrorKind::BrokenPipe));
        writeln!(left, "words").unwrap();
        left.flush().unwrap();
        let mut full = Quiet(Fails(io::ErrorKind::StorageFull));
        assert_eq!(writeln!(full, "words").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
