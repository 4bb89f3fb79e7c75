//! Whether a database answers a client: the first words of its engine's own protocol. Nobody logs in, so no password is needed.
//!
//! - PostgreSQL: `SSLRequest`, answered by one letter
//!   (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>).
//! - MySQL, MariaDB: the server greets first. A client that leaves then is counted as broken, and after `max_connect_errors` of those its
//!   host is blocked (<https://dev.mysql.com/doc/refman/8.4/en/host-cache.html>): so a name without a password is given, and refused.
//! - SQL Server: `PRELOGIN` (MS-TDS 2.2.6.5). Oracle: a `CONNECT` packet, which its listener accepts, refuses or sends elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::domain::text::clean;
use crate::systems::aws::is_no_way;

/// How a database of RDS is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    /// MariaDB, too.
    MySql,
    SqlServer,
    Oracle,
}

/// The words of the parameter `engine`.
pub const ENGINES: &[&str] = &["postgres", "mysql", "mariadb", "sqlserver", "oracle"];

impl Engine {
    /// By the API's word, or the config's; `None` for one whose greeting is not known here (Db2).
    pub fn of(word: &str) -> Option<Self> {
        let is = |part: &str| word.contains(part);
        match () {
            () if is("postgres") => Some(Self::Postgres),
            () if is("mysql") || is("mariadb") || word == "aurora" => Some(Self::MySql),
            () if is("sqlserver") => Some(Self::SqlServer),
            () if is("oracle") => Some(Self::Oracle),
            () => None,
        }
    }

    /// By the port that it has unless somebody chose another.
    pub fn by_port(address: &str) -> Self {
        match address.rsplit(':').next() {
            Some("3306") => Self::MySql,
            Some("1433") => Self::SqlServer,
            Some("1521") => Self::Oracle,
            _ => Self::Postgres,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL or MariaDB",
            Self::SqlServer => "SQL Server",
            Self::Oracle => "Oracle",
        }
    }
}

/// Why no client is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum No {
    /// Nobody is there, or it is something else.
    Silent(String),
    /// It is there and takes this host for a stranger: what it does for others is not known.
    Refused(String),
    /// It is there and takes nobody.
    Full(String),
    /// It was not asked: this host finds no such name, or has no way there.
    Unasked(String),
}

impl No {
    pub fn words(&self) -> &str {
        match self {
            Self::Silent(why) | Self::Refused(why) | Self::Full(why) | Self::Unasked(why) => why,
        }
    }
}

/// `SSLRequest`: its length, then 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The name that MySQL is told, and refuses.
const STRANGER: &str = "mayday_probe";
/// Protocol 4.1, secure connection, plugins are named.
const CAPABILITIES: u32 = 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
const MYSQL_NATIVE: &str = "mysql_native_password";
/// `ER_CON_COUNT_ERROR`, `ER_SERVER_SHUTDOWN`, `ER_USER_LIMIT_REACHED`.
pub const FULL: [u16; 3] = [1040, 1053, 1226];
/// `ER_HOST_IS_BLOCKED`, `ER_HOST_NOT_PRIVILEGED`.
const STRANGE_HOST: [u16; 2] = [1129, 1130];
/// No greeting is longer.
const LONGEST: usize = 64 * 1024;

/// Asks the server at `address` (`host:port`) in the words of its engine.
///
/// # Errors
/// Why no client is served, in a few words.
pub async fn answers(engine: Engine, address: &str, patience: Duration) -> Result<(), No> {
    let until = Instant::now() + patience;
    let found = found(address, patience).await?;
    let asking = async {
        let mut stream = TcpStream::connect(&found[..]).await?;
        greet(engine, &mut stream).await
    };
    match timeout_at(until, asking).await {
        Ok(Ok(Greeted::There)) => Ok(()),
        Ok(Ok(Greeted::Full(why))) => Err(No::Full(format!("{address} takes no more clients: {why}"))),
        Ok(Ok(Greeted::Strange(why))) => Err(No::Refused(format!("{address} refuses this host: {why}"))),
        Ok(Ok(Greeted::Other)) => Err(No::Silent(format!("what answers at {address} is no {} server", engine.name()))),
        Ok(Err(error)) => Err(unreached(address, &error)),
        Err(_) => Err(No::Silent(format!("{address} does not answer within {:.1} s", patience.as_secs_f64()))),
    }
}

/// Where a name leads. A resolver that says nothing, or nothing of this name, is no database that is gone.
///
/// # Errors
/// Why it is not known.
async fn found(address: &str, patience: Duration) -> Result<Vec<SocketAddr>, No> {
    let unasked = |why: String| No::Unasked(format!("{} cannot be resolved from this host{why}", clean(address)));
    match timeout(patience, lookup_host(address)).await {
        Ok(Ok(found)) => {
            Some(found.collect::<Vec<_>>()).filter(|it| !it.is_empty()).ok_or_else(|| unasked(String::new()))
        }
        Ok(Err(error)) => Err(unasked(format!(": {}", clean(&error.to_string())))),
        Err(_) => Err(unasked(format!(" within {:.1} s", patience.as_secs_f64()))),
    }
}

