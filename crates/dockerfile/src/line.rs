//! The file as lines: physical ones, and instructions whose continued lines are joined.
//!
//! A joined line remembers where each part of it stands in the file.

use diagnostic::{FileId, Span};

use crate::tree::Word;

/// One physical line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Physical<'a> {
    /// Its text without the line's end.
    pub(crate) text: &'a str,
    /// The offset of its first byte.
    pub(crate) start: usize,
}

impl Physical<'_> {
    /// Whether nothing but a comment stands here.
    pub(crate) fn is_comment(&self) -> bool {
        self.text.trim_start().starts_with('#')
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// The offset behind the text.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The physical lines of `text`, a byte order mark at its begin left out.
pub(crate) fn physical(text: &str) -> Vec<Physical<'_>> {
    let mut start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut lines = Vec::new();
    for whole in text[start..].split_inclusive('\n') {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        lines.push(Physical { text: line.strip_suffix('\r').unwrap_or(line), start });
        start += whole.len();
    }
    lines
}

/// The part of a line before its continuation character, or `None` where the line ends here.
///
/// The character may have spaces and tabs behind it; doubled it is none.
pub(crate) fn continued(text: &str, escape: char) -> Option<&str> {
    let before = text.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!before.ends_with(escape)).then_some(before)
}

/// A line of the file after joining.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    file: FileId,
    escape: char,
    text: String,
    /// Where parts begin: offset in `text`, offset in the file. Ascending.
    parts: Vec<(usize, usize)>,
}

impl Line {
    pub(crate) fn new(file: FileId, escape: char) -> Self {
        Self { file, escape, text: String::new(), parts: Vec::new() }
    }

    /// Adds what stands at `start` in the file.
    pub(crate) fn push(&mut self, text: &str, start: usize) {
        self.parts.push((self.text.len(), start));
        self.text.push_str(text);
    }

    /// The text, trimmed, as a piece.
    pub(crate) fn piece(&self) -> Piece<'_> {
        Piece { line: self, start: 0, end: self.text.len() }.trim()
    }

    /// The offset in the file of the byte at `at`.
    fn origin(&self, at: usize) -> usize {
        let part = self.parts.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.parts.get(part).map_or(0, |(start, origin)| origin + (at - start))
    }
}

/// A stretch of a [`Line`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    line: &'a Line,
    start: usize,
    end: usize,
}

impl<'a> Piece<'a> {
    pub(crate) fn text(self) -> &'a str {
        &self.line.text[self.start..self.end]
    }

    pub(crate) fn escape(self) -> char {
        self.line.escape
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The bytes `start..end` of this piece.
    pub(crate) fn slice(self, start: usize, end: usize) -> Self {
        Self { start: self.start + start, end: self.start + end, ..self }
    }

    pub(crate) fn trim(self) -> Self {
        let text = self.text();
        let start = text.len() - text.trim_start().len();
        self.slice(start, start + text.trim().len())
    }

    /// Where it stands in the file. An empty piece has a place, too: the byte it stands before.
    pub(crate) fn span(self) -> Span {
        let start = self.line.origin(self.start);
        let end = if self.is_empty() { start } else { self.line.origin(self.end - 1) + 1 };
        Span::new(self.line.file, start, end)
    }

    /// The piece as a word.
    pub(crate) fn word(self) -> Word {
        self.word_of(self.text().to_owned())
    }

    /// A word that stands here and reads `text` once quotes are gone.
    pub(crate) fn word_of(self, text: String) -> Word {
        Word { text, span: self.span(), escape: self.line.escape }
    }

    /// The first word and what follows it, both trimmed.
    pub(crate) fn split_word(self) -> (Self, Self) {
        let text = self.text();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        (self.slice(0, end), self.slice(end, text.len()).trim())
    }

    /// The words between white space; quotes mean nothing.
    pub(crate) fn split_whitespace(self) -> Vec<Self> {
        let mut words = Vec::new();
        let mut rest = self.trim();
        while !rest.is_empty() {
            let (word, after) = rest.split_word();
            words.push(word);
            rest = after;
        }
        words
    }

    /// The words between white space that is neither quoted nor escaped. Quotes and escapes stay.
    pub(crate) fn split_quoted(self) -> Vec<Self> {
        let text = self.text();
        let mut words = Vec::new();
        let (mut start, mut quote) = (None, None);
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match quote {
                None if c.is_whitespace() => {
                    words.extend(start.take().map(|start| self.slice(start, at)));
                    continue;
                }
                None if c == '\'' || c == '"' => quote = Some(c),
                Some(open) if c == open => quote = None,
                _ => {}
            }
            start = start.or(Some(at));
            if c == self.escape() && quote != Some('\'') {
                chars.next();
            }
        }
        words.extend(start.map(|start| self.slice(start, text.len())));
        words
    }

    /// The piece around the first `separator`.
    pub(crate) fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let at = self.text().find(separator)?;
        Some((self.slice(0, at), self.slice(at + separator.len_utf8(), self.text().len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diagnostic::Sources;

    #[test]
    fn a_doubled_escape_does_not_continue() {
        assert_eq!(continued("RUN a \\  ", '\\'), Some("RUN a "));
        assert_eq!(continued("RUN a \\\\", '\\'), None);
        assert_eq!(continued("\\", '\\'), Some(""));
        assert_eq!(continued("RUN a `", '`'), Some("RUN a "));
        assert_eq!(continued("RUN a", '\\'), None);
    }

    #[test]
    fn pieces_of_joined_lines_know_their_places() {
        let text = "ENV a=1 \\\n  b=\"2 3\"\n";
        let mut sources = Sources::new();
        let file = sources.add("Dockerfile", text);
        let mut line = Line::new(file, '\\');
        line.push("ENV a=1 ", 0);
        line.push("  b=\"2 3\"", 10);
        let words = line.piece().split_quoted();
        let shown: Vec<_> = words.iter().map(|word| sources.slice(word.span())).collect();
        assert_eq!(shown, ["ENV", "a=1", "b=\"2 3\""]);
        assert_eq!(sources.place(words[2].span()), "Dockerfile:2:3");
    }
}
