//! `compose pause` and `compose unpause`: freezes and thaws the processes of containers.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::verb::{self, Act};
use plan::Verb;

/// Flags of `pause`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Freeze.
    Pause,
    /// Thaw.
    Unpause,
}

/// Freezes or thaws containers.
pub(crate) fn run(args: &Args, session: &Session, way: Way) -> Result<Exit, Failure> {
    let (operation, verb) = match way {
        Way::Pause => ("pause", Verb::Pause),
        Way::Unpause => ("unpause", Verb::Unpause),
    };
    verb::run(session, operation, &args.services, Act::new(verb))
}
