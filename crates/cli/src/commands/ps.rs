//! `compose ps`: lists containers.

use crate::damaged::Lost;
use crate::exit::{Exit, Failure};
use crate::session::{Session, Subject};
use crate::view::template::{self, Format};
use crate::view::{row, table};
use crate::{damaged, output, select, terminal};
use resource::{ObservedContainer, Status, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;

/// Flags of `ps`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stopped and one-off containers too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// status=VALUE
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Only containers in this state
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Vec<String>,
    /// table, table TEMPLATE, json, or a template
    #[arg(long, default_value = "table", hide_default_value = true, value_name = "FORMAT")]
    pub(crate) format: String,
    /// Whole ids and commands
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Containers of services that are not in the file too
    #[arg(long, default_value_t = true, hide_default_value = true, hide_possible_values = true,
        action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_name = "BOOL")]
    pub(crate) orphans: bool,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Only names of services
    #[arg(long = "services")]
    pub(crate) only_services: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// States that `--status` knows; `removing` never occurs here.
const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "exited", "removing", "dead"];

/// Lists containers; a person also reads why one is not up.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let states = states(args)?;
    let format = Format::parse_or_raw(&args.format, template::RAW_CONTAINER)?;
    let subject = session.subject(&[])?;
    let observed = session.containers(&subject.pod)?;
    session.timing("observed");
    let damage = session.damage(&subject.pod)?;
    damage.iter().for_each(|damage| session.warn(&damage.to_string()));
    let chosen = select::services(&args.services, subject.known(&observed))?;
    let in_file = subject.in_file();
    let shown: Vec<&ObservedContainer> = observed
        .containers
        .iter()
        .filter(|container| {
            let spec = &container.record.spec;
            (chosen.is_empty() || chosen.contains(&spec.service))
                && (args.orphans
                    || in_file.as_ref().is_none_or(|names| names.contains(spec.service.as_str())))
                && state_shown(args, &states, container)
        })
        .collect();
    let mut lost = damaged::containers(&damage, &subject, &chosen);
    lost.retain(|lost| {
        let in_file = || {
            in_file.as_ref().zip(lost.service.as_deref()).is_some_and(|(names, name)| names.contains(name))
        };
        let asked = if states.is_empty() { args.all } else { states.contains(damaged::STATE) };
        asked && (args.orphans || in_file())
    });
    if args.quiet {
        let ids = shown.iter().map(|container| &container.record.id).chain(lost.iter().map(|lost| lost.id));
        output::result(&ids.map(|id| format!("{id}\n")).collect::<String>())?;
    } else if args.only_services {
        let names = shown.iter().map(|container| container.record.spec.service.as_str());
        let names: BTreeSet<&str> =
            names.chain(lost.iter().filter_map(|lost| lost.service.as_deref())).collect();
        output::result(&names.iter().map(|name| format!("{name}\n")).collect::<String>())?;
    } else {
        output::result(&text(&shown, &lost, &subject, &format, args.no_trunc)?)?;
        if format == Format::Table && terminal::stdout() && terminal::stderr() {
            let ours = observed.containers.iter().filter(|container| {
                let service = &container.record.spec.service;
                !row::is_one_off(container) && (chosen.is_empty() || chosen.contains(service))
            });
            let now = Timestamp::now();
            let troubles = ours.filter_map(|container| {
                row::trouble(container.record.spec.name.as_str(), &container.state, now)
            });
            troubles.for_each(|text| output::message(&format!("{text}\n")));
        }
    }
    session.supervise(&subject.pod, &observed);
    Ok(Exit::Success)
}

/// The states asked for; empty means those of containers that are up.
fn states(args: &Args) -> Result<BTreeSet<String>, Failure> {
    let mut states: BTreeSet<String> = args.status.iter().cloned().collect();
    if let Some(filter) = &args.filter {
        match filter.split_once("=") {
            Some(("status", state)) => drop(states.insert(state.to_owned())),
            _ => {
                return Err(
                    Failure::new(format!("invalid filter `{filter}`")).hint("known is `status=VALUE`")
                );
            }
        }
    }
    match states.iter().find(|state| !STATES.contains(&state.as_str())) {
        Some(unknown) => Err(Failure::new(format!("unknown status `{unknown}`"))
            .hint(format!("known are {}", STATES.join(", ")))),
        None => Ok(states),
    }
}

fn state_shown(args: &Args, states: &BTreeSet<String>, container: &ObservedContainer) -> bool {
    let status = container.state.status;
    if !states.is_empty() {
        return states.contains(status.as_str());
    }
    let up = matches!(status, Status::Running | Status::Paused | Status::Restarting);
    args.all || (up && !row::is_one_off(container))
}

fn text(
    shown: &[&ObservedContainer],
    lost: &[Lost<'_>],
    subject: &Subject,
    format: &Format,
    whole: bool,
) -> Result<String, Failure> {
    let now = Timestamp::now();
    let image = |container: &ObservedContainer| container.record.spec.image.written();
    let no_labels = resource::Labels::new();
    let fields = || {
        let known = shown.iter().map(|container| {
            (row::fields(container, image(container), now, whole), &container.record.spec.labels)
        });
        known.chain(lost.iter().map(|lost| (lost.fields(subject, whole), &no_labels)))
    };
    match format {
        Format::Table => {
            let known = shown.iter().map(|container| row::cells(container, image(container), now, whole));
            let rows: Vec<Vec<String>> = known.chain(lost.iter().map(Lost::cells)).collect();
            Ok(table::table(&row::HEADER, &rows))
        }
        Format::Json => Ok(fields().map(|(fields, _)| format!("{}\n", Value::Object(fields))).collect()),
        Format::TableOf(template) => template::rows(template, true, &fields().collect::<Vec<_>>()),
        Format::Lines(template) => template::rows(template, false, &fields().collect::<Vec<_>>()),
    }
}
