//! Typographic damage: what word processors, chats, web pages and slips do to YAML, recognised in a line.
//!
//! A finding is a guess until something confirms it: `repair` reads the text again with it mended, `check`
//! asks only where a value is not what it must be.

mod words;

use words::{blank_name, dash_name};
pub(crate) use words::{of_folded, of_quoted, of_value};

use crate::schema::{Kind as Shape, SERVICE, TOP};

/// What is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A list item begins with this instead of a hyphen.
    Dash(char),
    /// Behind the key stands this instead of a colon.
    Colon { key: String, found: String },
    /// Nothing stands behind the key.
    NoColon { key: String },
    /// No blank behind the colon of the key.
    ColonTight { key: String },
    /// No blank behind the dash.
    DashTight,
    /// A tab in the indentation.
    Tab,
    /// A tab behind a colon or a dash, which YAML allows but the parser does not read.
    TabBehind,
    /// A value that holds a colon and a blank outside quotes.
    ColonInside { key: String },
    /// A mapping that begins on the line of its key: the keys on this line, without the last.
    MappingInside { keys: Vec<String> },
    /// A list that begins on the line of its key.
    ListInside { key: String },
    /// A blank that is no space.
    Blank(char),
    /// A value within typographic quotes.
    Quotes,
    /// A quote without its partner on the line.
    Unclosed(char),
}

/// A stretch that is damaged, in bytes of the text, and what belongs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// What mends it in place of `start..end`.
    pub(crate) mended: String,
}

/// Whether it is a blank that YAML does not take for one.
pub(crate) fn is_odd_blank(c: char) -> bool {
    blank_name(c).is_some()
}

/// Whether it is a quote that YAML does not take for one.
pub(crate) fn is_odd_quote(c: char) -> bool {
    matches!(c, '“' | '”' | '„' | '‟' | '‘' | '’' | '‚' | '‛' | '«' | '»' | '＂' | '＇' | '″' | '′')
}

/// The text between typographic quotes, if all of `text` is.
pub(crate) fn unquoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix(is_odd_quote)?;
    inner.strip_suffix(|c| is_odd_quote(c) || matches!(c, '"' | '\''))
}

/// Whether a key cannot be meant as it is written.
pub(crate) fn is_odd_key(key: &str) -> bool {
    key.starts_with(is_odd_blank) || key.ends_with(is_odd_blank) || unquoted(key).is_some()
}

/// What is damaged in the line `start..end` of `text`, in order of place.
pub(crate) fn of_line(text: &str, start: usize, end: usize) -> Vec<Damage> {
    let mut line = Line { text, at: start, end, is_item: false, found: Vec::new() };
    line.indentation();
    if !line.rest().is_empty() && !line.rest().starts_with('#') {
        line.dashes();
        line.key();
    }
    line.found
}

/// What is damaged in the stretch `start..end` of `text`, which need not begin with its line.
pub(crate) fn of_lines(text: &str, start: usize, end: usize) -> Vec<Damage> {
    let mut at = start;
    let mut found = Vec::new();
    for line in text[start..end].split_inclusive('\n') {
        found.extend(of_line(text, at, at + line.trim_end_matches(['\n', '\r']).len()));
        at += line.len();
    }
    found
}

struct Line<'t> {
    text: &'t str,
    at: usize,
    end: usize,
    /// Whether a dash stands before what is looked at: items need no colon.
    is_item: bool,
    found: Vec<Damage>,
}

