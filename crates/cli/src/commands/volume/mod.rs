//! `compose volume`: the volumes of the engine, whichever project made them, and those of nobody's, which files
//! name with `external: true`. Words, columns and JSON are Docker's.

mod create;
pub(crate) mod find;
mod inspect;
mod ls;
pub(crate) mod prune;
mod rm;

use crate::exit::{Exit, Failure};
use crate::session::Session;
use engine::user::Purpose;

/// What follows `volume`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The verb of the group.
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a volume that belongs to no project
    Create(create::Args),
    /// Show all that is known of volumes, as JSON
    Inspect(inspect::Args),
    /// List volumes
    #[command(alias = "list")]
    Ls(ls::Args),
    /// Remove volumes that no container mounts
    Prune(prune::Args),
    /// Remove volumes
    #[command(alias = "remove")]
    Rm(rm::Args),
}

impl Args {
    /// What the verb wants in an ordinary user's world. What is in a volume may belong to any id of the user's.
    pub(super) fn purpose(&self, dry_run: bool) -> Purpose {
        match self.verb {
            Verb::Inspect(_) | Verb::Ls(_) => Purpose::Look,
            _ if dry_run => Purpose::Look,
            _ => Purpose::Work,
        }
    }
}

/// Runs a verb of the group.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Create(args) => create::run(args, session),
        Verb::Inspect(args) => inspect::run(args, session),
        Verb::Ls(args) => ls::run(args, session),
        Verb::Prune(args) => prune::run(args, session),
        Verb::Rm(args) => rm::run(args, session),
    }
}
