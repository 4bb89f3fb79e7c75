//! Mail through relays as there are: with limits, greylists, dead mailboxes and little time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::super::bench;
use super::*;

/// What a relay allows, and what it got.
#[derive(Default)]
struct Relay {
    most_recipients: Option<usize>,
    most_connections: Option<usize>,
    letters_a_connection: Option<usize>,
    takes: Duration,
    /// What a login by an access token has to say.
    token: Option<&'static str>,
    connections: AtomicUsize,
    peak: AtomicUsize,
    seen: Mutex<BTreeSet<String>>,
    letters: Mutex<Vec<Vec<String>>>,
}

impl Relay {
    async fn start(self) -> (Arc<Self>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, relay) = (listener.local_addr().unwrap().to_string(), Arc::new(self));
        let kept = relay.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let relay = relay.clone();
                tokio::spawn(async move {
                    let open = relay.connections.fetch_add(1, Ordering::SeqCst) + 1;
                    let _ = relay.talk(stream, open).await;
                    relay.connections.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        (kept, address)
    }

    async fn talk(&self, stream: TcpStream, open: usize) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        if self.most_connections.is_some_and(|most| open > most) {
            return stream.write_all(b"421 4.7.0 too many connections\r\n").await;
        }
        self.peak.fetch_max(open, Ordering::SeqCst);
        stream.write_all(b"220 relay ESMTP\r\n").await?;
        let (mut to, mut letters) = (Vec::<String>::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let said = match line.split([' ', '\r']).next().unwrap_or_default() {
                "EHLO" if self.token.is_some() => "250-relay\r\n250 AUTH PLAIN XOAUTH2".into(),
                "AUTH" => match self.token.is_some_and(|token| line.trim_end() == format!("AUTH XOAUTH2 {token}")) {
                    true => "235 2.7.0 welcome".into(),
                    false => "334 eyJzdGF0dXMiOiI0MDEifQ==".into(),
                },
                "MAIL" if self.letters_a_connection.is_some_and(|most| letters >= most) => {
                    return stream.write_all(b"421 4.7.0 enough of you\r\n").await;
                }
                "RCPT" => self.recipient(&line, &mut to),
                "DATA" => {
                    stream.write_all(b"354 go\r\n").await?;
                    while line != ".\r\n" {
                        line.clear();
                        stream.read_line(&mut line).await?;
                    }
                    sleep(self.takes).await;
                    letters += 1;
                    self.letters.lock().unwrap().push(std::mem::take(&mut to));
                    "250 2.0.0 taken".into()
                }
                "MAIL" | "RSET" => {
                    to.clear();
                    "250 ok".into()
                }
                _ => "250 ok".to_owned(),
            };
            stream.write_all(format!("{said}\r\n").as_bytes()).await?;
        }
    }

    fn recipient(&self, line: &str, to: &mut Vec<String>) -> String {
        let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        match () {
            () if self.most_recipients.is_some_and(|most| to.len() >= most) => "452 4.5.3 too many recipients".into(),
            () if address.starts_with("dead") => format!("550 5.1.1 <{address}>: user unknown"),
            () if address.starts_with("full") => "452 4.2.2 mailbox full, try again in 90 seconds".into(),
            () if address.starts_with("grey") && self.seen.lock().unwrap().insert(address.clone()) => {
                format!("451 4.7.1 <{address}>: Greylisted, try again in 300 seconds")
            }
            () => {
                to.push(address);
                "250 ok".into()
            }
        }
    }

    fn told(&self) -> Vec<String> {
        let mut all: Vec<String> = self.letters.lock().unwrap().concat();
        all.sort();
        all
    }
}

fn connect(server: &str, more: serde_json::Value) -> Arc<dyn Channel> {
    let mut given = serde_json::json!({ "server": server, "tls": "none", "from": "s@relay.test" });
    given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    EmailFactory.connect(&bench::spec(&KIND, Audience::Customers, given)).unwrap()
}

fn list(names: impl IntoIterator<Item = String>) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: String = names.into_iter().map(|name| format!("{name}@x.example\n")).collect();
    std::fs::write(file.path(), lines).unwrap();
    file
}

/// Sends all parts, as the engine does: so many at once, and what is left of one as another. Says how long those wait who are put off.
async fn send(channel: &dyn Channel, abreast: usize) -> Vec<Duration> {
    let parts = channel.parts().await.unwrap();
    let mut open: Vec<Parcel> =
        (0..parts).map(|part| Parcel { part, parts, ..bench::parcel(Purpose::Investigating) }).collect();
    let (mut next, mut waits, mut running) = (parts, Vec::new(), FuturesUnordered::new());
    loop {
        while running.len() < abreast
            && let Some(parcel) = open.pop()
        {
            running.push(async move { (channel.hand_over(&parcel).await.unwrap(), parcel) });
        }
        let Some((handed, parcel)) = running.next().await else { return waits };
        for rest in handed.rest {
            waits.push(rest.wait);
            if rest.wait.is_zero() || handed.taken {
                open.push(Parcel { part: next, only: rest.only, ..parcel.clone() });
                next += 1;
            }
        }
    }
}

