//! `compose ls`: lists the projects of this machine.

use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::template::{self, Format};
use crate::view::{ports, table};
use engine::{PodSummary, Subject};
use resource::{Status, label};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Flags of `ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stopped projects too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// name=PATTERN
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
    /// table, table TEMPLATE, json, or a template
    #[arg(long, default_value = "table", hide_default_value = true, value_name = "FORMAT")]
    pub(crate) format: String,
    /// Only names
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// A project as it is shown.
struct Shown {
    name: String,
    status: String,
    files: String,
    /// The project that it is a copy of.
    origin: Option<String>,
    ports: String,
}

impl Shown {
    fn row(self, with_copies: bool) -> Vec<String> {
        let mut row = vec![self.name, self.status, self.files];
        if with_copies {
            row.extend([self.origin.unwrap_or_default(), self.ports]);
        }
        row
    }

    fn json(self) -> Value {
        let has_origin = self.origin.is_some();
        let mut fields = self.fields();
        fields.retain(|field, _| has_origin || field != "CopyOf");
        Value::Object(fields)
    }

    /// What templates may name.
    fn fields(self) -> Map<String, Value> {
        let object = json!({
            "Name": self.name,
            "Status": self.status,
            "ConfigFiles": self.files,
            "Ports": self.ports,
            "CopyOf": self.origin.unwrap_or_default(),
        });
        match object {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// Lists projects.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let format = Format::parse(&args.format)?;
    let mut patterns = vec![];
    for filter in &args.filter {
        match filter.split_once('=') {
            Some(("name", pattern)) => {
                if let Some(fault) = crate::pattern::fault(pattern) {
                    return Err(Failure::new(format!("invalid filter `{filter}`: {fault}"))
                        .hint("known are `.`, `*`, `+`, `?`, `^`, `$`, `[…]` and `\\` before one of them"));
                }
                patterns.push(pattern.to_owned());
            }
            _ => {
                return Err(
                    Failure::new(format!("invalid filter `{filter}`")).hint("known is `name=PATTERN`")
                );
            }
        }
    }
    let pods =
        session.engine()?.pods().map_err(|error| Failure::because("cannot list the projects", error))?;
    let chosen: Vec<&PodSummary> = pods
        .iter()
        .filter(|pod| patterns.iter().all(|pattern| crate::pattern::found(pattern, pod.record.name.as_str())))
        .collect();
    chosen.iter().flat_map(|pod| &pod.damage).for_each(|damage| session.warn(&damage.to_string()));
    let shown: Vec<Shown> = chosen.into_iter().filter_map(|pod| shown(pod, args.all)).collect();
    if args.quiet {
        output::result(&shown.iter().map(|project| format!("{}\n", project.name)).collect::<String>())?;
        return Ok(Exit::Success);
    }
    let none = resource::Labels::new();
    let rows = |shown: Vec<Shown>| shown.into_iter().map(|one| (one.fields(), &none)).collect::<Vec<_>>();
    match &format {
        Format::Table => {
            // Who has copies has to tell them apart, and wants to know where they are.
            let copies = shown.iter().any(|project| project.origin.is_some());
            let mut header = vec!["NAME", "STATUS", "CONFIG FILES"];
            header.extend(copies.then_some(["COPY OF", "PORTS"]).into_iter().flatten());
            let rows: Vec<Vec<String>> = shown.into_iter().map(|project| project.row(copies)).collect();
            output::result(&table::table(&header, &rows))?;
        }
        Format::Json => {
            let projects: Vec<Value> = shown.into_iter().map(Shown::json).collect();
            output::line(&Value::Array(projects).to_string())?;
        }
        Format::TableOf(template) => {
            output::result(&template::titled(template, &[], true, &rows(shown))?)?;
        }
        Format::Lines(template) => output::result(&template::rows(template, false, &rows(shown))?)?,
    }
    Ok(Exit::Success)
}

fn shown(pod: &PodSummary, all: bool) -> Option<Shown> {
    let ordinary: Vec<_> = pod
        .containers
        .iter()
        .filter(|one| !one.record.spec.is_infra() && !crate::view::row::is_one_off(one))
        .collect();
    let up = |status| matches!(status, Status::Running | Status::Paused | Status::Restarting);
    // What is damaged may run, and wants to be seen.
    let lost = pod.damage.iter().filter(|damage| matches!(damage.subject, Subject::Container(..)));
    let lost: Vec<&str> = lost.map(|_| "damaged").collect();
    let is_lost = pod.damage.iter().any(|damage| matches!(damage.subject, Subject::Pod(_)));
    if !all && lost.is_empty() && !is_lost && !ordinary.iter().any(|container| up(container.state.status)) {
        return None;
    }
    // An infra has the ports of its pod.
    let ports: Vec<_> = pod.containers.iter().flat_map(|one| one.state.ports.iter().cloned()).collect();
    let counted = ordinary.iter().filter(|container| all || up(container.state.status));
    let files = pod.record.labels.get(label::CONFIG_FILES).cloned();
    let of_container = || {
        ordinary.iter().find_map(|container| container.record.spec.labels.get(label::CONFIG_FILES).cloned())
    };
    Some(Shown {
        name: pod.record.name.to_string(),
        status: status(states(counted.map(|container| container.state.status.as_str()).chain(lost)), is_lost),
        files: files.or_else(of_container).unwrap_or_default(),
        origin: pod.record.labels.get(label::ORIGIN).cloned(),
        ports: ports::text(&ports, &[]),
    })
}

/// The states of the containers, and that the pod's own document is damaged.
fn status(states: String, is_lost: bool) -> String {
    match (states.as_str(), is_lost) {
        (_, false) => states,
        ("", true) => "damaged".to_owned(),
        (_, true) => format!("damaged: {states}"),
    }
}

/// `exited(1), running(2)`, the states sorted.
fn states<'a>(states: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    counts.iter().map(|(state, count)| format!("{state}({count})")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_counted_and_sorted() {
        assert_eq!(states(["running", "exited", "running"].into_iter()), "exited(1), running(2)");
        assert_eq!(states([].into_iter()), "");
    }
}
