//! The functions that Docker's templates have beside those of Go's own: `json`, `split`, `join`, `title`,
//! `lower`, `upper`, `pad` and `truncate`.
//!
//! They are more lenient than Docker's where nothing else could be meant: `join` leaves a text as it is, and
//! those that change a text take numbers.

use gotmpl::{TemplateError, Value, ValueFunc};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Functions by their names.
pub(super) type Functions = BTreeMap<String, ValueFunc>;

type Result = std::result::Result<Value, TemplateError>;

/// A function by its name.
type Named = (&'static str, fn(&[Value]) -> Result);

/// Those of Go's own, for the list of all that there are.
pub(super) const BUILT_IN: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print",
    "printf", "println", "slice", "urlquery",
];

/// Docker's functions, for the list of all that there are.
pub(super) const DOCKERS: [&str; 8] = ["join", "json", "lower", "pad", "split", "title", "truncate", "upper"];

/// Whether templates can name this function.
pub(super) fn is_known(name: &str) -> bool {
    BUILT_IN.contains(&name) || DOCKERS.contains(&name)
}

/// What `.Label "key"` is turned into. No template can name it.
pub(super) const LABEL: &str = ".Label";

/// What fails with the names of a map's keys.
pub(super) const KEYS: &str = ".keys";

/// Docker's functions.
pub(super) fn dockers() -> Functions {
    let all: [Named; 9] = [
        ("json", |values| Ok(text(json(one("json", "VALUE", values)?).to_string()))),
        ("split", |values| match values {
            [whole, Value::String(by)] if by.is_empty() => {
                Ok(Value::List(plain(whole).chars().map(|letter| text(letter.to_string())).collect()))
            }
            [whole, Value::String(by)] => Ok(Value::List(plain(whole).split(&**by).map(text).collect())),
            _ => Err(usage("split TEXT SEPARATOR")),
        }),
        ("join", |values| match values {
            [Value::List(items), Value::String(by)] => {
                Ok(text(items.iter().map(plain).collect::<Vec<_>>().join(by)))
            }
            [whole @ Value::String(_), Value::String(_)] => Ok(whole.clone()),
            _ => Err(usage("join LIST SEPARATOR")),
        }),
        ("title", |values| Ok(text(title(&plain(one("title", "TEXT", values)?))))),
        ("lower", |values| Ok(text(plain(one("lower", "TEXT", values)?).to_lowercase()))),
        ("upper", |values| Ok(text(plain(one("upper", "TEXT", values)?).to_uppercase()))),
        ("pad", |values| match values {
            [whole, Value::Int(before), Value::Int(after)] => {
                Ok(text(padded(&plain(whole), *before, *after)))
            }
            _ => Err(usage("pad TEXT BLANKS-BEFORE BLANKS-BEHIND")),
        }),
        ("truncate", |values| match values {
            [whole, Value::Int(length)] => {
                let length = usize::try_from(*length).unwrap_or(0);
                Ok(text(plain(whole).chars().take(length).collect::<String>()))
            }
            _ => Err(usage("truncate TEXT LENGTH")),
        }),
        (KEYS, |values| match values {
            [Value::Map(map)] => {
                let keys = map.keys().map(|key| &**key).collect::<Vec<_>>();
                Err(TemplateError::Exec(keys.join(", ")))
            }
            _ => Ok(Value::Nil),
        }),
    ];
    all.into_iter().map(|(name, function)| (name.to_owned(), Arc::new(function) as ValueFunc)).collect()
}

/// Functions that know the row: `.Label "key"`, and `index .Labels "key"`, where the labels are one text, too.
pub(super) fn of_row(labels: &resource::Labels, label_text: Option<&Value>) -> Functions {
    let of = |labels: &resource::Labels, key: &str| text(labels.get(key).map_or("", String::as_str));
    let all = Arc::new(labels.clone());
    let known = Arc::clone(&all);
    let label: ValueFunc = Arc::new(move |values| match values {
        [Value::String(key)] => Ok(of(&known, key)),
        _ => Err(usage(".Label \"KEY\"")),
    });
    let label_text = label_text.cloned();
    let index: ValueFunc = Arc::new(move |values| {
        let [first, keys @ ..] = values else { return Err(usage("index LIST NUMBER")) };
        let mut value = first.clone();
        for key in keys {
            value = match (&value, key) {
                (Value::String(_), Value::String(key)) if label_text.as_ref() == Some(&value) => {
                    of(&all, key)
                }
                // What a map of texts does not have is an empty text, as in Go.
                (Value::Map(map), Value::String(key)) if !map.contains_key(key) => {
                    let texts = map.values().all(|value| matches!(value, Value::String(_)));
                    if texts { text("") } else { Value::Nil }
                }
                _ => value.index(key)?,
            };
        }
        Ok(value)
    });
    [(LABEL.to_owned(), label), ("index".to_owned(), index)].into()
}

/// JSON as a value of templates.
pub(super) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Uint(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(whole) => text(whole.as_str()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(fields) => row(fields),
    }
}

/// The fields of an object as a value of templates.
pub(super) fn row(fields: &serde_json::Map<String, Json>) -> Value {
    Value::Map(Arc::new(fields.iter().map(|(key, json)| (Arc::from(key.as_str()), value(json))).collect()))
}

fn json(value: &Value) -> Json {
    match value {
        Value::Nil | Value::Function(_) => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::String(whole) => (**whole).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(fields) => fields.iter().map(|(key, value)| (key.to_string(), json(value))).collect(),
    }
}

fn text(whole: impl AsRef<str>) -> Value {
    Value::String(Arc::from(whole.as_ref()))
}

/// A value as templates print it; nothing for none.
fn plain(value: &Value) -> String {
    match value {
        Value::Nil => String::new(),
        other => other.to_string(),
    }
}

fn one<'a>(name: &str, what: &str, values: &'a [Value]) -> std::result::Result<&'a Value, TemplateError> {
    match values {
        [value] => Ok(value),
        _ => Err(usage(&format!("{name} {what}"))),
    }
}

fn usage(how: &str) -> TemplateError {
    TemplateError::Exec(format!("this is not `{how}`"))
}

/// Each word with a capital letter.
fn title(whole: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for letter in whole.chars() {
        if inside {
            text.push(letter)
        } else {
            text.extend(letter.to_uppercase())
        }
        inside = letter.is_alphanumeric() || matches!(letter, '_' | '\'');
    }
    text
}

/// With so many blanks before and behind; nothing stays nothing.
fn padded(whole: &str, before: i64, after: i64) -> String {
    // As many as no terminal has.
    let blanks = |count: i64| " ".repeat(usize::try_from(count).unwrap_or(0).min(10_000));
    if whole.is_empty() { String::new() } else { format!("{}{whole}{}", blanks(before), blanks(after)) }
}