/// A connection that could not be made, or broke.
pub fn unreached(address: &str, error: &std::io::Error) -> No {
    match is_no_way(error) {
        true => No::Unasked(format!("{} cannot be reached from this host: {error}", clean(address))),
        false => No::Silent(format!("{} takes no connection: {}", clean(address), error.kind())),
    }
}

/// What a server said first.
#[derive(Debug, PartialEq, Eq)]
enum Greeted {
    There,
    Full(String),
    Strange(String),
    Other,
}

async fn greet<S: AsyncRead + AsyncWrite + Unpin>(engine: Engine, stream: &mut S) -> std::io::Result<Greeted> {
    match engine {
        Engine::Postgres => {
            stream.write_all(&SSL_REQUEST).await?;
            let said = stream.read_u8().await?;
            // It says no more than that: what goes on talking is something else, whose first byte is one of the two by chance.
            let goes_on = stream.read_u8().now_or_never().is_some_and(|more| more.is_ok());
            Ok(if matches!(said, b'S' | b'N') && !goes_on { Greeted::There } else { Greeted::Other })
        }
        Engine::MySql => mysql(stream).await,
        Engine::SqlServer => {
            stream.write_all(&prelogin()).await?;
            // A table of answers, whatever it says.
            Ok(if stream.read_u8().await? == 0x04 { Greeted::There } else { Greeted::Other })
        }
        Engine::Oracle => {
            stream.write_all(&tns_connect()).await?;
            let mut head = [0; 8];
            stream.read_exact(&mut head).await?;
            // Accept, refuse, redirect, resend: a listener, each time.
            Ok(if matches!(head[4], 2 | 4 | 5 | 11) { Greeted::There } else { Greeted::Other })
        }
    }
}

/// One packet: its number, and what it holds. `None` when it is no packet of MySQL.
async fn packet<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16;
    if length == 0 || length > LONGEST {
        return Ok(None);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some((head[3], body)))
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, number: u8, body: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(body.len()).unwrap_or_default().to_le_bytes();
    let head = [length[0], length[1], length[2], number];
    stream.write_all(&[&head[..], body].concat()).await
}

async fn mysql<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<Greeted> {
    let Some((number, body)) = packet(stream).await? else { return Ok(Greeted::Other) };
    match body[0] {
        10 => {}
        0xff => return Ok(complaint(&body)),
        _ => return Ok(Greeted::Other),
    }
    // From here on it is there; what follows only takes leave as a client does.
    let _ = leave(stream, number).await;
    Ok(Greeted::There)
}

