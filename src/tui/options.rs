//! How the cockpit is to look and behave.

use jiff::tz::TimeZone;

use super::theme::{Depth, Library};

/// How the cockpit is to look and behave.
#[derive(Clone, Debug)]
pub struct Options {
    pub theme: String,
    pub depth: Depth,
    /// Only ASCII is drawn.
    pub ascii: bool,
    pub mouse: bool,
    /// No animation: no history of latencies, no big digits.
    pub reduced_motion: bool,
    /// The themes there are.
    pub themes: Library,
    /// Said when the cockpit opens.
    pub notice: Option<String>,
    /// Where the operator is.
    pub zone: TimeZone,
    /// Where the engine keeps things, a line each: for the help.
    pub about: Vec<String>,
    /// What there is to know of this engine besides: for the help, and above the timeline.
    pub told: Vec<String>,
}

impl Options {
    /// What the environment asks for: `NO_COLOR`, `COLORTERM`, `TERM`, the locale, `TZ`.
    pub fn of_environment() -> Self {
        let var = |name: &str| std::env::var(name).ok();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| var(name).filter(|it| !it.is_empty()));
        let utf8 = locale.is_some_and(|it| it.to_ascii_lowercase().replace('-', "").contains("utf8"));
        Self {
            theme: "dark".into(),
            depth: Depth::of_environment(var),
            ascii: !utf8,
            mouse: false,
            reduced_motion: false,
            themes: Library::default(),
            notice: None,
            zone: TimeZone::system(),
            about: Vec::new(),
            told: Vec::new(),
        }
    }
}
