//! `compose image`: the images of the engine, whichever project uses them.

pub(crate) mod change;
mod copy;
pub(crate) mod filter;
mod find;
mod history;
mod import;
mod inspect;
pub(crate) mod load;
pub(crate) mod ls;
pub(crate) mod places;
pub(crate) mod prune;
mod push;
mod rm;
mod save;
mod tag;

use crate::exit::{Exit, Failure};
use crate::session::Session;
use engine::user::Purpose;

/// What follows `image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The verb of the group.
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Copy an image between registries, files and here
    Copy(copy::Args),
    /// Show how an image was made
    History(history::Args),
    /// Make an image of a folder or an archive that holds a root file system
    Import(import::Args),
    /// Show all that is known of images, as JSON
    Inspect(inspect::Args),
    /// Take images from a file or a folder
    Load(load::Args),
    /// List images
    #[command(alias = "list")]
    Ls(ls::Args),
    /// Remove images that no container uses
    Prune(prune::Args),
    /// Push an image to its registry
    Push(push::Args),
    /// Remove images
    #[command(alias = "remove")]
    Rm(rm::Args),
    /// Write images into a file or a folder
    Save(save::Args),
    /// Give an image another name
    Tag(tag::Args),
}

impl Args {
    /// What the verb wants in an ordinary user's world.
    pub(super) fn purpose(&self, dry_run: bool) -> Purpose {
        match self.verb {
            _ if dry_run => Purpose::Look,
            Verb::History(_) | Verb::Inspect(_) | Verb::Ls(_) => Purpose::Look,
            _ => Purpose::Work,
        }
    }
}

/// Runs a verb of the group.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Copy(args) => copy::run(args, session),
        Verb::History(args) => history::run(args, session),
        Verb::Import(args) => import::run(args, session),
        Verb::Inspect(args) => inspect::run(args, session),
        Verb::Load(args) => load::run(args, session),
        Verb::Ls(args) => ls::run(args, session),
        Verb::Prune(args) => prune::run(args, session),
        Verb::Push(args) => push::run(args, session),
        Verb::Rm(args) => rm::run(args, session),
        Verb::Save(args) => save::run(args, session),
        Verb::Tag(args) => tag::run(args, session),
    }
}
