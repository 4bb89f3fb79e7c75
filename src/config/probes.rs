//! `[probe]` (what all probes start from) and the `[[….probe]]` of services, systems and regions.

use std::collections::BTreeSet;
use std::ops::Range;

use super::known::Known;
use super::params;
use super::read::{Doc, Table};
use super::suggest::one_of;
use crate::domain::estate::{ProbeSpec, Subject};
use crate::domain::ids::{RegionId, SystemId};
use crate::domain::kinds::{ProbeKind, SystemKind};
use crate::domain::text::clean;
use crate::domain::time::Span;

/// How often and how patiently a probe looks.
#[derive(Clone, Copy)]
pub struct Pace {
    every: Span,
    timeout: Span,
    fall: u8,
    window: Option<u8>,
    rise: u8,
}

/// Detection takes at most `fall` × `every` + `timeout`: 17 s of the five minutes that critical services have.
const DEFAULT: Pace = Pace { every: Span::secs(5), timeout: Span::secs(2), fall: 3, window: None, rise: 2 };

/// The most readings that a change of status may wait for.
pub const MOST: i64 = 100;

impl Pace {
    /// The `[probe]` table.
    pub fn read(root: &Table<'_>) -> Self {
        let Some(table) = root.get("probe").and_then(|it| it.table("[probe]")) else {
            return DEFAULT;
        };
        let pace = DEFAULT.with(&table);
        table.close();
        pace
    }

    /// The same, but for what `table` says otherwise.
    fn with(self, table: &Table<'_>) -> Self {
        let span = |key, before| table.get(key).and_then(|it| it.span()).unwrap_or(before);
        let count = |key, before| table.get(key).and_then(|it| it.integer(1..=MOST)).unwrap_or(before);
        let pace = Self {
            every: span("every", self.every),
            timeout: span("timeout", self.timeout),
            fall: count("fall", self.fall),
            window: table.get("window").and_then(|it| it.integer(1..=MOST)).or(self.window),
            rise: count("rise", self.rise),
        };
        if pace.timeout > pace.every {
            let what = format!("the timeout ({}) is longer than the interval ({})", pace.timeout, pace.every);
            let help = "a probe has to end before its next look: shorten `timeout` or lengthen `every`";
            match table.get("timeout").or_else(|| table.get("every")) {
                Some(field) => field.say(what, help),
                None => table.say(what, help),
            }
        }
        if let Some(window) = pace.window.filter(|window| *window < pace.fall) {
            let what = format!("the latest {window} readings never hold {} failures", pace.fall);
            let help = "make `window` as large as `fall` at least, or leave it out: they have to be in a row then";
            match table.get("window").or_else(|| table.get("fall")) {
                Some(field) => field.say(what, help),
                None => table.say(what, help),
            }
        }
        pace
    }
}

/// The probes of one subject, each with its position; those with mistakes are left out, and said.
pub fn read(
    table: &Table<'_>,
    subject: &Subject,
    home: Option<&RegionId>,
    known: &Known<'_>,
    pace: &Pace,
) -> Vec<(Range<usize>, ProbeSpec)> {
    let what = match subject {
        Subject::Service(_) => "[[service.probe]]",
        Subject::System(_) => "[[system.probe]]",
        Subject::Region(_) => "[[region.probe]]",
    };
    let tables = table.get("probe").map(|it| it.tables(what)).unwrap_or_default();
    let probes = tables.into_iter().filter_map(|it| Some((it.at.clone(), read_one(it, subject, home, known, pace)?)));
    probes.collect()
}

fn read_one(
    table: Table<'_>,
    subject: &Subject,
    home: Option<&RegionId>,
    known: &Known<'_>,
    pace: &Pace,
) -> Option<ProbeSpec> {
    let Some((system_kind, kind)) = read_kind(&table, Some(subject), known) else {
        known.system_named(&table);
        return None;
    };
    let region = match table.get("region") {
        Some(field) => params::region(&field, &known.regions),
        None => home.cloned(),
    };
    let system = match subject {
        // A probe of a system looks at that system, unless it is of another kind.
        Subject::System(id) if !system_kind.ambient && is_of(known, id, system_kind) => Some(id.clone()),
        _ => known.system_for(&table, system_kind, region.as_ref()),
    };
    let placed = known.systems.iter().find(|it| Some(&it.id) == system.as_ref()).and_then(|it| it.region.clone());
    if let (Some(region), Some(placed), Some(field)) = (&region, &placed, table.get("region"))
        && region != placed
    {
        field.say(format!("its system is in {placed}, not in {region}"), "leave `region` out, or name another system");
    }
    let region = region.or(placed);
    let id = table.get("id").map(|it| it.id());
    let pace = pace.with(&table);
    let params = params::read(&table, &format!("a probe of kind `{}`", kind.name), kind.params, &known.params());
    table.close();
    let id = match id {
        Some(given) => given?.into_inner(),
        None => default_id(subject, kind, region.as_ref()),
    };
    Some(ProbeSpec {
        id: id.into(),
        kind: kind.name.into(),
        system: system?,
        subject: subject.clone(),
        region,
        every: pace.every,
        timeout: pace.timeout,
        fall: pace.fall,
        window: pace.window,
        rise: pace.rise,
        params,
    })
}

/// The kind that a table names; the help knows what the subject is.
pub fn read_kind(
    table: &Table<'_>,
    subject: Option<&Subject>,
    known: &Known<'_>,
) -> Option<(&'static SystemKind, &'static ProbeKind)> {
    let names: Vec<&str> = known.kinds.0.iter().flat_map(|it| it.probes).map(|it| it.name).collect();
    let own = match subject {
        Some(Subject::System(id)) => known.systems.iter().find(|it| &it.id == id).and_then(|it| it.kind),
        _ => None,
    };
    let help = match own.map(|kind| kind.probes.iter().map(|it| it.name).collect::<Vec<_>>()) {
        Some(own) if !own.is_empty() => format!("its own are {}", own.join(", ")),
        _ => "`mayday kinds` lists them".into(),
    };
    let field = table.need("kind", help)?;
    let name = field.text()?.into_inner();
    let found = known.kinds.probe(&name);
    if found.is_none() {
        field.say(format!("there is no kind of probe `{}`", clean(&name)), one_of(&name, &names));
    }
    found
}

fn is_of(known: &Known<'_>, id: &SystemId, kind: &SystemKind) -> bool {
    known.systems.iter().any(|it| &it.id == id && it.kind.is_some_and(|own| own.name == kind.name))
}

fn default_id(subject: &Subject, kind: &ProbeKind, region: Option<&RegionId>) -> String {
    match region {
        Some(region) if subject != &Subject::Region(region.clone()) => format!("{subject}.{}.{region}", kind.name),
        _ => format!("{subject}.{}", kind.name),
    }
}

/// Every probe whose id is the first of its name; the others are said.
pub fn unique(doc: &Doc<'_>, probes: Vec<(Range<usize>, ProbeSpec)>) -> Vec<ProbeSpec> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(probes.len());
    for (at, probe) in probes {
        if seen.insert(probe.id.clone()) {
            kept.push(probe);
        } else {
            doc.say(&at, format!("there is another probe `{}`", probe.id), "give this one an `id` of its own");
        }
    }
    kept
}
