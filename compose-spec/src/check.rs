//! Walks one document by the schema: tells unknown keys and wrong types, casts texts to what they mean, and
//! brings short forms into the long one. What is wrong becomes [`Value::Bad`] and is skipped from then on.
//!
//! What only merged files can be asked, missing keys and nulls, is in `complete`.

mod key;
mod shape;

use diagnostic::{Diagnostic, Span, nearest};

use crate::parse::damage;
use crate::schema::{Field, Kind, Object, SERVICE, TOP};
use crate::scope::{Path, Scope};
use crate::tree::{Map, Mark, Node, Value};
use crate::{number, units};

/// Checks a whole document.
pub(crate) fn document(node: &mut Node, scope: &mut Scope<'_>) {
    object(node, &TOP, &Path::Top, scope);
}

/// Checks one service, as of a file that is only extended from.
pub(crate) fn service(node: &mut Node, name: &str, scope: &mut Scope<'_>) {
    let path = Path::Key(&Path::Top, "services");
    value(node, &Kind::Object(&SERVICE), &Path::Key(&path, name), scope);
}

fn value(node: &mut Node, kind: &Kind, path: &Path<'_>, scope: &mut Scope<'_>) {
    if node.mark == Some(Mark::Reset) || matches!(node.value, Value::Null | Value::Bad) {
        return;
    }
    match (kind, &mut node.value) {
        (Kind::Any, _) => {}
        (Kind::Shapes(_, inner, _), Value::List(_)) => shape(node, inner, kind, path, scope),
        (Kind::Shapes(_, _, inner), Value::Map(_)) => shape(node, inner, kind, path, scope),
        (Kind::Shapes(inner, _, _), _) => shape(node, inner, kind, path, scope),
        (Kind::Object(inner), Value::Map(_)) => object(node, inner, path, scope),
        (Kind::List(inner), Value::List(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                if item.is_null() {
                    wrong(item, inner, &Path::Item(path, index), scope);
                }
                value(item, inner, &Path::Item(path, index), scope);
            }
        }
        (Kind::Map(inner), Value::Map(map)) => entries(map, inner, path, scope),
        (Kind::Named(inner), Value::Map(map)) => {
            if matches!(inner, Kind::Object(object) if object.name == SERVICE.name) {
                misplaced(map, scope);
            }
            names(map, path, scope);
            entries(map, inner, path, scope);
        }
        (Kind::Object(_) | Kind::List(_) | Kind::Map(_) | Kind::Named(_), _)
        | (_, Value::List(_) | Value::Map(_)) => wrong(node, kind, path, scope),
        _ => scalar(node, kind, path, scope),
    }
}

fn shape(node: &mut Node, inner: &Kind, outer: &Kind, path: &Path<'_>, scope: &mut Scope<'_>) {
    if matches!(inner, Kind::Never) {
        wrong(node, outer, path, scope)
    } else {
        value(node, inner, path, scope)
    }
}

fn entries(map: &mut Map, kind: &Kind, path: &Path<'_>, scope: &mut Scope<'_>) {
    for (key, entry) in map {
        value(&mut entry.node, kind, &Path::Key(path, key), scope);
    }
}

/// Keys of a service that stand in the column of the services' names, below one that is empty.
fn misplaced(map: &mut Map, scope: &mut Scope<'_>) {
    let empty: Vec<(String, Span)> = map
        .iter()
        .filter(|(_, entry)| entry.node.is_null() && entry.node.mark.is_none())
        .map(|(name, entry)| (name.clone(), entry.key_span))
        .collect();
    for (name, owner) in empty {
        let mut found = false;
        for (key, entry) in map.iter_mut() {
            let is_key =
                SERVICE.field(key).is_some() && !matches!(entry.node.value, Value::Null | Value::Bad);
            if !is_key || entry.key_span.file != owner.file || entry.key_span < owner {
                continue;
            }
            found = true;
            scope.tell(
                Diagnostic::error(
                    "wrong-indentation",
                    format!("`{key}` stands in the column of the services and is read as one"),
                )
                .at(entry.key_span, "a key of a service")
                .at(owner, "this service is empty")
                .help(format!("indent `{key}` under `{name}`")),
            );
            entry.node.value = Value::Bad;
        }
        if let Some(entry) = map.get_mut(&name).filter(|_| found) {
            entry.node.value = Value::Bad;
        }
    }
}

