use super::*;
use crate::domain::fact::readiness::Assessment;
use crate::domain::spec::kinds::{Param, ParamType, StepRole};
use crate::domain::spec::plan::{Gate, StepSpec};

static KIND: SystemKind = SystemKind {
    name: "store",
    title: "A store",
    ambient: false,
    params: &[Param::optional("url", ParamType::Url, "")],
    ways: &[
        WayOut::new("url", To::Primary("region"), "its API"),
        WayOut::new("copy_address", To::Standby("copy_region"), "its copy"),
        WayOut::new("members", To::Members("regions"), "its members"),
        WayOut::unset("servers", "us-east-1", "who is asked", "set `servers`"),
        WayOut { peace: true, ..WayOut::new("iam", To::Always("us-east-1"), "IAM") },
    ],
    probes: &[],
    steps: &[],
    backups: &[],
};
static KINDS: [&SystemKind; 1] = [&KIND];

fn kinds() -> Kinds {
    Kinds(&KINDS, &[])
}

fn estate(params: serde_json::Value) -> Estate {
    let region = |id: &str, role: &str| serde_json::json!({ "id": id, "role": role, "title": id });
    serde_json::from_value(serde_json::json!({
        "name": "test", "environment": "test", "services": [], "probes": [],
        "regions": [region("us-east-1", "primary"), region("us-west-2", "standby")],
        "systems": [{ "id": "store", "kind": "store", "title": "store", "params": params }],
        "objectives": { "rto": {}, "rpo": {} }, "policy": crate::domain::spec::estate::Policy::default(),
    }))
    .unwrap()
}

fn left(params: serde_json::Value, region: &str) -> Params {
    without(&estate(params), &kinds(), &region.into()).systems[0].params.clone()
}

#[test]
fn whatever_leads_into_the_region_meets_a_closed_door_and_nothing_else() {
    let given = serde_json::json!({
        "url": "https://here.example/v1?x=1", "copy_address": "copy.example:5432", "iam": "https://iam.amazonaws.com/",
        "members": { "a": "bolt://a.example:7687", "b": "bolt://b.example:7687" },
        "regions": { "a": "us-east-1", "b": "us-west-2" }, "seeds": ["bolt://a.example:7687"],
        "hook": "https://hooks.us-east-1.amazonaws.com/x", "note": "us-east-1",
    });
    let east = left(given.clone(), "us-east-1");
    assert_eq!(east.opt_text("url"), Some("https://127.255.255.1:9/v1?x=1"));
    assert_eq!(east.opt_text("copy_address"), Some("copy.example:5432"));
    assert_eq!(east.map("members")["a"], "bolt://127.255.255.2:9");
    assert_eq!(east.list("seeds"), ["bolt://127.255.255.2:9"], "wherever it stands");
    assert_eq!(east.map("members")["b"], "bolt://b.example:7687");
    assert_eq!(east.opt_text("hook"), Some("https://127.255.255.3:9/x"), "what names the region is shut, too");
    assert_eq!(east.opt_text("iam"), Some("https://iam.amazonaws.com/"), "a failover does not ask it");
    assert_eq!(east.opt_text("note"), Some("us-east-1"), "what is no address is left alone");
    let west = left(given, "us-west-2");
    assert_eq!(west.opt_text("url"), Some("https://here.example/v1?x=1"));
    assert_eq!(west.opt_text("copy_address"), Some("127.255.255.1:9"));
    let unsaid = left(serde_json::json!({}), "us-east-1");
    assert_eq!(unsaid.opt_text("url"), Some("http://127.255.255.1:9"), "the vendor's own endpoint is shut");
}

#[test]
fn a_host_tells_its_region_or_nothing() {
    let rows = [
        ("https://rds.us-west-2.amazonaws.com", Some("us-west-2")),
        ("https://bucket.s3.eu-central-1.amazonaws.com/x", Some("eu-central-1")),
        ("https://sts.amazonaws.com", Some("us-east-1")),
        ("https://route53.amazonaws.com/", Some("us-east-1")),
        ("email-smtp.us-east-1.amazonaws.com:587", Some("us-east-1")),
        ("https://api.pagerduty.com", None),
        ("https://my-own-host.example", None),
    ];
    for (url, region) in rows {
        assert_eq!(host_region(url).as_deref(), region, "{url}");
    }
}

