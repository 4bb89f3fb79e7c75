//! How far everything is: no more than three keys from the main view, and one Esc a step on the way back. Computed from the table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ratatui::crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use crate::domain::lead::{Engines, Leader};
use crate::domain::live::{Attached, Gaze, LiveChange};
use crate::tui::app::{Dirty, Msg, Options, Request};
use crate::tui::keymap::{self, Context};
use crate::tui::panes::Pane;

use super::scene::Scene;
use super::stage::{Stage, options};

/// The scenes between which every place can be reached.
const SCENES: [fn() -> Scene; 3] = [Scene::paged, Scene::dark, Scene::gates];

static WAYS: LazyLock<BTreeMap<Context, Vec<String>>> = LazyLock::new(ways);

/// For every place, the fewest keys that lead there, found by pressing all of them.
fn ways() -> BTreeMap<Context, Vec<String>> {
    let mut ways = BTreeMap::from([(Context::Main, Vec::new())]);
    for scene in SCENES {
        let mut open: Vec<Vec<String>> = vec![Vec::new()];
        while let Some(way) = open.pop() {
            let mut here = Stage::new(scene());
            way.iter().for_each(|key| here.key(key));
            let context = here.app.context();
            for key in keymap::rows(context).flat_map(|row| row.keys) {
                let mut stage = Stage::new(scene());
                way.iter().for_each(|key| stage.key(key));
                stage.key(key);
                let found = stage.app.context();
                let next: Vec<String> = way.iter().cloned().chain([(*key).to_owned()]).collect();
                if next.len() < ways.get(&found).map_or(3, Vec::len) {
                    ways.insert(found, next.clone());
                    open.insert(0, next);
                }
            }
        }
    }
    ways
}

#[test]
fn nothing_is_more_than_three_keys_away() {
    for context in Context::ALL {
        let way = WAYS.get(context).unwrap_or_else(|| panic!("no way leads to {context}"));
        for row in keymap::rows(*context) {
            assert!(way.len() < 3, "{} is {} keys away: {way:?}, then {}", row.action, way.len() + 1, row.keys[0]);
        }
    }
}

/// The editor lies over the message that it edits.
fn depth(stage: &Stage) -> usize {
    stage.app.layers.len() + usize::from(stage.app.context() == Context::Editor)
}

#[test]
fn esc_takes_one_layer_away_wherever_one_is() {
    for way in WAYS.values() {
        for scene in SCENES {
            let mut stage = Stage::new(scene());
            way.iter().for_each(|key| stage.key(key));
            let before = depth(&stage);
            stage.key("Esc");
            assert_eq!(depth(&stage), before.saturating_sub(1), "after {way:?}");
        }
    }
}

