//! A cockpit on a scene, with a terminal in memory.

use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::domain::time::{At, after};
use crate::domain::view::StepByHand;
use crate::tui::app::{Answer, App, Msg, Options, Request};
use crate::tui::connection::Arrival;
use crate::tui::screen;
use crate::tui::theme::{Depth, Library};

use super::plays::by_hand;
use super::scene::Scene;

pub struct Stage {
    pub scene: Scene,
    pub app: App,
    pub at: At,
    /// The time of the hands on the keyboard: they press keys one by one, while nothing else passes.
    hands: At,
    /// What the cockpit asked for, in words, of the shell around it.
    pub requests: Vec<Request>,
}

pub fn options() -> Options {
    Options {
        theme: "dark".into(),
        depth: Depth::True,
        ascii: false,
        mouse: false,
        reduced_motion: false,
        themes: Library::default(),
        notice: None,
        zone: TimeZone::UTC,
        about: vec!["state directory  /var/lib/mayday".into()],
        told: Vec::new(),
    }
}

impl Stage {
    pub fn new(scene: Scene) -> Self {
        Self::with(scene, options(), false)
    }

    pub fn with(mut scene: Scene, options: Options, read_only: bool) -> Self {
        let at = scene.snap.now;
        let app = App::new(scene.session.clone(), read_only, options, at).unwrap();
        scene.sent.clear();
        let mut stage = Self { scene, app, at, hands: at, requests: Vec::new() };
        stage.connect();
        stage
    }

    pub fn connect(&mut self) {
        let snap = Box::new(self.scene.snap.clone());
        self.send(Msg::Arrival(Arrival::Connected(snap)));
    }

    pub fn send(&mut self, msg: Msg) {
        self.send_at(msg, self.at);
    }

    /// The same at a time of the hands.
    pub fn send_at(&mut self, msg: Msg, at: At) {
        let mut requests = self.app.update(msg, at);
        while let Some(request) = requests.pop() {
            self.requests.push(request.clone());
            let answer = match request {
                Request::Ask { ask, said } => {
                    let result = self.scene.try_ask(ask);
                    Answer::Asked { said, result }
                }
                Request::ByHand { step, .. } => {
                    let steps = vec![StepByHand { title: step.to_string(), lines: by_hand(&step), step: step.clone() }];
                    Answer::ByHand { step, result: Ok(steps) }
                }
                Request::Drafts => Answer::Drafts(Ok(self.scene.drafts())),
                Request::Records { after } => {
                    let after = usize::try_from(after).unwrap();
                    Answer::Records(Ok(self.scene.records[after..].to_vec()))
                }
                _ => continue,
            };
            requests.extend(self.app.update(Msg::Answer(answer), at));
            self.sync();
        }
        self.app.at = self.at;
    }

    /// Sends the cockpit what the engine would have sent.
    pub fn sync(&mut self) {
        for update in std::mem::take(&mut self.scene.sent) {
            self.app.update(Msg::Arrival(Arrival::Update(update)), self.at);
        }
    }

    /// Time passes here and there.
    pub fn pass(&mut self, seconds: u64) {
        self.at = after(self.at, std::time::Duration::from_secs(seconds));
        self.scene.pass(seconds);
        self.sync();
        self.send(Msg::Tick);
    }

    /// Keys as the keymap names them, separated by blanks; `"text"` is typed letter by letter.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        for (index, part) in keys.split('"').enumerate() {
            if index % 2 == 1 {
                for c in part.chars() {
                    self.key(&c.to_string());
                }
            } else {
                part.split_whitespace().for_each(|name| self.key(name));
            }
        }
        self
    }

    /// As somebody presses it who looks before pressing the next one.
    pub fn key(&mut self, name: &str) {
        self.key_after(name, 200);
        self.pause(25);
        self.pause(310);
    }

    /// So many milliseconds after the last key, with nothing else between them.
    pub fn key_after(&mut self, name: &str, millis: u64) {
        self.hands = after(self.hands.max(self.at), std::time::Duration::from_millis(millis));
        self.send_at(Msg::Key(event(name)), self.hands);
    }

    /// The hands rest.
    pub fn pause(&mut self, millis: u64) {
        self.hands = after(self.hands, std::time::Duration::from_millis(millis));
        self.send_at(Msg::Pause, self.hands);
    }

    /// In another theme.
    pub fn wear(&mut self, theme: &str) -> &mut Self {
        if self.app.theme.name != theme {
            self.app.theme = self.app.options.themes.load(theme, self.app.options.depth).unwrap();
        }
        self
    }

    pub fn buffer(&self, columns: u16, rows: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| screen::draw(&self.app, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    pub fn text(&self, columns: u16, rows: u16) -> String {
        text(&self.buffer(columns, rows))
    }
}

/// A buffer as lines of text, without what is blank at their ends.
pub fn text(buffer: &Buffer) -> String {
    let columns = usize::from(buffer.area.width);
    let lines = buffer.content.chunks(columns).map(|row| {
        let mut line = String::new();
        let mut skip = 0;
        for cell in row {
            if skip == 0 {
                line.push_str(cell.symbol());
                skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The event of a key as the keymap names it.
pub fn event(name: &str) -> KeyEvent {
    let (modifiers, base) = match name.strip_prefix("Ctrl-") {
        Some(base) => (KeyModifiers::CONTROL, base),
        None => (KeyModifiers::NONE, name),
    };
    let code = match base {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Shift-Tab" => KeyCode::BackTab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "PageUp" => KeyCode::PageUp,
        "PageDown" => KeyCode::PageDown,
        "Backspace" => KeyCode::Backspace,
        "F1" => KeyCode::F(1),
        "Space" => KeyCode::Char(' '),
        other => KeyCode::Char(other.chars().next().unwrap()),
    };
    KeyEvent::new(code, modifiers)
}
