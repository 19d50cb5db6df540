//! `volumes`, `devices`, `configs` and `secrets` of a service.

use diagnostic::Diagnostic;

use super::{bad, by_text, put};
use crate::scope::Scope;
use crate::tree::{Map, Node, Value};

/// Short mounts → long ones.
pub(crate) fn mounts(node: &mut Node, scope: &mut Scope<'_>) {
    let Value::List(items) = &mut node.value else { return };
    for item in items {
        match &mut item.value {
            Value::String(text) if scope.is_open(text) => {}
            Value::String(text) => {
                let text = std::mem::take(text);
                mount(item, &text, scope);
            }
            Value::Map(_) => {
                if let Some(target) = item.get_mut("target")
                    && let Value::String(path) = &mut target.value
                {
                    *path = clean(path);
                }
            }
            _ => {}
        }
    }
}

/// `[SOURCE:]TARGET[:OPTIONS]`.
fn mount(item: &mut Node, text: &str, scope: &mut Scope<'_>) {
    let (source, target, options) = match *parts(text).as_slice() {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => {
            let diagnostic = Diagnostic::error("bad-value", format!("`{text}` is no volume"));
            scope.tell(diagnostic.at(item.span, "it has too many colons").help(
                "a volume is `[SOURCE:]TARGET[:OPTIONS]`; a path with colons is written `{type: bind, source: …, target: …}`",
            ));
            item.value = Value::Bad;
            return;
        }
    };
    if target.is_empty() || source == Some("") {
        return bad(item, scope, format!("`{text}` is no volume"), "a part is empty");
    }
    if let (Some(source), false) = (source, target.starts_with('/')) {
        let diagnostic =
            Diagnostic::error("bad-volume", format!("`{text}` is no volume: `{target}` is no absolute path"))
                .at(item.span, "")
                .help("a volume is `[SOURCE:]TARGET[:OPTIONS]`");
        let diagnostic = match target {
            "ro" | "rw" => diagnostic.help(format!("name the source too: `{source}:{source}:{target}`")),
            _ => diagnostic,
        };
        scope.tell(diagnostic);
        item.value = Value::Bad;
        return;
    }
    let is_path = |source: &str| source.starts_with(['.', '/', '~', '\\']) || source.contains(':');
    let kind = if source.is_some_and(is_path) { "bind" } else { "volume" };
    let span = item.span;
    let mut map = Map::with_capacity(4 + usize::from(!options.is_empty()));
    let (mut bind, mut volume) = (Map::new(), Map::new());
    put(&mut map, "type", Value::String(kind.to_owned()), span);
    put(&mut map, "target", Value::String(clean(target)), span);
    if let Some(source) = source {
        put(&mut map, "source", Value::String(source.to_owned()), span);
    }
    if kind == "bind" {
        put(&mut bind, "create_host_path", Value::Bool(true), span);
    }
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => put(&mut map, "read_only", Value::Bool(true), span),
            "rw" => {}
            "nocopy" => put(&mut volume, "nocopy", Value::Bool(true), span),
            "z" | "Z" => put(&mut bind, "selinux", Value::String(option.to_owned()), span),
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => {
                put(&mut bind, "propagation", Value::String(option.to_owned()), span);
            }
            "cached" | "delegated" | "consistent" => {}
            _ => scope.tell(
                Diagnostic::warning(
                    "unknown-option",
                    format!("`{option}` is no option of a volume and is ignored"),
                )
                .at(scope.within(span, option), ""),
            ),
        }
    }
    // An option of the other kind is kept with it; the kind's own part is there even if it is empty.
    for (key, part) in [("bind", bind), ("volume", volume)] {
        if key == kind || !part.is_empty() {
            put(&mut map, key, Value::Map(part), span);
        }
    }
    item.value = Value::Map(map);
}

/// The parts between colons; the colon of a Windows drive is none.
fn parts(text: &str) -> Vec<&str> {
    let start = if is_windows(text) || is_drive_with_target(text) { 2 } else { 0 };
    let mut parts = Vec::with_capacity(3);
    let mut from = 0;
    for (at, _) in text.match_indices(':').filter(|(at, _)| *at >= start) {
        parts.push(&text[from..at]);
        from = at + 1;
    }
    parts.push(&text[from..]);
    parts
}

