//! The Route 53 and DNS drivers against the lab.

use std::sync::Arc;

use mayday::domain::estate::{Estate, Tier};
use mayday::domain::health::Status;
use mayday::domain::system::{Begun, FaultClass, GuardVerdict, Observed, Step, System, Verified};
use mayday::domain::time::Span;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{Log, begun, connect, connect_in, estate, eventually, probe, step, try_step};

const APP: &str = "app.gennet.example";
const STATUS: &str = "status.gennet.example";
const EAST: &str = "127.0.0.11";
const WEST: &str = "127.0.0.12";

async fn lab() -> Lab {
    Lab::start(Pace(200.0)).await.unwrap()
}

fn zone(lab: &Lab) -> Arc<dyn System> {
    zone_at(lab, &lab.endpoints["route53"])
}

fn given(lab: &Lab, endpoint: &str) -> Value {
    json!({
        "hosted_zone": "Z0GENNET",
        "endpoint_url": endpoint,
        "name_servers": [lab.endpoints["dns"]],
        "access_key_id": "LABKEY",
        "secret_access_key": { "command": ["printf", "labsecret"] },
    })
}

fn zone_at(lab: &Lab, endpoint: &str) -> Arc<dyn System> {
    connect("route53", None, given(lab, endpoint))
}

fn shift(lab: &Lab, to: &str) -> Arc<dyn Step> {
    step(&*zone(lab), "route53.shift", to, json!({ "record": APP }))
}

fn changes(lab: &Lab) -> usize {
    let truth = lab.world.truth();
    truth.ledger.iter().filter(|it| it.action == "ChangeResourceRecordSets" && it.accepted).count()
}

fn resolved(lab: &Lab, name: &str) -> String {
    lab.world.truth().route53.resolve(name).map(|ip| ip.to_string()).unwrap_or_default()
}

async fn applied(step: &dyn Step) -> Begun {
    let preview = step.preview().await.unwrap();
    let receipt = step.apply(&preview.pre_image, &Log::default()).await.unwrap();
    begun(preview.pre_image, receipt)
}

/// Waits until verification holds; answers what it said on the way.
async fn verified(step: &dyn Step, begun: &Begun) -> Vec<String> {
    let mut waited = Vec::new();
    eventually("verified", async || match step.verify(begun, &Log::default()).await.unwrap() {
        Verified::Pending { detail } => {
            waited.push(detail);
            None
        }
        Verified::Holds { .. } => Some(()),
        other => panic!("{other:?}"),
    })
    .await;
    waited
}

#[tokio::test]
async fn a_shift_waits_for_the_name_servers_and_goes_back() {
    // Slow enough for PENDING to be seen: 30 s take 1.5 s.
    let lab = Lab::start(Pace(20.0)).await.unwrap();
    let shift = shift(&lab, STANDBY);
    let preview = shift.preview().await.unwrap();
    assert_eq!(preview.summary, "app.gennet.example: us-east-1 weight 100 → weight 0, us-west-2 weight 0 → weight 100");
    assert!(matches!(shift.observe(None).await.unwrap(), Observed::NotDone { .. }));

    let begun = applied(&*shift).await;
    assert!(
        matches!(shift.observe(Some(&begun)).await.unwrap(), Observed::Done { .. }),
        "the records are changed at once"
    );
    assert_eq!(resolved(&lab, APP), EAST, "but the name servers still answer by the old ones");
    let waited = verified(&*shift, &begun).await;
    assert!(waited.iter().any(|detail| detail.contains("PENDING")), "{waited:?}");
    assert_eq!(resolved(&lab, APP), WEST);

    let receipt = shift.revert(&begun, &Log::default()).await.unwrap();
    assert!(receipt.contains_key("change-id"));
    assert_eq!(shift.preview().await.unwrap().pre_image, begun.pre_image, "the pre-image is back");
    shift.revert(&begun, &Log::default()).await.unwrap();
    assert_eq!(changes(&lab), 2, "a second revert finds nothing to do");
}