fn names(map: &mut Map, path: &Path<'_>, scope: &mut Scope<'_>) {
    for (key, entry) in map {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if key.is_empty() || !key.bytes().all(fits) {
            scope.tell(
                Diagnostic::error("bad-name", format!("`{key}` cannot be a name under `{path}`"))
                    .at(entry.key_span, "")
                    .help("a name is made of letters, digits, `.`, `_` and `-`"),
            );
            entry.node.value = Value::Bad;
        }
    }
}

fn object(node: &mut Node, object: &'static Object, path: &Path<'_>, scope: &mut Scope<'_>) {
    let Value::Map(map) = &mut node.value else {
        return wrong(node, &Kind::Object(object), path, scope);
    };
    let mut unknown = Vec::new();
    let empty_services = map
        .get("services")
        .filter(|entry| matches!(path, Path::Top) && entry.node.is_null())
        .map(|entry| entry.key_span);
    for (key, entry) in map.iter_mut() {
        match object.field(key) {
            Some(field) => {
                value(&mut entry.node, &field.kind, &Path::Key(path, key), scope);
                form(&mut entry.node, field, scope);
            }
            None if key.starts_with("x-") => times(&mut entry.node, scope),
            None => {
                if !scope.is_enough() {
                    let is_mapping = entry.node.as_map().is_some();
                    scope.tell(match empty_services.filter(|_| is_mapping) {
                        Some(services) => at_the_margin(key, entry.key_span, services),
                        None => key::unknown(key, entry.key_span, is_mapping, object, path),
                    });
                }
                unknown.push(key.clone());
            }
        }
    }
    if unknown.is_empty() {
        return;
    }
    if scope.is_enough() {
        node.value = Value::Bad;
        return;
    }
    for key in unknown {
        let Some(mut entry) = map.remove(&key) else { continue };
        // A slip stands for the key that was meant, which then is not missing: one message is enough.
        if let Some(near) = nearest(&key, object.fields.iter().map(|field| field.name)) {
            entry.node.value = Value::Bad;
            map.or_insert_with(near.to_owned(), || entry);
        }
    }
    if map.is_empty() || object.missing(map).next().is_some() {
        node.value = Value::Bad;
    }
}

/// Tells of a service in the column of `services:`, below which nothing stands.
fn at_the_margin(key: &str, span: Span, services: Span) -> Diagnostic {
    let message = format!("`{key}` stands in the column of `services`, not under it");
    Diagnostic::error("wrong-indentation", message)
        .at(span, "read as a key of the file")
        .at(services, "nothing is under this")
        .help(format!("indent `{key}`, and all lines that belong to it, by two spaces"))
}

/// Of what is nobody's to read, unquoted dates are written as RFC 3339 has them, and not as Go prints them.
fn times(node: &mut Node, scope: &Scope<'_>) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| times(item, scope)),
        Value::Map(map) => map.values_mut().for_each(|entry| times(&mut entry.node, scope)),
        Value::String(text) if text.contains(" +") || text.contains(" -") => {
            let is_written = scope.sources.slice(node.span).contains(text.as_str());
            if let Some(date) = number::rfc3339(text).filter(|_| !is_written) {
                node.value = Value::String(date);
            }
        }
        _ => {}
    }
}

fn form(node: &mut Node, field: &Field, scope: &mut Scope<'_>) {
    let raw = node.is_null() || node.mark == Some(Mark::Reset) || matches!(node.value, Value::Bad);
    if let Some(form) = field.form
        && !raw
    {
        form(node, scope);
    }
    if let crate::merge::Merge::Unique(key) = field.merge {
        crate::merge::unique(node, key);
    }
}

/// What a kind is, in words.
fn described(kind: &Kind) -> String {
    match kind {
        Kind::Any => "anything".to_owned(),
        Kind::Never => "nothing".to_owned(),
        Kind::Text | Kind::Checked(_) | Kind::Enum(_) => "a string".to_owned(),
        Kind::Scalar => "a string, a number or a boolean".to_owned(),
        Kind::TextOrNumber => "a string or a number".to_owned(),
        Kind::Bool | Kind::StrictBool => "a boolean".to_owned(),
        Kind::Int(_, _) => "a whole number".to_owned(),
        Kind::Number => "a number".to_owned(),
        Kind::Duration => "a time span such as `1m30s`".to_owned(),
        Kind::Bytes => "a size such as `512m`".to_owned(),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) | Kind::Named(_) | Kind::Object(_) => "a mapping".to_owned(),
        Kind::Shapes(scalar, list, map) => {
            let parts = [scalar, list, map].into_iter().filter(|kind| !matches!(kind, Kind::Never));
            parts.map(|kind| described(kind)).collect::<Vec<_>>().join(" or ")
        }
    }
}

