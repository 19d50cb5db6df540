//! `compose image prune`: removes images that no container uses.

use super::find::{remove, user};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::size;
use crate::{output, prompt};
use engine::Engine;
use resource::Image;

/// Flags of `image prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also images that have a name; without it only layers that nothing needs
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Asks, removes, and says how much room that made.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if args.all && !args.force && !prompt::confirm("Remove all images that no container uses?")? {
        return Ok(Exit::Success);
    }
    let freed = prune(session.engine()?, args.all)?;
    output::line(&format!("Total reclaimed space: {}", size::human(freed)))?;
    Ok(Exit::Success)
}

/// Removes unused images, if `all`, and the layers that nothing needs then; gives the bytes of those.
pub(crate) fn prune(engine: &Engine, all: bool) -> Result<u64, Failure> {
    let known = engine.store().images();
    for image in known.iter().filter(|_| all) {
        if user(engine, &image.id)?.is_none() {
            remove(engine, image)?;
            output::line(&untagged(image))?;
        }
    }
    let failed = |error| Failure::because("cannot remove layers that nothing needs any more", error);
    let collected = engine.collect_garbage().map_err(failed)?;
    for layer in &collected.layers {
        output::line(&format!("Deleted: {layer}"))?;
    }
    Ok(collected.bytes)
}

fn untagged(image: &Image) -> String {
    format!("Untagged: {}", image.reference.familiar())
}
