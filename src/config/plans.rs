//! Plans: those that are built in, and those that the config's `plans_dir` adds or puts in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::{fs, io};

use sha2::{Digest, Sha256};

use super::compose;
use super::disk::{hidden, read_text};
use super::known::{Known, read_kind};
use super::mistake::{Mistake, Mistakes, Source};
use super::params;
use super::read::{Doc, Field, NAME_HELP, Table, Text, is_name};
use super::secret_names;
use super::suggest::one_of;
use super::targets;
use super::ways::Others;
use crate::domain::estate::{DataClass, Estate, Tier};
use crate::domain::ids::{PlanId, StepId};
use crate::domain::kinds::{ParamType, StepKind, StepRole};
use crate::domain::params::{Params, SecretRef};
use crate::domain::plan::{Gate, Plan, StepSpec};
use crate::domain::text::clean;
use crate::domain::wayback::STORE;

/// The plans that are built in, by id, in the order in which they are offered.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("regional-failover", include_str!("../../assets/plans/regional-failover.toml")),
    ("planned-switchover", include_str!("../../assets/plans/planned-switchover.toml")),
    ("database-failover", include_str!("../../assets/plans/database-failover.toml")),
    ("neo4j-failover", include_str!("../../assets/plans/neo4j-failover.toml")),
    ("neo4j-drop-server", include_str!("../../assets/plans/neo4j-drop-server.toml")),
    ("redis-failover", include_str!("../../assets/plans/redis-failover.toml")),
    ("reprotect", include_str!("../../assets/plans/reprotect.toml")),
    ("pin-clients", include_str!("../../assets/plans/pin-clients.toml")),
    ("service-failover", include_str!("../../assets/plans/service-failover.toml")),
];

/// A built-in plan that does not fit the estate, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct LeftOut {
    pub plan: PlanId,
    pub why: Mistakes,
}

/// All that was read.
#[derive(Default)]
pub struct Plans {
    pub plans: Vec<Plan>,
    pub left_out: Vec<LeftOut>,
    pub mistakes: Vec<Mistake>,
    /// Where the operator's own plans are from.
    files: BTreeMap<PlanId, String>,
}

/// Reads every plan. A mistake in a file of the operator's is a mistake; a built-in plan that names what this estate does not have is
/// left out. `dir` is the value of `plans_dir`.
pub fn read(estate: &Estate, known: &Known<'_>, dir: Option<(Text, &Doc<'_>)>) -> Plans {
    let mut read = Plans::default();
    let mut own = BTreeMap::new();
    if let Some((dir, doc)) = dir {
        match files_of(&known.dir.join(dir.get_ref())) {
            Ok(files) => own = files,
            Err(error) => {
                doc.say(&dir.span(), format!("the plans cannot be read: {error}"), "it is relative to this file")
            }
        }
    }
    for (id, text) in BUILT_IN {
        if let Some((file, text)) = own.remove(*id) {
            read.take_own(id, &file, text, estate, known);
            continue;
        }
        let file = format!("built in: {id}.toml");
        for (plan, made) in targets::each(id, text, known, |known| parse(id, &file, text, estate, known)) {
            match made {
                Ok(plan) => read.plans.push(plan),
                Err(why) => read.left_out.push(LeftOut { plan, why: Mistakes(why) }),
            }
        }
    }
    for (id, (file, text)) in own {
        read.take_own(&id, &file, text, estate, known);
    }
    if read.mistakes.is_empty() {
        (read.plans, read.mistakes) = compose::all(read.plans, &read.files);
    }
    read
}

impl Plans {
    /// A plan of the operator's; one that cannot be read keeps nobody from hearing what is wrong with the others. What is wrong with it for
    /// every region that it can lead to is said once.
    fn take_own(&mut self, id: &str, file: &str, text: io::Result<String>, estate: &Estate, known: &Known<'_>) {
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                let what = format!("this plan cannot be read: {error}");
                let help = "fix it, or take it out of the folder of plans".into();
                self.mistakes.push(Mistake { file: file.to_owned(), place: None, what, help });
                return;
            }
        };
        for (_, made) in targets::each(id, &text, known, |known| parse(id, file, &text, estate, known)) {
            match made {
                Ok(plan) => {
                    self.files.insert(plan.id.clone(), file.to_owned());
                    self.plans.push(plan);
                }
                Err(mistakes) => {
                    let new = mistakes.into_iter().filter(|it| !self.mistakes.contains(it)).collect::<Vec<_>>();
                    self.mistakes.extend(new);
                }
            }
        }
    }
}

