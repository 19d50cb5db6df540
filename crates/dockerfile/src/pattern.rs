//! The shell's patterns as variables' forms use them: `*`, `?` and nothing else.

/// How much a pattern takes where it has the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Shortest,
    Longest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    AnyOne,
    AnyMany,
}

/// A pattern with `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads a pattern; `\` escapes `*`, `?` and itself, and is dropped before `}` and `/`.
    ///
    /// # Errors
    /// The character after a `\` that escapes nothing; a space where the pattern ends there.
    pub(crate) fn parse(text: &str) -> Result<Self, char> {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' => Piece::AnyMany,
                '?' => Piece::AnyOne,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Piece::Char(c),
                    other => return Err(other.unwrap_or(' ')),
                },
                c => Piece::Char(c),
            });
        }
        Ok(Self(pieces))
    }

    /// The byte offsets at which a match that begins with the text may end, ascending.
    fn ends(&self, text: &str) -> Vec<usize> {
        let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let chars: Vec<char> = text.chars().collect();
        let mut reached = vec![false; borders.len()];
        reached[0] = true;
        for piece in &self.0 {
            let mut next = vec![false; borders.len()];
            let mut open = false;
            for at in 0..borders.len() {
                open |= reached[at];
                next[at] = match piece {
                    Piece::AnyMany => open,
                    Piece::AnyOne => at > 0 && reached[at - 1],
                    Piece::Char(c) => at > 0 && reached[at - 1] && chars[at - 1] == *c,
                };
            }
            reached = next;
        }
        borders.into_iter().zip(reached).filter(|(_, reached)| *reached).map(|(at, _)| at).collect()
    }

    fn end(&self, text: &str, reach: Reach) -> Option<usize> {
        let ends = self.ends(text);
        match reach {
            Reach::Shortest => ends.first().copied(),
            Reach::Longest => ends.last().copied(),
        }
    }

    /// `value` without what the pattern takes from its begin.
    pub(crate) fn without_prefix<'a>(&self, value: &'a str, reach: Reach) -> &'a str {
        self.end(value, reach).map_or(value, |end| &value[end..])
    }

    /// `value` without what the pattern takes from its end.
    pub(crate) fn without_suffix<'a>(&self, value: &'a str, reach: Reach) -> &'a str {
        let mut starts = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect::<Vec<_>>();
        if reach == Reach::Shortest {
            starts.reverse();
        }
        let start = starts
            .into_iter()
            .find(|start| self.ends(&value[*start..]).last() == Some(&(value.len() - start)));
        start.map_or(value, |start| &value[..start])
    }

    /// `value` with the first and longest match replaced.
    pub(crate) fn replace_first(&self, value: &str, replacement: &str) -> String {
        for (start, _) in value.char_indices().chain([(value.len(), ' ')]) {
            if let Some(length) = self.end(&value[start..], Reach::Longest) {
                return format!("{}{replacement}{}", &value[..start], &value[start + length..]);
            }
        }
        value.to_owned()
    }

    /// `value` with every match replaced, from the left, each as long as possible.
    pub(crate) fn replace_all(&self, value: &str, replacement: &str) -> String {
        let mut out = String::new();
        let (mut at, mut after_match) = (0, false);
        loop {
            match self.end(&value[at..], Reach::Longest) {
                Some(length) if length > 0 => {
                    out.push_str(replacement);
                    at += length;
                    after_match = true;
                    continue;
                }
                // An empty match counts, but not right behind another match.
                Some(_) if !after_match => out.push_str(replacement),
                _ => {}
            }
            let Some(c) = value[at..].chars().next() else { return out };
            out.push(c);
            at += c.len_utf8();
            after_match = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn prefixes_and_suffixes_reach_as_asked() {
        let path = "usr/lib/x86/lib";
        assert_eq!(pattern("*/").without_prefix(path, Reach::Shortest), "lib/x86/lib");
        assert_eq!(pattern("*/").without_prefix(path, Reach::Longest), "lib");
        assert_eq!(pattern("/*").without_suffix(path, Reach::Shortest), "usr/lib/x86");
        assert_eq!(pattern("/*").without_suffix(path, Reach::Longest), "usr");
        assert_eq!(pattern("lib").without_prefix(path, Reach::Longest), path);
        assert_eq!(pattern("").without_suffix("a", Reach::Longest), "a");
    }

    #[test]
    fn replacing_goes_from_the_left_and_takes_the_most() {
        assert_eq!(pattern("b*").replace_first("abcbd", "X"), "aX");
        assert_eq!(pattern("b?").replace_all("abcbd", "X"), "aXX");
        assert_eq!(pattern("é").replace_all("éaé", "e"), "eae");
        assert_eq!(pattern("\\*").replace_all("a*b", "-"), "a-b");
        assert_eq!(pattern("*").replace_all("abc", "-"), "-");
        assert_eq!(pattern("").replace_all("ab", "-"), "-a-b-");
        assert_eq!(Pattern::parse("\\d"), Err('d'));
        assert_eq!(Pattern::parse("\\"), Err(' '));
    }
}
