//! Golden screens with their styles: a letter a cell, and below what each letter looks like.

use std::fmt::Write;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use crate::tui::Options;
use crate::tui::theme::Depth;

use super::scene::Scene;
use super::stage::{Stage, options};

fn dump(buffer: &Buffer) -> String {
    let mut known: Vec<(Color, Color, Modifier)> = Vec::new();
    let mut out = String::new();
    for row in buffer.content.chunks(usize::from(buffer.area.width)) {
        for cell in row {
            let style = (cell.fg, cell.bg, cell.modifier);
            let at = known.iter().position(|it| *it == style).unwrap_or_else(|| {
                known.push(style);
                known.len() - 1
            });
            out.push(char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[at]));
        }
        out.push('\n');
    }
    for (at, (fg, bg, modifier)) in known.iter().enumerate() {
        let letter = char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[at]);
        writeln!(out, "{letter} = {fg} on {bg} {modifier:?}").unwrap();
    }
    out
}

/// A name, the scene, the keys that lead there, the theme and the depth.
type Golden = (&'static str, fn() -> Scene, &'static str, &'static str, Depth);

#[test]
fn golden_screens_look_as_they_did() {
    let screens: [Golden; 4] = [
        ("dark", Scene::dark, "", "dark", Depth::True),
        ("card", Scene::gates, "Enter", "dark", Depth::True),
        ("running", Scene::running, "", "light", Depth::Sixteen),
        ("mono", Scene::running, "", "dark", Depth::None),
    ];
    for (name, scene, keys, theme, depth) in screens {
        let mut stage = Stage::with(scene(), Options { theme: theme.into(), depth, ..options() }, false);
        stage.keys(keys);
        insta::assert_snapshot!(format!("styles-{name}"), dump(&stage.buffer(80, 24)));
    }
}
