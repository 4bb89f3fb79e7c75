//! Servers of one session each, which speak as much of their protocols as a login and a statement take.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::domain::params::Params;

const RIGHT: &str = "read-only-secret";

fn login(more: Value) -> Result<Option<Arc<Login>>, Fault> {
    let mut params = json!({ "username": "watcher", "password": { "command": ["printf", RIGHT] }, "tls": "off" });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let params = Params(params.as_object().unwrap().clone().into_iter().filter(|(_, it)| !it.is_null()).collect());
    let (id, kind, title) = ("database".into(), "rds".into(), "database".into());
    Login::of(&SystemSpec { id, kind, title, region: None, class: None, params })
}

async fn asked(engine: Engine, address: &str, more: Value) -> Result<Says, No> {
    login(more).unwrap().unwrap().ask(engine, address).await.unwrap()
}

/// Serves sessions by `serve`, one after the other.
async fn server<F: Future<Output = std::io::Result<()>> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who leaves in the middle leaves.
            let _ = serve(stream).await;
        }
    });
    address
}

/// A message of PostgreSQL: its letter, its length, what it holds.
fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[letter][..], &length, body].concat()
}

async fn heard(stream: &mut TcpStream, letter: bool) -> std::io::Result<Vec<u8>> {
    if letter {
        stream.read_u8().await?;
    }
    let length = stream.read_u32().await?;
    let mut body = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

fn postgres_error(code: &str, words: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{code}\0M{words}\0\0").as_bytes())
}

/// Takes one password, and answers any statement with `row`.
async fn postgres(mut stream: TcpStream, row: [&'static str; 3], error: Option<&'static str>) -> std::io::Result<()> {
    let started = heard(&mut stream, false).await?;
    assert!(String::from_utf8_lossy(&started).contains("mayday"), "it says who it is");
    if let Some(code) = error {
        return stream.write_all(&postgres_error(code, "not now")).await;
    }
    stream.write_all(&message(b'R', &3_u32.to_be_bytes())).await?;
    let password = heard(&mut stream, true).await?;
    if password != [RIGHT.as_bytes(), b"\0"].concat() {
        return stream.write_all(&postgres_error("28P01", "password authentication failed for user \"watcher\"")).await;
    }
    stream.write_all(&[message(b'R', &0_u32.to_be_bytes()), message(b'Z', b"I")].concat()).await?;
    let statement = heard(&mut stream, true).await?;
    assert!(String::from_utf8_lossy(&statement).contains("pg_is_in_recovery"));
    let mut columns = 3_u16.to_be_bytes().to_vec();
    let mut values = columns.clone();
    for value in row {
        columns.extend(b"c\0");
        columns.extend([0; 6]);
        columns.extend(25_u32.to_be_bytes());
        columns.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        values.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        values.extend(value.as_bytes());
    }
    let answer = [message(b'T', &columns), message(b'D', &values), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")];
    stream.write_all(&answer.concat()).await?;
    assert_eq!(stream.read_u8().await?, b'X', "it takes leave");
    Ok(())
}

#[tokio::test]
async fn postgresql_says_itself_whether_it_takes_writes() {
    for (row, says) in [
        (["false", "off", "default"], Says::TakesWrites),
        (["false", "on", "user"], Says::TakesWrites),
        (
            ["false", "on", "configuration file"],
            Says::ReadOnly("takes no writes: default_transaction_read_only is on (configuration file)".into()),
        ),
        (["true", "off", "default"], Says::Follows),
    ] {
        let address = server(move |stream| postgres(stream, row, None)).await;
        assert_eq!(asked(Engine::Postgres, &address, json!({})).await, Ok(says), "{row:?}");
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_not_a_database_that_is_down() {
    let address = server(|stream| postgres(stream, ["false", "off", "default"], None)).await;
    let wrong = json!({ "password": { "command": ["printf", "HUSH-yesterday"] } });
    let refused = asked(Engine::Postgres, &address, wrong).await.unwrap_err();
    assert!(
        matches!(&refused, No::Refused(why) if why.contains("28P01 password authentication failed")),
        "{refused:?}"
    );
    assert!(!refused.words().contains("HUSH"), "{refused:?}");
    for (code, full) in [("57P03", true), ("53300", true), ("3D000", false)] {
        let address = server(move |stream| postgres(stream, ["", "", ""], Some(code))).await;
        let no = asked(Engine::Postgres, &address, json!({})).await.unwrap_err();
        assert_eq!(matches!(no, No::Full(_)), full, "{no:?}");
    }
    let gone = asked(Engine::Postgres, "127.0.0.1:9", json!({})).await.unwrap_err();
    assert!(matches!(gone, No::Silent(_)), "{gone:?}");
    let plain = asked(Engine::Postgres, &address, json!({ "tls": "full" })).await.unwrap_err();
    assert!(!matches!(plain, No::Refused(_)), "no password goes to who does not speak TLS: {plain:?}");
    let unread = asked(Engine::Postgres, &address, json!({ "certificate_authority": "/nonexistent/bundle.pem" })).await;
    assert!(matches!(unread, Err(No::Unasked(_))), "{unread:?}");
}

/// A packet of MySQL.
fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..3], &[number], body].concat()
}

async fn packet_of(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let mut body = vec![0; usize::from(head[0]) | usize::from(head[1]) << 8];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

fn counted(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat()
}

/// Takes anybody, unless `error` says otherwise, and answers any statement with `row`.
async fn mysql(mut stream: TcpStream, row: [&'static str; 2], error: Option<u16>) -> std::io::Result<()> {
    // Protocol 4.1, transactions, a scramble of 20 bytes, plugins are named.
    let capabilities = (0x0000_0001_u32 | 0x0200 | 0x2000 | 0x8000 | 0x0008_0000).to_le_bytes();
    let greeting = [
        &b"\x0a8.0.40\0\x07\0\0\0abcdefgh\0"[..],
        &capabilities[..2],
        &[45, 2, 0],
        &capabilities[2..],
        &[21],
        &[0; 10],
        b"ijklmnopqrst\0mysql_native_password\0",
    ];
    stream.write_all(&packet(0, &greeting.concat())).await?;
    let answered = packet_of(&mut stream).await?;
    assert!(String::from_utf8_lossy(&answered).contains("watcher"));
    if let Some(code) = error {
        let said = [&[0xff][..], &code.to_le_bytes(), b"#28000Access denied for user 'watcher'"].concat();
        return stream.write_all(&packet(2, &said)).await;
    }
    stream.write_all(&packet(2, &[0, 0, 0, 2, 0, 0, 0])).await?;
    let statement = packet_of(&mut stream).await?;
    assert!(String::from_utf8_lossy(&statement).contains("@@global.innodb_read_only"));
    let column =
        [["def", "", "", "", "c", ""].map(counted).concat(), vec![12, 45, 0, 20, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0]]
            .concat();
    let end = [0xfe, 0, 0, 2, 0];
    let values = row.map(counted).concat();
    let answer: Vec<u8> = [&[2_u8][..], &column, &column, &end, &values, &end]
        .iter()
        .zip(1..)
        .flat_map(|(body, number)| packet(number, body))
        .collect();
    stream.write_all(&answer).await?;
    assert_eq!(packet_of(&mut stream).await?, [1], "it takes leave");
    Ok(())
}

#[tokio::test]
async fn mysql_says_itself_whether_it_takes_writes() {
    for (row, writes) in [(["0", "0"], true), (["1", "0"], false), (["0", "1"], false), (["NO_LOCK", "OFF"], false)] {
        let address = server(move |stream| mysql(stream, row, None)).await;
        let says = asked(Engine::MySql, &address, json!({})).await.unwrap();
        assert_eq!(says == Says::TakesWrites, writes, "{row:?}: {says:?}");
    }
    for (code, full) in [(1045, false), (1040, true)] {
        let address = server(move |stream| mysql(stream, ["", ""], Some(code))).await;
        let no = asked(Engine::MySql, &address, json!({})).await.unwrap_err();
        assert_eq!(matches!(no, No::Full(_)), full, "{no:?}");
        assert!(no.words().contains(&format!("{code} Access denied")), "{no:?}");
    }
}

#[tokio::test]
async fn half_a_login_is_none_and_what_nobody_knows_is_not_guessed() {
    assert!(login(json!({ "username": null, "password": null })).unwrap().is_none());
    for half in [json!({ "username": null }), json!({ "password": null })] {
        assert!(login(half).err().unwrap().what.contains("only of use together"));
    }
    let known = login(json!({})).unwrap().unwrap();
    assert!(known.ask(Engine::Oracle, "127.0.0.1:9").await.is_none());
    assert_eq!(of_postgres("perhaps", "off", "").words(), "says what nobody understands of itself: perhaps");
    assert_eq!(parted("[fd00::1]:5432").unwrap(), ("fd00::1", 5432));
    assert!(parted("orders").is_err());
}
