//! What the subcommands print.

use std::path::Path;

use mayday::cli::{check, kinds};
use mayday::config;
use mayday::wiring;

fn printed(print: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    print(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn check_tells_machines_what_is_wrong_and_where() {
    let loaded = config::parse("[estate]\nname = 1\n", Path::new("mayday.toml"), &wiring::kinds());
    let said = printed(|out| check::check_json(&loaded, out).unwrap());
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["sound"], false);
    assert_eq!(said["mistakes"][0]["line"], 2);
    let said = printed(|out| check::check(&loaded, out).unwrap());
    assert!(said.contains("--> mayday.toml:2:8"), "{said}");
}

#[test]
fn kinds_lists_every_row_and_tells_all_about_one() {
    let all = wiring::kinds();
    let list = printed(|out| kinds::kinds(&all, None, false, out).unwrap());
    for system in all.0 {
        for name in system.probes.iter().map(|it| it.name).chain(system.steps.iter().map(|it| it.name)) {
            assert!(list.contains(name), "{name} is not listed");
            let one = printed(|out| kinds::kinds(&all, Some(name), false, out).unwrap());
            assert!(one.contains(name), "{one}");
        }
    }
    let record = printed(|out| kinds::kinds(&all, Some("mayday.record"), false, out).unwrap());
    assert!(record.contains("step mayday.record") && record.contains("changes nothing"), "{record}");
}

#[test]
fn kinds_are_json_for_machines() {
    let all = wiring::kinds();
    let said = printed(|out| kinds::kinds(&all, Some("mayday.healthy"), true, out).unwrap());
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["name"], &said["role"]), (&"mayday.healthy".into(), &"checks".into()));
}

#[test]
fn a_kind_that_does_not_exist_is_met_with_what_was_meant() {
    let refused = kinds::kinds(&wiring::kinds(), Some("mayday.helthy"), false, &mut Vec::new()).unwrap_err();
    assert_eq!(refused.to_string(), "kinds: there is no kind `mayday.helthy` → did you mean `mayday.healthy`?");
}
