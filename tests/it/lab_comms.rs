//! The lab's communication servers, as their vendors' clients see them: Slack, Statuspage, PagerDuty, webhooks.

use std::time::Duration;

use mayday::cli::exit::Exit;
use mayday::lab::faults::Condition;
use mayday::lab::inbox::Message;
use mayday::lab::{Lab, Pace, pagerduty, slack, statuspage};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::common::eventually;
use crate::process::{EMPTY, Home};

/// One in which no limit is felt, and one in which a second is longer than any test: limits show.
const FAST: Pace = Pace(10_000.0);
const STILL: Pace = Pace(0.001);

async fn lab(pace: Pace) -> Lab {
    Lab::start(pace).await.unwrap()
}

fn request(method: Method, url: String) -> RequestBuilder {
    mayday::outbound::http::client().unwrap().request(method, url).timeout(Duration::from_secs(30))
}

async fn read(response: Response) -> (StatusCode, Value) {
    (response.status(), response.json().await.unwrap())
}

fn inbox(lab: &Lab, service: &str) -> Vec<Message> {
    lab.world.truth().inbox.of(Some(service)).cloned().collect()
}

fn slack(lab: &Lab, method: &str) -> RequestBuilder {
    request(Method::POST, format!("{}/{method}", lab.endpoints["slack"])).bearer_auth(slack::TOKEN)
}

