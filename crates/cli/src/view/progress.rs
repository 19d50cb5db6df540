//! Progress of pulls, creations, starts and stops, on standard error.
//!
//! | mode | form |
//! |---|---|
//! | tty | a header and one line for each resource, redrawn in place |
//! | plain | one line for each event: ` <id> <text> <details>` |
//! | json | one object for each event |
//! | quiet | nothing |

use crate::output;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
}

impl Line {
    /// A line without details.
    pub(crate) fn new(id: impl Into<String>, status: Status, text: impl Into<String>) -> Self {
        Self { id: id.into(), parent: None, status, text: text.into(), details: String::new(), bytes: None }
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
    /// Layers of images: id, bytes done and in all.
    layers: HashMap<String, BTreeMap<String, (u64, u64)>>,
    /// What is being done to images: `Pulling`, `Pushing`.
    acts: HashMap<String, String>,
    /// The last line of each id in plain and JSON form, so that nothing is said twice.
    said: HashMap<String, String>,
    suspended: bool,
}

struct Screen {
    all: MultiProgress,
    header: ProgressBar,
    bars: HashMap<String, Bar>,
}

struct Bar {
    bar: ProgressBar,
    done: bool,
    began: Instant,
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
        if board.suspended {
            return;
        }
        match self.mode {
            Mode::Quiet => {}
            Mode::Plain => self.plain(&mut board, line),
            Mode::Json => self.json(&mut board, line),
            Mode::Tty => self.draw(&mut board, line),
        }
    }

    /// Leaves what is drawn as it is and draws nothing more, until the next [`Progress::resume`].
    pub(crate) fn suspend(&self) {
        let mut board = self.board();
        board.suspended = true;
        Self::leave(&mut board);
    }

    /// Draws again.
    pub(crate) fn resume(&self) {
        self.board().suspended = false;
    }

    /// Ends the drawing; the last state of each line stays.
    pub(crate) fn finish(&self) {
        Self::leave(&mut self.board());
    }

    /// Writes a message above what is drawn.
    pub(crate) fn message(&self, text: &str) {
        let board = self.board();
        match &board.screen {
            Some(screen) => screen.all.suspend(|| output::message(text)),
            None => output::message(text),
        }
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
            _ if self.colour => self.message(&format!("\x1b[1;33mwarning\x1b[0m: {text}\n")),
            _ => self.message(&format!("warning: {text}\n")),
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(board: &mut Board) {
        if let Some(screen) = board.screen.take() {
            // Otherwise the lines would vanish with their bars.
            screen.bars.values().for_each(|bar| bar.bar.abandon());
            screen.header.abandon();
        }
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

    fn draw(&self, board: &mut Board, line: &Line) {
        if let Some(parent) = &line.parent {
            let layers = board.layers.entry(parent.clone()).or_default();
            let known = layers.entry(line.id.clone()).or_insert((0, 0));
            match line.bytes {
                Some(bytes) => *known = bytes,
                None if line.status == Status::Done => known.0 = known.1.max(1),
                None => {}
            }
            let bar = layer_bar(layers.values().copied());
            let act = board.acts.get(parent).map_or("Pulling", String::as_str);
            let shown = Line { details: bar, ..Line::new(parent.clone(), Status::Working, act) };
            return self.draw_line(board, &shown);
        }
        if line.status == Status::Working {
            board.acts.insert(line.id.clone(), line.text.clone());
        }
        self.draw_line(board, line);
    }

    fn draw_line(&self, board: &mut Board, line: &Line) {
        let operation = self.operation;
        let screen = board.screen.get_or_insert_with(|| Screen::open(operation));
        let Bar { bar, done, began } = screen.bars.entry(line.id.clone()).or_insert_with(|| {
            let bar = screen.all.add(ProgressBar::new_spinner());
            bar.enable_steady_tick(Duration::from_millis(100));
            Bar { bar, done: false, began: Instant::now() }
        });
        let message = format!("{} {} {}", line.id, coloured(line, self.colour), line.details);
        let message = message.trim_end().to_owned();
        let sign = match line.status {
            Status::Working => {
                if std::mem::take(done) {
                    bar.enable_steady_tick(Duration::from_millis(100));
                }
                bar.set_style(style(" {spinner:.cyan} {msg} {took}"));
                bar.set_message(message);
                return screen.count();
            }
            Status::Done => ("✔", "32"),
            Status::Warning => ("!", "33"),
            Status::Error => ("✘", "31"),
        };
        let (on, off) =
            if self.colour { (format!("\x1b[{}m", sign.1), "\x1b[0m") } else { (String::new(), "") };
        bar.disable_steady_tick();
        bar.set_style(style(&format!(" {on}{}{off} {{msg}}", sign.0)));
        bar.set_message(format!("{message} {:.1}s", began.elapsed().as_secs_f64()));
        bar.tick();
        *done = true;
        screen.count();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Screen {
    fn open(operation: &'static str) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let header = all.add(ProgressBar::new(0));
        header.set_style(style(&format!("[+] {operation} {{pos}}/{{len}}")));
        Self { all, header, bars: HashMap::new() }
    }

    fn count(&self) {
        let done = self.bars.values().filter(|bar| bar.done).count();
        self.header.set_length(self.bars.len() as u64);
        self.header.set_position(done as u64);
        self.header.tick();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
        .with_key("took", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.1}s", state.elapsed().as_secs_f64());
        })
}

fn coloured(line: &Line, colour: bool) -> String {
    let number = match line.status {
        _ if !colour => return line.text.clone(),
        Status::Working => "34",
        Status::Done => "32",
        Status::Warning => "33",
        Status::Error => "31",
    };
    format!("\x1b[{number}m{}\x1b[0m", line.text)
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

/// One character a layer, filled as the layer is, and the bytes: `[⣿⣷⣄⠀] 12MB / 40MB`.
fn layer_bar(layers: impl Iterator<Item = (u64, u64)>) -> String {
    const STEPS: [char; 9] = ['⠀', '⡀', '⣀', '⣄', '⣤', '⣦', '⣶', '⣷', '⣿'];
    let mut bar = String::from("[");
    let (mut done, mut all) = (0, 0);
    for (current, total) in layers {
        let step = (current.min(total) * 8).checked_div(total).unwrap_or(0);
        bar.push(STEPS[usize::try_from(step).unwrap_or(8).min(8)]);
        done += current.min(total);
        all += total;
    }
    bar.push(']');
    if all > 1 {
        bar.push_str(&format!(" {} / {}", super::size::human(done), super::size::human(all)));
    }
    bar
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
    fn layers_are_drawn_by_how_full_they_are() {
        assert_eq!(layer_bar([(0, 100), (50, 100), (100, 100)].into_iter()), "[⠀⣤⣿] 150B / 300B");
    }

    #[test]
    fn nothing_is_said_twice() {
        let mut board = Board::default();
        let line = Line { bytes: Some((1, 9)), ..Line::new("abc", Status::Working, "Downloading") };
        assert!(!repeated(&mut board, &line, "a"));
        assert!(repeated(&mut board, &Line { bytes: Some((5, 9)), ..line }, "b"));
    }
}
