//! Themes: a palette, and what each role looks like in it. A theme is a TOML file in `themes/` and a row of [`BUILT_IN`], or a file of
//! the operator's own. [`lint`] says whether it can be read, by whom and on what.

pub mod lint;

use std::collections::BTreeMap;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::domain::estate::words;

/// Every theme that is built in, by name; the first is the default.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../../themes/colour-blind.toml")),
    ("mono", include_str!("../../../themes/mono.toml")),
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
    pub name: String,
    styles: BTreeMap<Role, Style>,
}

impl Theme {
    pub fn of(&self, role: Role) -> Style {
        self.styles.get(&role).copied().unwrap_or_default()
    }
}

/// The themes there are: those built in, and the operator's own.
#[derive(Clone, Debug)]
pub struct Library(Vec<(String, String)>);

impl Default for Library {
    fn default() -> Self {
        Self(BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }
}

impl Library {
    /// Adds a theme. One of a name that is there takes its place, and may inherit from it.
    pub fn add(&mut self, name: String, text: String) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = text,
            None => self.0.push((name, text)),
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The name of the theme after this one.
    pub fn after(&self, name: &str) -> String {
        let at = self.names().position(|known| known == name).map_or(0, |at| at + 1);
        self.0[at % self.0.len()].0.clone()
    }

    /// A theme on a terminal of this depth. Without colours it is `mono`, whatever was asked for.
    ///
    /// # Errors
    /// When there is no theme of this name, or its file is not right.
    pub fn load(&self, name: &str, depth: Depth) -> Result<Theme, String> {
        let name = if depth == Depth::None { "mono" } else { name };
        let file = self.resolve(name)?;
        let style = |role: &Role| {
            let spec = file.styles.get(role).ok_or_else(|| format!("theme {name} says nothing of `{role}`"))?;
            Ok((*role, spec.style(&file.palette, depth).map_err(|why| format!("theme {name}, {role}: {why}"))?))
        };
        Ok(Theme { name: name.into(), styles: Role::ALL.iter().map(style).collect::<Result<_, String>>()? })
    }

    /// A theme with all that it inherits.
    fn resolve(&self, name: &str) -> Result<ThemeFile, String> {
        let Some((_, text)) = self.0.iter().find(|(known, _)| known == name) else {
            return Err(format!(
                "there is no theme `{name}`; choose one of {}",
                self.names().collect::<Vec<_>>().join(", ")
            ));
        };
        let mut whole = ThemeFile::read(name, text)?;
        let mut seen = vec![name.to_owned()];
        while let Some(parent) = whole.inherits.take() {
            let own = seen.contains(&parent);
            let found = self.0.iter().find(|(known, _)| *known == parent && !own).map(|(_, text)| text.as_str());
            // A theme that has taken the place of a built-in one inherits from that.
            let built_in = || BUILT_IN.iter().find(|(known, _)| *known == parent).map(|(_, text)| *text);
            let circle = seen.iter().filter(|known| **known == parent).count() > 1;
            let Some(text) = found.or_else(built_in).filter(|_| !circle) else {
                let why = if own { "inherits in a circle, by" } else { "inherits from a theme that is not there," };
                return Err(format!("theme {name} {why} `{parent}`"));
            };
            let older = ThemeFile::read(&parent, text)?;
            seen.push(parent);
            whole = whole.over(older);
        }
        Ok(whole)
    }
}

/// A theme as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThemeFile {
    /// The theme whose palette and styles count where this one is silent.
    inherits: Option<String>,
    /// The least contrast of what has to be read: 4.5 when left out, as WCAG AA has it; AAA is 7.
    contrast: Option<f64>,
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

impl ThemeFile {
    fn read(name: &str, text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| format!("theme {name}: {}", error.to_string().trim_end()))
    }

    /// This one where it says something, the older one where it is silent.
    fn over(self, mut older: Self) -> Self {
        older.palette.extend(self.palette);
        older.styles.extend(self.styles);
        Self { contrast: self.contrast.or(older.contrast), ..older }
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

    #[test]
    fn every_file_of_the_folder_is_a_row() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("themes");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(BUILT_IN.iter().any(|(row, _)| format!("{row}.toml") == name), "{name} is not in the table");
        }
    }

    #[test]
    fn without_colour_nothing_is_coloured() {
        let plain = |colour: Option<Color>| colour.is_none_or(|colour| colour == Color::Reset);
        let library = Library::default();
        for (name, depth) in library.names().flat_map(|name| DEPTHS.map(|depth| (name, depth))) {
            let theme = library.load(name, depth).unwrap();
            for role in Role::ALL.iter().filter(|_| depth == Depth::None || name == "mono") {
                let style = theme.of(*role);
                assert!(plain(style.fg) && plain(style.bg), "{role} is coloured in {name} at {depth:?}");
            }
        }
    }

    #[test]
    fn a_theme_of_ones_own_inherits_and_takes_places() {
        let mut library = Library::default();
        library.add("dusk".into(), "inherits = \"dark\"\n[styles]\ntext = { fg = \"amber\" }".into());
        library.add("dark".into(), "inherits = \"dark\"\n[styles]\ndim = { fg = \"red\" }".into());
        let (dusk, dark) = (library.load("dusk", Depth::True).unwrap(), library.load("dark", Depth::True).unwrap());
        let built_in = Library::default().load("dark", Depth::True).unwrap();
        assert_eq!(dusk.of(Role::Text).fg, built_in.of(Role::Warn).fg);
        assert_eq!(dusk.of(Role::Dim).fg, built_in.of(Role::Bad).fg, "what dark has become is what dusk inherits");
        assert_eq!(dark.of(Role::Text), built_in.of(Role::Text));
        assert_eq!((library.after("mono"), library.after("dusk")), ("dusk".into(), "dark".into()));
    }

    #[test]
    fn what_is_wrong_with_a_theme_is_said() {
        let wrong = |text: &str| {
            let mut library = Library::default();
            library.add("own".into(), text.into());
            library.add("other".into(), "inherits = \"own\"".into());
            library.load("own", Depth::True).unwrap_err()
        };
        assert!(wrong("inherits = \"other\"").contains("in a circle"));
        assert!(wrong("inherits = \"nobody\"").contains("`nobody`"));
        assert!(wrong("").contains("says nothing of `screen`"));
        assert!(wrong("inherits = \"dark\"\n[styles]\ntext = { fg = \"pink\" }").contains("own, text: `pink`"));
        assert!(wrong("inherits = \"dark\"\n[styles]\ntxet = {}").contains("txet"));
        assert!(Library::default().load("solarized", Depth::True).unwrap_err().contains("high-contrast"));
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
    fn the_nearest_of_256_is_near() {
        assert_eq!(indexed(Color::Rgb(255, 255, 255)), Color::Indexed(231));
        assert_eq!(indexed(Color::Rgb(255, 0, 0)), Color::Indexed(196));
        assert_eq!(indexed(Color::Rgb(8, 8, 8)), Color::Indexed(232));
    }
}
