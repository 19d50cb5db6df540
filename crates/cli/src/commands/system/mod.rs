//! `compose system`: the engine's disk.

mod df;
mod prune;

use crate::exit::{Exit, Failure};
use crate::session::Session;

/// What follows `system`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The verb of the group.
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what takes room on the disk
    Df(df::Args),
    /// Remove images, build results and layers that nothing uses
    Prune(prune::Args),
}

/// Runs a verb of the group.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Df(args) => df::run(args, session),
        Verb::Prune(args) => prune::run(args, session),
    }
}