/// The `*.toml` of a directory by stem: path and text. Hidden ones are passed over.
fn files_of(dir: &Path) -> io::Result<BTreeMap<String, (String, io::Result<String>)>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if hidden(&path) || path.is_dir() {
            continue;
        }
        if let (Some("toml"), Some(stem)) = (path.extension().and_then(|it| it.to_str()), path.file_stem()) {
            files.insert(stem.to_string_lossy().into_owned(), (path.display().to_string(), read_text(&path)));
        }
    }
    Ok(files)
}

/// Reads one plan against the estate it is for.
///
/// # Errors
/// All its mistakes: those of the text and those of the graph.
pub fn parse(id: &str, file: &str, text: &str, estate: &Estate, known: &Known<'_>) -> Result<Plan, Vec<Mistake>> {
    let source = Source::new(file.to_owned(), text, secret_names(known.kinds));
    let doc = Doc::new(source, Some(known.values.clone()));
    let Some(root) = Doc::parse(text, &doc) else {
        return Err(doc.into_mistakes());
    };
    let root = Table::new(&doc, root.get_ref(), root.span(), "a plan");
    let title = root.need("title", "what the plan does, in a few words").and_then(|it| it.text());
    let about = root.need("about", "when to use it, in a sentence or two").and_then(|it| it.text());
    if !is_name(id) {
        doc.say_of_file("the file's name, which names the plan, is not a name", NAME_HELP);
    }
    let tables = root.need("step", "add a [[step]] for each").map(|it| it.tables("[[step]]")).unwrap_or_default();
    root.close();
    unique(&tables);
    let several = |it: &Table<'_>| it.get(OF_SEVERAL).and_then(|it| it.flag()).unwrap_or(false);
    let not_here = |it: &Table<'_>| known.targets.len() < 2 && several(it);
    let left_out: BTreeSet<StepId> =
        tables.iter().filter(|it| not_here(it)).filter_map(|it| Some(it.get("id")?.value().as_str()?.into())).collect();
    let ids: Vec<StepId> = tables.iter().filter_map(|it| Some(it.get("id")?.value().as_str()?.into())).collect();
    let read: Vec<(Range<usize>, StepSpec)> =
        tables.into_iter().filter_map(|it| Some((it.at.clone(), read_step(it, estate, known, &ids)?))).collect();
    let places: BTreeMap<StepId, Range<usize>> = read.iter().map(|(at, step)| (step.id.clone(), at.clone())).collect();
    let plan = Plan {
        id: id.into(),
        title: title.map(Text::into_inner).unwrap_or_default(),
        about: about.map(Text::into_inner).unwrap_or_default(),
        steps: without(read.into_iter().map(|(_, step)| step), &left_out),
        fingerprint: Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect(),
        target: None,
    };
    // Only a graph without other mistakes can be judged.
    if doc.is_sound() {
        for mistake in plan.mistakes() {
            let at = places.get(&mistake.step).cloned().unwrap_or_default();
            doc.say(&at, format!("step `{}` {}", mistake.step, mistake.what), "");
        }
    }
    let mistakes = doc.into_mistakes();
    if mistakes.is_empty() { Ok(plan) } else { Err(mistakes) }
}

/// A step that is there only where one of several standby regions is chosen.
pub const OF_SEVERAL: &str = "of_several";

/// The steps without some: what waits for one of those does not wait for it.
fn without(steps: impl Iterator<Item = StepSpec>, left_out: &BTreeSet<StepId>) -> Vec<StepSpec> {
    let kept = steps.filter(|step| !left_out.contains(&step.id));
    kept.map(|mut step| {
        step.needs.retain(|need| !left_out.contains(need));
        step
    })
    .collect()
}

