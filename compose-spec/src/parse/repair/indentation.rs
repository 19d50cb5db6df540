//! Lines that stand in no column of their neighbours.

use diagnostic::{Diagnostic, FileId, Span};

use super::{line_around, previous};
use crate::schema::SERVICE;

/// A line to be indented otherwise: its indentation is `start..end`, `columns` would be right.
pub(super) struct Guess {
    pub(super) start: usize,
    pub(super) end: usize,
    columns: usize,
    /// A line with that indentation.
    neighbour: (usize, usize),
}

/// Guesses for the line around `at`, the likeliest first.
pub(super) fn guesses(text: &str, at: usize) -> Vec<Guess> {
    let (start, end) = line_around(text, at);
    let line = &text[start..end];
    let content = line.trim_start_matches(' ');
    let width = line.len() - content.len();
    if content.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<Guess> = Vec::new();
    let mut below = start;
    let mut least = usize::MAX;
    // The lines this one could belong to: each further up and further left than those seen.
    while let Some((neighbour, columns)) = previous(text, below) {
        below = neighbour.0;
        if columns >= least {
            continue;
        }
        least = columns;
        if columns == width {
            // It stands in a column: that is not what is wrong.
            return Vec::new();
        }
        found.push(Guess { start, end: start + width, columns, neighbour });
        if columns == 0 || found.len() == 8 {
            break;
        }
    }
    // As near to one column as to another: a key of a service goes below its service, a name beside its like.
    let key = content.split(':').next().unwrap_or("");
    let is_key = SERVICE.field(key).is_some();
    found.sort_by_key(|guess| (guess.columns.abs_diff(width), (guess.columns > width) != is_key));
    found
}

impl Guess {
    pub(super) fn mended(&self) -> String {
        " ".repeat(self.columns)
    }

    pub(super) fn tell(&self, file: FileId, text: &str) -> Diagnostic {
        let width = self.end - self.start;
        let line_end = line_around(text, self.end).1;
        let rest = &text[self.end..line_end];
        let shown = rest.split_once(':').map_or(rest, |(key, _)| key);
        let neighbour = self.neighbour.0 + self.columns;
        let blanks = |count: usize| if count == 1 { "1 space".to_owned() } else { format!("{count} spaces") };
        let message = format!(
            "`{shown}` is indented by {}, the lines it could belong to by {}",
            blanks(width),
            self.columns
        );
        Diagnostic::error("wrong-indentation", message)
            .at(Span::new(file, self.end, self.end + shown.len()), blanks(width))
            .at(Span::new(file, neighbour, self.neighbour.1), blanks(self.columns))
            .help("what belongs together starts in one column: indent it as its neighbours, with spaces")
    }
}
