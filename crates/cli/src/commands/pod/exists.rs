//! `compose pod exists`: says by its exit code whether there is such a pod, and nothing else.

use super::choose;
use crate::exit::{Exit, Failure};
use crate::session::Session;

/// Flags of `pod exists`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name, id or beginning of an id
    #[arg(value_name = "POD")]
    pod: String,
}

/// Ends with 0 for a pod that is there and 1 for one that is not.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    match choose::one(&choose::every(session)?, &args.pod) {
        Err(choose::NotOne::Missing { .. }) => Ok(Exit::Code(1)),
        found => Ok(found.map(|_| Exit::Success)?),
    }
}
