//! Keys that were meant for something else: a sentence that goes on after its form has closed, a text that is pasted.

use crate::domain::comms::Purpose;
use crate::tui::app::Request;
use crate::tui::keymap::Context;

use super::scene::Scene;
use super::stage::Stage;

fn asked(stage: &Stage) -> Vec<String> {
    let asks = stage.requests.iter().filter(|request| matches!(request, Request::Ask { .. }));
    asks.map(|request| format!("{request:?}")).collect()
}

/// A text as a terminal pastes it that does not bracket what it pastes.
fn paste(stage: &mut Stage, text: &str) {
    stage.pause(1000);
    for c in text.chars() {
        let name = match c {
            '\n' => "Enter".to_owned(),
            ' ' => "Space".to_owned(),
            c => c.to_string(),
        };
        stage.key_after(&name, 0);
    }
    stage.pause(400);
}

/// As somebody types who looks at the keyboard.
fn types(stage: &mut Stage, text: &str) {
    for c in text.chars() {
        let name = if c == '\n' { "Enter".to_owned() } else { c.to_string() };
        stage.key_after(&name, 120);
        stage.pause(40);
    }
}

#[test]
fn a_text_that_is_pasted_without_brackets_does_nothing_in_the_main_view() {
    for text in
        ["H hold this\n", "acknowledge\nu\n\n", "Kick the database\n", "Declare it\n\n\n", "quit now", "umbrella\n"]
    {
        let mut stage = Stage::new(Scene::paged());
        stage.requests.clear();
        paste(&mut stage, text);
        assert_eq!(asked(&stage), [""; 0], "{text:?}");
        assert!(stage.app.layers.is_empty(), "{text:?} opened {:?}", stage.app.context());
        assert!(!stage.requests.contains(&Request::Detach), "{text:?}");
        assert!(stage.scene.snap.state.hold.is_none());
    }
}

#[test]
fn the_rest_of_a_sentence_reaches_nobody_after_its_form_has_closed() {
    let mut stage = Stage::new(Scene::paged());
    let sent = stage.scene.snap.state.outbox.messages.len();
    stage.keys("i");
    types(&mut stage, "a note\n");
    assert!(stage.app.layers.is_empty(), "the form has closed");
    types(&mut stage, "asaKau\n");
    assert!(stage.scene.snap.state.outbox.acknowledged.is_none(), "nobody said that they work on it");
    assert_eq!(stage.scene.snap.state.outbox.messages.len(), sent, "nobody was told anything");
    stage.keys("Esc Esc a");
    assert!(stage.scene.snap.state.outbox.acknowledged.is_some(), "a key by itself counts");
}

#[test]
fn an_enter_that_was_typed_ahead_sends_nothing() {
    let mut stage = Stage::new(Scene::paged());
    let sent = stage.scene.snap.state.outbox.messages.len();
    stage.key_after("u", 1000);
    stage.pause(25);
    assert_eq!(stage.app.context(), Context::Tell);
    stage.key_after("Enter", 150);
    stage.pause(25);
    assert_eq!(stage.scene.snap.state.outbox.messages.len(), sent);
    assert!(stage.app.message.as_ref().unwrap().text.contains("press it again"), "{:?}", stage.app.message);
    stage.keys("Enter");
    assert_eq!(stage.scene.snap.state.outbox.messages.len(), sent + 1);
}

#[test]
fn a_pasted_text_of_several_lines_stays_in_its_form() {
    let mut stage = Stage::new(Scene::paged());
    stage.keys("i");
    paste(&mut stage, "it broke\nat noon\n");
    assert_eq!(stage.app.context(), Context::Form);
    stage.keys("Enter");
    assert_eq!(stage.app.context(), Context::Form, "the first Enter asks");
    assert!(stage.app.message.as_ref().unwrap().text.contains("2 lines"));
    stage.keys("Enter");
    assert!(stage.app.layers.is_empty());
    assert!(asked(&stage).last().unwrap().contains("it broke at noon"), "{:?}", asked(&stage));
}

#[test]
fn one_key_tells_everyone_and_another_one_takes_it_back() {
    let mut stage = Stage::new(Scene::paged());
    // Nobody acts on what has only just come up.
    stage.key_after("U", 1000);
    stage.pause(25);
    let posted = stage.scene.snap.state.outbox.messages.last().unwrap();
    assert_eq!(posted.message.purpose, Purpose::Investigating, "{:?}", stage.app.message);
    let text = stage.text(80, 24);
    assert!(text.contains("▸ u  take back") && text.contains("internal · public · customers"), "{text}");
    stage.keys("u");
    assert!(stage.scene.snap.state.outbox.messages.last().unwrap().recalled.is_some());
    assert!(stage.scene.errands.is_empty(), "nothing of it goes out");
}

#[test]
fn one_key_tells_nobody_unless_armed() {
    let mut stage = Stage::new(Scene::paged());
    stage.scene.ask(crate::domain::command::Ask::Disarm {});
    stage.sync();
    let sent = stage.scene.snap.state.outbox.messages.len();
    stage.keys("U");
    assert_eq!(stage.scene.snap.state.outbox.messages.len(), sent);
    assert!(stage.app.message.as_ref().unwrap().text.contains("A arms it"));
}

#[test]
fn on_a_small_screen_all_audiences_are_named() {
    let mut stage = Stage::new(Scene::paged());
    stage.keys("u");
    assert!(stage.text(80, 24).contains("1/3 ▸ internal · public · customers"), "{}", stage.text(80, 24));
}
