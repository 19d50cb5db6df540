//! JSON values as YAML blocks. Every text is in double quotation marks, whose escapes YAML has from JSON.

use serde_json::{Map, Value};

/// A document.
pub(super) fn text(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text.push('\n');
    text
}

fn block(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => object(text, map, depth),
        Value::Array(list) if !list.is_empty() => {
            for (number, entry) in list.iter().enumerate() {
                if number > 0 {
                    line(text, depth);
                }
                text.push_str("- ");
                block(text, entry, depth + 1);
            }
        }
        // `{}`, `[]` and scalars are the same in both.
        other => text.push_str(&other.to_string()),
    }
}

fn object(text: &mut String, map: &Map<String, Value>, depth: usize) {
    for (number, (key, value)) in map.iter().enumerate() {
        if number > 0 {
            line(text, depth);
        }
        text.push_str(&Value::from(key.as_str()).to_string());
        text.push(':');
        let nested = match value {
            Value::Object(map) => !map.is_empty(),
            Value::Array(list) => !list.is_empty(),
            _ => false,
        };
        if nested {
            line(text, depth + 1);
        } else {
            text.push(' ');
        }
        block(text, value, depth + 1);
    }
}

fn line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_value_is_written_as_a_block() {
        let value = json!({"a": {"b": [1, {"c": "x\ny", "d": null}, []], "e": {}}, "on": true});
        let expected = "\"a\":\n  \"b\":\n    - 1\n    - \"c\": \"x\\ny\"\n      \"d\": null\n    - []\n  \"e\": {}\n\"on\": true\n";
        assert_eq!(text(&value), expected);
    }
}
