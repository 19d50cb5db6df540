//! Progress of pulls, creations, starts and stops, on standard error.
//!
//! | mode | form |
//! |---|---|
//! | tty | a header and one line for each resource, redrawn in place |
//! | plain | one line for each event: ` <id> <text> <details>` |
//! | json | one object for each event |
//! | quiet | nothing |

mod board;
mod screen;

use crate::output;
use screen::Screen;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Redrawn in place.
    Tty,
    /// One line an event.
    Plain,
    /// One JSON object an event.
    Json,
    /// Nothing.
    Quiet,
}

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It goes on.
    Working,
    /// It is done.
    Done,
    /// It is done, with a remark.
    Warning,
    /// It failed.
    Error,
}

/// Something that happened to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// `Container shop-web-1`, `Image redis:7`; of a layer, its short digest.
    pub(crate) id: String,
    /// The image that a layer belongs to.
    pub(crate) parent: Option<String>,
    /// How far it is.
    pub(crate) status: Status,
    /// `Creating`, `Started`, …
    pub(crate) text: String,
    /// Why, or what of it.
    pub(crate) details: String,
    /// Bytes done and in all, for downloads.
    pub(crate) bytes: Option<(u64, u64)>,
    /// It is part of something that has a line too, and leaves the screen with the end when it went well.
    pub(crate) passing: bool,
}

impl Line {
    /// A line without details.
    pub(crate) fn new(id: impl Into<String>, status: Status, text: impl Into<String>) -> Self {
        let (id, text, details) = (id.into(), text.into(), String::new());
        Self { id, parent: None, status, text, details, bytes: None, passing: false }
    }

    /// The same with details.
    pub(crate) fn details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }
}

/// Where progress goes.
pub(crate) struct Progress {
    mode: Mode,
    colour: bool,
    dry_run: bool,
    /// The verb, for the header.
    operation: &'static str,
    board: Mutex<Board>,
}

#[derive(Default)]
struct Board {
    screen: Option<Screen>,
    /// The last line of each id in plain and JSON form, so that nothing is said twice.
    said: HashMap<String, String>,
    suspended: bool,
}

impl Progress {
    /// Progress of a verb, in this form.
    pub(crate) fn new(mode: Mode, operation: &'static str, colour: bool, dry_run: bool) -> Self {
        Self { mode, colour, dry_run, operation, board: Mutex::default() }
    }

    /// Its form.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Tells what happened.
    pub(crate) fn tell(&self, line: &Line) {
        let mut board = self.board();
        if board.suspended || self.mode == Mode::Quiet {
            return;
        }
        output::behind::begin();
        match self.mode {
            Mode::Quiet => {}
            Mode::Plain => self.plain(&mut board, line),
            Mode::Json => self.json(&mut board, line),
            // Who draws is a thread, too.
            Mode::Tty if output::behind::is_held() => self.plain(&mut board, line),
            Mode::Tty => {
                board.screen.get_or_insert_with(|| Screen::open(self.operation, self.colour)).tell(line);
            }
        }
    }

    /// Leaves what is drawn as it is and draws nothing more, until the next [`Progress::resume`].
    pub(crate) fn suspend(&self) {
        let mut board = self.board();
        board.suspended = true;
        board.screen = None;
    }

    /// Draws again.
    pub(crate) fn resume(&self) {
        self.board().suspended = false;
    }

    /// Ends the drawing; the last state of each line stays.
    pub(crate) fn finish(&self) {
        self.board().screen = None;
    }

    /// Writes a message above what is drawn.
    pub(crate) fn message(&self, text: &str) {
        output::message(text);
    }

    /// Writes a remark that is no event; only for people.
    pub(crate) fn note(&self, text: &str) {
        if matches!(self.mode, Mode::Tty | Mode::Plain) {
            self.message(&format!(" {text}\n"));
        }
    }

    /// Writes a warning above what is drawn; with JSON progress, as an object.
    pub(crate) fn warning(&self, text: &str) {
        match self.mode {
            Mode::Json => {
                let object = serde_json::json!({ "warning": true, "message": text });
                output::message(&format!("{object}\n"));
            }
            _ if self.colour => output::message(&format!("\x1b[1;33mwarning\x1b[0m: {text}\n")),
            _ => output::message(&format!("warning: {text}\n")),
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plain(&self, board: &mut Board, line: &Line) {
        let text = plain(line);
        if repeated(board, line, &text) {
            return;
        }
        let prefix = if self.dry_run { " DRY-RUN MODE - " } else { "" };
        output::message(&format!("{prefix}{text}\n"));
    }

    fn json(&self, board: &mut Board, line: &Line) {
        let text = Value::Object(json(line, self.dry_run)).to_string();
        if !repeated(board, line, &text) {
            output::message(&format!("{text}\n"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Whether this was the last thing said of the resource. Bytes alone are not worth a line.
fn repeated(board: &mut Board, line: &Line, text: &str) -> bool {
    let key = format!("{} {}", line.parent.as_deref().unwrap_or(""), line.id);
    let said =
        if line.bytes.is_some() { format!("{:?} {}", line.status, line.text) } else { text.to_owned() };
    board.said.insert(key, said.clone()).is_some_and(|before| before == said)
}

/// ` <id> <text> <details>`, one blank in front.
fn plain(line: &Line) -> String {
    let id = match &line.parent {
        Some(parent) => format!("{parent} {}", line.id),
        None => line.id.clone(),
    };
    format!(" {id} {} {}", line.text, line.details).trim_end().to_owned()
}

fn json(line: &Line, dry_run: bool) -> Map<String, Value> {
    let mut object = Map::new();
    if dry_run {
        object.insert("dry-run".to_owned(), true.into());
    }
    object.insert("id".to_owned(), line.id.clone().into());
    if let Some(parent) = &line.parent {
        object.insert("parent_id".to_owned(), parent.clone().into());
    }
    object.insert("status".to_owned(), format!("{:?}", line.status).into());
    object.insert("text".to_owned(), line.text.clone().into());
    if !line.details.is_empty() {
        object.insert("details".to_owned(), line.details.clone().into());
    }
    if let Some((current, total)) = line.bytes {
        object.insert("current".to_owned(), current.into());
        object.insert("total".to_owned(), total.into());
        if let Some(percent) = (current * 100).checked_div(total) {
            object.insert("percent".to_owned(), percent.into());
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_has_one_blank_in_front() {
        let line =
            Line::new("Container shop-web-1", Status::Working, "Recreate").details("because image changed");
        assert_eq!(plain(&line), " Container shop-web-1 Recreate because image changed");
        assert_eq!(plain(&Line::new("Network x", Status::Done, "Created")), " Network x Created");
    }

    #[test]
    fn a_json_line_leaves_empty_keys_out() {
        let line = Line { bytes: Some((50, 200)), ..Line::new("abc", Status::Working, "Downloading") };
        assert_eq!(
            Value::Object(json(&line, false)).to_string(),
            r#"{"current":50,"id":"abc","percent":25,"status":"Working","text":"Downloading","total":200}"#
        );
        assert!(json(&line, true).contains_key("dry-run"));
    }

    #[test]
    fn nothing_is_said_twice() {
        let mut board = Board::default();
        let line = Line { bytes: Some((1, 9)), ..Line::new("abc", Status::Working, "Downloading") };
        assert!(!repeated(&mut board, &line, "a"));
        assert!(repeated(&mut board, &Line { bytes: Some((5, 9)), ..line }, "b"));
    }
}