impl<'t> Line<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..self.end]
    }

    fn add(&mut self, kind: Kind, length: usize, mended: impl Into<String>) {
        self.found.push(Damage { kind, start: self.at, end: self.at + length, mended: mended.into() });
    }

    fn indentation(&mut self) {
        loop {
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return };
            let same = rest.len() - rest.trim_start_matches(first).len();
            match first {
                ' ' => {}
                '\t' => self.add(Kind::Tab, same, "  ".repeat(same)),
                blank if is_odd_blank(blank) => {
                    self.add(Kind::Blank(blank), same, " ".repeat(same / blank.len_utf8()));
                }
                _ => return,
            }
            self.at += same;
        }
    }

    /// Steps over the dashes that begin list items.
    fn dashes(&mut self) {
        loop {
            let rest = self.rest();
            let mut characters = rest.chars();
            let Some(first) = characters.next() else { return };
            let behind = characters.as_str();
            let next = behind.chars().next();
            let is_free = next.is_none_or(|c| c == ' ');
            match first {
                '-' if is_free => {}
                '-' => {
                    if next == Some('\t') {
                        self.at += 1;
                        self.add(Kind::TabBehind, 1, " ");
                        self.at += 1;
                        continue;
                    }
                    if let Some(blank) = next.filter(|c| is_odd_blank(*c)) {
                        self.at += 1;
                        self.add(Kind::Blank(blank), blank.len_utf8(), " ");
                        self.at += blank.len_utf8();
                        continue;
                    }
                    let is_word = next.is_some_and(|c| {
                        c.is_alphanumeric() || matches!(c, '"' | '\'' | '/' | '.' | '$' | '{' | '[')
                    });
                    if is_word {
                        self.add(Kind::DashTight, 1, "- ");
                        self.at += 1;
                    }
                    return;
                }
                '*' if !is_free => return,
                odd if dash_name(odd).is_some() => {
                    self.add(Kind::Dash(odd), odd.len_utf8(), if is_free { "-" } else { "- " });
                }
                _ => return,
            }
            self.is_item = true;
            self.at += first.len_utf8();
            self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
        }
    }

    fn key(&mut self) {
        let rest = self.rest();
        let quoted = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        if rest.starts_with(is_odd_quote) && self.quoted_key() {
            return;
        }
        if quoted.is_some() || rest.starts_with(is_odd_quote) {
            return self.value("");
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if length == 0 || rest.starts_with("--") {
            return;
        }
        let key = rest[..length].to_owned();
        self.at += length;
        let behind = self.rest();
        if let Some(blank) = behind.chars().next().filter(|c| is_odd_blank(*c)) {
            let width = behind.len() - behind.trim_start_matches(is_odd_blank).len();
            if behind[width..].starts_with(':') {
                self.add(Kind::Blank(blank), width, "");
            }
            self.at += width;
        }
        self.colon(key);
    }

    /// What stands behind a key.
    fn colon(&mut self, key: String) {
        let behind = self.rest();
        if let Some(value) = behind.strip_prefix(':') {
            self.at += 1;
            match value.chars().next() {
                None | Some(' ') => {}
                Some(blank) if is_odd_blank(blank) => self.add(Kind::Blank(blank), blank.len_utf8(), " "),
                Some('\t') => self.add(Kind::TabBehind, 1, " "),
                Some(_) if value.starts_with("//") => return,
                Some(_) if self.is_item => return,
                Some(_) => self.add(Kind::ColonTight { key: key.clone() }, 0, " "),
            }
            return self.value(&key);
        }
        if self.is_item && behind.is_ascii() {
            return;
        }
        let marks = ["：", "﹕", "︰", "∶", "ː", "；", ";", ".", ",", "=>", "->", "="];
        if let Some(mark) = marks.into_iter().find(|mark| behind.starts_with(mark)) {
            let next = behind[mark.len()..].chars().next();
            let is_free = next.is_none_or(|c| c == ' ');
            if is_free || mark == "=" || !mark.is_ascii() {
                let mended = if is_free { ":" } else { ": " };
                self.add(Kind::Colon { key, found: mark.to_owned() }, mark.len(), mended);
            }
        } else if behind.is_empty() || behind.starts_with(' ') {
            let blank = behind.trim_start_matches(' ');
            let width = behind.len() - blank.len();
            let assigned = blank.strip_prefix('=').is_some_and(|rest| rest.starts_with(' '));
            if assigned {
                self.add(Kind::Colon { key, found: "=".to_owned() }, width + 1, ":");
            } else if blank.is_empty() || !blank.starts_with([':', '#', '=']) {
                self.add(Kind::NoColon { key }, 0, ":");
            }
        }
    }

    /// A key within typographic quotes; whether there is one.
    fn quoted_key(&mut self) -> bool {
        let rest = self.rest();
        let Some(end) = rest.find(':') else { return false };
        let written = rest[..end].trim_end();
        match unquoted(written) {
            Some(key) if !key.contains(is_odd_quote) => {
                self.add(Kind::Quotes, written.len(), format!("\"{}\"", key.replace(['\\', '"'], "'")));
                true
            }
            _ => false,
        }
    }

    /// The quotes of the value of `key`; of an item if that is empty.
    fn value(&mut self, key: &str) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(' ').len();
        let value = self.rest().trim_end();
        let Some(first) = value.chars().next() else { return };
        if is_odd_quote(first) {
            if let Some(inner) = unquoted(value) {
                self.add(Kind::Quotes, value.len(), format!("\"{}\"", inner.replace(['\\', '"'], "'")));
            }
        } else if matches!(first, '"' | '\'') && value[1..].matches(first).count() % 2 == 0 {
            self.at += value.len();
            self.add(Kind::Unclosed(first), 0, first.to_string());
        } else if !key.is_empty() && value.starts_with("- ") {
            let item = value.trim_start_matches("- ").trim();
            self.add(Kind::ListInside { key: key.to_owned() }, value.len(), format!("[{}]", in_flow(item)));
        } else if let Some((keys, last)) = mapping_inside(key, value) {
            let close = "}".repeat(keys.len());
            let open: String = keys.iter().map(|key| format!("{{{key}: ")).collect();
            let mended = format!("{open}{}{close}", in_flow(last));
            let keys = std::iter::once(key.to_owned()).chain(keys.iter().map(|&key| key.to_owned()));
            self.add(Kind::MappingInside { keys: keys.collect() }, value.len(), mended);
        } else if !key.is_empty()
            && !matches!(first, '"' | '\'' | '[' | '{' | '&' | '*' | '!' | '|' | '>' | '#')
            && (value.contains(": ") || value.ends_with(':'))
        {
            let quoted = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
            self.add(Kind::ColonInside { key: key.to_owned() }, value.len(), quoted);
        }
    }
}

