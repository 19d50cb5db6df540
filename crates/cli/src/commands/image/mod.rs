//! `compose image`: the images of the engine, whichever project uses them.

pub(crate) mod change;
mod import;
mod ls;
mod rm;

use crate::exit::{Exit, Failure};
use crate::session::Session;

/// What follows `image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The verb of the group.
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make an image of a folder or an archive that holds a root file system
    Import(import::Args),
    /// List images
    #[command(alias = "list")]
    Ls(ls::Args),
    /// Remove images
    #[command(alias = "remove")]
    Rm(rm::Args),
}

/// Runs a verb of the group.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if session.globals.dry_run {
        return Err(Failure::unsupported("`--dry-run` with `compose image`"));
    }
    match &args.verb {
        Verb::Import(args) => import::run(args, session),
        Verb::Ls(args) => ls::run(args, session),
        Verb::Rm(args) => rm::run(args, session),
    }
}
