//! `[[channel]]`: the ways to reach people; and `[comms]`: how soon they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::disk::read_text;
use super::mistake::{Mistake, Place};
use super::params;
use super::read::{Table, Text};
use super::suggest::one_of;
use crate::domain::comms::{Audience, ChannelKind, ChannelSpec, Comms};
use crate::domain::estate::Service;
use crate::domain::ids::ServiceId;
use crate::domain::incident::Severity;
use crate::domain::kinds::Kinds;
use crate::domain::text::clean;
use crate::domain::time::Span;
use crate::messages::Templates;

/// Reads every channel; those with mistakes are left out, and said.
pub fn read(root: &Table<'_>, kinds: &Kinds, context: &params::Context<'_>) -> Vec<ChannelSpec> {
    let tables = root.get("channel").map(|it| it.tables("[[channel]]")).unwrap_or_default();
    let mut seen = BTreeSet::new();
    tables.into_iter().filter_map(|table| read_one(table, kinds, context, &mut seen)).collect()
}

fn read_one(
    table: Table<'_>,
    kinds: &Kinds,
    context: &params::Context<'_>,
    seen: &mut BTreeSet<String>,
) -> Option<ChannelSpec> {
    let field = table.need("id", "the name that the outbox shows");
    let id = field.as_ref().and_then(|it| it.id()).map(Text::into_inner);
    if let (Some(field), Some(id)) = (field, &id)
        && !seen.insert(id.clone())
    {
        field.say(format!("there is another channel `{}`", clean(id)), "every id is used once");
    }
    let kind = read_kind(&table, kinds)?;
    let title = table.get("title").and_then(|it| it.text());
    let audience = read_audience(&table, kind);
    let drills = table.get("drills");
    let in_drills = drills.as_ref().and_then(|it| it.flag()).unwrap_or(false);
    if let (Some(field), Some(audience), true) = (drills, audience, in_drills)
        && audience != Audience::Internal
    {
        let help = "leave `drills` out: in a drill this channel does not exist";
        field.say(format!("a drill never reaches the {audience} audience"), help);
    }
    let escalation = table.get("escalation").and_then(|it| it.flag()).unwrap_or(false);
    let params = params::read(&table, &format!("a channel of kind `{}`", kind.name), kind.params, context);
    table.close();
    Some(ChannelSpec {
        id: id?.into(),
        kind: kind.name.into(),
        title: title.map_or_else(|| kind.title.to_owned(), Text::into_inner),
        audience: audience?,
        drills: in_drills,
        escalation,
        carries: kind.carries.to_vec(),
        doubles: kind.doubles,
        components: Vec::new(),
        params,
    })
}

fn read_kind(table: &Table<'_>, kinds: &Kinds) -> Option<&'static ChannelKind> {
    let names: Vec<&str> = kinds.1.iter().map(|it| it.name).collect();
    let field = table.need("kind", format!("one of {}", names.join(", ")))?;
    let name = field.text()?.into_inner();
    let kind = kinds.channel(&name);
    if kind.is_none() {
        field.say(format!("there is no kind of channel `{}`", clean(&name)), one_of(&name, &names));
    }
    kind
}

/// Who reads it; a kind that is for one audience only needs no word.
fn read_audience(table: &Table<'_>, kind: &ChannelKind) -> Option<Audience> {
    let words: Vec<&str> = kind.audiences.iter().map(|it| it.word()).collect();
    match (table.get("audience"), kind.audiences) {
        (None, [only]) => Some(*only),
        (None, _) => {
            let what = format!("a channel of kind `{}` needs `audience`", kind.name);
            table.say(what, format!("say who reads it: {}", words.join(", ")));
            None
        }
        (Some(field), _) => {
            let audience: Audience = field.word(Audience::WORDS)?;
            if !kind.audiences.contains(&audience) {
                let what = format!("a channel of kind `{}` is not for the {audience} audience", kind.name);
                field.say(what, one_of(audience.word(), &words));
            }
            Some(audience)
        }
    }
}

type SpanOf = fn(&mut Comms) -> &mut Span;
type BySeverity = fn(&mut Comms) -> &mut BTreeMap<Severity, Span>;

const SPANS: &[(&str, SpanOf)] = &[
    ("take_back", |it| &mut it.take_back),
    ("first_update", |it| &mut it.first_update),
    ("give_up", |it| &mut it.give_up),
];

const BY_SEVERITY: &[(&str, &str, BySeverity)] = &[
    ("update_every", "[comms.update_every]", |it| &mut it.update_every),
    ("acknowledge_within", "[comms.acknowledge_within]", |it| &mut it.acknowledge_within),
];

/// The names of what is a length of time in `[comms]`.
pub fn spans() -> impl Iterator<Item = &'static str> {
    SPANS.iter().map(|(name, _)| *name)
}

