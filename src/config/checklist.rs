//! `[[checklist]]`: the plan's post-recovery checks as they are shipped, changed and added to by the config.

use std::ops::Range;

use super::known::Known;
use super::mistake::Source;
use super::read::{Doc, Field, Table, Text};
use super::suggest::one_of;
use super::{params, probes};
use crate::domain::checklist::{Item, ItemSpec, Sight};
use crate::domain::estate::{ProbeSpec, Subject};
use crate::domain::ids::ItemId;
use crate::domain::text::clean;
use crate::domain::time::Span;

/// The items that the plan asks for.
pub const SHIPPED: &str = include_str!("../../assets/checklists/post-recovery.toml");

/// How long a check may take unless it says otherwise; a human waits for it.
const TIMEOUT: Span = Span::secs(5);

/// A `[[checklist]]` as far as it was written.
struct Written {
    at: Range<usize>,
    id: ItemId,
    title: Option<String>,
    what: Option<String>,
    why: Option<String>,
    sees: Option<Vec<Sight>>,
    off: bool,
    checks: Vec<ProbeSpec>,
}

/// The items in force: those of the plan first, then the config's own. What has mistakes is left out, and said.
pub fn read(root: &Table<'_>, known: &Known<'_>) -> Vec<ItemSpec> {
    let mut items = shipped(known);
    let what = "[[checklist]]";
    let tables = root.get("checklist").map(|it| it.tables(what)).unwrap_or_default();
    let mut seen: Vec<ItemId> = Vec::new();
    for written in tables.into_iter().filter_map(|table| read_one(table, known)) {
        if seen.contains(&written.id) {
            let what = format!("there is another [[checklist]] `{}`", written.id);
            root.doc().say(&written.at, what, "every id is used once");
            continue;
        }
        seen.push(written.id.clone());
        let at = items.iter().position(|it| it.item.id == written.id);
        match at {
            Some(at) if written.off => drop(items.remove(at)),
            Some(at) => change(&mut items[at], written),
            None => items.extend(added(root.doc(), written)),
        }
    }
    items
}

fn shipped(known: &Known<'_>) -> Vec<ItemSpec> {
    let doc = Doc::new(Source::new("built in: post-recovery.toml".into(), SHIPPED, Vec::new()), None);
    // A test makes sure that it is sound.
    let Some(root) = Doc::parse(SHIPPED, &doc) else { return Vec::new() };
    let root = Table::new(&doc, root.get_ref(), root.span(), "the checklist");
    let tables = root.get("checklist").map(|it| it.tables("[[checklist]]")).unwrap_or_default();
    tables.into_iter().filter_map(|table| read_one(table, known)).filter_map(|it| added(&doc, it)).collect()
}

fn read_one(table: Table<'_>, known: &Known<'_>) -> Option<Written> {
    let id = table.need("id", "one of the plan's, to change it, or a name of your own").and_then(|it| it.id());
    let id = id.map(|id| ItemId::from(id.into_inner()));
    let text = |key| table.get(key).and_then(|it| it.text()).map(Text::into_inner);
    let (title, what, why) = (text("title"), text("what"), text("why"));
    let sees = table.get("sees").map(|it| read_sights(&it));
    let off = table.get("off").and_then(|it| it.flag()).unwrap_or(false);
    let checks = table.get("check").map(|it| it.tables("[[checklist.check]]")).unwrap_or_default();
    let checks = checks.into_iter().filter_map(|it| read_check(it, id.as_ref(), known)).collect();
    let at = table.at.clone();
    table.close();
    Some(Written { at, id: id?, title, what, why, sees, off, checks })
}

fn read_sights(field: &Field<'_>) -> Vec<Sight> {
    let words = field.texts().unwrap_or_default();
    let sights = words.iter().filter_map(|word| {
        let sight = word.get_ref().parse().ok();
        if sight.is_none() {
            let what = format!("Mayday cannot look at `{}` by itself", clean(word.get_ref()));
            field.doc().say(&word.span(), what, one_of(word.get_ref(), Sight::WORDS));
        }
        sight
    });
    sights.collect()
}

/// A check is a probe that looks when it is asked: at its item, while the incident lasts.
fn read_check(table: Table<'_>, item: Option<&ItemId>, known: &Known<'_>) -> Option<ProbeSpec> {
    let (system_kind, kind) = probes::read_kind(&table, None, known)?;
    let region = table.get("region").and_then(|it| params::region(&it, &known.regions));
    let system = known.system_for(&table, system_kind, region.as_ref());
    let id = table.get("id").map(|it| it.id());
    let timeout = table.get("timeout").and_then(|it| it.span()).unwrap_or(TIMEOUT);
    let params = params::read(&table, &format!("a check of kind `{}`", kind.name), kind.params, &known.params());
    table.close();
    let id = match id {
        Some(given) => given?.into_inner(),
        None => format!("{}.{}", item?, kind.name),
    };
    let system = system?;
    Some(ProbeSpec {
        id: id.into(),
        kind: kind.name.into(),
        subject: Subject::System(system.clone()),
        system,
        region,
        every: timeout,
        timeout,
        fall: 1,
        window: None,
        rise: 1,
        params,
    })
}

fn change(known: &mut ItemSpec, written: Written) {
    let item = &mut known.item;
    for (field, text) in
        [(&mut item.title, written.title), (&mut item.what, written.what), (&mut item.why, written.why)]
    {
        if let Some(text) = text {
            *field = text;
        }
    }
    if let Some(sees) = written.sees {
        item.sees = sees;
    }
    item.checks.extend(written.checks.iter().map(|check| check.id.clone()));
    known.checks.extend(written.checks);
}

fn added(doc: &Doc<'_>, written: Written) -> Option<ItemSpec> {
    let Written { at, id, title, what, why, sees, off, checks } = written;
    if off {
        let ids = "only an item of the plan can be turned off";
        doc.say(&at, format!("there is no item `{id}` to turn off"), ids);
        return None;
    }
    let (Some(title), Some(what)) = (title, what) else {
        doc.say(
            &at,
            format!("the item `{id}` needs a `title` and `what` to do"),
            "an item of your own says both; `why` is well spent too",
        );
        return None;
    };
    let item = Item {
        id,
        title,
        what,
        why: why.unwrap_or_default(),
        sees: sees.unwrap_or_default(),
        checks: checks.iter().map(|check| check.id.clone()).collect(),
    };
    Some(ItemSpec { item, checks })
}

/// Checks whose id is used by another one.
pub fn unique(doc: &Doc<'_>, items: &[ItemSpec]) {
    let mut seen = std::collections::BTreeSet::new();
    for check in items.iter().flat_map(|it| &it.checks) {
        if !seen.insert(&check.id) {
            doc.say_of_file(
                format!("two checks of the checklist are called `{}`", check.id),
                "give one of them an `id` of its own",
            );
        }
    }
}
