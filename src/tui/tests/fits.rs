//! Whatever is shown, on whatever screen, dark or light: no two texts touch, what is cut says so, and what decides is never cut.
//!
//! The scenes are the usual ones with other words in them: every word begins with one letter and ends with another, and those occur
//! nowhere else, so that a screen shows by itself where a word was cut and what it touches.

use ratatui::buffer::{Buffer, Cell};
use serde_json::Value;

use crate::domain::estate::Tier;
use crate::domain::time::Span;
use crate::domain::verdict;
use crate::tui::app::Options;
use crate::tui::format::{clock, width};
use crate::tui::layers::shell;
use crate::tui::panes::Pane;
use crate::tui::theme::Depth;

use super::estate::{EAST, WEST};
use super::scene::Scene;
use super::stage::{Stage, options, text};

const SIZES: [(u16, u16); 12] = [
    (60, 16),
    (70, 20),
    (80, 24),
    (90, 25),
    (100, 30),
    (107, 33),
    (120, 40),
    (140, 45),
    (160, 50),
    (180, 40),
    (200, 60),
    (250, 70),
];

/// Names that differ only at their ends.
const REGIONS: [&str; 2] = ["ap-northeast-1", "ap-northeast-2"];
const LONG: &str =
    "Жжжжжжщ Жжжжщ 始中中終 Жжщ Жжжжжжжщ Жжжщ 🔥 始中終 Жжжжжщ Жжжжжщ Жжжжжщ Жжжжжжщ Жжжжщ Жжжжжжщ Жжжжщ";

/// What is said instead of what, where it is the whole of a text or of a key.
const NAMES: [(&str, &str); 20] = [
    ("gennet", "Жжжжщ-Жжжщ"),
    ("api-gateway", "Жжжжщ-Жжжжжщ-Жжжжжщ-1"),
    ("auth", "Жжжжщ-Жжжжжщ-Жжжжжщ-2"),
    ("grn-engine", "始中中終-始中終-3"),
    ("workflow", "Жжжжжщ"),
    ("graph", "Жжжжщ-Жжжжжщ-Жжжжжщ-Жжжщ"),
    ("cache", "始中中中終-始中終"),
    ("gennet-db-replica", "Жжжжщ-Жжжжжщ-Жжжжжщ-Жжжжщ-Жжщ-2"),
    ("neo4j-2", "Жжжжщ-始中中終-Жжжжжщ-Жжжжщ-Жжщ-2"),
    ("promote-database", "Жжжжжжщ-Жжжжщ-Жжжжжщ-Жжжжжжщ-1"),
    ("promote-cache", "Жжжжжжщ-Жжжжщ-Жжжжжщ-Жжжжжжщ-2"),
    ("fence-primary", "始中中中終-始中終-始中中終"),
    ("measure-database", "Жжжжжщ-Жжжжжжщ-Жжжжжжщ"),
    ("regional-failover", "Жжжжжжщ-Жжжжщ-Жжжжжщ-Жжжжжжщ-Жжжщ"),
    ("status-page", "Жжжжщ-Жжжжжщ-Жжжщ-Жжжщ"),
    ("db-snapshots", "Жжжжщ-Жжжжжщ-Жжжжжщ-Жжжжжщ"),
    ("alice", "Жжжжщ-Жжжжжщ"),
    ("data-integrity", "Жжжжщ-Жжжжжщ-Жжжжщ"),
    ("Ada Okafor", "Жжжщ Жжжжжжщ-Жжжжщ 始終"),
    ("services-healthy", "Жжжжщ-Жжжщ"),
];

/// Where it is part of a text.
const TEXTS: [(&str, &str); 8] = [
    ("Promote the database", LONG),
    ("no answer in 2 s", LONG),
    ("All services healthy", LONG),
    ("route53:ChangeResourceRecordSets is denied", LONG),
    ("the old writer does not answer", LONG),
    ("When us-east-1 is unavailable", LONG),
    ("available, multi-AZ us-east-1a", LONG),
    ("PromoteReadReplica accepted", LONG),
];

