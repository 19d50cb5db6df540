//! `config`: the project as YAML or JSON that can be loaded again.
//!
//! The canonical trees are brought into the order people know, what is empty or the default is left out, and
//! the result is written by one of two emitters.

mod json;
mod order;
mod yaml;

use std::borrow::Cow;

use crate::model::Project;
use crate::schema::{Kind, Object, SERVICE, TOP};
use crate::tree::{Map, Node, Value};

/// A value ready to be written.
enum Out<'a> {
    Null,
    Bool(bool),
    Number(String),
    Text(Cow<'a, str>),
    List(Vec<Out<'a>>),
    Map(Vec<(Cow<'a, str>, Out<'a>)>),
}

/// The project as YAML.
pub fn render_yaml(project: &Project) -> String {
    let layout = Layout { json: false, raw: !project.interpolated };
    yaml::write(&layout.project(project))
}

/// The project as JSON.
pub fn render_json(project: &Project) -> String {
    let layout = Layout { json: true, raw: !project.interpolated };
    let Out::Map(mut top) = layout.project(project) else { return String::new() };
    top.sort_by(|a, b| a.0.cmp(&b.0));
    json::write(&Out::Map(top))
}

#[derive(Clone, Copy)]
struct Layout {
    json: bool,
    /// Variables have not been replaced: keys in alphabetical order, dollars as they are.
    raw: bool,
}

impl Layout {
    fn project<'a>(&self, project: &'a Project) -> Out<'a> {
        let mut top: Vec<(Cow<'a, str>, Out<'a>)> =
            vec![("name".into(), Out::Text(Cow::from(&project.name)))];
        let services = project.services.iter();
        let services: Vec<_> = services
            .map(|(name, service)| (Cow::from(name), self.node(&service.tree, &Kind::Object(&SERVICE))))
            .collect();
        top.push(("services".into(), Out::Map(services)));
        for key in ["networks", "volumes", "secrets", "configs", "models"] {
            let (Some(map), Some(field)) = (project.section(key), TOP.field(key)) else { continue };
            let Kind::Named(kind) = field.kind else { continue };
            let kept = map.iter().filter(|(name, _)| match key {
                "networks" => project.networks.contains_key(*name),
                "volumes" => project.volumes.contains_key(*name),
                "secrets" => project.secrets.contains_key(*name),
                "configs" => project.configs.contains_key(*name),
                _ => project.models.contains_key(*name),
            });
            let entries: Vec<_> =
                kept.map(|(name, entry)| (Cow::from(name), self.node(&entry.node, kind))).collect();
            if !entries.is_empty() {
                top.push((key.into(), Out::Map(entries)));
            }
        }
        for (key, node) in &project.extensions {
            top.push((key.into(), self.node(node, &Kind::Any)));
        }
        Out::Map(top)
    }

    fn node<'a>(&self, node: &'a Node, kind: &Kind) -> Out<'a> {
        match (&node.value, kind) {
            (Value::Null | Value::Bad, _) => Out::Null,
            (Value::Bool(value), _) => Out::Bool(*value),
            (Value::Int(value), _) => Out::Number(value.to_string()),
            (Value::Float(value), _) => Out::Number(crate::number::float_text(*value)),
            (Value::String(text), _) => Out::Text(self.escaped(text)),
            (Value::Map(_), Kind::Shapes(_, list, Kind::Never)) if !matches!(list, Kind::Never) => {
                // A form that is a mapping after a list, such as extra hosts.
                self.node(node, &Kind::Any)
            }
            (Value::Map(map), Kind::Object(object)) => self.object(map, object),
            (Value::Map(_), Kind::Shapes(_, _, inner)) => self.node(node, inner),
            (Value::List(_), Kind::Shapes(_, inner, _)) => self.node(node, inner),
            (Value::Map(map), Kind::Map(inner) | Kind::Named(inner)) => self.map(map, inner),
            (Value::Map(map), _) => self.map(map, &Kind::Any),
            (Value::List(items), Kind::List(inner)) => {
                Out::List(items.iter().map(|item| self.node(item, inner)).collect())
            }
            (Value::List(items), _) => {
                Out::List(items.iter().map(|item| self.node(item, &Kind::Any)).collect())
            }
        }
    }

    /// Doubles every `$`, so that the text can be loaded again. Keys are not interpolated, so not escaped.
    fn escaped<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.raw && text.contains('$') { Cow::from(text.replace('$', "$$")) } else { Cow::from(text) }
    }

    /// Extra hosts as people know them: `host=address`.
    fn hosts<'a>(&self, hosts: &'a Map) -> Out<'a> {
        let mut lines = Vec::new();
        for (host, entry) in hosts {
            for address in entry.node.as_list().unwrap_or(&[]).iter().filter_map(Node::as_str) {
                let line = format!("{host}={address}");
                lines.push(Out::Text(Cow::from(self.escaped(&line).into_owned())));
            }
        }
        Out::List(lines)
    }

    fn map<'a>(&self, map: &'a Map, kind: &Kind) -> Out<'a> {
        Out::Map(map.iter().map(|(key, entry)| (Cow::from(key), self.node(&entry.node, kind))).collect())
    }

    fn object<'a>(&self, map: &'a Map, object: &'static Object) -> Out<'a> {
        let mut entries: Vec<(usize, Cow<'a, str>, Out<'a>)> = Vec::with_capacity(map.len());
        let is_service = std::ptr::eq(object, &SERVICE);
        let places = order::of(object);
        for (key, entry) in map {
            let Some(field) = object.field(key) else {
                entries.push((usize::MAX, key.into(), self.node(&entry.node, &Kind::Any)));
                continue;
            };
            let out = match (key.as_str(), &entry.node.value) {
                ("extra_hosts", Value::Map(hosts)) => self.hosts(hosts),
                _ => self.node(&entry.node, &field.kind),
            };
            if is_left_out(key, &out, &field.kind) {
                continue;
            }
            let place = places.iter().position(|name| name == key).unwrap_or(usize::MAX - 1);
            entries.push((place, key.into(), out));
        }
        if self.json {
            let missing = |key: &&&str| map.get(**key).is_none_or(|entry| entry.node.is_null());
            let nulls: &[&str] = if is_service { &["command", "entrypoint"] } else { &[] };
            for key in nulls.iter().filter(missing) {
                let place = places.iter().position(|name| name == key).unwrap_or(0);
                entries.push((place, (*key).into(), Out::Null));
            }
            let empty = match object.name {
                "a network" => Some("ipam"),
                "`deploy`" => Some("placement"),
                _ => None,
            };
            for key in empty.iter().filter(missing) {
                let place = places.iter().position(|name| name == key).unwrap_or(0);
                entries.push((place, (*key).into(), Out::Map(Vec::new())));
            }
        }
        if !self.raw {
            entries.sort_by_key(|(place, _, _)| *place);
        }
        Out::Map(entries.into_iter().map(|(_, key, out)| (key, out)).collect())
    }
}

/// Whether a field of an object says nothing.
fn is_left_out(key: &str, out: &Out<'_>, kind: &Kind) -> bool {
    let says_something_when_empty = matches!(
        key,
        "attach"
            | "init"
            | "scale"
            | "replicas"
            | "required"
            | "enable_ipv4"
            | "enable_ipv6"
            | "retries"
            | "max_attempts"
            | "parallelism"
            | "command"
            | "entrypoint"
            | "soft"
            | "hard"
            | "target"
            | "count"
    );
    match out {
        Out::Null => true,
        Out::Bool(value) if key == "create_host_path" => *value,
        Out::Bool(false) => key != "create_host_path" && !says_something_when_empty,
        Out::Number(number) => number == "0" && !says_something_when_empty,
        Out::Text(text) => text.is_empty() && key != "content",
        Out::List(items) => items.is_empty() && !says_something_when_empty,
        Out::Map(entries) => {
            let is_part = matches!(kind, Kind::Object(_) | Kind::Shapes(_, _, Kind::Object(_)));
            entries.is_empty() && (!is_part || matches!(key, "ipam" | "placement" | "resources"))
        }
        Out::Bool(_) => false,
    }
}
