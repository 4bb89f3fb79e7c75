//! What the screen shows: the main view in every state and size, every layer, and what must never be shown.

use ratatui::layout::Rect;

use crate::domain::clock::Drift;
use crate::domain::command::Report;
use crate::domain::health::Status;
use crate::tui::app::Msg;
use crate::tui::connection::Arrival;
use crate::tui::look::Look;
use crate::tui::panes::Pane;
use crate::tui::theme::Depth;
use crate::tui::{Options, layout, theme};

use super::scene::Scene;
use super::stage::{Stage, options};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// A name, the scene, and the keys that lead there.
type View = (&'static str, fn() -> Scene, &'static str);

/// Every state that the main view is looked at in.
const VIEWS: [View; 16] = [
    ("peacetime", Scene::peace, ""),
    ("backups", Scene::peace, "7"),
    ("readiness", Scene::peace, "8"),
    ("dark", Scene::dark, ""),
    ("declared-unarmed", Scene::declared, ""),
    ("gate-open", Scene::gates, ""),
    ("running", Scene::running, ""),
    ("gate-blocked", Scene::blocked, "n n"),
    ("held", Scene::held, ""),
    ("recovered", Scene::recovered, "6"),
    ("incident", Scene::running, "6"),
    ("checklist", Scene::walked, "0"),
    ("checklist-peace", Scene::peace, "0"),
    ("practised", Scene::practised, "3"),
    ("failover", Scene::practised, "3 z"),
    ("communications", Scene::told, "9"),
];

#[test]
fn the_main_view() {
    for (name, scene, keys) in VIEWS {
        let mut stage = Stage::new(scene());
        stage.keys(keys);
        for (columns, rows) in SIZES {
            insta::assert_snapshot!(format!("{name}-{columns}"), stage.text(columns, rows));
        }
    }
}

#[test]
fn a_host_whose_clock_is_off_is_named_for_as_long_as_it_is() {
    let mut scene = Scene::running();
    let words = |scene: Scene| Stage::new(scene).text(120, 40);
    scene.report(Report::ClockStepped { by: -3600.0, drift: Drift(3600.0) });
    let text = words(scene);
    assert!(text.contains("HOST CLOCK 1h off"), "{text}");
    let mut scene = Scene::running();
    scene.report(Report::ClockStepped { by: -3600.0, drift: Drift(3600.0) });
    scene.report(Report::ClockStepped { by: 3600.0, drift: Drift(0.0) });
    assert!(!words(scene).contains("HOST CLOCK"));
}

#[test]
fn a_lost_engine_is_seen_at_once_with_the_age_of_what_is_on_screen() {
    let mut stage = Stage::new(Scene::running());
    stage.send(Msg::Arrival(Arrival::Lost { why: "connection refused".into() }));
    for _ in 0..12 {
        stage.at = crate::domain::time::after(stage.at, std::time::Duration::from_secs(1));
        stage.send(Msg::Tick);
    }
    let text = stage.text(80, 24);
    assert!(text.contains("ENGINE LOST, 12s old"), "{text}");
    assert!(text.contains("0:59/5:00"), "the outage goes on, and so does its clock: {text}");
    insta::assert_snapshot!("engine-lost-80", text);
    insta::assert_snapshot!("engine-lost-120", stage.text(120, 40));
    stage.connect();
    assert!(stage.text(100, 30).lines().next().unwrap().ends_with("● live"));
    assert!(!stage.text(80, 24).contains("LOST"));
}

#[test]
fn every_layer() {
    let layers: [View; 17] = [
        ("contacts", Scene::peace, "o"),
        ("card", Scene::gates, "Enter"),
        ("card-blocked", Scene::blocked, "n n Enter"),
        ("typed-gate", Scene::typed, "Enter c"),
        ("override", Scene::blocked, "n n Enter o"),
        ("reason", Scene::gates, "s"),
        ("arm", Scene::declared, "A"),
        ("release", Scene::held, "H"),
        ("plans", Scene::declared, "r"),
        ("declare", Scene::dark, "D"),
        ("palette", Scene::running, ": \"the\""),
        ("help", Scene::gates, "?"),
        ("by-hand", Scene::gates, "b"),
        ("tell", Scene::paged, "u"),
        ("editor", Scene::paged, "u e"),
        ("severity", Scene::paged, "S"),
        ("filter", Scene::gates, "5 / \"auth\""),
    ];
    for (name, scene, keys) in layers {
        let mut stage = Stage::new(scene());
        stage.keys(keys);
        insta::assert_snapshot!(format!("layer-{name}"), stage.text(80, 24));
    }
}

#[test]
fn the_walkthrough_page_by_page() {
    let pages: [View; 10] = [
        ("peace", Scene::peace, "w"),
        ("alert", Scene::declared, "w p p p p"),
        ("assess", Scene::declared, "w p p p p n"),
        ("execute", Scene::gates, "w"),
        ("communicate", Scene::recovered, "w"),
        ("failing", Scene::walked, "w n n"),
        ("open-again", Scene::walked, "w n n n n"),
        ("by-eye", Scene::walked, "w n n n n n"),
        ("reason", Scene::walked, "w n n Enter"),
        ("review", Scene::walked, "w n n n n n n"),
    ];
    for (name, scene, keys) in pages {
        let mut stage = Stage::new(scene());
        stage.keys(keys);
        insta::assert_snapshot!(format!("walk-{name}"), stage.text(80, 24));
        if name == "failing" {
            insta::assert_snapshot!("walk-failing-120", stage.text(120, 40));
        }
    }
}