#[tokio::test]
async fn accelerated_recovery_counts_with_its_hour() {
    let lab = lab().await;
    let told = async |rto: Option<&str>| {
        let mut estate = Estate::clone(&estate());
        estate.objectives.rto.extend(rto.map(|rto| (Tier::Critical, rto.parse::<Span>().unwrap())));
        let zone = connect_in(Arc::new(estate), "route53", None, given(&lab, &lab.endpoints["route53"]));
        let shift = step(&*zone, "route53.shift", STANDBY, json!({ "record": APP }));
        let guards = shift.check().await.unwrap().guards;
        let of = |name: &str| guards.iter().find(|it| it.name == name).cloned();
        let guard = of("control-plane").or_else(|| of("accelerated-recovery")).unwrap();
        (guard.name, guard.verdict, guard.detail)
    };
    let (name, verdict, words) = told(Some("2h")).await;
    assert_eq!((name.as_str(), verdict), ("control-plane", GuardVerdict::Warn));
    assert!(words.contains("the switches of an ARC cluster"), "{words}");
    lab.world.truth().route53.accelerate();
    for (rto, wanted, said) in [
        (Some("2h"), "accelerated-recovery", "brings them back after about 60 min"),
        (Some("60m"), "accelerated-recovery", "about 60 min"),
        (Some("5m"), "control-plane", "about 60 min, and the RTO is 5m"),
        (None, "control-plane", "about 60 min, and an RTO is not set"),
    ] {
        let (name, verdict, words) = told(rto).await;
        assert_eq!((name.as_str(), verdict), (wanted, GuardVerdict::Warn), "{rto:?}: {words}");
        assert!(words.contains(said), "{rto:?}: {words}");
    }
}

#[tokio::test]
async fn drift_since_the_preview_is_refused_and_not_overwritten() {
    let lab = lab().await;
    let (ours, somebody) = (shift(&lab, STANDBY), shift(&lab, STANDBY));
    let preview = ours.preview().await.unwrap();
    applied(&*somebody).await;
    let fault = ours.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Permanent);
    assert!(fault.means.contains("somebody changed them"), "{fault}");
    assert_eq!(changes(&lab), 1);
}

#[tokio::test]
async fn an_unhealthy_target_blocks_because_clients_would_not_move() {
    let lab = lab().await;
    let shift = shift(&lab, STANDBY);
    let verdict = async |name: &str| {
        let guards = shift.check().await.unwrap().guards;
        guards.into_iter().find(|guard| guard.name == name).unwrap().verdict
    };
    assert_eq!(verdict("target-health").await, GuardVerdict::Pass);
    assert_eq!(verdict("ttl").await, GuardVerdict::Pass);
    assert_eq!(verdict("control-plane").await, GuardVerdict::Warn, "it flees the region of the control plane");
    lab.world.truth().faults.set("app@us-west-2", Condition::Dark);
    eventually("blocked", async || (verdict("target-health").await == GuardVerdict::Block).then_some(())).await;

    // Shifted all the same: Route 53 goes on answering the primary, and verification says why.
    let begun = applied(&*shift).await;
    let detail = eventually("explained", async || match shift.verify(&begun, &Log::default()).await.unwrap() {
        Verified::Pending { detail } if detail.contains("unhealthy") => Some(detail),
        Verified::Pending { .. } => None,
        other => panic!("{other:?}"),
    })
    .await;
    assert!(detail.contains("still answers 127.0.0.11"), "{detail}");
}

#[tokio::test]
async fn a_failover_pair_exchanges_its_roles() {
    let lab = lab().await;
    let given = json!({ "record": STATUS, "to": "secondary" });
    let shift = step(&*zone(&lab), "route53.shift", STANDBY, given);
    let begun = applied(&*shift).await;
    verified(&*shift, &begun).await;
    assert_eq!(resolved(&lab, STATUS), WEST);
    shift.revert(&begun, &Log::default()).await.unwrap();
    eventually("back", async || (resolved(&lab, STATUS) == EAST).then_some(())).await;
}

#[tokio::test]
async fn somebody_elses_change_after_ours_breaks_verification() {
    let lab = lab().await;
    let west = shift(&lab, STANDBY);
    let ours = applied(&*west).await;
    verified(&*west, &ours).await;
    let east = shift(&lab, PRIMARY);
    let theirs = applied(&*east).await;
    verified(&*east, &theirs).await;
    assert!(matches!(west.verify(&ours, &Log::default()).await.unwrap(), Verified::Broken { .. }));
}