fn said(text: &str) -> String {
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == text) {
        return (*name).to_owned();
    }
    let text = TEXTS.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    let text = text.replace(EAST, REGIONS[0]).replace(WEST, REGIONS[1]);
    // A probe is named after what it looks at.
    match text.split_once('@') {
        Some((what, region)) => format!("{}@{region}", said(what)),
        None => text,
    }
}

fn swap(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(said(&text)),
        Value::Array(all) => all.into_iter().map(swap).collect(),
        Value::Object(all) => all.into_iter().map(|(key, value)| (said(&key), swap(value))).collect(),
        other => other,
    }
}

/// The scene in other words, with clocks that take long.
fn crowded(mut scene: Scene) -> Scene {
    let swapped = |value: Result<Value, serde_json::Error>| swap(value.unwrap());
    scene.snap = serde_json::from_value(swapped(serde_json::to_value(&scene.snap))).unwrap();
    scene.records = serde_json::from_value(swapped(serde_json::to_value(&scene.records))).unwrap();
    let estate = std::sync::Arc::make_mut(&mut scene.snap.estate);
    estate.objectives.rto = [(Tier::Critical, 3600), (Tier::Standard, 4 * 3600), (Tier::Platform, 36 * 3600)]
        .map(|(tier, secs)| (tier, Span::secs(secs)))
        .into();
    if let Some(incident) = &mut scene.snap.state.incident {
        incident.title = format!("{} is down: {LONG}", REGIONS[0]);
    }
    scene
}

const BEGINS: &str = "Ж始";
const WITHIN: &str = "ж中";
const ENDS: &str = "щ終";

/// What is wrong with the words of a row: cut without saying so, or touching another text. What a layer covers may end anywhere beside
/// its border.
fn wrong(row: &str, covered: bool) -> Option<String> {
    let letters: Vec<char> = row.chars().collect();
    let of = |at: Option<usize>| at.and_then(|at| letters.get(at)).copied().unwrap_or(' ');
    let border = |next: Option<&char>| covered && next.is_some_and(|next| "│╭╮╰╯".contains(*next));
    // Half of a wide character is a blank, too.
    let ends = |at: usize| border(letters[at + 1..].iter().take(3).find(|next| **next != ' '));
    let begins = |at: usize| border(letters[..at].iter().rev().take(3).find(|next| **next != ' '));
    for (at, c) in letters.iter().enumerate() {
        let (before, after) = (of(at.checked_sub(1)), of(Some(at + 1)));
        let goes_on = |c: char| c == '…' || WITHIN.contains(c);
        let comes = goes_on(before) || BEGINS.contains(before) || (before == ' ' && begins(at));
        let goes = goes_on(after) || ENDS.contains(after) || (after == ' ' && ends(at));
        let sound = match *c {
            c if BEGINS.contains(c) => !before.is_alphanumeric() && goes,
            c if WITHIN.contains(c) => comes && goes,
            c if ENDS.contains(c) => comes && !after.is_alphanumeric(),
            _ => true,
        };
        if !sound {
            let around: String = letters[at.saturating_sub(12)..(at + 12).min(letters.len())].iter().collect();
            return Some(format!("`{c}` in `{around}`"));
        }
    }
    None
}

/// Two texts of different kinds, by their colours, without a blank between them.
fn touching(buffer: &Buffer) -> Option<String> {
    let columns = usize::from(buffer.area.width);
    let letter = |cell: &Cell| cell.symbol().chars().all(char::is_alphanumeric) && !cell.symbol().is_empty();
    buffer.content.chunks(columns).find_map(|row| {
        let pairs = row.windows(2).position(|pair| {
            let [one, other] = pair else { return false };
            let alike = (one.fg, one.bg) == (other.fg, other.bg);
            letter(one) && width(one.symbol()) == 1 && letter(other) && !alike
        });
        pairs.map(|at| row[at.saturating_sub(12)..(at + 12).min(columns)].iter().map(Cell::symbol).collect())
    })
}

