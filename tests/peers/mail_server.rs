//! E-mail to aiosmtpd, which knows the protocol from elsewhere: TLS, a login, bounces, and letters that Python's parser reads.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command};
use std::sync::Arc;

use mayday::domain::comms::{Audience, Channel, Parcel, Purpose};
use mayday::domain::system::FaultClass;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::python::interpreter;
use crate::server::Server;
use crate::vendors::{connect, parcel, secret};

const PASSWORD: &str = "correct horse";
const TOKEN: &str = "ya29.a0AfB";

/// The server, what it prints, and where its certificate lies.
struct Mail {
    _server: Server,
    said: BufReader<ChildStdout>,
    ports: Vec<u64>,
    files: TempDir,
}

impl Mail {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/mail_server.py");
        let mut command = Command::new(interpreter());
        command
            .arg("-B")
            .arg(script)
            .env("CERTIFICATE", certificate)
            .env("KEY", key)
            .env("PASSWORD", PASSWORD)
            .env("TOKEN", TOKEN);
        let (server, stdout) = Server::talking(&mut command);
        let mut said = BufReader::new(stdout);
        let ports = line(&mut said)["ports"].as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).collect();
        Self { _server: server, said, ports, files }
    }

    fn channel(&self, port: usize, audience: Audience, more: Value) -> Arc<dyn Channel> {
        let mut given = json!({
            "server": format!("127.0.0.1:{}", self.ports[port]), "ca": self.files.path().join("cert.pem"),
            "user": "mayday", "password": secret(PASSWORD), "from": "GenNet Status <status@gennet.example>",
            "to": ["Ada <ada@x.example>", "bob@y.example", "bounce@x.example"],
        });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        connect("email", audience, given)
    }

    fn letter(&mut self) -> Value {
        line(&mut self.said)
    }
}

fn line(said: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

fn update(number: u32, subject: &str) -> Parcel {
    let mut parcel = parcel(number, Purpose::Investigating);
    parcel.text.subject = subject.into();
    parcel.text.body = "Grüße,\n.\n..wir sehen nach.\nFrom now on.\n".into();
    parcel
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs aiosmtpd: .ci/run installs it"]
async fn letters_arrive_whole_over_tls_for_everybody_with_a_mailbox() {
    let mut mail = Mail::start();
    for (port, tls) in [(0, "starttls"), (1, "implicit")] {
        let channel = mail.channel(port, Audience::Customers, json!({ "tls": tls }));
        assert!(channel.reach().await.unwrap().contains("over TLS"));
        let receipt = channel.deliver(&update(1, "Störung: wir sehen nach")).await.unwrap();
        assert_eq!(receipt["accepted"], "2");
        assert!(receipt["refused"].starts_with("1 (") && !receipt["refused"].contains("bounce@"), "{receipt:?}");
        let first = mail.letter();
        assert_eq!((&first["to"], &first["tls"]), (&json!(["ada@x.example", "bob@y.example"]), &json!(true)));
        assert_eq!((&first["defects"], &first["from"]), (&json!([]), &json!("status@gennet.example")));
        let headers = &first["headers"];
        assert_eq!(headers["subject"], "Störung: wir sehen nach");
        assert_eq!(headers["from"], "GenNet Status <status@gennet.example>");
        assert_eq!(headers["message-id"], "<INC-20261123-1.m1.0@gennet.example>");
        assert_eq!(headers["to"], "undisclosed-recipients:;");
        assert_eq!((headers.get("bcc"), &headers["auto-submitted"]), (None, &json!("auto-generated")));
        let body = first["body"].as_str().unwrap().trim_end();
        assert_eq!(body, "Grüße,\n.\n..wir sehen nach.\nFrom now on.");
        // The connection is kept for the next one.
        channel.deliver(&update(2, "more")).await.unwrap();
        assert_eq!(mail.letter()["peer"], first["peer"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs aiosmtpd: .ci/run installs it"]
async fn the_server_is_believed_when_it_refuses() {
    let mut mail = Mail::start();
    let fault = async |port, more, parcel: &Parcel| {
        mail.channel(port, Audience::Internal, more).deliver(parcel).await.expect_err("it is not sent")
    };
    let first = update(1, "first");
    let wrong = fault(0, json!({ "password": secret("wrong") }), &first).await;
    assert!(wrong.class == FaultClass::Permanent && wrong.next.contains("password"), "{wrong}");
    assert!(!format!("{wrong:?}").contains("wrong\""), "{wrong:?}");
    let open = fault(2, json!({}), &first).await;
    assert!(open.class == FaultClass::Permanent && open.what.contains("STARTTLS"), "{open}");
    let words = fault(0, json!({}), &update(1, "refuse this")).await;
    assert!(words.class == FaultClass::Permanent && words.what.contains("5.7.1"), "{words}");
    let full = fault(0, json!({ "to": ["full@x.example"] }), &first).await;
    assert!(full.class == FaultClass::Transient && full.retry_after.is_some(), "{full}");
    // Nothing of all that was sent: the next letter is the first that the server saw.
    mail.channel(0, Audience::Internal, json!({})).deliver(&update(2, "at last")).await.unwrap();
    let letter = mail.letter();
    assert_eq!(
        (&letter["headers"]["subject"], &letter["headers"]["to"]),
        (&json!("at last"), &json!("ada@x.example, bob@y.example, bounce@x.example"))
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs aiosmtpd: .ci/run installs it"]
async fn who_is_put_off_is_tried_alone_and_a_letter_has_no_more_recipients_than_the_server_takes() {
    let mut mail = Mail::start();
    let to = ["grey@a.example", "bounce@b.example", "x1@x.example", "x2@x.example", "x3@x.example", "x4@x.example"];
    let channel = mail.channel(0, Audience::Customers, json!({ "to": to }));
    let first = update(1, "update");
    let handed = channel.hand_over(&first).await.unwrap();
    assert_eq!((&*handed.receipt["accepted"], handed.receipt["refused"].split(' ').next()), ("3", Some("1")));
    assert_eq!(mail.letter()["to"], json!(["x1@x.example", "x2@x.example", "x3@x.example"]));
    assert_eq!(handed.rest.iter().map(|rest| rest.only.len()).collect::<Vec<_>>(), [1, 1], "{handed:?}");
    for (part, rest) in (1..).zip(handed.rest) {
        tokio::time::sleep(rest.wait).await;
        let alone = Parcel { part, only: rest.only, ..first.clone() };
        assert_eq!(channel.hand_over(&alone).await.unwrap().receipt["accepted"], "1");
    }
    let (one, two) = (mail.letter()["to"].clone(), mail.letter()["to"].clone());
    assert_eq!([one, two], [json!(["x4@x.example"]), json!(["grey@a.example"])]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs aiosmtpd: .ci/run installs it"]
async fn a_token_lets_in_and_a_stale_one_is_called_one() {
    let mut mail = Mail::start();
    let by = |token| json!({ "login": "oauth", "password": secret(token) });
    let stale = mail.channel(0, Audience::Internal, by("ya29.old")).deliver(&update(1, "first")).await.unwrap_err();
    assert!(stale.class == FaultClass::Permanent && stale.what.contains("does not take the access token"), "{stale}");
    mail.channel(0, Audience::Internal, by(TOKEN)).deliver(&update(2, "by token")).await.unwrap();
    assert_eq!(mail.letter()["headers"]["subject"], "by token");
}
