//! The parameters of a system, probe or step, read as the rows of its kind say.

use std::path::Path;

use serde_json::{Value, json};
use toml::de::DeValue;

use super::read::{Field, Table};
use super::suggest::one_of;
use crate::domain::expect;
use crate::domain::ids::RegionId;
use crate::domain::kinds::{Need, Param, ParamType};
use crate::domain::params::Params;
use crate::domain::text::clean;
use crate::domain::time::Span;

const SECRET_HELP: &str =
    "name where it is kept: { env = \"NAME\" }, { file = \"path\" } or { command = [\"program\", \"argument\"] }";

/// What a parameter may refer to.
pub struct Context<'c> {
    pub regions: &'c [RegionId],
    /// Where relative paths start: the directory of the config file.
    pub dir: &'c Path,
}

/// Reads every parameter of `rows` out of `table`, fills the defaults, and says what is missing or wrong.
pub fn read(table: &Table<'_>, what: &str, rows: &'static [Param], context: &Context<'_>) -> Params {
    let mut params = Params::default();
    for row in rows {
        let value = match (table.get(row.name), row.need) {
            (Some(field), _) => convert(&field, row, context),
            (None, Need::Required) => {
                table.say(format!("{what} needs `{}`", row.name), format!("{}: {}", row.name, row.help));
                None
            }
            (None, Need::Optional) => None,
            // A contract test makes sure that every default is what its type says.
            (None, Need::Default(text)) => default_value(row.ty, text).ok(),
        };
        params.0.extend(value.map(|value| (row.name.to_owned(), value)));
    }
    params
}

/// A default, written as in the config file but for the quotes of a text.
///
/// # Errors
/// When it is not what its type says.
pub fn default_value(ty: ParamType, text: &str) -> Result<Value, String> {
    match ty {
        ParamType::Integer => text.parse::<u64>().map(Value::from).map_err(|error| format!("`{text}`: {error}")),
        ParamType::Flag => text.parse::<bool>().map(Value::from).map_err(|error| format!("`{text}`: {error}")),
        ParamType::Decimal => text.parse::<f64>().map(Value::from).map_err(|error| format!("`{text}`: {error}")),
        ParamType::Statuses => {
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
            expect::Statuses::read(&value).map(|_| value)
        }
        ParamType::Headers => Err("headers have no default".into()),
        ParamType::List | ParamType::Addresses | ParamType::Command | ParamType::Map | ParamType::Numbers => {
            let value = DeValue::parse(text).map_err(|error| error.message().to_owned())?;
            match (ty, value.get_ref()) {
                (ParamType::Map | ParamType::Numbers, DeValue::Table(_)) => plain(value.get_ref()),
                (ParamType::List | ParamType::Addresses | ParamType::Command, DeValue::Array(_)) => {
                    plain(value.get_ref())
                }
                _ => Err(format!("`{text}` is not {ty}")),
            }
        }
        ParamType::Secret => Err("a secret has no default".into()),
        ParamType::Region | ParamType::Regions => {
            Err("a region has no default: a table does not know the estate".into())
        }
        ParamType::Text
        | ParamType::Span
        | ParamType::Url
        | ParamType::Address
        | ParamType::Path
        | ParamType::Paths
        | ParamType::Pattern
        | ParamType::Pointer
        | ParamType::Choice(_) => {
            check_text(ty, text).map(|()| Value::from(text)).map_err(|(what, help)| format!("{what}; {help}"))
        }
    }
}

fn convert(field: &Field<'_>, row: &Param, context: &Context<'_>) -> Option<Value> {
    match row.ty {
        ParamType::Text
        | ParamType::Url
        | ParamType::Address
        | ParamType::Path
        | ParamType::Paths
        | ParamType::Pattern
        | ParamType::Pointer => {
            let text = field.text()?.into_inner();
            match check_text(row.ty, &text) {
                Ok(()) => Some(Value::from(text)),
                Err((what, help)) => {
                    field.say(what, help);
                    None
                }
            }
        }
        ParamType::Choice(words) => field.word::<String>(words).map(Value::from),
        ParamType::Integer => field.integer::<u64>(0..=i64::MAX).map(Value::from),
        ParamType::Flag => field.flag().map(Value::from),
        ParamType::Span => field.span().map(|span| Value::from(span.to_string())),
        ParamType::List => Some(field.texts()?.into_iter().map(|item| Value::from(item.into_inner())).collect()),
        ParamType::Addresses => addresses(field),
        ParamType::Command => command(field),
        ParamType::Map => entries(field, row.name, |value| Some(Value::from(value.text()?.into_inner()))),
        ParamType::Regions => {
            entries(field, row.name, |value| region(value, context.regions).map(|id| Value::from(id.as_str())))
        }
        ParamType::Numbers => entries(field, row.name, |value| value.integer::<u64>(0..=i64::MAX).map(Value::from)),
        ParamType::Decimal => decimal(field).map(Value::from),
        ParamType::Statuses => statuses(field),
        ParamType::Headers => entries(field, row.name, |value| {
            let text = value.text()?.into_inner();
            match expect::header(value.name(), &text) {
                Ok(_) => Some(Value::from(text)),
                Err(what) => {
                    value.say(what, "");
                    None
                }
            }
        }),
        ParamType::Secret => secret(field, row.name, context.dir),
        ParamType::Region => region(field, context.regions).map(|id| Value::from(id.as_str())),
    }
}