/// The names of what is one for each severity.
pub fn by_severity() -> impl Iterator<Item = &'static str> {
    BY_SEVERITY.iter().map(|(name, ..)| *name)
}

/// How the estate speaks, and its templates.
pub fn read_comms(root: &Table<'_>, services: &[Service], dir: &Path) -> (Comms, Templates) {
    let mut comms = Comms::default();
    let Some(table) = root.get("comms").and_then(|it| it.table("[comms]")) else {
        return (comms, Templates::default());
    };
    for (name, of) in SPANS {
        if let Some(span) = table.get(name).and_then(|it| it.span()) {
            *of(&mut comms) = span;
        }
    }
    for (name, what, of) in BY_SEVERITY {
        let Some(own) = table.get(name).and_then(|it| it.table(what)) else { continue };
        for severity in Severity::ALL {
            if let Some(span) = own.get(severity.word()).and_then(|it| it.span()) {
                of(&mut comms).insert(*severity, span);
            }
        }
        own.close();
    }
    if let Some(page) = table.get("page").and_then(|it| it.flag()) {
        comms.page = page;
    }
    let components = table.get("components").and_then(|it| it.table("[comms.components]"));
    comms.components = components.map(|it| read_components(&it, services)).unwrap_or_default();
    let folder = table.get("templates").and_then(|it| it.text());
    let templates = folder.map(|it| read_templates(&table, &dir.join(it.into_inner()))).unwrap_or_default();
    table.close();
    (comms, templates)
}

/// Who shows components is told which there are, so that a name that means none is known before an incident.
pub fn shown(channels: &mut [ChannelSpec], comms: &Comms) {
    let names: BTreeSet<&String> = comms.components.values().collect();
    for spec in channels.iter_mut().filter(|spec| spec.audience == Audience::Public) {
        spec.components = names.iter().map(|name| (*name).clone()).collect();
    }
}

fn read_templates(table: &Table<'_>, dir: &Path) -> Templates {
    let wrong = match Templates::load(dir, read_text) {
        Ok(templates) => return templates,
        Err(wrong) => wrong,
    };
    for it in wrong {
        let place = it.line.map(|line| Place {
            line,
            column: 1,
            length: it.text.chars().count().max(1),
            text: clean(&it.text),
        });
        table.doc().push(Mistake { file: it.file.display().to_string(), place, what: it.what, help: it.help });
    }
    Templates::default()
}

fn read_components(table: &Table<'_>, services: &[Service]) -> BTreeMap<ServiceId, String> {
    let ids: Vec<&str> = services.iter().map(|it| it.id.as_str()).collect();
    let mut components = BTreeMap::new();
    for (name, field) in table.entries() {
        let service = name.get_ref().as_str();
        if !ids.contains(&service) {
            let what = format!("there is no service `{}`", clean(service));
            table.doc().say(&name.span(), what, one_of(service, &ids));
        } else if let Some(component) = field.text() {
            components.insert(service.into(), clean(component.get_ref()));
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_can_be_set() {
        let fields = serde_json::to_value(Comms::default()).unwrap();
        let named = SPANS.iter().map(|(name, _)| *name).chain(BY_SEVERITY.iter().map(|(name, ..)| *name));
        let named: BTreeSet<&str> = named.chain(["page", "components"]).collect();
        let all: BTreeSet<&str> = fields.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(named, all);
    }
}
