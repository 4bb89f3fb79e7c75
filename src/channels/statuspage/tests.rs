use std::collections::BTreeMap;
use std::sync::Mutex;

use super::super::bench::{self, Asked, Vendor, ok, says};
use super::*;
use crate::domain::comms::Text;

#[test]
fn purposes_are_the_words_of_the_page() {
    let words: Vec<&str> = KIND.carries.iter().map(|purpose| purpose.word()).collect();
    assert_eq!(words, ["investigating", "identified", "monitoring", "resolved"]);
}

fn incident(metadata: Value) -> Incident {
    let first = json!({ "status": "investigating", "body": "another text" });
    serde_json::from_value(json!({ "id": "p1", "metadata": metadata, "incident_updates": [first] })).unwrap()
}

#[test]
fn what_was_not_all_looked_through_is_not_said_to_be_nowhere() {
    let parcel = Parcel {
        message: "INC-1.m1".into(),
        incident: "INC-1".into(),
        title: "east is dark".into(),
        purpose: Purpose::Investigating,
        severity: Severity::Sev1,
        drill: false,
        text: Text { subject: "s".into(), body: "b".into() },
        chain: None,
        components: BTreeMap::new(),
        part: 0,
        parts: 1,
        only: Vec::new(),
        thread: Receipt::new(),
    };
    let ours = |message: &str| incident(json!({ CORNER: { "incident": "INC-1", "message": message } }));
    let other = || incident(json!({}));
    let many = |count| (0..count).map(|_| other()).collect::<Vec<_>>();
    let there = |found: &Found| matches!(found, Found::There(_));
    let nowhere = |found: &Found| *found == Found::NotThere;
    let untold = |found: &Found| matches!(found, Found::Untold(_));
    let bare = |message: &str| Incident { incident_updates: Vec::new(), ..ours(message) };
    type Row<'a> = (&'a str, Vec<Incident>, &'a dyn Fn(&Found) -> bool);
    let rows: [Row<'_>; 8] = [
        ("ours, and none of its updates is told", vec![bare("INC-1.m0")], &untold),
        ("it is there by its mark alone", vec![bare("INC-1.m1")], &there),
        ("it is there", vec![other(), ours("INC-1.m1")], &there),
        ("ours without it", vec![ours("INC-1.m0"), other()], &nowhere),
        ("nothing at all", Vec::new(), &nowhere),
        ("only others", many(3), &nowhere),
        ("no metadata is told", vec![incident(Value::Null)], &untold),
        ("ours is told, though others are not", vec![incident(Value::Null), ours("INC-1.m1")], &there),
    ];
    for (what, incidents, is) in rows {
        let found = found(Listed { all: incidents, whole: true }, &parcel);
        assert!(is(&found), "{what}: {found:?}");
    }
    let partly = found(Listed { all: many(LISTED), whole: false }, &parcel);
    assert!(untold(&partly), "a list that was not read to its end: {partly:?}");
}

/// What a big page has: more components than a page of the list, and one name in two groups.
fn big() -> Vec<Value> {
    let node = |at| json!({ "id": format!("c{at:03}"), "name": format!("Edge node {at:03}"), "group": false });
    let of = |id: &str, name: &str, group| json!({ "id": id, "name": name, "group": false, "group_id": group });
    let group = |id: &str, name: &str| json!({ "id": id, "name": name, "group": true, "group_id": null });
    let grouped = [of("apiEU", "API", "gEU"), of("apiUS", "API", "gUS"), of("last", "Portal", "gUS")];
    (0..218).map(node).chain([group("gEU", "Europe"), group("gUS", "America")]).chain(grouped).collect()
}

fn part(all: &[Value], asked: &Asked, size: &str, most: usize) -> Value {
    let number = |name| asked.form(name).and_then(|it| it.parse::<usize>().ok());
    let (page, size) = (number("page").unwrap_or(1), number(size).unwrap_or(most).min(most));
    all.iter().skip((page - 1) * size).take(size).cloned().collect()
}

/// A page with these components, whose incidents can be deleted.
async fn page(most: usize, incidents: Arc<Mutex<Vec<Value>>>) -> Vendor {
    Vendor::start(move |asked| {
        let mut kept = incidents.lock().unwrap();
        let path = asked.path.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let wanted = asked.json()["incident"].clone();
        let is_group = |id: &String| id.starts_with('g') || id == "frozen";
        if wanted["components"].as_object().is_some_and(|it| it.keys().any(is_group)) {
            return says(422, json!({ "error": ["Component groups cannot be given a status"] }));
        }
        match (asked.method.as_str(), last) {
            ("GET", "components") => ok(part(&big(), asked, "per_page", most)),
            ("GET", "unresolved" | "incidents") => ok(part(&kept, asked, "limit", most)),
            ("POST", _) => {
                let mut made = wanted;
                made["id"] = format!("inc{}", kept.len() + 1).into();
                kept.push(made.clone());
                says(201, made)
            }
            (_, id) => match kept.iter().find(|it| it["id"] == id) {
                Some(known) => ok(known.clone()),
                None => says(404, json!({ "error": "not found" })),
            },
        }
    })
    .await
}

