//! Workspaces as they are: many channels, renamed and archived ones, long texts, and limits that belong to all channels together.

use serde_json::{Value, json};

use super::super::bench::{self, Answer, Asked, Vendor, ok};
use super::*;
use crate::domain::comms::Text;

fn channel(id: &str, name: &str, more: Value) -> Value {
    let mut told = json!({ "id": id, "name": name, "is_member": true, "is_archived": false, "previous_names": [] });
    told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    told
}

/// A workspace with more channels than a page holds.
fn workspace() -> Vec<Value> {
    let crowd = (0..1500).map(|at| channel(&format!("C{at:04}"), &format!("team-{at}"), json!({})));
    let last = [
        channel("CWAR", "incidents", json!({ "previous_names": ["war-room"] })),
        channel("COLD", "attic", json!({ "is_archived": true })),
        channel("COPS", "ops", json!({})),
    ];
    crowd.chain(last).collect()
}

fn answer(asked: &Asked) -> Answer {
    let all = workspace();
    let method = asked.path.rsplit('/').next().unwrap_or_default();
    let find = |key: &str, value: &str| all.iter().find(|it| it[key] == value).cloned();
    ok(match method {
        "auth.test" => json!({ "ok": true, "team": "Field" }),
        "conversations.list" => {
            let from: usize = asked.form("cursor").and_then(|it| it.parse().ok()).unwrap_or(0);
            let most = asked.form("limit").and_then(|it| it.parse().ok()).unwrap_or(100).min(1000);
            let next = if from + most < all.len() { (from + most).to_string() } else { String::new() };
            let some: Vec<&Value> = all.iter().skip(from).take(most).collect();
            json!({ "ok": true, "channels": some, "response_metadata": { "next_cursor": next } })
        }
        "conversations.info" => {
            json!({ "ok": true, "channel": find("id", &asked.form("channel").unwrap_or_default()) })
        }
        "chat.postMessage" => {
            let to = asked.json()["channel"].as_str().unwrap_or_default().to_owned();
            match find("id", &to).or_else(|| find("name", &to)) {
                Some(it) if it["is_archived"] == true => json!({ "ok": false, "error": "is_archived" }),
                Some(it) => json!({ "ok": true, "channel": it["id"], "ts": "1.000001" }),
                None => json!({ "ok": false, "error": "channel_not_found" }),
            }
        }
        "chat.update" if asked.json()["text"].as_str().is_some_and(|text| text.chars().count() > 4000) => {
            json!({ "ok": false, "error": "msg_too_long" })
        }
        _ => json!({ "ok": true, "permalink": "https://x.slack.com/p1", "channel": "CWAR", "ts": "1.000002" }),
    })
}

fn connect(url: &str, channel: &str) -> Arc<dyn Channel> {
    let given = json!({ "channel": channel, "token": bench::secret("xoxb-hush"), "url": url });
    SlackFactory.connect(&bench::spec(&KIND, Audience::Internal, given)).unwrap()
}

fn said(vendor: &Vendor, method: &str) -> Vec<Value> {
    vendor.asked().iter().filter(|it| it.path.ends_with(method)).map(Asked::json).collect()
}

#[tokio::test]
async fn a_channel_that_was_renamed_is_told_and_its_new_name_is_said() {
    let vendor = Vendor::start(answer).await;
    let team = connect(&vendor.url, "#war-room");
    let reach = team.reach().await.unwrap();
    assert!(reach.contains("it is called #incidents now"), "{reach}");
    let receipt = team.deliver(&bench::parcel(Purpose::Investigating)).await.unwrap();
    assert_eq!((&*receipt[CHANNEL], &*receipt[RENAMED]), ("CWAR", "#war-room is called #incidents now"));
    assert_eq!(said(&vendor, "chat.postMessage").len(), 2, "the first was refused, so nothing was said twice");
}

#[tokio::test]
async fn an_archived_channel_is_known_before_and_said_in_words() {
    let vendor = Vendor::start(answer).await;
    for name in ["#attic", "COLD"] {
        let fault = connect(&vendor.url, name).reach().await.unwrap_err();
        assert!(fault.what.contains("is archived") && fault.next.contains("unarchive"), "{name}: {fault}");
    }
    let fault = connect(&vendor.url, "COLD").deliver(&bench::parcel(Purpose::Identified)).await.unwrap_err();
    assert!(fault.what.contains("is archived"), "{fault}");
    let fault = connect(&vendor.url, "#secret").reach().await.unwrap_err();
    assert!(fault.next.contains("id"), "a private channel has to be given by its id: {fault}");
    assert!(connect(&vendor.url, "#ops").reach().await.is_ok(), "the last of all pages");
}

#[tokio::test]
async fn a_long_text_is_said_whole_and_the_first_message_is_kept_up_to_date_all_the_same() {
    let vendor = Vendor::start(answer).await;
    let team = connect(&vendor.url, "COPS");
    let long =
        |body: String| Parcel { text: Text { subject: "east".into(), body }, ..bench::parcel(Purpose::Investigating) };
    let first = team.deliver(&long("x".repeat(30_000))).await.unwrap();
    assert!(!first.contains_key(CUT), "{first:?}");
    assert!(said(&vendor, "chat.postMessage")[0]["text"].as_str().unwrap().len() > 30_000);
    let second = team.deliver(&Parcel { thread: first, ..long("y".repeat(50_000)) }).await.unwrap();
    assert!(second[CUT].contains("40000") && !second.contains_key("first message not updated"), "{second:?}");
    let reply = &said(&vendor, "chat.postMessage")[1];
    assert_eq!(reply["text"].as_str().unwrap().chars().count(), 40_000);
}

#[tokio::test]
async fn what_slack_asks_of_one_channel_is_kept_by_all_of_the_workspace() {
    let vendor = Vendor::start(|asked: &Asked| match asked.path.ends_with("chat.postMessage") {
        true => (429, vec![("retry-after", "30".to_owned())], "{}".to_owned()),
        false => answer(asked),
    })
    .await;
    for name in ["COPS", "CWAR", "C0001"] {
        let fault = connect(&vendor.url, name).deliver(&bench::parcel(Purpose::Identified)).await.unwrap_err();
        let pause = fault.retry_after.map(|it| it.0).unwrap_or_default();
        assert!(pause > Duration::from_secs(28) && pause <= Duration::from_secs(30), "{name}: {fault}");
    }
    assert_eq!(said(&vendor, "chat.postMessage").len(), 1, "the others did not even ask");
    connect(&vendor.url, "COPS").reach().await.unwrap();
}
