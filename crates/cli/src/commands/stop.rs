//! `compose stop`: stops containers and leaves them, their networks and volumes in place.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::verb::{self, Act};
use plan::Verb;

/// Flags of `stop`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds before containers are killed
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<i64>,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Stops containers, dependents first.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    verb::run(session, "stop", &args.services, Act { timeout: args.timeout, ..Act::new(Verb::Stop) })
}
