//! The house keeps its shape: which room may import which is a table, and the table is enforced.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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

/// These know everything.
const HALLS: &[&str] = &["main.rs", "lib.rs"];

#[test]
fn no_room_imports_what_it_must_not_know() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        if HALLS.contains(&path.as_str()) {
            continue;
        }
        let Some((room, allowed)) = ALLOWED.iter().find(|(room, _)| path.starts_with(room)) else {
            broken.push(format!("{path} is in no room of the table"));
            continue;
        };
        let own = room.split('/').next().unwrap();
        for named in rooms_named(&fs::read_to_string(&file).unwrap()) {
            if named != own && !allowed.contains(&named.as_str()) {
                broken.push(format!("{path} names crate::{named}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
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
