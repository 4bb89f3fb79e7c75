//! Themes: a palette, and what each role looks like in it. A theme is a TOML file in `themes/` and a row of [`BUILT_IN`].

use std::collections::BTreeMap;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::domain::estate::words;

/// Every theme that is built in, by name; the first is the default.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../themes/colour-blind.toml")),
    ("mono", include_str!("../../themes/mono.toml")),
];

words! {
    /// What a piece of the screen is, whatever it looks like.
    Role {
        /// What lies under everything.
        Screen = "screen",
        Text = "text",
        Strong = "strong",
        Dim = "dim",
        Faint = "faint",
        Accent = "accent",
        Good = "good",
        Warn = "warn",
        Bad = "bad",
        Unknown = "unknown",
        Busy = "busy",
        Bar = "bar",
        Rule = "rule",
        Title = "title",
        TitleFocused = "title-focused",
        Selected = "selected",
        Key = "key",
        Layer = "layer",
        LayerBorder = "layer-border",
        LayerDanger = "layer-danger",
        BadgeBad = "badge-bad",
        BadgeWarn = "badge-warn",
        BadgeArmed = "badge-armed",
        BadgeCalm = "badge-calm",
    }
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// `NO_COLOR`: attributes only.
    None,
    Sixteen,
    Indexed,
    True,
}

impl Depth {
    /// What the environment promises. `NO_COLOR` counts if it is set and not empty.
    pub fn of_environment(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        if set("NO_COLOR").is_some() || term == "dumb" {
            Self::None
        } else if set("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit") {
            Self::True
        } else if term.contains("256") || term.contains("direct") {
            Self::Indexed
        } else {
            Self::Sixteen
        }
    }
}

/// What every role looks like, on this terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    pub name: &'static str,
    styles: BTreeMap<Role, Style>,
}

impl Theme {
    /// A built-in theme. Without colours it is `mono`, whatever was asked for.
    ///
    /// # Errors
    /// When there is no theme of this name, or its file is not right.
    pub fn load(name: &str, depth: Depth) -> Result<Self, String> {
        let name = if depth == Depth::None { "mono" } else { name };
        let Some((name, _)) = BUILT_IN.iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no theme `{name}`; choose one of {}", known.join(", ")));
        };
        let file = ThemeFile::resolve(name, 0)?;
        let style = |role: &Role| {
            let spec = file.styles.get(role).ok_or_else(|| format!("theme {name} says nothing of `{role}`"))?;
            Ok((*role, spec.style(&file.palette, depth)?))
        };
        Ok(Self { name, styles: Role::ALL.iter().map(style).collect::<Result<_, String>>()? })
    }

    pub fn of(&self, role: Role) -> Style {
        self.styles.get(&role).copied().unwrap_or_default()
    }

    /// The name of the theme after this one.
    pub fn next(&self) -> &'static str {
        let at = BUILT_IN.iter().position(|(name, _)| *name == self.name).unwrap_or(0);
        BUILT_IN[(at + 1) % BUILT_IN.len()].0
    }
}

/// A theme as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThemeFile {
    /// The theme whose palette and styles count where this one is silent.
    inherits: Option<String>,
    #[serde(default)]
    palette: BTreeMap<String, Paint>,
    #[serde(default)]
    styles: BTreeMap<Role, StyleSpec>,
}

/// A colour: as it is meant, and what stands for it among the terminal's own sixteen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paint {
    rgb: String,
    ansi: String,
}

/// A role's look; colours are names of the palette.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StyleSpec {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    bold: bool,
    #[serde(default)]
    dim: bool,
    #[serde(default)]
    italic: bool,
    #[serde(default)]
    underline: bool,
    #[serde(default)]
    reverse: bool,
}

/// A theme may inherit from one that inherits, so far and no farther.
const GENERATIONS: u8 = 4;

impl ThemeFile {
    fn resolve(name: &str, generation: u8) -> Result<Self, String> {
        let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name).ok_or(format!("no theme `{name}`"))?;
        let mut file: Self = toml::from_str(text).map_err(|error| format!("theme {name}: {error}"))?;
        if let Some(parent) = &file.inherits {
            if generation == GENERATIONS {
                return Err(format!("theme {name} inherits in a circle"));
            }
            let mut whole = Self::resolve(parent, generation + 1)?;
            whole.palette.extend(std::mem::take(&mut file.palette));
            whole.styles.extend(std::mem::take(&mut file.styles));
            return Ok(whole);
        }
        Ok(file)
    }
}

impl StyleSpec {
    fn style(&self, palette: &BTreeMap<String, Paint>, depth: Depth) -> Result<Style, String> {
        let colour = |name: &Option<String>| match name {
            Some(name) => {
                palette.get(name).ok_or_else(|| format!("`{name}` is not in the palette"))?.colour(depth).map(Some)
            }
            None => Ok(None),
        };
        let mut style = Style { fg: colour(&self.fg)?, bg: colour(&self.bg)?, ..Style::default() };
        let modifiers = [
            (self.bold, Modifier::BOLD),
            (self.dim, Modifier::DIM),
            (self.italic, Modifier::ITALIC),
            (self.underline, Modifier::UNDERLINED),
            (self.reverse, Modifier::REVERSED),
        ];
        for (_, modifier) in modifiers.iter().filter(|(on, _)| *on) {
            style = style.add_modifier(*modifier);
        }
        Ok(style)
    }
}

