//! `[estate]`, `[[region]]`, `[objectives]`, `[policy]`, `[[system]]` and `[[service]]`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::fill::{Values, is_value_name};
use super::known::{Known, KnownSystem};
use super::probes::{self, Pace};
use super::read::{Doc, Table, Text};
use super::suggest::one_of;
use super::targets;
use super::{alerts, backups, channels, checklist, contacts, params, ways};
use crate::domain::backup::BackupSpec;
use crate::domain::estate::{
    DataClass, Environment, Estate, Objectives, OnTrigger, Policy, ProbeSpec, Region, RegionRole, Service, Subject,
    SystemSpec, Tier,
};
use crate::domain::ids::RegionId;
use crate::domain::kinds::Kinds;
use crate::domain::text::clean;
use crate::domain::time::Span;
use crate::messages::Templates;

/// Reads all of the estate; what has mistakes is left out, and said.
pub fn read<'k>(root: &Table<'_>, kinds: &'k Kinds, dir: &'k std::path::Path) -> (Estate, Known<'k>) {
    let doc = root.doc();
    let (name, environment, runs_in) = read_identity(root);
    let mut known = Known {
        kinds,
        dir,
        regions: Vec::new(),
        systems: Vec::new(),
        values: Values::new(),
        templates: Templates::default(),
        traffic: ways::read_order(root),
        targets: Vec::new(),
        meant: BTreeMap::new(),
    };
    let pace = Pace::read(root);

    let tables_of_regions: Vec<Table<'_>> = tables(root, "region").collect();
    let ids = tables_of_regions.iter().filter_map(|it| it.get("id")?.value().as_str());
    known.regions = ids.map(RegionId::from).collect();
    let read: Vec<Option<Region>> = tables_of_regions.iter().map(read_region).collect();
    let mut regions: Vec<Region> = read.iter().flatten().cloned().collect();
    if regions.len() == read.len() {
        check_roles(doc, &regions);
    }
    stand_in(&mut regions, &mut known.regions);
    known.values = read_values(root, &regions);
    let drafts: Vec<(Table<'_>, KnownSystem)> =
        tables(root, "system").filter_map(|it| draft_system(it, &known)).collect();
    let (tables_of_systems, systems): (Vec<_>, Vec<_>) = drafts.into_iter().unzip();
    known.systems = systems;
    let role_of = |region: &Option<Region>| region.as_ref().map(|region| region.role);
    let mut values_of = BTreeMap::new();
    for (table, read) in tables_of_regions.iter().zip(&read) {
        let values = targets::read_values(table, role_of(read));
        let systems = targets::read_systems(table, role_of(read), &known);
        if let Some(region) = read.as_ref().and_then(|it| regions.iter_mut().find(|region| region.id == it.id)) {
            values_of.insert(region.id.clone(), values);
            region.systems = systems;
        }
    }
    known.targets = targets::of(&regions, &values_of);

    let mut probes = Vec::new();
    for (table, region) in tables_of_regions.into_iter().zip(read) {
        let id = region.map_or_else(|| RegionId::from("?"), |region| region.id);
        probes.extend(probes::read(&table, &Subject::Region(id.clone()), Some(&id), &known, &pace));
        table.close();
    }
    let mut systems = Vec::new();
    let mut backups = Vec::new();
    for (table, draft) in tables_of_systems.into_iter().zip(&known.systems) {
        systems.extend(read_system(table, draft, &known, &pace, &mut probes, &mut backups));
    }
    let services: Vec<Service> =
        tables(root, "service").filter_map(|it| read_service(it, &known, &pace, &mut probes)).collect();
    if root.get("service").is_none() {
        doc.say_of_file("there is no service", "add a [[service]] for each one that users need");
    }
    let probes = probes::unique(doc, probes);
    let objectives = read_objectives(root, &systems);
    let policy = read_policy(root);
    let backups = backups::unique(doc, backups, policy.backups_every);
    let contacts = contacts::read(root, &known.params());
    let dependencies = contacts::read_dependencies(root, &known.params());
    let checklist = checklist::read(root, &known);
    checklist::unique(doc, &checklist);
    let mut channels = channels::read(root, kinds, &known.params());
    let (comms, templates) = channels::read_comms(root, &services, dir);
    channels::shown(&mut channels, &comms);
    known.templates = templates;
    let alerts = alerts::read(root, &known.params());
    (
        Estate {
            name,
            environment,
            runs_in,
            regions,
            services,
            systems,
            probes,
            backups,
            contacts,
            dependencies,
            // They are read once it is known which plans there are.
            drills: Vec::new(),
            checklist,
            channels,
            comms,
            alerts,
            objectives,
            policy,
        },
        known,
    )
}

/// The tables of `[[name]]`, with those that repeat an earlier one's id said.
fn tables<'d>(root: &Table<'d>, name: &'static str) -> impl Iterator<Item = Table<'d>> + use<'d> {
    let all = root.get(name).map(|field| field.tables(&format!("[[{name}]]"))).unwrap_or_default();
    let mut seen = BTreeSet::new();
    for field in all.iter().filter_map(|table| table.get("id")) {
        if let Some(id) = field.value().as_str()
            && !seen.insert(id)
        {
            field.say(format!("there is another {name} `{}`", clean(id)), "every id is used once");
        }
    }
    all.into_iter()
}

