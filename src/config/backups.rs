//! The `[[system.backup]]` tables: what is copied, how fresh a copy has to be, and how long it is kept.

use std::ops::Range;

use super::known::Known;
use super::params;
use super::read::{Doc, Table, Text};
use super::suggest::one_of;
use crate::domain::backup::BackupSpec;
use crate::domain::estate::DataClass;
use crate::domain::ids::SystemId;
use crate::domain::kinds::{BackupKind, SystemKind};
use crate::domain::text::clean;
use crate::domain::time::Span;

/// Whose backups are read.
pub struct Subject<'s> {
    pub id: &'s SystemId,
    /// What its backups count for unless they say otherwise.
    pub class: Option<DataClass>,
}

/// The backups of one system, each with its position; those with mistakes are left out, and said.
pub fn read(table: &Table<'_>, subject: &Subject<'_>, known: &Known<'_>) -> Vec<(Range<usize>, BackupSpec)> {
    let tables = table.get("backup").map(|it| it.tables("[[system.backup]]")).unwrap_or_default();
    tables.into_iter().filter_map(|it| Some((it.at.clone(), read_one(it, subject, known)?))).collect()
}

fn read_one(table: Table<'_>, subject: &Subject<'_>, known: &Known<'_>) -> Option<BackupSpec> {
    let (system_kind, kind) = read_kind(&table, known)?;
    let own =
        known.systems.iter().any(|it| &it.id == subject.id && it.kind.is_some_and(|is| is.name == system_kind.name));
    let system = match own && table.get("system").is_none() {
        true => Some(subject.id.clone()),
        false => known.system_for(&table, system_kind, None),
    };
    let region = table.get("region").and_then(|it| params::region(&it, &known.regions));
    let class = table.get("class").and_then(|it| it.word(DataClass::WORDS));
    let id = table.get("id").map(|it| it.id());
    let title = table.get("title").and_then(|it| it.text());
    let span = |key| table.get(key).and_then(|it| it.span());
    let (every, retention) = (span("every"), span("retention"));
    let max_age = if kind.dated {
        table.need("max_age", "how old the newest good copy may be, like \"26h\"").and_then(|it| it.span())
    } else {
        span("max_age")
    };
    let params = params::read(&table, &format!("a backup of kind `{}`", kind.name), kind.params, &known.params());
    table.close();
    let id = match id {
        Some(given) => given?.into_inner(),
        None => format!("{}.{}", subject.id, kind.name),
    };
    Some(BackupSpec {
        id: id.into(),
        title: title.map_or_else(|| kind.title.to_owned(), Text::into_inner),
        kind: kind.name.into(),
        subject: subject.id.clone(),
        system: system?,
        class: class.or(subject.class),
        region,
        // Filled from the policy once that is read.
        every: every.unwrap_or(Span::secs(0)),
        max_age: if kind.dated { Some(max_age?) } else { max_age },
        retention,
        params,
    })
}

fn read_kind(table: &Table<'_>, known: &Known<'_>) -> Option<(&'static SystemKind, &'static BackupKind)> {
    let names: Vec<&str> = known.kinds.0.iter().flat_map(|it| it.backups).map(|it| it.name).collect();
    let field = table.need("kind", format!("one of {}", names.join(", ")))?;
    let name = field.text()?.into_inner();
    let found = known.kinds.backup(&name);
    if found.is_none() {
        field.say(format!("there is no kind of backup `{}`", clean(&name)), one_of(&name, &names));
    }
    found
}

/// Every backup whose id is the first of its name, looked at every `every` unless it says otherwise; the others are said.
pub fn unique(doc: &Doc<'_>, backups: Vec<(Range<usize>, BackupSpec)>, every: Span) -> Vec<BackupSpec> {
    let mut kept: Vec<BackupSpec> = Vec::with_capacity(backups.len());
    for (at, mut backup) in backups {
        if kept.iter().any(|known| known.id == backup.id) {
            doc.say(&at, format!("there is another backup `{}`", backup.id), "give this one an `id` of its own");
            continue;
        }
        if backup.every == Span::secs(0) {
            backup.every = every;
        }
        kept.push(backup);
    }
    kept
}
