//! `compose system prune`: removes images, build results and layers that nothing uses. Containers, networks and
//! volumes belong to projects, whose `down` removes them.

use crate::commands::image::prune::prune;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::size;
use crate::{output, prompt};

/// Flags of `system prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also images that have a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Asks, removes, and says how much room that made.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let what = if args.all { "the build cache and all images" } else { "the build cache and all layers" };
    if !args.force && !prompt::confirm(&format!("Remove {what} that no container uses?"))? {
        return Ok(Exit::Success);
    }
    let engine = session.engine()?;
    let failed = |error| Failure::because("cannot remove the build cache", error);
    let forgotten = engine.store().forget_builds().map_err(failed)?;
    let freed = forgotten.bytes + prune(engine, args.all)?;
    output::line(&format!("Total reclaimed space: {}", size::human(freed)))?;
    Ok(Exit::Success)
}
