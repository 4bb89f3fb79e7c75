//! `[[drill]]`: what is rehearsed, how often, and where.

use std::ops::Range;

use super::params::{self, Context};
use super::read::{Doc, NAME_HELP, Table, is_name};
use super::suggest::one_of;
use crate::domain::drill::Cadence;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;
use crate::domain::plan::Plan;
use crate::domain::schedule::DrillSpec;
use crate::domain::text::clean;

const WHAT: &str = "[[drill]]";

/// The plan that is rehearsed when a drill names none.
const PLAN: &str = "regional-failover";

pub const DRILL: &[Param] = &[
    Param::required("name", ParamType::Text, "what it is called on the command line"),
    Param::required("cadence", ParamType::Choice(Cadence::WORDS), "how often it is due"),
    Param::default("plan", ParamType::Text, PLAN, "the plan that is rehearsed"),
    Param::default("scenario", ParamType::Text, "region-dark", "what goes wrong: a scenario of `mayday demo --list`"),
    Param::default(
        "speed",
        ParamType::Integer,
        "1",
        "how many times faster the lab lives, up to 1000; above 1 no figure is held against an objective",
    ),
    Param::optional(
        "bundles",
        ParamType::Text,
        "the folder of the evidence; `drills` in the state directory when left out",
    ),
    Param::default("automatic", ParamType::Flag, "false", "the engine begins it by itself when it is due"),
    Param::optional("estate", ParamType::Text, "the config of a test estate to play on; the lab when left out"),
    Param::default("fail", ParamType::List, "[]", "on a test estate: the command that makes the failure"),
    Param::default("restore", ParamType::List, "[]", "on a test estate: the command that puts everything back"),
];

/// The drills with their places; what has mistakes is left out, and said. `None` when the config names none.
pub fn read(root: &Table<'_>, context: &Context<'_>) -> Option<Vec<(Range<usize>, DrillSpec)>> {
    let tables = root.get("drill")?.tables(WHAT);
    let mut drills: Vec<(Range<usize>, DrillSpec)> = Vec::new();
    for table in tables {
        let params = params::read(&table, WHAT, DRILL, context);
        if let Some(spec) = drill(&params, context) {
            if drills.iter().any(|(_, other)| other.name == spec.name) {
                table.say(format!("there is another drill `{}`", clean(&spec.name)), "every name is used once");
            }
            check(&table, &spec);
            drills.push((table.at.clone(), spec));
        }
        table.close();
    }
    Some(drills)
}

fn drill(params: &Params, context: &Context<'_>) -> Option<DrillSpec> {
    let text = |name| params.opt_text(name).map(str::to_owned);
    let path = |name| params.opt_text(name).map(|path| context.dir.join(path).display().to_string());
    Some(DrillSpec {
        name: text("name")?,
        cadence: params.opt_text("cadence")?.parse().ok()?,
        plan: text("plan")?.into(),
        scenario: text("scenario")?,
        speed: params.opt_integer("speed")?,
        bundles: path("bundles"),
        automatic: params.flag("automatic"),
        estate: path("estate"),
        fail: params.list("fail"),
        restore: params.list("restore"),
    })
}

fn check(table: &Table<'_>, spec: &DrillSpec) {
    if !is_name(&spec.name) {
        table.say(format!("`{}` cannot name a drill", clean(&spec.name)), NAME_HELP);
    }
    if !(1..=1000).contains(&spec.speed) {
        table.say("`speed` has to be from 1 to 1000", "");
    }
    let commands = [("fail", spec.fail.is_empty()), ("restore", spec.restore.is_empty())];
    for (name, is_empty) in commands {
        match (&spec.estate, is_empty) {
            (Some(_), true) => table.say(
                format!("a drill on a test estate needs `{name}`"),
                format!("{name} = [\"program\", \"argument\"]: without a shell, from this directory"),
            ),
            (None, false) => table.say(
                format!("`{name}` is for a test estate, and the drill is played on the lab"),
                "leave it out, or name the `estate`",
            ),
            _ => {}
        }
    }
}

/// The drills with plans that there are; those of the plan's own schedule when the config names none and its plan is there.
pub fn settled(doc: &Doc<'_>, read: Option<Vec<(Range<usize>, DrillSpec)>>, plans: &[Plan]) -> Vec<DrillSpec> {
    let known: Vec<&str> = plans.iter().map(|plan| plan.id.as_str()).collect();
    let Some(read) = read else {
        // Of those that lead to several regions the first: the schedule is a start, and the config can say more.
        let first = plans.iter().find(|plan| plan.name() == PLAN);
        return first.map(|plan| DrillSpec::shipped(&plan.id)).unwrap_or_default();
    };
    for (at, spec) in read.iter().filter(|(_, spec)| !known.contains(&spec.plan.as_str())) {
        let several = plans.iter().any(|plan| plan.name() == spec.plan.as_str());
        let what = match several {
            true => {
                format!("`{}` leads to several regions, and the drill `{}` does not say which", spec.plan, spec.name)
            }
            false => format!("the drill `{}` rehearses `{}`, which is no plan of this estate", spec.name, spec.plan),
        };
        doc.say(at, what, one_of(spec.plan.as_str(), &known));
    }
    read.into_iter().map(|(_, spec)| spec).collect()
}