#[tokio::test]
async fn the_class_of_a_failure_says_what_may_have_happened() {
    let lab = lab().await;
    let shift = shift(&lab, STANDBY);
    let preview = shift.preview().await.unwrap();
    for (condition, class) in
        [(Condition::Throttled, FaultClass::Transient), (Condition::Denied, FaultClass::Permanent)]
    {
        lab.world.truth().faults.set("route53", condition);
        let fault = shift.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
        assert_eq!(fault.class, class, "{condition:?}: {fault}");
        assert!(!fault.to_string().contains("labsecret"));
        assert_eq!(changes(&lab), 0, "{condition:?}");
    }
    // Where nothing listens, nothing was sent.
    let nowhere = zone_at(&lab, "http://127.0.0.1:9");
    let nowhere = step(&*nowhere, "route53.shift", STANDBY, json!({ "record": APP }));
    let fault = nowhere.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient, "{fault}");
    // Half of an answer: the change happened, and only looking can tell.
    lab.world.truth().faults.set("route53", Condition::Half);
    let fault = shift.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Ambiguous, "{fault}");
    lab.world.truth().faults.set("dns", Condition::Dark);
    assert_eq!(shift.observe(None).await.unwrap_err().class, FaultClass::Transient, "a read that breaks harms nothing");
    lab.world.truth().faults.heal_all();
    assert_eq!(changes(&lab), 1, "one attempt, no retries");
    // After the crash there is no receipt: the name servers alone prove it.
    let begun = begun(preview.pre_image, Default::default());
    assert!(matches!(shift.observe(Some(&begun)).await.unwrap(), Observed::Done { .. }));
    verified(&*shift, &begun).await;
}

#[tokio::test]
async fn without_the_control_plane_the_name_servers_alone_prove_a_shift() {
    let lab = lab().await;
    let shift = shift(&lab, STANDBY);
    let begun = applied(&*shift).await;
    lab.world.truth().faults.set("route53", Condition::Throttled);
    verified(&*shift, &begun).await;
    lab.world.truth().faults.set("dns", Condition::Dark);
    let seen = shift.verify(&begun, &Log::default()).await.unwrap();
    assert!(matches!(seen, Verified::Pending { .. }), "nobody says so: {seen:?}");
}

#[tokio::test]
async fn weights_that_would_split_the_traffic_are_refused() {
    let lab = lab().await;
    let zone = zone(&lab);
    let given = json!({ "record": APP, "weight": 0 });
    assert!(try_step(&*zone, "route53.shift", STANDBY, given).is_err());
    // A share for the others is allowed, and both answers are right then.
    let share = step(&*zone, "route53.shift", STANDBY, json!({ "record": APP, "weight": 128, "rest": 128 }));
    let begun = applied(&*share).await;
    verified(&*share, &begun).await;
}

/// Asks over HTTP as any client would, for what the driver has no words for.
async fn post_to(lab: &Lab, path: &str, root: &str, inside: &str) -> String {
    let body = format!("<{root}>{inside}</{root}>");
    let address = lab.endpoints["route53"].trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: lab\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

#[tokio::test]
async fn an_answer_too_large_for_udp_is_fetched_over_tcp() {
    let lab = lab().await;
    let ips: Vec<String> = (1..=200).map(|nth| format!("192.0.2.{nth}")).collect();
    let values: String = ips.iter().map(|ip| format!("<ResourceRecord><Value>{ip}</Value></ResourceRecord>")).collect();
    let set = format!(
        "<Name>many.gennet.example</Name><Type>A</Type><TTL>5</TTL><ResourceRecords>{values}</ResourceRecords>"
    );
    let change = format!("<Change><Action>CREATE</Action><ResourceRecordSet>{set}</ResourceRecordSet></Change>");
    let batch = format!("<ChangeBatch><Changes>{change}</Changes></ChangeBatch>");
    let path = "/2013-04-01/hostedzone/Z0GENNET/rrset/";
    assert!(post_to(&lab, path, "ChangeResourceRecordSetsRequest", &batch).await.contains("ChangeInfo"));
    let dns = connect("dns", None, json!({}));
    let given = json!({ "name": "many.gennet.example", "expect": ips, "server": lab.endpoints["dns"] });
    let spec = probe("dns.answer", given);
    let detail = eventually("answered", async || {
        let seen = dns.probe(&spec).await;
        (seen.status == Status::Healthy).then_some(seen.detail)
    })
    .await;
    assert!(detail.contains("192.0.2.1"), "{detail}");
}

#[tokio::test]
async fn silence_after_a_change_is_ambiguous() {
    let lab = lab().await;
    let shift = shift(&lab, STANDBY);
    let preview = shift.preview().await.unwrap();
    lab.world.truth().faults.set("route53", Condition::Dark);
    let fault = shift.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Ambiguous, "{fault}");
}

