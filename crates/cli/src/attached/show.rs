//! How the lines of an attached `up` look.

use super::Attached;
use crate::exit::Failure;
use crate::output;
use crate::view::logs::{Prefixes, display_name};
use engine::{Event, LogLine};
use resource::PodName;
use std::collections::BTreeSet;

/// How lines look.
pub(super) struct Show {
    prefixes: Prefixes,
    project: String,
    /// Services whose output is shown.
    pub(super) shown: BTreeSet<String>,
    timestamps: bool,
}

impl Show {
    /// The lines of an attached `up`.
    pub(super) fn new(attached: &Attached<'_, '_>, pod: &PodName) -> Self {
        Self {
            prefixes: Prefixes::new(attached.colour, attached.prefix),
            project: pod.to_string(),
            shown: attached.shown.clone(),
            timestamps: attached.timestamps,
        }
    }

    /// Says whose output is shown.
    pub(super) fn attach(&mut self, observed: &resource::Observed) -> Result<(), Failure> {
        let names: BTreeSet<String> = observed
            .containers
            .iter()
            .map(|container| &container.record.spec)
            .filter(|spec| !spec.is_infra() && spec.number.is_some() && self.shown.contains(&spec.service))
            .map(|spec| display_name(spec.name.as_str(), &self.project))
            .collect();
        names.iter().for_each(|name| self.prefixes.add(name));
        if names.is_empty() {
            return Ok(());
        }
        output::line(&format!("Attaching to {}", names.into_iter().collect::<Vec<_>>().join(", ")))
    }

    /// Shows a line, if it is of a service that is shown.
    pub(super) fn line(&mut self, line: &LogLine) -> Result<(), Failure> {
        if line.number.is_none() || !self.shown.contains(&line.service) {
            return Ok(());
        }
        let name = display_name(line.container.as_str(), &self.project);
        self.prefixes.add(&name);
        let text = self.prefixes.line(&name, self.timestamps.then_some(line.time), &line.text);
        if line.stderr {
            output::message(&text);
            return Ok(());
        }
        output::result(&text)
    }

    /// Tells that a container ended.
    pub(super) fn exited(
        &mut self,
        event: &Event,
        code: Option<i32>,
        restarting: bool,
    ) -> Result<(), Failure> {
        if !self.shown.contains(&event.service) {
            return Ok(());
        }
        let name = display_name(event.name.as_str(), &self.project);
        let code = code.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
        let restarting = if restarting { " (restarting)" } else { "" };
        output::line(&format!("{name} exited with code {code}{restarting}"))
    }
}
