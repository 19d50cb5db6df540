//! The container of `run`: a service's, with what the command line changes.

use compose_spec::Project;
use diagnostic::Diagnostic;
use resource::{ContainerName, ContainerSpec, ImageNeed};
use std::collections::BTreeMap;

use crate::Options;

/// What the command line of `run` changes of a service's container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneOff {
    /// A random id, 64 hexadecimal digits: the slug label, and twelve of it for the name.
    pub slug: String,
    /// `--name`.
    pub name: Option<String>,
    /// The words after the service; empty keeps the service's command.
    pub command: Vec<String>,
    /// `--entrypoint`, split like a shell does; it clears the service's command when none is given.
    pub entrypoint: Option<Vec<String>>,
    /// `--env` over `--env-from-file`; `None` unsets.
    pub environment: BTreeMap<String, Option<String>>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--workdir`.
    pub working_dir: Option<String>,
    /// `--cap-add`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`.
    pub cap_drop: Vec<String>,
    /// `--publish`, short port syntax.
    pub publish: Vec<String>,
    /// `--service-ports`.
    pub service_ports: bool,
    /// `--volume`, short volume syntax; relative sources count from the project directory.
    pub volumes: Vec<String>,
    /// `--use-aliases`.
    pub use_aliases: bool,
    /// A terminal.
    pub tty: bool,
    /// Standard input stays open.
    pub interactive: bool,
    /// `--rm`.
    pub remove: bool,
}

/// The container to create for `run`, and the image it needs.
///
/// # Errors
/// Diagnostics, at least one of them an error.
pub fn one_off(
    project: &Project,
    service: &str,
    overrides: &OneOff,
    options: &Options<'_>,
) -> Result<(ContainerSpec, ImageNeed), Vec<Diagnostic>> {
    let _ = (project, service, overrides, options, ContainerName(String::new()));
    todo!()
}