/// What a method answers to JSON; the status is always 200 but for too many requests.
async fn say(lab: &Lab, method: &str, arguments: Value) -> Value {
    let (status, told) = read(slack(lab, method).json(&arguments).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    told
}

/// The same, and it has to work.
async fn ok(lab: &Lab, method: &str, arguments: Value) -> Value {
    let told = say(lab, method, arguments).await;
    assert_eq!(told["ok"], true, "{method}: {told}");
    told
}

fn marked(id: &str) -> Value {
    json!({ "event_type": "mayday_update", "event_payload": { "update": id } })
}

#[tokio::test]
async fn slack_knows_who_calls() {
    let lab = lab(FAST).await;
    assert_eq!(ok(&lab, "auth.test", json!({})).await["user_id"], "ULAB001");
    let url = format!("{}/auth.test", lab.endpoints["slack"]);
    for (asked, error) in [
        (request(Method::POST, url.clone()).bearer_auth("nobody"), "invalid_auth"),
        (request(Method::POST, url.clone()), "not_authed"),
        (slack(&lab, "chat.shout"), "unknown_method"),
        (slack(&lab, "auth.test").header("content-type", "application/json").body("{"), "invalid_json"),
    ] {
        let (status, told) = read(asked.send().await.unwrap()).await;
        assert_eq!((status, &told["ok"], &told["error"]), (StatusCode::OK, &json!(false), &json!(error)));
    }
}

#[tokio::test]
async fn slack_keeps_a_message_its_thread_and_its_metadata() {
    let lab = lab(FAST).await;
    let made = ok(&lab, "conversations.create", json!({ "name": "inc-1" })).await;
    let channel = made["channel"]["id"].clone();
    let root =
        ok(&lab, "chat.postMessage", json!({ "channel": "#inc-1", "text": "down", "metadata": marked("1") })).await;
    assert_eq!(root["channel"], channel);
    // A form has JSON in strings.
    let (metadata, ts) = (marked("2").to_string(), root["ts"].as_str().unwrap());
    let blocks = json!([{ "type": "section", "text": { "type": "mrkdwn", "text": "*more*" } }]).to_string();
    let id = channel.as_str().unwrap();
    let form = [("channel", id), ("text", "more"), ("thread_ts", ts), ("metadata", &metadata), ("blocks", &blocks)];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let asked = slack(&lab, "chat.postMessage").header("content-type", "application/x-www-form-urlencoded").body(form);
    let (_, reply) = read(asked.send().await.unwrap()).await;
    assert_eq!((&reply["ok"], &reply["message"]["thread_ts"]), (&json!(true), &root["ts"]));

    let whole = json!({ "channel": channel, "include_all_metadata": true });
    let history = ok(&lab, "conversations.history", whole).await;
    let [found] = &history["messages"].as_array().unwrap()[..] else { panic!("one root: {history}") };
    assert_eq!((&found["metadata"], &found["reply_count"]), (&marked("1"), &json!(1)));
    let bare = ok(&lab, "conversations.history", json!({ "channel": channel })).await;
    assert_eq!(bare["messages"][0].get("metadata"), None);
    let thread = json!({ "channel": channel, "ts": ts, "include_all_metadata": true });
    let thread = ok(&lab, "conversations.replies", thread).await;
    assert_eq!(thread["messages"][1]["metadata"], marked("2"));
    assert_eq!(thread["messages"][1]["blocks"][0]["text"]["text"], "*more*");

    let kinds: Vec<_> = inbox(&lab, "slack").into_iter().map(|it| (it.kind, it.to, it.mark)).collect();
    let to = || vec!["#inc-1".to_owned()];
    let mark = |id| Some(json!({ "update": id }).to_string());
    assert_eq!(kinds, [("channel", to(), None), ("post", to(), mark("1")), ("reply", to(), mark("2"))]);
}

#[tokio::test]
async fn an_update_keeps_metadata_and_loses_blocks() {
    let lab = lab(FAST).await;
    let blocks = json!([{ "type": "divider" }]);
    let sent = json!({ "channel": "incidents", "text": "a", "blocks": blocks, "metadata": marked("1") });
    let posted = ok(&lab, "chat.postMessage", sent).await;
    let (channel, ts) = (&posted["channel"], &posted["ts"]);
    let changed = ok(&lab, "chat.update", json!({ "channel": channel, "ts": ts, "text": "b" })).await;
    assert_eq!((&changed["ts"], &changed["text"]), (ts, &json!("b")));
    assert_eq!((changed["message"].get("blocks"), &changed["message"]["metadata"]), (None, &marked("1")));
    let bare = ok(&lab, "chat.update", json!({ "channel": channel, "ts": ts, "text": "b", "metadata": {} })).await;
    assert_eq!(bare["message"].get("metadata"), None);
    let link = ok(&lab, "chat.getPermalink", json!({ "channel": channel, "message_ts": ts })).await;
    assert!(link["permalink"].as_str().unwrap().starts_with("https://gennet.slack.com/archives/"), "{link}");
}

#[tokio::test]
async fn slack_says_what_is_wrong_with_status_200() {
    let lab = lab(FAST).await;
    let engineering = ok(&lab, "conversations.list", json!({})).await["channels"][2].clone();
    assert_eq!((&engineering["name"], &engineering["is_member"]), (&json!("engineering"), &json!(false)));
    let id = &engineering["id"];
    for (method, arguments, error) in [
        ("chat.postMessage", json!({ "channel": "nowhere", "text": "x" }), "channel_not_found"),
        ("chat.postMessage", json!({ "channel": id, "text": "x" }), "not_in_channel"),
        ("chat.postMessage", json!({ "channel": "incidents" }), "no_text"),
        ("chat.postMessage", json!({ "channel": "incidents", "text": "x", "blocks": [{}] }), "invalid_blocks"),
        ("chat.postMessage", json!({ "channel": "incidents", "text": "x", "metadata": [] }), "invalid_metadata_format"),
        (
            "chat.postMessage",
            json!({ "channel": "incidents", "text": "x", "thread_ts": "1.0" }),
            "cannot_reply_to_message",
        ),
        ("chat.update", json!({ "channel": id, "ts": "1.0", "text": "x" }), "message_not_found"),
        ("conversations.history", json!({ "channel": id }), "not_in_channel"),
        ("conversations.create", json!({ "name": "incidents" }), "name_taken"),
        ("conversations.create", json!({ "name": "No Way" }), "invalid_name_specials"),
    ] {
        let told = say(&lab, method, arguments).await;
        assert_eq!((&told["ok"], &told["error"]), (&json!(false), &json!(error)), "{method}");
    }
    assert_eq!(inbox(&lab, "slack").len(), 0);
    ok(&lab, "conversations.join", json!({ "channel": id })).await;
    ok(&lab, "chat.postMessage", json!({ "channel": id, "text": "x" })).await;
}

#[tokio::test]
async fn slack_lists_by_pages() {
    let lab = lab(FAST).await;
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let told = ok(&lab, "conversations.list", json!({ "limit": 2, "cursor": cursor })).await;
        names.extend(told["channels"].as_array().unwrap().iter().map(|it| it["name"].clone()));
        cursor = told["response_metadata"]["next_cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["general", "incidents", "engineering"]);
    let mut sent = Vec::new();
    for text in ["a", "b", "c"] {
        sent.push(ok(&lab, "chat.postMessage", json!({ "channel": "general", "text": text })).await);
    }
    let id = &sent[0]["channel"];
    let first = ok(&lab, "conversations.history", json!({ "channel": id, "limit": 2 })).await;
    assert_eq!((&first["messages"][0]["text"], &first["has_more"]), (&json!("c"), &json!(true)));
    let cursor = &first["response_metadata"]["next_cursor"];
    let rest = ok(&lab, "conversations.history", json!({ "channel": id, "limit": 2, "cursor": cursor })).await;
    assert_eq!((&rest["messages"][0]["text"], &rest["has_more"]), (&json!("a"), &json!(false)));
    let since = json!({ "channel": id, "oldest": sent[1]["ts"] });
    assert_eq!(ok(&lab, "conversations.history", since).await["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn slack_takes_so_many_messages_a_second_and_says_when_to_come_back() {
    let lab = lab(STILL).await;
    let send = async |channel: &str| {
        slack(&lab, "chat.postMessage").json(&json!({ "channel": channel, "text": "x" })).send().await.unwrap()
    };
    for _ in 0..4 {
        assert_eq!(send("incidents").await.status(), StatusCode::OK);
    }
    let refused = send("incidents").await;
    let after: f64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    // A second is a thousand there.
    assert!((900.0..=1000.0).contains(&after), "{after}");
    let (status, told) = read(refused).await;
    assert_eq!((status, &told["error"]), (StatusCode::TOO_MANY_REQUESTS, &json!("ratelimited")));
    assert_eq!(send("general").await.status(), StatusCode::OK, "each channel has a limit of its own");
    assert_eq!(inbox(&lab, "slack").len(), 5);
}

#[tokio::test]
async fn slack_breaks_as_it_is_told() {
    let lab = lab(FAST).await;
    let set = |condition| lab.world.truth().faults.set("slack", condition);
    let post = || slack(&lab, "chat.postMessage").json(&json!({ "channel": "incidents", "text": "x" }));
    set(Condition::Denied);
    assert_eq!(say(&lab, "auth.test", json!({})).await["error"], "invalid_auth");
    set(Condition::ReadOnly);
    assert_eq!(say(&lab, "chat.postMessage", json!({})).await["error"], "missing_scope");
    ok(&lab, "auth.test", json!({})).await;
    set(Condition::Throttled);
    let refused = post().send().await.unwrap();
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap())
    );
    set(Condition::Refused);
    assert!(post().send().await.is_err());
    assert_eq!(inbox(&lab, "slack").len(), 0);
    // It may have been sent: it was.
    set(Condition::Half);
    let whole = async { post().send().await?.bytes().await };
    assert!(whole.await.is_err());
    set(Condition::Up);
    assert_eq!(inbox(&lab, "slack").len(), 1);
    let id = inbox(&lab, "slack")[0].details["channel"].clone();
    let found = ok(&lab, "conversations.history", json!({ "channel": id })).await;
    assert_eq!(found["messages"][0]["text"], "x");
    // What hangs is the last, for it may be taken as soon as it no longer does.
    set(Condition::Dark);
    assert!(post().timeout(Duration::from_millis(200)).send().await.is_err());
    assert_eq!(inbox(&lab, "slack").len(), 1);
}

async fn page(lab: &Lab, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let asked = request(method, format!("{}/v1/pages/labpage/{path}", lab.endpoints["statuspage"]));
    let asked = asked.header("authorization", format!("OAuth {}", statuspage::TOKEN));
    read(match body {
        Some(body) => asked.json(&body).send().await.unwrap(),
        None => asked.send().await.unwrap(),
    })
    .await
}

#[tokio::test]
async fn an_incident_is_opened_updated_and_resolved_on_the_status_page() {
    let lab = lab(FAST).await;
    let incident = json!({
        "name": "Degraded", "status": "investigating", "body": "We are looking.", "components": { "api": "major_outage" },
        "component_ids": ["web"], "metadata": { "mayday": { "incident": "inc-1" } },
    });
    let (status, opened) = page(&lab, Method::POST, "incidents", Some(json!({ "incident": incident }))).await;
    assert_eq!((status, &opened["impact"]), (StatusCode::CREATED, &json!("critical")), "{opened}");
    let update = &opened["incident_updates"][0];
    assert_eq!((&update["body"], &update["deliver_notifications"]), (&json!("We are looking."), &json!(true)));
    assert_eq!(update["affected_components"][0]["new_status"], "major_outage");
    assert_eq!(page(&lab, Method::GET, "components/api", None).await.1["status"], "major_outage");
    let (_, open) = page(&lab, Method::GET, "incidents/unresolved", None).await;
    assert_eq!(open[0]["metadata"], json!({ "mayday": { "incident": "inc-1" } }));

    let path = format!("incidents/{}", opened["id"].as_str().unwrap());
    let quiet = json!({ "incident": { "status": "resolved", "body": "Over.", "components": { "api": "operational" },
        "deliver_notifications": false } });
    let (status, resolved) = page(&lab, Method::PATCH, &path, Some(quiet)).await;
    assert_eq!(
        (status, &resolved["status"], &resolved["name"]),
        (StatusCode::OK, &json!("resolved"), &json!("Degraded"))
    );
    let bodies: Vec<_> = resolved["incident_updates"].as_array().unwrap().iter().map(|it| it["body"].clone()).collect();
    assert_eq!(bodies, ["Over.", "We are looking."]);
    assert!(resolved["resolved_at"].is_string());
    assert_eq!(page(&lab, Method::GET, "incidents/unresolved", None).await.1, json!([]));
    assert_eq!(page(&lab, Method::GET, "incidents", None).await.1[0]["id"], opened["id"]);

    let said = inbox(&lab, "statuspage");
    let told: Vec<_> =
        said.iter().map(|it| (it.kind, it.text.as_str(), &it.details["deliver_notifications"])).collect();
    assert_eq!(told, [("incident", "We are looking.", &json!(true)), ("update", "Over.", &json!(false))]);
    assert_eq!(said[0].mark, said[1].mark);
}

#[tokio::test]
async fn the_status_page_refuses_what_is_wrong() {
    let lab = lab(FAST).await;
    let wrong = json!({ "status": "broken", "impact_override": "huge", "components": { "api": "gone", "x": "operational" },
        "metadata": { "flat": 1 } });
    let (status, told) = page(&lab, Method::POST, "incidents", Some(json!({ "incident": wrong }))).await;
    assert_eq!((status, told["error"].as_array().unwrap().len()), (StatusCode::UNPROCESSABLE_ENTITY, 6), "{told}");
    assert_eq!(page(&lab, Method::POST, "incidents", Some(json!({}))).await.0, StatusCode::BAD_REQUEST);
    let change = || Some(json!({ "incident": { "name": "x" } }));
    assert_eq!(page(&lab, Method::PATCH, "incidents/none", change()).await.0, StatusCode::NOT_FOUND);
    let url = format!("{}/v1/pages", lab.endpoints["statuspage"]);
    let as_nobody = request(Method::GET, format!("{url}/labpage/incidents")).send().await.unwrap();
    assert_eq!(as_nobody.status(), StatusCode::UNAUTHORIZED);
    let elsewhere =
        request(Method::GET, format!("{url}/other/incidents")).header("authorization", "OAuth lab-statuspage");
    assert_eq!(elsewhere.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(inbox(&lab, "statuspage").len(), 0);
    let set = |condition| lab.world.truth().faults.set("statuspage", condition);
    for (condition, status) in
        [(Condition::Denied, StatusCode::UNAUTHORIZED), (Condition::Throttled, StatusCode::TOO_MANY_REQUESTS)]
    {
        set(condition);
        assert_eq!(page(&lab, Method::GET, "incidents", None).await.0, status);
    }
}

#[tokio::test]
async fn the_status_page_takes_one_request_a_second() {
    let lab = lab(STILL).await;
    for _ in 0..5 {
        assert_eq!(page(&lab, Method::GET, "components", None).await.0, StatusCode::OK);
    }
    let new = json!({ "incident": { "name": "x" } });
    assert_eq!(page(&lab, Method::POST, "incidents", Some(new)).await.0.as_u16(), 420);
    assert_eq!(page(&lab, Method::GET, "incidents/unresolved", None).await.0.as_u16(), 420);
    assert_eq!(inbox(&lab, "statuspage").len(), 0);
}

async fn event(lab: &Lab, event: Value) -> (StatusCode, Value) {
    let url = format!("{}/v2/enqueue", lab.endpoints["pagerduty.events"]);
    read(request(Method::POST, url).json(&event).send().await.unwrap()).await
}

fn trigger(key: &str) -> Value {
    json!({
        "routing_key": pagerduty::ROUTING_KEY, "event_action": "trigger", "dedup_key": key,
        "payload": { "summary": "us-east-1 is down", "source": "mayday", "severity": "critical" },
    })
}

fn action(word: &str, key: &str) -> Value {
    json!({ "routing_key": pagerduty::ROUTING_KEY, "event_action": word, "dedup_key": key })
}

fn duty(lab: &Lab, method: Method, path: &str) -> RequestBuilder {
    let asked = request(method, format!("{}/{path}", lab.endpoints["pagerduty"]));
    asked.header("authorization", format!("Token token={}", pagerduty::TOKEN))
}

/// The incidents of a key, once there are so many of that status.
async fn incidents(lab: &Lab, key: &str, status: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} {status}"), async || {
        let asked = duty(lab, Method::GET, &format!("incidents?incident_key={key}&statuses[]={status}"));
        let (_, told) = read(asked.send().await.unwrap()).await;
        let found = told["incidents"].as_array().unwrap().clone();
        (found.len() == count).then_some(found)
    })
    .await
}