/// Says every id that an earlier step has, whatever else is wrong with either.
fn unique(steps: &[Table<'_>]) {
    let mut seen = BTreeSet::new();
    for field in steps.iter().filter_map(|it| it.get("id")) {
        if let Some(id) = field.value().as_str()
            && !seen.insert(id)
        {
            field.say(format!("step `{}` is not the only step of this name", clean(id)), "every id is used once");
        }
    }
}

fn read_step(table: Table<'_>, estate: &Estate, known: &Known<'_>, ids: &[StepId]) -> Option<StepSpec> {
    let id = table.need("id", "the name that `needs` and the journal use").and_then(|it| it.id());
    let title = table.need("title", "what it does, in the imperative").and_then(|it| it.text());
    let needs = table.get("needs").map(|it| read_needs(&it, ids)).unwrap_or_default();
    let gate = table.get("gate").map(|it| it.word::<Gate>(Gate::WORDS));
    let yes = table.get("yes").and_then(|it| it.flag());
    // Whether it is there at all was decided before.
    let _ = table.get(OF_SEVERAL);
    let timeout = table.need("timeout", "how long its effect may take to show, like \"2m\"").and_then(|it| it.span());
    let phrase = table.get("phrase").and_then(|it| it.text());
    let recovers = table.get("recovers").map(|it| read_tiers(&it)).unwrap_or_default();
    let class = table.get("class").and_then(|it| it.word::<DataClass>(DataClass::WORDS));
    let region = table.get("region").and_then(|it| params::region(&it, &known.regions));
    let Some((system_kind, kind)) = read_kind(&table, known) else {
        known.system_named(&table);
        return None;
    };
    let own_role = read_role(&table, kind);
    let optional = table.get("optional").and_then(|it| it.flag()).unwrap_or(false);
    let role = own_role.unwrap_or(kind.role);
    let others = Others::read(&table, kind.role);
    let system = known.system_for(&table, system_kind, region.as_ref());
    let mut params = params::read(&table, &format!("a step of kind `{}`", kind.name), kind.params, &known.params());
    if let Some(store) = params.opt_text(STORE).filter(|_| system_kind.ambient).map(|it| known.meant(it).to_owned()) {
        params.0.insert(STORE.to_owned(), store.into());
    }
    let at = table.get("kind");
    refuse_arguments(&table, kind, &params);
    table.close();
    let gate = match gate {
        Some(given) => given?,
        None if role.mutates() => Gate::Confirm,
        None => Gate::Auto,
    };
    let system = system?;
    let step = StepSpec {
        id: id?.into_inner().into(),
        title: title?.into_inner(),
        kind: kind.name.into(),
        needs,
        gate,
        yes: yes.unwrap_or(matches!(gate, Gate::Auto | Gate::Confirm)),
        timeout: timeout?,
        phrase: phrase.map_or_else(|| system.to_string(), Text::into_inner),
        recovers,
        class: class.or_else(|| estate.system(&system).and_then(|it| it.class)),
        system,
        region,
        role,
        undo: kind.undo,
        params,
        ways: Vec::new(),
        own_role: own_role.is_some(),
        optional,
    };
    others.of(step, &at?, known)
}

/// The roles that a plan may give to a step whose kind has none of its own.
pub const GIVEN_ROLES: &[&str] = &["traffic"];

/// A run's plan is journalled, and people put secrets into the arguments of a command that prints one.
fn refuse_arguments(table: &Table<'_>, kind: &StepKind, params: &Params) {
    for row in kind.params.iter().filter(|row| row.ty == ParamType::Secret) {
        if let (Some(SecretRef::Command(words)), Some(field)) = (params.secret(row.name), table.get(row.name))
            && words.len() > 1
        {
            let what = format!(
                "`{}`: a plan is journalled with each run, and the arguments of this command with it",
                row.name
            );
            field.say(what, "name a program without arguments, a file or a variable");
        }
    }
}

/// Whether only the plan knows what a step of this kind is for. A kind that means something else by the word is not asked.
pub fn can_be_given_a_role(kind: &StepKind) -> bool {
    kind.role == StepRole::Changes && kind.params.iter().all(|param| param.name != "role")
}

/// The role that the plan gives to a step: a command that moves clients is known by nothing else.
fn read_role(table: &Table<'_>, kind: &StepKind) -> Option<StepRole> {
    // One that has a role of its own knows no such key.
    let field = can_be_given_a_role(kind).then(|| table.get("role")).flatten()?;
    field.word::<String>(GIVEN_ROLES)?.parse().ok()
}

/// The steps that a step waits for; unknown ones are said here, where their position is known.
fn read_needs(field: &Field<'_>, ids: &[StepId]) -> Vec<StepId> {
    let names: Vec<&str> = ids.iter().map(StepId::as_str).collect();
    let mut needs = BTreeSet::new();
    let mut kept = Vec::new();
    for need in field.texts().unwrap_or_default() {
        let name = need.get_ref().as_str();
        if !names.contains(&name) {
            let what = format!("there is no step `{}`", clean(name));
            field.doc().say(&need.span(), what, one_of(name, &names));
        } else if needs.insert(name.to_owned()) {
            kept.push(name.into());
        }
    }
    kept
}

fn read_tiers(field: &Field<'_>) -> Vec<Tier> {
    let words = field.texts().unwrap_or_default();
    let tiers = words.iter().filter_map(|word| {
        let tier = word.get_ref().parse().ok();
        if tier.is_none() {
            let what = format!("there is no tier `{}`", clean(word.get_ref()));
            field.doc().say(&word.span(), what, one_of(word.get_ref(), Tier::WORDS));
        }
        tier
    });
    tiers.collect()
}
