//! `compose system prune`: removes images, build results and layers that nothing uses, and volumes without a name
//! where that is asked for. Containers belong to projects, whose `down` removes them; networks and volumes with a
//! name have a `prune` of their own.

use crate::commands::image::filter::Filters;
use crate::commands::image::prune::{self as images, prune};
use crate::commands::volume;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::view::size;
use crate::{output, prompt};
use engine::Engine;
use resource::VolumeRecord;

/// Flags of `system prune`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also images that have a name
    #[arg(short, long)]
    all: bool,
    /// Only images and volumes of label=KEY[=VALUE] or label!=KEY[=VALUE], and images made before until=TIME;
    /// the build cache, which has neither, stays
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Also volumes without a name that no container mounts
    #[arg(long)]
    volumes: bool,
}

/// Asks, removes, and says how much room that made.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let filters = images::read(&args.filters)?;
    if args.volumes && filters.is_about_time {
        return Err(Failure::new("`--filter until=…` does not go with `--volumes`")
            .hint("when a volume was last used is not known; ask for volumes without `until`"));
    }
    if session.globals.dry_run {
        return preview(args, session, &filters);
    }
    if !args.force && !prompt::confirm(&question(args, &filters))? {
        return Ok(Exit::Success);
    }
    let engine = session.engine()?;
    let mut freed = 0;
    if args.volumes {
        freed += prune_volumes(engine, &filters)?;
    }
    if filters.is_empty() {
        let failed = |error| Failure::because("cannot remove the build cache", error);
        freed += engine.store().forget_builds().map_err(failed)?.bytes;
    }
    freed += prune(engine, args.all.then_some(&filters))?;
    output::line(&format!("Total reclaimed space: {}", size::human(freed)))?;
    Ok(Exit::Success)
}

/// Says what would be removed.
fn preview(args: &Args, session: &Session, filters: &Filters) -> Result<Exit, Failure> {
    let engine = session.viewer()?;
    if args.volumes {
        for volume in engine.unused_volumes().iter().filter(|volume| is_meant(volume, filters)) {
            output::planned(&format!("remove volume {}", volume.spec.name));
        }
    }
    if filters.is_empty() {
        output::planned("remove the build cache");
    }
    images::preview(engine, args.all.then_some(filters))?;
    Ok(Exit::Success)
}

/// Whether a volume is one that was made for a container and has what is asked for.
fn is_meant(volume: &VolumeRecord, filters: &Filters) -> bool {
    volume.anonymous && filters.takes_labels(&volume.spec.labels)
}

fn question(args: &Args, filters: &Filters) -> String {
    let mut what = vec![];
    what.extend(filters.is_empty().then_some("the build cache"));
    what.push(if args.all { "all images" } else { "all layers" });
    what.extend(args.volumes.then_some("all volumes without a name"));
    format!("Remove {} that no container uses?", what.join(" and "))
}

/// Removes volumes that were made for a container that is gone; gives their bytes.
fn prune_volumes(engine: &Engine, filters: &Filters) -> Result<u64, Failure> {
    let mut freed = 0;
    for volume in engine.volumes().iter().filter(|volume| is_meant(volume, filters)) {
        freed += volume::prune::remove(engine, &volume.spec.name)?;
    }
    Ok(freed)
}
