//! What is told, and what is left to be told: seen on the screen.

use crate::domain::command::Ask;
use crate::domain::comms::{PartPhase, Purpose};
use crate::domain::describe::describe;
use crate::domain::run::Mode;

use super::scene::Scene;
use super::stage::Stage;

fn last(stage: &Stage) -> Purpose {
    stage.scene.snap.state.outbox.messages.last().unwrap().message.purpose
}

#[test]
fn a_word_that_counts_down_is_gone_when_the_message_is() {
    let mut stage = Stage::new(Scene::paged());
    stage.keys("u Enter");
    assert!(stage.text(120, 40).contains("goes out in 5s"), "{}", stage.text(120, 40));
    stage.pass(6);
    assert!(!stage.text(120, 40).contains("goes out in"), "{}", stage.text(120, 40));
}

#[test]
fn an_update_that_reached_nobody_is_red_and_names_its_pane() {
    let mut scene = Scene::told();
    let posted = scene.snap.state.outbox.messages.last_mut().unwrap();
    let parts = posted.deliveries.values_mut().flat_map(|it| &mut it.parts);
    parts.for_each(|part| part.phase = PartPhase::Failed);
    let mut stage = Stage::new(scene);
    assert!(stage.text(80, 24).contains("UPDATE FAILED · 9"), "{}", stage.text(80, 24));
    assert!(stage.text(60, 16).contains(" FAILED · 9"), "{}", stage.text(60, 16));
    stage.keys("9");
    let text = stage.text(120, 40);
    assert!(text.contains("reached NOBODY") && !text.contains("escalates in"), "{text}");
    let posted = stage.app.mirror.as_mut().unwrap().state.outbox.messages.last_mut().unwrap();
    posted.deliveries.get_mut("chat").unwrap().parts[0].phase = PartPhase::Sent;
    assert!(stage.text(120, 40).contains("public, customers NOT TOLD · 9"), "{}", stage.text(120, 40));
}

#[test]
fn closing_shows_what_is_open_outside_and_tells_its_end_with_one_key() {
    let mut stage = Stage::new(Scene::told());
    stage.keys("C");
    let text = stage.text(120, 40);
    for words in ["Still open outside:", "internal last read `investigating`", "tell everyone `resolved`"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    stage.keys("\"a false alarm\" Enter Enter");
    assert!(stage.scene.snap.state.incident.is_none(), "{}", stage.text(120, 40));
    assert_eq!(last(&stage), Purpose::Resolved);
}

#[test]
fn what_was_not_told_when_it_was_closed_can_be_told_after_it() {
    let mut scene = Scene::told();
    scene.dark = false;
    scene.ask(Ask::CloseIncident { note: "over".into(), despite: String::new(), tell: false });
    (0..4).for_each(|_| scene.pass(5));
    let mut stage = Stage::new(scene);
    let text = stage.text(160, 40);
    assert!(text.contains("▸ u  tell `resolved`: INC-") && text.contains("is closed, but not outside"), "{text}");
    stage.keys("u");
    let text = stage.text(160, 40);
    assert!(text.contains("which is closed") && text.contains("2 resolved"), "{text}");
    stage.keys("Enter");
    assert_eq!(last(&stage), Purpose::Resolved);
    assert!(stage.text(160, 40).contains("goes out in 5s"), "{}", stage.text(160, 40));
}

#[test]
fn whoever_types_the_target_sees_what_is_at_stake() {
    let mut stage = Stage::new(Scene::typed());
    stage.keys("Enter c");
    let text = stage.text(120, 40);
    for words in ["target", "gennet-db-replica", "loss", "There is no way back from it."] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_rehearsal_is_none_of_what_happens_in_earnest() {
    let mut scene = Scene::declared();
    let (plan, reason) = ("regional-failover".into(), String::new());
    scene.ask(Ask::StartRun { plan, mode: Mode::Rehearsal, reason, unattended: false });
    let mut stage = Stage::new(scene);
    let text = stage.text(120, 40);
    assert!(text.contains(" REHEARSAL ") && text.contains("REHEARSAL · regional-failover"), "{text}");
    assert!(!text.contains("no way back since"), "{text}");
    let small = stage.text(60, 16);
    assert!(small.lines().next().unwrap().contains(" REHEARSAL "), "{small}");
    stage.scene.perform_all();
    let said: Vec<String> = stage.scene.records.iter().map(|record| describe(record).1).collect();
    assert!(said.iter().any(|words| words.ends_with("rehearsal completed, nothing was changed")), "{said:?}");
}
