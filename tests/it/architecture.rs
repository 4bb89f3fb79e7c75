//! The house keeps its shape: which room may import which is a table, and the table is enforced. So are the floors of the domain, and
//! that no file imports another one in a circle.

mod imports;
mod tokens;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use imports::{Imports, circles, imports};

/// What each room of `src/` may name of the crate besides itself. `main.rs`, `lib.rs` and the wiring know everything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("messages", &["domain"]),
    // Templates of one's own are held against sample facts when the config is read.
    ("config", &["domain", "messages"]),
    ("outbound", &["domain"]),
    ("systems", &["domain", "outbound"]),
    ("channels", &["domain", "outbound"]),
    ("journal", &["domain"]),
    ("engine", &["domain"]),
    ("api/server", &["engine", "domain", "api"]),
    ("api", &["domain"]),
    // What is told is shown in the words of the built-in templates.
    ("tui/tests", &["api", "domain", "messages"]),
    ("tui", &["api", "domain"]),
    // `check` prints the config's mistakes, and `kinds` looks names up as the config does.
    ("cli", &["api", "config", "domain", "report"]),
    ("report", &["api", "domain"]),
    ("lab", &[]),
    (
        "wiring",
        &[
            "api", "channels", "cli", "config", "domain", "engine", "journal", "lab", "messages", "outbound", "report",
            "systems", "tui",
        ],
    ),
];

/// The floors of the domain, and what each may name besides itself. `domain` stands for the files right in it, which are beside all of
/// them.
const FLOORS: &[(&str, &[&str])] = &[
    ("domain/rule", &["domain/fact", "domain/spec", "domain"]),
    ("domain/fact", &["domain/spec", "domain"]),
    ("domain/spec", &["domain"]),
    ("domain", &[]),
];

/// What may have circles, and why.
const KNOTS: &[(&str, &str)] = &[
    ("tui/", "the cockpit's model holds its layers and panes, which draw it and change it"),
    ("lab/", "the simulated world holds the truth of every server, and every server acts on the world"),
    ("journal/", "the file, its anchor and its verification vouch for each other"),
];

/// These know everything.
const HALLS: &[&str] = &["main.rs", "lib.rs"];

#[test]
fn no_room_imports_what_it_must_not_know() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        if HALLS.contains(&path.as_str()) {
            continue;
        }
        let Some((room, allowed)) = ALLOWED.iter().find(|(room, _)| path.starts_with(room)) else {
            broken.push(format!("{path} is in no room of the table"));
            continue;
        };
        let own = room.split('/').next().unwrap();
        for named in rooms_named(&text) {
            if named != own && !allowed.contains(&named.as_str()) {
                broken.push(format!("{path} names crate::{named}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_floor_knows_only_what_is_below_it() {
    let broken = upward(&imports(&sources()));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn upward(imports: &Imports) -> Vec<String> {
    let floor = |file: &str| FLOORS.iter().find(|(floor, _)| file.starts_with(&format!("{floor}/")));
    let mut broken = Vec::new();
    for (file, needs) in imports {
        let Some((own, allowed)) = floor(file) else { continue };
        let floors = needs.iter().filter_map(|needed| Some((needed, floor(needed)?.0)));
        let wrong = floors.filter(|(_, of)| of != own && !allowed.contains(of));
        broken.extend(wrong.map(|(needed, _)| format!("{file} needs {needed}, which is above it")));
    }
    broken
}

#[test]
fn no_file_needs_itself_by_way_of_others() {
    let mut imports = imports(&sources());
    imports.retain(|file, _| !KNOTS.iter().any(|(knot, _)| file.starts_with(knot)));
    imports.iter_mut().for_each(|(file, needs)| needs.retain(|needed| !is_assembled(file, needed)));
    let found: Vec<String> = circles(&imports).iter().map(|circle| circle.join(" → ")).collect();
    assert!(found.is_empty(), "these go in a circle:\n{}", found.join("\n"));
}

/// Outside of the domain a folder's own file may put together what lies in the folder, which is made of what that file defines: a
/// system's connection, and the table of its steps.
fn is_assembled(file: &str, needed: &str) -> bool {
    let folder = file.strip_suffix("mod.rs").map_or_else(|| file.replace(".rs", "/"), str::to_owned);
    !file.starts_with("domain/") && needed.starts_with(&folder)
}

/// Tests of a file may use what they like, so the text from its `mod tests` on does not count.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let rests = code.match_indices("crate::").map(|(at, found)| &code[at + found.len()..]);
    rests.flat_map(first_names).collect()
}

/// `domain` of `domain::time::At`, and `engine` and `api` of `{engine::{a, b}, api}`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let (mut depth, mut names, mut start) = (0usize, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
        if c == '}' && start == at + 1 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn every_rule_has_a_number_of_its_own() {
    let decides = sources().into_iter().filter(|(path, _)| path.starts_with("domain/rule/decide/"));
    let numbers = |text: &str| -> Vec<usize> {
        text.split("**Rule ").skip(1).map(|rest| rest.split('.').next().unwrap().parse().unwrap()).collect()
    };
    let mut found: Vec<usize> = decides.flat_map(|(_, text)| numbers(&text)).collect();
    found.sort_unstable();
    assert!(found.len() > 40, "{found:?}");
    assert_eq!(found, (1..=found.len()).collect::<Vec<_>>());
}

/// Every file of `src/`, by its path there.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let path = |file: &Path| file.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
    rust_files(&src).iter().map(|file| (path(file), fs::read_to_string(file).unwrap())).collect()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| match path.is_dir() {
        true => rust_files(&path),
        false => vec![path],
    });
    files.filter(|path| path.extension().is_some_and(|ext| ext == "rs")).collect()
}

#[test]
fn the_scan_sees_what_it_looks_for() {
    let text = "use crate::domain::time::At;\n// crate::nothing\nuse crate::{\n    engine::{a, b},\n    api,\n};\nfn f() { crate::lab::g(); (x, y) }\n\n#[cfg(test)]\nmod tests { use crate::tui; }";
    assert_eq!(rooms_named(text).into_iter().collect::<Vec<_>>(), ["api", "domain", "engine", "lab"]);
}

fn house(files: &[(&str, &str)]) -> Imports {
    imports(&files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect::<Vec<_>>())
}

fn needs<'i>(imports: &'i Imports, file: &str) -> Vec<&'i str> {
    imports[file].iter().map(String::as_str).collect()
}

