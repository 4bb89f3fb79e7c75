//! `mayday init`: a config to start from, out of what a person answered.

use std::fmt::Write;

use crate::domain::kinds::{Need, Param, ParamType};

/// The whole estate of the GenNet platform; a test makes sure that it is sound.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Where a secret is kept, as it is typed.
pub const SECRETS: &str = "env:NAME, file:PATH or command:PROGRAM ARGUMENTS";

/// Something of a kind with parameters: a datastore, a channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thing {
    pub id: String,
    pub kind: String,
    /// Of a datastore.
    pub class: Option<String>,
    /// Each with its value as TOML.
    pub params: Vec<(&'static str, String)>,
}

/// What was answered. It begins as what an estate could look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    pub name: String,
    pub primary: String,
    pub standby: String,
    pub service: String,
    pub url: String,
    /// Where the service answers in the standby region; empty where it does not.
    pub standby_url: String,
    pub store: Option<Thing>,
    pub channel: Option<Thing>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            name: "My platform".into(),
            primary: "us-east-1".into(),
            standby: "us-west-2".into(),
            service: "api".into(),
            url: "https://us-east-1.example.com/healthz".into(),
            standby_url: "https://us-west-2.example.com/healthz".into(),
            store: None,
            channel: None,
        }
    }
}

/// The config that says what was answered.
pub fn compose(answers: &Answers) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, answers);
    out
}

fn write_all(out: &mut String, answers: &Answers) -> std::fmt::Result {
    let Answers { name, primary, standby, service, url, standby_url, store, channel } = answers;
    writeln!(
        out,
        "# Mayday's config. `mayday check` says whether it is valid, `mayday config edit` changes it safely, `mayday kinds`"
    )?;
    writeln!(
        out,
        "# lists what can be watched and failed over; `mayday init --example PATH` writes a whole estate to copy from."
    )?;
    writeln!(
        out,
        "# No secret stands in here: only where it is kept, as {{ env = \"NAME\" }}, {{ file = \"path\" }} or {{ command = [\"program\"] }}."
    )?;
    writeln!(
        out,
        "\n[estate]\nname = {}\nenvironment = \"production\" # or \"test\": an estate that drills may break on purpose",
        text(name)
    )?;
    writeln!(out, "\n[objectives.rto] # from the disruption until a client is served again: put in what was promised")?;
    writeln!(out, "critical = \"5m\"\nstandard = \"15m\"\nplatform = \"30m\"")?;
    writeln!(out, "\n[objectives.rpo] # how much data may be lost")?;
    writeln!(out, "database = \"1h\"\napplication-state = \"15m\"\nuser-data = \"1h\"")?;
    for (id, role) in [(primary, "primary"), (standby, "standby")] {
        writeln!(out, "\n[[region]]\nid = {}\nrole = \"{role}\"", text(id))?;
    }
    writeln!(out, "\n[[service]]\nid = {}\ntier = \"critical\"", text(service))?;
    for (region, url) in [(primary, url), (standby, standby_url)] {
        if !url.is_empty() {
            let (region, url) = (text(region), text(url));
            writeln!(out, "\n[[service.probe]]\nkind = \"http.get\"\nregion = {region}\nurl = {url}")?;
        }
    }
    store.iter().try_for_each(|it| thing(out, "system", it))?;
    channel.iter().try_for_each(|it| thing(out, "channel", it))
}

fn thing(out: &mut String, table: &str, thing: &Thing) -> std::fmt::Result {
    writeln!(out, "\n[[{table}]]\nid = {}\nkind = {}", text(&thing.id), text(&thing.kind))?;
    if let Some(class) = &thing.class {
        writeln!(out, "class = {}", text(class))?;
    }
    thing.params.iter().try_for_each(|(name, value)| writeln!(out, "{name} = {value}"))
}

/// A text as TOML writes it.
pub fn text(value: &str) -> String {
    toml::Value::from(value).to_string()
}

/// Asked for although some do without: most have Sentinels, and are not watched by them unless they are named.
const MOSTLY: &[&str] = &["master_name", "sentinels"];

