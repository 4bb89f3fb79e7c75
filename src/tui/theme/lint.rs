//! Whether a theme can be read: by tired eyes, by those who see fewer colours, and on a terminal that has only sixteen.

use ratatui::style::{Color, Style};

use super::{Depth, Library, Role, Theme, ThemeFile};

/// WCAG AA for text.
const CONTRAST: f64 = 4.5;
/// For what only accompanies text.
const FAINT: f64 = 3.0;
/// For lines, which nobody reads.
const LINE: f64 = 1.2;

/// Everything that is wrong with a theme; nothing, if it is sound.
pub fn lint(library: &Library, name: &str) -> Vec<String> {
    let file = match library.resolve(name) {
        Ok(file) => file,
        Err(why) => return vec![why],
    };
    let mut found = palette(&file);
    for role in Role::ALL.iter().filter(|role| !file.styles.contains_key(role)) {
        found.push(format!("says nothing of `{role}`"));
    }
    for (role, spec) in &file.styles {
        let unknown = [&spec.fg, &spec.bg].into_iter().flatten().filter(|colour| !file.palette.contains_key(*colour));
        found.extend(unknown.map(|colour| format!("{role}: `{colour}` is not in the palette")));
    }
    if !found.is_empty() {
        return found;
    }
    for depth in [Depth::Sixteen, Depth::True] {
        match library.load(name, depth) {
            Ok(theme) => found.extend(looks(&theme, depth, file.contrast.unwrap_or(CONTRAST))),
            Err(why) => found.push(why),
        }
    }
    found
}

/// Colours that are none, or that not every terminal has.
fn palette(file: &ThemeFile) -> Vec<String> {
    let mut found = Vec::new();
    for (name, paint) in &file.palette {
        if !matches!(paint.rgb.parse::<Color>(), Ok(Color::Rgb(..))) {
            found.push(format!("palette, {name}: `{}` is no colour of the form #rrggbb", paint.rgb));
        }
        if !matches!(paint.ansi.parse::<Color>(), Ok(colour) if !matches!(colour, Color::Rgb(..) | Color::Indexed(_))) {
            found.push(format!("palette, {name}: `{}` is none of the terminal's sixteen colours", paint.ansi));
        }
    }
    found
}

fn looks(theme: &Theme, depth: Depth, needed: f64) -> Vec<String> {
    let mut found = Vec::new();
    let coloured = Role::ALL.iter().any(|role| is_colour(theme.of(*role).fg));
    if coloured {
        let apart = [Role::Text, Role::Good, Role::Warn, Role::Bad];
        for (at, one) in apart.iter().enumerate() {
            let same = apart[at + 1..].iter().filter(|other| theme.of(*one) == theme.of(**other));
            found.extend(same.map(|other| format!("{one} looks like {other} {}", where_(depth))));
        }
    }
    for badge in [Role::BadgeBad, Role::BadgeWarn, Role::BadgeArmed, Role::Selected, Role::Key] {
        if theme.of(badge) == theme.of(Role::Text) {
            found.push(format!("{badge} does not stand out {}", where_(depth)));
        }
    }
    for role in Role::ALL {
        found.extend(readable(theme, *role, depth, needed));
    }
    found
}

/// Whether what is drawn in a role can be told from what is below it.
fn readable(theme: &Theme, role: Role, depth: Depth, needed: f64) -> Option<String> {
    let base = theme.of(Role::Screen);
    let Style { fg, bg, .. } = theme.of(role);
    let (fg, bg) = (fg.or(base.fg)?, bg.or(base.bg)?);
    if depth == Depth::Sixteen {
        return (fg == bg && is_colour(Some(fg))).then(|| format!("{role} cannot be seen {}", where_(depth)));
    }
    let contrast = contrast(fg, bg)?;
    let needed = match role {
        Role::Rule | Role::LayerBorder => LINE,
        Role::Faint => FAINT,
        _ => needed,
    };
    (contrast < needed).then(|| format!("{role} has a contrast of {contrast:.1}, and needs {needed}"))
}

fn is_colour(colour: Option<Color>) -> bool {
    colour.is_some_and(|colour| colour != Color::Reset)
}

fn where_(depth: Depth) -> &'static str {
    if depth == Depth::Sixteen { "with sixteen colours" } else { "in full colour" }
}

/// The contrast of two colours, from 1 to 21: <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>.
fn contrast(one: Color, other: Color) -> Option<f64> {
    let (one, other) = (luminance(one)?, luminance(other)?);
    Some((one.max(other) + 0.05) / (one.min(other) + 0.05))
}

fn luminance(colour: Color) -> Option<f64> {
    let Color::Rgb(r, g, b) = colour else { return None };
    let linear = |value: u8| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    Some(0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_is_sound() {
        let library = Library::default();
        for name in library.names() {
            assert_eq!(lint(&library, name), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn the_contrast_is_that_of_the_standard() {
        let of = |one, other| (contrast(one, other).unwrap() * 100.0).round() / 100.0;
        assert_eq!(of(Color::Rgb(0, 0, 0), Color::Rgb(255, 255, 255)), 21.0);
        assert_eq!(of(Color::Rgb(0x77, 0x77, 0x77), Color::Rgb(255, 255, 255)), 4.48);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let wrong = |text: &str| {
            let mut library = Library::default();
            library.add("own".into(), format!("inherits = \"dark\"\n{text}"));
            lint(&library, "own").join("; ")
        };
        assert_eq!(wrong(""), "");
        assert!(wrong("palette.ink = { rgb = \"#333333\", ansi = \"reset\" }").contains("text has a contrast of 1."));
        assert!(
            wrong("palette.red = { rgb = \"#ff7b72\", ansi = \"#ff0000\" }").contains("none of the terminal's sixteen")
        );
        assert!(wrong("palette.red = { rgb = \"red\", ansi = \"red\" }").contains("#rrggbb"));
        assert!(wrong("styles.bad = { fg = \"amber\" }").contains("warn looks like bad with sixteen colours"));
        assert!(wrong("styles.bar = { fg = \"nobody\" }").contains("`nobody` is not in the palette"));
        assert!(wrong("contrast = 21.0").contains("needs 21"));
        assert!(wrong("inherits = 1").contains("own"));
    }
}
