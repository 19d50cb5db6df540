//! Splits a text into words as a shell would, without its variables and patterns.

/// The words, or `None` when a quote is not closed.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                let quoted = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        letter => quoted.push(letter),
                    }
                }
            }
            '"' => {
                let quoted = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '"' => break,
                        '\\' => match letters.next()? {
                            letter @ ('"' | '\\' | '$' | '`') => quoted.push(letter),
                            letter => quoted.extend(['\\', letter]),
                        },
                        letter => quoted.push(letter),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(letters.next()?),
            letter if letter.is_whitespace() => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_in_a_shell() {
        assert_eq!(split("sh -c 'echo a b'").unwrap(), ["sh", "-c", "echo a b"]);
        assert_eq!(split(r#"a "b \" c" d\ e ''"#).unwrap(), ["a", "b \" c", "d e", ""]);
        assert_eq!(split("").unwrap(), Vec::<String>::new());
        assert_eq!(split("'a"), None);
    }
}
