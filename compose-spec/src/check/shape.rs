//! What to write instead of a value of the wrong type.

use diagnostic::nearest;

use crate::schema::Kind;
use crate::scope::Path;
use crate::tree::{Map, Node, Value};

/// How a value of the wrong type may have been meant; `written` is its text in the file.
pub(super) fn help(node: &Node, kind: &Kind, path: &Path<'_>, written: &str) -> Option<String> {
    let is_short = !written.contains('\n') && written.len() < 80 && !written.is_empty();
    match (kind, &node.value) {
        (Kind::Object(object), Value::Null) if object.name == "a service" => {
            Some("give it an `image` or a `build`, or remove it".to_owned())
        }
        (Kind::Object(object), Value::Null) if object.name == "an entry of `depends_on`" => {
            Some(format!("write `{}: {{condition: service_started}}`", path.last()?))
        }
        (Kind::Object(object), Value::Null) if matches!(object.name, "a secret" | "a config") => Some(
            "say where its content is: `file: …` or `environment: …` below it, or `external: true`"
                .to_owned(),
        ),
        (Kind::Object(object), Value::String(word)) if object.name == "an entry of `depends_on`" => {
            let conditions = ["service_started", "service_healthy", "service_completed_successfully"];
            let known = conditions.into_iter().find(|known| known.contains(word.as_str()) && word.len() > 3);
            let condition = known.or_else(|| nearest(word, conditions)).unwrap_or("service_started");
            Some(format!("write `{}: {{condition: {condition}}}`", path.last()?))
        }
        (Kind::Object(object), Value::String(_) | Value::Bool(false))
            if object.name == "a healthcheck"
                && matches!(written, "none" | "NONE" | "disable" | "disabled" | "off" | "no" | "false") =>
        {
            Some("write `healthcheck: {disable: true}`".to_owned())
        }
        (Kind::Text | Kind::Checked(_) | Kind::Enum(_), Value::List(items))
            if items.len() == 1 && !matches!(path, Path::Item(..)) =>
        {
            Some(format!("it takes one value, no list: `{}: {}`", path.last()?, items[0].scalar_text()?))
        }
        (Kind::Bool | Kind::StrictBool, Value::Int(0)) => Some("write `false`".to_owned()),
        (Kind::Bool | Kind::StrictBool, Value::Int(1)) => Some("write `true`".to_owned()),
        (_, Value::Null) => Some("give it a value, or remove it".to_owned()),
        (_, Value::Bool(value)) if path.last() == Some("restart") => Some(match value {
            true => "write `always`, or `unless-stopped`".to_owned(),
            false => "quote it: `\"no\"`".to_owned(),
        }),
        (
            Kind::Text | Kind::Checked(_) | Kind::Enum(_),
            Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Float(_),
        ) => is_short.then(|| format!("quote it: `\"{written}\"`")),
        (Kind::Duration, Value::Int(_) | Value::Big(_) | Value::Float(_)) => {
            Some(format!("give it a unit: `{written}s`"))
        }
        (Kind::List(_), Value::String(_) | Value::Int(_)) => {
            is_short.then(|| format!("write it as a list: `[{written}]`"))
        }
        (Kind::List(_), Value::Map(map)) => {
            let key = map.keys().next()?;
            items(map, path)
                .or_else(|| Some(format!("it is a list: begin each entry with a dash, `- {key}: …`")))
        }
        (Kind::Text, Value::Map(map)) if is_assignment(path) && map.len() == 1 => {
            let key = map.keys().next().map_or("", String::as_str);
            if key.contains('=') {
                return Some("a string that holds `: ` or ends with `:` must be quoted".to_owned());
            }
            Some(format!("in a list write `- {key}=…`; as a mapping, `{key}: …`, it has no dash"))
        }
        (Kind::Text, Value::Map(map))
            if matches!(path, Path::Item(Path::Key(_, "depends_on" | "networks"), _)) =>
        {
            let key = map.keys().next().map_or("", String::as_str);
            Some(format!("what has keys of its own is no list item: write `{key}:` without the dash"))
        }
        (Kind::Text, Value::Map(_)) if matches!(path, Path::Item(..)) => {
            Some("a string that holds `: ` must be quoted".to_owned())
        }
        (Kind::Named(_), Value::List(items)) => names(items, path),
        (Kind::Shapes(Kind::Never, Kind::List(_), _), Value::String(_)) => {
            is_short.then(|| format!("write it as a list: `[{written}]`"))
        }
        (Kind::Shapes(_, Kind::List(_), Kind::Never), Value::Map(_)) if path.last() == Some("env_file") => {
            Some("begin each entry with a dash: `- path: …`".to_owned())
        }
        (Kind::Shapes(..), Value::Map(_)) if path.last() == Some("test") => {
            Some("write it as a list: `[CMD, program, argument]`".to_owned())
        }
        (Kind::Map(_), Value::List(items)) => {
            let (name, value) = items.first()?.as_str()?.split_once('=')?;
            Some(format!("write it as a mapping, without the dash: `{name}: {value}`"))
        }
        (Kind::Object(object), Value::List(items))
            if items
                .iter()
                .filter_map(Node::as_map)
                .flat_map(Map::keys)
                .any(|key| object.field(key).is_some()) =>
        {
            Some("its keys have no dash before them, only the items of a list do".to_owned())
        }
        (Kind::Object(object), Value::List(_)) if is_short => {
            let key = match object.name {
                "a healthcheck" => "test",
                "`placement`" => "constraints",
                _ => return None,
            };
            Some(format!("write `{}: {{{key}: {written}}}`", path.last()?))
        }
        (Kind::Object(object), Value::String(_)) if object.name == "`restart_policy`" => {
            let condition = if written == "always" { "any" } else { written };
            is_short.then(|| format!("write `restart_policy: {{condition: {condition}}}`"))
        }
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

/// A list where a mapping of names belongs: of mappings, of names, or of mounts that belong to a service.
fn names(items: &[Node], path: &Path<'_>) -> Option<String> {
    let first = items.first()?;
    if let Some(name) = first.as_map().and_then(|map| map.keys().next()) {
        return Some(format!(
            "names have no dash before them: write `{name}:` and what belongs to it indented below"
        ));
    }
    let item = first.as_str()?;
    Some(match item.split_once(':').filter(|_| path.last() == Some("volumes")) {
        Some((name, _)) if !name.starts_with(['.', '/', '~']) => {
            format!(
                "here stands only the name, `{name}:`; the mount `{item}` belongs under `volumes:` of a service"
            )
        }
        Some(_) => format!("the mount `{item}` belongs under `volumes:` of a service: indent it under one"),
        None => format!("names have no dash before them, and a colon behind: `{item}:`"),
    })
}
