//! Circles among dependencies: found, and drawn with the place of every step.

use std::collections::HashMap;

use diagnostic::Diagnostic;

use crate::model::Project;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Done,
}

/// The circles among the enabled services; of those that share a service perhaps only one.
pub(super) fn find(project: &Project) -> Vec<Diagnostic> {
    let mut states: HashMap<&str, State> = HashMap::new();
    let mut found = Vec::new();
    for start in project.services.keys() {
        if states.contains_key(start.as_str()) {
            continue;
        }
        let mut path: Vec<&str> = vec![start];
        let mut ahead = vec![next(project, start)];
        states.insert(start, State::Open);
        while let Some(names) = ahead.last_mut() {
            let Some(name) = names.pop() else {
                ahead.pop();
                if let Some(done) = path.pop() {
                    states.insert(done, State::Done);
                }
                continue;
            };
            match states.get(name) {
                None => {
                    states.insert(name, State::Open);
                    path.push(name);
                    ahead.push(next(project, name));
                }
                Some(State::Open) => {
                    let from = path.iter().position(|step| *step == name).unwrap_or(0);
                    found.push(drawn(project, &path[from..]));
                }
                Some(State::Done) => {}
            }
        }
    }
    found
}

/// The services `name` depends on, the first one last.
fn next<'a>(project: &'a Project, name: &str) -> Vec<&'a str> {
    let service = project.services.get(name);
    let names = service.into_iter().flat_map(|service| service.depends_on.keys().map(String::as_str));
    let mut names: Vec<_> = names.filter(|name| project.services.contains_key(*name)).collect();
    names.reverse();
    names
}

fn drawn(project: &Project, circle: &[&str]) -> Diagnostic {
    let closed: Vec<&str> = circle.iter().chain(circle.first()).copied().collect();
    let names: Vec<_> = closed.iter().map(|name| format!("`{name}`")).collect();
    let mut diagnostic = Diagnostic::error(
        "dependency-cycle",
        format!("services depend on each other in a circle: {}", names.join(" -> ")),
    );
    for step in closed.windows(2) {
        let dependency = project.services.get(step[0]).and_then(|service| service.depends_on.get(step[1]));
        if let Some(dependency) = dependency {
            diagnostic = diagnostic.at(dependency.span, format!("`{}` needs `{}`", step[0], step[1]));
        }
    }
    diagnostic.help("take one of these dependencies out")
}
