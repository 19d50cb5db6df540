//! Standard output and standard error, without panics: a reader that went away ends the program
//! quietly, as a signal would have.

use crate::exit::Failure;
use std::io::{self, Write as _};

/// Exit code of a program that SIGPIPE ended.
const PIPE_CLOSED: u8 = 141;

/// Writes a command's result.
pub(crate) fn result(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Silent(PIPE_CLOSED),
        _ => Failure::because("cannot write to standard output", error),
    })
}

/// Writes a command's result and ends the line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    result(&format!("{text}\n"))
}

/// Writes a message to standard error; one that cannot be written is lost.
pub(crate) fn message(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
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

/// Whether an environment variable's text means yes.
pub(crate) fn truthy(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "t" | "true" | "y" | "yes" | "on")
}
