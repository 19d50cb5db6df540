//! The messages of a provider: one JSON object a line, `{"type": …, "message": …}`.

use serde_json::{Deserializer, Value};

/// Letters of a text that are shown.
const SHOWN: usize = 300;

/// What a provider says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// What it does.
    Info(String),
    /// What helps to find out what it does.
    Debug(String),
    /// A variable for services that depend on its own.
    Set {
        /// Its name, without the service's in front.
        name: String,
        /// Its value.
        value: String,
        /// It gets nothing in front.
        is_raw: bool,
    },
}

/// A message, or what else a line can be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Something to go on with.
    Message(Message),
    /// It wants to know the definition of its service.
    Question,
    /// It has failed.
    Error(String),
    /// No message; why.
    Fault(String),
}

/// Reads a line; an empty one says nothing.
pub(super) fn read(line: &[u8]) -> Vec<Said> {
    let mut said = vec![];
    for value in Deserializer::from_slice(line).into_iter::<Value>() {
        let one = match value {
            Ok(value) => one(&value),
            Err(_) => {
                Said::Fault(format!("printed what is no message: {}", shown(&String::from_utf8_lossy(line))))
            }
        };
        let is_fault = matches!(one, Said::Fault(_));
        said.push(one);
        if is_fault {
            break;
        }
    }
    said
}

fn one(value: &Value) -> Said {
    let kind = value["type"].as_str();
    let text = match &value["message"] {
        Value::Null => Some(""),
        text => text.as_str(),
    };
    let (Some(kind), Some(text)) = (kind, text) else {
        return Said::Fault(format!("printed what is no message: {}", shown(&value.to_string())));
    };
    match kind {
        "info" => Said::Message(Message::Info(shown(text))),
        "debug" => Said::Message(Message::Debug(shown(text))),
        "error" => Said::Error(shown(text)),
        "setenv" | "rawsetenv" => variable(text, kind == "rawsetenv"),
        "get-service-config" => Said::Question,
        other => Said::Fault(format!("printed a message of the unknown type `{}`", shown(other))),
    }
}

fn variable(text: &str, is_raw: bool) -> Said {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains('\0') => {
            Said::Message(Message::Set { name: name.to_owned(), value: value.to_owned(), is_raw })
        }
        // The value may be a secret.
        _ => {
            let name = text.split('=').next().unwrap_or_default();
            Said::Fault(format!("set no variable by `{}`: it is NAME=VALUE, without NUL", shown(name)))
        }
    }
}

/// The first line of a text, without what would move a terminal's cursor.
pub(super) fn shown(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let plain = line.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    plain.take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_by_their_type() {
        let set = |is_raw| Said::Message(Message::Set { name: "URL".into(), value: "a=b".into(), is_raw });
        assert_eq!(read(br#"{"type": "setenv", "message": "URL=a=b"}"#), [set(false)]);
        assert_eq!(read(br#"{"type": "rawsetenv", "message": "URL=a=b"}"#), [set(true)]);
        assert_eq!(read(br#" {"type": "error", "message": "no\nmore"} "#), [Said::Error("no".into())]);
        assert_eq!(read(br#"{"type": "get-service-config"}"#), [Said::Question]);
        assert_eq!(read(b"  "), []);
    }

    #[test]
    fn a_text_cannot_move_the_cursor() {
        let info = Said::Message(Message::Info("a [2Jb".into()));
        assert_eq!(read(br#"{"type": "info", "message": "a\u001b[2Jb"}"#), [info]);
    }

    #[test]
    fn what_is_no_message_is_a_fault() {
        for line in [
            "hello",
            "[1]",
            r#"{"type": "info", "message": 5}"#,
            r#"{"message": "x"}"#,
            r#"{"type": "other"}"#,
            r#"{"type": "setenv", "message": "URL"}"#,
            r#"{"type": "setenv", "message": "=x"}"#,
            r#"{"type": "setenv", "message": "A=\u0000"}"#,
        ] {
            assert!(matches!(&*read(line.as_bytes()), [Said::Fault(_)]), "{line}");
        }
    }

    #[test]
    fn a_fault_tells_no_value() {
        let told = format!("{:?}", read(br#"{"type": "setenv", "message": "=secret"}"#));
        assert!(!told.contains("secret"), "{told}");
    }
}
