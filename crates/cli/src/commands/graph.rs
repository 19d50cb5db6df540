//! `compose graph`: what depends on what, and how it is.

use crate::exit::{Exit, Failure};
use crate::graph::{self, Graph};
use crate::output;
use crate::session::Session;
use clap::ValueEnum;
use compose_spec::Options;

/// Flags of `graph`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The form of the graph
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Form,
    /// Leave out how containers are
    #[arg(long)]
    pub(crate) no_state: bool,
    /// Services, with all they need; all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Trees of services, for people
    Text,
    /// Graphviz
    Dot,
    /// Mermaid, as web pages draw it
    Mermaid,
    /// A picture
    Svg,
}

/// Writes the graph.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let (project, _) = session.load_chosen(&args.services, Options::default())?;
    let observed = match args.no_state {
        true => None,
        false => Some(session.containers(&resource::PodName(project.name.clone()))?),
    };
    let graph = Graph::of(&project, observed.as_ref());
    output::result(&match args.format {
        Form::Text => graph::text::write(&graph, !speaks_unicode(session)),
        Form::Dot => graph::dot::write(&graph),
        Form::Mermaid => graph::mermaid::write(&graph),
        Form::Svg => graph::svg::write(&graph),
    })?;
    Ok(Exit::Success)
}

/// Whether the locale's letters are Unicode's; one that says nothing is taken to be of today.
pub(crate) fn speaks_unicode(session: &Session) -> bool {
    let environment = session.environment();
    let named = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| environment.of_process(name).filter(|value| !value.is_empty()));
    named.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
