//! A copy of a project beside it (`--as NAME`): what two of them cannot both have is renamed or moved.
//!
//! The copy is a project of its own, `PROJECT-NAME`. Names that follow from the project's do so by
//! themselves; here it is the fixed ones: container names, names of networks and volumes, host ports,
//! subnets and the addresses in them, and what refers to any of these. All is decided by the file, the
//! project's name and the copy's: the same copy is the same each time, whoever is there beside it.
//! What is external stays, and is shared.

mod addresses;
mod ports;

use std::collections::BTreeMap;

use diagnostic::Diagnostic;

use crate::model::CopyOf;
use crate::tree::{Map, Node, Value};

/// The name of a copy of a project.
pub(crate) fn name(origin: &str, copy: &str) -> String {
    format!("{origin}-{copy}")
}

/// Sets a model apart from that of `origin`, whose copy it is. `project` is the copy's whole name.
pub(crate) fn set_apart(
    model: &mut Node,
    project: &str,
    copy: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> CopyOf {
    let origin = project.strip_suffix(&name("", copy)).unwrap_or(project).to_owned();
    let mut names = Names { project, copy, origin: &origin, services: Vec::new(), fixed: BTreeMap::new() };
    for section in ["networks", "volumes", "secrets", "configs"] {
        let Some(map) = model.get_mut(section).and_then(Node::as_map_mut) else { continue };
        map.values_mut()
            .filter(|entry| !is_external(&entry.node))
            .for_each(|entry| names.own(&mut entry.node, "name"));
    }
    let moved = addresses::of_networks(model, project, diagnostics);
    let Some(services) = model.get_mut("services").and_then(Node::as_map_mut) else {
        return CopyOf { origin, ports: Vec::new() };
    };
    names.services = services.keys().cloned().collect();
    services.values_mut().for_each(|entry| names.own(&mut entry.node, "container_name"));
    services.values_mut().for_each(|entry| names.follow(&mut entry.node));
    addresses::of_services(services, &moved);
    let ports = ports::set_apart(services, project, diagnostics);
    CopyOf { origin, ports }
}

fn is_external(node: &Node) -> bool {
    node.get("external").and_then(Node::as_bool) == Some(true)
}

/// What the copy calls things.
struct Names<'a> {
    project: &'a str,
    copy: &'a str,
    origin: &'a str,
    services: Vec<String>,
    /// Fixed names of containers, networks and volumes, as in the file and as in the copy.
    fixed: BTreeMap<String, String>,
}

impl Names<'_> {
    /// Gives a thing with a fixed name one of its own. A name that begins with the project's is that already.
    fn own(&mut self, node: &mut Node, key: &str) {
        let Some(node) = node.get_mut(key) else { return };
        let Value::String(text) = &mut node.value else { return };
        let rest = text.strip_prefix(self.project);
        if text.is_empty() || rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        {
            return;
        }
        let own = name(text, self.copy);
        self.fixed.insert(std::mem::replace(text, own.clone()), own);
    }

    /// Lets a service refer to the copy's containers and networks where it names the project's.
    fn follow(&self, service: &mut Node) {
        for key in ["network_mode", "pid", "ipc"] {
            let Some(Value::String(text)) = service.get_mut(key).map(|node| &mut node.value) else {
                continue;
            };
            *text = match text.strip_prefix("container:") {
                Some(container) => format!("container:{}", self.renamed(container)),
                None => self.fixed.get(text).cloned().unwrap_or_else(|| std::mem::take(text)),
            };
        }
        for text in texts(service, "volumes_from") {
            if let Some(rest) = text.strip_prefix("container:") {
                let (container, mode) = split(rest);
                *text = format!("container:{}{mode}", self.renamed(container));
            }
        }
        for text in texts(service, "external_links") {
            let (container, alias) = split(text);
            // Without an alias the name as written is what resolves.
            let alias = if alias.is_empty() { format!(":{container}") } else { alias.to_owned() };
            let renamed = self.renamed(container);
            if renamed != container {
                *text = renamed + &alias;
            }
        }
    }

    /// A container's name in the copy, if the name is that of one of the project's containers.
    fn renamed(&self, container: &str) -> String {
        if let Some(own) = self.fixed.get(container) {
            return own.clone();
        }
        let rest = container.strip_prefix(self.origin).unwrap_or_default();
        for separator in ['-', '_'] {
            let parts = rest.strip_prefix(separator).and_then(|rest| rest.rsplit_once(separator));
            if let Some((service, number)) = parts
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && self.services.iter().any(|known| known == service)
            {
                return format!("{}{rest}", self.project);
            }
        }
        container.to_owned()
    }
}

/// A name, and what follows it from the first colon on.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(':').unwrap_or(text.len()))
}

/// The texts of a list.
fn texts<'a>(node: &'a mut Node, key: &str) -> impl Iterator<Item = &'a mut String> {
    let items = match node.get_mut(key).map(|node| &mut node.value) {
        Some(Value::List(items)) => items.as_mut_slice(),
        _ => &mut [],
    };
    items.iter_mut().filter_map(|item| match &mut item.value {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// The networks that a service joins.
fn attachments(service: &mut Node) -> Option<&mut Map> {
    service.get_mut("networks").and_then(Node::as_map_mut)
}

/// A number that depends on these words alone, on every machine and in every version: FNV-1a, 64 bits.
fn hash(words: &[&str]) -> u64 {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
