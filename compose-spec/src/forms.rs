//! Short forms → long forms, one function per form. Each gets a value that the schema has already checked.
//!
//! Also the keys by which list entries are recognised as the same, and the checks of texts with a grammar.

mod mounts;
mod ports;
mod texts;
mod words;

use std::time::Duration;

use diagnostic::{Diagnostic, Span};

use crate::scope::Scope;
use crate::tree::{Entry, Map, Node, Value};

pub(crate) use mounts::{clean, devices, file_mode, file_mounts, mounts, tmpfs_mode};
pub(crate) use ports::{by_port, expose, ports};
pub(crate) use texts::{ADDRESS, CONTAINER_NAME, ENV_FORMAT, IPC, NOT_BLANK, PULL_POLICY};
pub(crate) use texts::{
    parse_pull_policy, parse_restart, parse_restart_condition, restart, restart_condition,
};
pub(crate) use words::command;

/// Tells an error at `node` and makes it unusable.
fn bad(node: &mut Node, scope: &mut Scope<'_>, message: String, label: impl Into<String>) {
    scope.tell(Diagnostic::error("bad-value", message).at(node.span, label.into()));
    node.value = Value::Bad;
}

/// Puts `value` under `key` of `map`, at `span`.
fn put(map: &mut Map, key: &str, value: Value, span: Span) {
    map.insert(key.to_owned(), Entry { key_span: span, node: Node::new(value, span) });
}

// Keys by which entries of a list are the same.

/// The text of a scalar.
pub(crate) fn by_text(node: &Node) -> String {
    node.scalar_text().unwrap_or_default()
}

/// The text before `=`.
pub(crate) fn by_key(node: &Node) -> String {
    let text = by_text(node);
    text.split_once('=').map_or(text.clone(), |(key, _)| key.to_owned())
}

/// The path of `path[:options]`.
pub(crate) fn by_tmpfs(node: &Node) -> String {
    let text = by_text(node);
    text.split_once(':').map_or(text.clone(), |(path, _)| path.to_owned())
}

pub(crate) fn by_path(node: &Node) -> String {
    node.str("path").map_or_else(|| by_text(node), str::to_owned)
}

/// Where it is in the container.
pub(crate) fn by_target(node: &Node) -> String {
    node.str("target").or(node.str("source")).map_or_else(|| by_text(node), str::to_owned)
}

pub(crate) fn by_secret_target(node: &Node) -> String {
    file_target(node, "/run/secrets/")
}

pub(crate) fn by_config_target(node: &Node) -> String {
    file_target(node, "/")
}

fn file_target(node: &Node, folder: &str) -> String {
    match (node.str("target"), node.str("source")) {
        (Some(target), _) if target.starts_with('/') => target.to_owned(),
        (Some(name), _) | (None, Some(name)) => format!("{folder}{name}"),
        _ => by_text(node),
    }
}

// Forms of lists and mappings.

/// A string or a list → a list; as written if nothing is interpolated.
pub(crate) fn list(node: &mut Node, scope: &mut Scope<'_>) {
    if scope.interpolated {
        listed(node, scope);
    }
}

/// A string or a list → a list.
pub(crate) fn listed(node: &mut Node, _: &mut Scope<'_>) {
    if node.as_list().is_none() {
        let item = Node::new(std::mem::replace(&mut node.value, Value::Null), node.span);
        node.value = Value::List(vec![item]);
    }
}

/// A name server or a list of them → a list; empty ones, of variables without a value, are left out.
pub(crate) fn dns(node: &mut Node, scope: &mut Scope<'_>) {
    listed(node, scope);
    if let Value::List(items) = &mut node.value {
        items.retain(|item| item.as_str() != Some(""));
    }
}

/// A share of the processors, in percent.
pub(crate) fn percent(node: &mut Node, scope: &mut Scope<'_>) {
    if node.as_number().is_some_and(|value| !(0.0..=100.0).contains(&value)) {
        let message = "`cpu_percent` is from 0 to 100".to_owned();
        bad(node, scope, message, "outside");
    }
}