#[tokio::test]
async fn a_relay_that_takes_few_recipients_gets_more_letters_and_everybody_is_told_once() {
    let relay = Relay { most_recipients: Some(7), takes: Duration::from_millis(5), ..Relay::default() };
    let (relay, server) = relay.start().await;
    let file = list((0..300).map(|at| format!("c{at:03}")));
    send(&*connect(&server, serde_json::json!({ "to_file": file.path() })), 8).await;
    let told = relay.told();
    assert_eq!((told.len(), told.iter().collect::<BTreeSet<_>>().len()), (300, 300));
    assert!(relay.letters.lock().unwrap().iter().all(|to| to.len() <= 7));
}

#[tokio::test]
async fn no_more_connections_are_opened_than_the_relay_takes() {
    let relay = Relay { most_connections: Some(3), letters_a_connection: Some(4), ..Relay::default() };
    let relay = Relay { takes: Duration::from_millis(20), ..relay };
    let (relay, server) = relay.start().await;
    let file = list((0..120).map(|at| format!("c{at:03}")));
    send(&*connect(&server, serde_json::json!({ "to_file": file.path(), "batch": 2 })), 20).await;
    let told = relay.told();
    assert_eq!((told.len(), told.iter().collect::<BTreeSet<_>>().len()), (120, 120));
    let peak = relay.peak.load(Ordering::SeqCst);
    assert!((2..=3).contains(&peak), "several at once, and never more than it takes: {peak}");
}

#[tokio::test]
async fn who_is_put_off_waits_alone_and_for_as_long_as_the_relay_says() {
    let (relay, server) = Relay::default().start().await;
    let file = list(["ada", "dead", "grey.bob", "full.eve", "zoe"].map(str::to_owned));
    let channel = connect(&server, serde_json::json!({ "to_file": file.path() }));
    let handed = channel.hand_over(&bench::parcel(Purpose::Investigating)).await.unwrap();
    assert_eq!(relay.told(), ["ada@x.example", "zoe@x.example"], "the others are told at once");
    assert!(handed.taken && handed.receipt["accepted"] == "2" && handed.receipt["refused"].starts_with("1 ("));
    let waits: BTreeMap<Duration, usize> = handed.rest.iter().map(|rest| (rest.wait, rest.only.len())).collect();
    assert_eq!(waits, BTreeMap::from([(Duration::from_secs(91), 1), (Duration::from_secs(301), 1)]));
    assert!(!format!("{handed:?}").contains("@x"), "addresses are nobody's business: {handed:?}");

    let alone = list(["grey.new".to_owned()]);
    let channel = connect(&server, serde_json::json!({ "to_file": alone.path() }));
    let handed = channel.hand_over(&bench::parcel(Purpose::Investigating)).await.unwrap();
    assert_eq!((handed.taken, handed.rest.len()), (false, 1), "a part of which nobody was taken stays one");
    let fault = connect(&server, serde_json::json!({ "to": ["dead@x.example"] }));
    let fault = fault.hand_over(&bench::parcel(Purpose::Investigating)).await.unwrap_err();
    assert!(fault.what.contains("the recipient of a letter is refused: ") && !fault.what.contains("dead@"), "{fault}");
}

#[tokio::test]
async fn a_dead_mailbox_in_a_part_that_is_too_full_costs_the_others_nothing() {
    let (relay, server) = Relay::default().start().await;
    let names = (0..40).map(|at| if at % 2 == 0 { format!("dead{at}") } else { format!("c{at}") });
    let file = list(names);
    let channel = connect(&server, serde_json::json!({ "to_file": file.path(), "batch": 1 }));
    let parts = channel.parts().await.unwrap();
    let mut open: Vec<Parcel> =
        (0..parts).map(|part| Parcel { part, parts, ..bench::parcel(Purpose::Investigating) }).collect();
    while let Some(parcel) = open.pop() {
        let rest = channel.hand_over(&parcel).await.map(|handed| handed.rest).unwrap_or_default();
        open.extend(rest.into_iter().map(|rest| Parcel { only: rest.only, ..parcel.clone() }));
    }
    assert_eq!(relay.told().len(), 20);
}

#[tokio::test]
async fn a_relay_that_wants_a_token_gets_one_and_says_no_to_a_stale_one() {
    use base64::Engine;
    let right = base64::prelude::BASE64_STANDARD.encode("user=status\x01auth=Bearer fresh\x01\x01");
    let (relay, server) = Relay { token: Some(&*right.leak()), ..Relay::default() }.start().await;
    let given = |token: &str, login: &str| {
        let password = bench::secret(token);
        serde_json::json!({ "to": ["ada@x.example"], "user": "status", "password": password, "login": login })
    };
    let parcel = bench::parcel(Purpose::Investigating);
    let stale = connect(&server, given("stale", "oauth")).hand_over(&parcel).await.unwrap_err();
    assert!(stale.what.contains("does not take the access token") && !stale.to_string().contains("stale"), "{stale}");
    assert!(connect(&server, given("fresh", "oauth")).hand_over(&parcel).await.unwrap().taken);
    assert_eq!(relay.told(), ["ada@x.example"]);
    let (_, plain) = Relay::default().start().await;
    let none = connect(&plain, given("fresh", "oauth")).hand_over(&parcel).await.unwrap_err();
    assert!(none.what.contains("offers no login by XOAUTH2"), "{none}");
}
