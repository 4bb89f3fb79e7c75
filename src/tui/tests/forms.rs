//! Forms on small screens: what is filled in is in view, what is chosen is whole, and all of it can be read.

use super::scene::Scene;
use super::stage::Stage;

#[test]
fn what_is_chosen_is_whole_however_little_room_there_is() {
    let mut stage = Stage::new(Scene::paged());
    stage.keys("S Tab");
    let small = stage.text(60, 16);
    assert!(small.contains("‹ critical-down ›  4 of 4"), "{small}");
    assert!(stage.text(80, 24).contains("▸critical-down"), "{}", stage.text(80, 24));
}

/// A form that is longer than the screen shows the field that is filled in, and goes back to what stands above it.
#[test]
fn a_form_that_is_longer_than_the_screen_is_read_on_and_filled_in() {
    let mut stage = Stage::new(Scene::told());
    stage.keys("C \"over\"");
    for (columns, rows) in [(60, 16), (80, 24), (120, 40)] {
        let text = stage.text(columns, rows);
        assert!(text.contains(" over "), "{text}");
    }
    let small = stage.text(60, 16);
    assert!(small.contains("… PageUp PageDown: more") && !small.contains("How it ended"), "{small}");
    stage.keys("PageUp PageUp");
    let above = stage.text(60, 16);
    assert!(above.contains("How it ended, in a sentence") && above.contains("… PageDown: more"), "{above}");
    // Whoever types is where it arrives.
    stage.keys("\"!\"");
    assert!(stage.text(60, 16).contains(" over! "), "{}", stage.text(60, 16));
}

#[test]
fn a_title_with_a_mistake_in_it_is_corrected() {
    let mut stage = Stage::new(Scene::declared());
    stage.keys("E Backspace \"!\" Enter");
    let title = stage.scene.snap.state.incident.as_ref().unwrap().title.clone();
    assert_eq!(title, "us-east-1 is down: 6 of 6 service!");
    let text = stage.text(200, 60);
    assert!(text.lines().next().unwrap().contains("us-east-1 is down: 6 of 6 service!"), "{text}");
    assert!(text.contains("the title is now: us-east-1 is down"), "{text}");
    stage.keys("E Ctrl-u Enter");
    assert!(stage.text(120, 40).contains("title must not be empty"), "{}", stage.text(120, 40));
}

/// `j` is text in an editor: the way to what is below is another one there.
#[test]
fn an_editor_does_not_say_that_j_reads_on() {
    let mut stage = Stage::new(Scene::paged());
    stage.keys("u");
    assert!(stage.text(70, 20).contains("… j: more"), "{}", stage.text(70, 20));
    stage.keys("e");
    let text = stage.text(70, 20);
    assert!(text.contains("… Down: more") && !text.contains("j: more"), "{text}");
}