/// Whether `mayday init` asks for a parameter: what is needed, what is secret, and where there is nothing without it.
pub fn asks_for(param: &Param) -> bool {
    match (param.need, param.ty) {
        (Need::Optional, _) if MOSTLY.contains(&param.name) => true,
        (Need::Required, _) | (_, ParamType::Secret) => true,
        (Need::Default(value), ParamType::List) => value == "[]",
        _ => false,
    }
}

/// How the value of a parameter is typed, where that is not plain.
pub fn how(ty: ParamType) -> &'static str {
    match ty {
        ParamType::List | ParamType::Addresses | ParamType::Command => " (several: a, b, c)",
        ParamType::Map | ParamType::Headers | ParamType::Regions | ParamType::Numbers => " (name=value, name=value)",
        ParamType::Secret => SECRETS,
        _ => "",
    }
}

/// How the tokens begin that people paste.
const TOKENS: &[&str] = &["xoxb-", "xoxp-", "xapp-", "sk-", "ghp_", "AKIA"];

/// What is said instead of repeating a secret.
pub const NO_SECRET: &str = "this looks like a secret, and no secret stands in the config: type something else";

/// Whether a secret may have been typed, alone or as a part of something.
pub fn looks_secret(typed: &str) -> bool {
    let mut parts = typed.split(|c: char| c.is_whitespace() || ",;:=@?&'\"".contains(c));
    parts.any(|part| TOKENS.iter().any(|token| part.starts_with(token)))
}

/// The TOML for what was typed as the value of a parameter.
///
/// # Errors
/// What is wrong with it, in words. What was typed is not repeated: it may be a secret that was meant for another question.
pub fn value(ty: ParamType, typed: &str) -> Result<String, String> {
    if ty != ParamType::Secret && looks_secret(typed) {
        return Err(NO_SECRET.into());
    }
    let pair = |item: &str| item.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    let items = || typed.split(',').map(str::trim).filter(|item| !item.is_empty());
    Ok(match ty {
        ParamType::Integer => typed.parse::<i64>().map_err(|_| "this is not a whole number")?.to_string(),
        ParamType::Decimal => typed.parse::<f64>().map_err(|_| "this is not a number")?.to_string(),
        ParamType::Flag => match typed {
            "true" | "yes" | "y" => "true".into(),
            "false" | "no" | "n" => "false".into(),
            _ => return Err("say true or false".into()),
        },
        ParamType::List | ParamType::Addresses | ParamType::Command => {
            format!("[{}]", items().map(text).collect::<Vec<_>>().join(", "))
        }
        ParamType::Map | ParamType::Headers | ParamType::Regions | ParamType::Numbers => {
            let mut pairs = Vec::new();
            for item in items() {
                let (name, value) = pair(item).ok_or("this is not name=value")?;
                let value =
                    if ty == ParamType::Numbers { self::value(ParamType::Integer, &value)? } else { text(&value) };
                pairs.push(format!("{} = {value}", text(&name)));
            }
            format!("{{ {} }}", pairs.join(", "))
        }
        ParamType::Secret => secret(typed)?,
        _ => text(typed),
    })
}

