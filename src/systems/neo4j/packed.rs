//! What neo4rs 0.8 misreads, written so that it reads it: it takes a small negative number (-16 to -1, one byte) for 240 to 255
//! (`BoltInteger::parse`). Neo4j counts replication lag downwards from zero, and -1 is its word for "not known"; so on their way to neo4rs
//! these numbers get the longer form, which it reads with its sign. <https://neo4j.com/docs/bolt/current/packstream/#data-type-integer>

/// The versions of Bolt that are agreed on; what begins otherwise is none of ours, and goes on as it came.
const VERSIONS: [[u8; 4]; 2] = [[0, 0, 0, 4], [0, 0, 1, 4]];
/// A message that is longer is not rewritten: it is no answer to anything that is asked here, and it is not kept in memory.
const LONGEST: usize = 16 * 1024 * 1024;
/// The longest piece of a message (<https://neo4j.com/docs/bolt/current/bolt/message/#chunking>).
const PIECE: usize = 0xffff;
/// An integer of one byte, after this.
const INT_8: u8 = 0xc8;

/// A stream of messages, as it comes from a server.
#[derive(Default)]
pub struct Mender {
    /// What came and did not go on yet.
    held: Vec<u8>,
    begun: bool,
    /// It is no Bolt, or too long to be looked into.
    through: bool,
}

impl Mender {
    /// What goes on now that `bytes` came: whole messages.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut out = Vec::new();
        if !self.begun && !self.through {
            let Some(version) = self.held.first_chunk::<4>() else {
                // What cannot become a version is not waited for.
                self.through = !VERSIONS.iter().any(|version| version.starts_with(&self.held));
                return if self.through { std::mem::take(&mut self.held) } else { out };
            };
            (self.begun, self.through) = (true, !VERSIONS.contains(version));
            out.extend(self.held.drain(..4));
        }
        while !self.through {
            let Some(whole) = whole(&self.held) else {
                self.through = self.held.len() > LONGEST;
                break;
            };
            let came: Vec<u8> = self.held.drain(..whole.length).collect();
            match signed(&whole.message) {
                Some(mended) => put(&mended, &mut out),
                None => out.extend(came),
            }
        }
        if self.through {
            out.append(&mut self.held);
        }
        out
    }

    /// What is left of a message that broke off.
    pub fn rest(self) -> Vec<u8> {
        self.held
    }
}

/// A message, and how many bytes it takes with its pieces.
struct Whole {
    message: Vec<u8>,
    length: usize,
}

fn whole(held: &[u8]) -> Option<Whole> {
    let (mut message, mut at) = (Vec::new(), 0);
    loop {
        let size = usize::from(u16::from_be_bytes(*held.get(at..)?.first_chunk()?));
        at += 2;
        if size == 0 {
            return Some(Whole { message, length: at });
        }
        message.extend_from_slice(held.get(at..at + size)?);
        at += size;
    }
}