impl Paint {
    fn colour(&self, depth: Depth) -> Result<Color, String> {
        let parse = |text: &str| Color::from_str(text).map_err(|_| format!("`{text}` is not a colour"));
        Ok(match depth {
            Depth::None => Color::Reset,
            Depth::Sixteen => parse(&self.ansi)?,
            Depth::Indexed => indexed(parse(&self.rgb)?),
            Depth::True => parse(&self.rgb)?,
        })
    }
}

/// The nearest of the 256: the colour cube, or the ramp of greys for what has no hue.
fn indexed(colour: Color) -> Color {
    let Color::Rgb(r, g, b) = colour else { return colour };
    let (low, high) = (r.min(g).min(b), r.max(g).max(b));
    if high - low < 14 {
        let grey = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
        return Color::Indexed(match grey {
            0..4 => 16,
            4..=245 => 232 + u8::try_from((grey.saturating_sub(3)) / 10).unwrap_or(23).min(23),
            _ => 231,
        });
    }
    // The steps of the cube are 0, 95, 135, 175, 215 and 255.
    let step = |value: u8| {
        if value < 48 {
            0
        } else if value < 115 {
            1
        } else {
            (value - 35) / 40
        }
    };
    Color::Indexed(16 + 36 * step(r) + 6 * step(g) + step(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTHS: [Depth; 4] = [Depth::None, Depth::Sixteen, Depth::Indexed, Depth::True];

    fn themes() -> impl Iterator<Item = (Depth, Theme)> {
        BUILT_IN
            .iter()
            .flat_map(|(name, _)| DEPTHS.iter().map(move |depth| (*depth, Theme::load(name, *depth).unwrap())))
    }

    #[test]
    fn every_file_of_the_folder_is_a_row() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("themes");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(BUILT_IN.iter().any(|(row, _)| format!("{row}.toml") == name), "{name} is not in the table");
        }
    }

    #[test]
    fn states_can_be_told_apart_in_every_theme() {
        let apart = [Role::Text, Role::Good, Role::Warn, Role::Bad];
        for (depth, theme) in themes().filter(|(depth, theme)| *depth != Depth::None && theme.name != "mono") {
            for (at, one) in apart.iter().enumerate() {
                for other in &apart[at + 1..] {
                    assert_ne!(theme.of(*one), theme.of(*other), "{} {depth:?}: {one} looks like {other}", theme.name);
                }
            }
        }
        for (_, theme) in themes() {
            for badge in [Role::BadgeBad, Role::BadgeWarn, Role::BadgeArmed, Role::Selected] {
                assert_ne!(theme.of(badge), theme.of(Role::Text), "{}: {badge} does not stand out", theme.name);
            }
        }
    }

    #[test]
    fn without_colour_nothing_is_coloured() {
        let plain = |colour: Option<Color>| colour.is_none_or(|colour| colour == Color::Reset);
        for (_, theme) in themes().filter(|(depth, theme)| *depth == Depth::None || theme.name == "mono") {
            for role in Role::ALL {
                let style = theme.of(*role);
                assert!(plain(style.fg) && plain(style.bg), "{role} is coloured in mono");
            }
        }
    }

    fn luminance(colour: Color) -> Option<f64> {
        let Color::Rgb(r, g, b) = colour else { return None };
        let linear = |value: u8| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        Some(0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b))
    }

    /// WCAG: 4.5 for what has to be read, 3 for what only accompanies it; 7 in high contrast.
    #[test]
    fn text_is_readable_on_its_background() {
        for (_, theme) in themes().filter(|(depth, _)| *depth == Depth::True) {
            let base = theme.of(Role::Screen).bg;
            for role in Role::ALL {
                let style = theme.of(*role);
                let (Some(fg), Some(bg)) = (style.fg, style.bg.or(base)) else { continue };
                let (Some(one), Some(other)) = (luminance(fg), luminance(bg)) else { continue };
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                let needed = match role {
                    Role::Rule | Role::LayerBorder => 1.2,
                    Role::Faint => 3.0,
                    _ if theme.name == "high-contrast" => 7.0,
                    _ => 4.5,
                };
                assert!(contrast >= needed, "{}: {role} has a contrast of {contrast:.1}", theme.name);
            }
        }
    }

    #[test]
    fn the_terminal_is_believed() {
        let depth = |vars: &'static [(&'static str, &'static str)]| {
            Depth::of_environment(|name| {
                vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(depth(&[("TERM", "xterm")]), Depth::Sixteen);
        assert_eq!(depth(&[("TERM", "tmux-256color")]), Depth::Indexed);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), Depth::None);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("NO_COLOR", "")]), Depth::Indexed);
    }

    #[test]
    fn an_unknown_theme_says_which_there_are() {
        assert!(Theme::load("solarized", Depth::True).unwrap_err().contains("high-contrast"));
    }

    #[test]
    fn the_nearest_of_256_is_near() {
        assert_eq!(indexed(Color::Rgb(255, 255, 255)), Color::Indexed(231));
        assert_eq!(indexed(Color::Rgb(255, 0, 0)), Color::Indexed(196));
        assert_eq!(indexed(Color::Rgb(8, 8, 8)), Color::Indexed(232));
    }
}
