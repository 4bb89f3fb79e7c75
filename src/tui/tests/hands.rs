//! What the keys do: every one of them, in its place; and a whole failover by keys alone.

use crate::domain::command::Ask;
use crate::domain::incident::Phase;
use crate::domain::run::{Outcome, StepPhase};
use crate::tui::app::Request;
use crate::tui::keymap::{self, Context, Danger};
use crate::tui::panes::Pane;

use super::scene::Scene;
use super::stage::{Stage, options};

/// A cockpit in which a context is on top, and enough is going on for its keys to matter.
fn stage_in(context: Context, read_only: bool) -> Stage {
    let scene = match context {
        Context::Plans => Scene::declared(),
        Context::Tell | Context::Editor => Scene::paged(),
        _ => Scene::gates(),
    };
    let mut stage = Stage::with(scene, options(), read_only);
    match context {
        Context::Main => {
            stage.keys("5 G 3 j");
        }
        Context::Card => {
            stage.keys("Enter");
        }
        Context::Plans => {
            stage.keys("A y r");
        }
        Context::Reader => {
            stage.keys("?");
        }
        Context::Question => {
            stage.keys("A y A");
        }
        Context::Form => {
            stage.keys("o");
        }
        Context::Palette => {
            stage.keys(": \"e\"");
        }
        Context::Walk => {
            stage.keys("w");
        }
        Context::Tell => {
            stage.keys("u 2 Tab");
        }
        Context::Editor => {
            stage.keys("u e");
        }
    }
    stage.requests.clear();
    stage
}

/// Whether a key did anything that the operator can see or the engine hears.
fn acts(stage: &mut Stage, key: &str) -> bool {
    // In the middle of what can be moved in, so that both directions have somewhere to go.
    let before = stage.text(60, 16);
    stage.key(key);
    !stage.requests.is_empty() || stage.app.message.is_some() || stage.text(60, 16) != before
}

/// What is pressed first, so that a key has something to do: it may be idle at one end of a list, and has to act at the other.
const WAYS: [Option<&str>; 9] =
    [None, Some("G"), Some("g"), Some("Down"), Some("5 G"), Some("D"), Some("S"), Some("i"), Some("S Tab Tab Tab Tab")];

#[test]
fn every_key_of_the_help_acts() {
    let mut idle = Vec::new();
    for context in Context::ALL {
        for row in keymap::rows(*context) {
            for key in row.keys {
                let acted = WAYS.iter().any(|first| {
                    let mut stage = stage_in(*context, false);
                    match (first, context) {
                        (None, _) => {}
                        (Some(way @ ("D" | "S" | "i" | "S Tab Tab Tab Tab")), Context::Form) => {
                            stage.keys("Esc Esc").keys(way).keys("\"x\"");
                        }
                        (
                            Some(way),
                            Context::Main
                            | Context::Card
                            | Context::Plans
                            | Context::Reader
                            | Context::Palette
                            | Context::Walk
                            | Context::Tell,
                        ) => {
                            stage.keys(way);
                        }
                        _ => return false,
                    }
                    stage.text(60, 16);
                    stage.app.message = None;
                    stage.requests.clear();
                    acts(&mut stage, key)
                });
                if !acted {
                    idle.push(format!("{key} ({}) in {context}", row.action));
                }
            }
        }
    }
    assert!(idle.is_empty(), "these do nothing: {idle:#?}");
}

#[test]
fn what_changes_the_world_is_not_bound_unless_armed() {
    for read_only in [false, true] {
        for context in [Context::Main, Context::Card, Context::Plans] {
            for row in keymap::rows(context).filter(|row| row.danger == Danger::Changes) {
                let mut stage = stage_in(context, read_only);
                stage.scene.ask(Ask::Disarm {});
                stage.sync();
                let layers = stage.app.layers.len();
                stage.key(row.keys[0]);
                assert!(asked(&stage).is_empty(), "{} asked {:?}", row.action, asked(&stage));
                assert_eq!(stage.app.layers.len(), layers, "{} opened something", row.action);
                assert!(stage.app.message.is_some(), "{} said nothing", row.action);
            }
        }
    }
}

#[test]
fn a_read_only_cockpit_asks_for_nothing() {
    for key in ["H", "A", "D", "i", "K", "S", "C", "X", "t", "s", "m", "v", "f"] {
        let mut stage = Stage::with(Scene::gates(), options(), true);
        stage.key(key);
        assert!(asked(&stage).is_empty() && stage.app.layers.is_empty(), "{key}");
        assert!(stage.app.message.as_ref().unwrap().text.contains("read-only"), "{key}");
    }
}

fn asked(stage: &Stage) -> Vec<&Request> {
    stage.requests.iter().filter(|request| matches!(request, Request::Ask { .. })).collect()
}

