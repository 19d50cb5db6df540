//! Where each value of a project comes from: the file that says it, the variables in it, what it took the
//! place of, and the way by which it got here.

use std::collections::BTreeSet;

use diagnostic::{Sources, Span};

use crate::interpolate::{self, Lookup};
use crate::model::Project;
use crate::trace::Trace;
use crate::tree::{Map, Node, Value};
use crate::{Loaded, dotenv};

/// One value and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Where it is in the project: `services.web.ports[0].target`.
    pub path: String,
    /// What it is, a text without quotes.
    pub value: String,
    /// Where it is written; `None`: nowhere, it is implied.
    pub written: Option<Written>,
    /// Whether it is not said there, but follows from what is.
    pub is_default: bool,
    /// The variables that the text written holds, and were asked for.
    pub variables: Vec<Used>,
    /// What it took the place of, the latest first.
    pub overrides: Vec<Written>,
    /// The places of `include` and `extends` that led to it, nearest first.
    pub through: Vec<String>,
}

/// A text in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// `compose.yaml:7:9`.
    pub place: String,
    /// As it stands there, its first line.
    pub text: String,
}

/// A variable in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its name.
    pub name: String,
    /// Its value; `None`: it is not set, and a default or nothing stands for it.
    pub value: Option<String>,
    /// Where that comes from: `.env:3`, `the environment`.
    pub from: Option<String>,
}

/// Explains the values of `project` at or below `path` (empty: all of them).
///
/// `origin` says where a variable that was handed in comes from. `loaded` has to be of a load with
/// [`Options::trace`](crate::Options::trace).
pub fn explain(
    project: &Project,
    loaded: &Loaded,
    path: &str,
    origin: &dyn Fn(&str) -> Option<String>,
) -> Vec<Explanation> {
    let empty = Trace::default();
    let trace = loaded.trace.as_ref().unwrap_or(&empty);
    let mut walk = Walk { project, sources: &loaded.sources, trace, origin, wanted: path, found: Vec::new() };
    for (name, service) in &project.services {
        let path = format!("services.{name}");
        if walk.leads_to(&path) {
            walk.node(&service.tree, &path, Span::NOWHERE);
        }
    }
    for section in ["networks", "volumes", "secrets", "configs", "models"] {
        let Some(map) = project.section(section) else { continue };
        for (name, entry) in map.iter().filter(|(name, _)| project.has(section, name)) {
            walk.node(&entry.node, &format!("{section}.{name}"), Span::NOWHERE);
        }
    }
    for (key, node) in &project.extensions {
        walk.node(node, key, Span::NOWHERE);
    }
    walk.found
}

struct Walk<'a> {
    project: &'a Project,
    sources: &'a Sources,
    trace: &'a Trace,
    origin: &'a dyn Fn(&str) -> Option<String>,
    wanted: &'a str,
    found: Vec<Explanation>,
}