/// A time of a health check: none, or at least a millisecond. (Engine API, HealthConfig.)
pub(crate) fn probe_time(node: &mut Node, scope: &mut Scope<'_>) {
    let span = node.as_str().and_then(|text| crate::units::duration(text).ok());
    if span.is_some_and(|span| !span.is_zero() && span < Duration::from_millis(1)) {
        let text = by_text(node);
        let message = format!("`{text}` is too short for a health check");
        scope.tell(Diagnostic::error("too-short", message).at(node.span, "at least `1ms`"));
        node.value = Value::Bad;
    }
}

/// A list of names → a mapping of nulls.
pub(crate) fn keys(node: &mut Node, scope: &mut Scope<'_>) {
    let Some(items) = take_list(node, scope) else { return };
    let map =
        names(items).map(|(name, span)| (name, Entry { key_span: span, node: Node::new(Value::Null, span) }));
    node.value = Value::Map(map.collect());
}

fn names(items: Vec<Node>) -> impl Iterator<Item = (String, Span)> {
    items.into_iter().filter_map(|item| match item.value {
        Value::String(name) => Some((name, item.span)),
        _ => None,
    })
}

/// The items of a list, unless one of them holds an open variable.
fn take_list(node: &mut Node, scope: &Scope<'_>) -> Option<Vec<Node>> {
    let Value::List(items) = &mut node.value else { return None };
    let open = items.iter().any(|item| item.as_str().is_some_and(|text| scope.is_open(text)));
    (!open).then(|| std::mem::take(items))
}

/// A list of services → a mapping of conditions.
pub(crate) fn depends_on(node: &mut Node, scope: &mut Scope<'_>) {
    let Some(items) = take_list(node, scope) else { return };
    let entries = names(items).map(|(name, span)| {
        let mut map = Map::new();
        put(&mut map, "condition", Value::String("service_started".to_owned()), span);
        put(&mut map, "required", Value::Bool(true), span);
        (name, Entry { key_span: span, node: Node::new(Value::Map(map), span) })
    });
    node.value = Value::Map(entries.collect());
}

/// `K=V` items or a mapping → a mapping; a missing value is the empty text. As written if nothing is interpolated.
pub(crate) fn labels(node: &mut Node, scope: &mut Scope<'_>) {
    if scope.interpolated {
        texts(node, scope);
    }
}

fn texts(node: &mut Node, scope: &mut Scope<'_>) {
    assignments(node, scope);
    let Value::Map(map) = &mut node.value else { return };
    for entry in map.values_mut().filter(|entry| entry.node.is_null() && entry.node.mark.is_none()) {
        entry.node.value = Value::String(String::new());
    }
}

/// `K=V` items or a mapping → a mapping; a missing value is null. As written if nothing is interpolated.
pub(crate) fn variables(node: &mut Node, scope: &mut Scope<'_>) {
    if scope.interpolated {
        assignments(node, scope);
    }
}

fn assignments(node: &mut Node, scope: &mut Scope<'_>) {
    let Value::List(items) = &mut node.value else { return };
    let key = |text: &str| text.split_once('=').map_or(text, |(key, _)| key).to_owned();
    if items.iter().any(|item| item.as_str().is_some_and(|text| scope.is_open(&key(text)))) {
        return;
    }
    let mut map = Map::new();
    for item in std::mem::take(items) {
        let Value::String(text) = &item.value else { continue };
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Value::String(value.to_owned())),
            None => (text.clone(), Value::Null),
        };
        if key.is_empty() || key.ends_with([' ', '\t']) {
            let reason = if key.is_empty() { "the name is missing" } else { "a blank before `=`" };
            let text = by_text_of(&key, &value);
            let diagnostic = Diagnostic::error("bad-value", format!("`{text}` is no `NAME=VALUE`"));
            let diagnostic = diagnostic.at(item.span, reason);
            scope.tell(match text.split_once('=').filter(|_| !key.is_empty()) {
                Some((_, value)) => {
                    diagnostic.help(format!("write `{}={}`", key.trim_end(), value.trim_start()))
                }
                None => diagnostic,
            });
            continue;
        }
        if let Some((name, meant)) = key.split_once(':').filter(|_| value == Value::Null)
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        {
            scope.tell(
                Diagnostic::warning("colon-in-name", format!("`{key}` has no `=`, so all of it is a name"))
                    .at(item.span, "a name without a value")
                    .help(format!("write `- {name}={}`", meant.trim_start())),
            );
        }
        map.insert(key, Entry { key_span: item.span, node: Node::new(value, item.span) });
    }
    node.value = Value::Map(map);
}

