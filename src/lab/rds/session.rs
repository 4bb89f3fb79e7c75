//! A session of PostgreSQL, as far as a login and one question go: a password, and whether the database replays another's log. `psql` takes
//! it for a server (<https://www.postgresql.org/docs/current/protocol-flow.html>).

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::net::GatedStream;

/// The role that may log in, and its password.
pub const ROLE: &str = "watcher";
pub const PASSWORD: &str = "labsecret";

/// `SSLRequest` of the PostgreSQL protocol: 80877103.
const SSL_REQUEST: u32 = 80_877_103;
/// Version 3.0.
const VERSION: u32 = 196_608;
/// No message of a client is longer.
const LONGEST: usize = 64 * 1024;
/// The oid of `text`.
const TEXT: u32 = 25;

/// Serves one client. `recovery` says whether the database follows another one, and nothing when it serves nobody.
pub async fn serve(mut stream: GatedStream, recovery: impl Fn() -> Option<bool>) -> io::Result<()> {
    let mut asked = start(&mut stream).await?;
    if asked.0 == SSL_REQUEST {
        if recovery().is_none() {
            return stream.shutdown().await;
        }
        stream.write_all(b"N").await?;
        asked = start(&mut stream).await?;
    }
    let (version, settings) = asked;
    if version != VERSION {
        return stream.shutdown().await;
    }
    let role = setting(&settings, "user").unwrap_or_default();
    if recovery().is_none() {
        return refuse(&mut stream, "57P03", "the database system is starting up").await;
    }
    stream.write_all(&message(b'R', &3_u32.to_be_bytes())).await?;
    let (_, password) = read(&mut stream).await?;
    if role != ROLE || password.strip_suffix(b"\0") != Some(PASSWORD.as_bytes()) {
        let words = format!("password authentication failed for user \"{role}\"");
        return refuse(&mut stream, "28P01", &words).await;
    }
    stream.write_all(&[message(b'R', &0_u32.to_be_bytes()), ready()].concat()).await?;
    loop {
        match read(&mut stream).await? {
            (b'Q', statement) => {
                let Some(recovery) = recovery() else {
                    return refuse(&mut stream, "57P01", "terminating connection due to administrator command").await;
                };
                stream.write_all(&answer(&String::from_utf8_lossy(&statement), recovery)).await?;
            }
            (b'X', _) => return stream.shutdown().await,
            _ => return refuse(&mut stream, "0A000", "only simple questions are answered").await,
        }
    }
}

/// The first message has no letter: its code, and what follows.
async fn start(stream: &mut GatedStream) -> io::Result<(u32, Vec<u8>)> {
    let length = stream.read_u32().await?;
    let body = body(stream, length).await?;
    let (code, rest) = body.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
    Ok((u32::from_be_bytes(*code), rest.to_vec()))
}

async fn read(stream: &mut GatedStream) -> io::Result<(u8, Vec<u8>)> {
    let letter = stream.read_u8().await?;
    let length = stream.read_u32().await?;
    Ok((letter, body(stream, length).await?))
}

async fn body(stream: &mut GatedStream, length: u32) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).ok().and_then(|it| it.checked_sub(4)).filter(|it| *it <= LONGEST);
    let mut body = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// The value of a name among pairs that end in zeros.
fn setting(pairs: &[u8], name: &str) -> Option<String> {
    let mut texts = pairs.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    while let (Some(key), Some(value)) = (texts.next(), texts.next()) {
        if key == name {
            return Some(value.into_owned());
        }
    }
    None
}

fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or_default().to_be_bytes();
    [&[letter][..], &length, body].concat()
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn error(code: &str, words: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{code}\0M{words}\0\0").as_bytes())
}

async fn refuse(stream: &mut GatedStream, code: &str, words: &str) -> io::Result<()> {
    stream.write_all(&error(code, words)).await?;
    stream.shutdown().await
}

/// Of all questions it knows one, in the words of a person or with the setting besides that Mayday asks for.
fn answer(statement: &str, recovery: bool) -> Vec<u8> {
    let person = if recovery { "t" } else { "f" };
    let row = match (statement.contains("pg_is_in_recovery"), statement.contains("pg_settings")) {
        (false, _) => {
            return [error("0A000", "the lab knows no other question than pg_is_in_recovery()"), ready()].concat();
        }
        (true, false) => vec![("pg_is_in_recovery", person)],
        (true, true) => {
            let recovery = if recovery { "true" } else { "false" };
            vec![("pg_is_in_recovery", recovery), ("setting", "off"), ("source", "default")]
        }
    };
    let count = u16::try_from(row.len()).unwrap_or_default().to_be_bytes();
    let (mut columns, mut values) = (count.to_vec(), count.to_vec());
    for (name, value) in row {
        columns.extend(name.as_bytes());
        // No table, no column of one, a text of any length.
        columns.extend([0; 7]);
        columns.extend(TEXT.to_be_bytes());
        columns.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        values.extend(u32::try_from(value.len()).unwrap_or_default().to_be_bytes());
        values.extend(value.as_bytes());
    }
    [message(b'T', &columns), message(b'D', &values), message(b'C', b"SELECT 1\0"), ready()].concat()
}