/// Whether a path starts with `C:\`. `c:/x` is a volume named `c`: this is no Windows.
fn is_windows(text: &str) -> bool {
    matches!(text.as_bytes(), [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic())
}

/// Whether a mount is `c:/x:/y`: what follows a volume's target are options, and no option is a path.
fn is_drive_with_target(text: &str) -> bool {
    matches!(text.as_bytes(), [drive, b':', b'/', ..] if drive.is_ascii_alphabetic())
        && text[2..].split_once(':').is_some_and(|(_, behind)| behind.starts_with('/'))
}

/// A path without `.`, `..`, double and final slashes.
pub(crate) fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut clean = String::with_capacity(path.len().max(1));
    // Parts at the end that `..` takes away.
    let mut names = 0;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if names > 0 => {
                names -= 1;
                clean.truncate(clean.rfind('/').unwrap_or(0));
            }
            ".." if absolute => {}
            _ => {
                names += usize::from(part != "..");
                if absolute || !clean.is_empty() {
                    clean.push('/');
                }
                clean.push_str(part);
            }
        }
    }
    if clean.is_empty() {
        clean.push(if absolute { '/' } else { '.' });
    }
    clean
}

/// `HOST[:CONTAINER[:PERMISSIONS]]` → a mapping.
pub(crate) fn devices(node: &mut Node, scope: &mut Scope<'_>) {
    let Value::List(items) = &mut node.value else { return };
    for item in items {
        let span = item.span;
        if let Some(text) = item.as_str().map(str::to_owned) {
            if scope.is_open(&text) {
                continue;
            }
            let is_cdi = !text.starts_with('/') && text.contains('/') && text.contains('=');
            let parts: Vec<&str> = if is_cdi { vec![&text] } else { text.split(':').collect() };
            if parts.len() > 3 || parts.iter().any(|part| part.is_empty()) {
                bad(item, scope, format!("`{text}` is no device"), "write `HOST[:CONTAINER[:PERMISSIONS]]`");
                continue;
            }
            let mut map = Map::new();
            for (key, part) in ["source", "target", "permissions"].into_iter().zip(&parts) {
                put(&mut map, key, Value::String((*part).to_owned()), span);
            }
            item.value = Value::Map(map);
        }
        let Some(map) = item.as_map_mut() else { continue };
        let source = map.get("source").map(|entry| entry.node.value.clone());
        if let (Some(source), false) = (source, map.contains_key("target")) {
            put(map, "target", source, span);
        }
        if !map.contains_key("permissions") {
            put(map, "permissions", Value::String("rwm".to_owned()), span);
        }
    }
}

/// Names of configs or secrets → mappings.
pub(crate) fn file_mounts(node: &mut Node, _: &mut Scope<'_>) {
    let Value::List(items) = &mut node.value else { return };
    for item in items.iter_mut().filter(|item| item.as_str().is_some()) {
        let mut map = Map::new();
        put(&mut map, "source", Value::String(by_text(item)), item.span);
        item.value = Value::Map(map);
    }
}

/// Permission bits: a number as it is (YAML has read the octal), a text as octal → `"0440"`.
pub(crate) fn file_mode(node: &mut Node, scope: &mut Scope<'_>) {
    let Value::String(text) = &node.value else { return };
    if scope.is_open(text) {
        return;
    }
    let written = scope.sources.slice(node.span).trim();
    let was_number = crate::number::int(written).is_some_and(|value| value.to_string() == *text);
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = if was_number { text.parse().ok() } else { i64::from_str_radix(digits, 8).ok() };
    match mode {
        Some(mode @ 0..=0o7777) => node.value = Value::String(format!("0{mode:o}")),
        _ => {
            let message = format!("`{text}` is no file mode");
            bad(node, scope, message, "write it in octal: `0440`");
        }
    }
}

/// The same for `tmpfs`, where the normal form is a number.
pub(crate) fn tmpfs_mode(node: &mut Node, scope: &mut Scope<'_>) {
    file_mode(node, scope);
    if let Some(mode) = node.as_str().and_then(|text| i64::from_str_radix(text, 8).ok()) {
        node.value = Value::Int(mode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (path, clear) in
            [("/a//b/./c/", "/a/b/c"), ("/a/../..", "/"), ("a/../b", "b"), ("", "."), ("../x", "../x")]
        {
            assert_eq!(clean(path), clear);
        }
    }

    #[test]
    fn colons_part_a_mount() {
        assert_eq!(*parts("a:/b:ro"), ["a", "/b", "ro"]);
        assert_eq!(*parts("d:/data"), ["d", "/data"]);
        assert_eq!(*parts(r"C:\x:/y"), [r"C:\x", "/y"]);
        assert_eq!(*parts("c:/x:/y:ro"), ["c:/x", "/y", "ro"]);
        assert_eq!(*parts("/only"), ["/only"]);
    }
}