async fn leave<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, number: u8) -> std::io::Result<()> {
    send(stream, number.wrapping_add(1), &handshake()).await?;
    // It may ask for the password in another way: there is none.
    while let Some((number, body)) = packet(stream).await? {
        match body[0] {
            0xfe | 0x01 => send(stream, number.wrapping_add(1), &[0]).await?,
            0x00 => return send(stream, 0, &[0x01]).await,
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// `HandshakeResponse41` without a password.
fn handshake() -> Vec<u8> {
    let mut body = CAPABILITIES.to_le_bytes().to_vec();
    body.extend(0x0100_0000_u32.to_le_bytes());
    body.push(45);
    body.extend([0; 23]);
    body.extend(STRANGER.as_bytes());
    body.extend([0, 0]);
    body.extend(MYSQL_NATIVE.as_bytes());
    body.push(0);
    body
}

/// An error in place of a greeting.
fn complaint(body: &[u8]) -> Greeted {
    let code = body.get(1..3).map_or(0, |it| u16::from_le_bytes([it[0], it[1]]));
    let words = format!("{code} {}", clean(&String::from_utf8_lossy(body.get(3..).unwrap_or_default())));
    match code {
        _ if FULL.contains(&code) => Greeted::Full(words),
        _ if STRANGE_HOST.contains(&code) => Greeted::Strange(words),
        _ => Greeted::Full(words),
    }
}

/// Two options: version and encryption.
fn prelogin() -> Vec<u8> {
    let options = [0x00, 0, 11, 0, 6, 0x01, 0, 17, 0, 1, 0xff];
    let body = [&options[..], &[0; 6], &[0x02]].concat();
    let length = u8::try_from(body.len() + 8).unwrap_or_default();
    [&[0x12, 0x01, 0, length, 0, 0, 0, 0][..], &body].concat()
}

/// Asks the listener for its version.
fn tns_connect() -> Vec<u8> {
    const DATA: &[u8] = b"(CONNECT_DATA=(COMMAND=version))";
    const OFFSET: u16 = 58;
    let data = u16::try_from(DATA.len()).unwrap_or_default();
    let mut packet = Vec::new();
    packet.extend((OFFSET + data).to_be_bytes());
    packet.extend([0, 0, 1, 0, 0, 0]);
    // Version 310, at least 300; no options; how much a unit of data may hold.
    for word in [310_u16, 300, 0, 2048, 32_767, 0x7f08, 0, 1, data, OFFSET] {
        packet.extend(word.to_be_bytes());
    }
    packet.resize(usize::from(OFFSET), 0);
    packet.extend(DATA);
    packet
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// A server of one connection: what it says first, and what it answers to each thing it is told.
    async fn server(first: Vec<u8>, answers: Vec<Vec<u8>>) -> (String, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&first).await.unwrap();
            let (mut heard, mut buffer) = (0, [0; 512]);
            for answer in answers {
                if stream.read(&mut buffer).await.unwrap_or(0) > 0 {
                    heard += 1;
                    stream.write_all(&answer).await.unwrap();
                }
            }
            heard
        });
        (address, heard)
    }

    fn mysql_packet(number: u8, body: &[u8]) -> Vec<u8> {
        [&[body.len() as u8, 0, 0, number][..], body].concat()
    }

    #[tokio::test]
    async fn each_engine_is_known_by_its_own_first_words() {
        let greeting = mysql_packet(0, b"\x0a8.0.40\0and more");
        let denied = mysql_packet(2, b"\xff\x15\x04#28000Access denied");
        let cases = [
            (Engine::Postgres, vec![], vec![b"N".to_vec()], true),
            (Engine::Postgres, vec![], vec![b"H".to_vec()], false),
            (Engine::Postgres, mysql_packet(0, &[b'x'; 78]), vec![], false),
            (Engine::MySql, greeting.clone(), vec![denied], true),
            (Engine::MySql, b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), vec![], false),
            (Engine::SqlServer, vec![], vec![vec![0x04, 1, 0, 8]], true),
            (Engine::SqlServer, vec![], vec![vec![0x15, 3]], false),
            (Engine::Oracle, vec![], vec![vec![0, 8, 0, 0, 4, 0, 0, 0]], true),
            (Engine::Oracle, vec![], vec![b"HTTP/1.1 400".to_vec()], false),
        ];
        for (engine, first, said, there) in cases {
            let all = said.len();
            let (address, heard) = server(first, said).await;
            let answer = answers(engine, &address, PATIENCE).await;
            assert_eq!(answer.is_ok(), there, "{engine:?}: {answer:?}");
            if there {
                assert_eq!(heard.await.unwrap(), all, "{engine:?} was told what a client tells");
            }
        }
    }

    #[tokio::test]
    async fn a_database_that_takes_nobody_is_not_one_that_is_gone() {
        for (code, refused) in [(1040_u16, false), (1129, true), (1130, true)] {
            let [low, high] = code.to_le_bytes();
            let (address, _) = server(mysql_packet(0, &[&[0xff, low, high][..], b"so it is"].concat()), vec![]).await;
            let no = answers(Engine::MySql, &address, PATIENCE).await.unwrap_err();
            assert!(no.words().contains("so it is"), "{no:?}");
            assert_eq!(matches!(no, No::Refused(_)), refused, "{no:?}");
            assert_eq!(matches!(no, No::Full(_)), !refused, "{no:?}");
        }
        let gone = answers(Engine::MySql, "127.0.0.1:9", PATIENCE).await.unwrap_err();
        assert!(matches!(gone, No::Silent(_)), "{gone:?}");
        let nameless = answers(Engine::Postgres, "no-such-name.invalid:5432", PATIENCE).await.unwrap_err();
        assert!(matches!(&nameless, No::Unasked(why) if why.contains("cannot be resolved")), "{nameless:?}");
    }

    #[test]
    fn engines_are_known_by_the_words_of_the_api() {
        for (word, engine) in [
            ("postgres", Some(Engine::Postgres)),
            ("aurora-postgresql", Some(Engine::Postgres)),
            ("mariadb", Some(Engine::MySql)),
            ("aurora-mysql", Some(Engine::MySql)),
            ("sqlserver-ee", Some(Engine::SqlServer)),
            ("custom-oracle-ee-cdb", Some(Engine::Oracle)),
            ("db2-se", None),
        ] {
            assert_eq!(Engine::of(word), engine, "{word}");
        }
        assert_eq!(Engine::by_port("db.example:3306"), Engine::MySql);
        assert_eq!(Engine::by_port("127.0.0.1:40001"), Engine::Postgres);
    }
}
