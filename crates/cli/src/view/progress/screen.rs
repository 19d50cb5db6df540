//! The drawing on the terminal: redrawn in place every tenth of a second while something goes on, and left
//! there at the end. What anybody else writes meanwhile stands above it.
//!
//! Lines are written over and never cleared before, so that nothing flickers; the cursor rests below them, and is
//! never hidden: whatever ends the program, the terminal is as it was. In a terminal that breaks lines anew when
//! it becomes narrower, parts of a former drawing stay: where they are is not known, and to go further up could
//! write over what others wrote.

use super::Line;
use super::board::{Board, Form};
use crate::output::{self, Diverted, Stream};
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
    /// The lines that stand there, and the columns there were.
    drawn: Vec<String>,
    columns: usize,
    over: bool,
}

impl Screen {
    pub(super) fn open(operation: &'static str, colour: bool) -> Self {
        let (board, drawn) = (Board::default(), vec![]);
        let drawing = Drawing { board, operation, colour, turn: 0, drawn, columns: 0, over: false };
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
            drawing.draw();
            let waited = if drawing.board.is_busy() {
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
    fn form(&self) -> (usize, usize) {
        let size = terminal::size(io::stderr()).unwrap_or(terminal::Size { rows: 24, columns: 80 });
        // The last column is left free: some terminals go to the next line with it.
        (usize::from(size.columns).saturating_sub(1), usize::from(size.rows))
    }

    fn draw(&mut self) {
        self.turn += 1;
        let (columns, rows) = self.form();
        let form = Form { columns, rows: Some(rows.saturating_sub(1)), colour: self.colour };
        let lines = self.board.frame(self.operation, Instant::now(), self.turn, form);
        if lines != self.drawn || columns != self.columns {
            self.put(lines, columns);
        }
    }

    /// Writes a text, and the drawing below it.
    fn write_above(&mut self, stream: Stream, text: &str) -> io::Result<()> {
        let is_ours = match stream {
            Stream::Out => terminal::stdout(),
            Stream::Err => true,
        };
        if !is_ours {
            return stream.write(text);
        }
        Stream::Err.write(&self.up())?;
        stream.write(&format!("\x1b[J{text}"))?;
        let lines = std::mem::take(&mut self.drawn);
        let columns = self.columns;
        self.put(lines, columns);
        Ok(())
    }

    /// Leaves the summary on the terminal.
    fn finish(&mut self) {
        let (columns, _) = self.form();
        let form = Form { columns, rows: None, colour: self.colour };
        let lines = self.board.summary(self.operation, Instant::now(), form);
        self.put(lines, columns);
        self.drawn.clear();
    }

    /// To the first line of what stands there.
    fn up(&self) -> String {
        if self.drawn.is_empty() { String::new() } else { format!("\r\x1b[{}A", self.drawn.len()) }
    }

    /// Puts these lines over those that stand there.
    fn put(&mut self, lines: Vec<String>, columns: usize) {
        let mut text = self.up();
        for line in &lines {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        if lines.len() < self.drawn.len() {
            text.push_str("\x1b[J");
        }
        // A terminal that has gone shows nothing.
        let _ = Stream::Err.write(&text);
        self.drawn = lines;
        self.columns = columns;
    }
}
