//! `compose start`: starts containers that exist, dependencies first.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::verb::{self, Act};
use plan::Verb;

/// Flags of `start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Wait until services are running or healthy
    #[arg(long)]
    pub(crate) wait: bool,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait_timeout: Option<u64>,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Starts containers that exist, with those they depend on.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let limit = args.wait_timeout.filter(|seconds| *seconds > 0);
    verb::run(session, "start", &args.services, Act { wait: args.wait, limit, ..Act::new(Verb::Start) })
}
