//! The graph of a project: services, networks and volumes, what needs what, and how the services are.

pub(crate) mod dot;
mod layout;
pub(crate) mod mermaid;
pub(crate) mod svg;
pub(crate) mod text;

use crate::view::row;
use compose_spec::Project;
use compose_spec::model::{Condition, MountKind};
use resource::{Observed, ObservedContainer, Status};
use std::collections::BTreeMap;

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A service.
    Service,
    /// A network.
    Network,
    /// A named volume.
    Volume,
}

impl Kind {
    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

/// How a service is, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It runs, and is well as far as anybody looks.
    Well,
    /// It starts, or only some of it runs.
    Between,
    /// It is unhealthy, or has failed.
    Ill,
    /// It does not run, and nothing is wrong with that.
    Down,
}

/// A service, network or volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// What it stands for.
    pub(crate) kind: Kind,
    /// Its key in the Compose file.
    pub(crate) name: String,
    /// How it is, in words and as a colour; `None` when nobody asked.
    pub(crate) state: Option<(String, Health)>,
}

/// One needs the other; both by their places among the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    /// Who needs.
    pub(crate) from: usize,
    /// What is needed.
    pub(crate) to: usize,
    /// How: `healthy`, `/data`, …; empty when there is nothing to say.
    pub(crate) label: String,
}

/// Everything of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Graph {
    /// Services, then networks, then volumes, each by name.
    pub(crate) nodes: Vec<Node>,
    /// In the order of their first nodes.
    pub(crate) edges: Vec<Edge>,
}

impl Graph {
    /// The graph of a project's enabled services; with states, when it was looked at.
    pub(crate) fn of(project: &Project, observed: Option<&Observed>) -> Self {
        let state = |name: &str| observed.map(|observed| state(&observed.containers, name));
        let services = project.services.iter().map(|(name, service)| {
            let provided =
                |by: &compose_spec::model::Provider| (format!("provided by {}", by.kind), Health::Down);
            let state = match &service.provider {
                Some(by) => observed.map(|_| provided(by)),
                None => state(name),
            };
            (Kind::Service, name, state)
        });
        let networks = project.networks.keys().map(|name| (Kind::Network, name, None));
        let volumes = project.volumes.keys().map(|name| (Kind::Volume, name, None));
        let nodes: Vec<Node> = services
            .chain(networks)
            .chain(volumes)
            .map(|(kind, name, state)| Node { kind, name: name.clone(), state })
            .collect();
        let places: BTreeMap<(Kind, &str), usize> =
            nodes.iter().enumerate().map(|(place, node)| ((node.kind, node.name.as_str()), place)).collect();
        let mut edges = vec![];
        for (from, service) in project.services.values().enumerate() {
            let mut add = |kind, name: &str, label: String| {
                edges.extend(places.get(&(kind, name)).map(|&to| Edge { from, to, label }));
            };
            for (name, dependency) in &service.depends_on {
                let condition = match dependency.condition {
                    Condition::Started => "",
                    Condition::Healthy => "healthy",
                    Condition::CompletedSuccessfully => "completed",
                };
                let optional = if dependency.required { "" } else { "optional" };
                let words: Vec<&str> =
                    [condition, optional].into_iter().filter(|it| !it.is_empty()).collect();
                add(Kind::Service, name, words.join(", "));
            }
            service.networks.keys().for_each(|name| add(Kind::Network, name, String::new()));
            for mount in service.volumes.iter().filter(|mount| mount.kind == MountKind::Volume) {
                if let Some(name) = &mount.source {
                    add(Kind::Volume, name, mount.target.clone());
                }
            }
        }
        Self { nodes, edges }
    }

    /// What a node needs.
    pub(crate) fn needs(&self, node: usize) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == node)
    }

    /// Services that no other service depends on.
    pub(crate) fn tops(&self) -> impl Iterator<Item = usize> {
        let is_needed = |node| self.edges.iter().any(|edge| edge.to == node);
        (0..self.nodes.len()).filter(move |&node| self.nodes[node].kind == Kind::Service && !is_needed(node))
    }
}

/// How a service is: `running`, `2 of 3 running`, `running, unhealthy`, `exited (1)`, `not created`.
fn state(containers: &[ObservedContainer], service: &str) -> (String, Health) {
    let own: Vec<_> = containers
        .iter()
        .filter(|it| it.record.spec.service == service && it.record.spec.number.is_some())
        .collect();
    let Some(first) = own.first() else { return ("not created".to_owned(), Health::Down) };
    let running = own.iter().filter(|it| it.state.status == Status::Running).count();
    if running == own.len() {
        let of = |word: &str| own.iter().filter(|it| row::health(&it.state) == word).count();
        let (unhealthy, starting, healthy) = (of("unhealthy"), of("starting"), of("healthy"));
        let many = if own.len() > 1 { format!("{running} running") } else { "running".to_owned() };
        return match (unhealthy, starting, healthy) {
            (1.., ..) => (format!("{many}, unhealthy"), Health::Ill),
            (0, 1.., _) => (format!("{many}, starting"), Health::Between),
            (0, 0, 1..) => (format!("{many}, healthy"), Health::Well),
            _ => (many, Health::Well),
        };
    }
    if running > 0 {
        return (format!("{running} of {} running", own.len()), Health::Between);
    }
    let code = first.state.exit.and_then(resource::ExitStatus::code);
    match (first.state.status, code) {
        (Status::Exited, Some(0)) => ("exited (0)".to_owned(), Health::Down),
        (Status::Exited, Some(code)) => (format!("exited ({code})"), Health::Ill),
        (Status::Restarting, _) => ("restarting".to_owned(), Health::Ill),
        (status, _) => (status.as_str().to_owned(), Health::Down),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `web` needs `db` healthy and a network; `db` has a volume.
    pub(crate) fn sample() -> Graph {
        let node = |kind, name: &str, state: Option<(&str, Health)>| Node {
            kind,
            name: name.to_owned(),
            state: state.map(|(words, health)| (words.to_owned(), health)),
        };
        let edge = |from, to, label: &str| Edge { from, to, label: label.to_owned() };
        Graph {
            nodes: vec![
                node(Kind::Service, "db", Some(("running, healthy", Health::Well))),
                node(Kind::Service, "web", Some(("exited (1)", Health::Ill))),
                node(Kind::Network, "back", None),
                node(Kind::Volume, "data", None),
            ],
            edges: vec![edge(0, 2, ""), edge(0, 3, "/var/lib"), edge(1, 0, "healthy"), edge(1, 2, "")],
        }
    }
}
