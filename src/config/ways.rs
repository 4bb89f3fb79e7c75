//! The ways to move clients: those that a step of a plan has, and those that the estate has, by `traffic` of the config.

use super::known::{Known, read_kind};
use super::params;
use super::read::{Field, Table};
use super::suggest::one_of;
use crate::domain::kinds::{StepRole, Undo};
use crate::domain::plan::{StepSpec, Way, WayName};
use crate::domain::text::clean;

/// The key of the config that says which ways the estate has, the preferred one first.
pub const KEY: &str = "traffic";

/// What an estate has that says nothing of it.
const UNSAID: &[WayName] = &[WayName::Records];

pub fn read_order(root: &Table<'_>) -> Vec<WayName> {
    let Some(field) = root.get(KEY) else { return UNSAID.to_vec() };
    let words = field.texts().unwrap_or_default();
    let mut order = Vec::new();
    for word in &words {
        let text = word.get_ref();
        match text.parse::<WayName>() {
            Ok(way) if order.contains(&way) => field.doc().say(&word.span(), format!("`{text}` is there twice"), ""),
            Ok(way) => order.push(way),
            Err(_) => {
                let what = format!("there is no way to move clients called `{}`", clean(text));
                field.doc().say(&word.span(), what, one_of(text, WayName::WORDS));
            }
        }
    }
    if words.is_empty() {
        field.say("`traffic` names no way to move clients", format!("one or more of {}", WayName::WORDS.join(", ")));
    }
    order
}

/// The other ways of a step, with what each is called. Those that the estate has not are passed over: what they name may not exist.
pub struct Others<'d> {
    own: Option<WayName>,
    tables: Vec<(WayName, Table<'d>)>,
}

impl<'d> Others<'d> {
    /// Only a step that moves clients has others.
    pub fn read(step: &Table<'d>, role: StepRole) -> Self {
        if role != StepRole::Traffic {
            return Self { own: None, tables: Vec::new() };
        }
        let own = step.get("way").and_then(|field| match field.value() {
            toml::de::DeValue::String(_) => field.word::<WayName>(WayName::WORDS),
            _ => None,
        });
        let tables = step.get("other").map(|field| field.tables("[[step.other]]")).unwrap_or_default();
        let named = |table: Table<'d>| {
            let way = table.need("way", "what this way is called").and_then(|it| it.word::<WayName>(WayName::WORDS));
            Some((way?, table))
        };
        Self { own, tables: tables.into_iter().filter_map(named).collect() }
    }

    /// The step by the ways that the estate has, in its order. Says when it has none of them.
    pub fn of(self, step: StepSpec, at: &Field<'_>, known: &Known<'_>) -> Option<StepSpec> {
        let Some(own) = self.own else {
            if let Some((_, table)) = self.tables.first() {
                table.say(
                    "the step's own way has no name",
                    "add way = \"records\" to the [[step]], or what its own is called",
                );
            }
            return Some(step);
        };
        let names: Vec<&str> = self.tables.iter().map(|(name, _)| name.word()).chain([own.word()]).collect();
        let params = step.params.clone();
        let mut ways = vec![Way { name: own, kind: step.kind.clone(), system: step.system.clone(), params }];
        let mut undo = if known.traffic.contains(&own) { step.undo } else { Undo::Revert };
        for (name, table) in self.tables.into_iter().filter(|(name, _)| known.traffic.contains(name)) {
            if ways.iter().any(|way| way.name == name) {
                table.say(format!("there is another way `{name}`"), "every way is there once");
                continue;
            }
            let (way, taken_back) = read_way(name, table, &step, known)?;
            undo = undo.max(taken_back);
            ways.push(way);
        }
        let mut chosen: Vec<Way> = Vec::new();
        for name in &known.traffic {
            chosen.extend(ways.iter().filter(|way| way.name == *name).cloned());
        }
        let Some(first) = chosen.first().cloned() else {
            let ours: Vec<&str> = known.traffic.iter().map(|way| way.word()).collect();
            let what = format!("none of its ways ({}) is one that the estate has", names.join(", "));
            at.say(what, format!("`{KEY}` of the config says {}", ours.join(", ")));
            return None;
        };
        let ways = if chosen.len() > 1 { chosen } else { Vec::new() };
        let phrase = if step.phrase == step.system.as_str() { first.system.to_string() } else { step.phrase };
        let Way { kind, system, params, .. } = first;
        Some(StepSpec { kind, system, params, phrase, undo, ways, ..step })
    }
}

fn read_way(name: WayName, table: Table<'_>, step: &StepSpec, known: &Known<'_>) -> Option<(Way, Undo)> {
    let (system_kind, kind) = read_kind(&table, known)?;
    let system = known.system_for(&table, system_kind, step.region.as_ref());
    let params = params::read(&table, &format!("a step of kind `{}`", kind.name), kind.params, &known.params());
    if kind.role != step.role || step.role != StepRole::Traffic {
        table.say(format!("`{}` does not move clients", kind.name), "only a step that moves clients has several ways");
    }
    table.close();
    Some((Way { name, kind: kind.name.into(), system: system?, params }, kind.undo))
}
