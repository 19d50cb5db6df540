//! What a word means once the values of variables are known: quotes, escapes, `$x` and every form of `${x…}`.
//!
//! The grammar is BuildKit's, which is a part of the shell's: no commands, no arithmetic, no splitting
//! but for [`expand_list`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use diagnostic::{Diagnostic, Span};

use crate::pattern::{Pattern, Reach};
use crate::tree::{Inline, Word};

/// Gives the values of variables.
pub trait Lookup {
    /// The value of `name`; `None` where it is not set.
    fn value(&self, name: &str) -> Option<Cow<'_, str>>;
}

impl Lookup for BTreeMap<String, String> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|value| Cow::Borrowed(value.as_str()))
    }
}

/// Expands `word` into one text: variables replaced, quotes and escapes gone.
///
/// # Errors
/// A quote or brace without its end, a form of `${…}` that does not exist, or `${x:?message}` that fails.
pub fn expand(word: &Word, lookup: &dyn Lookup) -> Result<String, Diagnostic> {
    let mut reader = Reader::new(word, lookup, Quotes::Removed);
    Ok(reader.read_until(None, Escapes::Removed)?.into_iter().map(|(c, _)| c).collect())
}

/// Expands `word` and splits what comes of it where white space stands outside quotes.
///
/// # Errors
/// As [`expand`].
pub fn expand_list(word: &Word, lookup: &dyn Lookup) -> Result<Vec<String>, Diagnostic> {
    let mut reader = Reader::new(word, lookup, Quotes::Removed);
    let mut words = vec![String::new()];
    for (c, splits) in reader.read_until(None, Escapes::Removed)? {
        match words.last_mut() {
            Some(last) if !splits || !c.is_whitespace() => last.push(c),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}

/// The content of a heredoc that is a file: variables are replaced unless its word is quoted; quotes stay.
///
/// # Errors
/// As [`expand`].
pub fn expand_inline(inline: &Inline, lookup: &dyn Lookup) -> Result<String, Diagnostic> {
    if !inline.expands {
        return Ok(inline.content.text.clone());
    }
    // Inside a heredoc it is always the backslash that escapes.
    let content = Word { escape: '\\', ..inline.content.clone() };
    let mut reader = Reader::new(&content, lookup, Quotes::Kept);
    Ok(reader.read_until(None, Escapes::Removed)?.into_iter().map(|(c, _)| c).collect())
}

impl Word {
    /// The place of a stretch of the text, as exact as it is known: a word with a line continuation
    /// inside is only known as a whole.
    pub fn place(&self, start: usize, end: usize) -> Span {
        let Span { file, start: first, end: last } = self.span;
        if self.span.is_nowhere() || (last - first) as usize != self.text.len() || end > self.text.len() {
            return self.span;
        }
        Span::new(file, first as usize + start, first as usize + end)
    }

    /// Whether there is something in it to expand.
    pub fn has_variables(&self) -> bool {
        self.text.contains('$')
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Removed,
    Kept,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Removed,
    Kept,
}

/// A character and whether white space is a border between words here: it is not inside quotes.
type Out = Vec<(char, bool)>;

struct Reader<'a> {
    word: &'a Word,
    chars: Vec<(usize, char)>,
    at: usize,
    depth: usize,
    lookup: &'a dyn Lookup,
    quotes: Quotes,
}

/// `${a:-${b:-${c…}}}` no deeper than this: nobody writes it, and the stack has an end.
const DEEPEST: usize = 64;

impl<'a> Reader<'a> {
    fn new(word: &'a Word, lookup: &'a dyn Lookup, quotes: Quotes) -> Self {
        Self { word, chars: word.text.char_indices().collect(), at: 0, depth: 0, lookup, quotes }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).map(|(_, c)| *c)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// The byte offset of the character at `index`, or of the end.
    fn offset(&self, index: usize) -> usize {
        self.chars.get(index).map_or(self.word.text.len(), |(offset, _)| *offset)
    }

    /// An error about what was read since the character at `from`.
    fn fault(&self, from: usize, code: &'static str, message: impl Into<Cow<'static, str>>) -> Diagnostic {
        let (start, end) = (self.offset(from), self.offset(self.at.max(from + 1)));
        Diagnostic::error(code, message).at(self.word.place(start, end), "")
    }

    /// Reads to `stop`, which is consumed, or to the end where there is none.
    fn read_until(&mut self, stop: Option<char>, escapes: Escapes) -> Result<Out, Diagnostic> {
        let from = self.at;
        let mut out = Out::new();
        while let Some(c) = self.peek() {
            if Some(c) == stop {
                self.at += 1;
                return Ok(out);
            }
            match c {
                '$' => out.extend(self.dollar(escapes)?.chars().map(|c| (c, true))),
                '\'' if self.quotes == Quotes::Removed => self.single_quoted(&mut out)?,
                '"' if self.quotes == Quotes::Removed => self.double_quoted(&mut out, escapes)?,
                c if c == self.word.escape => self.escaped(&mut out, escapes),
                c => {
                    self.at += 1;
                    out.push((c, true));
                }
            }
        }
        match stop {
            None => Ok(out),
            Some('}') => Err(self.fault(from.saturating_sub(1), "unclosed-brace", "`${` without its `}`")),
            Some(stop) => {
                let message = format!("`${{` with a `/` lacks the second `{stop}`");
                Err(self
                    .fault(from.saturating_sub(1), "bad-substitution", message)
                    .help("replacing is written `${name/pattern/replacement}`"))
            }
        }
    }

    fn escaped(&mut self, out: &mut Out, escapes: Escapes) {
        self.at += 1;
        if escapes == Escapes::Kept {
            out.push((self.word.escape, false));
        }
        if let Some(c) = self.next() {
            out.push((c, false));
        }
    }

    fn single_quoted(&mut self, out: &mut Out) -> Result<(), Diagnostic> {
        let from = self.at;
        self.at += 1;
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(c) => out.push((c, false)),
                None => return Err(self.fault(from, "unclosed-quote", "`'` without its end")),
            }
        }
    }

    /// Between double quotes variables are replaced; the escape character is one only before `"`, `$` and itself.
    fn double_quoted(&mut self, out: &mut Out, escapes: Escapes) -> Result<(), Diagnostic> {
        let from = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(self.fault(from, "unclosed-quote", "`\"` without its end")),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('$') => out.extend(self.dollar(escapes)?.chars().map(|c| (c, false))),
                Some(c) if c == self.word.escape => self.escaped_in_quotes(out, escapes),
                Some(c) => {
                    self.at += 1;
                    out.push((c, false));
                }
            }
        }
    }

    fn escaped_in_quotes(&mut self, out: &mut Out, escapes: Escapes) {
        let escape = self.word.escape;
        self.at += 1;
        let Some(next) = self.peek() else { return };
        let escapes_it = next == '"' || next == '$' || next == escape;
        if escapes == Escapes::Kept || !escapes_it {
            out.push((escape, false));
        }
        if escapes_it {
            self.at += 1;
            out.push((next, false));
        }
    }

    /// A `$` and what belongs to it.
    fn dollar(&mut self, escapes: Escapes) -> Result<String, Diagnostic> {
        let from = self.at;
        self.at += 1;
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { self.value(&name).unwrap_or_default() });
        }
        self.at += 1;
        if self.depth == DEEPEST {
            return Err(self.fault(from, "bad-substitution", "`${…}` is nested too deep"));
        }
        self.depth += 1;
        let value = self.braces(from, escapes);
        self.depth -= 1;
        value
    }

    /// What follows `${`, to its `}`.
    fn braces(&mut self, from: usize, outer: Escapes) -> Result<String, Diagnostic> {
        let name = self.name();
        if name.is_empty() {
            self.at += 1;
            let message = "`${` is not followed by a variable's name";
            return Err(self.fault(from, "bad-substitution", message).help("write `\\$` for a dollar sign"));
        }
        let mut operator = self.next();
        let empty_is_unset = operator == Some(':');
        if empty_is_unset {
            operator = self.next();
        }
        match operator {
            Some('}') if !empty_is_unset => Ok(self.value(&name).unwrap_or_default()),
            Some(operator @ ('-' | '+' | '?')) => {
                let word = text(self.read_until(Some('}'), outer)?);
                self.alternative(from, &name, operator, empty_is_unset, word)
            }
            Some(operator @ ('#' | '%')) => {
                let reach = if self.peek() == Some(operator) { Reach::Longest } else { Reach::Shortest };
                self.at += usize::from(reach == Reach::Longest);
                let pattern = self.pattern(from, '}')?;
                let value = self.value(&name).unwrap_or_default();
                Ok(match operator {
                    '#' => pattern.without_prefix(&value, reach).to_owned(),
                    _ => pattern.without_suffix(&value, reach).to_owned(),
                })
            }
            Some('/') if !empty_is_unset => self.replaced(from, &name),
            None => Err(self.fault(from, "unclosed-brace", "`${` without its `}`")),
            Some(_) => Err(self
                .fault(from, "bad-substitution", "`${…}` in a form that does not exist")
                .help("there are `${x}`, `${x:-default}`, `${x:+other}`, `${x:?message}`, `${x#prefix}`, `${x%suffix}` and `${x/pattern/text}`")),
        }
    }

    fn alternative(
        &self,
        from: usize,
        name: &str,
        operator: char,
        empty_is_unset: bool,
        word: String,
    ) -> Result<String, Diagnostic> {
        let value = self.value(name);
        let usable = value.clone().filter(|value| !(empty_is_unset && value.is_empty()));
        match (operator, usable) {
            ('-', usable) => Ok(usable.unwrap_or(word)),
            ('+', usable) => Ok(usable.map(|_| word).unwrap_or_default()),
            (_, Some(value)) => Ok(value),
            (_, None) => {
                let state = if value.is_some() { "is empty" } else { "is not set" };
                let message = if word.is_empty() {
                    format!("`{name}` {state}, but a value is required here")
                } else {
                    format!("`{name}` {state}: {word}")
                };
                Err(self
                    .fault(from, "required-variable", message)
                    .help(format!("give it with `--build-arg {name}=VALUE` after an `ARG {name}`")))
            }
        }
    }

    fn replaced(&mut self, from: usize, name: &str) -> Result<String, Diagnostic> {
        let all = self.peek() == Some('/');
        self.at += usize::from(all);
        let pattern = self.pattern(from, '/')?;
        let replacement = text(self.read_until(Some('}'), Escapes::Kept)?);
        let value = self.value(name).unwrap_or_default();
        Ok(if all {
            pattern.replace_all(&value, &replacement)
        } else {
            pattern.replace_first(&value, &replacement)
        })
    }

    fn pattern(&mut self, from: usize, stop: char) -> Result<Pattern, Diagnostic> {
        let written = text(self.read_until(Some(stop), Escapes::Kept)?);
        Pattern::parse(&written).map_err(|escaped| {
            let message = format!("`\\{escaped}` is no escape in a pattern");
            self.fault(from, "bad-substitution", message).help("only `*`, `?`, `\\`, `/` and `}` are escaped")
        })
    }

    /// A variable's name: letters, digits and `_`; or digits alone; or one of the shell's special ones.
    fn name(&mut self) -> String {
        let from = self.at;
        match self.peek() {
            Some(c) if c.is_numeric() => self.skip(char::is_numeric),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => self.at += 1,
            _ => self.skip(|c| c.is_alphanumeric() || c == '_'),
        }
        self.word.text[self.offset(from)..self.offset(self.at)].to_owned()
    }

    fn skip(&mut self, belongs: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&belongs) {
            self.at += 1;
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        self.lookup.value(name).map(Cow::into_owned)
    }
}

