//! What goes over the wire to the terminal, and what comes over the wire from the engine.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::TerminalOptions;
use ratatui::Viewport;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use crate::domain::time::after;
use crate::tui::app::{Dirty, Link, Msg, RECORDS, Request};
use crate::tui::connection::Arrival;
use crate::tui::screen;

use super::scene::Scene;
use super::stage::Stage;

/// Counts what is written to the terminal.
#[derive(Clone, Default)]
struct Written(Rc<Cell<usize>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Over a bad line an idle cockpit is nearly silent, although its probes go on.
#[test]
fn an_idle_cockpit_writes_little() {
    let scenes = [
        ("peace", Scene::peace as fn() -> Scene, 250),
        ("incident", Scene::declared, 350),
        ("run", Scene::practised, 1000),
    ];
    for (name, scene, most) in scenes {
        let mut stage = Stage::new(scene());
        let written = Written::default();
        let area = Rect::new(0, 0, 120, 40);
        let options = TerminalOptions { viewport: Viewport::Fixed(area) };
        let mut terminal = Terminal::with_options(CrosstermBackend::new(written.clone()), options).unwrap();
        terminal.draw(|frame| screen::draw(&stage.app, frame)).unwrap();
        let whole = written.0.get();
        let seconds = 60;
        for second in 0..seconds {
            stage.at = after(stage.at, Duration::from_secs(1));
            stage.scene.snap.now = stage.at;
            if second % 5 == 0 {
                stage.scene.pass(0);
                stage.sync();
            }
            // As the engine does.
            stage.send(Msg::Arrival(Arrival::Alive));
            stage.send(Msg::Tick);
            terminal.draw(|frame| screen::draw(&stage.app, frame)).unwrap();
        }
        let rate = (written.0.get() - whole) / seconds;
        println!("{name}: {rate} bytes a second");
        assert!(rate < most, "{name}: {rate} bytes a second");
    }
}

/// A probe that says what it said before can wait for the next second; what changes the state cannot.
#[test]
fn news_is_drawn_at_once_and_readings_with_the_clocks() {
    let mut stage = Stage::new(Scene::peace());
    stage.app.dirty = Dirty::No;
    stage.scene.pass(5);
    stage.sync();
    assert_eq!(stage.app.dirty, Dirty::Soon);
    stage.scene.ask(crate::domain::command::Ask::Hold { reason: String::new() });
    stage.sync();
    assert_eq!(stage.app.dirty, Dirty::Now);
}

#[test]
fn missed_updates_ask_for_the_whole() {
    let mut stage = Stage::new(Scene::peace());
    stage.scene.ask(crate::domain::command::Ask::Note { text: "one".into() });
    stage.scene.sent.clear();
    stage.scene.ask(crate::domain::command::Ask::Note { text: "two".into() });
    let update = stage.scene.sent.pop().unwrap();
    stage.send(Msg::Arrival(Arrival::Update(update)));
    assert_eq!(stage.requests.last(), Some(&Request::Resync));
}

#[test]
fn the_timeline_is_a_ring_and_has_no_gap() {
    let mut stage = Stage::new(Scene::peace());
    for number in 0..RECORDS + 30 {
        stage.scene.ask(crate::domain::command::Ask::Note { text: format!("note {number}") });
    }
    stage.sync();
    assert_eq!(stage.app.records.len(), RECORDS);
    stage.connect();
    let numbers: Vec<u64> = stage.app.records.iter().map(|record| record.seq).collect();
    assert_eq!(numbers.len(), RECORDS);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    assert_eq!(numbers.last(), Some(&stage.scene.snap.state.seq));
}

/// The mirror of a cockpit is what the engine has, update by update.
#[test]
fn the_mirror_is_true() {
    let mut stage = Stage::new(Scene::gates());
    stage.keys("Enter c Enter c H");
    stage.pass(5);
    stage.scene.perform_all();
    stage.sync();
    assert_eq!(stage.app.mirror.as_ref().unwrap().state, stage.scene.snap.state);
    assert_eq!(stage.app.mirror.as_ref().unwrap().live, stage.scene.snap.live);
}

#[test]
fn a_lost_engine_is_asked_for_nothing_and_hands_stay() {
    let mut stage = Stage::new(Scene::gates());
    stage.send(Msg::Arrival(Arrival::Lost { why: "gone".into() }));
    assert!(matches!(stage.app.link, Link::Lost { .. }));
    stage.keys("Enter");
    stage.requests.clear();
    stage.keys("c");
    assert!(stage.requests.is_empty());
    assert!(stage.app.message.as_ref().unwrap().text.contains("does not answer"));
    stage.keys("b");
    assert!(matches!(stage.requests[0], Request::ByHand { .. }));
}

#[test]
fn before_the_engine_answers_the_cockpit_says_so() {
    let scene = Scene::peace();
    let at = scene.snap.now;
    let app = crate::tui::app::App::new("s".into(), false, super::stage::options(), at).unwrap();
    let mut terminal = Terminal::new(ratatui::backend::TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| screen::draw(&app, frame)).unwrap();
    assert!(super::stage::text(terminal.backend().buffer()).contains("Connecting to the engine."));
}