/// Tells that a value is of the wrong type.
pub(crate) fn wrong(node: &mut Node, kind: &Kind, path: &Path<'_>, scope: &mut Scope<'_>) {
    if node.as_str().is_some() && damaged(node.span, scope) {
        node.value = Value::Bad;
        return;
    }
    let shown = match path {
        Path::Top => "a Compose file".to_owned(),
        _ => format!("`{path}`"),
    };
    let mut diagnostic = Diagnostic::error("wrong-type", format!("{shown} must be {}", described(kind)))
        .at(node.span, format!("this is {}", node.kind()));
    if let Some(help) = shape::help(node, kind, path, scope.sources.slice(node.span).trim()) {
        diagnostic = diagnostic.help(help);
    }
    scope.tell(diagnostic);
    node.value = Value::Bad;
}

/// Tells what is damaged in a text that stands where a list or a mapping belongs; whether anything is.
fn damaged(span: Span, scope: &mut Scope<'_>) -> bool {
    let text = scope.sources.shared_text(span.file);
    let (start, end) = (span.start as usize, span.end as usize);
    if text.get(start..end).is_none()
        || text[..start].rsplit('\n').next().is_some_and(|line| line.contains(|c: char| c != ' ' && c != '-'))
    {
        return false;
    }
    let found = damage::of_lines(&text, start, end);
    let Some((first, others)) = found.split_first() else { return false };
    let others: Vec<_> = others.iter().filter(|other| first.is_like(other)).collect();
    scope.tell(first.tell(span.file, &text, &others));
    true
}

fn scalar(node: &mut Node, kind: &Kind, path: &Path<'_>, scope: &mut Scope<'_>) {
    if node.as_str().is_some_and(|text| scope.is_open(text)) {
        return;
    }
    let cast = match (kind, &node.value) {
        (Kind::Text | Kind::Scalar | Kind::TextOrNumber, Value::String(_)) => return,
        (Kind::Checked(grammar), Value::String(text)) => (grammar.check)(text).map(|()| None),
        (Kind::Scalar, _) | (Kind::TextOrNumber, Value::Int(_) | Value::Big(_) | Value::Float(_)) => {
            Ok(node.scalar_text().map(Value::String))
        }
        (Kind::Bool | Kind::StrictBool, Value::Bool(_)) => return,
        (Kind::Bool, Value::String(text)) => match boolean(text) {
            Some((value, is_old)) => {
                if is_old {
                    scope.tell(old_boolean(text, value, node.span, path));
                }
                Ok(Some(Value::Bool(value)))
            }
            None => Err(format!("`{text}` is no boolean")),
        },
        (Kind::Int(least, most), value) => whole(value, *least, *most).map(|value| Some(Value::Int(value))),
        (Kind::Number, Value::Float(value)) if !value.is_finite() => Err("it is not finite".to_owned()),
        (Kind::Number, Value::Int(_) | Value::Big(_) | Value::Float(_)) => return,
        (Kind::Number, Value::String(text)) => number(text)
            .map(|value| Some(Value::Float(value)))
            .ok_or_else(|| format!("`{text}` is no number")),
        (Kind::Duration, Value::String(text)) => {
            let canonical = |span| Value::String(units::duration_text(span));
            units::duration(text).map(|span| scope.interpolated.then(|| canonical(span)))
        }
        (Kind::Bytes, Value::Big(_)) => Err("it is more bytes than there are".to_owned()),
        (Kind::Bytes, Value::Int(value)) => Ok(scope.interpolated.then(|| Value::String(value.to_string()))),
        (Kind::Bytes, Value::String(text)) => {
            units::bytes(text).map(|size| scope.interpolated.then(|| Value::String(size.to_string())))
        }
        (Kind::Enum(words), Value::String(text)) => {
            if words.contains(&text.as_str()) {
                return;
            }
            let diagnostic = not_one_of(text, words, node.span, path);
            scope.tell(diagnostic);
            node.value = Value::Bad;
            return;
        }
        _ => return wrong(node, kind, path, scope),
    };
    match cast {
        // What is not interpolated stays as it is written.
        Ok(Some(value)) if scope.interpolated => node.value = value,
        Ok(_) => {}
        Err(reason) => {
            scope.tell(bad_value(node, kind, &reason, path));
            node.value = Value::Bad;
        }
    }
}