fn phase(stage: &Stage, step: &str) -> StepPhase {
    stage.scene.snap.state.run.as_ref().unwrap().phase(&step.into())
}

fn work(stage: &mut Stage, seconds: u64) {
    stage.pass(seconds);
    stage.scene.perform_all();
    stage.sync();
}

#[test]
fn a_whole_failover_by_keys_alone() {
    let mut stage = Stage::new(Scene::dark());
    assert!(stage.text(80, 24).contains("▸ D  declare an incident"));
    stage.keys("D Enter Enter");
    assert!(stage.text(80, 24).contains("▸ A  arm"), "{}", stage.text(80, 24));
    stage.keys("A y");
    assert!(stage.text(80, 24).contains("▸ r  run a plan"));
    stage.keys("r Enter");
    work(&mut stage, 2);
    assert!(stage.text(80, 24).contains("▸ Enter  answer the gate of fence-primary"), "{}", stage.text(80, 24));
    stage.keys("Enter c");
    stage.keys("Enter c");
    work(&mut stage, 30);
    stage.keys("Enter c");
    assert_eq!(phase(&stage, "promote-database"), StepPhase::Gated, "a typed gate asks for more than a key");
    stage.keys("\"gennet-db\" Enter");
    assert!(stage.app.message.as_ref().unwrap().text.contains("gennet-db-replica"));
    stage.keys("\"-replica\" Enter");
    stage.keys("Enter c");
    work(&mut stage, 60);
    stage.keys("Enter c \"dns-zone\" Enter");
    work(&mut stage, 60);
    let state = &stage.scene.snap.state;
    assert_eq!(state.run.as_ref().unwrap().outcome, Some(Outcome::Completed), "{}", stage.text(80, 24));
    assert_eq!(state.incident.as_ref().unwrap().phase, Phase::Recovered);
    let text = stage.text(80, 24);
    assert!(text.contains("✓ met") && text.contains("▸ w  walk through the checklist"), "{text}");
    stage.keys("w n");
    while stage.scene.snap.state.incident.as_ref().unwrap().checklist.open().next().is_some() {
        let open = stage.scene.snap.state.incident.as_ref().unwrap().checklist.open().count();
        stage.scene.look_at_items();
        stage.sync();
        stage.keys("Enter");
        if stage.app.context() == Context::Form {
            stage.keys("\"seen by hand\" Enter");
        }
        let left = stage.scene.snap.state.incident.as_ref().unwrap().checklist.open().count();
        assert_eq!(left, open - 1, "{}", stage.text(80, 24));
    }
    assert!(stage.text(80, 24).contains("Review what happened"), "{}", stage.text(80, 24));
    stage.keys("Enter \"all in the west\" Enter");
    assert!(stage.scene.snap.state.incident.is_none());
    assert!(stage.text(80, 24).contains("no incident"));
}

#[test]
fn hold_is_one_key_and_release_asks() {
    let mut stage = Stage::new(Scene::gates());
    stage.keys("H");
    assert!(stage.scene.snap.state.hold.is_some());
    assert!(stage.text(80, 24).contains(" HOLD "));
    stage.keys("H");
    assert!(stage.scene.snap.state.hold.is_some(), "release asks first");
    stage.keys("y");
    assert!(stage.scene.snap.state.hold.is_none());
}

#[test]
fn hold_works_over_every_layer_but_text() {
    for keys in ["Enter", "b", "?", "A"] {
        let mut stage = Stage::new(Scene::gates());
        stage.keys(keys).keys("H");
        assert!(stage.scene.snap.state.hold.is_some(), "after {keys}");
    }
}

#[test]
fn a_block_is_overridden_with_phrase_and_reason_only() {
    let mut stage = Stage::new(Scene::blocked());
    stage.keys("3 g n");
    while stage.app.step().unwrap().as_str() != "promote-database" {
        stage.keys("n");
    }
    stage.keys("Enter o \"override gennet-db-replica\" Enter Enter");
    assert!(stage.app.message.as_ref().unwrap().text.contains("reason"));
    stage.keys("\"the region is gone\" Enter");
    assert_ne!(phase(&stage, "promote-database"), StepPhase::Blocked);
    assert!(stage.app.layers.is_empty());
}

#[test]
fn steps_are_skipped_marked_and_reverted_with_a_reason() {
    let mut stage = Stage::new(Scene::gates());
    stage.keys("s Enter");
    assert!(stage.app.message.is_some(), "no reason, no skip");
    stage.keys("\"not needed\" Enter");
    assert_eq!(phase(&stage, "fence-primary"), StepPhase::Skipped);
    stage.keys("m \"did it\" Enter");
    assert_eq!(phase(&stage, "scale-standby"), StepPhase::ByHand);
    let mut stage = Stage::new(Scene::running());
    stage.keys("3 g v \"came back\" Enter");
    assert_eq!(phase(&stage, "fence-primary"), StepPhase::Reverting, "{:?}", stage.app.message);
}

