//! The words that a tired person reads: those that were tried and not understood at once do not come back.

use std::fs;
use std::path::Path;

/// What is not said, and what is said instead.
const BANNED: &[(&str, &str)] = &[
    ("ill", "down, degraded"),
    ("mend", "fix, repair"),
    ("would not do", "is too old or incomplete"),
    ("come home", "move clients back"),
    ("comes home", "moves clients back"),
    ("bring clients back", "move clients back"),
    ("what survives", "copies outside the region"),
    ("every copy lies", "all copies are in"),
    ("has to outlive", "protects against"),
    ("two histories", "the writes would split (split-brain)"),
    ("were promised, and", "Target 5 min: met."),
    ("was never verified", "was not verified"),
    ("none was given", "not given"),
    ("never timed", "have no past timing"),
    ("better times", "baseline from before"),
    ("remembers how", "baseline saved"),
    ("next word", "next update"),
    ("whose text", "next audience"),
    ("shall be done", "find an action"),
    ("nothing is called", "no match"),
    ("why open", "reason items stay open"),
    ("nuisance", "minor"),
    ("nobody-yet", "none-yet"),
    ("falls back to looking", "is view-only again"),
    ("ready to run live", "armed: every gate will ask"),
    ("is read as the worst", "is read as bad news"),
    ("burns again", "fails again"),
    ("What nobody owns", "If nobody owns it, nobody does it."),
    ("for ever", "always, never"),
    ("Once. There is no way back", "Run once. This cannot be undone."),
    ("found the cause", "we are switching to our standby site"),
    ("is not bound", "is not possible"),
    ("the way home", "moving clients back"),
    ("moves without saying", "no animation"),
    ("is sound", "is valid"),
    ("not sound", "not valid"),
    ("lately", "recently"),
    ("fares", "what became of it"),
    ("before it burns", "before an incident"),
    ("brought back yet", "moved back yet"),
];

/// Old journals say it so: it is read, and not shown.
const READ_ONLY: &str = "serde(alias";

/// Every file whose words are shown, by its path.
fn files(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        let is_shown = ["rs", "md", "toml"].iter().any(|end| path.extension().is_some_and(|it| it == *end));
        if path.is_dir() {
            if !path.ends_with("tests") {
                files(&path, found);
            }
        } else if is_shown && !path.ends_with("tests.rs") {
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Of a file of Rust: its literals line by line, and the comments that are printed as help. Tests at its end are not shown to anybody.
fn shown<'t>(name: &str, text: &'t str) -> Vec<(usize, &'t str)> {
    let help = name.contains("cli/args/");
    let end = text.find("#[cfg(test)]").filter(|_| name.ends_with(".rs")).unwrap_or(text.len());
    let (mut found, mut open) = (Vec::new(), false);
    for (line, number) in text[..end].lines().zip(1..) {
        let trimmed = line.trim_start();
        if !name.ends_with(".rs") || help && trimmed.starts_with("///") {
            found.push((number, line));
        } else if !trimmed.starts_with("//") && !trimmed.contains(READ_ONLY) {
            // What stands between two quotes; a literal goes on in the next line after a backslash.
            let pieces = line.split('"');
            let odd = usize::from(!open);
            found.extend(pieces.enumerate().filter(|(nth, _)| nth % 2 == odd).map(|(_, piece)| (number, piece)));
            open = line.ends_with('\\') && (line.matches('"').count() % 2 == 1) != open;
        }
    }
    found
}

#[test]
fn what_was_not_understood_at_once_does_not_come_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = vec![];
    for folder in ["src", "assets/messages", "assets/plans", "assets/checklists"] {
        files(&root.join(folder), &mut all);
    }
    for file in ["README.md", "config.example.toml"] {
        all.push((file.to_owned(), fs::read_to_string(root.join(file)).unwrap()));
    }
    assert!(all.len() > 200, "{} files were looked at", all.len());
    let mut wrong = Vec::new();
    for (name, text) in &all {
        for (line, piece) in shown(name, text) {
            let piece = piece.to_lowercase();
            for (banned, instead) in BANNED {
                let banned = banned.to_lowercase();
                let is_whole = |at: usize| {
                    !piece[..at].ends_with(char::is_alphabetic)
                        && !piece[at + banned.len()..].starts_with(|next: char| next.is_ascii_lowercase())
                };
                if piece.match_indices(&banned).any(|(at, _)| is_whole(at)) {
                    wrong.push(format!("{name}:{line}: `{banned}`: say `{instead}`"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn literals_and_help_are_read_and_comments_are_not() {
    let text = "// mend it\nlet it = \"mend it\";\nlet two = \"one \\\n  mend two\";\nlet ill = 3;\n#[cfg(test)]\n\"mend tests\"";
    let said: Vec<&str> = shown("a.rs", text).into_iter().map(|(_, piece)| piece).collect();
    assert_eq!(said, ["mend it", "one \\", "  mend two"]);
    assert_eq!(shown("src/cli/args/mod.rs", "/// mend it").len(), 1);
}
