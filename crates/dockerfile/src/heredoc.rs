//! Heredocs: finding their words in a line, and their texts below it.

use crate::line::Piece;

/// `<<WORD` or `<<-WORD` in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// The word, unquoted: the line that ends the text.
    pub(crate) name: String,
    /// The word has no quotes: variables in the text are meant.
    pub(crate) expands: bool,
    /// `<<-`: tabs at the begin of lines are not part of the text.
    pub(crate) chomps: bool,
}

/// A heredoc with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heredoc {
    pub(crate) opening: Opening,
    /// The lines as written, each with its end.
    pub(crate) raw: String,
    /// Where the text stands.
    pub(crate) span: diagnostic::Span,
}

impl Heredoc {
    /// The text, without leading tabs where `<<-` asks for it.
    pub(crate) fn content(&self) -> String {
        if !self.opening.chomps {
            return self.raw.clone();
        }
        self.raw.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// Reads a word such as `<<EOF`, `3<<-"E F"`; `None` if it is none.
pub(crate) fn opening(word: &str) -> Option<Opening> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (chomps, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let mut name = String::new();
    let mut quote = None;
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == '\\' => name.extend(chars.next()),
            None if c.is_whitespace() => return None,
            _ => name.push(c),
        }
    }
    (quote.is_none() && !name.is_empty()).then(|| Opening { expands: name == rest, name, chomps })
}

/// The heredocs that a line opens, in order.
pub(crate) fn openings(line: Piece<'_>) -> Vec<Opening> {
    if !line.text().contains("<<") {
        return Vec::new();
    }
    line.split_quoted().into_iter().filter_map(|word| opening(word.text())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_their_own_open_a_heredoc() {
        let open = |name: &str, expands, chomps| Some(Opening { name: name.to_owned(), expands, chomps });
        assert_eq!(opening("<<EOF"), open("EOF", true, false));
        assert_eq!(opening("3<<-'E F'"), open("E F", false, true));
        assert_eq!(opening("<<\\EOF"), open("EOF", false, false));
        for none in ["<<", "<<<", "<<<word", "a<<EOF", "$((1<<2))", "<<'EOF", "<<-", "<<''", "<<'A' b"] {
            assert_eq!(opening(none), None, "{none}");
        }
    }
}