#[test]
fn audiences_are_side_by_side_where_there_is_room() {
    let mut stage = Stage::new(Scene::paged());
    stage.keys("u");
    insta::assert_snapshot!("layer-tell-160", stage.text(160, 44));
}

#[test]
fn clocks_and_advice_are_seen_whatever_lies_over_the_cockpit() {
    for keys in ["Enter", "?", ":", "b", "s", "z", "z ?", "w"] {
        let mut stage = Stage::new(Scene::gates());
        stage.keys(keys);
        for (columns, rows) in SIZES {
            let text = stage.text(columns, rows);
            for part in ["critical", "5:00", "database", "app state", "▸"] {
                assert!(text.contains(part), "{keys} hides {part}:\n{text}");
            }
        }
    }
}

#[test]
fn text_from_outside_is_harmless() {
    let mut scene = Scene::running();
    for text in [
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{202e}gnp.exe",
        "日本語のポッド名前がとても長い",
        "e\u{301}\u{200d}x",
        "\r\n\t\u{0}",
    ] {
        scene.log("promote-database", text);
        scene.hear("auth@us-east-1", Status::Degraded, text);
        scene.ask(crate::domain::command::Ask::Note { text: text.into() });
        if let Some(incident) = &mut scene.snap.state.incident {
            incident.title = text.into();
        }
        let mut stage = Stage::new(scene);
        for keys in ["", "4 z", "5", "6", "1"] {
            stage.keys(keys);
            for (columns, rows) in SIZES {
                let screen = stage.text(columns, rows);
                let harmful = |c: char| c != '\n' && crate::domain::text::is_harmful(c);
                assert!(!screen.contains(harmful), "{screen:?}");
                assert!(screen.lines().all(|line| crate::tui::format::width(line) <= usize::from(columns)), "{screen}");
            }
        }
        scene = stage.scene;
    }
}

/// A row of the table of panes is all it takes to be seen: by key, in peace and in trouble, in every size.
#[test]
fn every_pane_is_shown_when_it_is_asked_for() {
    for scene in [Scene::peace as fn() -> Scene, Scene::gates] {
        for pane in Pane::ALL {
            let mut stage = Stage::new(scene());
            stage.keys(pane.key());
            let look = Look { app: &stage.app, snap: stage.app.mirror.as_ref().unwrap(), now: stage.app.now() };
            for (columns, rows) in [(80, 15), (118, 31), (198, 49), (250, 60)] {
                let places = layout::places(&look, Rect::new(0, 0, columns, rows));
                let mut shown: Vec<Pane> = places.iter().map(|(pane, _)| *pane).collect();
                assert!(shown.contains(pane), "{pane} is not on {columns}x{rows}: {shown:?}");
                shown.sort();
                assert!(shown.windows(2).all(|pair| pair[0] != pair[1]), "twice on {columns}x{rows}: {shown:?}");
            }
        }
    }
}

#[test]
fn no_size_is_too_small_or_too_large() {
    for (_, scene, keys) in VIEWS {
        let mut stage = Stage::new(scene());
        stage.keys(keys);
        for layer in ["", "Enter", "?", ":", "D", "r", "/"] {
            stage.keys(layer);
            for columns in [0, 1, 9, 30, 59, 60, 61, 80, 107, 119, 171, 300] {
                for rows in [0, 1, 2, 15, 16, 17, 24, 33, 47, 120] {
                    stage.buffer(columns, rows);
                }
            }
            stage.keys("Esc Esc Esc");
        }
    }
}

#[test]
fn ascii_and_no_colour_show_the_same_words() {
    let mut stage = Stage::with(Scene::running(), Options { ascii: true, depth: Depth::None, ..options() }, false);
    let text = stage.text(120, 40);
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("DOWN") && text.contains("GATE") && text.contains("left"), "{text}");
    assert_eq!(stage.app.theme.name, "mono");
    stage.keys("T");
    assert_eq!(stage.app.theme.name, "mono", "without colour every theme is mono");
    insta::assert_snapshot!("ascii-80", stage.text(80, 24));
}

#[test]
fn every_theme_draws_every_view() {
    for (name, _) in theme::BUILT_IN {
        for depth in [Depth::Sixteen, Depth::Indexed, Depth::True] {
            let mut stage = Stage::with(Scene::running(), Options { theme: (*name).into(), depth, ..options() }, false);
            let plain = stage.text(120, 40);
            stage.keys("Enter");
            assert_ne!(plain, stage.text(120, 40));
        }
    }
}

/// Missing data is shown as unknown, never as zero.
#[test]
fn unknown_is_never_zero() {
    let mut scene = Scene::peace();
    scene.snap.live = Default::default();
    let stage = Stage::new(scene);
    let text = stage.text(120, 40);
    assert!(text.contains("? unknown of 1h"), "{text}");
    assert!(!text.contains("0.0s of") && !text.contains(" 0s of"), "{text}");
    assert!(text.contains("not surveyed yet"), "{text}");
}

/// A reading that is older than it may be is not shown as health.
#[test]
fn old_readings_turn_unknown() {
    let mut stage = Stage::new(Scene::peace());
    assert!(stage.text(80, 24).contains("● healthy"));
    stage.at = crate::domain::time::after(stage.at, std::time::Duration::from_secs(60));
    stage.send(Msg::Tick);
    let text = stage.text(80, 24);
    assert!(!text.contains("● healthy") && text.contains("? unknown"), "{text}");
}
