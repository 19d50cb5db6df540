//! `compose restart`: restarts containers as they are; changes of the file are not applied.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::verb::{self, Act};
use plan::Verb;

/// Flags of `restart`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave dependent services alone
    #[arg(long)]
    pub(crate) no_deps: bool,
    /// Seconds before containers are killed
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<i64>,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Restarts containers, and those that want to be restarted with them.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let act = Act::new(Verb::Restart { no_deps: args.no_deps });
    verb::run(session, "restart", &args.services, Act { timeout: args.timeout, ..act })
}
