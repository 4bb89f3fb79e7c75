//! What the rest of a config may refer to.

use std::collections::BTreeMap;

use super::fill::Values;
use super::params;
use super::read::Table;
use super::suggest::one_of;
use crate::domain::ids::{RegionId, SystemId};
use crate::domain::kinds::StepKind;
use crate::domain::kinds::{Kinds, SystemKind};
use crate::domain::plan::WayName;
use crate::domain::text::clean;
use crate::messages::Templates;

/// What the rest of a config may refer to. Holds also what has mistakes of its own, so that one mistake is said once.
#[derive(Clone)]
pub struct Known<'k> {
    pub kinds: &'k Kinds,
    pub dir: &'k std::path::Path,
    pub regions: Vec<RegionId>,
    pub systems: Vec<KnownSystem>,
    /// What `{name}` stands for in the texts of plans.
    pub values: Values,
    /// Those of the messages.
    pub templates: Templates,
    /// The ways to move clients that the estate has, the preferred one first.
    pub traffic: Vec<WayName>,
    /// The standby regions.
    pub targets: Vec<Target>,
    /// For a system that a plan names, the one that is meant where it leads to.
    pub meant: BTreeMap<SystemId, SystemId>,
}

/// A system that probes and steps may name.
#[derive(Clone)]
pub struct KnownSystem {
    pub id: SystemId,
    /// `None` if its kind is unknown.
    pub kind: Option<&'static SystemKind>,
    pub region: Option<RegionId>,
}

impl Known<'_> {
    pub fn params(&self) -> params::Context<'_> {
        params::Context { regions: &self.regions, dir: self.dir }
    }

    /// Says when `table` names a system that there is not: for tables of which it is not known what kind of system they are about.
    pub fn system_named(&self, table: &Table<'_>) {
        let Some(field) = table.get("system") else { return };
        let Some(asked) = field.text() else { return };
        let ids: Vec<&str> = self.systems.iter().map(|it| it.id.as_str()).collect();
        if !ids.contains(&self.meant(asked.get_ref())) {
            field.say(format!("there is no system `{}`", clean(asked.get_ref())), one_of(asked.get_ref(), &ids));
        }
    }

    /// The system that is meant by a name in a text, by where the text leads to.
    pub fn meant<'n>(&'n self, named: &'n str) -> &'n str {
        self.meant.get(named).map_or(named, SystemId::as_str)
    }

    /// The system that something of `kind` in `table` is about: the one it names, or the only one that fits.
    pub fn system_for(&self, table: &Table<'_>, kind: &SystemKind, region: Option<&RegionId>) -> Option<SystemId> {
        let named = table.get("system");
        if kind.ambient {
            if let Some(field) = named {
                field.say(format!("`{}` needs no system", kind.name), "leave it out");
            }
            return Some(kind.name.into());
        }
        let fitting: Vec<&KnownSystem> =
            self.systems.iter().filter(|it| it.kind.is_none_or(|known| known.name == kind.name)).collect();
        let ids: Vec<&str> = fitting.iter().map(|it| it.id.as_str()).collect();
        if let Some(field) = named {
            let asked = self.meant(field.text()?.get_ref()).to_owned();
            let found = fitting.iter().find(|it| it.id.as_str() == asked);
            if found.is_none() {
                let what = match self.systems.iter().find(|it| it.id.as_str() == asked).and_then(|it| it.kind) {
                    Some(other) => format!("`{asked}` is of kind `{}`, not `{}`", other.name, kind.name),
                    None => format!("there is no system `{}`", clean(&asked)),
                };
                field.say(what, one_of(&asked, &ids));
            }
            return found.map(|it| it.id.clone());
        }
        let near = |it: &&KnownSystem| region.is_none() || it.region.is_none() || it.region.as_ref() == region;
        let (sure, unsure): (Vec<&KnownSystem>, Vec<&KnownSystem>) =
            fitting.iter().copied().filter(|it| near(it)).partition(|it| it.kind.is_some());
        match (&sure[..], &unsure[..]) {
            ([only], _) => Some(only.id.clone()),
            // It may be the one whose kind is not known, which is told there.
            ([], [some, ..]) => Some(some.id.clone()),
            ([], []) => {
                let place = region.map(|region| format!(" in {region}")).unwrap_or_default();
                table.say(format!("there is no system of kind `{}`{place}", kind.name), one_of("", &ids));
                None
            }
            _ => {
                table.say(
                    format!("several systems are of kind `{}`", kind.name),
                    format!("say which: system = \"{}\"", ids.join("\" or \"")),
                );
                None
            }
        }
    }
}

pub(super) fn read_kind(table: &Table<'_>, known: &Known<'_>) -> Option<(&'static SystemKind, &'static StepKind)> {
    let field = table.need("kind", "`mayday kinds` lists them")?;
    let name = field.text()?.into_inner();
    let found = known.kinds.step(&name);
    if found.is_none() {
        let names: Vec<&str> = known.kinds.0.iter().flat_map(|it| it.steps).map(|it| it.name).collect();
        field.say(format!("there is no kind of step `{}`", clean(&name)), one_of(&name, &names));
    }
    found
}

/// A standby region as plans see it.
#[derive(Clone)]
pub struct Target {
    pub region: RegionId,
    /// What its own `[region.values]` says.
    pub values: Values,
    /// For a system that plans name, the one that is meant there.
    pub systems: BTreeMap<SystemId, SystemId>,
}
