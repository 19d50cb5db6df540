//! Environment files: `.env`, `--env-file`, `env_file`, `label_file`.
//!
//! The grammar is a line grammar with quotes that may span lines; see [`read`] and [`read_raw`].

use std::collections::BTreeMap;

use diagnostic::{Diagnostic, FileId, Sources, Span};

use crate::interpolate::{self, Lookup};

/// Reads `file` into `values`, later keys over earlier ones.
///
/// Values are interpolated (but not in single quotes): `outer` is asked first, then what is in `values`.
/// A key alone on its line takes its value from `outer`, or is not set.
pub fn read(
    sources: &Sources,
    file: FileId,
    outer: &dyn Fn(&str) -> Option<String>,
    values: &mut BTreeMap<String, String>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let text = sources.shared_text(file);
    let mut reader = Reader { text: &text, at: 0, file, sources, outer, values, diagnostics };
    while reader.statement().is_some() {}
}

/// The place of the last statement of `file` that sets `name`, if there is one.
pub fn place(sources: &Sources, file: FileId, name: &str) -> Option<Span> {
    let text = sources.shared_text(file);
    let (mut values, mut diagnostics) = (BTreeMap::new(), Vec::new());
    let (values, diagnostics) = (&mut values, &mut diagnostics);
    let mut reader = Reader { text: &text, at: 0, file, sources, outer: &|_| None, values, diagnostics };
    let mut found = None;
    while let Some(start) = reader.statement() {
        let statement = text[start..reader.at].trim_end();
        if sets(statement, name) {
            found = Some(reader.span(start, start + statement.len()));
        }
    }
    found
}

/// Reads `file` into `values` literally: `K=V` to the end of the line, `#` lines are comments, no quotes, no
/// variables. `K` alone takes its value from `outer`.
pub fn read_raw(
    sources: &Sources,
    file: FileId,
    outer: &dyn Fn(&str) -> Option<String>,
    values: &mut BTreeMap<String, String>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let text = sources.shared_text(file);
    let mut at = 0;
    for whole in text.split_inclusive('\n') {
        let start = at;
        at += whole.len();
        let line = whole.trim_end_matches(['\n', '\r']).trim_start_matches('\u{feff}').trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = line.split_once('=').map_or(line, |(key, _)| key);
        if key.is_empty() || key.contains([' ', '\t']) {
            let start = start + whole.find(line).unwrap_or(0);
            let span = Span::new(file, start, start + key.len().max(1));
            diagnostics.push(fault(format!("`{key}` is no name of a variable"), span));
            continue;
        }
        let value = line.split_once('=').map(|(_, value)| value.to_owned()).or_else(|| outer(key));
        if let Some(value) = value {
            values.insert(key.to_owned(), value);
        }
    }
}

/// Whether a statement, without `export`, is about `name`.
fn sets(statement: &str, name: &str) -> bool {
    let behind = statement.strip_prefix(name);
    behind.is_some_and(|rest| {
        let rest = rest.trim_start();
        rest.is_empty() || rest.starts_with(['=', ':', '#'])
    })
}

fn fault(message: String, span: Span) -> Diagnostic {
    Diagnostic::error("bad-env-file", message).at(span, "")
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    file: FileId,
    sources: &'a Sources,
    outer: &'a dyn Fn(&str) -> Option<String>,
    values: &'a mut BTreeMap<String, String>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

struct Names<'a> {
    outer: &'a dyn Fn(&str) -> Option<String>,
    values: &'a BTreeMap<String, String>,
    unset: Vec<String>,
}

