//! Big digits, three rows high: a clock that is read from the other end of the room.

const FONT: &[(char, [&str; 3])] = &[
    ('0', ["█▀█", "█ █", "▀▀▀"]),
    ('1', ["▀█ ", " █ ", "▀▀▀"]),
    ('2', ["▀▀█", "█▀▀", "▀▀▀"]),
    ('3', ["▀▀█", " ▀█", "▀▀▀"]),
    ('4', ["█ █", "▀▀█", "  ▀"]),
    ('5', ["█▀▀", "▀▀█", "▀▀▀"]),
    ('6', ["█▀▀", "█▀█", "▀▀▀"]),
    ('7', ["▀▀█", "  █", "  ▀"]),
    ('8', ["█▀█", "█▀█", "▀▀▀"]),
    ('9', ["█▀█", "▀▀█", "▀▀▀"]),
    (':', ["▄", "▄", " "]),
    ('-', ["  ", "▀▀", "  "]),
    ('+', [" ▄ ", "▀█▀", "   "]),
];

/// The three rows of a text of digits; what has no glyph is left out.
pub fn rows(text: &str) -> [String; 3] {
    let glyphs: Vec<&[&str; 3]> =
        text.chars().filter_map(|c| FONT.iter().find(|(d, _)| *d == c)).map(|(_, g)| g).collect();
    [0, 1, 2].map(|row| glyphs.iter().map(|glyph| glyph[row]).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_equally_wide() {
        let rows = rows("-01:23456:789+");
        assert!(rows.iter().all(|row| row.chars().count() == rows[0].chars().count()));
    }
}
