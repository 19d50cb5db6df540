//! The flags between a keyword and its arguments: `--name` and `--name=value`.

use diagnostic::{Diagnostic, nearest};

use crate::line::Piece;
use crate::mount::truth;
use crate::tree::Word;

/// One flag as written. Quotes and escapes are gone from the value.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    /// `--name`, or all of it.
    pub(crate) name: Word,
    pub(crate) value: Option<Word>,
}

/// Whether a flag of an instruction has a value and may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// `--flag` or `--flag=BOOL`.
    Truth,
    /// `--flag=VALUE`, once.
    Value,
    /// `--flag=VALUE`, any number of times.
    Values,
}

/// The flags of one instruction, checked against those it has.
#[derive(Debug, Default)]
pub(crate) struct Flags(Vec<Flag>);

impl Flags {
    /// Checks `flags` against `known`; faults are collected, and what is right is kept.
    pub(crate) fn check(
        keyword: &str,
        flags: Vec<Flag>,
        known: &[(&'static str, Takes)],
        faults: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut kept: Vec<Flag> = Vec::new();
        for flag in flags {
            let name = flag.name.text.as_str();
            match known.iter().find(|(own, _)| *own == name) {
                None => faults.push(unknown(keyword, &flag, known)),
                Some((_, Takes::Value | Takes::Values)) if flag.value.is_none() => faults.push(
                    Diagnostic::error("missing-value", format!("`--{name}` of `{keyword}` needs a value"))
                        .at(flag.name.span, "")
                        .help(format!("write `--{name}=VALUE`")),
                ),
                Some((_, Takes::Truth)) if flag.truth().is_none() => faults.push(
                    Diagnostic::error("bad-value", format!("`--{name}` is neither `true` nor `false`"))
                        .at(flag.name.span, ""),
                ),
                Some((_, takes)) => {
                    if *takes != Takes::Values && kept.iter().any(|own| own.name.text == name) {
                        faults.push(
                            Diagnostic::error("duplicate-flag", format!("`--{name}` is given twice"))
                                .at(flag.name.span, ""),
                        );
                    }
                    kept.push(flag);
                }
            }
        }
        Self(kept)
    }

    pub(crate) fn value(&self, name: &str) -> Option<Word> {
        self.0.iter().find(|flag| flag.name.text == name).and_then(|flag| flag.value.clone())
    }

    pub(crate) fn values(&self, name: &str) -> Vec<Word> {
        self.0.iter().filter(|flag| flag.name.text == name).filter_map(|flag| flag.value.clone()).collect()
    }

    /// The truth of a flag; `None` where it is not given.
    pub(crate) fn truth(&self, name: &str) -> Option<bool> {
        self.0.iter().find(|flag| flag.name.text == name).and_then(Flag::truth)
    }
}

impl Flag {
    fn truth(&self) -> Option<bool> {
        self.value.as_ref().map_or(Some(true), |value| truth(&value.text))
    }
}

fn unknown(keyword: &str, flag: &Flag, known: &[(&'static str, Takes)]) -> Diagnostic {
    let name = &flag.name.text;
    let diagnostic = Diagnostic::error("unknown-flag", format!("`{keyword}` has no flag `--{name}`"))
        .at(flag.name.span, "");
    match nearest(name, known.iter().map(|(known, _)| *known)) {
        Some(near) => diagnostic.help(format!("a flag with a similar name exists: `--{near}`")),
        None if known.is_empty() => diagnostic
            .help(format!("`{keyword}` has no flags; write `{keyword} -- …` if this is its argument")),
        None => {
            let names: Vec<String> = known.iter().map(|(known, _)| format!("`--{known}`")).collect();
            diagnostic.help(format!("there are {}", names.join(", ")))
        }
    }
}

/// Takes the flags at the begin of `rest`; gives them and what follows. A lone `--` ends them.
pub(crate) fn take(rest: Piece<'_>) -> (Vec<Flag>, Piece<'_>) {
    let mut flags = Vec::new();
    let mut rest = rest.trim();
    while rest.text().starts_with("--") {
        let (end, text) = unquoted(rest);
        let word = rest.slice(0, end);
        rest = rest.slice(end, rest.text().len()).trim();
        if text == "--" {
            break;
        }
        flags.push(flag(word, &text));
    }
    (flags, rest)
}

fn flag(word: Piece<'_>, text: &str) -> Flag {
    let bare = text.strip_prefix("--").unwrap_or(text);
    let Some((name, value)) = bare.split_once('=') else {
        return Flag { name: word.word_of(bare.to_owned()), value: None };
    };
    let at = word.text().find('=').unwrap_or(0);
    let name = word.slice(0, at).word_of(name.to_owned());
    let value = word.slice(at + 1, word.text().len()).word_of(value.to_owned());
    Flag { name, value: Some(value) }
}

/// The length of the first word of `piece`, and the word without its quotes and escapes.
fn unquoted(piece: Piece<'_>) -> (usize, String) {
    let mut text = String::new();
    let mut quote = None;
    let mut chars = piece.text().char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (at, text),
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == piece.escape() && quote != Some('\'') => text.extend(chars.next().map(|(_, c)| c)),
            _ => text.push(c),
        }
    }
    (piece.text().len(), text)
}