impl Lookup for Names<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.outer)(name).or_else(|| self.values.get(name).cloned())
    }
    fn unset(&mut self, name: &str) {
        if !self.unset.iter().any(|known| known == name) {
            self.unset.push(name.to_owned());
        }
    }
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    fn skip_line(&mut self) {
        self.at = self.rest().find('\n').map_or(self.text.len(), |newline| self.at + newline + 1);
    }

    /// Reads one statement and returns where it begins, behind `export`; `None` at the end of the text.
    fn statement(&mut self) -> Option<usize> {
        if self.at == 0 && self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        let trimmed = self.rest().trim_start();
        self.at = self.text.len() - trimmed.len();
        if trimmed.is_empty() {
            return None;
        }
        if trimmed.starts_with('#') {
            let start = self.at;
            self.skip_line();
            return Some(start);
        }
        if let Some(behind) = trimmed.strip_prefix("export")
            && behind.starts_with([' ', '\t'])
        {
            self.at = self.text.len() - behind.trim_start_matches([' ', '\t']).len();
        }
        let start = self.at;
        self.entry();
        Some(start)
    }

    fn entry(&mut self) {
        let start = self.at;
        let rest = self.rest();
        let end = rest.find(['=', ':', '\n']).unwrap_or(rest.len());
        let separator = rest[end..].bytes().next().filter(|&byte| byte != b'\n');
        let written = rest[..end].trim_end();
        let mut key = written;
        if separator.is_none()
            && let Some((before, _)) = written.split_once(" #")
        {
            key = before.trim_end();
        }
        let span = self.span(start, start + key.len().max(1));
        if let Some(bad) = key.chars().find(|&c| !(c.is_alphanumeric() || "_.-[]".contains(c))) {
            let message = match bad {
                ' ' | '\t' => format!("`{key}` is no name of a variable: it contains a blank"),
                bad => format!("`{key}` is no name of a variable: it contains `{bad}`"),
            };
            self.diagnostics
                .push(fault(message, span).help("a line is `NAME=value`; a comment starts with `#`"));
            return self.skip_line();
        }
        if key.is_empty() {
            self.diagnostics.push(fault("the name of a variable is missing".to_owned(), span));
            return self.skip_line();
        }
        match separator {
            None => {
                if let Some(value) = (self.outer)(key) {
                    self.values.insert(key.to_owned(), value);
                }
                self.skip_line();
            }
            Some(_) => {
                self.at = start + end + 1;
                self.value(key);
            }
        }
    }

    fn value(&mut self, key: &str) {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches([' ', '\t']);
        self.at += rest.len() - trimmed.len();
        match trimmed.as_bytes().first() {
            Some(b'\'') => self.quoted(key, '\''),
            Some(b'"') => self.quoted(key, '"'),
            _ => {
                let start = self.at;
                let line = trimmed.split('\n').next().unwrap_or("");
                let value = line.split(" #").next().unwrap_or("").trim_end();
                self.set(key, value, self.span(start, start + value.len()));
                self.skip_line();
            }
        }
    }

    fn quoted(&mut self, key: &str, quote: char) {
        let start = self.at;
        let inner = &self.text[start + 1..];
        let mut escaped = false;
        let end = inner.find(|c: char| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some(end) = end else {
            let line_end = inner.find('\n').unwrap_or(inner.len());
            let span = self.span(start, start + 1 + line_end);
            self.diagnostics.push(fault(format!("the quoted value of `{key}` has no end"), span));
            self.at = self.text.len();
            return;
        };
        let span = self.span(start, start + end + 2);
        self.at = start + end + 2;
        if quote == '\'' {
            self.values.insert(key.to_owned(), inner[..end].replace("\\'", "'"));
        } else {
            self.set(key, &unescaped(&inner[..end]), span);
        }
        // The reference goes on right behind the quote: a comment, a bare name, or an error.
        let behind = self.rest().trim_start_matches([' ', '\t', '\r']);
        if behind.starts_with(['"', '\'']) {
            let at = self.text.len() - behind.len();
            let message = format!("a second quoted string behind the value of `{key}`");
            self.diagnostics.push(fault(message, self.span(at, at + 1)));
            self.skip_line();
        }
    }

    fn set(&mut self, key: &str, value: &str, span: Span) {
        if !value.contains('$') {
            self.values.insert(key.to_owned(), value.to_owned());
            return;
        }
        let mut names = Names { outer: self.outer, values: self.values, unset: Vec::new() };
        let interpolated = interpolate::text(value, &mut names);
        for name in names.unset {
            self.diagnostics.push(interpolate::tell_unset(&name, span, self.sources));
        }
        match interpolated {
            Ok(value) => {
                self.values.insert(key.to_owned(), value);
            }
            Err(problem) => self.diagnostics.push(interpolate::tell(&problem, span, self.sources)),
        }
    }
}