fn read_identity(root: &Table<'_>) -> (String, Environment, Option<String>) {
    let unsaid = (String::new(), Environment::Production, None);
    let Some(field) = root.get("estate") else {
        root.doc().say_of_file("there is no [estate]", "begin with [estate] and its name = \"…\"");
        return unsaid;
    };
    let Some(table) = field.table("[estate]") else {
        return unsaid;
    };
    let name = table.need("name", "it heads every screen and report").and_then(|it| it.text());
    let environment = table.get("environment").and_then(|it| it.word(Environment::WORDS));
    let runs_in = table.get("runs_in").and_then(|it| it.text()).map(Text::into_inner);
    table.close();
    (name.map(Text::into_inner).unwrap_or_default(), environment.unwrap_or(Environment::Production), runs_in)
}

fn read_region(table: &Table<'_>) -> Option<Region> {
    let id = table.need("id", "the name its vendor gives it, like us-east-1").and_then(|it| it.id());
    let role = table.need("role", "primary or standby").and_then(|it| it.word(RegionRole::WORDS));
    let title = table.get("title").and_then(|it| it.text());
    let id = id?.into_inner();
    let title = title.map_or_else(|| id.clone(), Text::into_inner);
    Some(Region { id: id.into(), role: role?, title, systems: BTreeMap::new() })
}

fn check_roles(doc: &Doc<'_>, regions: &[Region]) {
    for role in RegionRole::ALL {
        let ids: Vec<&str> = regions.iter().filter(|it| it.role == *role).map(|it| it.id.as_str()).collect();
        match (ids.len(), role) {
            (0, _) => doc
                .say_of_file(format!("there is no {role} region"), format!("add a [[region]] with role = \"{role}\"")),
            (1, _) | (_, RegionRole::Standby) => {}
            (count, RegionRole::Primary) => doc.say_of_file(
                format!("there are {count} {role} regions: {}", ids.join(", ")),
                "clients are served by one; all others are standbys, and which one is fled to is chosen at the run",
            ),
        }
    }
}

/// Gives every role a region, where a mistake that is told already left it without one: what else is wrong is found by what is there, and
/// an estate with a mistake is never used.
fn stand_in(regions: &mut Vec<Region>, known: &mut Vec<RegionId>) {
    for role in RegionRole::ALL {
        if regions.iter().any(|it| it.role == *role) {
            continue;
        }
        let free = known.iter().find(|id| regions.iter().all(|it| it.id != **id)).cloned();
        let id = free.unwrap_or_else(|| {
            let unnamed = RegionId::from(format!("{role}?"));
            known.push(unnamed.clone());
            unnamed
        });
        regions.push(Region { title: id.to_string(), id, role: *role, systems: BTreeMap::new() });
    }
}

/// `[values]`, and the ids of the regions by their role.
fn read_values(root: &Table<'_>, regions: &[Region]) -> Values {
    // Of several standbys the first: a plan that aims is read for each of them.
    let mut values: Values = regions.iter().rev().map(|it| (it.role.to_string(), it.id.to_string())).collect();
    let Some(table) = root.get("values").and_then(|it| it.table("[values]")) else {
        return values;
    };
    for (name, field) in table.entries() {
        if !is_value_name(name.get_ref()) || RegionRole::WORDS.contains(&name.get_ref().as_str()) {
            let what = format!("`{}` cannot name a value", clean(name.get_ref()));
            root.doc().say(&name.span(), what, "use a-z, 0-9 and `_`, and another word than primary and standby");
        } else if let Some(text) = field.text() {
            values.insert(name.into_inner(), text.into_inner());
        }
    }
    values
}

