//! The keyboard menu of an attached `up`: one line below the lines of the containers.
//!
//! ```text
//! web-1  | GET / 200
//! w Enable Watch   d Detach          never in the scrollback: taken away before each line, put back after it
//! ```
//! Keys come one by one and are not shown; what a program writes is treated as ever, so that lines look as
//! without a menu. `v`, `o` and `l` of Docker Compose open its vendor's desktop program and are left out.

use crate::exit::Failure;
use crate::output::{self, Diverted, Stream, behind};
use crate::stream::wait_for_input;
use crate::terminal::{self, Raw};
use nix::sys::signal::{Signal, raise};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Takes the line of the menu away, of however many rows it is by now: the cursor rests at its beginning, also when
/// the terminal became narrower and broke the line anew.
const ERASE: &str = "\r\x1b[J";

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Watch files, or do not any more.
    Watch,
    /// Leave the containers running.
    Detach,
    /// Stop them, as Ctrl-C does.
    Interrupt,
    /// Stop this program until the shell continues it.
    Suspend,
    /// A blank line, to tell what was before from what comes.
    Blank,
}

/// The menu, shown. The terminal is as it was when it is dropped.
pub(super) struct Menu {
    keys: UnboundedReceiver<u8>,
    /// Closed with this: keys that are typed later are for others.
    _reading: io::PipeWriter,
    foot: Arc<Mutex<Foot>>,
    raw: Option<Raw>,
    _diverted: Diverted,
}

impl Menu {
    /// Shows the menu.
    ///
    /// # Errors
    /// Keys cannot be read from standard input.
    pub(super) fn open(colour: bool, watching: bool) -> Result<Self, Failure> {
        let failed = |error| Failure::because("cannot read keys", error);
        let input = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?);
        let (over, reading) = io::pipe().map_err(failed)?;
        let (send, keys) = mpsc::unbounded_channel();
        std::thread::spawn(move || read(input, &over, &send));
        let raw = Raw::for_keys();
        let foot = Foot { watching, colour, drawn: false, same: terminal::stderr() };
        let foot = Arc::new(Mutex::new(foot));
        let taker = Arc::clone(&foot);
        let diverted = output::divert(move |stream, text| locked(&taker).write(stream, text));
        let menu = Self { keys, _reading: reading, foot, raw, _diverted: diverted };
        menu.foot().draw();
        Ok(menu)
    }

    fn foot(&self) -> MutexGuard<'_, Foot> {
        locked(&self.foot)
    }

    /// Says in the menu whether files are watched.
    pub(super) fn set_watching(&self, watching: bool) {
        let mut foot = self.foot();
        foot.watching = watching;
        foot.draw();
    }

    /// Waits for a key that asks for something; for ever once no key can come.
    pub(super) async fn next(&mut self) -> Asked {
        while let Some(byte) = self.keys.recv().await {
            if let Some(asked) = meaning(byte) {
                return asked;
            }
        }
        std::future::pending().await
    }

    /// Stops this program until the shell continues it.
    ///
    /// # Errors
    /// The signal could not be sent.
    pub(super) fn suspend(&mut self) -> Result<(), Failure> {
        self.foot().erase();
        behind::finish(None).map_err(|error| Failure::because("cannot write to the terminal", error))?;
        self.raw = None;
        raise(Signal::SIGSTOP).map_err(|error| Failure::because("cannot suspend", error))?;
        self.raw = Raw::for_keys();
        self.foot().draw();
        Ok(())
    }
}

impl Drop for Menu {
    fn drop(&mut self) {
        self.foot().erase();
    }
}

/// Reads keys until it is over. A thread does, since a descriptor that is the shell's too cannot be made not to
/// wait.
fn read(mut input: File, over: &io::PipeReader, keys: &UnboundedSender<u8>) {
    let mut buffer = [0; 64];
    while wait_for_input(&input, Some(over))
        && let Ok(length @ 1..) = input.read(&mut buffer)
    {
        // What a key like an arrow sends is no letter of ours.
        let letters: &[u8] = if buffer[0] == 0x1b { &[] } else { &buffer[..length] };
        if letters.iter().any(|byte| keys.send(*byte).is_err()) {
            return;
        }
    }
}

fn meaning(byte: u8) -> Option<Asked> {
    match byte {
        b'w' | b'W' => Some(Asked::Watch),
        b'd' | b'D' => Some(Asked::Detach),
        0x03 => Some(Asked::Interrupt),
        0x1a => Some(Asked::Suspend),
        b'\r' | b'\n' => Some(Asked::Blank),
        _ => None,
    }
}

fn locked(foot: &Mutex<Foot>) -> MutexGuard<'_, Foot> {
    foot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The line at the foot.
struct Foot {
    watching: bool,
    colour: bool,
    /// It stands there, with the cursor at its beginning.
    drawn: bool,
    /// Standard error is a terminal too, taken to be the same.
    same: bool,
}

impl Foot {
    /// Writes a text where the line was, and the line below it.
    fn write(&mut self, stream: Stream, text: &str) -> io::Result<()> {
        if stream == Stream::Err && !self.same {
            return stream.write(text);
        }
        let erase = if self.drawn { ERASE } else { "" };
        // A line that is not ended, such as a question, goes on behind itself.
        self.drawn = text.ends_with('\n');
        let line = if self.drawn { self.line() } else { String::new() };
        if stream == Stream::Out {
            return stream.write(&format!("{erase}{text}{line}"));
        }
        Stream::Out.write(erase)?;
        stream.write(text)?;
        Stream::Out.write(&line)
    }

    fn draw(&mut self) {
        // A terminal that has gone shows nothing.
        let _ = Stream::Out.write(&format!("{ERASE}{}", self.line()));
        self.drawn = true;
    }

    fn erase(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = Stream::Out.write(ERASE);
        }
    }

    fn line(&self) -> String {
        let columns = terminal::size(io::stdout()).map_or(80, |size| usize::from(size.columns));
        // Cut by a terminal that became narrower just now.
        format!("\x1b[?7l{}\x1b[?7h\r", line(self.watching, self.colour, columns))
    }
}

/// The menu in less than so many columns, so that the cursor stays in its line.
fn line(watching: bool, colour: bool, columns: usize) -> String {
    let watch = if watching { "Disable Watch" } else { "Enable Watch" };
    let mut left = columns.saturating_sub(1);
    let mut text = String::new();
    for (key, does) in [("w", watch), ("   d", "Detach")] {
        let width = key.len() + 1 + does.len();
        if width > left {
            break;
        }
        left -= width;
        let (on, off) = if colour { ("\x1b[1;36m", "\x1b[0m") } else { ("", "") };
        text.push_str(&format!("{on}{key}{off} {does}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fits() {
        assert_eq!(line(false, false, 80), "w Enable Watch   d Detach");
        assert_eq!(line(true, true, 80), "\x1b[1;36mw\x1b[0m Disable Watch\x1b[1;36m   d\x1b[0m Detach");
        assert_eq!(line(false, false, 26), "w Enable Watch   d Detach");
        assert_eq!(line(false, false, 25), "w Enable Watch");
        assert_eq!(line(false, false, 5), "");
    }

    #[test]
    fn keys_ask_for_something() {
        assert_eq!(meaning(b'w'), Some(Asked::Watch));
        assert_eq!(meaning(3), Some(Asked::Interrupt));
        assert_eq!(meaning(b'v'), None);
    }
}
