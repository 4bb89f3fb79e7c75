//! The texts of messages: a template for each purpose and audience, built in and overridable, held against sample facts at the start so
//! that none of them fails when it is needed. Nothing in here reads anything but files of templates.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use crate::domain::comms::{
    Audience, Clock, Component, Duty, Facts, HandOver, LossFacts, Purpose, RunFacts, Text, Wording,
};

/// The most work that a template may make, in instructions: far more than any text needs.
const FUEL: u64 = 100_000;

macro_rules! templates {
    ($($purpose:ident $audience:ident $file:literal;)+) => {
        /// Every text that may be needed, with its built-in template.
        const TABLE: &[(Purpose, Audience, &str, &str)] = &[$((
            Purpose::$purpose,
            Audience::$audience,
            $file,
            include_str!(concat!("../../assets/messages/", $file)),
        )),+];
    };
}

templates! {
    Page Internal "page.internal.md";
    Acknowledge Internal "acknowledge.internal.md";
    Investigating Internal "investigating.internal.md";
    Investigating Public "investigating.public.md";
    Investigating Customers "investigating.customers.md";
    Identified Internal "identified.internal.md";
    Identified Public "identified.public.md";
    Identified Customers "identified.customers.md";
    Monitoring Internal "monitoring.internal.md";
    Monitoring Public "monitoring.public.md";
    Monitoring Customers "monitoring.customers.md";
    Resolved Internal "resolved.internal.md";
    Resolved Public "resolved.public.md";
    Resolved Customers "resolved.customers.md";
    Handoff Internal "handoff.internal.md";
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub file: PathBuf,
    /// From 1; `None` for the file as a whole.
    pub line: Option<usize>,
    /// That line as it stands in the file.
    pub text: String,
    pub what: String,
    pub help: String,
}

/// The templates, by name. Those that a folder does not hold are the built-in ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    own: BTreeMap<&'static str, String>,
}

impl Templates {
    /// Reads the templates of a folder, each by `read`, and holds every one against sample facts.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(dir: &Path, read: impl Fn(&Path) -> io::Result<String>) -> Result<Self, Vec<Wrong>> {
        let whole = |file: &Path, what: String, help: &str| Wrong {
            file: file.to_owned(),
            line: None,
            text: String::new(),
            what,
            help: help.into(),
        };
        let mut wrong = Vec::new();
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => return Err(vec![whole(dir, format!("the folder of templates cannot be read: {error}"), "")]),
        };
        let names: Vec<&str> = TABLE.iter().map(|(.., name, _)| *name).collect();
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // Hidden ones are an editor's.
            let offered = path.extension().is_some_and(|it| it == "md") && !name.starts_with('.');
            if offered && !names.contains(&name.as_ref()) {
                let help = format!("they are called {}", names.join(", "));
                wrong.push(whole(&path, "no message has a template of this name".into(), &help));
            }
        }
        let mut own = BTreeMap::new();
        for (.., name, _) in TABLE {
            match read(&dir.join(name)) {
                Ok(text) => {
                    own.insert(*name, text);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => wrong.push(whole(&dir.join(name), format!("it cannot be read: {error}"), "")),
            }
        }
        let templates = Self { own };
        wrong.extend(templates.own.keys().filter_map(|name| templates.check(name).map(|it| it.at(dir, name))));
        if wrong.is_empty() { Ok(templates) } else { Err(wrong) }
    }

    fn source(&self, name: &str) -> Option<&str> {
        let built_in = TABLE.iter().find(|(.., known, _)| *known == name).map(|(.., text)| *text);
        self.own.get(name).map(String::as_str).or(built_in)
    }

    /// What is wrong with one of them, if anything: it is written for every kind of facts.
    fn check(&self, name: &str) -> Option<Fault> {
        samples().iter().find_map(|facts| self.render(name, facts).err())
    }

    fn render(&self, name: &str, facts: &Facts) -> Result<Text, Fault> {
        let source = self.source(name).unwrap_or_default();
        let line = |line: usize| source.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned();
        let fault = |error: minijinja::Error| {
            let what = error.detail().map_or_else(|| error.kind().to_string(), |it| format!("{}: {it}", error.kind()));
            Fault { line: error.line(), text: error.line().map(line).unwrap_or_default(), what }
        };
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(fault)?);
        environment.set_fuel(Some(FUEL));
        let template = environment.template_from_named_str(name, source).map_err(fault)?;
        let whole = template.render(Serde(facts)).map_err(fault)?;
        let (first, rest) = whole.trim_start().split_once('\n').unwrap_or((whole.as_str(), ""));
        let whole = |what: &str| Fault { line: Some(1), text: line(1), what: what.into() };
        let subject = first.strip_prefix("Subject:").ok_or_else(|| whole("it has to begin with `Subject:`"))?.trim();
        if subject.is_empty() || rest.trim().is_empty() {
            return Err(whole("it writes no subject or no text"));
        }
        Ok(Text { subject: subject.into(), body: tidy(rest) })
    }
}

/// What is wrong within a template.
struct Fault {
    line: Option<usize>,
    text: String,
    what: String,
}

