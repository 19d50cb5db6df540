//! `config`: the project as YAML or JSON that can be loaded again.
//!
//! The canonical trees are brought into the order people know, what is empty or the default is left out, and
//! the result is written by one of two emitters.

mod json;
mod natural;
mod order;
mod yaml;

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;

use crate::model::{Project, Service};
use crate::schema::{Kind, Object, SERVICE, TOP};
use crate::tree::{Entry, Map, Node, Value};

/// A value ready to be written.
enum Out<'a> {
    Null,
    Bool(bool),
    Number(String),
    Text(Cow<'a, str>),
    List(Vec<Out<'a>>),
    Map(Vec<(Cow<'a, str>, Out<'a>)>),
}

/// What stands under a key of the top level.
enum Section<'a> {
    Whole(Out<'a>),
    /// A mapping with keys of the user, all of one kind. Each is laid out when its turn comes: of a large
    /// project only one service at a time is there once more.
    Entries(Vec<(&'a str, &'a Node)>, &'static Kind),
}

/// Bytes that a service usually takes in YAML.
const PRINTED: usize = 1024;

/// The project as YAML.
pub fn render_yaml(project: &Project) -> String {
    let layout = Layout::new(project, false);
    let mut text = String::with_capacity(4096 + PRINTED * project.services.len());
    let parts = if project.interpolated { built_from(project) } else { Vec::new() };
    for (key, section) in layout.top(project, &parts) {
        match section {
            Section::Whole(out) => yaml::entry(key, &out, 0, &mut text),
            Section::Entries(entries, kind) => {
                let laid_out = entries.iter().map(|(name, node)| (*name, layout.node(node, kind)));
                yaml::section(key, laid_out, &mut text);
            }
        }
    }
    text
}

/// The project as JSON.
pub fn render_json(project: &Project) -> String {
    let layout = Layout::new(project, true);
    let whole = |section| match section {
        Section::Whole(out) => out,
        Section::Entries(entries, kind) => {
            let entries = entries.into_iter();
            Out::Map(entries.map(|(name, node)| (Cow::from(name), layout.node(node, kind))).collect())
        }
    };
    let parts = if project.interpolated { built_from(project) } else { Vec::new() };
    let top = layout.top(project, &parts).into_iter();
    let mut top: Vec<_> = top.map(|(key, section)| (Cow::from(key), whole(section))).collect();
    top.sort_by(|a, b| a.0.cmp(&b.0));
    json::write(&Out::Map(top))
}

/// Of services whose profiles are not active what builds of others need: printed without it, the project
/// could not be loaded again.
fn built_from(project: &Project) -> Vec<(String, Node)> {
    let part = |service: &Service| {
        let mut part = Node::map(service.tree.span);
        for key in ["build", "image", "platform", "profiles"] {
            if let Some(node) = service.tree.get(key) {
                part.set(key, node.clone());
            }
        }
        (service.name.clone(), part)
    };
    project.built_from().into_iter().map(part).collect()
}

/// Of each field of an object its place in what is written.
type Places = Rc<[usize]>;

struct Layout {
    json: bool,
    /// Variables have not been replaced: keys in alphabetical order, dollars as they are.
    raw: bool,
    /// Of each kind of object met so far, which are a few.
    places: RefCell<Vec<(&'static Object, Places)>>,
}

impl Layout {
    fn new(project: &Project, json: bool) -> Self {
        Self { json, raw: !project.interpolated, places: RefCell::default() }
    }

    /// The place of each field of an object in what is written; looked for once.
    fn places(&self, object: &'static Object) -> Places {
        let mut known = self.places.borrow_mut();
        if let Some((_, places)) = known.iter().find(|(other, _)| std::ptr::eq(*other, object)) {
            return places.clone();
        }
        let order = order::of(object);
        let place = |name| order.iter().position(|other| *other == name).unwrap_or(usize::MAX - 1);
        let places: Places = object.fields.iter().map(|field| place(field.name)).collect();
        known.push((object, places.clone()));
        places
    }

    /// The keys of the top level, in order. `parts` are of services that are not part of the project, but
    /// needed to build those that are.
    fn top<'a>(&self, project: &'a Project, parts: &'a [(String, Node)]) -> Vec<(&'a str, Section<'a>)> {
        let mut top = Vec::new();
        if !project.name.is_empty() {
            top.push(("name", Section::Whole(Out::Text(Cow::from(&project.name)))));
        }
        for key in ["services", "networks", "volumes", "secrets", "configs", "models"] {
            let Some(Kind::Named(kind)) = TOP.field(key).map(|field| field.kind) else { continue };
            let mut entries: Vec<(&str, &Node)> = if key == "services" {
                // Without interpolation the model is printed before anything is left out of it.
                let others = project.disabled_services.iter().filter(|_| self.raw);
                let all = project.services.iter().chain(others);
                let whole = all.map(|(name, service)| (name.as_str(), &service.tree));
                let mut all: Vec<_> =
                    whole.chain(parts.iter().map(|(name, node)| (name.as_str(), node))).collect();
                all.sort_by_key(|(name, _)| *name);
                all
            } else {
                let section = project.section(key).into_iter().flatten();
                let kept = section.filter(|(name, _)| self.raw || project.has(key, name));
                kept.map(|(name, entry)| (name.as_str(), &entry.node)).collect()
            };
            if key == "services" || !entries.is_empty() {
                self.sort(&mut entries);
                top.push((key, Section::Entries(entries, kind)));
            }
        }
        let extensions = project.extensions.iter();
        let mut extensions: Vec<_> = extensions
            .map(|(key, node)| (key.as_str(), Section::Whole(self.node(node, &Kind::Any))))
            .collect();
        self.sort(&mut extensions);
        top.extend(extensions);
        if self.raw {
            self.sort(&mut top);
        }
        top
    }

    fn node<'a>(&self, node: &'a Node, kind: &Kind) -> Out<'a> {
        match (&node.value, kind) {
            (Value::Null | Value::Bad, _) => Out::Null,
            (Value::Bool(value), _) => Out::Bool(*value),
            (Value::Int(value), _) => Out::Number(value.to_string()),
            (Value::Big(value), _) => Out::Number(value.to_string()),
            (Value::Float(value), _) => Out::Number(self.float(*value)),
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
        if !self.raw && text.as_bytes().contains(&b'$') {
            Cow::from(text.replace('$', "$$"))
        } else {
            Cow::from(text)
        }
    }

    /// Extra hosts as people know them: `host=address`.
    fn hosts<'a>(&self, hosts: &'a Map) -> Out<'a> {
        let mut lines = Vec::new();
        for (host, entry) in hosts {
            for address in entry.node.as_list().unwrap_or(&[]).iter().filter_map(Node::as_str) {
                lines.push(self.escaped(&format!("{host}={address}")).into_owned());
            }
        }
        lines.sort();
        Out::List(lines.into_iter().map(|line| Out::Text(Cow::from(line))).collect())
    }

    fn map<'a>(&self, map: &'a Map, kind: &Kind) -> Out<'a> {
        self.entries(map.iter().map(|(key, entry)| (Cow::from(key), self.node(&entry.node, kind))).collect())
    }

    /// A mapping with keys of the user.
    fn entries<'a>(&self, mut entries: Vec<(Cow<'a, str>, Out<'a>)>) -> Out<'a> {
        self.sort(&mut entries);
        Out::Map(entries)
    }

    /// Brings keys of the user into order: of bytes in JSON, which they are in already, else the one people
    /// expect.
    fn sort<T>(&self, entries: &mut [(impl AsRef<str>, T)]) {
        if !self.json {
            entries.sort_by(|a, b| natural::compare(a.0.as_ref(), b.0.as_ref()));
        }
    }

    fn float(&self, value: f64) -> String {
        // A zero with a sign would be read again as a whole number, which has none.
        let value = if value == 0.0 { 0.0 } else { value };
        if self.json { crate::number::json_text(value) } else { crate::number::yaml_text(value) }
    }

    /// A value under a fixed key, in the form the reference gives it.
    fn field<'a>(&self, key: &str, node: &'a Node, kind: &Kind) -> Out<'a> {
        match (key, &node.value) {
            _ if self.raw => self.node(node, kind),
            ("extra_hosts", Value::Map(hosts)) => self.hosts(hosts),
            // A size in the reference's model.
            ("mem_swappiness", Value::Int(value)) => Out::Text(Cow::from(value.to_string())),
            // Numbers of 32 bits there. One that is too big for that would be read again as something else.
            ("cpus" | "cpu_percent" | "max_failure_ratio", Value::Float(value)) => {
                let single = (*value as f32).to_string().parse();
                Out::Number(
                    self.float(single.ok().filter(|single: &f64| single.is_finite()).unwrap_or(*value)),
                )
            }
            ("ulimits", Value::Map(limits)) => {
                let Kind::Map(inner) = kind else { return self.node(node, kind) };
                let limit = |entry: &'a Entry| match entry.node.value {
                    // There, a single limit of none is not known from no single limit.
                    Value::Int(0) => {
                        Out::Map(["soft", "hard"].map(|key| (key.into(), Out::Number("0".to_owned()))).into())
                    }
                    _ => self.node(&entry.node, inner),
                };
                self.entries(limits.iter().map(|(key, entry)| (Cow::from(key), limit(entry))).collect())
            }
            // There, options are texts.
            ("options" | "driver_opts", Value::Map(options))
                if matches!(kind, Kind::Map(Kind::Scalar | Kind::TextOrNumber)) =>
            {
                let option = |entry: &'a Entry| match self.node(&entry.node, &Kind::Any) {
                    Out::Null => Out::Text("".into()),
                    out => out,
                };
                self.entries(options.iter().map(|(key, entry)| (Cow::from(key), option(entry))).collect())
            }
            _ => self.node(node, kind),
        }
    }

    fn object<'a>(&self, map: &'a Map, object: &'static Object) -> Out<'a> {
        let mut entries: Vec<(usize, Cow<'a, str>, Out<'a>)> = Vec::with_capacity(map.len());
        let is_service = std::ptr::eq(object, &SERVICE);
        let places = self.places(object);
        for (key, entry) in map {
            let Some(at) = object.position(key) else {
                entries.push((usize::MAX, key.into(), self.node(&entry.node, &Kind::Any)));
                continue;
            };
            let field = &object.fields[at];
            let out = self.field(key, &entry.node, &field.kind);
            if !self.raw && is_left_out(key, &out, object, &field.kind) {
                continue;
            }
            entries.push((places[at], key.into(), out));
        }
        if self.json && !self.raw {
            let missing = |key: &&&str| map.get(key).is_none_or(|entry| entry.node.is_null());
            let nulls: &[&str] = if is_service { &["command", "entrypoint"] } else { &[] };
            for key in nulls.iter().filter(missing) {
                let place = object.position(key).map_or(0, |at| places[at]);
                entries.push((place, (*key).into(), Out::Null));
            }
            let empty: &[&str] = match object.name {
                "a network" => &["ipam"],
                "`deploy`" => &["resources", "placement"],
                _ => &[],
            };
            for key in empty.iter().filter(missing) {
                let place = object.position(key).map_or(0, |at| places[at]);
                entries.push((place, (*key).into(), Out::Map(Vec::new())));
            }
        }
        if self.raw {
            return self.entries(entries.into_iter().map(|(_, key, out)| (key, out)).collect());
        }
        entries.sort_by(|a, b| {
            let others = a.0 >= usize::MAX - 1 && !self.json;
            a.0.cmp(&b.0).then_with(|| if others { natural::compare(&a.1, &b.1) } else { Ordering::Equal })
        });
        Out::Map(entries.into_iter().map(|(_, key, out)| (key, out)).collect())
    }
}