fn bad_value(node: &Node, kind: &Kind, reason: &str, path: &Path<'_>) -> Diagnostic {
    let diagnostic = match kind {
        Kind::Checked(_) => Diagnostic::error("bad-value", format!("`{path}` is not valid")),
        Kind::Int(..) if matches!(node.value, Value::Bool(_)) => {
            Diagnostic::error("wrong-type", format!("`{path}` must be a whole number"))
        }
        _ => Diagnostic::error("bad-value", format!("`{path}` must be {}", described(kind))),
    };
    let diagnostic = diagnostic.at(node.span, reason.to_owned());
    match kind {
        Kind::Duration | Kind::Bytes | Kind::Number if meant(node, kind).is_some() => {
            diagnostic.help(format!("write `{}`", meant(node, kind).unwrap_or_default()))
        }
        Kind::Duration => diagnostic.help("units are ns, us, ms, s, m, h, d and w: `1m30s`"),
        Kind::Bytes => diagnostic.help("units are b, k, m, g, t and p: `512m`"),
        Kind::Bool => diagnostic.help("write `true` or `false`"),
        Kind::Number => diagnostic.help("write it in digits: `0.5`"),
        _ => diagnostic,
    }
}

/// How a time span, a size or a number is written that its text surely means: `5s` for `5`, `1m` for `1min`,
/// `64m` for `64Mi`, `0.5` for `0,5`, `50%` and `500m`.
fn meant(node: &Node, kind: &Kind) -> Option<String> {
    let text = node.as_str()?.trim().replace(',', ".");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = (&text[..end], text[end..].trim().to_ascii_lowercase());
    let written = match kind {
        Kind::Duration => {
            let unit = match unit.as_str() {
                "" | "sec" | "secs" | "second" | "seconds" => "s",
                "min" | "mins" | "minute" | "minutes" => "m",
                "hr" | "hrs" | "hour" | "hours" => "h",
                "day" | "days" => "d",
                "msec" | "millis" | "milliseconds" => "ms",
                other => other,
            };
            Some(format!("{digits}{unit}")).filter(|text| units::duration(text).is_ok())
        }
        Kind::Bytes => {
            let unit = unit.chars().next().map(String::from).unwrap_or_default();
            Some(format!("{digits}{unit}")).filter(|text| units::bytes(text).is_ok())
        }
        _ => match (number(digits)?, unit.as_str()) {
            (_, "" | "cpu" | "cpus" | "core" | "cores") => Some(digits.to_owned()),
            (share, "%") => Some((share / 100.0).to_string()),
            (share, "m") => Some((share / 1000.0).to_string()),
            _ => None,
        },
    };
    written.filter(|text| !text.is_empty())
}

fn not_one_of(text: &str, words: &[&str], span: Span, path: &Path<'_>) -> Diagnostic {
    let known: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    let diagnostic = Diagnostic::error("bad-value", format!("`{path}` cannot be `{text}`"))
        .at(span, "not one of the words known here");
    let is_part = |word: &&str| text.len() > 3 && (word.ends_with(text) || word.starts_with(text));
    let longer = || words.iter().copied().find(is_part);
    match nearest(text, words.iter().copied()).or_else(longer) {
        Some(near) => diagnostic.help(format!("a similar word is known: `{near}`")),
        None => diagnostic.help(format!("it is one of {}", known.join(", "))),
    }
}

fn old_boolean(text: &str, value: bool, span: Span, path: &Path<'_>) -> Diagnostic {
    Diagnostic::warning("old-boolean", format!("`{path}` is `{text}`, which is a string in YAML 1.2"))
        .at(span, "taken for a boolean")
        .help(format!("write `{value}`"))
}

/// A text that means a boolean; the second says whether it is one of YAML 1.1 only.
fn boolean(text: &str) -> Option<(bool, bool)> {
    Some(match text.to_ascii_lowercase().as_str() {
        "true" => (true, false),
        "false" => (false, false),
        "y" | "yes" | "on" => (true, true),
        "n" | "no" | "off" => (false, true),
        _ => return None,
    })
}

fn whole(value: &Value, least: i64, most: i64) -> Result<i64, String> {
    let number = match value {
        Value::Int(number) => *number,
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => *number as i64,
        Value::String(text) => text.trim().parse().map_err(|_| format!("`{text}` is no whole number"))?,
        Value::Big(_) => return Err(format!("it must be at most {most}")),
        Value::Float(number) if *number >= 9e15 => return Err(format!("it must be at most {most}")),
        Value::Float(_) => return Err("it has a fraction".to_owned()),
        _ => return Err("this is a boolean".to_owned()),
    };
    if number < least {
        return Err(format!("it must be at least {least}"));
    }
    if number > most {
        return Err(format!("it must be at most {most}"));
    }
    Ok(number)
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|value| value.is_finite())
}