impl Fault {
    fn at(self, dir: &Path, name: &str) -> Wrong {
        let Self { line, text, what } = self;
        Wrong { file: dir.join(name), line, text, what, help: "README lists what a template can use".into() }
    }
}

/// At most one empty line at a time, none at the ends.
fn tidy(text: &str) -> String {
    let mut out = String::new();
    for line in text.trim().lines().map(str::trim_end) {
        if line.is_empty() && (out.is_empty() || out.ends_with("\n\n")) {
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out.trim_end().to_owned()
}

impl Wording for Templates {
    /// A template that fails after all (an own one, with facts that the samples did not have) gives way to the built-in one: that
    /// somebody is told is worth more than the words.
    fn write(&self, purpose: Purpose, audience: Audience, facts: &Facts) -> Text {
        let row = TABLE.iter().find(|(of, to, ..)| (*of, *to) == (purpose, audience));
        let Some((.., name, _)) = row else { return crate::domain::comms::Bare.write(purpose, audience, facts) };
        let text = self.render(name, facts).or_else(|_| Self::default().render(name, facts));
        text.unwrap_or_else(|_| crate::domain::comms::Bare.write(purpose, audience, facts))
    }
}

/// Facts as they may be: nothing known, and everything known.
fn samples() -> [Facts; 2] {
    let text = |text: &str| text.to_owned();
    let full = Facts {
        estate: text("Example"),
        incident: text("INC-20260101-1"),
        title: text("the region is dark"),
        severity: text("sev1"),
        phase: text("mitigating"),
        drill: true,
        purpose: text("identified"),
        now: text("14:05 UTC"),
        declared: text("14:00 UTC"),
        lasting: text("6 min 10 s"),
        region: text("us-east-1"),
        serving: text("us-east-1"),
        down: vec![text("API")],
        impaired: vec![text("Web portal")],
        components: vec![
            Component { name: text("API"), status: text("major outage"), affected: true },
            Component { name: text("Web"), status: text("operational"), affected: false },
        ],
        commander: text("ann"),
        lead: text("ben"),
        acknowledged: text("ann"),
        run: Some(RunFacts {
            id: text("INC-20260101-1.1"),
            plan: text("Regional failover"),
            done: 3,
            steps: 12,
            step: text("Promote the replica (gated)"),
            detail: text("waits"),
            ended: false,
            mode: text("live"),
            moves: true,
        }),
        clocks: vec![Clock {
            tier: text("critical"),
            elapsed: text("6 min 10 s"),
            target: text("5 min"),
            standing: text("OVER"),
        }],
        losses: vec![LossFacts { class: text("database"), lost: text("about 42s (estimated)"), target: text("1 h") }],
        next_update: text("14:20 UTC"),
        note: text("a note"),
        hand_over: Some(HandOver { duty: Duty::Command, to: text("ben") }),
        escalated: true,
    };
    let bare = Facts { estate: text("Example"), incident: text("INC-1"), title: text("a title"), ..Facts::default() };
    [bare, full]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_a_text_for_everyone_who_hears_of_it() {
        for purpose in Purpose::ALL {
            for audience in crate::domain::comms::audiences(*purpose) {
                assert!(TABLE.iter().any(|(of, to, ..)| (of, to) == (purpose, audience)), "{purpose} for {audience}");
            }
        }
        for (.., name, _) in TABLE {
            assert!(
                Templates::default().check(name).is_none(),
                "{name}: {}",
                Templates::default().check(name).unwrap().what
            );
        }
    }

    #[test]
    fn nothing_internal_is_told_outside() {
        let [_, full] = samples();
        for (purpose, audience, name, _) in TABLE.iter().filter(|(_, audience, ..)| *audience != Audience::Internal) {
            let text = Templates::default().write(*purpose, *audience, &full);
            let said = format!("{} {}", text.subject, text.body);
            for internal in ["us-east-1", "replica", "Promote", "ann", "ben", "estimated", "sev1", "failover", "INC-"] {
                assert!(!said.contains(internal), "{name} tells {internal:?}: {said}");
            }
        }
    }

    #[test]
    fn own_templates_are_held_against_sample_facts_and_mistakes_have_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("page.internal.md", "Subject: {{ title }}\n\nOurs: {{ incident }}");
        write(".#page.internal.md", "an editor's");
        let read = |path: &Path| fs::read_to_string(path);
        let own = Templates::load(dir.path(), read).unwrap();
        let [_, full] = samples();
        assert_eq!(own.write(Purpose::Page, Audience::Internal, &full).body, "Ours: INC-20260101-1");
        write("page.internal.md", "Subject: x\n\n{{ titel }}");
        write("pages.md", "x");
        write("resolved.public.md", "no subject");
        let wrong = Templates::load(dir.path(), read).unwrap_err();
        let said: Vec<_> = wrong.iter().map(|it| (it.line, it.what.as_str())).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(wrong.iter().any(|it| it.line == Some(3) && it.text == "{{ titel }}"), "{wrong:?}");
        assert!(said.iter().any(|(line, what)| line.is_none() && what.contains("no message")), "{said:?}");
    }
}