fn mouse(stage: &mut Stage, kind: MouseEventKind, column: u16, row: u16) {
    stage.send(Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
}

const CLICK: MouseEventKind = MouseEventKind::Down(MouseButton::Left);

#[test]
fn a_click_chooses_and_the_wheel_scrolls() {
    let mut stage = Stage::new(Scene::gates());
    let screen = stage.text(120, 40);
    let at = |word: &str| {
        let (row, line) = screen.lines().enumerate().find(|(_, line)| line.contains(word)).unwrap();
        (u16::try_from(line[..line.find(word).unwrap()].chars().count()).unwrap(), u16::try_from(row).unwrap())
    };
    let (column, row) = at("promote-cache");
    mouse(&mut stage, CLICK, column, row);
    assert_eq!((stage.app.focus, stage.app.step().unwrap().as_str()), (Pane::Plan, "promote-cache"));
    mouse(&mut stage, CLICK, column, row);
    assert_eq!(stage.app.context(), Context::Card, "a click on what is chosen opens it");
    mouse(&mut stage, CLICK, 60, 20);
    assert_eq!(stage.app.context(), Context::Card, "no click answers or closes anything");
    stage.keys("Esc");
    let (column, row) = at("datastores");
    mouse(&mut stage, CLICK, column, row);
    assert_eq!(stage.app.focus, Pane::Datastores);
    stage.app.dirty = Dirty::No;
    mouse(&mut stage, MouseEventKind::Moved, 1, 1);
    assert_eq!(stage.app.dirty, Dirty::No, "what is pointed at is not worth a frame");
    stage.keys("5");
    stage.text(120, 40);
    let (_, place) = *stage.app.drawn.borrow().iter().find(|(pane, _)| *pane == Pane::Timeline).unwrap();
    let before = stage.text(120, 40);
    mouse(&mut stage, MouseEventKind::ScrollUp, place.x, place.y + 1);
    assert_ne!(stage.text(120, 40), before, "the timeline moves under the wheel");
}

#[test]
fn the_text_of_a_pane_and_of_a_card_can_be_taken_along() {
    let mut stage = Stage::new(Scene::gates());
    stage.keys("5 / \"declared\" Enter y");
    let Some(Request::Copy(text)) = stage.requests.last() else { panic!("{:?}", stage.requests) };
    assert!(text.contains("declared INC-") && !text.contains("armed a cockpit"), "what the filter shows: {text}");
    stage.keys("Esc Enter y");
    let Some(Request::Copy(text)) = stage.requests.last() else { panic!("{:?}", stage.requests) };
    assert!(text.contains("Stop the writers") && text.contains("undo"), "{text}");
}

#[test]
fn the_others_are_told_what_is_looked_at_once_it_changes() {
    let told = |stage: &Stage| {
        let gazes = stage.requests.iter().filter_map(|request| match request {
            Request::Looks(gaze) => Some(gaze.clone()),
            _ => None,
        });
        gazes.collect::<Vec<Gaze>>()
    };
    let mut stage = Stage::new(Scene::gates());
    stage.send(Msg::Tick);
    stage.send(Msg::Tick);
    assert_eq!(told(&stage), [Gaze { pane: "plan".into(), step: Some("fence-primary".into()) }]);
    stage.keys("1 2 7");
    stage.send(Msg::Tick);
    assert_eq!(told(&stage).len(), 2);
    assert_eq!(told(&stage)[1].pane, "backups");
}

#[test]
fn whoever_else_is_here_is_shown() {
    let mut stage = Stage::new(Scene::gates());
    assert!(!stage.text(80, 24).contains(" here "));
    let since = stage.scene.snap.now;
    let who = Attached { name: "bob".into(), uid: 1001, since, read_only: false, looks_at: None };
    let at = Gaze { pane: "step".into(), step: Some("promote-cache".into()) };
    stage.scene.live(LiveChange::Attached { session: "other".into(), who });
    stage.scene.live(LiveChange::Looks { session: "other".into(), at: at.clone() });
    stage.scene.live(LiveChange::Looks { session: "nobody".into(), at });
    stage.sync();
    stage.keys("6 z");
    assert!(stage.text(100, 30).contains(" 2 here "), "{}", stage.text(100, 30));
    let text = stage.text(80, 24);
    assert!(text.contains("bob, view only, at step, promote-cache"), "{text}");
}

#[test]
fn whom_the_engine_follows_is_shown_and_that_the_journal_is_gone_on_any_screen() {
    let mut stage = Stage::new(Scene::gates());
    let since = stage.scene.snap.now;
    let leader = Leader { name: "bastion-1".into(), version: "1".into(), since, term: 3, lives: true };
    let follows = Engines { me: "bastion-2".into(), leader: Some(leader), ..Engines::default() };
    stage.scene.live(LiveChange::Engines { seen: Some(Box::new(follows.clone())) });
    stage.sync();
    let text = stage.text(140, 40);
    assert!(text.contains(" follows bastion-1 "), "{text}");
    let cut_off = Engines { fault: Some("refused".into()), ..follows };
    stage.scene.live(LiveChange::Engines { seen: Some(Box::new(cut_off)) });
    stage.sync();
    let text = stage.text(80, 24);
    assert!(text.contains(" JOURNAL OUT OF REACH "), "{text}");
}

#[test]
fn with_reduced_motion_nothing_moves_without_saying_more() {
    let calm = Options { reduced_motion: true, ..options() };
    let still = Stage::with(Scene::declared(), calm, false).text(250, 70);
    let moving = Stage::new(Scene::declared()).text(250, 70);
    let digits = |text: &str| text.contains("▀▀▀");
    assert!(digits(&moving) && !digits(&still), "no big digits: {still}");
    let history = |text: &str| text.contains(['▁', '▃', '▆']);
    assert!(history(&moving) && !history(&still), "no history of latencies: {still}");
    assert!(still.contains("critical") && still.contains(" left"), "the clocks stay");
}