fn draft_system<'d>(table: Table<'d>, known: &Known<'_>) -> Option<(Table<'d>, KnownSystem)> {
    let id = table.need("id", "the name that probes, plans and typed phrases use").and_then(|it| it.id());
    let names: Vec<&str> = known.kinds.0.iter().filter(|it| !it.ambient).map(|it| it.name).collect();
    let kind = table.need("kind", format!("one of {}", names.join(", "))).and_then(|field| {
        let name = field.text()?.into_inner();
        let kind = known.kinds.system(&name);
        match kind {
            Some(ambient) if ambient.ambient => {
                field.say(
                    format!("`{name}` needs no [[system]]"),
                    "leave the table out; probes and steps name its kinds alone",
                );
                return None;
            }
            Some(_) => {}
            None => field.say(format!("there is no kind of system `{}`", clean(&name)), one_of(&name, &names)),
        }
        kind
    });
    let region = table.get("region").and_then(|it| params::region(&it, &known.regions));
    Some((table, KnownSystem { id: id?.into_inner().into(), kind, region }))
}

fn read_system(
    table: Table<'_>,
    draft: &KnownSystem,
    known: &Known<'_>,
    pace: &Pace,
    probes: &mut Vec<(Range<usize>, ProbeSpec)>,
    backups: &mut Vec<(Range<usize>, BackupSpec)>,
) -> Option<SystemSpec> {
    let kind = draft.kind?;
    let title = table.get("title").and_then(|it| it.text());
    let class = table.get("class").and_then(|it| it.word(DataClass::WORDS));
    probes.extend(probes::read(&table, &Subject::System(draft.id.clone()), draft.region.as_ref(), known, pace));
    backups.extend(backups::read(&table, &backups::Subject { id: &draft.id, class }, known));
    let params = params::read(&table, &format!("a system of kind `{}`", kind.name), kind.params, &known.params());
    table.close();
    let title = title.map_or_else(|| kind.title.to_owned(), Text::into_inner);
    Some(SystemSpec {
        id: draft.id.clone(),
        kind: kind.name.into(),
        title,
        region: draft.region.clone(),
        class,
        params,
    })
}

fn read_service(
    table: Table<'_>,
    known: &Known<'_>,
    pace: &Pace,
    probes: &mut Vec<(Range<usize>, ProbeSpec)>,
) -> Option<Service> {
    let id = table.need("id", "the name that the cockpit shows").and_then(|it| it.id());
    let title = table.get("title").and_then(|it| it.text());
    let tiers = [Tier::Critical.word(), Tier::Standard.word()];
    let tier = table.need("tier", "critical or standard").and_then(|it| it.word(&tiers));
    let subject = Subject::Service(id.as_ref().map_or("?", |id| id.get_ref().as_str()).into());
    let own = probes::read(&table, &subject, None, known, pace);
    if own.is_empty() && table.get("probe").is_none() {
        table.say("a service without a probe would always be unknown", "add a [[service.probe]]");
    }
    probes.extend(own);
    table.close();
    let id = id?.into_inner();
    let title = title.map_or_else(|| id.clone(), Text::into_inner);
    Some(Service { id: id.into(), title, tier: tier? })
}

fn read_objectives(root: &Table<'_>, systems: &[SystemSpec]) -> Objectives {
    let table = root.get("objectives").and_then(|it| it.table("[objectives]"));
    if root.get("objectives").is_none() {
        root.doc()
            .say_of_file("there are no [objectives]", "add [objectives.rto] and [objectives.rpo]: what was promised");
    }
    let Some(table) = table else {
        return Objectives { rto: BTreeMap::new(), rpo: BTreeMap::new() };
    };
    let rto = read_spans(&table, "rto", Tier::ALL, "how soon it has to be back, like \"5m\"", |_| true);
    for (sooner, later) in Tier::ALL.iter().zip(Tier::ALL.iter().skip(1)) {
        if let (Some(first), Some(second)) = (rto.get(sooner), rto.get(later))
            && first > second
        {
            table.say(
                format!("[objectives.rto] promises {sooner} in {first}, later than {later} in {second}"),
                format!("{sooner} is part of what {later} waits for: make it {second} or less"),
            );
        }
    }
    let held = |class: &DataClass| systems.iter().any(|system| system.class == Some(*class));
    let rpo = read_spans(&table, "rpo", DataClass::ALL, "how much may be lost, like \"1h\"", held);
    table.close();
    Objectives { rto, rpo }
}