/// Whether a field of an object says nothing.
fn is_left_out(key: &str, out: &Out<'_>, object: &Object, kind: &Kind) -> bool {
    let says_something_when_empty = || {
        matches!(
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
                | "value"
        )
    };
    match out {
        Out::Null => true,
        Out::Bool(value) if key == "create_host_path" => *value,
        Out::Bool(value) if object.name == "an entry of `env_file`" => *value,
        Out::Bool(false) => key != "create_host_path" && !says_something_when_empty(),
        Out::Number(number) => number == "0" && !says_something_when_empty(),
        // No size is no limit, except of a device's rate.
        Out::Text(text) if matches!(kind, Kind::Bytes) => text == "0" && key != "rate",
        Out::Text(text) if matches!(kind, Kind::Duration) => text == "0s" && object.name == "`update_config`",
        Out::Text(text) if key == "mem_swappiness" => text == "0",
        Out::Text(text) => text.is_empty() && key != "content",
        Out::List(items) => items.is_empty() && !says_something_when_empty(),
        Out::Map(entries) => {
            let is_part = matches!(kind, Kind::Object(_) | Kind::Shapes(_, _, Kind::Object(_)));
            entries.is_empty() && (!is_part || matches!(key, "ipam" | "placement" | "resources"))
        }
        Out::Bool(_) => false,
    }
}