#[test]
fn what_the_rules_refuse_is_said_before_anything_is_typed() {
    let mut stage = Stage::new(Scene::gates());
    stage.keys("t");
    assert!(stage.app.layers.is_empty());
    assert!(stage.app.message.as_ref().unwrap().text.contains("can be retried"));
}

#[test]
fn panes_zoom_filter_and_escape() {
    let mut stage = Stage::new(Scene::gates());
    stage.keys("5");
    assert_eq!(stage.app.focus, Pane::Timeline);
    stage.keys("z / \"declared\" Enter");
    let text = stage.text(80, 24);
    assert!(text.contains("declared INC-") && !text.contains("armed a cockpit"), "{text}");
    stage.keys("Esc");
    assert!(stage.text(80, 24).contains("armed a cockpit"));
    assert!(stage.app.zoomed);
    stage.keys("Esc");
    assert!(!stage.app.zoomed);
    stage.keys("Tab");
    assert_eq!(stage.app.focus, Pane::Incident);
    stage.keys("Esc");
    assert!(stage.app.message.as_ref().unwrap().text.contains("q detaches"));
    stage.keys("q");
    assert_eq!(stage.requests.last(), Some(&Request::Detach));
}

#[test]
fn the_palette_finds_and_does() {
    let mut stage = Stage::new(Scene::dark());
    stage.keys(": \"light\" Enter");
    assert_eq!(stage.app.theme.name, "light");
    stage.keys(": \"declare\" Enter");
    assert_eq!(stage.app.context(), Context::Form);
    stage.keys("Esc : \"run regi\" Enter");
    assert_eq!(stage.app.context(), Context::Plans);
}

#[test]
fn a_rehearsal_needs_no_arming() {
    let mut stage = Stage::new(Scene::peace());
    stage.keys("r p");
    assert!(stage.scene.snap.state.run.is_some());
    work(&mut stage, 2);
    let text = stage.text(80, 24);
    assert!(text.contains("rehears"), "{text}");
}

#[test]
fn a_message_stays_until_a_key_or_for_a_while() {
    let mut stage = Stage::new(Scene::peace());
    stage.keys("t");
    assert!(stage.app.message.is_some());
    stage.pass(5);
    assert!(stage.app.message.is_some());
    stage.keys("j");
    assert!(stage.app.message.is_none());
    stage.keys("t");
    stage.pass(21);
    assert!(stage.app.message.is_none());
}

#[test]
fn one_key_shows_what_everyone_is_told_and_another_one_sends_it_until_it_is_taken_back() {
    let mut stage = Stage::new(Scene::paged());
    stage.keys("u");
    let text = stage.text(160, 44);
    for audience in ["internal", "public", "customers", "Dear customer"] {
        assert!(text.contains(audience), "{text}");
    }
    stage.keys("Enter");
    let posted = stage.scene.snap.state.outbox.messages.last().unwrap();
    assert_eq!(posted.message.purpose, crate::domain::comms::Purpose::Investigating);
    stage.sync();
    assert!(stage.text(80, 24).contains("SENDING in 5s"), "{}", stage.text(80, 24));
    stage.keys("u");
    assert!(stage.scene.snap.state.outbox.messages.last().unwrap().recalled.is_some());
    assert!(stage.scene.errands.is_empty(), "nothing of it goes out");
}

#[test]
fn a_text_is_edited_for_one_audience_and_the_others_stay() {
    let mut stage = Stage::new(Scene::paged());
    stage.keys("u Tab e").keys("\"Hello \"").keys("Ctrl-s Enter");
    let posted = stage.scene.snap.state.outbox.messages.last().unwrap();
    let subjects: Vec<&str> = posted.message.texts.values().map(|it| it.subject.as_str()).collect();
    assert!(subjects[1].starts_with("Hello ") && !subjects[0].starts_with("Hello "), "{subjects:?}");
}

#[test]
fn a_cockpit_that_only_looks_sees_the_texts_and_sends_nothing() {
    let mut stage = Stage::new(Scene::paged());
    stage.scene.ask(Ask::Disarm {});
    stage.sync();
    let before = stage.scene.snap.state.outbox.messages.len();
    stage.keys("u Enter");
    assert_eq!(stage.scene.snap.state.outbox.messages.len(), before);
    assert!(stage.app.message.as_ref().unwrap().text.contains("A arms it"));
}
