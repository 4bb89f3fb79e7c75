//! The walkthrough by its keys, and what it makes of every state of things.

use crate::domain::checklist::{Answer, Evidence, Standing};
use crate::domain::command::Ask;
use crate::domain::event::Event;
use crate::domain::walkthrough::{self, Act, Key, Page, Progress, Stage as Part};
use crate::tui::app::Request;

use super::scene::Scene;
use super::stage::{Stage, options};

fn pages(scene: &Scene) -> Vec<Page> {
    walkthrough::pages(&scene.snap, scene.snap.now)
}

/// The stage that is next, and what can be done about it.
fn next(scene: &Scene) -> (Part, Vec<Act>) {
    let pages = pages(scene);
    let page = &pages[walkthrough::current(&pages)];
    (page.stage, page.acts.clone())
}

#[test]
fn the_stages_follow_from_what_is_known() {
    assert_eq!(next(&Scene::dark()), (Part::Alert, vec![Act::Declare]));
    assert_eq!(
        next(&Scene::declared()),
        (Part::Execute, vec![Act::RunPlan]),
        "whoever declares leads, and says how bad it is"
    );
    assert_eq!(next(&Scene::gates()), (Part::Execute, vec![Act::AnswerStep]));
    let held = next(&Scene::held());
    assert_eq!((held.0, held.1[0]), (Part::Execute, Act::Release));
    assert_eq!(next(&Scene::recovered()), (Part::Communicate, vec![Act::Tell]), "service is back, and nobody was told");
    let walked = pages(&Scene::walked());
    let recover = walkthrough::stages(&walked).into_iter().find(|(stage, ..)| *stage == Part::Recover).unwrap();
    assert_eq!(recover, (Part::Recover, Progress::Ahead, 2, 5), "{walked:#?}");
}

#[test]
fn an_incident_that_nobody_leads_is_not_alerted() {
    let mut scene = Scene::declared();
    scene.snap.state.incident.as_mut().unwrap().commander = None;
    assert_eq!(next(&scene), (Part::Alert, vec![Act::TakeCommand]));
    let page = &pages(&scene)[0];
    assert!(page.facts.iter().any(|fact| fact.of == "on call" && fact.at.is_some()), "{page:#?}");
}

#[test]
fn every_page_says_what_to_do_why_and_what_is_seen() {
    for scene in [Scene::declared(), Scene::running(), Scene::walked()] {
        for page in pages(&scene) {
            assert!(!page.title.is_empty() && page.what.ends_with('.') && page.why.ends_with('.'), "{page:#?}");
            assert!(!page.facts.is_empty(), "{page:#?}");
        }
    }
}

fn standing(stage: &Stage, item: &str) -> Standing {
    stage.scene.snap.state.incident.as_ref().unwrap().checklist.item(&item.into()).unwrap().standing()
}

/// At the page of an item.
fn at(scene: Scene, item: &str) -> Stage {
    let mut stage = Stage::new(scene);
    stage.keys("w");
    let title = pages(&stage.scene).into_iter().find(|page| page.key == Key::Item(item.into())).unwrap().title;
    for _ in 0..20 {
        if stage.text(80, 24).lines().any(|line| line.contains(&title) && line.contains("──")) {
            return stage;
        }
        stage.keys("n");
    }
    panic!("no page of {item}: {}", stage.text(80, 24));
}

#[test]
fn a_box_against_what_is_seen_is_ticked_with_a_reason_only() {
    let mut stage = at(Scene::walked(), "data-integrity");
    stage.keys("Space");
    assert!(stage.text(80, 24).contains("misses 1 of 4127"), "{}", stage.text(80, 24));
    stage.keys("Enter");
    assert_eq!(standing(&stage, "data-integrity"), Standing::Open, "an empty reason is none");
    stage.keys("\"the row is a test account\" Enter");
    assert_eq!(standing(&stage, "data-integrity"), Standing::Ticked);
    let against =
        |event: &Event| matches!(event, Event::ItemTicked { against: Some(words), .. } if words.contains("4127"));
    assert!(stage.scene.records.iter().any(|record| against(&record.event)));
    assert!(!stage.text(80, 24).contains("Data integrity verified"), "on to the next open page");
}

#[test]
fn evidence_that_turned_bad_a_moment_ago_is_seen_before_the_tick_counts() {
    let mut stage = at(Scene::recovered(), "services-healthy");
    stage.scene.look_at_items();
    stage.sync();
    stage.scene.hear("auth@us-west-2", crate::domain::health::Status::Down, "503");
    stage.keys("Enter");
    assert_eq!(standing(&stage, "services-healthy"), Standing::Open);
    assert!(stage.app.message.as_ref().unwrap().text.contains("auth is down"));
}

#[test]
fn items_are_left_out_looked_at_and_opened_again_by_keys() {
    let mut stage = at(Scene::walked(), "performance-normal");
    stage.keys("f");
    assert!(stage.requests.iter().any(|it| matches!(it, Request::Ask { ask: Ask::LookAtItem { .. }, .. })));
    stage.keys("s \"nobody is on at night\" Enter");
    assert_eq!(standing(&stage, "performance-normal"), Standing::Skipped);
    let mut stage = at(stage.scene, "performance-normal");
    stage.keys("x \"somebody is\" Enter");
    assert_eq!(standing(&stage, "performance-normal"), Standing::Reopened);
}

#[test]
fn what_failed_after_a_tick_is_shown_with_the_tick() {
    let scene = Scene::walked();
    let known = scene.snap.state.incident.as_ref().unwrap().checklist.item(&"user-access".into()).unwrap().clone();
    assert_eq!((known.standing(), known.evidence()), (Standing::Reopened, Some(Evidence::Fail)));
    assert!(matches!(known.reopened.unwrap().was, Some(Answer::Ticked { .. })));
    let text = at(scene, "user-access").text(80, 24);
    assert!(text.contains("OPEN AGAIN") && text.contains("ticked before by alice"), "{text}");
}

#[test]
fn closing_over_open_items_asks_for_the_reason() {
    let mut stage = Stage::new(Scene::walked());
    stage.keys("C");
    assert!(stage.text(80, 24).contains("items are open"), "{}", stage.text(80, 24));
    stage.keys("\"all in the west\" Enter Enter");
    assert!(stage.scene.snap.state.incident.is_some(), "the reason is missing");
    stage.keys("\"morning shift goes on\" Enter");
    assert!(stage.scene.snap.state.incident.is_none());
}

#[test]
fn the_page_of_those_who_wait_leads_to_what_would_be_said() {
    let mut stage = Stage::new(Scene::recovered());
    stage.keys("w");
    assert!(stage.text(80, 24).contains("▸ Enter  see what would be said"), "{}", stage.text(80, 24));
    stage.keys("Enter");
    assert!(stage.text(80, 24).contains("tell everyone"), "{}", stage.text(80, 24));
    stage.keys("Esc");
    assert!(stage.text(80, 24).contains("Tell those who wait"), "{}", stage.text(80, 24));
}

#[test]
fn a_read_only_cockpit_walks_and_ticks_nothing() {
    let mut stage = Stage::with(Scene::walked(), options(), true);
    stage.keys("w n n Enter s x f");
    assert!(stage.requests.iter().all(|it| !matches!(it, Request::Ask { .. })), "{:?}", stage.requests);
    assert!(stage.text(80, 24).contains("sees"));
}
