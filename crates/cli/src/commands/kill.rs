//! `compose kill`: sends a signal to running containers.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::verb::{self, Act};
use plan::{Orphans, Verb};

/// Flags of `kill`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The signal
    #[arg(short, long, default_value = "SIGKILL", value_name = "SIGNAL")]
    pub(crate) signal: String,
    /// Signal containers of services that are not in the file too
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Signals containers, one-offs included.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let signal = verb::signal(&args.signal)?;
    let remove = args.remove_orphans || session.environment().says_yes("COMPOSE_REMOVE_ORPHANS");
    let act = Act {
        orphans: if remove { Orphans::Remove } else { Orphans::Ignore },
        nothing: Some("No container to kill"),
        ..Act::new(Verb::Kill { signal })
    };
    verb::run(session, "kill", &args.services, act)
}
