//! The regular expressions that `ls --filter name=` takes: literals, `.`, `*`, `+`, `?`, `^`, `$` and
//! `[…]`. A search, not a whole match, as elsewhere.

/// Why a pattern cannot be meant so; `None` where it can.
pub(crate) fn fault(pattern: &str) -> Option<&'static str> {
    let letters: Vec<char> = pattern.chars().collect();
    let (mut at, mut is_repeatable) = (0, false);
    while at < letters.len() {
        match letters[at] {
            '[' if !letters[at..].contains(&']') => return Some("a `[` is not closed"),
            '*' | '+' | '?' if !is_repeatable => return Some("nothing is repeated"),
            '(' | ')' | '|' | '{' | '}' => return Some("groups, alternatives and counts are not known"),
            _ => {}
        }
        is_repeatable = !matches!(letters[at], '*' | '+' | '?' | '^');
        at += atom(&letters[at..]);
    }
    None
}

/// Whether the pattern is found in the text.
pub(crate) fn found(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    match pattern.split_first() {
        Some(('^', rest)) => here(rest, &text),
        _ => (0..=text.len()).any(|start| here(&pattern, &text[start..])),
    }
}

/// Whether the pattern matches at the beginning of the text.
fn here(pattern: &[char], text: &[char]) -> bool {
    let Some(first) = pattern.first() else { return true };
    if *first == '$' && pattern.len() == 1 {
        return text.is_empty();
    }
    let width = atom(pattern);
    let one = |letter: char| fits(&pattern[..width], letter);
    let rest = pattern.get(width + 1..).unwrap_or_default();
    let (least, most) = match pattern.get(width) {
        Some('*') => (0, text.len()),
        Some('+') => (1, text.len()),
        Some('?') => (0, 1),
        _ => return text.first().is_some_and(|letter| one(*letter)) && here(&pattern[width..], &text[1..]),
    };
    let run = text.iter().take(most).take_while(|letter| one(**letter)).count();
    (least..=run).any(|count| here(rest, &text[count..]))
}

/// How many characters of the pattern stand for one of the text.
fn atom(pattern: &[char]) -> usize {
    match pattern[0] {
        '[' => pattern.iter().position(|letter| *letter == ']').map_or(1, |end| end + 1),
        '\\' if pattern.len() > 1 => 2,
        _ => 1,
    }
}

fn fits(atom: &[char], letter: char) -> bool {
    match atom {
        ['.'] => true,
        ['\\', escaped] => *escaped == letter,
        ['[', ..] if atom.len() > 2 => {
            let set: String = atom.iter().collect();
            crate::select::matches(&set, &letter.to_string())
        }
        [literal] => *literal == letter,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pattern_is_told() {
        for pattern in ["", "^sh.p$", "[ab]+c*", "a\\*b", "[*]x?"] {
            assert_eq!(fault(pattern), None, "{pattern}");
        }
        for pattern in ["[", "a[b", "*a", "a**", "^*", "(a|b)", "a{2}"] {
            assert!(fault(pattern).is_some(), "{pattern}");
        }
    }

    #[test]
    fn patterns_are_searched_for() {
        assert!(found("shop", "my-shop-2"));
        assert!(found("^my", "my-shop-2"));
        assert!(!found("^shop", "my-shop-2"));
        assert!(found("sh.p-[0-9]$", "my-shop-2"));
        assert!(found("s.*2", "my-shop-2"));
        assert!(found("o+p", "shooop"));
        assert!(!found("^shop$", "shop-2"));
    }
}
