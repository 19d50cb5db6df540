//! The project as rows: what is known of each container, and what it uses.

use crate::session::Subject;
use crate::view::logs::display_name;
use crate::view::row;
use crate::view::usage::{self, Before};
use engine::Engine;
use resource::{ContainerId, ExitStatus, Observed, ObservedContainer, Status, Timestamp};
use std::collections::HashMap;
use ui::{Mood, Row, Usage};

/// What containers used when they were last looked at.
#[derive(Default)]
pub(super) struct Samples {
    before: Before,
    used: HashMap<ContainerId, Usage>,
}

impl Samples {
    /// Looks at what each container uses now.
    pub(super) fn take(&mut self, engine: &Engine, observed: &Observed) {
        self.used.clear();
        for container in &observed.containers {
            let (record, sample) = (&container.record, engine.sample(container));
            let Some(counted) = sample.usage else { continue };
            let started = container.state.started.unwrap_or(record.created);
            let processor = usage::percent(&mut self.before, record.id.as_str(), Some(counted.cpu), started);
            let traffic = sample.traffic.map(|traffic| (traffic.received, traffic.sent));
            let usage = Usage { processor: processor.unwrap_or(0.0), memory: counted.memory, traffic };
            self.used.insert(record.id.clone(), usage);
        }
        let is_there = |id: &str| self.used.keys().any(|known| known.as_str() == id);
        self.before.retain(|id, _| is_there(id));
    }

    fn of(&self, container: &ObservedContainer) -> Option<Usage> {
        let runs = matches!(container.state.status, Status::Running | Status::Paused);
        self.used.get(&container.record.id).copied().filter(|_| runs)
    }
}

/// Containers by service and number, and services without one in their places.
pub(super) fn of(subject: &Subject, observed: &Observed, samples: &Samples, now: Timestamp) -> Vec<Row> {
    let containers = observed.containers.iter().filter(|container| !row::is_one_off(container));
    let mut rows: Vec<Row> =
        containers.map(|container| row(container, subject.pod.as_str(), samples, now)).collect();
    let services = subject.loaded.iter().flat_map(|(project, _)| project.services.keys());
    let missing: Vec<&String> =
        services.filter(|name| !rows.iter().any(|row| row.service == **name)).collect();
    rows.extend(missing.into_iter().map(|name| Row {
        name: name.clone(),
        service: name.clone(),
        state: "not created".to_owned(),
        ..Row::default()
    }));
    rows.sort_by(|one, other| (&one.service, one.number).cmp(&(&other.service, other.number)));
    rows
}

fn row(container: &ObservedContainer, project: &str, samples: &Samples, now: Timestamp) -> Row {
    let (spec, state) = (&container.record.spec, &container.state);
    let health = row::health(state);
    Row {
        name: display_name(spec.name.as_str(), project),
        service: spec.service.clone(),
        number: spec.number,
        // Health has a column of its own.
        state: row::status(&resource::ContainerState { health: None, ..state.clone() }, now),
        running: state.status == Status::Running,
        health: health.to_owned(),
        restarts: state.restart_count,
        ports: row::port_text(container),
        mood: mood(state.status, health, state.exit),
        why: row::why(state),
        usage: samples.of(container),
    }
}

fn mood(status: Status, health: &str, exit: Option<ExitStatus>) -> Mood {
    match (status, health) {
        (Status::Running, "unhealthy") => Mood::Ill,
        (Status::Running, "starting") | (Status::Paused, _) => Mood::Between,
        (Status::Running, _) => Mood::Well,
        (Status::Restarting, _) => Mood::Ill,
        (Status::Exited, _) if exit.and_then(ExitStatus::code) != Some(0) => Mood::Ill,
        _ => Mood::Down,
    }
}
