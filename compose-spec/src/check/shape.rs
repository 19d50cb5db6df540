//! What to write instead of a value of the wrong type.

use crate::schema::Kind;
use crate::scope::Path;
use crate::tree::{Map, Node, Value};

/// How a value of the wrong type may have been meant; `written` is its text in the file.
pub(super) fn help(node: &Node, kind: &Kind, path: &Path<'_>, written: &str) -> Option<String> {
    let is_short = !written.contains('\n') && written.len() < 80 && !written.is_empty();
    match (kind, &node.value) {
        (_, Value::Null) => Some("give it a value, or remove it".to_owned()),
        (
            Kind::Text | Kind::Checked(_) | Kind::Enum(_),
            Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Float(_),
        ) => is_short.then(|| format!("quote it: `\"{written}\"`")),
        (Kind::Duration, Value::Int(_) | Value::Big(_) | Value::Float(_)) => {
            Some(format!("give it a unit: `{written}s`"))
        }
        (Kind::List(_), Value::String(_)) => is_short.then(|| format!("write it as a list: `[{written}]`")),
        (Kind::List(_), Value::Map(map)) => items(map, path),
        (Kind::Text, Value::Map(map)) if is_assignment(path) && map.len() == 1 => {
            let key = map.keys().next().map_or("", String::as_str);
            Some(format!("in a list write `- {key}=…`; as a mapping, `{key}: …`, it has no dash"))
        }
        (Kind::Text, Value::Map(_)) if matches!(path, Path::Item(..)) => {
            Some("a string that holds `: ` must be quoted".to_owned())
        }
        (Kind::Named(_), Value::List(items)) => name_of(items).map(|name| {
            format!("names have no dash before them: write `{name}:` and what belongs to it indented below")
        }),
        (Kind::Object(object), Value::String(_)) if is_short => {
            let key = match object.name {
                "a service" => "image",
                "`logging`" => "driver",
                "a healthcheck" => "test",
                "a secret" | "a config" => "file",
                "a model" => "model",
                _ => return None,
            };
            let last = path.last()?;
            Some(format!("write `{last}: {{{key}: {written}}}`"))
        }
        _ => None,
    }
}

/// Whether a path names an item of a list of `KEY=value`.
fn is_assignment(path: &Path<'_>) -> bool {
    let keys = ["environment", "labels", "args", "annotations", "sysctls", "extra_hosts"];
    matches!(path, Path::Item(Path::Key(_, key), _) if keys.contains(key))
}

/// Ports or volumes written as a mapping.
fn items(map: &Map, path: &Path<'_>) -> Option<String> {
    let (key, entry) = map.iter().next().filter(|_| matches!(path.last(), Some("ports" | "volumes")))?;
    let value = entry.node.scalar_text()?;
    Some(format!("begin each entry with a dash, no blank behind its colon: `- {key}:{value}`"))
}

/// The name that the first item of a list gives what is in it.
fn name_of(items: &[Node]) -> Option<&str> {
    items.first()?.as_map()?.keys().next().map(String::as_str)
}