/// Replaces the escapes of a double-quoted value; `\$` becomes `$$`, which interpolation makes a plain `$`.
fn unescaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            result.push(character);
            continue;
        }
        let rest = characters.as_str();
        let octal = rest.strip_prefix('0').and_then(|digits| digits.get(..3));
        if let Some(code) = octal.and_then(|digits| u32::from_str_radix(digits, 8).ok())
            && let Some(decoded) = char::from_u32(code)
        {
            result.push(decoded);
            characters = rest[4..].chars();
            continue;
        }
        match characters.next() {
            Some('a') => result.push('\x07'),
            Some('b') => result.push('\x08'),
            Some('c') => result.push_str("\\c"),
            Some('f') => result.push('\x0c'),
            Some('n') => result.push('\n'),
            Some('r') => result.push('\r'),
            Some('t') => result.push('\t'),
            Some('v') => result.push('\x0b'),
            Some('\\') => result.push('\\'),
            Some('"') => result.push('"'),
            Some('$') => result.push_str("$$"),
            Some(other) => result.extend(['\\', other]),
            None => result.push('\\'),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
        let mut sources = Sources::new();
        let file = sources.add(".env", text);
        let (mut values, mut diagnostics) = (BTreeMap::new(), Vec::new());
        let outer = |name: &str| (name == "OUTER").then(|| "out".to_owned());
        read(&sources, file, &outer, &mut values, &mut diagnostics);
        (values, diagnostics.into_iter().map(|diagnostic| diagnostic.message.into_owned()).collect())
    }

    #[test]
    fn values_in_every_style() {
        for (text, value) in [
            ("K=v", "v"),
            ("K = v ", "v"),
            ("K: v", "v"),
            ("export K=v", "v"),
            ("K=a b # c", "a b"),
            ("K=a#b", "a#b"),
            ("K=#x", "#x"),
            ("K= # x", "# x"),
            ("K=a\\nb", "a\\nb"),
            ("K='a $OUTER \\' b'", "a $OUTER ' b"),
            ("K=\"a\\n$OUTER \\$x \\\" \\q\"", "a\nout $x \" \\q"),
            ("K=\"two\nlines\"", "two\nlines"),
            ("K=${OUTER}-${NONE:-d}", "out-d"),
            ("A=1\nK=$A", "1"),
            ("K=1\nK=2", "2"),
            ("K=v\r\nB=1\r\n", "v"),
            ("\u{feff}K=v", "v"),
            ("K=\"v\" # comment", "v"),
            ("K=", ""),
        ] {
            let (values, faults) = parse(text);
            assert_eq!((values.get("K").map(String::as_str), faults), (Some(value), vec![]), "{text}");
        }
    }

    #[test]
    fn a_name_alone_is_inherited() {
        assert_eq!(parse("OUTER\nNONE\n").0, [("OUTER".to_owned(), "out".to_owned())].into());
        assert_eq!(parse("OUTER").0.len(), 1);
    }

    #[test]
    fn faults_are_told_and_reading_goes_on() {
        let (values, faults) = parse("A B=1\nC+=2\nD=${\nE=1\nF='x\n");
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert_eq!(values, [("E".to_owned(), "1".to_owned())].into());
    }

    #[test]
    fn raw_lines_are_literal() {
        let mut sources = Sources::new();
        let file = sources.add("raw.env", "# c\nA=\"x\" # $Y\n  B= z\nOUTER\nbad key=1\n");
        let (mut values, mut diagnostics) = (BTreeMap::new(), Vec::new());
        read_raw(&sources, file, &|_| Some("out".to_owned()), &mut values, &mut diagnostics);
        let expected = [("A", "\"x\" # $Y"), ("B", " z"), ("OUTER", "out")];
        assert_eq!(values, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!(diagnostics.len(), 1);
    }
}
