//! Damage in words: what it is called, and what to write instead.

use diagnostic::{Diagnostic, FileId, Span};

use super::{Damage, Kind, is_odd_blank};

/// The names of dashes that are no hyphen, and of marks that lists elsewhere begin with.
pub(super) fn dash_name(c: char) -> Option<&'static str> {
    Some(match c {
        '—' | '―' | '⸺' => "an em dash",
        '–' | '‒' => "an en dash",
        '−' => "a minus sign",
        '‐' | '‑' => "a typographic hyphen",
        '－' | '﹣' => "a full-width hyphen",
        '•' | '◦' | '▪' | '‣' | '·' => "a bullet",
        '*' => "an asterisk",
        _ => return None,
    })
}

/// The name of a blank that YAML does not take for one.
pub(super) fn blank_name(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{a0}' => "a non-breaking space",
        '\u{202f}' => "a narrow non-breaking space",
        '\u{3000}' => "a full-width space",
        '\u{2000}'..='\u{200a}' | '\u{205f}' => "a typographic space",
        '\u{200b}' | '\u{2060}' | '\u{feff}' => "an invisible character",
        _ => return None,
    })
}

/// The name of what stands for a colon.
fn colon_name(found: &str) -> &'static str {
    match found {
        "：" | "﹕" | "︰" | "∶" | "ː" => "a full-width or typographic colon",
        ";" => "a semicolon",
        "；" => "a full-width semicolon",
        "." => "a full stop",
        "," => "a comma",
        "=" => "an equals sign",
        _ => "an arrow",
    }
}

impl Damage {
    /// The stretch a caret stands under.
    fn shown(&self, file: FileId, text: &str) -> Span {
        let (mut start, mut end) = (self.start, self.end);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        match &self.kind {
            Kind::NoColon { key } | Kind::ColonTight { key } => {
                start = text[line_start..start].rfind(key.as_str()).map_or(start, |at| line_start + at);
            }
            Kind::Unclosed(quote) => {
                start = text[line_start..start].find(*quote).map_or(start, |at| line_start + at);
                end = start + 1;
            }
            _ => {}
        }
        Span::new(file, start, end)
    }

    /// Tells the damage, with the other places that are like it.
    pub(crate) fn tell(&self, file: FileId, text: &str, others: &[&Self]) -> Diagnostic {
        let span = self.shown(file, text);
        let mut diagnostic = self.described(text).at(span, self.label());
        for other in others.iter().take(3) {
            diagnostic = diagnostic.at(other.shown(file, text), "here too");
        }
        match others.len().saturating_sub(3) {
            0 => diagnostic,
            1 => diagnostic.note("and in one more place"),
            more => diagnostic.note(format!("and in {more} more places")),
        }
    }

    fn label(&self) -> String {
        match &self.kind {
            Kind::Dash(c) => dash_name(*c).unwrap_or("no hyphen").to_owned(),
            Kind::Colon { found, .. } => colon_name(found).to_owned(),
            Kind::NoColon { .. } => "no colon behind it".to_owned(),
            Kind::ColonTight { .. } => "no blank behind the colon".to_owned(),
            Kind::DashTight => "no blank behind the dash".to_owned(),
            Kind::Tab | Kind::TabBehind => "a tab".to_owned(),
            Kind::ColonInside { .. } => "holds a colon followed by a blank".to_owned(),
            Kind::MappingInside { .. } | Kind::ListInside { .. } => "needs a line of its own".to_owned(),
            Kind::Blank(c) => blank_name(*c).unwrap_or("no space").to_owned(),
            Kind::Quotes => "typographic quotes".to_owned(),
            Kind::Unclosed(_) => "opened here".to_owned(),
        }
    }

    fn described(&self, text: &str) -> Diagnostic {
        let written = self.line_mended(text);
        let error = |code, message: String| Diagnostic::error(code, message);
        match &self.kind {
            Kind::Dash(c) => {
                let name = dash_name(*c).unwrap_or("another mark");
                error("odd-dash", format!("this list item begins with {name} `{c}` instead of a hyphen `-`"))
                    .help(format!("write `{written}`"))
            }
            Kind::Colon { key, found } => {
                let name = colon_name(found);
                error(
                    "odd-colon",
                    format!("behind the key `{key}` stands {name} `{found}` instead of a colon"),
                )
                .help(format!("write `{written}`"))
            }
            Kind::NoColon { key } => error("missing-colon", format!("a colon is missing behind `{key}`"))
                .help(format!("write `{written}`")),
            Kind::ColonTight { key } => {
                error("missing-blank", format!("a blank is missing behind the colon of `{key}`"))
                    .help(format!("write `{written}`"))
            }
            Kind::DashTight => {
                error("missing-blank", "a blank is missing behind the dash of a list item".to_owned())
                    .help(format!("write `{written}`"))
            }
            Kind::Tab => error("tab-indentation", "a tab stands where YAML allows only spaces".to_owned())
                .help("replace every tab by spaces, and have the editor insert spaces for the Tab key"),
            Kind::TabBehind => Diagnostic::warning("tab-behind-colon", "a tab stands where a space is usual")
                .help("write a space: not every reader of YAML takes a tab here"),
            Kind::ColonInside { key } => {
                error("unquoted-colon", format!("the value of `{key}` holds `: ` and is not quoted"))
                    .help(format!("write `{written}`"))
            }
            Kind::MappingInside { keys } => {
                let outer = keys.first().map_or("", String::as_str);
                let inner = keys.get(1).map_or("", String::as_str);
                let lines: Vec<_> = keys[1..].iter().map(|key| format!("`{key}: …`")).collect();
                error(
                    "unquoted-colon",
                    format!(
                        "the keys `{outer}` and `{inner}` stand on one line, but one belongs under the other"
                    ),
                )
                .help(format!(
                    "every mapping has lines of its own, indented deeper: below `{outer}:` write {}",
                    lines.join(", below that ")
                ))
            }
            Kind::ListInside { key } => {
                error("yaml-syntax", format!("the list under `{key}` begins on the line of its key"))
                    .help(format!("write `{key}:`, and each item on a line of its own below it: `- …`"))
            }
            Kind::Blank(c) => {
                let name = blank_name(*c).unwrap_or("another blank");
                let message = format!("{name} (U+{:04X}) stands where a plain space belongs", u32::from(*c));
                error("odd-blank", message)
                    .help("replace it by a space; such characters come with text copied from web pages")
            }
            Kind::Quotes => {
                error("odd-quotes", "YAML takes typographic quotes for letters, not for quotes".to_owned())
                    .help(format!("write `{}`", self.mended))
            }
            Kind::Unclosed(quote) => {
                error("unclosed-quote", format!("the quote `{quote}` has no end on its line"))
                    .help(format!("close it: `{written}`"))
            }
        }
    }