#[test]
fn secrets_and_what_is_not_set_are_told_each_with_a_way_out() {
    let secret = |words: &[&str]| serde_json::json!({ "command": words });
    let estate = estate(serde_json::json!({
        "a": secret(&["aws", "secretsmanager", "get-secret-value", "--region", "us-east-1", "--secret-id", "hunter2"]),
        "b": secret(&["vault", "read", "x"]),
        "c": secret(&["printf", "labsecret"]),
        "profile": "sre",
    }));
    let found = own(&estate, &kinds(), &Place { journal: "/var/lib/mayday" }, &"us-east-1".into());
    let about = |words: &str| found.iter().find(|it| it.what.contains(words)).unwrap_or_else(|| panic!("{words}"));
    assert_eq!(about("is asked of us-east-1 by `aws`").finds, Finds::Fail);
    assert_eq!(about("where `vault` asks").finds, Finds::Warn);
    assert_eq!(about("who is asked").rid, "set `servers`");
    assert_eq!(about("profile sre").finds, Finds::Warn);
    assert_eq!(about("where this engine and its journal (/var/lib/mayday) are is not known").finds, Finds::Warn);
    assert_eq!(about("IAM (us-east-1): only asked in peace").finds, Finds::Pass);
    assert!(!format!("{found:?}").contains("hunter2") && !format!("{found:?}").contains("printf"));
    assert!(found.iter().all(|it| it.finds == Finds::Pass || !it.rid.is_empty()), "{found:#?}");
    assert!(found.is_sorted_by(|one, other| one.finds >= other.finds), "the worst first");
    let there = Estate { runs_in: Some("us-east-1".into()), ..estate };
    let found = own(&there, &kinds(), &Place { journal: "x" }, &"us-east-1".into());
    assert!(found.iter().any(|it| it.of == "mayday" && it.finds == Finds::Fail), "{found:#?}");
}

#[test]
fn only_what_was_well_before_is_broken_by_it() {
    let at = crate::domain::time::At::UNIX_EPOCH;
    let way = Finding { step: None, name: CONTROL_PLANE_GUARD.into(), finds: Finds::Fail, detail: "x".into() };
    let mut blind = Assessment { plan: "leave".into(), at, findings: Vec::new() };
    let seen = Assessment { findings: vec![way], ..blind.clone() };
    still_leans(&seen, &mut blind);
    still_leans(&seen, &mut blind);
    let leans = broken(&seen, &blind, &"us-east-1".into());
    assert!(leans.len() == 1 && leans[0].rid.contains("in `traffic`") && blind.ready() == Ready::NotReady);
    let finding =
        |name: &str, finds| Finding { step: Some("dns".into()), name: name.into(), finds, detail: "x".into() };
    let of =
        |findings: Vec<Finding>| Assessment { plan: "leave".into(), at: crate::domain::time::At::UNIX_EPOCH, findings };
    let before = of(vec![finding("target", Finds::Pass), finding("ttl", Finds::Warn)]);
    let after = of(vec![finding("target", Finds::Unknown), finding("ttl", Finds::Warn), finding("way", Finds::Pass)]);
    let found = broken(&before, &after, &"us-east-1".into());
    assert!(found.len() == 1 && found[0].what == "target: x" && found[0].of == "dns of leave", "{found:?}");
    assert!(found[0].rid.contains("outside us-east-1"));
}

#[test]
fn whom_a_cluster_would_elect_is_not_known_and_nothing_worse() {
    let estate = estate(serde_json::json!({ "regions": { "a": "us-east-1", "b": "us-west-2" } }));
    let of = clusters(&estate, &kinds(), &"us-east-1".into());
    assert_eq!(of.iter().map(|it| it.as_str()).collect::<Vec<_>>(), ["store"]);
    assert!(clusters(&estate, &kinds(), &"eu-west-1".into()).is_empty());
    let step = crate::domain::rule::decide::bench::step;
    let steps = vec![
        StepSpec { system: "store".into(), ..step("lead", StepRole::Checks, Gate::Auto, &[]) },
        StepSpec { system: "other".into(), ..step("look", StepRole::Checks, Gate::Auto, &[]) },
    ];
    let plan = Plan { steps, ..crate::domain::rule::decide::bench::plan() };
    let finding = |step: &str, finds| Finding {
        step: Some(step.into()),
        name: "leader".into(),
        finds,
        detail: "nobody leads".into(),
    };
    let at = crate::domain::time::At::UNIX_EPOCH;
    let findings = vec![finding("lead", Finds::Fail), finding("look", Finds::Fail), finding("lead", Finds::Pass)];
    let mut after = Assessment { plan: "leave".into(), at, findings };
    not_played(&mut after, &plan, &of);
    let finds: Vec<Finds> = after.findings.iter().map(|it| it.finds).collect();
    assert_eq!(finds, [Finds::Warn, Finds::Fail, Finds::Pass]);
    assert!(after.findings[0].detail.contains("was not played"));
}
