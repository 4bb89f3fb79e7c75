//! The lab's mail relay, as a client at the other end of the line sees it.

use std::sync::Arc;
use std::time::Duration;

use mayday::lab::faults::Condition;
use mayday::lab::inbox::Message;
use mayday::lab::{Lab, Pace};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::common::eventually;

/// `lab` and `labmail`, as AUTH PLAIN has them.
const PLAIN: &str = "AUTH PLAIN AGxhYgBsYWJtYWls";

async fn lab() -> Lab {
    Lab::start(Pace(200.0)).await.unwrap()
}

fn letters(lab: &Lab) -> Vec<Message> {
    lab.world.truth().inbox.of(Some("smtp")).cloned().collect()
}

/// A client that says one thing after the other.
struct Client<S>(BufReader<S>);

impl Client<TcpStream> {
    /// Connected and greeted.
    async fn open(lab: &Lab) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(&lab.endpoints["smtp"]).await.unwrap()));
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    /// The same, and logged in.
    async fn ready(lab: &Lab) -> Self {
        let mut client = Self::open(lab).await;
        client.hears("EHLO me", "250").await;
        client.hears(PLAIN, "235").await;
        client
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// The next reply, all its lines; empty when there is none any more.
    async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let from = reply.len();
            let read = timeout(Duration::from_secs(30), self.0.read_line(&mut reply)).await.expect("there is a reply");
            if read.unwrap_or(0) == 0 || reply.as_bytes().get(from + 3) != Some(&b'-') {
                return reply;
            }
        }
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
        self.0.get_mut().flush().await.unwrap();
    }

    async fn say(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        self.reply().await
    }

    #[track_caller]
    fn hears(&mut self, line: &str, code: &str) -> impl Future<Output = String> {
        let at = std::panic::Location::caller();
        async move {
            let reply = self.say(line).await;
            assert!(reply.starts_with(code), "{at}: `{line}` is answered by {reply:?} and not by {code}");
            reply
        }
    }

    async fn send_letter(&mut self, to: &str) {
        self.hears("MAIL FROM:<mayday@gennet.example>", "250").await;
        self.hears(&format!("RCPT TO:<{to}>"), "250").await;
        self.hears("DATA", "354").await;
        self.hears("Subject: x\r\n\r\nbody\r\n.", "250").await;
    }
}

async fn secured<S: AsyncRead + AsyncWrite + Unpin>(lab: &Lab, stream: S) -> tokio_rustls::client::TlsStream<S> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&lab.endpoints["smtp.ca"]).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn a_letter_is_taken_for_those_who_have_a_mailbox() {
    let lab = lab().await;
    let mut client = Client::ready(&lab).await;
    client.hears("MAIL FROM:<mayday@gennet.example> SIZE=200 BODY=8BITMIME", "250").await;
    client.hears("RCPT TO:<ada@customer.example>", "250").await;
    client.hears("RCPT TO:<bounce@customer.example>", "550 5.1.1").await;
    client.hears("RCPT TO:<bob@customer.example>", "250").await;
    client.hears("DATA", "354").await;
    let letter = "Subject: We are\r\n looking\r\nMessage-ID: <u-1@mayday>\r\n\r\nHello,\r\n..hidden\r\n.";
    client.hears(letter, "250 2.0.0").await;
    client.hears("QUIT", "221").await;
    assert_eq!(client.reply().await, "");
    let [kept] = &letters(&lab)[..] else { panic!("one letter") };
    assert_eq!((&*kept.title, &*kept.text), ("We are looking", "Hello,\n.hidden\n"));
    assert_eq!(kept.to, ["ada@customer.example", "bob@customer.example"]);
    assert_eq!((kept.mark.as_deref(), &kept.details["from"]), (Some("<u-1@mayday>"), &"mayday@gennet.example".into()));
    assert_eq!(kept.details["tls"], false);
}

#[tokio::test]
async fn only_who_is_known_may_send() {
    let lab = lab().await;
    let mut client = Client::open(&lab).await;
    client.hears("MAIL FROM:<a@x>", "503").await;
    let offers = client.hears("EHLO me", "250").await;
    for offer in ["PIPELINING", "SIZE 1048576", "STARTTLS", "AUTH PLAIN LOGIN", "8BITMIME"] {
        assert!(
            offers.contains(&format!("250-{offer}\r\n")) || offers.contains(&format!("250 {offer}\r\n")),
            "{offers}"
        );
    }
    client.hears("MAIL FROM:<a@x>", "530").await;
    client.hears("AUTH PLAIN AGxhYgB3cm9uZw==", "535").await;
    client.hears("AUTH PLAIN !", "501").await;
    client.hears("AUTH CRAM-MD5", "504").await;
    client.hears("AUTH LOGIN", "334 VXNlcm5hbWU6").await;
    client.hears("bGFi", "334 UGFzc3dvcmQ6").await;
    client.hears("bGFibWFpbA==", "235").await;
    client.hears(PLAIN, "503").await;
    client.hears("DATA", "503").await;
    client.hears("MAIL FROM:<a@x>", "250").await;
    client.hears("DATA", "554").await;
    client.hears("RSET", "250").await;
    client.hears("MAIL FROM:<a@x> SIZE=99999999", "552").await;
    client.hears("EXPN all", "502").await;
}

