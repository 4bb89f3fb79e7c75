//! Commands to be copied with the mouse: broken so that what a terminal copies, line by line, is still the same command.

use unicode_width::UnicodeWidthChar;

use super::super::format::{self, width};

/// What the shell makes of a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quote {
    #[default]
    None,
    Single,
    Double,
}

/// Lines in at most `columns`. A remark goes on as a remark; a command is broken between its words with ` \`, and within a word in a way
/// that the shell joins again.
pub fn wrap(lines: &[String], columns: usize) -> Vec<String> {
    let mut quote = Quote::None;
    let mut out = Vec::new();
    for line in lines {
        if quote == Quote::None && line.trim_start().starts_with('#') {
            out.extend(remark(line, columns));
        } else {
            quote = command(line, columns, quote, &mut out);
        }
    }
    out
}

fn remark(line: &str, columns: usize) -> Vec<String> {
    if width(line) <= columns {
        return vec![line.to_owned()];
    }
    let indent = " ".repeat(line.len() - line.trim_start().len());
    let text = line.trim_start().trim_start_matches('#');
    let room = columns.saturating_sub(width(&indent) + 2);
    format::wrap(text, room).into_iter().map(|text| format!("{indent}# {text}")).collect()
}

/// Breaks one line; says within which quotes it ends.
fn command(line: &str, columns: usize, mut quote: Quote, out: &mut Vec<String>) -> Quote {
    let mut rest = line;
    while width(rest) > columns.max(8) {
        // Room for what joins the line with the next one.
        let (at, inside, between) = cut_at(rest, columns.max(8) - 2, quote);
        let (head, tail) = rest.split_at(at);
        let (end, begin) = match inside {
            Quote::Single => ("'\\", "'"),
            Quote::None | Quote::Double => ("\\", ""),
        };
        out.push(if between { format!("{} \\", head.trim_end()) } else { format!("{head}{end}") });
        quote = inside;
        if begin.is_empty() {
            rest = tail;
            continue;
        }
        // What was closed is opened again, so what is left is one character longer: it goes on as a line of its own.
        let tail = format!("{begin}{tail}");
        return command(&tail, columns, Quote::None, out);
    }
    out.push(rest.to_owned());
    ends_in(rest, quote)
}

/// Where to break: after the last blank outside of quotes, or at the last character that fits. Says within which quotes that is, and
/// whether it is between words.
fn cut_at(text: &str, columns: usize, mut quote: Quote) -> (usize, Quote, bool) {
    let (mut used, mut escaped) = (0, false);
    let mut blank = None;
    let mut hard = (0, quote);
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        // Not between a backslash and what it stands before.
        if !escaped && at > 0 {
            hard = (at, quote);
        }
        if c == ' ' && quote == Quote::None && !escaped && !text[..at].trim().is_empty() {
            blank = Some(at + 1);
        }
        (quote, escaped) = step(quote, escaped, c);
    }
    match blank {
        Some(at) => (at, Quote::None, true),
        None if hard.0 > 0 => (hard.0, hard.1, false),
        None => (text.char_indices().nth(1).map_or(text.len(), |(at, _)| at), quote, false),
    }
}

fn step(quote: Quote, escaped: bool, c: char) -> (Quote, bool) {
    match (quote, c) {
        _ if escaped => (quote, false),
        (Quote::None | Quote::Double, '\\') => (quote, true),
        (Quote::None, '\'') => (Quote::Single, false),
        (Quote::None, '"') => (Quote::Double, false),
        (Quote::Single, '\'') | (Quote::Double, '"') => (Quote::None, false),
        _ => (quote, false),
    }
}

fn ends_in(text: &str, quote: Quote) -> Quote {
    text.chars().fold((quote, false), |(quote, escaped), c| step(quote, escaped, c)).0
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a shell makes of the arguments.
    fn arguments(script: &str) -> String {
        let script = format!("show() {{ printf '[%s]' \"$@\"; }}\n{script}\n");
        let out = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn a_remark_goes_on_as_a_remark() {
        let lines = wrap(&["  # in the standby region, where the replica is promoted".into()], 24);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.starts_with("  # ") && width(line) <= 24), "{lines:?}");
    }

    #[test]
    fn a_broken_command_is_the_same_command() {
        let commands = [
            "show promote-read-replica --db-instance-identifier gennet-db-replica --region us-west-2",
            r#"show patch zone -p '{"spec":{"replicas":12,"template":{"a b":"c"}}}' --type merge"#,
            r#"show "a long text in double quotes with \"escapes\" and a \$HOME" 'and one in single quotes'"#,
            r"show one\ word\ with\ escaped\ blanks another\\word",
            "show averylongwordwithoutanyblankthatcannotbebrokenbetweenwords",
        ];
        for command in commands {
            for columns in [12, 17, 24, 40, 80] {
                let lines = wrap(&[command.to_owned()], columns);
                assert!(lines.iter().all(|line| width(line) <= columns), "{lines:#?}");
                assert_eq!(arguments(&lines.join("\n")), arguments(command), "{columns}: {lines:#?}");
            }
        }
    }

    #[test]
    fn quotes_go_on_over_lines() {
        let lines = ["show 'first".to_owned(), "# not a remark, but text of the second line' end".to_owned()];
        let wrapped = wrap(&lines, 20);
        assert_eq!(arguments(&wrapped.join("\n")), arguments(&lines.join("\n")), "{wrapped:#?}");
    }
}