fn pages(lab: &Lab) -> usize {
    inbox(lab, "pagerduty").iter().filter(|it| it.kind == "page").count()
}

#[tokio::test]
async fn a_page_is_sent_once_acknowledged_by_somebody_and_resolved() {
    let lab = lab(FAST).await;
    for _ in 0..2 {
        let (status, told) = event(&lab, trigger("inc-1")).await;
        assert_eq!(
            (status, &told["status"], &told["dedup_key"]),
            (StatusCode::ACCEPTED, &json!("success"), &json!("inc-1"))
        );
    }
    let open = incidents(&lab, "inc-1", "triggered", 1).await;
    assert_eq!((&open[0]["title"], &open[0]["acknowledgements"]), (&json!("us-east-1 is down"), &json!([])));
    assert_eq!(open[0]["assignments"][0]["assignee"]["summary"], "Ada Okafor");

    let control = format!("{}/page/ack", lab.endpoints["control"]);
    let ack = |body| request(Method::POST, control.clone()).json(&body).send();
    assert_eq!(ack(json!({ "by": "Nobody" })).await.unwrap().status(), StatusCode::BAD_REQUEST);
    let (_, told) = read(ack(json!({ "by": "Mateo Silva", "key": "inc-1" })).await.unwrap()).await;
    assert_eq!(told, json!({ "by": "Mateo Silva", "acknowledged": [open[0]["id"]] }));
    let taken = incidents(&lab, "inc-1", "acknowledged", 1).await;
    assert_eq!(taken[0]["acknowledgements"][0]["acknowledger"]["summary"], "Mateo Silva");

    assert_eq!(event(&lab, action("resolve", "inc-1")).await.0, StatusCode::ACCEPTED);
    incidents(&lab, "inc-1", "resolved", 1).await;
    assert_eq!(pages(&lab), 1);
    // After a resolve the same key pages anew.
    event(&lab, trigger("inc-1")).await;
    incidents(&lab, "inc-1", "triggered", 1).await;
    assert_eq!(pages(&lab), 2);
}