#[tokio::test]
async fn tls_forgets_what_was_said_in_the_open() {
    let lab = lab().await;
    let mut client = Client::ready(&lab).await;
    // What is sent on behind STARTTLS does not count: it may be somebody else's.
    client.send("STARTTLS\r\nNOOP\r\n").await;
    assert!(client.reply().await.starts_with("220"));
    let mut client = Client(BufReader::new(secured(&lab, client.0.into_inner()).await));
    client.hears("MAIL FROM:<a@x>", "503").await;
    let offers = client.hears("EHLO me", "250").await;
    assert!(!offers.contains("STARTTLS"), "{offers}");
    client.hears("MAIL FROM:<a@x>", "530").await;
    client.hears(PLAIN, "235").await;
    client.send_letter("ada@x").await;
    assert_eq!(letters(&lab)[0].details["tls"], true);
}

#[tokio::test]
async fn tls_may_come_first() {
    let lab = lab().await;
    let stream = TcpStream::connect(&lab.endpoints["smtps"]).await.unwrap();
    let mut client = Client(BufReader::new(secured(&lab, stream).await));
    assert!(client.reply().await.starts_with("220"));
    client.hears("EHLO me", "250").await;
    client.hears(PLAIN, "235").await;
    client.send_letter("ada@x").await;
    assert_eq!(letters(&lab)[0].details["tls"], true);
}

#[tokio::test]
async fn commands_may_come_all_at_once() {
    let lab = lab().await;
    let mut client = Client::ready(&lab).await;
    for _ in 0..2 {
        client.send("MAIL FROM:<a@x>\r\nRCPT TO:<bounce@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n").await;
        for code in ["250", "550", "250", "354"] {
            let reply = client.reply().await;
            assert!(reply.starts_with(code), "{reply:?} and not {code}");
        }
        client.hears("\r\nbody\r\n.", "250").await;
    }
    assert_eq!(letters(&lab).len(), 2);
}

#[tokio::test]
async fn recipients_are_put_off() {
    let lab = lab().await;
    let mut client = Client::ready(&lab).await;
    client.hears("MAIL FROM:<a@x>", "250").await;
    client.hears("RCPT TO:<grey.ada@x>", "450 4.2.0").await;
    eventually("the greylist lets it through", async || {
        client.say("RCPT TO:<grey.ada@x>").await.starts_with("250").then_some(())
    })
    .await;
    for at in 1..50 {
        client.hears(&format!("RCPT TO:<c{at}@x>"), "250").await;
    }
    client.hears("RCPT TO:<c50@x>", "452 4.5.3").await;
}

#[tokio::test]
async fn the_relay_breaks_as_it_is_told() {
    let lab = lab().await;
    let set = |condition| lab.world.truth().faults.set("smtp", condition);
    set(Condition::Throttled);
    let mut client = Client::ready(&lab).await;
    client.hears("MAIL FROM:<a@x>", "452").await;
    client.hears("MAIL FROM:<a@x>", "421").await;
    assert_eq!(client.reply().await, "");
    set(Condition::Up);
    let mut before = Client::ready(&lab).await;
    set(Condition::Denied);
    let mut client = Client::open(&lab).await;
    client.hears("EHLO me", "250").await;
    client.hears(PLAIN, "535").await;
    before.hears("MAIL FROM:<a@x>", "530").await;
    set(Condition::Refused);
    let mut stream = BufReader::new(TcpStream::connect(&lab.endpoints["smtp"]).await.unwrap());
    assert_eq!(stream.read_line(&mut String::new()).await.unwrap_or(0), 0);
    assert_eq!(letters(&lab).len(), 0);

    // The letter may have been taken: it was.
    set(Condition::Half);
    let mut client = Client::ready(&lab).await;
    client.hears("MAIL FROM:<a@x>", "250").await;
    client.hears("RCPT TO:<b@x>", "250").await;
    client.hears("DATA", "354").await;
    let reply = client.say("\r\nbody\r\n.").await;
    assert!(!reply.ends_with('\n'), "a whole reply: {reply:?}");
    assert_eq!(letters(&lab).len(), 1);
}

#[tokio::test]
async fn a_letter_that_was_not_ended_is_no_letter() {
    let lab = lab().await;
    let mut client = Client::ready(&lab).await;
    client.hears("MAIL FROM:<a@x>", "250").await;
    client.hears("RCPT TO:<b@x>", "250").await;
    client.hears("DATA", "354").await;
    client.send("Subject: x\r\n\r\nhalf a letter\r\n").await;
    client.0.get_mut().shutdown().await.unwrap();
    assert_eq!(client.reply().await, "");
    assert_eq!(letters(&lab).len(), 0);
}
