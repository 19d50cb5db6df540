//! A service's variables and labels from its files; they go below what is written at the service.

use std::collections::BTreeMap;

use diagnostic::{Diagnostic, FileId, Span};

use crate::assemble::Assembler;
use crate::dotenv;
use crate::tree::{Entry, Map, Node, Value};

/// Reads `env_file` and `label_file` of a service into `environment` and `labels` and removes them.
/// What is missing is told only if the service is `needed`.
pub(crate) fn files(
    node: &mut Node,
    outer: &BTreeMap<String, String>,
    needed: bool,
    assembler: &mut Assembler<'_>,
) {
    let Some(map) = node.as_map_mut() else { return };
    let env_files = map.remove("env_file");
    let label_files = map.remove("label_file");
    if let Some(Value::List(list)) = env_files.map(|entry| entry.node.value) {
        let own = map.get("environment").and_then(|entry| entry.node.as_map()).cloned().unwrap_or_default();
        let lookup = |name: &str| {
            let written = || own.get(name).and_then(|entry| entry.node.as_str()).map(str::to_owned);
            outer.get(name).cloned().or_else(written)
        };
        let mut values = BTreeMap::new();
        let mut read = Vec::new();
        for item in &list {
            read.extend(environment_file(item, &lookup, needed, &mut values, assembler));
        }
        let span = list.first().map_or(Span::NOWHERE, |item| item.span);
        below(map, "environment", values, span, &places(&read, span, assembler));
    }
    if let Some(Value::List(list)) = label_files.map(|entry| entry.node.value) {
        let mut values = BTreeMap::new();
        let mut read = Vec::new();
        for item in &list {
            let Some(path) = item.as_str() else { continue };
            let path = assembler.input.project_directory.join(path);
            if !needed && !assembler.files.is_file(&path) {
                continue;
            }
            if let Some(file) = assembler.shared_text(&path, "label file", item.span) {
                read.push(file);
                dotenv::read(&assembler.sources, file, &|_| None, &mut values, &mut assembler.diagnostics);
            }
        }
        let span = list.first().map_or(Span::NOWHERE, |item| item.span);
        below(map, "labels", values, span, &places(&read, span, assembler));
    }
}

fn environment_file(
    item: &Node,
    lookup: &dyn Fn(&str) -> Option<String>,
    needed: bool,
    values: &mut BTreeMap<String, String>,
    assembler: &mut Assembler<'_>,
) -> Option<FileId> {
    let path = assembler.input.project_directory.join(item.str("path")?);
    let path = path.as_path();
    let span = item.get("path").map_or(item.span, |node| node.span);
    let required = item.get("required").and_then(Node::as_bool) != Some(false);
    if !assembler.files.is_file(path) {
        if required && needed {
            let shown = assembler.shown(path);
            let diagnostic = if assembler.files.is_dir(path) {
                Diagnostic::error("env-file-not-found", format!("the environment file `{shown}` is a folder"))
            } else {
                Diagnostic::error(
                    "env-file-not-found",
                    format!("the environment file `{shown}` does not exist"),
                )
            };
            assembler.diagnostics.push(
                diagnostic
                    .at(span, "asked for here")
                    .help("if the service can do without it write `{path: …, required: false}`"),
            );
        }
        return None;
    }
    let file = assembler.shared_text(path, "environment file", span)?;
    let read = if item.str("format") == Some("raw") { dotenv::read_raw } else { dotenv::read };
    read(&assembler.sources, file, lookup, values, &mut assembler.diagnostics);
    Some(file)
}

/// Finds the place of a variable in the files read, the last one first. That takes its time, so it is only
/// done when values are going to be explained; otherwise everything is at `span`.
fn places(read: &[FileId], span: Span, assembler: &mut Assembler<'_>) -> impl Fn(&str) -> Span {
    let read = if assembler.trace.is_some() { read } else { &[] };
    if let Some(trace) = &mut assembler.trace {
        trace.own.extend(read);
    }
    let assembler = &*assembler;
    move |name| {
        let found = read.iter().rev().find_map(|file| dotenv::place(&assembler.sources, *file, name));
        found.unwrap_or(span)
    }
}

/// Puts `values` under `key`, below what is there already.
fn below(
    map: &mut Map,
    key: &str,
    values: BTreeMap<String, String>,
    span: Span,
    place: &dyn Fn(&str) -> Span,
) {
    if values.is_empty() {
        return;
    }
    let entry = map.or_insert_with(key.to_owned(), || Entry { key_span: span, node: Node::map(span) });
    if entry.node.is_null() {
        entry.node = Node::map(span);
    }
    let Some(written) = entry.node.as_map_mut() else { return };
    for (name, value) in values {
        let place = place(&name);
        written.or_insert_with(name, || Entry { key_span: place, node: Node::string(value, place) });
    }
}
