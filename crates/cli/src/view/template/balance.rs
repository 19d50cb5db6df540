//! Whether what opens is closed: each `if`, `range`, `with`, `define` and `block` by its own `end`. The library
//! takes a missing `end` for one at the end, and leaves out what is behind one too many.

/// A keyword that opens, with its place, and whether its `else` has been.
struct Open<'a> {
    word: &'a str,
    at: usize,
    is_in_else: bool,
}

/// The first keyword that stands alone: its place, and what is wrong with it. The template has been read, so
/// that every action and every text in it ends.
pub(super) fn check(source: &str) -> Result<(), (usize, String)> {
    let mut open: Vec<Open<'_>> = vec![];
    let mut at = 0;
    while let Some(start) = source[at..].find("{{") {
        let inside = at + start + 2;
        at = inside + end_of_action(&source[inside..]);
        let action = &source[inside..at];
        let action = action.strip_prefix("- ").unwrap_or(action).trim_start();
        let place = at - action.len();
        let word = |text: &'_ str| text.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(text.len());
        let (word, rest) = action.split_at(word(action));
        let alone = |what: &str| Err((place, what.to_owned()));
        match word {
            "if" | "range" | "with" | "define" | "block" => {
                open.push(Open { word, at: place, is_in_else: false });
            }
            "end" if open.pop().is_none() => return alone("this `end` closes nothing"),
            "else" => match open.last_mut() {
                Some(last) if matches!(last.word, "if" | "range" | "with") && !last.is_in_else => {
                    let rest = rest.trim_start();
                    last.is_in_else = !["if", "with"].iter().any(|word| rest.starts_with(word));
                }
                _ => return alone("this `else` belongs to no `if`, `range` or `with`"),
            },
            "break" | "continue" if open.iter().all(|open| open.word != "range") => {
                return alone("this is in no `range`");
            }
            _ => {}
        }
    }
    match open.pop() {
        Some(open) => Err((open.at, format!("this `{}` has no `end`", open.word))),
        None => Ok(()),
    }
}

/// Bytes to the end of an action that ends.
fn end_of_action(text: &str) -> usize {
    if let Some(comment) = text.trim_start_matches(['-', ' ']).strip_prefix("/*") {
        let begin = text.len() - comment.len();
        return comment.find("*/").map_or(text.len(), |end| begin + end);
    }
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match quote {
            _ if escaped => escaped = false,
            Some(mark) => {
                escaped = letter == '\\' && mark != '`';
                quote = quote.filter(|mark| *mark != letter);
            }
            None if text[at..].starts_with("}}") => return at,
            None => quote = Some(letter).filter(|letter| matches!(letter, '"' | '`' | '\'')),
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_stands_alone_is_found() {
        for text in [
            "{{if .A}}{{range .B}}{{break}}{{else}}{{end}}{{else if .C}}{{else}}{{end}}",
            "{{/* {{if */}}{{- if \"}}{{end\" -}} {{- end -}}{{`{{`}}{{'}'}}{{\"\\\"}}\"}}{{endless}}",
            "{{define \"a\"}}{{end}}{{with .A}}{{else with .B}}{{end}}",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for (text, at) in [
            ("a{{if .A}}b", 3),
            ("a {{- range .A}}{{if .B}}{{end}}", 6),
            ("{{.A}}{{end}}{{.B}}", 8),
            ("{{else}}", 2),
            ("{{if .A}}{{else}}{{else}}{{end}}", 19),
            ("{{if .A}}{{break}}{{end}}", 11),
        ] {
            assert_eq!(check(text).unwrap_err().0, at, "{text}");
        }
    }
}