#[test]
fn a_name_counts_for_the_file_that_defines_it() {
    let house = house(&[
        ("lib.rs", "pub mod domain; mod shop;"),
        ("domain/mod.rs", "pub mod spec; pub mod fact; pub mod health { pub use super::fact::*; }"),
        ("domain/spec.rs", "words! { /// A doc {\n Tier { A = \"a\", } }\nmacro_rules! m { () => {} }"),
        ("domain/fact.rs", "use super::spec::Tier;\n#[derive(Clone)]\npub struct Status<'a>(&'a Tier);"),
        ("shop/mod.rs", "mod till; mod shelf;\npub use till::{Till as Desk, open};\npub struct Sign;\nfn f() {}"),
        (
            "shop/till.rs",
            "use crate::{domain::health::Status, nothing::Of};\npub struct Till;\npub fn open(_: super::Sign) {}",
        ),
        (
            "shop/shelf.rs",
            "fn f(x: &str) { super::open(x.Desk); let _ = '\\''; g(\"super::Sign\") }\n\
             #[cfg(test)]\nmod tests { use crate::domain::spec::Tier; }\n#[cfg(test)]\nuse super::Sign;",
        ),
    ]);
    assert_eq!(needs(&house, "domain/fact.rs"), ["domain/spec.rs"]);
    assert_eq!(needs(&house, "shop/till.rs"), ["domain/fact.rs", "shop/mod.rs"], "through the re-export");
    assert!(needs(&house, "shop/mod.rs").is_empty(), "what is only handed on is not needed");
    assert_eq!(needs(&house, "shop/shelf.rs"), ["shop/till.rs"], "texts, fields and tests do not count");
    assert!(circles(&house).is_empty());
}

#[test]
fn a_circle_and_an_upward_look_are_found() {
    let house = house(&[
        ("lib.rs", "mod domain;"),
        ("domain/mod.rs", "mod spec; mod fact; mod rule; mod time; use rule::State; fn f(_: State) {}"),
        ("domain/spec/mod.rs", "mod a; mod b; mod c;"),
        ("domain/spec/a.rs", "use super::b::B; pub struct A;"),
        ("domain/spec/b.rs", "use super::c; pub struct B; fn f() { c::g() }"),
        ("domain/spec/c.rs", "pub fn g() -> super::a::A { todo!() }"),
        ("domain/fact/mod.rs", "pub struct Fact(crate::domain::time::At);"),
        ("domain/rule/mod.rs", "use super::fact::Fact; pub struct State(Fact);"),
        ("domain/time.rs", "pub type At = u8;"),
    ]);
    assert_eq!(circles(&house), [["domain/spec/a.rs", "domain/spec/b.rs", "domain/spec/c.rs"]]);
    assert_eq!(upward(&house), ["domain/mod.rs needs domain/rule/mod.rs, which is above it"]);
    assert!(is_assembled("shop/mod.rs", "shop/till.rs") && is_assembled("shop.rs", "shop/till.rs"));
    assert!(!is_assembled("shop/till.rs", "shop/mod.rs") && !is_assembled("domain/mod.rs", "domain/time.rs"));
}
