//! Splitting a command into words as Compose does: a shell's quotes, but no shell.

use diagnostic::Diagnostic;

use crate::scope::Scope;
use crate::tree::{Node, Value};

/// `command`, `entrypoint`: a text → a list of words.
pub(crate) fn command(node: &mut Node, scope: &mut Scope<'_>) {
    let Value::String(text) = &node.value else { return };
    if !scope.interpolated {
        return;
    }
    match split(text) {
        Ok(Words { words, dropped }) => {
            if let Some(rest) = dropped.map(|at| text[at..].trim()) {
                let shell = text.replace('\\', "\\\\").replace('"', "\\\"");
                scope.tell(
                    Diagnostic::warning(
                        "no-shell",
                        format!("`{rest}` is dropped: a command is not run by a shell"),
                    )
                    .at(scope.within(node.span, rest), "never seen by the program")
                    .help(format!("for a shell write `[\"sh\", \"-c\", \"{}\"]`", shell.trim())),
                );
            }
            let words = words.into_iter().map(|word| Node::string(word, node.span));
            node.value = Value::List(words.collect());
        }
        Err(reason) => {
            scope.tell(
                Diagnostic::error("bad-command", "this command cannot be split into words")
                    .at(node.span, reason)
                    .help("a list of words needs no quotes: `[\"program\", \"argument\"]`"),
            );
            node.value = Value::Bad;
        }
    }
}

#[derive(Debug, PartialEq)]
struct Words {
    words: Vec<String>,
    /// Where what is not read any more begins.
    dropped: Option<usize>,
}

/// What is open at a place of the text.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Nothing,
    Single,
    Double,
    /// `` `…` ``: kept as it is.
    Back,
    /// `$(…)`: kept as it is.
    Dollar,
}

fn split(text: &str) -> Result<Words, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut open = Open::Nothing;
    let mut dropped = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        let buffer = &mut word;
        match (character, open) {
            ('\\', Open::Single) => buffer.get_or_insert_default().push('\\'),
            ('\\', _) => {
                let escaped = match characters.next().ok_or("it ends in a backslash")?.1 {
                    't' => '\t',
                    'n' => '\n',
                    other => other,
                };
                buffer.get_or_insert_default().push(escaped);
            }
            (' ' | '\t' | '\r' | '\n', Open::Nothing) => words.extend(buffer.take()),
            ('\'', Open::Nothing) => (open, _) = (Open::Single, buffer.get_or_insert_default()),
            ('"', Open::Nothing) => (open, _) = (Open::Double, buffer.get_or_insert_default()),
            ('\'', Open::Single) | ('"', Open::Double) => open = Open::Nothing,
            ('`', Open::Nothing | Open::Back) => {
                open = if open == Open::Back { Open::Nothing } else { Open::Back };
                buffer.get_or_insert_default().push('`');
            }
            ('(', Open::Nothing) if buffer.as_ref().is_some_and(|word| word.ends_with('$')) => {
                open = Open::Dollar;
                buffer.get_or_insert_default().push('(');
            }
            ('(' | ')', Open::Nothing) => return Err("a parenthesis outside quotes"),
            (')', Open::Dollar) => {
                open = Open::Nothing;
                buffer.get_or_insert_default().push(')');
            }
            (';' | '&' | '|' | '<' | '>', Open::Nothing) => {
                let is_number = |word: &String| word.starts_with(|first: char| first.is_ascii_digit());
                if character == '>' && buffer.as_ref().is_some_and(is_number) {
                    *buffer = None;
                }
                dropped = Some(at);
                break;
            }
            (other, _) => buffer.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    match open {
        Open::Nothing => Ok(Words { words, dropped }),
        Open::Single | Open::Double => Err("a quote is not closed"),
        Open::Back | Open::Dollar => Err("a command substitution is not closed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_group_and_nothing_is_expanded() {
        for (text, words) in [
            ("", &[][..]),
            ("  a  b ", &["a", "b"]),
            ("sh -c 'echo \"x y\"'", &["sh", "-c", "echo \"x y\""]),
            ("a\"b c\"d ''", &["ab cd", ""]),
            ("echo $HOME *", &["echo", "$HOME", "*"]),
            (r"a\ b \n '\n'", &["a b", "\n", "\\n"]),
            ("echo $(date +%s) `x y`", &["echo", "$(date +%s)", "`x y`"]),
        ] {
            assert_eq!(split(text).unwrap().words, words, "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_knows_ends_the_command() {
        assert_eq!(split("a b && c"), Ok(Words { words: vec!["a".into(), "b".into()], dropped: Some(4) }));
        assert_eq!(split("a 2>/dev/null"), Ok(Words { words: vec!["a".into()], dropped: Some(3) }));
        for text in ["a 'b", "a \"b", "a\\", "(a)"] {
            assert!(split(text).is_err(), "{text}");
        }
    }
}
