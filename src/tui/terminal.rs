//! The terminal: taken over on entry, given back on every way out, also when the program panics.

use std::io::{self, Stdout, stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::clipboard::CopyToClipboard;
use ratatui::crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste};
use ratatui::crossterm::style::Print;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute, queue};

use super::app::App;
use super::screen;

/// Whether the terminal is ours now: what is given back twice would leave somebody else's screen.
static TAKEN: AtomicBool = AtomicBool::new(false);
static PANICS: Once = Once::new();
/// As the runtime has it for a panic of the main thread.
const PANICKED: i32 = 101;

/// Buttons and the wheel, in SGR form. Not every movement, which would be what goes over a bad line most.
const BUTTONS: &str = "\x1b[?1000h\x1b[?1006h";

/// The terminal, while it is ours.
pub struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

impl Terminal {
    /// # Errors
    /// When there is no terminal, or it does not do as it is told.
    pub fn take(mouse: bool) -> io::Result<Self> {
        PANICS.call_once(|| {
            let then = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let ours = give_back();
                then(panic);
                // Whichever task it was: a cockpit that goes on without a part of itself, on somebody else's screen, helps nobody.
                if ours {
                    std::process::exit(PANICKED);
                }
            }));
        });
        let terminal = Self { inner: ratatui::Terminal::new(CrosstermBackend::new(stdout()))?, mouse };
        terminal.enter()?;
        Ok(terminal)
    }

    fn enter(&self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        if self.mouse {
            execute!(stdout(), Print(BUTTONS))?;
        }
        Ok(())
    }

    /// Draws what has changed, as one update.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        queue!(stdout(), BeginSynchronizedUpdate)?;
        let drawn = self.inner.draw(|frame| screen::draw(app, frame)).map(|_| ());
        execute!(stdout(), EndSynchronizedUpdate)?;
        drawn
    }

    /// Draws everything anew with the next draw.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn clear(&mut self) -> io::Result<()> {
        // `Terminal::clear` asks the terminal where its cursor is: on a slow line the answer comes too late, and that is an error.
        let area = self.inner.size()?.into();
        self.inner.resize(area)
    }

    /// Puts a text into the clipboard of the operator's terminal (OSC 52), over SSH too.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn copy(&self, text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Gives the terminal back, stops the process as `Ctrl-Z` does in a shell, and takes the terminal again after `fg`.
    ///
    /// # Errors
    /// When the terminal is gone by then.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
        self.enter()?;
        self.clear()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back if it is ours, which it says. What cannot be written any more is not worth a word: the terminal is gone.
fn give_back() -> bool {
    let ours = TAKEN.swap(false, Ordering::SeqCst);
    if ours {
        let _ = execute!(
            stdout(),
            EndSynchronizedUpdate,
            DisableMouseCapture,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
    ours
}
