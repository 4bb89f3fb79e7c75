//! Lines in, replies out.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::LARGEST;

/// The longest line that is read: that of AUTH (RFC 4954, 12288 octets).
const LINE: u64 = 12_288;

/// A client that is silent for so long is hung up on.
const SILENCE: Duration = Duration::from_secs(300);

/// A connection that is read in lines. Replies to commands that came together go out together.
pub struct Wire<S> {
    stream: BufReader<S>,
    replies: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream), replies: Vec::new() }
    }

    /// The connection without what was read ahead: what a client sent before TLS must not count after it.
    pub fn into_inner(self) -> S {
        self.stream.into_inner()
    }

    pub fn reply(&mut self, text: &str) {
        self.replies.extend_from_slice(text.as_bytes());
        self.replies.extend_from_slice(b"\r\n");
    }

    pub async fn flush(&mut self) -> io::Result<()> {
        let replies = std::mem::take(&mut self.replies);
        self.stream.get_mut().write_all(&replies).await?;
        self.stream.get_mut().flush().await
    }

    /// Sends the first half of what is to be sent, and no more.
    pub async fn break_off(&mut self) -> io::Result<()> {
        self.replies.truncate(self.replies.len().div_ceil(2));
        self.flush().await?;
        self.stream.get_mut().shutdown().await
    }

    pub async fn hang_up(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.get_mut().shutdown().await
    }

    /// The next line without its end; `None` when the client left.
    ///
    /// # Errors
    /// `InvalidData` when it is too long or does not end in CR LF; the connection's own.
    pub async fn line(&mut self) -> io::Result<Option<String>> {
        let line = self.bytes().await?;
        let Some(line) = line else { return Ok(None) };
        let line = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(String::from_utf8_lossy(line).into_owned()))
    }

    async fn bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.stream.buffer().is_empty() {
            self.flush().await?;
        }
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LINE);
        match timeout(SILENCE, limited.read_until(b'\n', &mut line)).await {
            Ok(read) => Ok((read? > 0).then_some(line)),
            Err(_) => Ok(None),
        }
    }

    /// A letter up to the dot that ends it, with the dots of the transport taken away. `None` when it is too large: it was read all
    /// the same.
    ///
    /// # Errors
    /// When the client leaves before its end: then there is no letter.
    pub async fn letter(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut letter = Vec::new();
        let mut starts = true;
        loop {
            let line = self.bytes().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if starts && line == b".\r\n" {
                return Ok((letter.len() <= LARGEST).then_some(letter));
            }
            let text = if starts && line.starts_with(b".") { &line[1..] } else { &line[..] };
            if letter.len() <= LARGEST {
                letter.extend_from_slice(text);
            }
            // Only CR LF ends a line: a lone LF does not, and a line that was cut for its length goes on.
            starts = line.ends_with(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's bytes, then the end.
    async fn letter(sent: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let (mut client, server) = tokio::io::duplex(4 << 20);
        client.write_all(sent).await?;
        drop(client);
        Wire::new(server).letter().await
    }

    #[tokio::test]
    async fn dots_are_unstuffed_and_only_a_lone_dot_ends_a_letter() {
        let sent = b"a\r\n..b\r\n.c\r\nx.\r\n\n.\nstill\r\n.\r\nrest";
        assert_eq!(letter(sent).await.unwrap().unwrap(), b"a\r\n.b\r\nc\r\nx.\r\n\n.\nstill\r\n");
        assert!(letter(b"never ends\r\n").await.is_err());
    }

    #[tokio::test]
    async fn a_letter_that_is_too_large_is_read_and_not_kept() {
        let mut sent = b"x".repeat(LARGEST + 1);
        sent.extend_from_slice(b"\r\n.\r\n");
        assert_eq!(letter(&sent).await.unwrap(), None);
    }
}
