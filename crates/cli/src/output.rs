//! Standard output and standard error, without panics: a reader that went away ends the program
//! quietly, as a signal would have. While a screen is drawn, it is handed what would be written; while a
//! command works, a thread writes ([`behind`]).

pub(crate) mod behind;

use crate::exit::{Exit, Failure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

/// Exit code of a program that SIGPIPE ended.
const PIPE_CLOSED: u8 = 141;

/// Where a text is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// Writes a text to it, or has it written.
    pub(crate) fn write(self, text: &str) -> io::Result<()> {
        behind::push(self, text).unwrap_or_else(|| self.write_itself(text))
    }

    /// Whether who writes to it may have to wait for a reader.
    fn may_wait(self) -> bool {
        use rustix::fs::{FileType, fstat};
        let status = match self {
            Self::Out => fstat(io::stdout()),
            Self::Err => fstat(io::stderr()),
        };
        let is_terminal = match self {
            Self::Out => io::stdout().is_terminal(),
            Self::Err => io::stderr().is_terminal(),
        };
        let kind = status.map(|status| FileType::from_raw_mode(status.st_mode));
        is_terminal || matches!(kind, Ok(FileType::Fifo | FileType::Socket))
    }

    fn write_itself(self, text: &str) -> io::Result<()> {
        match self {
            Self::Out => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            Self::Err => io::stderr().lock().write_all(text.as_bytes()),
        }
    }
}

/// What takes texts while a screen is drawn.
type Taker = Box<dyn FnMut(Stream, &str) -> io::Result<()> + Send>;

static TAKER: Mutex<Option<Taker>> = Mutex::new(None);

/// Hands every text to a screen instead of writing it, until this is dropped.
pub(crate) struct Diverted(());

/// Begins to hand texts to this taker.
pub(crate) fn divert(taker: impl FnMut(Stream, &str) -> io::Result<()> + Send + 'static) -> Diverted {
    *TAKER.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(taker));
    Diverted(())
}

impl Drop for Diverted {
    fn drop(&mut self) {
        *TAKER.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn write(stream: Stream, text: &str) -> io::Result<()> {
    match &mut *TAKER.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(taker) => taker(stream, text),
        None => stream.write(text),
    }
}

/// Writes a command's result.
pub(crate) fn result(text: &str) -> Result<(), Failure> {
    write(Stream::Out, text).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Silent(PIPE_CLOSED),
        _ => Failure::because("cannot write to standard output", error),
    })
}

/// Waits for what is still to be written, but not for long when the program was interrupted; the exit code.
pub(crate) fn end(code: u8) -> u8 {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
    let limit = (code == Exit::Interrupted.code()).then_some(PATIENCE);
    match behind::finish(limit) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe && code == 0 => PIPE_CLOSED,
        Err(_) if code == 0 => 1,
        _ => code,
    }
}

/// What is said of a failure to write an archive to standard output: nothing when it is that nobody reads.
pub(crate) fn unread(failure: Failure) -> Failure {
    let out = io::stdout();
    let mut asked = [PollFd::new(&out, PollFlags::empty())];
    // A pipe without a reader is the one that has an error.
    let is_answered = poll(&mut asked, Some(&Timespec::default())).is_ok();
    if is_answered && asked[0].revents().contains(PollFlags::ERR) {
        return Failure::Silent(PIPE_CLOSED);
    }
    failure
}

/// Writes a command's result and ends the line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    result(&format!("{text}\n"))
}

/// Writes a message to standard error; one that cannot be written is lost.
pub(crate) fn message(text: &str) {
    let _ = write(Stream::Err, text);
}

/// Says what would be done, if this were no dry run.
pub(crate) fn planned(text: &str) {
    message(&format!("DRY-RUN MODE - {text}\n"));
}

/// Writes a warning to standard error.
pub(crate) fn warning(text: &str, colour: bool) {
    if colour {
        message(&format!("\x1b[1;33mwarning\x1b[0m: {text}\n"));
    } else {
        message(&format!("warning: {text}\n"));
    }
}

/// A short status message ("No container to kill"): standard error, or standard output when
/// `COMPOSE_STATUS_STDOUT` asks for that.
pub(crate) fn status(text: &str) -> Result<(), Failure> {
    if std::env::var("COMPOSE_STATUS_STDOUT").is_ok_and(|value| truthy(&value)) {
        return line(text);
    }
    message(&format!("{text}\n"));
    Ok(())
}

/// Whether an environment variable's text means no; the empty one does.
pub(crate) fn falsy(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "" | "0" | "f" | "false" | "n" | "no" | "off")
}

/// Whether an environment variable's text means yes.
pub(crate) fn truthy(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y" | "yes" | "on")
}