fn text(out: Out) -> String {
    out.into_iter().map(|(c, _)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        let pairs = [("set", "value"), ("empty", ""), ("path", "/a/b/c.tar.gz"), ("list", "80 90/udp")];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    fn word(text: &str) -> Word {
        Word { text: text.to_owned(), span: Span::NOWHERE, escape: '\\' }
    }

    #[test]
    fn every_form_of_a_variable_is_known() {
        let cases = [
            ("$set", "value"),
            ("${set}s", "values"),
            ("$sets", ""),
            ("$", "$"),
            ("a$ b", "a$ b"),
            ("$1x", "x"),
            ("${unset:-d} ${empty:-d} ${set:-d}", "d d value"),
            ("${unset-d} ${empty-d}", "d "),
            ("${unset:+a}${empty:+a}${set:+a}", "a"),
            ("${unset+a}${empty+a}", "a"),
            ("${set:?no}", "value"),
            ("${unset:-${empty:-$set}}", "value"),
            ("${path#*/}", "a/b/c.tar.gz"),
            ("${path##*/}", "c.tar.gz"),
            ("${path%.*}", "/a/b/c.tar"),
            ("${path%%.*}", "/a/b/c"),
            ("${path/\\//-}", "-a/b/c.tar.gz"),
            ("${path//\\//-}", "-a-b-c.tar.gz"),
            ("${set/l?/L}", "vaLe"),
            ("\\$set '$set' \"$set\"", "$set $set value"),
            ("\"a\\\"b\\c\"", "a\"b\\c"),
            ("a\\ b\\", "a b"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(&word(text), &variables()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for text in
            ["${", "${}", "${:x}", "${set", "${set!x}", "${set:/a/b}", "${set/a}", "'a", "\"a", "${set:"]
        {
            assert!(expand(&word(text), &variables()).is_err(), "{text}");
        }
        let fault = expand(&word("${empty:?give it}"), &variables()).unwrap_err();
        assert_eq!(fault.message, "`empty` is empty: give it");
        let deep = "${a:-".repeat(10_000) + &"}".repeat(10_000);
        assert!(expand(&word(&deep), &variables()).is_err());
    }

    #[test]
    fn lists_are_split_after_variables_are_known() {
        let split = |text| expand_list(&word(text), &variables()).unwrap();
        assert_eq!(split("$list '$list' \"$list\""), ["80", "90/udp", "$list", "80 90/udp"]);
        assert_eq!(split("${unset}"), Vec::<String>::new());
    }

    #[test]
    fn a_heredoc_keeps_its_quotes() {
        let content = word("\"$set\" '$set' \\$ \\\\\n");
        let inline = Inline { name: "EOF".to_owned(), content, expands: true };
        assert_eq!(expand_inline(&inline, &variables()).unwrap(), "\"value\" 'value' $ \\\n");
        let quoted = Inline { expands: false, ..inline };
        assert_eq!(expand_inline(&quoted, &variables()).unwrap(), quoted.content.text);
    }
}
