use serde_json::json;

use super::*;
use crate::domain::estate::SystemSpec;
use crate::domain::params::Params;

fn neo4j() -> Neo4j {
    let given = json!({
        "servers": { "n1": "bolt://10.0.0.1:7687", "n2": "neo4j://10.0.0.2" }, "regions": { "n1": "east", "n2": "west" },
        "username": "neo4j", "password": { "env": "X" }, "database": "neo4j", "heartbeat_query": "RETURN 1",
    });
    let params = Params(given.as_object().unwrap().clone().into_iter().collect());
    let spec = SystemSpec {
        id: "graph".into(),
        kind: "neo4j".into(),
        title: "graph".into(),
        region: None,
        class: None,
        params,
    };
    Neo4j::new(&spec).unwrap()
}

fn row(role: &str, writer: Option<bool>, address: &str) -> DatabaseRow {
    let given = json!({
        "name": "neo4j", "serverID": format!("id-{address}"), "address": address, "role": role, "writer": writer,
        "requestedStatus": "online", "currentStatus": "online",
    });
    serde_json::from_value(given).unwrap()
}

fn view(databases: Vec<DatabaseRow>) -> View {
    View { databases, ..View::default() }
}

#[test]
fn a_server_behind_another_address_is_known_by_what_it_announces_or_not_at_all() {
    let rows = || vec![row("primary", Some(false), "pod-0:7687"), row("primary", Some(true), "pod-1:7687")];
    let settings = |bolt: &str| {
        let of = |(name, value): (&str, &str)| {
            Row([("name".to_owned(), json!(name)), ("value".to_owned(), json!(value))].into_iter().collect())
        };
        [("server.default_advertised_address", "pod-1"), ("server.bolt.advertised_address", bolt)].map(of)
    };
    assert_eq!(announced(&settings(":7687")).as_deref(), Some("pod-1:7687"));
    assert_eq!(announced(&settings("lb:1")).as_deref(), Some("lb:1"));
    assert_eq!(announced(&settings(":7687")[1..]), None, "no host is told");
    let of = |view: View| Sight { views: BTreeMap::from([("n1".to_owned(), view)]), silent: BTreeMap::new() };
    let known = View { announced: Some("pod-1:7687".into()), ..view(rows()) };
    assert!(!is_faceless(&neo4j(), "n1", &known, "neo4j"));
    assert!(of(known).leader(&neo4j(), "neo4j").is_some(), "it writes, and says so itself");
    assert!(is_faceless(&neo4j(), "n1", &view(rows()), "neo4j"), "both rows may be its own");
    let other = View { announced: Some("pod-9:7687".into()), ..view(rows()) };
    assert!(!is_faceless(&neo4j(), "n1", &other, "neo4j"), "it hosts no copy, and that is known");
    let alone = view(vec![row("primary", Some(true), "pod-0:7687")]);
    assert!(!is_faceless(&neo4j(), "n1", &alone, "neo4j"), "the only row is its own");
}

#[test]
fn another_name_of_a_database_is_told_as_such_and_what_is_not_known_is_no_transaction() {
    let named = |aliases: serde_json::Value, txn: i64| {
        let given = json!({
            "name": "orders", "requestedStatus": "online", "currentStatus": "online", "aliases": aliases,
            "lastCommittedTxn": txn,
        });
        serde_json::from_value::<DatabaseRow>(given).unwrap()
    };
    let views = BTreeMap::from([("n1".to_owned(), view(vec![named(json!(["shop"]), 7), named(json!(null), -1)]))]);
    let sight = Sight { views, silent: BTreeMap::new() };
    assert!(sight.alias("shop").unwrap().contains("`orders`"));
    assert_eq!((sight.alias("orders"), sight.alias("gone")), (None, None));
    let txns: Vec<_> = sight.views["n1"].databases.iter().map(DatabaseRow::newest_txn).collect();
    assert_eq!(txns, [Some(7), None]);
    let only = |value: serde_json::Value| moment(&Row([("at".to_owned(), value)].into_iter().collect()));
    let at: At = "2026-11-23T10:00:00Z".parse().unwrap();
    for value in [json!("2026-11-23T10:00:00Z"), json!(1_795_428_000_000_i64), json!(1_795_428_000.0)] {
        assert_eq!(only(value.clone()), Some(at), "{value}");
    }
    assert_eq!((only(json!(null)), only(json!(-1)), only(json!("soon"))), (None, None, None));
}

#[test]
fn a_server_that_knows_no_show_servers_is_read_by_what_it_knows() {
    let unchecked = Some(Fault::permanent("graph", "Neo.ClientError.Security.Forbidden"));
    let two = || vec![row("primary", Some(false), "10.0.0.1:7687"), row("primary", Some(true), "10.0.0.2:7687")];
    let old = || vec![row("follower", None, "a:7687"), row("leader", None, "b:7687")];
    let rows: [(&str, &str, View, bool); 9] = [
        ("Community", "n1", view(vec![row("primary", Some(true), "localhost:7687")]), true),
        ("4.4 alone", "n1", view(vec![row("standalone", None, "localhost:7687")]), true),
        ("not the one that writes", "n1", view(two()), false),
        ("the one that writes", "n2", view(two()), true),
        ("4.4, a follower", "n1", View { own_role: Some("FOLLOWER".into()), ..view(old()) }, false),
        ("4.4, the leader", "n1", View { own_role: Some("LEADER".into()), ..view(old()) }, true),
        ("4.4, of unknown role", "n1", view(old()), false),
        ("nobody may ask whether it replicates", "n2", View { unchecked: unchecked.clone(), ..view(two()) }, false),
        ("one primary needs no check", "n1", View { unchecked, ..view(vec![row("primary", Some(true), "x:1")]) }, true),
    ];
    for (what, name, view, leads) in rows {
        let refuses = view.unchecked.is_some();
        let sight = Sight { views: BTreeMap::from([(name.to_owned(), view)]), silent: BTreeMap::new() };
        assert_eq!(sight.leader(&neo4j(), "neo4j").is_some(), leads, "{what}");
        assert_eq!(sight.refuses(), refuses, "{what}: who does not tell is not nobody");
        assert!(!sight.tells_servers() && sight.tells_databases(), "{what}");
    }
}
