//! `WWW-Authenticate`: how a registry wants to be convinced. RFC 9110, section 11.

use std::collections::BTreeMap;

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// Lower-case: `bearer`, `basic`.
    pub(crate) scheme: String,
    /// Keys are lower-case.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// The challenges in one header's value. What does not parse is left out.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = vec![];
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return challenges;
        }
        let word = word.to_ascii_lowercase();
        match (after.trim_start().strip_prefix('='), challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let Some((value, after)) = self::value(value.trim_start()) else { return challenges };
                challenge.parameters.insert(word, value);
                rest = after;
            }
            (Some(_), None) => return challenges,
            (None, _) => {
                challenges.push(Challenge { scheme: word, parameters: BTreeMap::new() });
                rest = after;
            }
        }
    }
}

/// A token or a quoted string, and what follows.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[index + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_challenges_and_quoted_commas_are_told_apart() {
        let found = parse(
            r#"Bearer realm="https://a.test/token?x=1,2",service="s\"x", scope=pull , Basic realm="r""#,
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].scheme, "bearer");
        assert_eq!(found[0].parameters["realm"], "https://a.test/token?x=1,2");
        assert_eq!(found[0].parameters["service"], "s\"x");
        assert_eq!(found[0].parameters["scope"], "pull");
        assert_eq!((found[1].scheme.as_str(), found[1].parameters["realm"].as_str()), ("basic", "r"));
    }

    #[test]
    fn nonsense_is_no_challenge() {
        assert!(parse("").is_empty());
        assert!(parse("=x").is_empty());
        assert_eq!(parse("Bearer realm=\"open")[0].parameters.len(), 0);
        assert_eq!(parse("Negotiate")[0].scheme, "negotiate");
    }
}