/// So many of the sizes are drawn of each thing, in turn: a debug build draws some twenty screens a second.
const IN_TURN: usize = 3;

/// Everything that is wrong on any screen; with the first of them as it looks.
#[derive(Default)]
struct Faults {
    found: Vec<String>,
    looks: usize,
}

impl Faults {
    fn look(&mut self, stage: &mut Stage, what: &str) {
        self.looks += 1;
        for nth in 0..IN_TURN {
            // Three that lie far apart, the next ones the next time: small and large screens of everything, every size of something.
            let (columns, rows) = SIZES[(self.looks + nth * SIZES.len() / IN_TURN) % SIZES.len()];
            let buffer = stage.wear("dark").buffer(columns, rows);
            let shown = text(&buffer);
            let covered = !stage.app.layers.is_empty();
            let words = shown.lines().find_map(|row| wrong(row, covered));
            let light = (nth == self.looks % IN_TURN).then(|| stage.wear("light").buffer(columns, rows));
            let same = light.as_ref().filter(|light| text(light) != shown);
            let same = same.map(|_| "the light theme says something else".to_owned());
            let touching = std::iter::once(&buffer).chain(&light).find_map(touching);
            let touching = touching.map(|around| format!("two texts touch in `{around}`"));
            for fault in [words, touching, same, undecided(stage, &shown)].into_iter().flatten() {
                let picture = if self.found.is_empty() { format!("\n{shown}") } else { String::new() };
                self.found.push(format!("{what} at {columns}x{rows}: {fault}{picture}"));
            }
        }
    }

    fn none(self) {
        assert!(self.found.is_empty(), "{} faults\n{}", self.found.len(), self.found.join("\n"));
    }
}

/// What is not seen of what decides: which region, how bad, and how long is left, tier by tier.
fn undecided(stage: &Stage, text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    let snap = stage.app.mirror.as_ref().unwrap();
    let serving = snap.state.serving(&snap.estate);
    if !first.contains(serving.as_str()) {
        return Some(format!("the region is not in `{first}`"));
    }
    let incident = snap.state.incident.as_ref()?;
    if !first.contains("SEV1") {
        return Some(format!("how bad it is, is not in `{first}`"));
    }
    let clocks: Vec<&str> = text.lines().skip(1).take(5).collect();
    let verdicts = verdict::rto(&snap.estate, incident, stage.app.now());
    let open = verdicts.iter().filter(|verdict| !verdict.recovered);
    let words = open.map(|verdict| match verdict.target - verdict.elapsed.unwrap() {
        left if left < 0.0 => format!("OVER {}", clock(-left)),
        left => format!("{} left", clock(left)),
    });
    words.enumerate().find_map(|(nth, words)| {
        let cut = (nth == 0 && !first.contains(&words)) || !clocks.iter().any(|row| row.contains(&words));
        cut.then(|| format!("`{words}` is cut in `{first}` or {clocks:?}"))
    })
}

