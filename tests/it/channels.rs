//! Every way to reach people, against the lab's servers: what arrives, and what is concluded when it does not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use mayday::channels::FACTORIES;
use mayday::domain::comms::{Audience, Channel, ComponentStatus, Doubles, Found, Parcel, Purpose, Text};
use mayday::domain::incident::Severity;
use mayday::domain::system::{Fault, FaultClass, Receipt};
use mayday::lab::faults::Condition;
use mayday::lab::inbox::Message;
use mayday::lab::{Lab, Pace, pagerduty, slack, smtp, statuspage};
use serde_json::{Value, json};

use crate::common::{eventually, try_channel};

/// One in which no limit is felt, and one in which a second is longer than any test: limits show.
const FAST: Pace = Pace(10_000.0);
const STILL: Pace = Pace(0.001);

/// What no fault and no receipt may ever show.
const SECRETS: [&str; 5] = [slack::TOKEN, statuspage::TOKEN, pagerduty::TOKEN, pagerduty::ROUTING_KEY, smtp::PASSWORD];

async fn lab(pace: Pace) -> Lab {
    Lab::start(pace).await.unwrap()
}

fn secret(value: &str) -> Value {
    json!({ "command": ["printf", "%s", value] })
}

fn connect(kind: &str, audience: Audience, given: Value) -> Arc<dyn Channel> {
    try_channel(kind, audience, given).expect("it can be connected")
}

fn slack(url: &str, more: Value) -> Arc<dyn Channel> {
    let given = json!({ "url": url, "token": secret(slack::TOKEN), "channel": "#incidents" });
    connect("slack", Audience::Internal, merged(given, more))
}

fn page(url: &str, more: Value) -> Arc<dyn Channel> {
    let given = json!({ "url": url, "token": secret(statuspage::TOKEN), "page": statuspage::PAGE });
    connect("statuspage", Audience::Public, merged(given, more))
}

fn pager(lab: &Lab) -> Arc<dyn Channel> {
    let given = json!({ "url": lab.endpoints["pagerduty.events"], "routing_key": secret(pagerduty::ROUTING_KEY) });
    connect("pagerduty", Audience::Internal, given)
}

fn notes(url: &str) -> Arc<dyn Channel> {
    let given = json!({ "url": url, "token": secret(pagerduty::TOKEN), "from": "ada.okafor@gennet.example" });
    connect("pagerduty-notes", Audience::Internal, given)
}

fn mail(lab: &Lab, audience: Audience, more: Value) -> Arc<dyn Channel> {
    let given = json!({
        "server": lab.endpoints["smtp"], "ca": lab.endpoints["smtp.ca"], "user": smtp::USER,
        "password": secret(smtp::PASSWORD), "from": "Status <status@gennet.example>",
    });
    connect("email", audience, merged(given, more))
}

fn hook(url: &str, more: Value) -> Arc<dyn Channel> {
    connect("webhook", Audience::Public, merged(json!({ "url": format!("{url}/hook/teams") }), more))
}

fn merged(mut given: Value, more: Value) -> Value {
    given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    given
}

fn parcel(number: u32, purpose: Purpose, thread: &Receipt) -> Parcel {
    Parcel {
        message: format!("INC-20261123-1.m{number}").into(),
        incident: "INC-20261123-1".into(),
        title: "us-east-1 is down".into(),
        purpose,
        severity: Severity::Sev1,
        drill: false,
        text: Text { subject: format!("{purpose} <1>"), body: format!("Message {number} & \"more\"\nsecond line") },
        chain: None,
        components: BTreeMap::new(),
        part: 0,
        parts: 1,
        only: Vec::new(),
        thread: thread.clone(),
    }
}

fn inbox(lab: &Lab, service: &str) -> Vec<Message> {
    lab.world.truth().inbox.of(Some(service)).cloned().collect()
}

fn kinds(lab: &Lab, service: &str) -> Vec<&'static str> {
    inbox(lab, service).iter().map(|it| it.kind).collect()
}

/// What is known after one more delivery.
fn and(thread: &Receipt, receipt: Receipt) -> Receipt {
    thread.clone().into_iter().chain(receipt).collect()
}

/// A delivery that fails, and says nothing that is secret.
async fn fails(channel: &dyn Channel, parcel: &Parcel) -> Fault {
    let fault = channel.deliver(parcel).await.expect_err("it is not delivered");
    let words = format!("{fault} {fault:?}");
    assert!(SECRETS.iter().all(|secret| !words.contains(secret)), "{words}");
    assert!(!fault.next.is_empty() && !fault.means.is_empty(), "{fault:?}");
    fault
}