fn by_text_of(key: &str, value: &Value) -> String {
    match value {
        Value::String(value) => format!("{key}={value}"),
        _ => key.to_owned(),
    }
}

/// `build.additional_contexts`: every entry needs a value.
pub(crate) fn contexts(node: &mut Node, scope: &mut Scope<'_>) {
    assignments(node, scope);
    let Value::Map(map) = &mut node.value else { return };
    for (key, entry) in map {
        if entry.node.is_null() && entry.node.mark.is_none() {
            bad(
                &mut entry.node,
                scope,
                format!("the build context `{key}` needs a value"),
                "write `NAME=VALUE`",
            );
        }
    }
}

/// `build.ssh`: `default` or `id=path`.
pub(crate) fn ssh(node: &mut Node, scope: &mut Scope<'_>) {
    texts(node, scope);
    let Value::Map(map) = &mut node.value else { return };
    for (key, entry) in map {
        if entry.node.as_str() == Some("") && key != "default" {
            bad(&mut entry.node, scope, format!("the SSH key `{key}` needs a path"), "write `id=path`");
        }
    }
}

/// A mapping of values or lists → of lists.
pub(crate) fn lists(node: &mut Node, scope: &mut Scope<'_>) {
    if let Value::Map(map) = &mut node.value {
        map.values_mut().filter(|entry| !entry.node.is_null()).for_each(|entry| list(&mut entry.node, scope));
    }
}

/// A folder → `{context: …}`.
pub(crate) fn build(node: &mut Node, _: &mut Scope<'_>) {
    wrap(node, "context");
}

/// A service → `{service: …}`.
pub(crate) fn extends(node: &mut Node, _: &mut Scope<'_>) {
    wrap(node, "service");
}

fn wrap(node: &mut Node, key: &str) {
    if let Value::String(_) = node.value {
        let value = std::mem::replace(&mut node.value, Value::Null);
        let mut map = Map::new();
        put(&mut map, key, value, node.span);
        node.value = Value::Map(map);
    }
}

/// Paths or mappings → a list of mappings.
pub(crate) fn env_files(node: &mut Node, scope: &mut Scope<'_>) {
    listed(node, scope);
    let Value::List(items) = &mut node.value else { return };
    for item in items {
        wrap(item, "path");
        let span = item.span;
        if let Some(map) = item.as_map_mut()
            && !map.contains_key("required")
        {
            put(map, "required", Value::Bool(true), span);
        }
    }
}

/// `host=ip`, `host:ip` items or a mapping → a mapping of lists.
pub(crate) fn extra_hosts(node: &mut Node, scope: &mut Scope<'_>) {
    match &mut node.value {
        Value::Map(map) => {
            for (host, entry) in map.iter_mut().filter(|(_, entry)| !entry.node.is_null()) {
                list(&mut entry.node, scope);
                if !is_host(host) {
                    bad(&mut entry.node, scope, format!("`{host}` is no host name"), "");
                    continue;
                }
                let Value::List(addresses) = &mut entry.node.value else { continue };
                for address in addresses {
                    let Value::String(text) = &mut address.value else { continue };
                    if !scope.is_open(text) && !is_one_word(text) {
                        let message = format!("`{text}` is no address of `{host}`");
                        bad(address, scope, message, "write one address");
                        continue;
                    }
                    *text = unbracketed(text).to_owned();
                }
            }
        }
        Value::List(_) if !scope.interpolated => {}
        Value::List(_) => {
            let Some(items) = take_list(node, scope) else { return };
            let mut map = Map::new();
            for item in items {
                extra_host(item, &mut map, scope);
            }
            node.value = Value::Map(map);
        }
        _ => {}
    }
}

