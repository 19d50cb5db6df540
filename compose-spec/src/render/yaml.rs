//! YAML in block style, two blanks of indentation, list items indented under their key.
//!
//! A text is quoted only where it would be read as something else: in double quotes if as a number, boolean
//! or null, in single ones if as a boolean or a number to the base 60 of YAML 1.1, or as syntax. Several lines
//! are a literal block where one can hold them. Characters outside the Basic Multilingual Plane are escaped,
//! as Go's printer does.

use super::Out;
use crate::parse::plain;
use crate::tree::Value;

/// Writes a mapping of the top level, entry by entry as they come.
pub(super) fn section<'a>(key: &str, entries: impl Iterator<Item = (&'a str, Out<'a>)>, text: &mut String) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return entry(key, &Out::Map(Vec::new()), 0, text);
    }
    string(key, text);
    text.push_str(":\n");
    for (key, out) in entries {
        indent(1, text);
        entry(key, &out, 1, text);
    }
}

/// Bytes of a key from which on it has a line of its own, as Go's printer has it.
const LONG_KEY: usize = 129;

/// Writes a key, whose indentation is written already, and what stands under it. A key that is long or has
/// several lines stands behind a `?`.
pub(super) fn entry(key: &str, out: &Out<'_>, depth: usize, text: &mut String) {
    if key.len() >= LONG_KEY || key.contains('\n') {
        text.push('?');
        value(&Out::Text(key.into()), depth + 1, false, text);
        indent(depth, text);
        text.push(':');
        return value(out, depth + 1, true, text);
    }
    string(key, text);
    text.push(':');
    value(out, depth + 1, false, text);
}

fn indent(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// Writes what stands behind a key or a dash, with the end of the line. `depth` is that of what is inside.
fn value(out: &Out<'_>, depth: usize, in_list: bool, text: &mut String) {
    match out {
        Out::Map(entries) if !entries.is_empty() => {
            text.push(if in_list { ' ' } else { '\n' });
            map(entries, depth, in_list, text);
        }
        Out::List(items) if !items.is_empty() => {
            text.push(if in_list { ' ' } else { '\n' });
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !in_list {
                    indent(depth, text);
                }
                text.push('-');
                value(item, depth + 1, true, text);
            }
        }
        Out::Text(value) if is_simple(value) => {
            text.push(' ');
            text.push_str(value);
            text.push('\n');
        }
        Out::Text(value) if value.contains('\n') && is_block(value) => block(value, depth, text),
        scalar => {
            text.push(' ');
            match scalar {
                Out::Null => text.push_str("null"),
                Out::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
                Out::Number(number) => text.push_str(number),
                Out::Text(value) => string(value, text),
                Out::List(_) => text.push_str("[]"),
                Out::Map(_) => text.push_str("{}"),
            }
            text.push('\n');
        }
    }
}

/// Writes entries; the first without indentation if it follows a dash.
fn map(entries: &[(std::borrow::Cow<'_, str>, Out<'_>)], depth: usize, after_dash: bool, text: &mut String) {
    for (index, (key, out)) in entries.iter().enumerate() {
        if index > 0 || !after_dash {
            indent(depth, text);
        }
        entry(key, out, depth, text);
    }
}

/// Whether a text of several lines can be a literal block: no blank ends a line, and there is more than blanks.
fn is_block(value: &str) -> bool {
    !value.ends_with(' ')
        && !value.contains(" \n")
        && value.chars().all(|c| matches!(c, '\n' | '\t') || is_printable(c))
        && !value.chars().all(char::is_whitespace)
}

fn block(value: &str, depth: usize, text: &mut String) {
    let body = value.trim_end_matches('\n');
    text.push_str(" |");
    if value.starts_with([' ', '\n']) {
        // The indentation cannot be seen from the first line.
        text.push('2');
    }
    text.push_str(match value.len() - body.len() {
        0 => "-\n",
        1 => "\n",
        _ => "+\n",
    });
    let shown = if value.ends_with("\n\n") { value.strip_suffix('\n').unwrap_or(value) } else { body };
    for line in shown.split('\n') {
        if !line.is_empty() {
            indent(depth, text);
            text.push_str(line);
        }
        text.push('\n');
    }
}

fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// By byte: whether most texts are made of it.
static SIMPLE: [bool; 256] = {
    let mut simple = [false; 256];
    let mut byte = 0;
    while byte < simple.len() {
        let c = byte as u8;
        simple[byte] = c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'/' | b'-' | b':');
        byte += 1;
    }
    simple
};

/// Whether a text is one of those that most are, which nobody takes for anything else: letters, digits and
/// the like, a letter or slash first.
fn is_simple(value: &str) -> bool {
    let bytes = value.as_bytes();
    let fits = |byte: &u8| SIMPLE[usize::from(*byte)];
    let first = bytes.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'/');
    // Every word with a meaning has at most five letters.
    let is_word = || value.len() <= 5 && (plain(value).is_some() || is_old_boolean(value));
    first && bytes.iter().all(fits) && bytes.last() != Some(&b':') && !is_word()
}

/// Writes a text on one line.
fn string(value: &str, text: &mut String) {
    if is_simple(value) {
        return text.push_str(value);
    }
    let is_text = plain(value).is_none_or(|meant| matches!(meant, Value::String(same) if same == value));
    if !is_text || !value.chars().all(is_printable) {
        return double(value, text);
    }
    if is_old_boolean(value) || is_base_60(value) || value == "<<" || !is_plain(value) {
        text.push('\'');
        text.push_str(&value.replace('\'', "''"));
        text.push('\'');
        return;
    }
    text.push_str(value);
}