async fn there(channel: &dyn Channel, parcel: &Parcel) -> Receipt {
    match channel.find(parcel).await.unwrap() {
        Found::There(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

/// Stands before a server and, while told so, loses its answers to requests that change something.
#[derive(Clone)]
struct Lossy {
    target: String,
    loses: Arc<AtomicBool>,
}

impl Lossy {
    async fn before(target: &str) -> (Self, String) {
        let lossy = Self { target: target.trim_end_matches("/api").into(), loses: Arc::new(AtomicBool::new(true)) };
        let router = Router::new().fallback(Self::forward).with_state(lossy.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{}", listener.local_addr().unwrap(), &target[lossy.target.len()..]);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (lossy, url)
    }

    fn heal(&self) {
        self.loses.store(false, Ordering::SeqCst);
    }

    async fn forward(State(lossy): State<Self>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let url = format!("{}{}", lossy.target, parts.uri);
        let client = mayday::outbound::http::client().unwrap();
        let answer = client.request(parts.method.clone(), url).headers(parts.headers).body(body).send().await.unwrap();
        let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
        // Slack is asked by POST too.
        let asks = parts.method == "GET" || parts.uri.path().starts_with("/api/conversations.");
        let lost = !asks && lossy.loses.load(Ordering::SeqCst);
        let broken = futures::stream::iter([Err::<Bytes, std::io::Error>(std::io::ErrorKind::ConnectionReset.into())]);
        let body = if lost { Body::from_stream(broken) } else { Body::from(bytes) };
        Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
    }
}

#[tokio::test]
async fn slack_keeps_one_message_up_to_date_and_the_rest_in_its_thread() {
    let lab = lab(FAST).await;
    let team = slack(&lab.endpoints["slack"], json!({ "incident_channel": true }));
    assert!(team.reach().await.unwrap().contains("GenNet"));
    let mut known = Receipt::new();
    for (number, purpose) in [(1, Purpose::Investigating), (2, Purpose::Handoff), (3, Purpose::Resolved)] {
        let receipt = team.deliver(&parcel(number, purpose, &known)).await.unwrap();
        assert!(receipt["link"].starts_with("https://gennet.slack.com/archives/"), "{receipt:?}");
        known = and(&known, receipt);
    }
    assert_eq!(kinds(&lab, "slack"), ["channel", "post", "reply", "update", "reply"]);
    let said = inbox(&lab, "slack");
    assert_eq!((&said[0].to[0], &said[1].to[0]), (&"#inc-20261123-1".to_owned(), &"#incidents".to_owned()));
    let room = format!("We work in <#{}>", known["room"]);
    assert!(said[1].text.starts_with("*investigating &lt;1&gt;*\nMessage 1 &amp; \"more\"\n"), "{}", said[1].text);
    assert!(said[1].text.ends_with(&room) && said[3].text.ends_with(&room), "{}", said[3].text);
    assert!(said[3].text.starts_with("*resolved") && said[4].details["message"]["thread_ts"] == known["root"]);
    assert!(said[4].mark.as_ref().unwrap().contains("INC-20261123-1.m3"), "{:?}", said[4].mark);
}

#[tokio::test]
async fn slack_is_asked_what_it_has_when_its_answer_was_lost() {
    let lab = lab(FAST).await;
    let (lossy, url) = Lossy::before(&lab.endpoints["slack"]).await;
    let team = slack(&url, json!({}));
    let first = parcel(1, Purpose::Investigating, &Receipt::new());
    assert_eq!(team.find(&first).await.unwrap(), Found::NotThere);
    assert_eq!(fails(&*team, &first).await.class, FaultClass::Ambiguous);
    let known = there(&*team, &first).await;
    let second = parcel(2, Purpose::Monitoring, &known);
    assert_eq!(team.find(&second).await.unwrap(), Found::NotThere);
    assert_eq!(fails(&*team, &second).await.class, FaultClass::Ambiguous);
    let receipt = there(&*team, &second).await;
    assert!(!receipt.contains_key("root") && receipt["id"] != known["root"], "{receipt:?}");
    assert_eq!(kinds(&lab, "slack"), ["post", "update", "reply"], "nothing was said twice");
    lossy.heal();
    // The thread was deleted by somebody: people are told all the same.
    let gone: Receipt = and(&known, [("root".to_owned(), "1.000001".to_owned())].into());
    let receipt = team.deliver(&parcel(3, Purpose::Resolved, &gone)).await.unwrap();
    assert!(receipt.contains_key("root"), "{receipt:?}");
    assert_eq!(kinds(&lab, "slack").last(), Some(&"post"));
}

#[tokio::test]
async fn slack_says_why_not() {
    let lab = lab(STILL).await;
    let url = &lab.endpoints["slack"];
    let first = |number| parcel(number, Purpose::Investigating, &Receipt::new());
    let team = slack(url, json!({}));
    for number in 0..4 {
        team.deliver(&first(number)).await.unwrap();
    }
    let elsewhere = slack(url, json!({ "channel": "engineering" }));
    for fault in [fails(&*elsewhere, &first(5)).await, elsewhere.reach().await.unwrap_err()] {
        assert!(fault.class == FaultClass::Permanent && fault.next.contains("/invite"), "{fault}");
    }
    lab.world.truth().faults.set("slack", Condition::ReadOnly);
    assert!(fails(&*team, &first(6)).await.next.contains("chat:write"));
    lab.world.truth().faults.set("slack", Condition::Denied);
    let fault = fails(&*team, &first(7)).await;
    assert!(fault.class == FaultClass::Permanent && fault.next.contains("token"), "{fault}");
    let nobody = slack("http://127.0.0.1:1/api", json!({}));
    assert_eq!(fails(&*nobody, &first(8)).await.class, FaultClass::Transient, "nothing was sent");
    assert_eq!(kinds(&lab, "slack").len(), 4);
}

#[tokio::test]
async fn slack_is_left_alone_for_as_long_as_it_asks() {
    let lab = lab(STILL).await;
    let first = |number| parcel(number, Purpose::Investigating, &Receipt::new());
    let team = slack(&lab.endpoints["slack"], json!({}));
    for number in 0..4 {
        team.deliver(&first(number)).await.unwrap();
    }
    let elsewhere = slack(&lab.endpoints["slack"], json!({ "channel": "engineering" }));
    for channel in [&team, &elsewhere] {
        let fault = fails(&**channel, &first(4)).await;
        assert_eq!(fault.class, FaultClass::Transient);
        assert!(fault.retry_after.is_some_and(|pause| pause.0 > Duration::from_secs(1)), "{fault:?}");
    }
    assert_eq!(kinds(&lab, "slack").len(), 4);
}

fn affected(number: u32, purpose: Purpose, thread: &Receipt, status: ComponentStatus) -> Parcel {
    let components = [("API".to_owned(), status), ("Carrier pigeons".to_owned(), status)].into();
    Parcel { components, ..parcel(number, purpose, thread) }
}

#[tokio::test]
async fn the_status_page_has_one_incident_with_its_components_until_it_is_resolved() {
    let lab = lab(FAST).await;
    let public = page(&lab.endpoints["statuspage"], json!({ "notify": false }));
    assert!(public.reach().await.unwrap().contains("4 components"));
    let first = affected(1, Purpose::Investigating, &Receipt::new(), ComponentStatus::MajorOutage);
    let known = public.deliver(&first).await.unwrap();
    assert!(known["link"].starts_with("https://stspg.io/"), "{known:?}");
    assert!(known["unknown components"].contains("no component `Carrier pigeons`"), "{known:?}");
    // Another engine, which knows nothing of the first message, does not open a second incident.
    public.deliver(&affected(2, Purpose::Monitoring, &Receipt::new(), ComponentStatus::Degraded)).await.unwrap();
    public.deliver(&affected(3, Purpose::Resolved, &known, ComponentStatus::Operational)).await.unwrap();
    let said = inbox(&lab, "statuspage");
    assert_eq!(said.iter().map(|it| it.kind).collect::<Vec<_>>(), ["incident", "update", "update"]);
    let of = |name: &str| said.iter().map(|it| it.details[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("status"), ["investigating", "monitoring", "resolved"]);
    assert_eq!(of("deliver_notifications"), [false, false, false]);
    assert_eq!((&said[0].details["impact"], &said[0].title), (&json!("critical"), &"investigating <1>".to_owned()));
    let statuses = |at: usize| said[at].details["components"].clone();
    assert_eq!(statuses(0), json!([{ "id": "api", "status": "major_outage" }]));
    assert_eq!(statuses(2), json!([{ "id": "api", "status": "operational" }]));
}

#[tokio::test]
async fn the_status_page_is_asked_what_it_has_when_its_answer_was_lost() {
    let lab = lab(FAST).await;
    let (lossy, url) = Lossy::before(&lab.endpoints["statuspage"]).await;
    let public = page(&url, json!({}));
    let first = parcel(1, Purpose::Investigating, &Receipt::new());
    assert_eq!(public.find(&first).await.unwrap(), Found::NotThere);
    assert_eq!(fails(&*public, &first).await.class, FaultClass::Ambiguous);
    let known = there(&*public, &first).await;
    let second = parcel(2, Purpose::Resolved, &known);
    assert_eq!(public.find(&second).await.unwrap(), Found::NotThere);
    assert_eq!(fails(&*public, &second).await.class, FaultClass::Ambiguous);
    there(&*public, &second).await;
    lossy.heal();
    // An older message is recognised though a newer one has left its mark.
    there(&*public, &parcel(1, Purpose::Investigating, &known)).await;
    assert_eq!(kinds(&lab, "statuspage"), ["incident", "update"]);
}

#[tokio::test]
async fn the_status_page_says_why_not() {
    let lab = lab(STILL).await;
    let public = page(&lab.endpoints["statuspage"], json!({}));
    let known: Receipt = [("incident".to_owned(), "nothing".to_owned())].into();
    let first = |thread: &Receipt| parcel(1, Purpose::Investigating, thread);
    for _ in 0..5 {
        public.reach().await.unwrap();
    }
    let fault = fails(&*public, &first(&known)).await;
    assert_eq!((fault.class, fault.retry_after.map(|it| it.0)), (FaultClass::Transient, Some(Duration::from_secs(60))));
    lab.world.truth().faults.set("statuspage", Condition::Denied);
    assert_eq!(fails(&*public, &first(&known)).await.class, FaultClass::Permanent);
    assert_eq!(kinds(&lab, "statuspage").len(), 0);
}

#[tokio::test]
async fn pagerduty_pages_once_is_acknowledged_noted_upon_and_resolved() {
    let lab = lab(FAST).await;
    let (pages, notes) = (pager(&lab), notes(&lab.endpoints["pagerduty"]));
    let none = Receipt::new();
    assert!(pages.reach().await.is_ok() && notes.reach().await.unwrap().contains("ada.okafor"));
    let early = fails(&*notes, &parcel(2, Purpose::Investigating, &none)).await;
    assert!(early.class == FaultClass::Transient && early.retry_after.is_some(), "{early}");
    for _ in 0..2 {
        let receipt = pages.deliver(&parcel(1, Purpose::Page, &none)).await.unwrap();
        assert_eq!(receipt["id"], "INC-20261123-1");
    }
    let noted = eventually("the incident is open", async || {
        notes.deliver(&parcel(2, Purpose::Investigating, &none)).await.ok()
    })
    .await;
    assert!(noted["link"].starts_with("https://gennet.pagerduty.com/incidents/"), "{noted:?}");
    pages.deliver(&parcel(3, Purpose::Acknowledge, &none)).await.unwrap();
    pages.deliver(&parcel(4, Purpose::Resolved, &none)).await.unwrap();
    let of = |kind: &str| inbox(&lab, "pagerduty").into_iter().filter(|it| it.kind == kind).collect::<Vec<_>>();
    assert_eq!(of("page").len(), 1);
    let [first, _] = &of("trigger")[..] else { panic!("two events") };
    assert_eq!(first.details["payload"]["severity"], "critical");
    let words = ["trigger", "acknowledge", "resolve", "note"].map(|kind| of(kind).len());
    // The event by which `reach` asked resolves a key that nobody has: it is accepted, and nobody hears of it.
    assert_eq!(words, [2, 1, 1, 1]);
}

#[tokio::test]
async fn pagerduty_recognises_a_double() {
    let lab = lab(FAST).await;
    let (pages, none) = (pager(&lab), Receipt::new());
    pages.deliver(&parcel(1, Purpose::Page, &none)).await.unwrap();
    let (lossy, url) = Lossy::before(&lab.endpoints["pagerduty"]).await;
    let (notes, update) = (notes(&url), parcel(2, Purpose::Identified, &none));
    let fault = eventually("the incident is open", async || {
        let fault = fails(&*notes, &update).await;
        (fault.class == FaultClass::Ambiguous).then_some(fault)
    })
    .await;
    assert!(fault.means.contains("not known"), "{fault}");
    let receipt = there(&*notes, &update).await;
    assert!(receipt["id"].starts_with('P'), "{receipt:?}");
    assert_eq!(notes.find(&parcel(3, Purpose::Identified, &none)).await.unwrap(), Found::NotThere);
    assert_eq!(kinds(&lab, "pagerduty").iter().filter(|kind| **kind == "note").count(), 1);
    lossy.heal();
    // An event may be sent again: whatever became of the first one, nobody is woken twice.
    assert_eq!(pages.find(&parcel(1, Purpose::Page, &none)).await.unwrap(), Found::Harmless);
    lab.world.truth().faults.set("pagerduty-events", Condition::Throttled);
    assert_eq!(fails(&*pages, &parcel(1, Purpose::Page, &none)).await.class, FaultClass::Transient);
    lab.world.truth().faults.set("pagerduty-events", Condition::Denied);
    let fault = fails(&*pages, &parcel(1, Purpose::Page, &none)).await;
    assert!(fault.class == FaultClass::Permanent && fault.what.contains("routing key"), "{fault}");
}

fn customers(count: usize) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lines: String = (0..count).map(|at| format!("customer-{at}@customer.example\n")).collect();
    std::fs::write(file.path(), format!("# customers\n\n{lines}no address\n")).unwrap();
    file
}

#[tokio::test]
async fn a_thousand_customers_get_one_letter_each() {
    let lab = lab(FAST).await;
    let file = customers(1000);
    let channel = mail(&lab, Audience::Customers, json!({ "to_file": file.path() }));
    let reach = channel.reach().await.unwrap_err().to_string();
    assert!(reach.contains("over TLS; 1000 recipients") && reach.contains("line 1003"), "{reach}");
    assert!(channel.inspect().await[0].contains("line 1003: there is no address in it"));
    let parts = channel.parts().await.unwrap();
    let started = Instant::now();
    let whole = parcel(1, Purpose::Investigating, &Receipt::new());
    let parcels: Vec<Parcel> = (0..parts).map(|part| Parcel { part, parts, ..whole.clone() }).collect();
    let receipts = futures::future::try_join_all(parcels.iter().map(|it| channel.deliver(it))).await.unwrap();
    eprintln!("1,000 customers in {parts} letters took {:?}", started.elapsed());
    assert_eq!(receipts[0]["id"], "<INC-20261123-1.m1.0@gennet.example>");
    assert_eq!((&*receipts[0]["no addresses"], receipts[1].get("no addresses")), ("1", None));
    let letters = inbox(&lab, "smtp");
    let mut all: Vec<&String> = letters.iter().flat_map(|it| &it.to).collect();
    assert_eq!(all.len(), 1000);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 1000, "somebody got it twice");
    assert!(letters.iter().all(|it| it.to.len() <= 50 && it.details["tls"] == true));
    assert!(letters.iter().all(|it| !it.details.to_string().contains("To: customer-")));
    let (title, text) = (&*letters[0].title, letters[0].text.trim_end());
    assert_eq!((title, text), ("investigating <1>", "Message 1 & \"more\"\nsecond line"));
}

#[tokio::test]
async fn one_dead_mailbox_keeps_a_letter_from_nobody_else() {
    let lab = lab(FAST).await;
    let to = json!(["ada@x.example", "bounce@x.example", "Bob <bob@x.example>"]);
    let channel =
        mail(&lab, Audience::Customers, json!({ "to": to, "tls": "implicit", "server": lab.endpoints["smtps"] }));
    let receipt = channel.deliver(&parcel(1, Purpose::Investigating, &Receipt::new())).await.unwrap();
    assert_eq!(receipt["accepted"], "2");
    assert!(receipt["refused"].starts_with("1 (") && receipt["refused"].contains("5.1.1"), "{receipt:?}");
    assert!(!format!("{receipt:?}").contains("bounce@"), "customers' addresses are not journalled");
    assert_eq!(inbox(&lab, "smtp")[0].to, ["ada@x.example", "bob@x.example"]);
    let nobody = mail(&lab, Audience::Customers, json!({ "to": ["bounce@x.example"] }));
    assert_eq!(fails(&*nobody, &parcel(2, Purpose::Resolved, &Receipt::new())).await.class, FaultClass::Permanent);
}

#[tokio::test]
async fn who_is_put_off_is_tried_alone_and_the_others_are_told_at_once() {
    let lab = lab(Pace(200.0)).await;
    let channel = mail(&lab, Audience::Internal, json!({ "to": ["ada@x.example", "grey.bob@x.example"] }));
    let update = parcel(1, Purpose::Investigating, &Receipt::new());
    let handed = channel.hand_over(&update).await.unwrap();
    assert_eq!((handed.taken, &*handed.receipt["accepted"], inbox(&lab, "smtp").len()), (true, "1", 1), "ada is told");
    let [rest] = &handed.rest[..] else { panic!("{handed:?}") };
    assert!(rest.only.len() == 1 && !rest.wait.is_zero() && !format!("{rest:?}").contains("bob"), "{rest:?}");
    let alone = Parcel { part: 1, only: rest.only.clone(), ..update };
    assert_eq!(fails(&*channel, &alone).await.class, FaultClass::Transient, "it is too early");
    let receipt = eventually("the greylist lets it through", async || channel.deliver(&alone).await.ok()).await;
    assert_eq!((receipt["accepted"].as_str(), receipt.get("refused")), ("1", None));
    let told: Vec<Vec<String>> = inbox(&lab, "smtp").iter().map(|it| it.to.clone()).collect();
    assert_eq!(told, [["ada@x.example"], ["grey.bob@x.example"]], "nobody twice");
}

#[tokio::test]
async fn a_letter_whose_answer_was_lost_is_not_known_to_have_arrived() {
    let lab = lab(FAST).await;
    let channel = mail(&lab, Audience::Customers, json!({ "to": ["ada@x.example"] }));
    let update = parcel(1, Purpose::Investigating, &Receipt::new());
    let set = |condition| lab.world.truth().faults.set("smtp", condition);
    set(Condition::Half);
    let fault = fails(&*channel, &update).await;
    assert_eq!((fault.class, inbox(&lab, "smtp").len()), (FaultClass::Ambiguous, 1));
    assert!(matches!(channel.find(&update).await.unwrap(), Found::Untold(_)));
    for (condition, class) in [
        (Condition::Refused, FaultClass::Transient),
        (Condition::Denied, FaultClass::Permanent),
        (Condition::Throttled, FaultClass::Transient),
    ] {
        set(condition);
        let fault = fails(&*channel, &update).await;
        assert_eq!(fault.class, class, "{condition:?}: {fault}");
    }
    assert_eq!(inbox(&lab, "smtp").len(), 1);
}

#[tokio::test]
async fn mail_trusts_only_whom_it_should() {
    let lab = lab(FAST).await;
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().cert.pem();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), stranger).unwrap();
    let channel = mail(&lab, Audience::Internal, json!({ "to": ["ada@x.example"], "ca": file.path() }));
    let fault = fails(&*channel, &parcel(1, Purpose::Investigating, &Receipt::new())).await;
    assert!(fault.class == FaultClass::Permanent && fault.next.contains("certificate"), "{fault}");
    let given = |more: Value| {
        merged(json!({ "server": "mail.example:25", "from": "a@x.example", "to": ["b@x.example"] }), more)
    };
    for wrong in [
        json!({ "tls": "none" }),
        json!({ "to": ["nobody"] }),
        json!({ "to": [], "to_file": "customers.txt" }),
        json!({ "to": [] }),
        json!({ "from": "me" }),
        json!({ "batch": 51 }),
        json!({ "user": "me" }),
    ] {
        let fault = try_channel("email", Audience::Internal, given(wrong.clone())).err();
        assert_eq!(fault.map(|it| it.class), Some(FaultClass::Permanent), "{wrong}");
    }
}

#[tokio::test]
async fn a_webhook_says_what_its_template_says() {
    let lab = lab(FAST).await;
    let channel = hook(
        &lab.endpoints["webhook"],
        json!({
            "headers": { "X-Token": "Bearer {{ secret }}" }, "secret": secret("hunter2"),
            "body": "{\"title\": {{ subject }}, \"text\": {{ text }}, \"of\": {{ components }}}",
            "id_pointer": "/id", "update_url": format!("{}/hook/updates-{{{{ id }}}}", lab.endpoints["webhook"]),
            "update_body": "{\"message\": {{ text }}}", "update_method": "PATCH",
        }),
    );
    assert!(channel.reach().await.unwrap().contains("HEAD"));
    let mut first = parcel(1, Purpose::Investigating, &Receipt::new());
    first.components = [("API".to_owned(), ComponentStatus::Degraded)].into();
    let known = channel.deliver(&first).await.unwrap();
    let later = channel.deliver(&parcel(2, Purpose::Resolved, &known)).await.unwrap();
    assert!(known.contains_key("made") && !later.contains_key("made"), "{later:?}");
    let [one, two] = &inbox(&lab, "webhook")[..] else { panic!("two messages") };
    assert_eq!((&*one.title, &*one.text), ("investigating <1>", "Message 1 & \"more\"\nsecond line"));
    assert_eq!(one.details["of"], json!([{ "name": "API", "status": "degraded" }]));
    assert_eq!(two.to, [format!("updates-{}", known["made"])]);
    assert_eq!(two.details, json!({ "message": "Message 2 & \"more\"\nsecond line" }));
}

#[tokio::test]
async fn a_webhook_says_why_not_and_whether_a_double_would_do_harm() {
    let lab = lab(FAST).await;
    let (lossy, url) = Lossy::before(&lab.endpoints["webhook"]).await;
    let first = parcel(1, Purpose::Investigating, &Receipt::new());
    let (plain, marked) = (hook(&url, json!({})), hook(&url, json!({ "idempotency_header": "Idempotency-Key" })));
    assert_eq!(fails(&*plain, &first).await.class, FaultClass::Ambiguous);
    assert!(matches!(plain.find(&first).await.unwrap(), Found::Untold(_)));
    assert_eq!(fails(&*marked, &first).await.class, FaultClass::Ambiguous);
    assert_eq!(marked.find(&first).await.unwrap(), Found::Harmless);
    assert_eq!(inbox(&lab, "webhook")[1].mark.as_deref(), Some("INC-20261123-1.m1.0"));
    lossy.heal();
    let strict = hook(&url, json!({ "expect_status": 201 }));
    assert_eq!(fails(&*strict, &first).await.class, FaultClass::Permanent);
    lab.world.truth().faults.set("webhook", Condition::Denied);
    assert_eq!(fails(&*plain, &first).await.class, FaultClass::Permanent);
    for wrong in [
        json!({ "body": "{{ nothing }}" }),
        json!({ "body": "{\"a\": {{ text }}" }),
        json!({ "body": "{% for a in range(1000000) %}{% for b in range(1000000) %}{% endfor %}{% endfor %}{}" }),
        json!({ "secret_url": secret("x") }),
        json!({ "headers": { "a b": "c" } }),
        json!({ "update_url": "{{ id }}" }),
        json!({ "expect_status": 9999 }),
    ] {
        let given = merged(json!({ "url": "https://hooks.example" }), wrong.clone());
        assert!(try_channel("webhook", Audience::Public, given).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn what_is_secret_in_a_webhook_stays_so() {
    let router = Router::new().fallback(|request: Request| async move {
        // A server that repeats what it was told.
        let headers = format!("{:?}", request.headers().get("x-token"));
        (axum::http::StatusCode::BAD_REQUEST, format!("no such key: {headers}"))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/services/hunter3", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let first = parcel(1, Purpose::Investigating, &Receipt::new());
    let common = json!({ "headers": { "X-Token": "{{ secret }}" }, "secret": secret("hunter2") });
    for target in [url, "http://127.0.0.1:1/services/hunter3".to_owned(), "hunter3".to_owned()] {
        let given = merged(common.clone(), json!({ "secret_url": secret(&target) }));
        let channel = connect("webhook", Audience::Internal, given);
        let fault = fails(&*channel, &first).await;
        let words = format!("{fault} {fault:?} {:?}", channel.reach().await);
        assert!(!words.contains("hunter"), "{words}");
    }
}

/// `decide` never makes such a parcel, and here nothing would come of it.
#[tokio::test]
async fn a_drill_reaches_neither_customers_nor_the_public() {
    let lab = lab(FAST).await;
    let channels = [
        page(&lab.endpoints["statuspage"], json!({})),
        mail(&lab, Audience::Customers, json!({ "to": ["ada@x.example"] })),
        hook(&lab.endpoints["webhook"], json!({})),
    ];
    let drill = Parcel { drill: true, ..parcel(1, Purpose::Investigating, &Receipt::new()) };
    for channel in channels {
        let fault = fails(&*channel, &drill).await;
        assert!(fault.class == FaultClass::Permanent && fault.what.contains("drill"), "{fault}");
    }
    assert_eq!(lab.world.truth().inbox.of(None).count(), 0);
    let inside = mail(&lab, Audience::Internal, json!({ "to": ["ada@x.example"] }));
    inside.deliver(&drill).await.unwrap();
}

/// What a kind says of doubles is what it does.
#[tokio::test]
async fn only_who_cannot_look_says_so() {
    let lab = lab(FAST).await;
    let first = parcel(1, Purpose::Investigating, &Receipt::new());
    let hush = secret("http://127.0.0.1:1/x");
    let nobody = json!({ "account": "AC1", "password": secret("x"), "from": "a", "to": ["+4915112345"] });
    let made: [(&str, Arc<dyn Channel>); 10] = [
        ("discord", connect("discord", Audience::Internal, json!({ "webhook": hush }))),
        ("email", mail(&lab, Audience::Internal, json!({ "to": ["ada@x.example"] }))),
        ("opsgenie", connect("opsgenie", Audience::Internal, json!({ "api_key": secret("x") }))),
        ("pagerduty", pager(&lab)),
        ("pagerduty-notes", notes(&lab.endpoints["pagerduty"])),
        ("slack", slack(&lab.endpoints["slack"], json!({}))),
        ("sms", connect("sms", Audience::Internal, merged(nobody, json!({ "url": "http://127.0.0.1:1" })))),
        ("statuspage", page(&lab.endpoints["statuspage"], json!({}))),
        ("teams", connect("teams", Audience::Internal, json!({ "webhook": hush }))),
        ("webhook", hook(&lab.endpoints["webhook"], json!({}))),
    ];
    assert_eq!(made.len(), FACTORIES.len(), "a kind is missing here");
    for (factory, (name, channel)) in FACTORIES.iter().zip(&made) {
        assert_eq!(factory.kind().name, *name);
        // Who cannot be asked now can be asked.
        let untold = matches!(channel.find(&first).await, Ok(Found::Untold(_)));
        assert_eq!(untold, factory.kind().doubles == Doubles::Undetectable, "{name}");
    }
}

/// Prints how long each takes: what people wait for after the key.
#[tokio::test]
async fn all_are_told_at_once() {
    let lab = lab(FAST).await;
    let none = Receipt::new();
    let file = customers(1000);
    let made: [(&str, Arc<dyn Channel>, Purpose); 6] = [
        ("slack", slack(&lab.endpoints["slack"], json!({})), Purpose::Investigating),
        ("email", mail(&lab, Audience::Customers, json!({ "to_file": file.path() })), Purpose::Investigating),
        ("statuspage", page(&lab.endpoints["statuspage"], json!({})), Purpose::Investigating),
        ("pagerduty", pager(&lab), Purpose::Page),
        ("webhook", hook(&lab.endpoints["webhook"], json!({})), Purpose::Investigating),
        ("slack, slow", slack(&lab.endpoints["slack"], json!({ "incident_channel": true })), Purpose::Investigating),
    ];
    let told = made.iter().map(async |(name, channel, purpose)| {
        let started = Instant::now();
        let parts = channel.parts().await.unwrap();
        for part in 0..parts {
            channel.deliver(&Parcel { part, parts, ..parcel(1, *purpose, &none) }).await.unwrap();
        }
        (*name, parts, started.elapsed())
    });
    for (name, parts, took) in futures::future::join_all(told).await {
        eprintln!("{name}: {parts} part(s) in {} ms", took.as_millis());
    }
    for service in ["slack", "smtp", "statuspage", "pagerduty", "webhook"] {
        assert!(!inbox(&lab, service).is_empty(), "{service}");
    }
}

/// The templates that the example config has for other vendors make what those vendors take.
#[tokio::test]
async fn the_examples_templates_can_be_rendered() {
    let text: String = mayday::cli::init::EXAMPLE
        .lines()
        .skip_while(|line| !line.starts_with("# The ways to reach people"))
        .take_while(|line| line.starts_with('#'))
        .filter(|line| !line.starts_with("# A webhook sends"))
        .map(|line| line.trim_start_matches('#').strip_prefix(' ').unwrap_or_default())
        .skip_while(|line| !line.starts_with("[[channel]]"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let file: toml::Table = text.parse().unwrap();
    let channels = file["channel"].as_array().unwrap();
    let lab = lab(FAST).await;
    for channel in channels.iter().filter(|it| it["kind"].as_str() == Some("webhook")) {
        let name = channel["id"].as_str().unwrap();
        let mut given = serde_json::to_value(channel).unwrap();
        let given_as = given.as_object_mut().unwrap();
        given_as.retain(|name, _| !["id", "kind", "audience", "secret_url", "secret", "url"].contains(&name.as_str()));
        given_as.insert("url".into(), format!("{}/hook/{name}", lab.endpoints["webhook"]).into());
        let made = connect("webhook", Audience::Public, given);
        made.deliver(&parcel(1, Purpose::Monitoring, &Receipt::new())).await.unwrap();
    }
    let said = inbox(&lab, "webhook");
    let of = |name: &str| said.iter().find(|it| it.to == [name]).map(|it| it.details.clone()).unwrap();
    assert_eq!((&of("cachet")["status"], &of("cachet")["name"]), (&json!(3), &json!("monitoring <1>")));
    assert_eq!(of("instatus")["status"], "MONITORING");
    assert_eq!(channels.len(), 12);
}
