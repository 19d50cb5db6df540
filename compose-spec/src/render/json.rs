//! JSON with two blanks of indentation.

use super::Out;
use crate::canonical::write_string;

pub(super) fn write(out: &Out<'_>) -> String {
    let mut text = String::with_capacity(4096);
    value(out, 0, &mut text);
    text.push('\n');
    text
}

fn line(depth: usize, text: &mut String) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

fn value(out: &Out<'_>, depth: usize, text: &mut String) {
    match out {
        Out::Null => text.push_str("null"),
        Out::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Out::Number(number) => text.push_str(number),
        Out::Text(value) => write_string(text, value),
        Out::List(items) if items.is_empty() => text.push_str("[]"),
        Out::Map(entries) if entries.is_empty() => text.push_str("{}"),
        Out::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                line(depth + 1, text);
                value(item, depth + 1, text);
            }
            line(depth, text);
            text.push(']');
        }
        Out::Map(entries) => {
            text.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                line(depth + 1, text);
                write_string(text, key);
                text.push_str(": ");
                value(item, depth + 1, text);
            }
            line(depth, text);
            text.push('}');
        }
    }
}
