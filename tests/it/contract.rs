//! What every row of the tables of kinds has to keep, so that validation, help, docs and the safety rules can rely on it.

use std::collections::BTreeSet;

use mayday::channels::FACTORIES;
use mayday::config::params::default_value;
use mayday::domain::comms::{Audience, ChannelKind, Purpose};
use mayday::domain::kinds::{Need, Param, ParamType, StepKind, StepRole, SystemKind, To, Undo};
use mayday::wiring::kinds;

use crate::common::channel_spec;

/// Keys of `[[system]]`, `[[….probe]]` and `[[step]]` themselves. A row may declare `region` or `class` too: then both see the value.
/// One that declares `role` is given none by a plan.
const SYSTEM_KEYS: &[&str] = &["id", "kind", "title", "probe"];
const PROBE_KEYS: &[&str] = &["id", "kind", "system", "every", "timeout", "fall", "rise"];
const CHANNEL_KEYS: &[&str] = &["id", "kind", "title", "audience", "drills", "escalation"];
const STEP_KEYS: &[&str] = &[
    "id", "title", "kind", "system", "needs", "gate", "yes", "timeout", "phrase", "recovers", "way", "other",
    "optional",
];

#[test]
fn every_row_keeps_the_contract() {
    let mut broken = Vec::new();
    let mut names = BTreeSet::new();
    for system in kinds().0 {
        check_system(system, &mut names, &mut broken);
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_channel_kind_keeps_the_contract() {
    let mut broken = Vec::new();
    let mut names = BTreeSet::new();
    for factory in FACTORIES {
        let row = factory.kind();
        check_channel(row, &mut names, &mut broken);
        // Without what it requires it cannot be connected, and says so.
        let spec = channel_spec(row, row.audiences[0], Default::default());
        match factory.connect(&spec) {
            Ok(_) => broken.push(format!("{}: it takes a config that says nothing", row.name)),
            Err(fault) if fault.next.is_empty() => broken.push(format!("{}: {fault} says nothing to do", row.name)),
            Err(_) => {}
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

fn check_channel(row: &ChannelKind, names: &mut BTreeSet<&'static str>, broken: &mut Vec<String>) {
    check_name(row.name, "", names, broken);
    check_text(row.name, "title", row.title, broken);
    check_params(row.name, row.params, CHANNEL_KEYS, broken);
    let is_once = |count: usize, distinct: usize| count > 0 && count == distinct;
    if !is_once(row.audiences.len(), row.audiences.iter().collect::<BTreeSet<_>>().len()) {
        broken.push(format!("{}: it needs audiences, each once", row.name));
    }
    if !is_once(row.carries.len(), row.carries.iter().collect::<BTreeSet<_>>().len()) {
        broken.push(format!("{}: it needs something to carry, each once", row.name));
    }
    let inside = [Purpose::Page, Purpose::Acknowledge, Purpose::Handoff];
    if !row.audiences.contains(&Audience::Internal) && inside.iter().any(|purpose| row.carries.contains(purpose)) {
        broken.push(format!("{}: what is internal cannot be carried to others", row.name));
    }
    for param in row.params {
        let is_secret = ["token", "secret", "key", "password"].iter().any(|word| param.name.contains(word));
        if is_secret && param.ty != ParamType::Secret {
            broken.push(format!("{}: the parameter {} has to be a secret", row.name, param.name));
        }
    }
}

fn check_system(row: &SystemKind, names: &mut BTreeSet<&'static str>, broken: &mut Vec<String>) {
    let prefix = format!("{}.", row.name);
    check_name(row.name, "", names, broken);
    check_text(row.name, "title", row.title, broken);
    check_params(row.name, row.params, SYSTEM_KEYS, broken);
    if row.ambient && !row.params.is_empty() {
        broken.push(format!("{}: an ambient kind has no [[system]] to read parameters from", row.name));
    }
    for way in row.ways {
        if !row.params.iter().any(|param| param.name == way.param) {
            broken.push(format!("{}: the way out by {} has no such parameter", row.name, way.param));
        }
        if matches!(way.to, To::WhenAbsent(_)) == way.rid.is_empty() {
            broken
                .push(format!("{}: how to do without {} is said where it can be, and only there", row.name, way.param));
        }
    }
    for probe in row.probes {
        check_name(probe.name, &prefix, names, broken);
        check_text(probe.name, "title", probe.title, broken);
        check_params(probe.name, probe.params, PROBE_KEYS, broken);
    }
    let mut steps = BTreeSet::new();
    for step in row.steps {
        if !steps.insert(step.name) {
            broken.push(format!("{}: there is another step of this name", step.name));
        }
        check_name(step.name, &prefix, &mut BTreeSet::new(), broken);
        check_text(step.name, "title", step.title, broken);
        check_params(step.name, step.params, STEP_KEYS, broken);
        check_undo(step, broken);
    }
}

/// A step and a probe may share a name (`http.transaction` watches and verifies); nothing else may.
fn check_name(name: &'static str, prefix: &str, names: &mut BTreeSet<&'static str>, broken: &mut Vec<String>) {
    let word = name.strip_prefix(prefix).unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if word.is_empty() || !word.chars().all(plain) || !word.starts_with(|c: char| c.is_ascii_lowercase()) {
        broken.push(format!("{name}: has to be `{prefix}` and a word of a-z, 0-9 and -"));
    }
    if !names.insert(name) {
        broken.push(format!("{name}: there is another row of this name"));
    }
}

fn check_text(name: &str, what: &str, text: &str, broken: &mut Vec<String>) {
    if text.trim() != text || text.chars().count() < 3 || text.contains('\n') || text.ends_with('.') {
        broken.push(format!("{name}: its {what} {text:?} has to be one line of a few words without a full stop"));
    }
}

fn check_params(name: &str, params: &[Param], reserved: &[&str], broken: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for param in params {
        let full = format!("{name}: the parameter {}", param.name);
        if !param.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            broken.push(format!("{full} has to be written in a-z, 0-9 and _"));
        }
        if reserved.contains(&param.name) {
            broken.push(format!("{full} hides a key of the table it stands in"));
        }
        if !seen.insert(param.name) {
            broken.push(format!("{full} is declared twice"));
        }
        if param.help.trim().is_empty() || param.help.ends_with('.') {
            broken.push(format!("{full} needs a help text of one phrase, without a full stop"));
        }
        if let Need::Default(text) = param.need
            && let Err(error) = default_value(param.ty, text)
        {
            broken.push(format!("{full} has a default that is not {}: {error}", param.ty));
        }
        if param.name.contains("password") && param.ty != ParamType::Secret {
            broken.push(format!("{full} has to be a secret"));
        }
    }
}

fn check_undo(step: &StepKind, broken: &mut Vec<String>) {
    let name = step.name;
    if (step.undo == Undo::PointOfNoReturn) == step.instead.is_empty() {
        broken.push(format!("{name}: `instead` belongs to a point of no return, and only to it"));
    }
    if step.role.mutates() && step.undo == Undo::Nothing {
        broken.push(format!("{name}: what {} changes the world, so there is something to undo", step.role));
    }
    if !step.role.mutates() && step.role != StepRole::Guided && step.undo != Undo::Nothing {
        broken.push(format!("{name}: what {} changes nothing, so there is nothing to undo", step.role));
    }
}
