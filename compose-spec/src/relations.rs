//! What keys of one thing demand of each other, as far as it can be said of one model without looking at
//! what refers to what.

use diagnostic::{Diagnostic, Span};

use crate::scope::Scope;
use crate::tree::{Map, Node, Value};

/// Checks a merged model.
pub(crate) fn model(model: &mut Node, scope: &mut Scope<'_>) {
    for (section, what) in
        [("networks", "network"), ("volumes", "volume"), ("secrets", "secret"), ("configs", "config")]
    {
        let Some(map) = model.get_mut(section).and_then(Node::as_map_mut) else { continue };
        for (name, entry) in map {
            external(&mut entry.node, name, what, scope);
            match what {
                "volume" => external_volume(&entry.node, name, scope),
                "secret" => source(&entry.node, name, what, &["file", "environment"], entry.key_span, scope),
                "config" => {
                    source(
                        &entry.node,
                        name,
                        what,
                        &["file", "environment", "content"],
                        entry.key_span,
                        scope,
                    );
                }
                _ => {}
            }
        }
    }
    let Some(services) = model.get("services").and_then(Node::as_map) else { return };
    for (name, entry) in services {
        service(&entry.node, name, scope);
    }
}

/// `external: {name: x}` → `external: true` and `name: x`.
fn external(node: &mut Node, name: &str, what: &str, scope: &mut Scope<'_>) {
    let Some(external) = node.get("external").filter(|external| external.as_map().is_some()).cloned() else {
        return;
    };
    node.set("external", Node::new(Value::Bool(true), external.span));
    let Some(inner) = external.get("name") else { return };
    scope.tell(
        Diagnostic::warning("old-external", format!("the {what} `{name}` is named under `external`"))
            .at(inner.span, "")
            .help("write `external: true` and `name:` beside it"),
    );
    match node.get("name") {
        Some(outer) if outer != inner => scope.tell(
            Diagnostic::error("two-names", format!("the {what} `{name}` has two names"))
                .at(inner.span, "one here")
                .at(outer.span, "another here"),
        ),
        _ => node.set("name", inner.clone()),
    }
}

fn is_external(node: &Node) -> bool {
    node.get("external").and_then(Node::as_bool) == Some(true)
}

fn external_volume(node: &Node, name: &str, scope: &mut Scope<'_>) {
    let Some(map) = node.as_map().filter(|_| is_external(node)) else { return };
    for (key, entry) in map {
        if !matches!(key.as_str(), "external" | "name") && !key.starts_with("x-") {
            scope.tell(
                Diagnostic::error(
                    "external-conflict",
                    format!("the volume `{name}` is external, so `{key}` cannot be said of it"),
                )
                .at(entry.key_span, "this is decided where the volume is made")
                .help(format!("remove `{key}`, or `external`")),
            );
        }
    }
}

/// A secret or config says where its content comes from, once.
fn source(node: &Node, name: &str, what: &str, keys: &[&str], span: Span, scope: &mut Scope<'_>) {
    if matches!(node.value, Value::Bad) || is_external(node) {
        return;
    }
    let empty = Map::new();
    let map = node.as_map().unwrap_or(&empty);
    let named: Vec<_> = keys.iter().filter(|key| map.contains_key(key)).collect();
    match *named.as_slice() {
        [] if !map.contains_key("driver") => {
            let known: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
            scope.tell(
                Diagnostic::error(
                    "no-content",
                    format!("the {what} `{name}` does not say where its content is"),
                )
                .at(span, "")
                .help(format!("give it one of {}, or `external: true`", known.join(", "))),
            );
        }
        [first, second, ..] => scope.tell(
            Diagnostic::error("exclusive-keys", format!("`{second}` and `{first}` exclude each other"))
                .at(map[*second].key_span, "this")
                .at(map[*first].key_span, "and this"),
        ),
        _ => {}
    }
}

fn items(node: Option<&Node>) -> &[Node] {
    node.and_then(Node::as_list).unwrap_or(&[])
}

fn service(node: &Node, name: &str, scope: &mut Scope<'_>) {
    for mount in items(node.get("volumes")) {
        let is_bind = mount.str("type") == Some("bind");
        if is_bind && mount.get("source").is_none_or(|source| source.as_str() == Some("")) {
            scope.tell(
                Diagnostic::error("no-source", format!("a bind mount of service `{name}` has no `source`"))
                    .at(mount.span, "")
                    .help("`source` is the path on the host"),
            );
        }
    }
    let reserved = ["deploy", "resources", "reservations", "devices"];
    let reserved = reserved.iter().try_fold(node, |node, key| node.get(key));
    for request in items(node.get("gpus")).iter().chain(items(reserved)) {
        if let (Some(count), Some(ids)) = (request.get("count"), request.get("device_ids")) {
            scope.tell(
                Diagnostic::error("exclusive-keys", "`count` and `device_ids` exclude each other")
                    .at(count.span, "this")
                    .at(ids.span, "and this"),
            );
        }
    }
    for watch in items(node.get("develop").and_then(|develop| develop.get("watch"))) {
        let needs_target = !matches!(watch.str("action"), Some("rebuild" | "restart") | None);
        if needs_target && watch.get("target").is_none() {
            scope.tell(
                Diagnostic::error("no-target", "this kind of watch needs a `target`")
                    .at(watch.get("action").map_or(watch.span, |action| action.span), "")
                    .help("`target` is the path in the container"),
            );
        }
    }
}