#[tokio::test]
async fn a_shift_that_cannot_be_says_so() {
    let lab = lab().await;
    let zone = zone(&lab);
    for given in [json!({ "record": "none.gennet.example" }), json!({ "record": APP, "to": "eu-west-1" })] {
        let shift = step(&*zone, "route53.shift", STANDBY, given);
        assert!(matches!(shift.observe(None).await.unwrap(), Observed::Impossible { .. }));
        assert_eq!(shift.preview().await.unwrap_err().class, FaultClass::Permanent);
    }
}

#[tokio::test]
async fn a_health_check_is_forced_down_and_set_back() {
    let lab = lab().await;
    let given = json!({ "record": APP, "identifier": PRIMARY });
    let force = step(&*zone(&lab), "route53.force-health-check", STANDBY, given);
    assert!(matches!(force.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let begun = applied(&*force).await;
    verified(&*force, &begun).await;
    assert_eq!(resolved(&lab, APP), WEST, "weight 0 is the last resort, not never");
    // A version that is not the present one is refused.
    let fault = force.apply(&begun.pre_image, &Log::default()).await.unwrap_err();
    assert!(fault.class == FaultClass::Permanent && fault.what.contains("HealthCheckVersionMismatch"), "{fault}");
    force.revert(&begun, &Log::default()).await.unwrap();
    assert_eq!(resolved(&lab, APP), EAST);
}

#[tokio::test]
async fn by_hand_is_the_exact_change_once_it_was_previewed() {
    let lab = lab().await;
    let shift = shift(&lab, STANDBY);
    assert!(shift.by_hand().iter().any(|line| line.starts_with("jq ")));
    shift.preview().await.unwrap();
    let lines = shift.by_hand();
    let start = lines.iter().position(|line| line.starts_with("cat >")).unwrap();
    let batch: Value = serde_json::from_str(&lines[start + 1]).unwrap();
    assert_eq!(batch["Changes"][0]["Action"], "DELETE");
    assert_eq!(batch["Changes"][3]["ResourceRecordSet"]["Weight"], 100);
    assert!(lines.last().unwrap().contains("dig +short +norecurse app.gennet.example A"));
}

#[tokio::test]
async fn the_probe_of_a_record_tells_where_it_points_and_what_stands_behind() {
    let lab = lab().await;
    let zone = zone(&lab);
    let look =
        async |expect: &str| zone.probe(&probe("route53.record", json!({ "record": APP, "expect": expect }))).await;
    let seen = look(PRIMARY).await;
    assert_eq!(seen.status, Status::Healthy, "{}", seen.detail);
    assert_eq!(look(STANDBY).await.status, Status::Down);
    let set = |place: &str, condition| lab.world.truth().faults.set(place, condition);
    set("app@us-west-2", Condition::Dark);
    eventually("degraded", async || (look(PRIMARY).await.status == Status::Degraded).then_some(())).await;
    set("app@us-east-1", Condition::Dark);
    eventually("down", async || (look(PRIMARY).await.status == Status::Down).then_some(())).await;
    for (condition, status) in [
        (Condition::Denied, Status::Unknown),
        (Condition::Throttled, Status::Unknown),
        // Name servers still tell what serves: not well, and not down.
        (Condition::Refused, Status::Degraded),
    ] {
        set("route53", condition);
        assert_eq!(look(PRIMARY).await.status, status, "{condition:?}");
    }
    let said = look(PRIMARY).await.detail;
    assert!(said.contains("name servers say us-east-1; the API does not answer"), "{said}");
    set("dns", Condition::Dark);
    assert_eq!(look(PRIMARY).await.status, Status::Down);
}

#[tokio::test]
async fn what_name_servers_say_counts_while_the_api_is_silent() {
    let lab = lab().await;
    let silent = Condition::Refused;
    lab.world.truth().faults.set("route53", silent);
    // This one has never heard the API: it knows addresses from its config alone.
    let given = json!({
        "hosted_zone": "Z0GENNET", "endpoint_url": lab.endpoints["route53"], "name_servers": [lab.endpoints["dns"]],
        "answers": { "us-east-1": EAST, "us-west-2": WEST },
        "access_key_id": "LABKEY",
        "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    let zone = connect("route53", None, given);
    let shift = step(&*zone, "route53.shift", STANDBY, json!({ "record": APP }));
    let fault = shift.observe(None).await.unwrap_err();
    assert!(fault.class == FaultClass::Transient && fault.what.contains("name servers say us-east-1"), "{fault}");
    lab.world.truth().faults.set("app@us-east-1", Condition::Dark);
    let seen = eventually("served from the standby", async || shift.observe(None).await.ok()).await;
    let wanted = "name servers say us-west-2; the API does not answer";
    assert_eq!(seen, Observed::Done { detail: wanted.into() });
    let found = begun(Value::Null, Default::default());
    let held = shift.verify(&found, &Log::default()).await.unwrap();
    assert_eq!(held, Verified::HoldsForNow { detail: wanted.into() }, "nobody has sent them there");
    assert!(shift.stays().await.is_err(), "whether they stay is not known");
    lab.world.truth().faults.set("route53", Condition::Up);
    assert!(matches!(shift.stays().await.unwrap(), Observed::NotDone { .. }), "and then known not to");
    let held = shift.verify(&found, &Log::default()).await.unwrap();
    assert!(matches!(held, Verified::HoldsForNow { .. }), "{held:?}");
    lab.world.truth().faults.heal_all();
    eventually("they go back by themselves", async || (resolved(&lab, APP) == EAST).then_some(())).await;
    let gone = shift.verify(&found, &Log::default()).await.unwrap();
    assert!(matches!(gone, Verified::Broken { .. }), "{gone:?}");
}

#[tokio::test]
async fn dns_is_asked_as_clients_ask() {
    let lab = lab().await;
    let dns = connect("dns", None, json!({}));
    let look = async |name: &str, expect: &[&str]| {
        let mut spec = probe("dns.answer", json!({ "name": name, "expect": expect, "server": lab.endpoints["dns"] }));
        spec.timeout = mayday::domain::time::Span::millis(600);
        dns.probe(&spec).await
    };
    assert_eq!(look(APP, &[EAST]).await.status, Status::Healthy);
    let other = look(APP, &[WEST]).await;
    assert!(other.status == Status::Down && other.detail.contains(EAST), "{other:?}");
    assert_eq!(look("none.gennet.example", &[]).await.status, Status::Down);
    // A server that refuses says nothing of what a name is for others.
    assert_eq!(look("example.org", &[]).await.status, Status::Unknown);
    assert_eq!(look("not a name..", &[]).await.status, Status::Unknown);
    for (condition, status) in [
        (Condition::Dark, Status::Down),
        (Condition::Garbage, Status::Down),
        (Condition::Half, Status::Down),
        (Condition::Denied, Status::Unknown),
    ] {
        lab.world.truth().faults.set("dns", condition);
        assert_eq!(look(APP, &[EAST]).await.status, status, "{condition:?}");
    }
    // What does not serve is answered around once the checkers see it: an application that refuses ...
    lab.world.truth().faults.heal_all();
    lab.world.truth().faults.set("app@us-east-1", Condition::Throttled);
    eventually("refusals seen", async || (look(APP, &[WEST]).await.status == Status::Healthy).then_some(())).await;
    lab.world.truth().faults.heal_all();
    eventually("and forgotten", async || (look(APP, &[EAST]).await.status == Status::Healthy).then_some(())).await;
    // ... and a region that is dark.
    lab.world.truth().faults.heal_all();
    lab.world.truth().faults.set("*@us-east-1", Condition::Dark);
    eventually("last resort", async || (look(APP, &[WEST]).await.status == Status::Healthy).then_some(())).await;
}

fn zone_with_object(lab: &Lab, key: &str) -> Arc<dyn System> {
    let given = json!({
        "hosted_zone": "Z0GENNET",
        "endpoint_url": lab.endpoints["route53"],
        "name_servers": [lab.endpoints["dns"]],
        "object_bucket": "gennet-switch",
        "object_key": key,
        "object_endpoint_url": lab.endpoints["s3.us-west-2"],
        "answers": { "us-east-1": EAST, "us-west-2": WEST },
        "access_key_id": "LABKEY",
        "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    connect("route53", None, given)
}

#[tokio::test]
async fn by_the_object_clients_move_within_5_s_and_without_the_control_plane() {
    let pace = 4.0;
    let lab = Lab::start(Pace(pace)).await.unwrap();
    let zone = zone_with_object(&lab, "leave-us-east-1");
    let leave = step(&*zone, "route53.standby-object", STANDBY, json!({ "record": APP }));
    assert!(matches!(leave.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let guards = leave.check().await.unwrap().guards;
    assert!(guards.iter().all(|it| it.verdict == GuardVerdict::Pass), "{guards:#?}");
    lab.world.truth().faults.set("route53", Condition::Dark);
    let guards = leave.check().await.unwrap().guards;
    let check = guards.iter().find(|it| it.name == "object-check").unwrap();
    assert!(check.verdict == GuardVerdict::Pass && check.detail.contains("ago"), "as last seen: {check:?}");
    let began = std::time::Instant::now();
    let begun = applied(&*leave).await;
    verified(&*leave, &begun).await;
    let took = began.elapsed().as_secs_f64() * pace;
    assert!(took < 5.0, "{took} s on the lab's clock");
    assert_eq!(resolved(&lab, APP), WEST);
    lab.world.truth().faults.heal_all();
    assert_eq!(resolved(&lab, APP), WEST, "nobody goes back by himself");
    let home = step(&*zone, "route53.standby-object", PRIMARY, json!({ "record": APP }));
    assert!(matches!(home.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let back = applied(&*home).await;
    verified(&*home, &back).await;
    assert_eq!(resolved(&lab, APP), EAST, "deleting it brings them home");
    home.revert(&back, &Log::default()).await.unwrap();
    assert!(matches!(leave.observe(None).await.unwrap(), Observed::Done { .. }), "and that is taken back");
    assert!(leave.by_hand().iter().any(|line| line.starts_with("aws s3api put-object --bucket gennet-switch")));
}

#[tokio::test]
async fn an_object_that_no_health_check_looks_at_is_no_way() {
    let lab = lab().await;
    let of =
        |key: &str| step(&*zone_with_object(&lab, key), "route53.standby-object", STANDBY, json!({ "record": APP }));
    let Observed::Impossible { why } = of("other").observe(None).await.unwrap() else { panic!("it is believed") };
    assert!(
        why.contains("none of the health checks that hc-app-us-east-1 counts looks at s3://gennet-switch/other"),
        "{why}"
    );
    // One that looks at it and is upright would do the opposite.
    let right = of("leave-us-east-1");
    assert!(matches!(right.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let upright = "<Inverted>false</Inverted>";
    post_to(&lab, "/2013-04-01/healthcheck/hc-leave-us-east-1", "UpdateHealthCheckRequest", upright).await;
    let Observed::Impossible { why } = right.observe(None).await.unwrap() else { panic!("it is believed") };
    assert!(why.contains("hc-leave-us-east-1 is not inverted"), "{why}");
}

/// A change batch of the lab's own API, and when its name servers answer by it.
async fn create(lab: &Lab, sets: &[String]) {
    let change =
        |set: &String| format!("<Change><Action>CREATE</Action><ResourceRecordSet>{set}</ResourceRecordSet></Change>");
    let batch =
        format!("<ChangeBatch><Changes>{}</Changes></ChangeBatch>", sets.iter().map(change).collect::<String>());
    post_to(lab, "/2013-04-01/hostedzone/Z0GENNET/rrset/", "ChangeResourceRecordSetsRequest", &batch).await;
}

fn weighted(name: &str, kind: &str, region: &str, weight: u8, value: &str) -> String {
    format!(
        "<Name>{name}</Name><Type>{kind}</Type><SetIdentifier>{region}</SetIdentifier><Weight>{weight}</Weight><TTL>5</TTL>\
         <ResourceRecords><ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords>"
    )
}

fn failover_alias(name: &str, region: &str, role: &str) -> String {
    format!(
        "<Name>{name}</Name><Type>A</Type><SetIdentifier>{region}</SetIdentifier><Failover>{role}</Failover><AliasTarget>\
         <HostedZoneId>Z35SXDOTRQ7X7K</HostedZoneId><DNSName>lb.{region}.elb.test</DNSName>\
         <EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget>"
    )
}

async fn details(step: &dyn Step, begun: &Begun) -> String {
    eventually("verified", async || match step.verify(begun, &Log::default()).await.unwrap() {
        Verified::Pending { .. } => None,
        Verified::Holds { detail, .. } => Some(detail),
        other => panic!("{other:?}"),
    })
    .await
}

#[tokio::test]
async fn addresses_of_both_kinds_and_several_names_move_in_one_step() {
    let lab = lab().await;
    create(
        &lab,
        &[
            weighted("\\052.tenant.gennet.example", "A", PRIMARY, 100, EAST),
            weighted("\\052.tenant.gennet.example", "A", STANDBY, 0, WEST),
            weighted("\\052.tenant.gennet.example", "AAAA", PRIMARY, 100, "2001:db8::1"),
            weighted("\\052.tenant.gennet.example", "AAAA", STANDBY, 0, "2001:db8::2"),
        ],
    )
    .await;
    eventually("served", async || (resolved(&lab, "a.tenant.gennet.example") == EAST).then_some(())).await;
    let before = changes(&lab);
    let given = json!({ "records": ["*.tenant.gennet.example", APP] });
    let shift = step(&*zone(&lab), "route53.shift", STANDBY, given);
    let Observed::NotDone { detail } = shift.observe(None).await.unwrap() else { panic!("it is not done") };
    assert!(detail.contains("*.tenant.gennet.example AAAA: us-east-1 weight 100"), "{detail}");
    let begun = applied(&*shift).await;
    assert_eq!(changes(&lab), before + 1, "one batch for all of a zone");
    details(&*shift, &begun).await;
    for name in ["a.tenant.gennet.example", APP] {
        assert_eq!(resolved(&lab, name), WEST, "{name}");
    }
    assert!(matches!(shift.observe(None).await.unwrap(), Observed::Done { .. }));
    // One type alone is told to leave the other's clients.
    let only =
        step(&*zone(&lab), "route53.shift", PRIMARY, json!({ "record": "*.tenant.gennet.example", "type": "A" }));
    let guards = only.check().await.unwrap().guards;
    let left = guards.iter().find(|it| it.name == "other-types").unwrap_or_else(|| panic!("{guards:?}"));
    assert!(left.verdict == GuardVerdict::Warn && left.detail.contains("clients by IPv6 stay"), "{left:?}");
    shift.revert(&begun, &Log::default()).await.unwrap();
    eventually("back", async || (resolved(&lab, "b.tenant.gennet.example") == EAST).then_some(())).await;
    let twice = json!({ "record": APP, "records": ["APP.gennet.example."] });
    assert!(try_step(&*zone(&lab), "route53.shift", STANDBY, twice).is_err());
    assert!(try_step(&*zone(&lab), "route53.shift", STANDBY, json!({})).is_err());
}

#[tokio::test]
async fn an_alias_whose_target_nobody_here_can_resolve_is_moved_when_route_53_says_so() {
    let lab = lab().await;
    let name = "www.gennet.example";
    create(&lab, &[failover_alias(name, PRIMARY, "PRIMARY"), failover_alias(name, STANDBY, "SECONDARY")]).await;
    eventually("served", async || (resolved(&lab, name) == EAST).then_some(())).await;
    let shift = step(&*zone(&lab), "route53.shift", STANDBY, json!({ "record": name }));
    let guards = shift.check().await.unwrap().guards;
    let health = guards.iter().find(|it| it.name == "target-health").unwrap();
    assert!(health.verdict == GuardVerdict::Pass && health.detail.contains("EvaluateTargetHealth"), "{health:?}");
    let begun = applied(&*shift).await;
    let detail = details(&*shift, &begun).await;
    assert!(detail.contains("in sync") && detail.contains("cannot be resolved from here"), "{detail}");
    assert_eq!(resolved(&lab, name), WEST);
    let seen = zone(&lab).probe(&probe("route53.record", json!({ "record": name, "expect": STANDBY }))).await;
    assert!(seen.status == Status::Healthy && seen.detail.contains("its target's own health"), "{seen:?}");
}

#[tokio::test]
async fn a_change_that_was_sent_is_never_called_no_change() {
    let lab = lab().await;
    let shift = shift(&lab, STANDBY);
    let begun = applied(&*shift).await;
    let log = Log::default();
    lab.world.truth().faults.set("route53", Condition::Denied);
    let detail = eventually("verified", async || match shift.verify(&begun, &log).await.unwrap() {
        Verified::Pending { .. } => None,
        Verified::Holds { detail, .. } => Some(detail),
        other => panic!("{other:?}"),
    })
    .await;
    assert!(detail.starts_with("changed; verified by the name servers"), "{detail}");
    let lines = log.0.lock().unwrap().join("\n");
    assert!(lines.contains("GetChange was refused") && !lines.contains("nothing was changed"), "{lines}");
}

#[tokio::test]
async fn nothing_is_moved_whose_effect_nobody_could_ever_see() {
    let lab = lab().await;
    let shift = shift(&lab, STANDBY);
    let verdict = async || {
        let guards = shift.check().await.unwrap().guards;
        guards.into_iter().find(|guard| guard.name == "name-servers").unwrap()
    };
    assert_eq!(verdict().await.verdict, GuardVerdict::Pass);
    lab.world.truth().faults.set("dns", Condition::Denied);
    let guard = verdict().await;
    assert!(guard.verdict == GuardVerdict::Block && guard.detail.contains("refuses this host"), "{guard:?}");
}

#[tokio::test]
async fn a_simple_record_is_swapped_for_the_value_of_the_region() {
    let lab = lab().await;
    let name = "plain.gennet.example";
    let set = format!(
        "<Name>{name}</Name><Type>A</Type><TTL>5</TTL><ResourceRecords><ResourceRecord><Value>{EAST}</Value></ResourceRecord></ResourceRecords>"
    );
    create(&lab, &[set]).await;
    eventually("served", async || (resolved(&lab, name) == EAST).then_some(())).await;
    let bare = step(&*zone(&lab), "route53.shift", STANDBY, json!({ "record": name }));
    let Observed::Impossible { why } = bare.observe(None).await.unwrap() else { panic!("it cannot be") };
    assert!(why.contains("say in `values`"), "{why}");
    let values = json!({ PRIMARY: EAST, STANDBY: WEST });
    let shift = step(&*zone(&lab), "route53.shift", STANDBY, json!({ "record": name, "values": values }));
    assert!(matches!(shift.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let preview = shift.preview().await.unwrap();
    assert_eq!(preview.summary, format!("{name}: {EAST} → {WEST}"));
    let begun = applied(&*shift).await;
    details(&*shift, &begun).await;
    assert_eq!(resolved(&lab, name), WEST);
    let drift = shift.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert!(drift.means.contains("nothing was overwritten"), "{drift}");
    shift.revert(&begun, &Log::default()).await.unwrap();
    eventually("back", async || (resolved(&lab, name) == EAST).then_some(())).await;
}

#[tokio::test]
async fn what_a_scoped_policy_allows_is_allowed() {
    let lab = lab().await;
    let given = |zone: &str| {
        json!({
            "hosted_zone": zone,
            "endpoint_url": lab.endpoints["route53"],
            "name_servers": [lab.endpoints["dns"]],
            "sts_endpoint_url": lab.endpoints["sts.us-west-2"],
            "iam_endpoint_url": lab.endpoints["iam"],
            "access_key_id": "LABKEY",
            "secret_access_key": { "command": ["printf", "labsecret"] },
        })
    };
    let access = async |zone: &str| {
        let shift = step(&*connect("route53", None, given(zone)), "route53.shift", STANDBY, json!({ "record": APP }));
        shift.fitness().await.unwrap().guards.into_iter().find(|it| it.name == "access").unwrap()
    };
    let allowed = access("Z0GENNET").await;
    assert!(allowed.verdict == GuardVerdict::Pass && allowed.detail.contains("may do all 7"), "{allowed:?}");
    let denied = access("A0OTHER").await;
    let words = "route53:ChangeResourceRecordSets on arn:aws:route53:::hostedzone/A0OTHER";
    assert!(denied.verdict == GuardVerdict::Block && denied.detail.contains(words), "{denied:?}");
}
