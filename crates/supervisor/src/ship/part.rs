//! Lines that came in pieces: which piece of which line one is. Pure.
//!
//! Source: Docker's `daemon/logger/copier.go`; the last piece of a line that a program's end cut off is not said
//! to be the last there either.

use crate::log::reader::Place;
use crate::log::record::PIECE;
use crate::log::{Line, Stream};

/// What a journal is told of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The same in all pieces of a line, and in no other's: 64 hexadecimal digits.
    pub(super) id: String,
    /// From 1.
    pub(super) ordinal: u64,
    /// The line is whole with it.
    pub(super) last: bool,
}

/// The lines of which there are pieces so far, one a stream at most.
#[derive(Debug, Default)]
pub(super) struct Parts([Option<(String, u64)>; 2]);

impl Parts {
    /// Takes a container's next line, which begins at a place of its log; `None` for one that is whole.
    pub(super) fn take(&mut self, container: &str, at: Place, line: &Line) -> Option<Part> {
        let begun = &mut self.0[usize::from(line.stream == Stream::Stderr)];
        let last = line.text.ends_with('\n');
        if last && begun.is_none() {
            return None;
        }
        let half = container.get(..32).unwrap_or(container);
        let (id, before) =
            begun.take().unwrap_or_else(|| (format!("{half}{:016x}{:016x}", at.origin, at.offset), 0));
        let ordinal = before + 1;
        if !last && was_cut(&line.text) {
            *begun = Some((id.clone(), ordinal));
        }
        Some(Part { id, ordinal, last })
    }

    /// Whether the rest of a line is still to come. Who takes over must begin with its first piece.
    pub(super) fn is_open(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }
}

/// Whether a piece was cut off for its length, so that more of its line follows; else its program ended there.
fn was_cut(text: &str) -> bool {
    // A cut is made before an unfinished character of up to four bytes.
    text.len() > PIECE - 4
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn take(parts: &mut Parts, offset: u64, stream: Stream, text: &str) -> Option<(String, u64, bool)> {
        let time = "2026-03-01T12:00:00Z".parse().unwrap();
        let line = Line { time, stream, text: text.to_owned() };
        let part = parts.take(ID, Place { origin: 7, offset }, &line)?;
        Some((part.id[32..].to_owned(), part.ordinal, part.last))
    }

    #[test]
    fn pieces_are_counted_a_stream_each() {
        let mut parts = Parts::default();
        let piece = "x".repeat(PIECE);
        let id = |offset: u64| format!("{:016x}{offset:016x}", 7);
        assert_eq!(take(&mut parts, 0, Stream::Stdout, "whole\n"), None);
        assert_eq!(take(&mut parts, 5, Stream::Stdout, &piece), Some((id(5), 1, false)));
        assert_eq!(take(&mut parts, 6, Stream::Stderr, &piece[..PIECE - 3]), Some((id(6), 1, false)));
        assert!(parts.is_open());
        assert_eq!(take(&mut parts, 7, Stream::Stdout, &piece), Some((id(5), 2, false)));
        assert_eq!(take(&mut parts, 8, Stream::Stdout, "end\n"), Some((id(5), 3, true)));
        assert_eq!(take(&mut parts, 9, Stream::Stdout, "whole\n"), None);
        assert_eq!(take(&mut parts, 10, Stream::Stderr, "\n"), Some((id(6), 2, true)));
        assert!(!parts.is_open());
    }

    #[test]
    fn a_line_that_an_end_cut_off_has_no_more_pieces() {
        let mut parts = Parts::default();
        let cut = take(&mut parts, 5, Stream::Stdout, "no newline").unwrap();
        assert_eq!((cut.1, cut.2, parts.is_open()), (1, false, false));
        assert_eq!(take(&mut parts, 6, Stream::Stdout, "of the next run\n"), None);
    }
}
