//! The texts that were read, and places in them.

use std::sync::Arc;

/// One text in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A stretch of one text, as byte offsets; `end` is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The place of a value that stands in no file: a default, or something from the command line.
    pub const NOWHERE: Self = Self { file: FileId(u32::MAX), start: 0, end: 0 };

    /// The stretch `start..end` of `file`. Texts are below 4 GiB, see [`Sources::add`].
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { file, start: narrow(start), end: narrow(end) }
    }

    /// Whether this is no place at all.
    pub fn is_nowhere(self) -> bool {
        self.file == Self::NOWHERE.file
    }

    /// This place, or `other` if this is nowhere.
    #[must_use]
    pub fn or(self, other: Span) -> Span {
        if self.is_nowhere() { other } else { self }
    }
}

#[derive(Clone, Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Lines above it and characters before each of its lines, where it is a part of what it is named after.
    above: usize,
    before: usize,
}

/// Every text that was read, by the name it is shown under.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// An empty register.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps `text`, shown as `name` (a path as the user would type it), and gives its id.
    pub fn add(&mut self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> FileId {
        self.add_part(name, text, (1, 1))
    }

    /// Keeps a text that stands in `name` from this line and column on, each of its lines in that column: places
    /// in it are told as places of `name`.
    pub fn add_part(
        &mut self,
        name: impl Into<Arc<str>>,
        text: impl Into<Arc<str>>,
        (line, column): (usize, usize),
    ) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX - 1));
        let (above, before) = (line.saturating_sub(1), column.saturating_sub(1));
        self.files.push(Source { name: name.into(), text: text.into(), above, before });
        id
    }

    /// How many texts there are.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// Lines above a text in the file it is a part of, and characters before each of its lines.
    pub(crate) fn shift(&self, file: FileId) -> (usize, usize) {
        self.get(file).map_or((0, 0), |source| (source.above, source.before))
    }

    /// The name `file` is shown under; empty for an unknown id.
    pub fn name(&self, file: FileId) -> &str {
        self.get(file).map_or("", |source| &source.name)
    }

    /// The whole text of `file`; empty for an unknown id.
    pub fn text(&self, file: FileId) -> &str {
        self.get(file).map_or("", |source| &source.text)
    }

    /// The whole text of `file`, shared.
    pub fn shared_text(&self, file: FileId) -> Arc<str> {
        self.get(file).map_or_else(|| Arc::from(""), |source| source.text.clone())
    }

    /// The text at `span`; empty if there is none.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file).get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Line and column of the start of `span`, both from 1, the column in characters.
    pub fn line_and_column(&self, span: Span) -> Option<(usize, usize)> {
        let source = self.get(span.file)?;
        let before = source.text.get(..span.start as usize)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Some((line + source.above, before[line_start..].chars().count() + 1 + source.before))
    }

    /// The place as people write it: `compose.yaml:5:3`. Empty for [`Span::NOWHERE`].
    pub fn place(&self, span: Span) -> String {
        match self.line_and_column(span) {
            Some((line, column)) => format!("{}:{line}:{column}", self.name(span.file)),
            None => self.name(span.file).to_owned(),
        }
    }

    fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(file.0 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let mut sources = Sources::new();
        let file = sources.add("compose.yaml", "a: é\nbb: cc\n");
        assert_eq!(sources.place(Span::new(file, 0, 1)), "compose.yaml:1:1");
        assert_eq!(sources.place(Span::new(file, 5, 6)), "compose.yaml:1:5");
        assert_eq!(sources.place(Span::new(file, 10, 12)), "compose.yaml:2:5");
        assert_eq!(sources.slice(Span::new(file, 10, 12)), "cc");
        assert_eq!(sources.place(Span::NOWHERE), "");
        let part = sources.add_part("compose.yaml", "FROM a\nRUN b\n", (5, 9));
        assert_eq!(sources.place(Span::new(part, 0, 1)), "compose.yaml:5:9");
        assert_eq!(sources.place(Span::new(part, 11, 12)), "compose.yaml:6:13");
    }
}
