//! For eyes, not for machines: dumps scenes with their colours, and plays one in a real terminal.

use std::fmt::Write;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::scene::Scene;
use super::stage::{Stage, options};

/// A buffer as text with SGR sequences.
fn sgr(buffer: &Buffer) -> String {
    let mut out = String::new();
    for row in buffer.content.chunks(usize::from(buffer.area.width)) {
        let mut skip = 0;
        for cell in row {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            out.push_str("\x1b[0");
            for (modifier, code) in [
                (Modifier::BOLD, ";1"),
                (Modifier::DIM, ";2"),
                (Modifier::ITALIC, ";3"),
                (Modifier::UNDERLINED, ";4"),
                (Modifier::REVERSED, ";7"),
            ] {
                if cell.modifier.contains(modifier) {
                    out.push_str(code);
                }
            }
            for (colour, base) in [(cell.fg, 38), (cell.bg, 48)] {
                if let Color::Rgb(r, g, b) = colour {
                    let _ = write!(out, ";{base};2;{r};{g};{b}");
                }
            }
            let _ = write!(out, "m{}", cell.symbol());
            skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
        }
        out.push_str("\x1b[0m\n");
    }
    out
}

/// `MAYDAY_LOOK=DIR cargo test --lib tui::tests::look -- --ignored` writes `DIR/SCENE-COLUMNS.sgr`.
#[test]
#[ignore = "for eyes: writes pictures into $MAYDAY_LOOK"]
fn dump() {
    let dir = std::env::var("MAYDAY_LOOK").unwrap();
    let theme = std::env::var("MAYDAY_THEME").unwrap_or_else(|_| "dark".into());
    type Row = (&'static str, fn() -> Scene, &'static str);
    let scenes: [Row; 21] = [
        ("peace", Scene::peace, ""),
        ("dark", Scene::dark, ""),
        ("declared", Scene::declared, ""),
        ("gates", Scene::gates, ""),
        ("blocked", Scene::blocked, ""),
        ("practised", Scene::practised, "3"),
        ("failover", Scene::practised, "3 z"),
        ("held", Scene::held, ""),
        ("incident", Scene::practised, "6 z"),
        ("timeline", Scene::practised, "5 z"),
        ("recovered", Scene::recovered, ""),
        ("told", Scene::told, "9"),
        ("checklist", Scene::walked, "0"),
        ("drills", Scene::peace, "-"),
        ("backups", Scene::peace, "7"),
        ("readiness", Scene::peace, "8"),
        ("card", Scene::running, "n Enter"),
        ("card-blocked", Scene::blocked, "n n Enter"),
        ("tell", Scene::paged, "u"),
        ("plans", Scene::declared, "A y r"),
        ("walk", Scene::walked, "w n n"),
    ];
    for (name, scene, keys) in scenes {
        let mut stage = Stage::with(scene(), crate::tui::Options { theme: theme.clone(), ..options() }, false);
        stage.keys(keys);
        for (columns, rows) in [(80, 24), (120, 40), (200, 60), (250, 70)] {
            std::fs::write(format!("{dir}/{name}-{columns}.sgr"), sgr(&stage.buffer(columns, rows))).unwrap();
        }
    }
}