#[tokio::test]
async fn an_event_is_accepted_before_anybody_is_paged() {
    let lab = lab(STILL).await;
    assert_eq!(event(&lab, trigger("inc-1")).await.0, StatusCode::ACCEPTED);
    let kinds: Vec<_> = inbox(&lab, "pagerduty").into_iter().map(|it| (it.kind, it.mark)).collect();
    assert_eq!(kinds, [("trigger", Some("inc-1".to_owned()))]);
    incidents(&lab, "inc-1", "triggered", 0).await;
    for _ in 1..20 {
        assert_eq!(event(&lab, trigger("inc-1")).await.0, StatusCode::ACCEPTED);
    }
    let (status, told) = event(&lab, trigger("inc-1")).await;
    assert_eq!((status, &told["status"]), (StatusCode::TOO_MANY_REQUESTS, &json!("throttle exceeded")));
}

#[tokio::test]
async fn an_event_that_is_wrong_is_refused_with_reasons() {
    let lab = lab(FAST).await;
    let mut wrong = trigger("x");
    wrong["dedup_key"] = "k".repeat(256).into();
    wrong["routing_key"] = "nobody".into();
    wrong["payload"] = json!({ "severity": "bad" });
    let (status, told) = event(&lab, wrong).await;
    assert_eq!((status, told["errors"].as_array().unwrap().len()), (StatusCode::BAD_REQUEST, 5), "{told}");
    assert_eq!(event(&lab, action("resolve", &"k".repeat(255))).await.0, StatusCode::ACCEPTED);
    let keyless = json!({ "routing_key": pagerduty::ROUTING_KEY, "event_action": "acknowledge" });
    assert_eq!(event(&lab, keyless).await.0, StatusCode::BAD_REQUEST);
    let mut keyless = trigger("x");
    keyless["dedup_key"] = Value::Null;
    assert!(event(&lab, keyless).await.1["dedup_key"].is_string());
    lab.world.truth().faults.set("pagerduty-events", Condition::Throttled);
    assert_eq!(event(&lab, trigger("x")).await.0, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn an_incident_is_noted_upon_and_escalated_in_somebodys_name() {
    let lab = lab(FAST).await;
    event(&lab, trigger("inc-1")).await;
    let id = incidents(&lab, "inc-1", "triggered", 1).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("incidents/{id}");
    let (ada, notes) = ("ada.okafor@gennet.example", format!("incidents/{id}/notes"));
    let note = || duty(&lab, Method::POST, &notes).json(&json!({ "note": { "content": "DNS moved" } }));
    for asked in [note(), note().header("from", "nobody@gennet.example")] {
        let (status, told) = read(asked.send().await.unwrap()).await;
        assert_eq!((status, &told["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(2001)));
    }
    assert_eq!(note().header("from", ada).send().await.unwrap().status(), StatusCode::CREATED);
    let (_, told) = read(duty(&lab, Method::GET, &notes).send().await.unwrap()).await;
    assert_eq!((&told["notes"][0]["content"], told["notes"].as_array().unwrap().len()), (&json!("DNS moved"), 1));

    let put = |change: Value| duty(&lab, Method::PUT, &path).header("from", ada).json(&change).send();
    let change = |name: &str, value: Value| json!({ "incident": { "type": "incident_reference", name: value } });
    let (_, told) = read(put(change("escalation_level", 2.into())).await.unwrap()).await;
    assert_eq!(told["incident"]["assignments"][0]["assignee"]["summary"], "Mateo Silva");
    let (_, told) = read(put(change("status", "acknowledged".into())).await.unwrap()).await;
    assert_eq!(told["incident"]["acknowledgements"][0]["acknowledger"]["summary"], "Ada Okafor");
    assert_eq!(put(change("status", "open".into())).await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(put(change("status", "resolved".into())).await.unwrap().status(), StatusCode::OK);
    assert_eq!(put(change("status", "acknowledged".into())).await.unwrap().status(), StatusCode::BAD_REQUEST);
    let kinds: Vec<_> = inbox(&lab, "pagerduty").into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["trigger", "page", "note", "escalate", "acknowledged", "resolved"]);
}

#[tokio::test]
async fn a_webhook_keeps_what_is_posted() {
    let lab = lab(FAST).await;
    let url = format!("{}/hook/teams", lab.endpoints["webhook"]);
    let card = json!({ "summary": "Down", "text": "Region lost", "sections": [1] });
    let send = || request(Method::POST, url.clone()).header("idempotency-key", "u-1").json(&card).send();
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(request(Method::POST, url.clone()).body("{").send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let set = |condition| lab.world.truth().faults.set("webhook", condition);
    set(Condition::Throttled);
    assert_eq!(send().await.unwrap().headers()["retry-after"], "1");
    set(Condition::Denied);
    assert_eq!(send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let [kept] = &inbox(&lab, "webhook")[..] else { panic!("one message") };
    assert_eq!((&kept.to[..], &*kept.title, &*kept.text), (&["teams".to_owned()][..], "Down", "Region lost"));
    assert_eq!((&kept.details, kept.mark.as_deref()), (&card, Some("u-1")));
}

#[tokio::test]
async fn the_control_page_shows_the_inbox() {
    let lab = lab(FAST).await;
    for text in ["first", "second"] {
        ok(&lab, "chat.postMessage", json!({ "channel": "incidents", "text": text })).await;
    }
    let url = format!("{}/inbox", lab.endpoints["control"]);
    let (_, all) = read(request(Method::GET, url.clone()).send().await.unwrap()).await;
    let texts: Vec<_> = all.as_array().unwrap().iter().map(|it| it["text"].clone()).collect();
    assert_eq!((texts, &all[0]["where"]), (vec![json!("first"), json!("second")], &json!(["#incidents"])));
    let (_, none) = read(request(Method::GET, format!("{url}?service=smtp")).send().await.unwrap()).await;
    assert_eq!(none, json!([]));
    let (status, _) = read(request(Method::GET, format!("{url}?service=pigeon")).send().await.unwrap()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_inbox_can_be_read_from_a_shell() {
    let (lab, home) = (lab(FAST).await, Home::new(EMPTY));
    ok(&lab, "chat.postMessage", json!({ "channel": "incidents", "text": "we are looking" })).await;
    let dir = home.dir().join("lab");
    mayday::lab::handout::write(&lab.endpoints, &dir).unwrap();
    let at = format!("--dir {}", dir.display());
    home.says(&format!("lab inbox {at}")).await.is(0, &["#incidents", "we are looking"]);
    home.says(&format!("lab inbox {at} --service smtp")).await.is(0, &["Nobody was told anything"]);
    home.says(&format!("lab inbox {at} --service pigeon"))
        .await
        .is(i32::from(Exit::Usage.code()), &["pigeon", "statuspage"]);
    let said = home.says(&format!("lab inbox --control {} -o json", lab.endpoints["control"])).await;
    let said: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(said[0]["details"]["message"]["text"], "we are looking");
    home.says("lab inbox --dir /nonexistent").await.is(i32::from(Exit::Unreachable.code()), &["mayday lab"]);
    let none = "lab inbox --control http://127.0.0.1:1";
    home.says(none).await.is(i32::from(Exit::Unreachable.code()), &["refused", "mayday lab"]);
}