    /// The line as it would be right, without its indentation, cut if long.
    fn line_mended(&self, text: &str) -> String {
        let start = text[..self.start].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[self.end..].find(['\n', '\r']).map_or(text.len(), |newline| self.end + newline);
        let line = format!("{}{}{}", &text[start..self.start], self.mended, &text[self.end..end]);
        let line = line.trim_matches(|c: char| c.is_whitespace() || is_odd_blank(c));
        match line.char_indices().nth(60) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line.to_owned(),
        }
    }
}

/// What is suspicious about an unquoted value that is good YAML.
pub(crate) fn of_value(text: &str, span: Span) -> Option<Diagnostic> {
    let odd = |c: char| is_odd_blank(c);
    if let Some(blank) = text.chars().next().filter(|c| odd(*c)).or(text.chars().last().filter(|c| odd(*c))) {
        let name = blank_name(blank).unwrap_or("another blank");
        let message = format!("this value begins or ends with {name} (U+{:04X})", u32::from(blank));
        return Some(
            Diagnostic::warning("odd-blank", message)
                .at(span, "it is a part of the value")
                .help("remove it; such characters come with text copied from web pages"),
        );
    }
    if let Some(inner) = super::unquoted(text) {
        return Some(
            Diagnostic::warning("odd-quotes", "YAML takes typographic quotes for letters, not for quotes")
                .at(span, "the quotes are a part of the value")
                .help(format!("write `\"{inner}\"`")),
        );
    }
    let before = text.strip_suffix(['"', '\''])?;
    let is_word = !before.is_empty() && !before.contains(['"', '\'', ' ']) && before.parse::<f64>().is_err();
    is_word.then(|| {
        Diagnostic::warning("stray-quote", "this value ends with a quote that was never opened")
            .at(span, "the quote is a part of the value")
            .help(format!("write `\"{before}\"`, or remove the quote"))
    })
}

/// An unquoted value of several lines of which one looks like an item of a list.
pub(crate) fn of_folded(written: &str, span: Span) -> Option<Diagnostic> {
    let value = written.get(span.start as usize..span.end as usize)?;
    let mut at = span.start as usize;
    for (number, line) in value.split_inclusive('\n').enumerate() {
        let content = line.trim_start();
        if number > 0 && content.starts_with("- ") {
            let start = at + line.len() - content.len();
            let here = Span::new(span.file, start, start + content.trim_end().len());
            return Some(
                Diagnostic::warning("wrong-indentation", "a line that looks like a list item goes on with the value above it")
                    .at(here, "indented deeper than the value's own line")
                    .at(Span::new(span.file, span.start as usize, span.start as usize + value.lines().next().map_or(0, str::len)), "the value begins here")
                    .help("an item stands in the column of the other items; if it is a part of the value, quote the value"),
            );
        }
        at += line.len();
    }
    None
}

/// A quoted text of several lines of which one looks like an item of the list that the text is an item of.
pub(crate) fn of_quoted(written: &str, span: Span) -> Option<Diagnostic> {
    let (start, end) = (span.start as usize, span.end as usize);
    let value = written.get(start..end)?;
    let column = start - written[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let mut at = start;
    for (number, line) in value.split_inclusive('\n').enumerate() {
        let content = line.trim_start_matches(' ');
        // The dash of this item stands two columns before its quote.
        if number > 0 && content.starts_with("- ") && line.len() - content.len() + 2 == column {
            let here = at + line.len() - content.len();
            return Some(
                Diagnostic::warning(
                    "unclosed-quote",
                    "a quote that is closed lines below holds what looks like list items",
                )
                .at(Span::new(span.file, start, start + 1), "opened here")
                .at(Span::new(span.file, here, here + 1), "no item: a part of the text")
                .at(Span::new(span.file, end - 1, end), "closed here")
                .help(format!(
                    "close it on its line: `- {}{}`",
                    value.lines().next()?.trim_end(),
                    &value[..1]
                )),
            );
        }
        at += line.len();
    }
    None
}
