//! The forms that arguments come in: JSON lists, pairs, durations.

use std::time::Duration;

use diagnostic::Diagnostic;

use crate::line::Piece;
use crate::tree::{Command, Pair, Word};

/// What a text that may be a JSON list is.
pub(crate) enum Listed {
    /// A list of texts.
    Json(Vec<String>),
    /// Something else, to be read in the instruction's other form.
    Plain,
}

/// Reads a JSON list of texts. What is no JSON list is no fault: then the other form is meant.
///
/// # Errors
/// A list with something else than texts in it.
pub(crate) fn listed(rest: Piece<'_>) -> Result<Listed, Diagnostic> {
    if !rest.text().starts_with('[') {
        return Ok(Listed::Plain);
    }
    let Ok(items) = serde_json::from_str::<Vec<serde_json::Value>>(rest.text()) else {
        return Ok(Listed::Plain);
    };
    let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    texts.map(Listed::Json).ok_or_else(|| {
        Diagnostic::error("not-a-text", "a JSON list of arguments has only texts in it")
            .at(rest.span(), "")
            .help("put numbers and words in double quotes")
    })
}

/// `CMD`, `ENTRYPOINT` and the like: a JSON list, or a line for the shell.
///
/// # Errors
/// As [`listed`].
pub(crate) fn command(rest: Piece<'_>) -> Result<Command, Diagnostic> {
    Ok(match listed(rest)? {
        Listed::Json(arguments) => Command::Exec(arguments),
        Listed::Plain => Command::Shell(rest.text().to_owned()),
    })
}

/// `VOLUME` and the like: a JSON list, or words between white space.
///
/// # Errors
/// As [`listed`].
pub(crate) fn words(rest: Piece<'_>) -> Result<Vec<Word>, Diagnostic> {
    Ok(match listed(rest)? {
        Listed::Json(texts) => texts.into_iter().map(|text| rest.word_of(text)).collect(),
        Listed::Plain => rest.split_whitespace().into_iter().map(Piece::word).collect(),
    })
}

/// How the pairs of an `ENV` or `LABEL` are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairForm {
    /// `KEY=VALUE …`
    Equals,
    /// `KEY VALUE`, one pair to the end of the line.
    Legacy,
}

/// `ENV` and `LABEL`.
///
/// # Errors
/// A key without value, or without a name.
pub(crate) fn pairs(keyword: &str, rest: Piece<'_>) -> Result<(Vec<Pair>, PairForm), Diagnostic> {
    let words = rest.split_quoted();
    if words.first().is_some_and(|word| !word.text().contains('=')) {
        let (key, value) = rest.split_word();
        if value.is_empty() {
            return Err(Diagnostic::error("missing-value", format!("`{keyword}` has a name but no value"))
                .at(key.span(), "")
                .help(format!("write `{keyword} {}=VALUE`", key.text())));
        }
        return Ok((vec![Pair { key: key.word(), value: value.word() }], PairForm::Legacy));
    }
    let mut pairs = Vec::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            let message = format!("`{}` is not of the form `name=value`", word.text());
            return Err(Diagnostic::error("missing-value", message)
                .at(word.span(), "")
                .help("put a value with spaces in quotes"));
        };
        if key.is_empty() {
            return Err(Diagnostic::error("missing-name", format!("a name in `{keyword}` is empty"))
                .at(word.span(), ""));
        }
        pairs.push(Pair { key: key.word(), value: value.word() });
    }
    Ok((pairs, PairForm::Equals))
}

/// A duration in Go's spelling: `1m30s`, `500ms`, `1.5h`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += value.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    text.ends_with(|c: char| c.is_alphabetic()).then(|| Duration::try_from_secs_f64(total).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for bad in ["", "5", "s", "5x", "-1s", "1m30", "+"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
