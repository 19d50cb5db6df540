//! The order of keys in YAML, which is Go's: numbers by their value, and what is no letter before letters.
//!
//! `A_B` stands before `AB`, `web2` before `web10`. Right behind a digit it is the other way round: letters
//! come first.

use std::cmp::Ordering;

/// Compares two keys.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.char_indices(), b.char_indices());
    let mut behind_digit = false;
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some((_, x)), Some((_, y))) if x == y => behind_digit = x.is_numeric(),
            (Some((at, x)), Some((_, y))) => return differing(a, b, at, (x, y), behind_digit),
        }
    }
}

/// Compares from the first difference on, which is at byte `at` of both.
fn differing(a: &str, b: &str, at: usize, (x, y): (char, char), behind_digit: bool) -> Ordering {
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return if behind_digit { Ordering::Less } else { Ordering::Greater },
        (false, true) => return if behind_digit { Ordering::Greater } else { Ordering::Less },
        (false, false) => {}
    }
    // Zeros count only within a number that has begun.
    let begun = (x == '0' || y == '0')
        && a[..at].bytes().rev().take_while(u8::is_ascii_digit).any(|digit| digit != b'0');
    let (left, right) = (digits(&a[at..]), digits(&b[at..]));
    let value = |digits: &str| {
        let start = u64::from(begun);
        digits
            .bytes()
            .fold(start, |value, digit| value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
    };
    value(left).cmp(&value(right)).then(left.len().cmp(&right.len())).then(x.cmp(&y))
}

fn digits(text: &str) -> &str {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_as_people_expect() {
        for sorted in [
            ["A_B", "AB", "ABC"],
            ["POSTGRES_DB", "POSTGRES_USER", "POSTGRESQL"],
            ["web1", "web2", "web10"],
            ["a1b", "a1-", "a2"],
            ["x-10", "x-a", "x-b"],
            ["A", "B", "a"],
            ["com.a", "com.a.b", "com.ab"],
            ["a", "ab", "abc"],
            ["1.2", "1.10", "2"],
        ] {
            assert!(sorted.is_sorted_by(|a, b| compare(a, b) == Ordering::Less), "{sorted:?}");
        }
        assert_eq!(compare("same", "same"), Ordering::Equal);
    }
}