/// One length of time for every word of `[objectives.KEY]`; those that are needed have to be there.
fn read_spans<W: Word>(
    objectives: &Table<'_>,
    key: &'static str,
    words: &'static [W],
    help: &str,
    needed: impl Fn(&W) -> bool,
) -> BTreeMap<W, Span> {
    let what = format!("[objectives.{key}]");
    let Some(table) = objectives.need(key, format!("add {what}")).and_then(|it| it.table(&what)) else {
        return BTreeMap::new();
    };
    let mut spans = BTreeMap::new();
    for word in words {
        let field = if needed(word) { table.need(word.word(), help) } else { table.get(word.word()) };
        spans.extend(field.and_then(|it| it.span()).map(|span| (*word, span)));
    }
    table.close();
    spans
}

/// What the objectives are keyed by.
trait Word: Copy + Ord + 'static {
    fn word(self) -> &'static str;
}

impl Word for Tier {
    fn word(self) -> &'static str {
        self.word()
    }
}

impl Word for DataClass {
    fn word(self) -> &'static str {
        self.word()
    }
}

type SpanOf = fn(&mut Policy) -> &mut Span;
type NumberOf = fn(&mut Policy) -> &mut u32;

/// The fields of the policy that are lengths of time.
const POLICY_SPANS: &[(&str, SpanOf)] = &[
    ("arm_expires", |it| &mut it.arm_expires),
    ("evidence_expires", |it| &mut it.evidence_expires),
    ("poll_floor", |it| &mut it.poll_floor),
    ("poll_ceiling", |it| &mut it.poll_ceiling),
    ("retry_floor", |it| &mut it.retry_floor),
    ("retry_ceiling", |it| &mut it.retry_ceiling),
    ("survey_every", |it| &mut it.survey_every),
    ("settle", |it| &mut it.settle),
    ("backups_every", |it| &mut it.backups_every),
    ("readiness_every", |it| &mut it.readiness_every),
    ("region_down", |it| &mut it.region_down),
    ("checks_down", |it| &mut it.checks_down),
    ("commit_window", |it| &mut it.commit_window),
];

/// The names of the policy's lengths of time.
pub fn policy_spans() -> impl Iterator<Item = &'static str> {
    POLICY_SPANS.iter().map(|(name, _)| *name)
}

/// The names of its numbers, each from 1 to [`POLICY_MOST`].
pub fn policy_numbers() -> impl Iterator<Item = &'static str> {
    POLICY_NUMBERS.iter().map(|(name, _)| *name)
}

/// The largest number that the policy takes.
pub const POLICY_MOST: i64 = 1000;

/// Those that are numbers.
const POLICY_NUMBERS: &[(&str, NumberOf)] =
    &[("attempts", |it| &mut it.attempts), ("probe_concurrency", |it| &mut it.probe_concurrency)];

fn read_policy(root: &Table<'_>) -> Policy {
    let mut policy = Policy::default();
    let Some(table) = root.get("policy").and_then(|it| it.table("[policy]")) else {
        return policy;
    };
    for (name, of) in POLICY_SPANS {
        if let Some(span) = table.get(name).and_then(|it| it.span()) {
            *of(&mut policy) = span;
        }
    }
    for (name, of) in POLICY_NUMBERS {
        if let Some(number) = table.get(name).and_then(|it| it.integer(1..=POLICY_MOST)) {
            *of(&mut policy) = number;
        }
    }
    if let Some(word) = table.get("on_trigger").and_then(|it| it.word(OnTrigger::WORDS)) {
        policy.on_trigger = word;
    }
    if let Some(names) = table.get("script_environment").and_then(|it| it.texts()) {
        policy.script_environment = names.into_iter().map(toml::Spanned::into_inner).collect();
    }
    for (floor, ceiling, name) in [
        (policy.poll_floor, policy.poll_ceiling, "poll_ceiling"),
        (policy.retry_floor, policy.retry_ceiling, "retry_ceiling"),
    ] {
        if floor > ceiling {
            table.say(format!("{name} ({ceiling}) is below its floor ({floor})"), "");
        }
    }
    table.close();
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_policy_can_be_set() {
        let fields = serde_json::to_value(Policy::default()).unwrap();
        let named = POLICY_SPANS.iter().map(|(name, _)| *name).chain(POLICY_NUMBERS.iter().map(|(name, _)| *name));
        let named = named.chain(["on_trigger", "script_environment"]);
        let named: BTreeSet<&str> = named.collect();
        let all: BTreeSet<&str> = fields.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(named, all);
    }
}