fn double(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0' => text.push_str("\\0"),
            '\u{7}' => text.push_str("\\a"),
            '\u{8}' => text.push_str("\\b"),
            '\u{b}' => text.push_str("\\v"),
            '\u{c}' => text.push_str("\\f"),
            '\u{1b}' => text.push_str("\\e"),
            '\u{85}' => text.push_str("\\N"),
            '\u{2028}' => text.push_str("\\L"),
            '\u{2029}' => text.push_str("\\P"),
            c if is_printable(c) => text.push(c),
            c if (c as u32) < 0x100 => text.push_str(&format!("\\x{:02X}", c as u32)),
            c if (c as u32) < 0x10000 => text.push_str(&format!("\\u{:04X}", c as u32)),
            c => text.push_str(&format!("\\U{:08X}", c as u32)),
        }
    }
    text.push('"');
}

fn is_old_boolean(value: &str) -> bool {
    matches!(
        value,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

/// Whether YAML 1.1 would read it as a number to the base 60, such as `22:22` or `1:30.5`.
fn is_base_60(value: &str) -> bool {
    let unsigned = value.strip_prefix(['-', '+']).unwrap_or(value);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let Some((first, rest)) = whole.split_once(':') else { return false };
    first.bytes().chain(fraction.bytes()).all(is_digit)
        && rest.split(':').all(|part| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']))
}

/// Whether a text can stand without quotes in block style.
fn is_plain(value: &str) -> bool {
    let bytes = value.as_bytes();
    let Some(&first) = bytes.first() else { return false };
    let blank = |at: usize| bytes.get(at).is_none_or(|&byte| byte == b' ');
    let starts = match first {
        b'#' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%'
        | b'@' | b'`' => false,
        b'-' | b'?' | b':' => !blank(1),
        b' ' => false,
        _ => true,
    };
    let inside = |at: usize, byte: u8| match byte {
        b':' => !blank(at + 1),
        b'#' => at == 0 || bytes[at - 1] != b' ',
        _ => true,
    };
    starts
        && value != "<<"
        && !value.ends_with(' ')
        && !value.starts_with("---")
        && !value.starts_with("...")
        && bytes.iter().enumerate().all(|(at, &byte)| inside(at, byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stand_only_where_they_must() {
        for (value, written) in [
            ("plain text", "plain text"),
            ("1", "\"1\""),
            ("true", "\"true\""),
            ("", "\"\""),
            ("~", "\"~\""),
            ("yes", "'yes'"),
            ("n", "'n'"),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("it's", "it's"),
            ("'q", "'''q'"),
            ("-x", "-x"),
            ("- x", "'- x'"),
            ("*", "'*'"),
            ("/a:/b", "/a:/b"),
            ("22:22", "'22:22'"),
            ("1:30.5", "'1:30.5'"),
            ("1:30.x", "1:30.x"),
            ("1:2.5:3", "1:2.5:3"),
            ("<<", "'<<'"),
            ("é", "é"),
            ("\u{1f600}", "\"\\U0001F600\""),
            ("a\tb", "\"a\\tb\""),
            ("2020-01-01", "\"2020-01-01\""),
            ("[x]", "'[x]'"),
        ] {
            let mut text = String::new();
            string(value, &mut text);
            assert_eq!(text, written, "{value}");
        }
    }

    #[test]
    fn a_long_key_has_a_line_of_its_own() {
        let short = "k".repeat(LONG_KEY - 1);
        let long = "k".repeat(LONG_KEY);
        let (lines, blank) = ("a\nb".to_owned(), "a \nb".to_owned());
        let pair = || Out::Map(vec![("a".into(), Out::Null), ("b".into(), Out::Bool(true))]);
        for (key, out, written) in [
            (&short, Out::Null, format!("{short}: null\n")),
            (&long, Out::Null, format!("? {long}\n  : null\n")),
            (&long, pair(), format!("? {long}\n  : a: null\n    b: true\n")),
            (&lines, Out::Null, "? |-\n    a\n    b\n  : null\n".to_owned()),
            (&blank, pair(), "? \"a \\nb\"\n  : a: null\n    b: true\n".to_owned()),
        ] {
            let mut text = String::new();
            entry(key, &out, 1, &mut text);
            assert_eq!(text, written);
        }
    }

    #[test]
    fn several_lines_are_a_block_where_one_can_hold_them() {
        for (lines, written) in [
            ("a\nb", " |-\n  a\n  b\n"),
            ("a\n\nb\n", " |\n  a\n\n  b\n"),
            ("a\n\n", " |+\n  a\n\n"),
            ("  a\nb", " |2-\n    a\n  b\n"),
            ("\na", " |2-\n\n  a\n"),
            ("\ta\nb\t\n", " |\n  \ta\n  b\t\n"),
            ("a \nb", " \"a \\nb\"\n"),
            ("a\nb ", " \"a\\nb \"\n"),
            ("\n", " \"\\n\"\n"),
            ("a\r\nb", " \"a\\r\\nb\"\n"),
        ] {
            let mut text = String::new();
            value(&Out::Text(lines.into()), 1, false, &mut text);
            assert_eq!(text, written, "{lines:?}");
        }
    }
}