/// A number, written as in TOML.
fn decimal(field: &Field<'_>) -> Option<f64> {
    let number = match field.value() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|it| it as f64),
        DeValue::Float(number) => number.as_str().parse::<f64>().ok().filter(|it| it.is_finite()),
        _ => None,
    };
    if number.is_none() {
        field.wrong_type("a number", "write it without quotes, like 0.95");
    }
    number
}

fn statuses(field: &Field<'_>) -> Option<Value> {
    let plain = |value: &DeValue<'_>| match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::from),
        DeValue::String(text) => Some(Value::from(text.as_ref())),
        _ => None,
    };
    let read = match field.value() {
        DeValue::Array(items) => {
            items.iter().map(|item| plain(item.get_ref())).collect::<Option<Vec<_>>>().map(Value::from)
        }
        single => plain(single),
    };
    let Some(read) = read else {
        field.wrong_type("a set of statuses", "write it like 204, \"2xx\" or [\"200-299\", 401]");
        return None;
    };
    match expect::Statuses::read(&read) {
        Ok(_) => Some(read),
        Err(what) => {
            field.say(what, "");
            None
        }
    }
}

/// A table whose values are each read by `read`: all that is wrong with any of them is said.
fn entries(field: &Field<'_>, name: &str, read: impl Fn(&Field<'_>) -> Option<Value>) -> Option<Value> {
    let table = field.table(&format!("{name} = {{ … }}"))?;
    let read: Vec<_> = table.entries().map(|(key, value)| Some((key.into_inner(), read(&value)?))).collect();
    read.into_iter().collect::<Option<serde_json::Map<_, _>>>().map(Value::from)
}

fn addresses(field: &Field<'_>) -> Option<Value> {
    let items = field.texts()?;
    let mut seen = std::collections::BTreeSet::new();
    for item in &items {
        if let Err((what, help)) = check_address(item.get_ref()) {
            field.doc().say(&item.span(), what, help);
        } else if !seen.insert(item.get_ref().to_ascii_lowercase()) {
            let what = format!("`{}` is listed twice, and would be counted twice", clean(item.get_ref()));
            field.doc().say(&item.span(), what, "take one of them out");
        }
    }
    Some(items.into_iter().map(|item| Value::from(item.into_inner())).collect())
}

fn command(field: &Field<'_>) -> Option<Value> {
    let words: Vec<String> = field.texts()?.into_iter().map(toml::Spanned::into_inner).collect();
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        field.say("this command names no program", "write it like [\"/usr/local/bin/move-traffic\", \"us-west-2\"]");
        return None;
    }
    Some(Value::from(words))
}

/// The id of a region that the estate has.
pub fn region(field: &Field<'_>, regions: &[RegionId]) -> Option<RegionId> {
    let asked = field.text()?.into_inner();
    let found = regions.iter().find(|id| id.as_str() == asked).cloned();
    if found.is_none() {
        let ids: Vec<&str> = regions.iter().map(RegionId::as_str).collect();
        field.say(format!("there is no region `{}`", clean(&asked)), one_of(&asked, &ids));
    }
    found
}

/// Where a secret is kept; a secret that stands in the file is refused, and never repeated.
fn secret(field: &Field<'_>, name: &str, dir: &Path) -> Option<Value> {
    if !matches!(field.value(), DeValue::Table(_)) {
        field.say(format!("`{name}` is a secret, and a secret does not belong in a config file"), SECRET_HELP);
        return None;
    }
    let table = field.table("{ … }")?;
    let env = table.get("env").map(|it| it.text().map(|text| json!({ "env": text.into_inner() })));
    let file = table.get("file").map(|it| it.text().map(|text| json!({ "file": dir.join(text.into_inner()) })));
    let command = table.get("command").map(|it| {
        let words: Vec<String> = it.texts()?.into_iter().map(toml::Spanned::into_inner).collect();
        if words.is_empty() {
            it.say("an empty command prints nothing", SECRET_HELP);
        }
        Some(json!({ "command": words }))
    });
    table.close();
    let mut given = [env, file, command].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(place), None) => place,
        _ => {
            field.say(format!("`{name}` has to be kept in exactly one place"), SECRET_HELP);
            None
        }
    }
}

/// The engine runs in a folder of its own: a path has to be right from anywhere.
fn check_path(text: &str) -> Result<(), (String, String)> {
    if text.starts_with('/') {
        return Ok(());
    }
    let what = format!("`{}` is not an absolute path, and the engine runs somewhere else", clean(text));
    Err((what, "begin it with a /".into()))
}