/// The keys that stand behind `key` on its line, and what stands behind the last of them, if `key` and they
/// are keys of Compose with mappings under them: then the colons are no part of a text.
fn mapping_inside<'v>(key: &str, value: &'v str) -> Option<(Vec<&'v str>, &'v str)> {
    let is_key = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        !part.is_empty() && part.bytes().all(fits)
    };
    let (mut keys, mut rest) = (Vec::new(), value);
    while let Some((part, behind)) = rest.split_once(": ").filter(|(part, _)| is_key(part)) {
        keys.push(part);
        rest = behind.trim_start();
    }
    let of_service = |key: &str| SERVICE.field(key);
    let inner = *keys.first()?;
    let is_section = || TOP.field(key).is_some_and(|field| matches!(field.kind, Shape::Named(_)));
    let is_meant = match of_service(key).map(|field| field.kind) {
        Some(Shape::Object(object)) => object.field(inner).is_some(),
        Some(Shape::Shapes(_, _, Shape::Object(object))) => object.field(inner).is_some(),
        Some(_) => false,
        None => is_section() || of_service(inner).is_some(),
    };
    is_meant.then_some((keys, rest))
}

/// A text as it can stand in `[…]` or `{…}`.
fn in_flow(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '=' | '-');
    match text.chars().next() {
        Some('"' | '\'' | '[' | '{') => text.to_owned(),
        _ if text.chars().all(is_safe) => text.to_owned(),
        _ => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

impl Damage {
    /// Whether it is damage wherever it stands, so that all like it can be mended at once.
    pub(crate) fn is_plain(&self) -> bool {
        match &self.kind {
            Kind::Dash(_) | Kind::Tab | Kind::TabBehind | Kind::Blank(_) => true,
            Kind::Colon { found, .. } => !found.is_ascii(),
            _ => false,
        }
    }

    /// Whether `other` is the same damage elsewhere.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Colon { found, .. }, Kind::Colon { found: other, .. }) => found == other,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(line: &str) -> String {
        let mut text = line.to_owned();
        for damage in of_line(line, 0, line.len()).into_iter().rev() {
            text.replace_range(damage.start..damage.end, &damage.mended);
        }
        text
    }

    #[test]
    fn damage_is_found_and_mended() {
        for (line, right) in [
            ("  — 80:80", "  - 80:80"),
            ("  –80", "  - 80"),
            ("  • a", "  - a"),
            ("  * a", "  - a"),
            ("\timage: x", "  image: x"),
            ("image. nginx", "image: nginx"),
            ("image； nginx", "image: nginx"),
            ("image：nginx", "image: nginx"),
            ("web;", "web:"),
            ("image=nginx", "image: nginx"),
            ("image = nginx", "image: nginx"),
            ("image:nginx", "image: nginx"),
            ("image nginx", "image: nginx"),
            ("-\u{a0}a:", "- a:"),
            ("image:\u{a0}x", "image: x"),
            ("image\u{a0}: x", "image: x"),
            ("a: “b”", "a: \"b\""),
            ("- “b: c”", "- \"b: c\""),
            ("a: \"b", "a: \"b\""),
            ("-\"b\"", "- \"b\""),
            ("“a”: b", "\"a\": b"),
            ("a:\tb", "a: b"),
            ("a: b: c \"d\"", r#"a: "b: c \"d\"""#),
            ("services: web: image: nginx:1", r#"services: {web: {image: "nginx:1"}}"#),
            ("build: context: .", "build: {context: .}"),
            ("command: echo: x", r#"command: "echo: x""#),
            ("ports: - 80:80", r#"ports: ["80:80"]"#),
        ] {
            assert_eq!(mended(line), right, "{line}");
        }
    }

    #[test]
    fn what_is_right_is_left_alone() {
        for line in [
            "  image: nginx:1.25",
            "- a",
            "- - a",
            "- key: \"a\"",
            "# — a",
            "*anchor",
            "<<: *anchor",
            "image: nginx # — “x”",
            "url: http://x",
            "a: 'it''s'",
            "---",
            "key : value",
            "? a",
            "{a: b}",
        ] {
            assert_eq!(of_line(line, 0, line.len()), [], "{line}");
        }
    }
}