fn connect(vendor: &Vendor, shown: &[&str]) -> Arc<dyn Channel> {
    let given = json!({ "page": "abc", "token": bench::secret("hush"), "url": vendor.url });
    let mut spec = bench::spec(&KIND, Audience::Public, given);
    spec.components = shown.iter().map(|it| (*it).to_owned()).collect();
    StatuspageFactory.connect(&spec).unwrap()
}

fn of(names: &[&str]) -> Parcel {
    let all = names.iter().map(|name| ((*name).to_owned(), ComponentStatus::MajorOutage));
    Parcel { components: all.collect(), ..bench::parcel(Purpose::Investigating) }
}

#[tokio::test]
async fn every_list_is_read_to_its_last_page_however_long_a_page_is() {
    for most in [100, 25] {
        let vendor = page(most, Arc::default()).await;
        let channel = connect(&vendor, &["Portal", "Europe/API", "Edge node 217"]);
        assert!(channel.reach().await.unwrap().contains("223 components"), "pages of {most}");
        let receipt = channel.deliver(&of(&["Portal", "Europe/API"])).await.unwrap();
        assert!(!receipt.contains_key(UNKNOWN), "{receipt:?}");
        let told = &vendor.of(&Method::POST, "/v1")[0].json()["incident"]["components"];
        assert_eq!(*told, json!({ "last": "major_outage", "apiEU": "major_outage" }));
    }
}

#[tokio::test]
async fn names_that_mean_no_one_component_are_refused_before_and_the_words_go_out_all_the_same() {
    let vendor = page(100, Arc::default()).await;
    let channel = connect(&vendor, &["API", "America", "Portal"]);
    let fault = channel.reach().await.unwrap_err();
    for words in ["`America/API`, `Europe/API`", "`America` is a group, which takes no status"] {
        assert!(fault.what.contains(words), "{words}: {fault}");
    }
    assert_eq!(fault.means, IN_PART);
    let receipt = channel.deliver(&of(&["API", "America", "Portal"])).await.unwrap();
    assert!(receipt[UNKNOWN].contains("is a group") && receipt[UNKNOWN].contains("2 components"), "{receipt:?}");
    let posted = vendor.of(&Method::POST, "/v1");
    assert_eq!(posted[0].json()["incident"]["components"], json!({ "last": "major_outage" }));
}

#[tokio::test]
async fn what_the_page_refuses_keeps_no_words_back() {
    let incidents = Arc::new(Mutex::new(Vec::new()));
    let vendor = Vendor::start({
        let incidents = incidents.clone();
        move |asked: &Asked| match (asked.method.as_str(), &asked.json()["incident"]["components"]) {
            ("GET", _) if asked.path.contains("/components") => ok(json!([{ "id": "frozen", "name": "Portal" }])),
            ("GET", _) => ok(json!([])),
            (_, Value::Object(_)) => says(422, json!({ "error": "no" })),
            _ => {
                incidents.lock().unwrap().push(asked.json());
                says(201, json!({ "id": "inc1" }))
            }
        }
    })
    .await;
    let receipt = connect(&vendor, &[]).deliver(&of(&["Portal"])).await.unwrap();
    assert!(receipt[UNSET].contains("422") && incidents.lock().unwrap().len() == 1, "{receipt:?}");
}

#[tokio::test]
async fn an_incident_that_was_deleted_on_the_page_is_opened_again() {
    let incidents = Arc::new(Mutex::new(Vec::new()));
    let vendor = page(100, incidents.clone()).await;
    let channel = connect(&vendor, &[]);
    let first = channel.deliver(&of(&[])).await.unwrap();
    let mut later = Parcel { message: "INC-20261123-1.m2".into(), thread: first, ..of(&[]) };
    assert!(!channel.deliver(&later).await.unwrap().contains_key(ANEW), "it is there");
    incidents.lock().unwrap().clear();
    assert_eq!(channel.find(&later).await.unwrap(), Found::NotThere, "what is gone has no updates");
    let receipt = channel.deliver(&later).await.unwrap();
    assert!(receipt.contains_key(ANEW) && receipt[INCIDENT] == "inc1", "{receipt:?}");
    later.thread = receipt;
    assert!(!channel.deliver(&later).await.unwrap().contains_key(ANEW), "and once is enough");
}
