//! Which services take part: profiles, names on the command line, and what they use.

use std::collections::BTreeSet;

use crate::model::{MountKind, Service};
use crate::tree::{Map, Node};

/// The profiles of a service.
pub(crate) fn profiles_of(service: &Node) -> impl Iterator<Item = &str> {
    let list = service.get("profiles").and_then(Node::as_list).unwrap_or(&[]);
    list.iter().filter_map(Node::as_str)
}

/// Whether a service with these profiles is enabled.
pub(crate) fn is_enabled<'a>(mut profiles: impl Iterator<Item = &'a str>, active: &BTreeSet<String>) -> bool {
    let Some(first) = profiles.next() else { return true };
    active.contains("*") || active.contains(first) || profiles.any(|profile| active.contains(profile))
}

fn services(model: &Node) -> Option<&Map> {
    model.get("services").and_then(Node::as_map)
}

/// The active profiles: those asked for, and all of every service named.
pub(crate) fn active(model: &Node, profiles: &[String], named: &[String]) -> BTreeSet<String> {
    let mut active: BTreeSet<String> = profiles.iter().cloned().collect();
    if let Some(services) = services(model) {
        for entry in named.iter().filter_map(|name| services.get(name)) {
            if !is_enabled(profiles_of(&entry.node), &active) {
                active.extend(profiles_of(&entry.node).map(str::to_owned));
            }
        }
    }
    active
}

/// The services named and what they depend on; `None`: all.
pub(crate) fn needed(model: &Node, active: &BTreeSet<String>, named: &[String]) -> Option<BTreeSet<String>> {
    let services = services(model).filter(|_| !named.is_empty())?;
    let mut needed = BTreeSet::new();
    let mut queue: Vec<&str> = Vec::new();
    for pattern in named {
        let fits = |(name, entry): &(&String, &crate::tree::Entry)| {
            *name == pattern || is_enabled(profiles_of(&entry.node), active) && glob(pattern, name)
        };
        queue.extend(services.iter().filter(fits).map(|(name, _)| name.as_str()));
    }
    while let Some(name) = queue.pop() {
        if !needed.insert(name.to_owned()) {
            continue;
        }
        let depends_on = services.get(name).and_then(|entry| entry.node.get("depends_on")?.as_map());
        queue.extend(depends_on.into_iter().flat_map(|map| map.keys().map(String::as_str)));
    }
    Some(needed)
}

/// Whether `text` matches a shell pattern of `*` and `?`.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[t] => (p, t) = (p + 1, t + 1),
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (p, t) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&rest| rest == '*')
}

/// The keys of everything that services use.
#[derive(Default)]
pub(crate) struct Used {
    pub(crate) networks: BTreeSet<String>,
    pub(crate) volumes: BTreeSet<String>,
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) configs: BTreeSet<String>,
    pub(crate) models: BTreeSet<String>,
}

impl Used {
    pub(crate) fn add(&mut self, service: &Service) {
        self.networks.extend(service.networks.keys().cloned());
        let named = service.volumes.iter().filter(|mount| mount.kind == MountKind::Volume);
        self.volumes.extend(named.filter_map(|mount| mount.source.clone()));
        self.secrets.extend(service.secrets.iter().map(|secret| secret.source.clone()));
        self.add_build(service);
        self.configs.extend(service.configs.iter().map(|config| config.source.clone()));
        self.models.extend(service.models.keys().cloned());
    }

    /// What its build uses.
    pub(crate) fn add_build(&mut self, service: &Service) {
        let secrets = service.build.iter().flat_map(|build| &build.secrets);
        self.secrets.extend(secrets.map(|secret| secret.source.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns() {
        assert!(glob("web*", "web-1") && glob("*", "") && glob("a?c", "abc") && glob("*b*", "abc"));
        assert!(!glob("web", "web1") && !glob("a?c", "ac") && !glob("*b", "abc"));
    }
}