impl Walk<'_> {
    /// Whether `path` is wanted, or has something below it that is.
    fn leads_to(&self, path: &str) -> bool {
        let below = |upper: &str, lower: &str| {
            upper.is_empty()
                || lower
                    .strip_prefix(upper)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        below(self.wanted, path) || below(path, self.wanted)
    }

    fn node(&mut self, node: &Node, path: &str, parent: Span) {
        if !self.leads_to(path) {
            return;
        }
        match &node.value {
            Value::Map(map) if !map.is_empty() => self.map(map, path, node.span),
            Value::List(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    self.node(item, &format!("{path}[{index}]"), node.span);
                }
            }
            _ => {
                let value = match &node.value {
                    Value::Map(_) => "{}".to_owned(),
                    Value::List(_) => "[]".to_owned(),
                    _ => node.scalar_text().unwrap_or_else(|| "null".to_owned()),
                };
                let explanation = self.explained(value, node.span, path, parent);
                self.found.push(explanation);
            }
        }
    }

    fn map(&mut self, map: &Map, path: &str, span: Span) {
        for (key, entry) in map {
            self.node(&entry.node, &format!("{path}.{key}"), span);
        }
    }

    fn explained(&self, value: String, span: Span, path: &str, parent: Span) -> Explanation {
        let text = self.sources.slice(span);
        // What stands at the place of a whole mapping was put in beside what is written there.
        let is_default = span.is_nowhere()
            || (span == parent && (text.starts_with('{') || (text.contains(": ") || text.contains(":\n"))));
        let variables = if is_default { Vec::new() } else { self.variables(text, span) };
        Explanation {
            path: path.to_owned(),
            value,
            written: (!span.is_nowhere()).then(|| self.written(span)),
            is_default,
            variables,
            overrides: if is_default { Vec::new() } else { self.overridden(span) },
            through: self.through(span, path),
        }
    }

    fn written(&self, span: Span) -> Written {
        let text = self.sources.slice(span).trim_end();
        let first = text.lines().next().unwrap_or_default();
        let more = if first.len() < text.len() { " …" } else { "" };
        Written { place: self.sources.place(span), text: format!("{first}{more}") }
    }

    /// Everything the value at `span` took the place of, and what that had.
    fn overridden(&self, span: Span) -> Vec<Written> {
        let mut seen = BTreeSet::from([span]);
        let mut queue = vec![span];
        let mut found = Vec::new();
        while let Some(winner) = queue.pop() {
            for loser in self.trace.overridden.get(&winner).into_iter().flatten() {
                if seen.insert(*loser) {
                    found.push(self.written(*loser));
                    queue.push(*loser);
                }
            }
        }
        found
    }

    fn through(&self, span: Span, path: &str) -> Vec<String> {
        let mut places = Vec::new();
        let mut file = span.file;
        let service = path.strip_prefix("services.");
        for (name, base, place) in &self.trace.extended {
            let is_of = service
                .and_then(|rest| rest.strip_prefix(name.as_str()))
                .is_some_and(|rest| rest.starts_with('.'));
            let is_inside = base.file == span.file && base.start <= span.start && span.end <= base.end;
            if is_of && is_inside {
                places.push(self.sources.place(*place));
                file = place.file;
            }
        }
        while let Some(asked) = self.trace.asked.get(&file).filter(|asked| !asked.is_nowhere()) {
            let place = self.sources.place(*asked);
            if places.contains(&place) {
                break;
            }
            places.push(place);
            file = asked.file;
        }
        places
    }

    fn variables(&self, text: &str, span: Span) -> Vec<Used> {
        if !self.project.interpolated || !text.contains('$') {
            return Vec::new();
        }
        let mut lookup = Asked { values: &self.project.environment, names: Vec::new() };
        let _ = interpolate::text(text, &mut lookup);
        lookup.names.into_iter().map(|name| self.used(name, span)).collect()
    }

    fn used(&self, name: String, span: Span) -> Used {
        if let Some(value) = self.project.environment.get(&name) {
            let from = (self.origin)(&name)
                .or_else(|| (name == "COMPOSE_PROJECT_NAME").then(|| "the project's name".to_owned()));
            return Used { value: Some(value.clone()), from, name };
        }
        if self.trace.own.contains(&span.file) {
            let found = dotenv::place(self.sources, span.file, &name);
            return Used { value: None, from: found.map(|place| self.sources.place(place)), name };
        }
        let is_included = self.trace.asked.get(&span.file).is_some_and(|asked| !asked.is_nowhere());
        let files = self.trace.environments.iter().filter(|_| is_included);
        let found = files.rev().find_map(|file| dotenv::place(self.sources, *file, &name));
        Used { value: None, from: found.map(|place| self.sources.place(place)), name }
    }
}

/// Remembers what is asked for.
struct Asked<'a> {
    values: &'a std::collections::BTreeMap<String, String>,
    names: Vec<String>,
}

impl Lookup for Asked<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }
    fn asked(&mut self, name: &str) {
        if !self.names.iter().any(|earlier| earlier == name) {
            self.names.push(name.to_owned());
        }
    }
    fn unset(&mut self, _: &str) {}
}
