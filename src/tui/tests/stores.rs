//! Datastores: what was seen of their members, and what has happened since.

use crate::domain::live::{LiveChange, SurveyLive};

use super::scene::Scene;
use super::stage::Stage;

fn shown(scene: Scene) -> String {
    let mut stage = Stage::new(scene);
    stage.keys("2 z");
    stage.text(120, 40)
}

#[test]
fn what_was_seen_before_a_look_failed_is_not_drawn_as_well() {
    let well = shown(Scene::peace());
    assert!(well.contains("● replica gennet-data-dr") && well.contains("● replica gennet-db-replica"), "{well}");
    let mut scene = Scene::peace();
    let known = scene.snap.live.surveys["objects"].clone();
    let taken = SurveyLive { fault: Some("the bucket does not answer".into()), ..known };
    scene.live(LiveChange::Survey { system: "objects".into(), taken });
    let text = shown(scene);
    for words in [
        "? writer  gennet-data",
        "? replica gennet-data-dr",
        "the bucket does not answer",
        "● replica gennet-db-replica",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}