/// What is wrong with a text of that type, and what to write instead.
fn check_text(ty: ParamType, text: &str) -> Result<(), (String, String)> {
    match ty {
        ParamType::Url => check_url(text),
        ParamType::Address => check_address(text),
        ParamType::Path => check_path(text),
        ParamType::Paths => match text.split(':').find(|part| !part.starts_with("~/") && check_path(part).is_err()) {
            None => Ok(()),
            Some(wrong) => check_path(wrong).map_err(|(what, _)| (what, "begin it with a / or with ~/".into())),
        },
        ParamType::Pattern => match expect::pattern(text) {
            Ok(_) => Ok(()),
            Err(error) => Err((error, "docs.rs/regex says how one is written".into())),
        },
        ParamType::Pointer => expect::pointer(text).map_err(|error| (error, String::new())),
        ParamType::Span => match text.parse::<Span>() {
            Ok(_) => Ok(()),
            Err(error) => Err((error, String::new())),
        },
        ParamType::Choice(words) if !words.contains(&text) => {
            Err((format!("`{text}` cannot be chosen"), one_of(text, words)))
        }
        _ => Ok(()),
    }
}

fn check_url(text: &str) -> Result<(), (String, String)> {
    let uri: http::Uri = match text.parse() {
        Ok(uri) => uri,
        Err(error) => {
            return Err((format!("this is not a URL: {error}"), "write it like https://host:port/path".into()));
        }
    };
    let Some(authority) = uri.authority().filter(|_| uri.scheme().is_some()) else {
        return Err(("this is not an absolute URL".into(), "write it like https://host:port/path".into()));
    };
    let scheme = uri.scheme_str().unwrap_or_default();
    if !matches!(scheme, "http" | "https") {
        return Err((format!("nothing here speaks `{}`", clean(scheme)), "write it with https:// or http://".into()));
    }
    let host = authority.host();
    let port = authority.as_str().rsplit_once(host).map_or("", |(_, rest)| rest);
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if host.is_empty() || !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
        let what = "this URL has no host, or a port that there is not".to_owned();
        return Err((what, "write it like https://host:port/path, with a port from 1 to 65535".into()));
    }
    match authority.as_str().rsplit_once('@') {
        None => Ok(()),
        Some(_) => {
            Err(("a URL in a config file cannot carry credentials".into(), "leave out what stands before the @".into()))
        }
    }
}

fn check_address(text: &str) -> Result<(), (String, String)> {
    let right = text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = !host.is_empty() && (bracketed || !host.contains([':', '/', ' ', '@']));
        plain && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if right {
        Ok(())
    } else {
        Err(("this is not an address".into(), "write it as host:port, like db.example.com:5432".into()))
    }
}

/// A list or table of texts as JSON.
fn plain(value: &DeValue<'_>) -> Result<Value, String> {
    match value {
        DeValue::String(text) => Ok(Value::from(text.as_ref())),
        DeValue::Array(items) => items.iter().map(|item| plain(item.get_ref())).collect(),
        DeValue::Table(map) => {
            let pairs = map.iter().map(|(key, item)| Ok((key.get_ref().to_string(), plain(item.get_ref())?)));
            pairs.collect::<Result<serde_json::Map<_, _>, String>>().map(Value::from)
        }
        _ => Err("holds something that is not text".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_read_as_their_type_says() {
        assert_eq!(default_value(ParamType::Integer, "5432"), Ok(json!(5432)));
        assert_eq!(default_value(ParamType::List, "[\"a\", \"b\"]"), Ok(json!(["a", "b"])));
        assert_eq!(default_value(ParamType::Map, "{ a = \"b\" }"), Ok(json!({ "a": "b" })));
        assert_eq!(default_value(ParamType::Decimal, "0.95"), Ok(json!(0.95)));
        assert_eq!(default_value(ParamType::Statuses, "2xx"), Ok(json!("2xx")));
        for (ty, wrong) in [
            (ParamType::Integer, "many"),
            (ParamType::Flag, "yes"),
            (ParamType::Span, "5"),
            (ParamType::List, "{}"),
            (ParamType::List, "[1]"),
            (ParamType::Choice(&["a"]), "b"),
            (ParamType::Secret, "x"),
            (ParamType::Decimal, "much"),
            (ParamType::Statuses, "9xx"),
            (ParamType::Pattern, "("),
            (ParamType::Pointer, "a"),
        ] {
            assert!(default_value(ty, wrong).is_err(), "{ty:?} took {wrong}");
        }
    }

    #[test]
    fn urls_are_absolute_and_carry_no_credentials() {
        for right in ["https://a.example/b?c=d", "http://[::1]:80"] {
            assert_eq!(check_url(right), Ok(()), "{right}");
        }
        for wrong in [
            "/path",
            "example.com",
            "http://user:pass@example.com/",
            "http://user@example.com/",
            "",
            "a b",
            "ftp://a.example",
            "http://127.0.0.1:99999/",
            "http://a.example:0/",
        ] {
            assert!(check_url(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for right in ["localhost:1", "10.0.0.1:65535", "[::1]:53"] {
            assert_eq!(check_address(right), Ok(()), "{right}");
        }
        for wrong in ["localhost", ":80", "a:0", "a:65536", "::1:53", "http://a:80", "a:b"] {
            assert!(check_address(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
