//! The drawing on the terminal: redrawn in place every tenth of a second while something goes on, and left
//! there at the end. What anybody else writes meanwhile stands above it.
//!
//! Lines are written over and not cleared before, so that nothing flickers. The cursor rests at the beginning of the
//! first one and is never hidden. When the terminal becomes narrower, some break lines anew and others cut them, and
//! no program is told which; but each keeps the cursor with what it is on, so that everything from there to the end
//! of the screen is the former drawing, however many rows it has now, and everything above is somebody else's. Only
//! what no longer fits on the screen with it has left for the scrollback. While lines are written, the terminal cuts
//! them: one that became narrower a moment ago has as many rows as there are lines. The price is that the prompt comes
//! over the drawing of a program that SIGKILL has ended: from below it, nobody could tell where a drawing begins that
//! was broken anew.

use super::Line;
use super::board::{Board, Form};
use crate::output::{self, Diverted, Stream, behind};
use crate::terminal;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time from one drawing to the next.
const PERIOD: Duration = Duration::from_millis(100);

/// What is drawn. Dropping it leaves the summary there.
pub(super) struct Screen {
    shared: Arc<Shared>,
    drawer: Option<std::thread::JoinHandle<()>>,
    diverted: Option<Diverted>,
}

struct Shared {
    drawing: Mutex<Drawing>,
    /// Something began to go on, or everything is over.
    changed: Condvar,
}

/// The board and what of it stands on the terminal.
struct Drawing {
    board: Board,
    operation: &'static str,
    colour: bool,
    turn: usize,
    /// The lines that stand there, and the columns and rows there were.
    drawn: Vec<String>,
    size: (usize, usize),
    over: bool,
}

impl Screen {
    pub(super) fn open(operation: &'static str, colour: bool) -> Self {
        let (board, drawn) = (Board::default(), vec![]);
        let drawing = Drawing { board, operation, colour, turn: 0, drawn, size: (0, 0), over: false };
        let shared = Arc::new(Shared { drawing: Mutex::new(drawing), changed: Condvar::new() });
        let drawer = Arc::clone(&shared);
        let taker = Arc::clone(&shared);
        Self {
            shared,
            drawer: Some(std::thread::spawn(move || drawer.draw_on())),
            diverted: Some(output::divert(move |stream, text| taker.drawing().write_above(stream, text))),
        }
    }

    /// Takes in what happened.
    pub(super) fn tell(&self, line: &Line) {
        self.shared.drawing().board.tell(line, Instant::now());
        self.shared.changed.notify_one();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // First of all nobody else writes through it.
        self.diverted = None;
        self.shared.drawing().over = true;
        self.shared.changed.notify_one();
        if let Some(drawer) = self.drawer.take() {
            // It does nothing that could fail.
            let _ = drawer.join();
        }
        self.shared.drawing().finish();
    }
}

impl Shared {
    fn drawing(&self) -> MutexGuard<'_, Drawing> {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws while something goes on, and sleeps while nothing does.
    fn draw_on(&self) {
        let mut drawing = self.drawing();
        while !drawing.over {
            // What a terminal has not taken yet would only be followed by what is out of date when it does.
            let is_late = behind::is_late();
            if !is_late {
                drawing.draw();
            }
            let waited = if is_late || drawing.board.is_busy() {
                // What happens meanwhile is drawn with the next turn of the spinner.
                let waited = self.changed.wait_timeout_while(drawing, PERIOD, |drawing| !drawing.over);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.changed.wait(drawing).unwrap_or_else(PoisonError::into_inner)
            };
            drawing = waited;
        }
    }
}

impl Drawing {
    /// Columns and rows of the terminal.
    fn size() -> (usize, usize) {
        let size = terminal::size(io::stderr()).unwrap_or(terminal::Size { rows: 24, columns: 80 });
        // The last column is left free: some terminals go to the next line with it.
        (usize::from(size.columns).saturating_sub(1), usize::from(size.rows))
    }

    fn draw(&mut self) {
        self.turn += 1;
        let size @ (columns, rows) = Self::size();
        let form = Form { columns, rows: Some(rows.saturating_sub(1)), colour: self.colour };
        let lines = self.board.frame(self.operation, Instant::now(), self.turn, form);
        if lines != self.drawn || size != self.size {
            let text = self.over(&lines, size) + &up(lines.len() - 1);
            // A terminal that has gone shows nothing.
            let _ = Stream::Err.write(&text);
            self.drawn = lines;
        }
    }

    /// Writes a text, and the drawing below it.
    fn write_above(&mut self, stream: Stream, text: &str) -> io::Result<()> {
        let is_ours = match stream {
            Stream::Out => terminal::stdout(),
            Stream::Err => true,
        };
        if !is_ours || self.drawn.is_empty() {
            return stream.write(text);
        }
        let below = put(&self.drawn) + &up(self.drawn.len() - 1);
        if stream == Stream::Err {
            return stream.write(&format!("{ERASE}{text}{below}"));
        }
        Stream::Err.write(ERASE)?;
        stream.write(text)?;
        Stream::Err.write(&below)
    }

    /// Leaves the summary on the terminal.
    fn finish(&mut self) {
        let size @ (columns, _) = Self::size();
        let form = Form { columns, rows: None, colour: self.colour };
        let lines = self.board.summary(self.operation, Instant::now(), form);
        let text = self.over(&lines, size) + "\n";
        let _ = Stream::Err.write(&text);
        self.drawn.clear();
    }

    /// Puts these lines over those that stand there; the cursor is left behind the last one.
    fn over(&mut self, lines: &[String], size: (usize, usize)) -> String {
        // Where lines were broken anew, what is behind one may belong to it.
        let is_same = std::mem::replace(&mut self.size, size) == size;
        match (self.drawn.is_empty(), is_same) {
            (true, _) => put(lines),
            (false, true) => format!("\r{}", put(lines)),
            (false, false) => format!("{ERASE}{}", put(lines)),
        }
    }
}

/// To the beginning of the line, which is the drawing's first one, and clear from there.
const ERASE: &str = "\r\x1b[J";

/// These lines, each cut by the terminal, and nothing below them.
fn put(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("{line}\x1b[K")).collect();
    format!("\x1b[?7l{}\x1b[J\x1b[?7h", lines.join("\n"))
}

/// To the beginning of the line that is so many above.
fn up(count: usize) -> String {
    if count == 0 { "\r".to_owned() } else { format!("\r\x1b[{count}A") }
}
