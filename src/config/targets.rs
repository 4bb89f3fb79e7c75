//! Where plans lead to. In an estate with several standby regions a plan that speaks of `{standby}` is there once for each of them, with
//! what `[region.values]` and `[region.systems]` of that region say in the place of what it says in general.

use std::collections::BTreeMap;

use super::fill::{Values, is_value_name};
use super::known::{Known, Target};
use super::mistake::Mistake;
use super::read::Table;
use super::suggest::one_of;
use crate::domain::estate::{Region, RegionRole};
use crate::domain::ids::{RegionId, SystemId};
use crate::domain::plan::{Plan, towards};
use crate::domain::text::clean;

pub const VALUES: &str = "values";
pub const SYSTEMS: &str = "systems";

/// `[region.values]`: what names stand for in plans that lead there.
pub fn read_values(table: &Table<'_>, role: Option<RegionRole>) -> Values {
    let mut values = Values::new();
    let Some(field) = table.get(VALUES) else { return values };
    if role == Some(RegionRole::Primary) {
        field.say("no plan leads to the primary region", "put it into [values]");
    }
    let Some(own) = field.table("[region.values]") else { return values };
    for (name, field) in own.entries() {
        if !is_value_name(name.get_ref()) || RegionRole::WORDS.contains(&name.get_ref().as_str()) {
            let what = format!("`{}` cannot name a value", clean(name.get_ref()));
            table.doc().say(&name.span(), what, "use a-z, 0-9 and `_`, and another word than primary and standby");
        } else if let Some(text) = field.text() {
            values.insert(name.into_inner(), text.into_inner());
        }
    }
    values
}

/// `[region.systems]`: which system is meant there by one that plans name. Both have to be there, and of one kind.
pub fn read_systems(table: &Table<'_>, role: Option<RegionRole>, known: &Known<'_>) -> BTreeMap<SystemId, SystemId> {
    let mut systems = BTreeMap::new();
    let Some(field) = table.get(SYSTEMS) else { return systems };
    if role == Some(RegionRole::Primary) {
        field.say("no plan leads to the primary region", "say it of a standby");
    }
    let Some(own) = field.table("[region.systems]") else { return systems };
    let ids: Vec<&str> = known.systems.iter().map(|it| it.id.as_str()).collect();
    let kind = |id: &str| known.systems.iter().find(|it| it.id.as_str() == id).and_then(|it| it.kind);
    for (name, field) in own.entries() {
        let Some(meant) = field.text().map(|it| it.into_inner()) else { continue };
        if !ids.contains(&meant.as_str()) {
            field.say(format!("there is no system `{}`", clean(&meant)), one_of(&meant, &ids));
            continue;
        }
        if let (Some(named), Some(other)) = (kind(name.get_ref()), kind(&meant))
            && named.name != other.name
        {
            field.say(
                format!(
                    "`{}` is of kind `{}`, and `{}` of kind `{}`",
                    clean(&meant),
                    other.name,
                    clean(name.get_ref()),
                    named.name
                ),
                "one stands in for the other, so they are of one kind",
            );
            continue;
        }
        systems.insert(SystemId::from(name.into_inner()), SystemId::from(meant));
    }
    systems
}

/// The standby regions, in the order of the config.
pub fn of(regions: &[Region], values: &BTreeMap<RegionId, Values>) -> Vec<Target> {
    let target = |region: &Region| Target {
        region: region.id.clone(),
        values: values.get(&region.id).cloned().unwrap_or_default(),
        systems: region.systems.clone(),
    };
    regions.iter().filter(|region| region.role == RegionRole::Standby).map(target).collect()
}

/// Whether what a plan does depends on the region that it leads to.
fn aims(text: &str, targets: &[Target]) -> bool {
    let named = |name: &str| text.contains(&format!("{{{name}}}"));
    let quoted = |id: &SystemId| text.contains(&format!("\"{id}\"")) || text.contains(&format!("'{id}'"));
    named(RegionRole::Standby.word())
        || targets.iter().any(|it| it.values.keys().any(|name| named(name)) || it.systems.keys().any(quoted))
}

/// What came of reading one text: each plan that it makes, and each that it does not, with the name that it would have.
pub type Read = Vec<(crate::domain::ids::PlanId, Result<Plan, Vec<Mistake>>)>;

/// Reads the text of the plan `name` once, or once for each region that it can lead to.
pub fn each(
    name: &str,
    text: &str,
    known: &Known<'_>,
    parse: impl Fn(&Known<'_>) -> Result<Plan, Vec<Mistake>>,
) -> Read {
    match &known.targets[..] {
        [] => vec![(name.into(), parse(known))],
        [only] => vec![(name.into(), parse(&aimed(known, only)))],
        several if !aims(text, several) => vec![(name.into(), parse(known))],
        several => {
            several.iter().map(|target| (towards(name, &target.region), at(name, target, known, &parse))).collect()
        }
    }
}

fn at(
    name: &str,
    target: &Target,
    known: &Known<'_>,
    parse: impl Fn(&Known<'_>) -> Result<Plan, Vec<Mistake>>,
) -> Result<Plan, Vec<Mistake>> {
    let plan = parse(&aimed(known, target))?;
    Ok(Plan { id: towards(name, &target.region), target: Some(target.region.clone()), ..plan })
}

/// What plans may refer to that lead to one region.
fn aimed<'k>(known: &Known<'k>, target: &Target) -> Known<'k> {
    let mut aimed = known.clone();
    aimed.values.insert(RegionRole::Standby.to_string(), target.region.to_string());
    aimed.values.extend(target.values.clone());
    aimed.meant.clone_from(&target.systems);
    aimed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_aims_by_what_differs_between_regions() {
        let target = |values: &[(&str, &str)], systems: &[(&str, &str)]| Target {
            region: "eu".into(),
            values: values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            systems: systems.iter().map(|(name, meant)| ((*name).into(), (*meant).into())).collect(),
        };
        let own = [target(&[("door", "x")], &[("k8s", "k8s-eu")])];
        for aiming in ["region = \"{standby}\"", "url = \"{door}/a\"", "system = \"k8s\"", "system = 'k8s'"] {
            assert!(aims(aiming, &own), "{aiming}");
        }
        assert!(!aims("region = \"{primary}\"\nsystem = \"k8s-other\"", &own));
        assert!(!aims("url = \"{door}/a\"", &[target(&[], &[])]));
    }
}
