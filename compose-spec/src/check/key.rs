//! What to write instead of a key that is not known.

use diagnostic::{Diagnostic, Span, nearest};

use crate::schema::{Kind, Object, SERVICE, TOP};
use crate::scope::Path;

/// Tells of a key that an object does not have.
pub(super) fn unknown(
    key: &str,
    span: Span,
    is_mapping: bool,
    object: &'static Object,
    path: &Path<'_>,
) -> Diagnostic {
    let is_top = matches!(path, Path::Top);
    let diagnostic = Diagnostic::error("unknown-key", format!("`{key}` is not a key of {}", object.name));
    let diagnostic = diagnostic.at(span, "not known here");
    if key.starts_with("//") || key.starts_with("/*") {
        return diagnostic.help("a comment begins with `#`");
    }
    if let Some(help) = moved(key, object) {
        return diagnostic.help(help);
    }
    if is_top && SERVICE.field(key).is_some() {
        return diagnostic.help(format!("`{key}` is a key of a service: indent it under one"));
    }
    if let Some(near) = nearest(key, object.fields.iter().map(|field| field.name)) {
        return diagnostic.help(format!("a key with a similar name exists: `{near}`"));
    }
    if let Some(part) = deeper(key, object).filter(|_| !is_top) {
        return diagnostic.help(format!("`{key}` is a key of `{part}`: write it there"));
    }
    if matches!(path, Path::Item(..)) && matches!(object.name, "a mount" | "a port") && !is_mapping {
        return diagnostic.help(format!("in a short entry no blank follows the colon: `{key}:…`"));
    }
    if is_top && is_mapping {
        return diagnostic.help("services stand under `services:`; keys of your own start with `x-`");
    }
    if TOP.field(key).is_some() && !is_top {
        return diagnostic.help(format!("`{key}` is a key of the top level: move it to the margin"));
    }
    if object.field("build").is_none() && SERVICE.field(key).is_some() {
        return diagnostic.help(format!("`{key}` is a key of a service: check the indentation"));
    }
    if object.fields.len() > 12 {
        return diagnostic.help("keys of your own start with `x-`");
    }
    let known: Vec<_> = object.fields.iter().map(|field| format!("`{}`", field.name)).collect();
    diagnostic.help(format!("the keys of {} are {}", object.name, known.join(", ")))
}

/// The part of an object that has a key, at most two levels down: of a service `deploy.resources` for `limits`.
fn deeper(key: &str, object: &'static Object) -> Option<String> {
    let parts = |object: &'static Object| {
        object.fields.iter().filter_map(|field| match field.kind {
            Kind::Object(part) => Some((field.name, part)),
            Kind::Shapes(_, _, Kind::Object(part)) => Some((field.name, *part)),
            _ => None,
        })
    };
    let has = |part: &Object| part.field(key).is_some();
    if let Some((name, _)) = parts(object).find(|(_, part)| has(part)) {
        return Some(name.to_owned());
    }
    parts(object).find_map(|(outer, part)| {
        let (inner, _) = parts(part).find(|(_, part)| has(part))?;
        Some(format!("{outer}.{inner}"))
    })
}

/// Where a key of former versions went, or one that people take for known.
fn moved(key: &str, object: &Object) -> Option<&'static str> {
    Some(match (object.name, key) {
        ("`build`", "environment" | "env") => {
            "variables of a build stand under `args`; `environment`, for the container, stands beside `build`"
        }
        ("a secret" | "a config", "path" | "source") => "write `file`",
        ("a service", "dockerfile") => "write `build: {context: ., dockerfile: …}`",
        ("a service", "net") => "write `network_mode`",
        ("a service", "log_driver") => "write `logging: {driver: …}`",
        ("a service", "log_opt") => "write `logging: {options: …}`",
        ("a service", "volume_driver") => "write `driver` at the volume, under the top-level `volumes`",
        ("a service", "memory" | "mem" | "memory_limit") => "write `mem_limit`",
        ("a service", "cpu" | "cpu_limit") => "write `cpus`",
        ("a service", "cmd") => "write `command`",
        ("a service", "name") => "write `container_name`",
        ("a service", "hosts") => "write `extra_hosts`",
        ("a service", "workdir") => "write `working_dir`",
        ("a service", "build_args") => "write `build: {args: …}`",
        ("a service", "logging_driver") => "write `logging: {driver: …}`",
        ("`logging`", "max-size" | "max-file" | "tag" | "labels" | "compress") => "write it below `options`",
        ("a service", "env") => "write `environment`",
        ("a service", "replicas") => "write `scale`, or `deploy: {replicas: …}`",
        _ => return None,
    })
}