fn put(message: &[u8], out: &mut Vec<u8>) {
    for piece in message.chunks(PIECE) {
        // No piece is longer than that.
        out.extend_from_slice(&u16::try_from(piece.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(&[0, 0]);
}

/// The message with its small negative numbers in the longer form; `None` where there is none, or where it is not written as it should be.
fn signed(message: &[u8]) -> Option<Vec<u8>> {
    let (mut mended, mut at, mut found) = (Vec::with_capacity(message.len() + 8), 0, false);
    // Lists, maps and structures only say how much follows: their items stand one after the other.
    while let Some(marker) = message.get(at) {
        if *marker >= 0xf0 {
            mended.push(INT_8);
            found = true;
        }
        let end = at + 1 + after(*marker, message.get(at + 1..)?)?;
        mended.extend_from_slice(message.get(at..end)?);
        at = end;
    }
    found.then_some(mended)
}

/// How many bytes belong to a marker, without the items that it announces.
fn after(marker: u8, rest: &[u8]) -> Option<usize> {
    let long = |bytes: usize| {
        let size = rest.get(..bytes)?.iter().fold(0usize, |size, byte| size << 8 | usize::from(*byte));
        Some(bytes + size)
    };
    match marker {
        // Numbers of one byte, lists, maps, null, false and true.
        0x00..=0x7f | 0xf0..=0xff | 0x90..=0xaf | 0xc0 | 0xc2 | 0xc3 => Some(0),
        0x80..=0x8f => Some(usize::from(marker & 0x0f)),
        // A structure's tag.
        0xb0..=0xbf => Some(1),
        0xc1 | 0xcb => Some(8),
        0xc8 => Some(1),
        0xc9 => Some(2),
        0xca => Some(4),
        0xcc | 0xd0 => long(1),
        0xcd | 0xd1 => long(2),
        0xce | 0xd2 => long(4),
        0xd4 | 0xd8 => Some(1),
        0xd5 | 0xd9 => Some(2),
        0xd6 | 0xda => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(message, &mut out);
        out
    }

    /// What goes on of a stream that comes in pieces of some size.
    fn carried(stream: &[u8], piece: usize) -> Vec<u8> {
        let mut mender = Mender::default();
        let mut out: Vec<u8> = stream.chunks(piece).flat_map(|bytes| mender.take(bytes)).collect();
        out.extend(mender.rest());
        out
    }

    #[test]
    fn only_small_negative_numbers_are_written_anew() {
        // A record: [-1, -16, 240, "ð", { "n": -2 }, -17, 1.5, bytes]
        let text = [&[0x82][..], "ð".as_bytes()].concat();
        let given = [
            &[0xb1, 0x71, 0x98, 0xff, 0xf0, 0xc9, 0x00, 0xf0][..],
            &text,
            &[0xa1, 0x81, b'n', 0xfe, 0xc8, 0xef, 0xc1, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xcc, 2, 0xff, 0xf0],
        ]
        .concat();
        let wanted = [
            &[0xb1, 0x71, 0x98, 0xc8, 0xff, 0xc8, 0xf0, 0xc9, 0x00, 0xf0][..],
            &text,
            &[0xa1, 0x81, b'n', 0xc8, 0xfe, 0xc8, 0xef, 0xc1, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xcc, 2, 0xff, 0xf0],
        ]
        .concat();
        assert_eq!(signed(&given), Some(wanted.clone()));
        assert_eq!(signed(&[0xb1, 0x70, 0xa0]), None, "there is nothing to mend");
        for broken in [&[0xb1, 0x71, 0x91, 0xff, 0xd0, 9][..], &[0xff, 0xdf], &[0xff, 0xc9, 0]] {
            assert_eq!(signed(broken), None, "what is not written as it should be goes on as it came");
        }
        let done = framed(&[0xb1, 0x70, 0xa0]);
        // The same in two pieces, with a heartbeat of the server's between the messages.
        let split =
            [&[0, 8][..], &given[..8], &[0, u8::try_from(given.len() - 8).unwrap()], &given[8..], &[0, 0]].concat();
        for version in VERSIONS {
            let stream = [&version[..], &framed(&given), &[0, 0], &split, &done].concat();
            let whole = [&version[..], &framed(&wanted), &[0, 0], &framed(&wanted), &done].concat();
            for piece in [1, 3, 7, 4096] {
                assert_eq!(carried(&stream, piece), whole, "{piece}");
            }
        }
    }

    #[test]
    fn what_is_no_bolt_of_ours_goes_on_as_it_came() {
        let streams: [&[u8]; 6] =
            [b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0, 0, 4, 5, 0, 1, 0xff, 0, 0], b"", &[0, 0], &[0; 4], b"\xff"];
        for stream in streams {
            for piece in [1, 4096] {
                assert_eq!(carried(stream, piece), stream);
            }
        }
        let cut = [&VERSIONS[1][..], &framed(&[0xb1, 0x70, 0xa0]), &[0, 9, 1, 2]].concat();
        assert_eq!(carried(&cut, 2), cut, "what broke off is told as well");
        let long = [&VERSIONS[1][..], &[0xff; 2], &vec![1; PIECE][..]].concat();
        assert_eq!(carried(&long, 1000), long, "one piece of a message that never ends");
    }
}