fn extra_host(mut item: Node, map: &mut Map, scope: &mut Scope<'_>) {
    let Value::String(text) = &item.value else { return };
    let parts = text.split_once('=').or_else(|| text.split_once(':'));
    let fit = |(host, rest): &(&str, &str)| {
        is_host(host.trim()) && rest.split(',').all(|address| is_one_word(address.trim()))
    };
    let Some((host, addresses)) = parts.filter(fit) else {
        let message = format!("`{text}` is no extra host");
        return bad(&mut item, scope, message, "write `HOST=ADDRESS`");
    };
    let added = addresses.split(',').map(|address| Node::string(unbracketed(address.trim()), item.span));
    let empty = || Entry { key_span: item.span, node: Node::new(Value::List(Vec::new()), item.span) };
    let entry = map.or_insert_with(host.trim().to_owned(), empty);
    if let Value::List(addresses) = &mut entry.node.value {
        addresses.extend(added);
    }
    crate::merge::unique(&mut entry.node, by_text);
}

/// Whether a text can stand in one column of a file of hosts.
fn is_one_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn is_host(text: &str) -> bool {
    is_one_word(text) && !text.contains([':', '='])
}

fn unbracketed(address: &str) -> &str {
    address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address)
}

/// `all` → a list of one request. The capability `gpu`, which all have, is not written down.
pub(crate) fn gpus(node: &mut Node, scope: &mut Scope<'_>) {
    if node.as_list().is_none() {
        let span = node.span;
        let mut map = Map::new();
        let all = if scope.interpolated { Value::Int(-1) } else { Value::String("all".to_owned()) };
        put(&mut map, "count", all, span);
        node.value = Value::List(vec![Node::new(Value::Map(map), span)]);
    }
}

/// A count of devices: `all` is −1.
pub(crate) fn count_or_all(node: &mut Node, scope: &mut Scope<'_>) {
    let Value::String(text) = &node.value else { return };
    match text.as_str() {
        _ if scope.is_open(text) => {}
        "all" if !scope.interpolated => {}
        "all" => node.value = Value::Int(-1),
        _ => match text.parse() {
            Ok(count) => node.value = Value::Int(count),
            Err(_) => {
                let message = format!("`{text}` is no count of devices");
                bad(node, scope, message, "write a whole number or `all`");
            }
        },
    }
}

/// `healthcheck.test`: a text is for the shell; a list says first how it is run.
pub(crate) fn health_test(node: &mut Node, scope: &mut Scope<'_>) {
    match &node.value {
        Value::String(_) if !scope.interpolated => {}
        Value::String(text) => {
            let items = ["CMD-SHELL", text].map(|text| Node::string(text, node.span));
            node.value = Value::List(items.into());
        }
        Value::List(items) => match items.first().and_then(Node::as_str) {
            None | Some("CMD" | "CMD-SHELL" | "NONE") => {}
            Some(word) if scope.is_open(word) => {}
            Some(word) => {
                let diagnostic = Diagnostic::error(
                    "bad-value",
                    "the list of a health check's `test` starts with `CMD`, `CMD-SHELL` or `NONE`",
                )
                .at(items[0].span, "not one of them")
                .help(format!("to run `{word}` without a shell write `[CMD, {word}, …]`"));
                scope.tell(diagnostic);
                node.value = Value::Bad;
            }
        },
        _ => {}
    }
}
