//! The terminal while the dashboard has it: another screen, raw keys, no cursor. It is given back as it was
//! when the screen is dropped, and before a panic is told.

use crate::exit::Failure;
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, terminal};
use futures_util::stream::StreamExt as _;
use nix::sys::signal::{Signal, raise};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use std::io::{self, BufWriter, Stdout, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use ui::Key;

/// Bytes of a drawing that are written at once; a whole screen has less.
const DRAWING: usize = 64 * 1024;

/// Whether the terminal is in the dashboard's state, for a panic on any thread.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What came from the terminal.
pub(super) enum Input {
    /// A key.
    Key(Key),
    /// Another size, or something else that asks for a new drawing at most.
    Resized,
    /// The terminal has gone.
    Gone,
}

/// The terminal, taken.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    /// It stays when the terminal is given away: it reads only while it is waited for, and that is not so
    /// while a key is acted on. A second one would begin with being woken by the end of the first, which
    /// has it miss a key that comes along.
    keys: EventStream,
    /// Somebody else reads the keys.
    away: bool,
}

fn failed(error: io::Error) -> Failure {
    Failure::because("cannot use the terminal", error)
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn open() -> Result<Self, Failure> {
        give_back_before_a_panic();
        let backend = CrosstermBackend::new(BufWriter::with_capacity(DRAWING, io::stdout()));
        let terminal = Terminal::new(backend).map_err(failed)?;
        let mut screen = Self { terminal, keys: EventStream::new(), away: true };
        screen.enter(None)?;
        Ok(screen)
    }

    /// Takes the terminal, again after [`Screen::leave`]; with a word, what stands there stays until
    /// [`Screen::redraw`], with that word below it.
    pub(super) fn enter(&mut self, word: Option<&String>) -> Result<(), Failure> {
        TAKEN.store(true, Ordering::Relaxed);
        terminal::enable_raw_mode().map_err(failed)?;
        self.away = false;
        match word {
            Some(word) => {
                let mut out = io::stdout();
                write!(out, "\r\n{word}").and_then(|()| out.flush()).map_err(failed)
            }
            None => self.redraw(),
        }
    }

    /// Gives the terminal back for a while.
    pub(super) fn leave(&mut self) {
        self.away = true;
        give_back();
    }

    /// Draws everything anew.
    pub(super) fn redraw(&mut self) -> Result<(), Failure> {
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide).map_err(failed)?;
        // A size, even the same, clears the screen. To ask for that by itself would have the terminal
        // tell where its cursor is, and whoever reads the keys would get the answer.
        let size = self.terminal.size().map_err(failed)?;
        self.terminal.resize(size.into()).map_err(failed)
    }

    /// Stops this program until the shell continues it.
    pub(super) fn suspend(&mut self) -> Result<(), Failure> {
        self.leave();
        raise(Signal::SIGSTOP).map_err(|error| failed(error.into()))?;
        self.enter(None)
    }

    /// Takes the terminal again after this program was stopped, by whatever signal: a shell has had it meanwhile,
    /// and may have put it back to what it was.
    pub(super) fn retake(&mut self) -> Result<(), Failure> {
        self.leave();
        self.enter(None)
    }

    /// Draws what has changed.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.terminal.draw(draw).map(drop).map_err(failed)
    }

    /// Waits for a key or another size.
    pub(super) async fn next(&mut self) -> Result<Input, Failure> {
        if self.away {
            return std::future::pending().await;
        }
        Ok(match self.keys.next().await {
            None => Input::Gone,
            // A terminal that hung up cannot be read any more.
            Some(Err(_)) => Input::Gone,
            Some(Ok(Event::Key(event))) => key(event).map_or(Input::Resized, Input::Key),
            Some(Ok(_)) => Input::Resized,
        })
    }

    /// Waits for any key.
    pub(super) async fn any_key(&mut self) -> Result<(), Failure> {
        while matches!(self.next().await?, Input::Resized) {}
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Puts the terminal back, if it is taken.
fn give_back() {
    if TAKEN.swap(false, Ordering::Relaxed) {
        // A terminal that has gone cannot be put back.
        let _ = execute!(io::stdout(), cursor::Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// A panic is told on the screen that was there before.
fn give_back_before_a_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            tell(panic);
        }));
    });
}

/// The dashboard's name for a key; none for what it has no use for.
fn key(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let with_control = event.modifiers.contains(KeyModifiers::CONTROL);
    Some(match event.code {
        KeyCode::Char(letter) if with_control => Key::Ctrl(letter.to_ascii_lowercase()),
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::tests::{is_on_a_terminal, on_a_terminal};

    #[test]
    fn keys_have_names() {
        let pressed = |code, modifiers| key(KeyEvent::new(code, modifiers));
        assert_eq!(pressed(KeyCode::Char('N'), KeyModifiers::SHIFT), Some(Key::Char('N')));
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Ctrl('c')));
        assert_eq!(pressed(KeyCode::F(5), KeyModifiers::NONE), None);
        let mut released = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        assert_eq!(key(released), None);
    }

    #[test]
    fn a_panic_is_told_on_the_screen_that_was_there_before() {
        if is_on_a_terminal() {
            let screen = Screen::open();
            assert!(screen.is_ok());
            std::mem::forget(screen);
            panic!("as it happens");
        }
        let left =
            on_a_terminal("dashboard::screen::tests::a_panic_is_told_on_the_screen_that_was_there_before");
        assert_eq!(left.flags[0], left.flags[1]);
        let [taken, given, told] =
            ["\x1b[?1049h", "\x1b[?1049l", "as it happens"].map(|text| left.text.find(text));
        assert!(taken.is_some() && taken < given && given < told, "{:?}", left.text);
        let [hidden, shown] = ["\x1b[?25l", "\x1b[?25h"].map(|text| left.text.rfind(text));
        assert!(hidden < shown, "{:?}", left.text);
    }
}
