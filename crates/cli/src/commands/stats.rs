//! `compose stats`: would show what containers use.

use crate::exit::{Exit, Failure};
use crate::session::Session;

/// Flags of `stats`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stopped containers too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Only once
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Whole ids
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// The service, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) service: Option<String>,
}

/// Refuses: nothing reads the cgroups' counters for display yet.
pub(crate) fn run(_args: &Args, _session: &Session) -> Result<Exit, Failure> {
    Err(Failure::unsupported("`compose stats`").hint("`compose top` shows processor time by process"))
}
