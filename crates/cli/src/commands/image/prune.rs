//! `compose image prune`: removes images that no container uses.

use super::filter::{Filters, PRUNED};
use super::find::{remove, user};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::size;
use crate::{output, prompt};
use engine::Engine;
use resource::{Image, Timestamp};

/// Flags of `image prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also images that have a name; without it only layers that nothing needs
    #[arg(short, long)]
    all: bool,
    /// With `--all`: only images of label=KEY[=VALUE], label!=KEY[=VALUE], or made before until=TIME
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Asks, removes, and says how much room that made.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let filters = read(&args.filters)?;
    if session.globals.dry_run {
        preview(session.viewer()?, args.all.then_some(&filters))?;
        return Ok(Exit::Success);
    }
    if args.all && !args.force && !prompt::confirm("Remove all images that no container uses?")? {
        return Ok(Exit::Success);
    }
    let freed = prune(session.engine()?, args.all.then_some(&filters))?;
    output::line(&format!("Total reclaimed space: {}", size::human(freed)))?;
    Ok(Exit::Success)
}

/// The filters of what takes images away.
///
/// # Errors
/// As [`Filters::read`].
pub(crate) fn read(texts: &[String]) -> Result<Filters, Failure> {
    Filters::read(texts, PRUNED, &[], Timestamp::now())
}

/// Removes the unused images that `which` means, if any, and the layers that nothing needs then; gives the bytes
/// of those.
pub(crate) fn prune(engine: &Engine, which: Option<&Filters>) -> Result<u64, Failure> {
    for image in &unused(engine, which)? {
        remove(engine, image)?;
        output::line(&format!("Untagged: {}", image.reference.familiar()))?;
    }
    let failed = |error| Failure::because("cannot remove layers that nothing needs any more", error);
    let collected = engine.collect_garbage().map_err(failed)?;
    for layer in &collected.layers {
        output::line(&format!("Deleted: {layer}"))?;
    }
    Ok(collected.bytes)
}

/// Says what [`prune`] would remove.
///
/// # Errors
/// The projects cannot be listed.
pub(crate) fn preview(engine: &Engine, which: Option<&Filters>) -> Result<(), Failure> {
    unused(engine, which)?.iter().for_each(tell);
    output::planned(NEEDLESS_LAYERS);
    Ok(())
}

/// What is said of the layers that would go with images.
pub(crate) const NEEDLESS_LAYERS: &str = "remove the layers that nothing needs then";

/// Says that an image would be removed.
pub(super) fn tell(image: &Image) {
    output::planned(&format!("untag {}", image.reference.familiar()));
}

/// The images that `which` means, if any, and no container uses.
fn unused(engine: &Engine, which: Option<&Filters>) -> Result<Vec<Image>, Failure> {
    let meant = engine.store().images().into_iter();
    let mut images = vec![];
    for image in meant.filter(|image| which.is_some_and(|filters| filters.takes(image))) {
        if user(engine, &image.id)?.is_none() {
            images.push(image);
        }
    }
    Ok(images)
}