/// Where a secret is kept. What looks like the secret itself is refused and not repeated.
fn secret(typed: &str) -> Result<String, String> {
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let place = if looks_secret(typed) { None } else { typed.split_once(':') };
    match place.map(|(place, rest)| (place, rest.trim())) {
        Some(("env", name)) if plain(name) => Ok(format!("{{ env = {} }}", text(name))),
        Some(("file", path)) if !path.is_empty() => Ok(format!("{{ file = {} }}", text(path))),
        Some(("command", line)) if !line.is_empty() => {
            let words: Vec<String> = line.split_whitespace().map(text).collect();
            Ok(format!("{{ command = [{}] }}", words.join(", ")))
        }
        _ => Err(format!("a secret does not stand in the config: say where it is kept, as {SECRETS}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_written_and_never_repeated() {
        let param = |typed| value(ParamType::Secret, typed);
        assert_eq!(param("env:SLACK_BOT_TOKEN").unwrap(), "{ env = \"SLACK_BOT_TOKEN\" }");
        assert_eq!(param("file:/etc/mayday/token").unwrap(), "{ file = \"/etc/mayday/token\" }");
        assert_eq!(param("command:pass show slack").unwrap(), "{ command = [\"pass\", \"show\", \"slack\"] }");
        for typed in [
            "xoxb-1234",
            "env:",
            "env:xoxb-1234",
            "env:ghp_1234",
            "env:AKIA1234",
            "file:xoxb-1234",
            "command:echo sk-1234",
            "hunter2:x",
            "file:",
            "command: ",
        ] {
            let refused = param(typed).unwrap_err();
            assert!(!refused.contains("1234") && !refused.contains("hunter2"), "{refused}");
        }
    }

    #[test]
    fn what_was_meant_for_another_question_is_never_repeated() {
        use ParamType::{Integer, List, Map, Numbers, Text, Url};
        for token in ["xoxb-1234", "xoxp-1234", "xapp-1234", "sk-1234", "ghp_1234", "AKIA1234"] {
            for ty in [Text, Url, List, Map, Numbers, Integer] {
                for typed in [
                    token.to_owned(),
                    format!("env:{token}"),
                    format!("file: {token}"),
                    format!("a=b, c={token}"),
                    format!("https://x.example/?token={token}"),
                ] {
                    assert_eq!(value(ty, &typed), Err(NO_SECRET.into()), "{ty} {typed}");
                }
            }
        }
        for (ty, said) in [(Map, "name=value"), (Numbers, "name=value"), (Integer, "whole number")] {
            let refused = value(ty, "hunter2").unwrap_err();
            assert!(refused.contains(said) && !refused.contains("hunter2"), "{refused}");
        }
        let refused = value(Numbers, "a=hunter2").unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
        for plain in ["desk-1", "task-force", "us-east-1", "https://risk-1.example/sk-1", "/etc/sk-1"] {
            assert_eq!(value(Text, plain), Ok(text(plain)));
        }
    }

    #[test]
    fn what_is_typed_becomes_toml_of_its_type() {
        assert_eq!(value(ParamType::List, "a:1, b:2 ,").unwrap(), "[\"a:1\", \"b:2\"]");
        assert_eq!(
            value(ParamType::Map, "r-1=us-east-1, r 2=\"x\"").unwrap(),
            r#"{ "r-1" = "us-east-1", "r 2" = '"x"' }"#
        );
        assert_eq!(value(ParamType::Numbers, "api=3").unwrap(), "{ \"api\" = 3 }");
        assert_eq!(
            value(ParamType::Text, "a \"b\"\\").unwrap().parse::<toml::Value>().unwrap().as_str(),
            Some("a \"b\"\\")
        );
        for (ty, typed) in
            [(ParamType::Map, "x"), (ParamType::Integer, "x"), (ParamType::Numbers, "a=b"), (ParamType::Flag, "x")]
        {
            assert!(value(ty, typed).is_err(), "{ty} {typed}");
        }
    }

    #[test]
    fn what_is_written_is_short_and_says_what_was_answered() {
        let thing = |id: &str, class: Option<&str>| Thing {
            id: id.into(),
            kind: "redis".into(),
            class: class.map(Into::into),
            params: vec![("master_name", text("cache"))],
        };
        let name = "A \"platform\"\\ \u{1b}[2J".to_owned();
        let answers = Answers {
            name,
            store: Some(thing("cache", Some("user-data"))),
            channel: Some(thing("team", None)),
            ..Answers::default()
        };
        let written = compose(&answers);
        assert!(written.lines().count() < 60, "{written}");
        let read: toml::Table = written.parse().unwrap();
        assert_eq!(read["estate"]["name"].as_str(), Some(&*answers.name));
        assert_eq!(read["system"][0]["class"].as_str(), Some("user-data"));
        assert!(!written.contains('\u{1b}'));
    }
}
