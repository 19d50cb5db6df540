//! Which services a command is about.

use compose_spec::Project;
use diagnostic::{Diagnostic, nearest};
use std::collections::{BTreeMap, BTreeSet};

/// The services a command is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Named by the user; `None` is all that are enabled.
    pub services: Option<BTreeSet<String>>,
    /// What they depend on comes along (not with `--no-deps`).
    pub dependencies: bool,
    /// What depends on them comes along, not selected itself: for `restart`.
    pub dependents: bool,
    /// Replicas that replace the file's (`--scale`).
    pub scale: BTreeMap<String, u32>,
}

impl Selection {
    /// Every enabled service.
    pub fn all() -> Self {
        Self { services: None, dependencies: true, dependents: false, scale: BTreeMap::new() }
    }

    /// The services with these names or matching these patterns (`web*`, `db?`, `[ab]*`), and what
    /// they depend on; every enabled service when there are none.
    ///
    /// # Errors
    /// `no such service: NAME`, with the nearest one as help.
    pub fn of<S: AsRef<str>>(project: &Project, names: &[S]) -> Result<Self, Diagnostic> {
        if names.is_empty() {
            return Ok(Self::all());
        }
        let mut services = BTreeSet::new();
        for name in names {
            let name = name.as_ref();
            if project.services.contains_key(name) {
                services.insert(name.to_owned());
                continue;
            }
            let matching: Vec<_> = project.services.keys().filter(|service| matches(name, service)).collect();
            if matching.is_empty() {
                return Err(unknown(project, name));
            }
            services.extend(matching.into_iter().cloned());
        }
        Ok(Self { services: Some(services), ..Self::all() })
    }

    /// The same without what the services depend on.
    #[must_use]
    pub fn without_dependencies(self) -> Self {
        Self { dependencies: false, ..self }
    }

    /// The same with what depends on the services, for `restart`.
    #[must_use]
    pub fn with_dependents(self) -> Self {
        Self { dependents: true, ..self }
    }

    /// The same with other numbers of replicas.
    #[must_use]
    pub fn scaled(self, scale: BTreeMap<String, u32>) -> Self {
        Self { scale, ..self }
    }

    /// Whether the user named the service, or named none.
    pub(crate) fn selects(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
    }

    /// The enabled services this is about.
    pub(crate) fn members<'a>(&self, project: &'a Project) -> BTreeSet<&'a str> {
        let Some(services) = &self.services else {
            return project.services.keys().map(String::as_str).collect();
        };
        let named = project.services.keys().filter(|name| services.contains(*name));
        let mut members: BTreeSet<&str> = named.map(String::as_str).collect();
        if self.dependents {
            let depends = |service: &compose_spec::Service, on: &BTreeSet<&str>| {
                service.depends_on.keys().any(|dependency| on.contains(dependency.as_str()))
            };
            grow(&mut members, |members| {
                project
                    .services
                    .values()
                    .filter(|service| depends(service, members))
                    .map(|service| &*service.name)
                    .collect()
            });
        }
        if self.dependencies {
            grow(&mut members, |members| {
                let services = members.iter().filter_map(|name| project.services.get(*name));
                let dependencies = services.flat_map(|service| service.depends_on.keys());
                dependencies.filter(|name| project.services.contains_key(*name)).map(String::as_str).collect()
            });
        }
        members
    }
}

/// Adds what `more` finds until it finds nothing new.
fn grow<'a>(members: &mut BTreeSet<&'a str>, more: impl Fn(&BTreeSet<&'a str>) -> Vec<&'a str>) {
    loop {
        let before = members.len();
        members.extend(more(members));
        if members.len() == before {
            return;
        }
    }
}

/// *no such service*, with what may have been meant.
pub(crate) fn unknown(project: &Project, name: &str) -> Diagnostic {
    let error = Diagnostic::error("unknown-service", format!("no such service: {name}"));
    if project.disabled_services.contains_key(name) {
        return error
            .help(format!("service `{name}` is not enabled; activate one of its profiles with `--profile`"));
    }
    match nearest(name, project.services.keys().map(String::as_str)) {
        Some(near) => error.help(format!("a service with a similar name exists: `{near}`")),
        None => error,
    }
}

/// Whether a name fits a shell pattern of `*`, `?`, `[a-z]` and `[!a-z]`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    let Some(first) = rest.next() else { return name.is_empty() };
    let mut chars = name.chars();
    match first {
        '*' => {
            let places = name.char_indices().map(|(place, _)| place).chain([name.len()]);
            places.into_iter().any(|place| matches(rest.as_str(), &name[place..]))
        }
        '?' => chars.next().is_some() && matches(rest.as_str(), chars.as_str()),
        '[' => {
            let Some((set, after)) = rest.as_str().split_once(']') else { return false };
            let Some(one) = chars.next() else { return false };
            let (negated, set) = match set.strip_prefix(['!', '^']) {
                Some(set) => (true, set),
                None => (false, set),
            };
            in_set(set, one) != negated && matches(after, chars.as_str())
        }
        other => chars.next() == Some(other) && matches(rest.as_str(), chars.as_str()),
    }
}

fn in_set(set: &str, one: char) -> bool {
    let set: Vec<char> = set.chars().collect();
    let mut place = 0;
    while place < set.len() {
        if let [first, '-', last, ..] = set[place..] {
            if (first..=last).contains(&one) {
                return true;
            }
            place += 3;
        } else {
            if set[place] == one {
                return true;
            }
            place += 1;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_are_the_shell_s() {
        for (pattern, name) in
            [("web*", "web"), ("*b-?", "web-1"), ("[a-c]*", "cache"), ("[!a]b", "bb"), ("*", "x")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("web*", "we"), ("?", ""), ("[a-c]", "d"), ("[!a]b", "ab"), ("a", "ab"), ("[", "[")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
