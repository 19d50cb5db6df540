//! The terminal: its size, raw mode that is undone when dropped, and whether there is one.

use nix::sys::termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd;
use std::sync::{Mutex, Once, PoisonError};

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Lines.
    pub(crate) rows: u16,
    /// Characters a line.
    pub(crate) columns: u16,
}

/// The size of the terminal behind this descriptor, if it is one that tells.
pub(crate) fn size(of: impl AsFd) -> Option<Size> {
    let window = rustix::termios::tcgetwinsize(of).ok()?;
    (window.ws_row > 0 && window.ws_col > 0).then_some(Size { rows: window.ws_row, columns: window.ws_col })
}

/// Gives the terminal behind a descriptor (the master side of a container's) a size.
pub(crate) fn resize(of: impl AsFd, size: Size) -> io::Result<()> {
    let window =
        rustix::termios::Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(of, window).map_err(io::Error::from)
}

/// Whether standard input is a terminal.
pub(crate) fn stdin() -> bool {
    io::stdin().is_terminal()
}

/// Whether standard output is a terminal.
pub(crate) fn stdout() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
pub(crate) fn stderr() -> bool {
    io::stderr().is_terminal()
}

/// Begins a new line after the `^C` that a terminal echoes.
pub(crate) fn leave_echo() {
    if io::stdin().is_terminal() && stderr() {
        crate::output::message("\n");
    }
}

/// Standard input without echo: what is typed is not shown. Dropping it restores the terminal.
pub(crate) struct Unseen {
    before: Termios,
}

impl Unseen {
    /// Switches the echo off; `None` when standard input is no terminal or keeps showing what is typed.
    pub(crate) fn enter() -> Option<Self> {
        let input = io::stdin();
        let before = termios::tcgetattr(&input).ok()?;
        let mut unseen = before.clone();
        unseen.local_flags.remove(LocalFlags::ECHO);
        termios::tcsetattr(&input, SetArg::TCSAFLUSH, &unseen).ok()?;
        let now = termios::tcgetattr(&input).ok()?;
        (!now.local_flags.contains(LocalFlags::ECHO)).then_some(Self { before })
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

/// Standard input in another mode. Dropping it, or a panic, restores the terminal.
pub(crate) struct Raw(());

/// What the terminal was like before it was changed.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

impl Raw {
    /// Every key goes to a container, Ctrl-C among them, and what that writes is taken as it is; `None` when
    /// standard input is no terminal.
    pub(crate) fn enter() -> Option<Self> {
        Self::change(termios::cfmakeraw)
    }

    /// Keys are read one by one, Ctrl-C among them, and not shown; what is written looks as ever. `None` when
    /// standard input is no terminal.
    pub(crate) fn for_keys() -> Option<Self> {
        Self::change(|mode| {
            mode.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
            mode.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
            mode.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        })
    }

    fn change(change: impl FnOnce(&mut Termios)) -> Option<Self> {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let tell = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                tell(panic);
            }));
        });
        let input = io::stdin();
        let before = termios::tcgetattr(&input).ok()?;
        let mut changed = before.clone();
        change(&mut changed);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let raw = Self(());
        termios::tcsetattr(&input, SetArg::TCSANOW, &changed).ok()?;
        Some(raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &before);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read as _;
    use std::process::Command;

    /// Set in a process that does on a terminal what its test is about.
    const CHILD: &str = "COMPOSE_TEST_ON_A_TERMINAL";

    /// What a test left on the terminal that it had.
    pub(crate) struct Left {
        /// The modes before and after.
        pub(crate) flags: [LocalFlags; 2],
        /// What was written.
        pub(crate) text: String,
    }

    /// Whether this process is the one on a terminal.
    pub(crate) fn is_on_a_terminal() -> bool {
        std::env::var_os(CHILD).is_some()
    }

    /// Runs a test by its whole name once more, in a process with a terminal of its own.
    pub(crate) fn on_a_terminal(test: &str) -> Left {
        let window = nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(&window, None).unwrap();
        let flags = || termios::tcgetattr(&pty.slave).unwrap().local_flags;
        let before = flags();
        let end = || pty.slave.try_clone().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "1")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let mut master = File::from(pty.master);
        let reader = std::thread::spawn(move || {
            let mut bytes = vec![];
            // It ends with an error when nobody has the other side any more.
            let _ = master.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        assert!(!child.wait().unwrap().success());
        let flags = [before, flags()];
        drop(pty.slave);
        Left { flags, text: reader.join().unwrap() }
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        if is_on_a_terminal() {
            // As when another thread panics: nothing is dropped here.
            std::mem::forget(Raw::enter().unwrap());
            let flags = termios::tcgetattr(io::stdin()).unwrap().local_flags;
            eprintln!("echoes: {}", flags.contains(LocalFlags::ECHO));
            panic!("as it happens");
        }
        let left = on_a_terminal("terminal::tests::a_panic_gives_the_terminal_back");
        assert!(left.text.contains("echoes: false") && left.text.contains("as it happens"), "{}", left.text);
        assert_eq!(left.flags[0], left.flags[1]);
    }
}