type Made = (&'static str, fn() -> Scene);

const SCENES: [Made; 9] = [
    ("peace", Scene::peace),
    ("alerted", Scene::alerted),
    ("dark", Scene::dark),
    ("gates", Scene::gates),
    ("practised", Scene::practised),
    ("blocked", Scene::blocked),
    ("held", Scene::held),
    ("walked", Scene::walked),
    ("told", Scene::told),
];

#[test]
fn every_pane_fits_on_every_screen() {
    let mut faults = Faults::default();
    for (name, scene) in SCENES {
        for pane in Pane::ALL {
            let mut stage = Stage::new(crowded(scene()));
            stage.keys(pane.key());
            faults.look(&mut stage, &format!("{name}, {pane}"));
            stage.keys("z");
            faults.look(&mut stage, &format!("{name}, {pane} alone"));
        }
    }
    faults.none();
}

#[test]
fn every_layer_fits_on_every_screen() {
    let mut faults = Faults::default();
    for (name, scene) in SCENES {
        for keys in [
            "Enter",
            "?",
            "o",
            "D",
            "r",
            "u",
            "u Tab",
            "S",
            "H",
            "w",
            "w n",
            "w n n",
            "w n n n",
            "W",
            "R",
            "C",
            "n Enter c",
            "X",
            "b",
        ] {
            let mut stage = Stage::new(crowded(scene()));
            stage.keys(keys);
            faults.look(&mut stage, &format!("{name}, {keys}"));
        }
    }
    faults.none();
}

/// When the promise is broken, and long after.
#[test]
fn an_overdue_clock_is_never_cut() {
    let mut faults = Faults::default();
    for hours in [2, 40] {
        let mut scene = Scene::practised();
        scene.pass(hours * 3600);
        let mut stage = Stage::new(crowded(scene));
        faults.look(&mut stage, &format!("after {hours} hours"));
    }
    faults.none();
}

#[test]
fn a_lost_engine_takes_nothing_from_the_headline() {
    let mut stage = Stage::new(crowded(Scene::held()));
    stage.send(crate::tui::app::Msg::Arrival(crate::tui::connection::Arrival::Lost { why: LONG.into() }));
    for _ in 0..100 {
        stage.at = crate::domain::time::after(stage.at, std::time::Duration::from_secs(1));
    }
    stage.send(crate::tui::app::Msg::Tick);
    let mut faults = Faults::default();
    faults.look(&mut stage, "lost");
    faults.none();
    for (columns, rows) in SIZES {
        let text = stage.text(columns, rows);
        assert!(text.lines().next().unwrap().contains("LOST"), "{text}");
    }
}

/// Where nothing else has room: which region, and how long is left.
#[test]
fn a_screen_that_is_too_small_still_says_what_burns() {
    let stage = Stage::new(Scene::running());
    for (columns, rows) in [(59, 24), (40, 10), (20, 6), (80, 15)] {
        let text = stage.text(columns, rows);
        assert!(
            text.contains(EAST) && text.contains("DOWN") && text.contains("4:13 left"),
            "{columns}x{rows}:\n{text}"
        );
    }
    assert!(stage.text(59, 15).contains("Mayday needs 60 x 16 cells; this is 59 x 15."));
}

/// What Mayday itself draws has a stand-in of its own on a terminal without Unicode: a running clock is no unknown.
#[test]
fn no_glyph_of_our_own_is_a_question_mark() {
    for (name, scene) in SCENES {
        for keys in ["", "Enter", "w", "3 z", "9", "0", "-", "7", "8", "?", "R"] {
            let mut stage = Stage::new(scene());
            stage.keys(keys);
            let mut plain = Stage::with(scene(), Options { ascii: true, depth: Depth::None, ..options() }, false);
            plain.keys(keys);
            for (columns, rows) in [(80, 24), (250, 70)] {
                let (rich, poor) = (stage.buffer(columns, rows), plain.buffer(columns, rows));
                for (rich, poor) in rich.content.iter().zip(&poor.content) {
                    let same = rich.symbol() == "?" || poor.symbol() != "?";
                    assert!(same, "{name}, {keys}: `{}` is drawn as `?`", rich.symbol());
                }
            }
        }
    }
}

#[test]
fn the_whole_of_a_large_screen_is_used() {
    let text = Stage::new(crowded(Scene::practised())).text(250, 70);
    let used = |row: &&str| width(row.trim_end()) > 170;
    let wide = text.lines().filter(used).count();
    assert!(wide * 2 > 70, "only {wide} rows reach beyond column 170:\n{text}");
    assert!(
        text.contains('┣') || text.contains('┳') || text.contains('┗'),
        "the critical path is drawn heavy:\n{text}"
    );
}

#[test]
fn commands_to_copy_stay_commands() {
    let lines = [
        "# in the standby region, where everything is".to_owned(),
        "aws rds promote-read-replica --db-instance-identifier gennet".to_owned(),
    ];
    let wrapped = shell::wrap(&lines, 30);
    assert!(wrapped.iter().filter(|line| line.starts_with('#')).count() >= 2, "{wrapped:?}");
    assert!(wrapped.iter().any(|line| line.ends_with(" \\")), "{wrapped:?}");
}
