//! `compose image rm`: takes images away, and their layers when nothing else needs them.

use super::find::{matching, missing, remove, running_user, user};
use super::prune::{NEEDLESS_LAYERS, tell};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use resource::Image;

/// Flags of `image rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also images that stopped containers use, which keep their layers; no error for one that is not there
    #[arg(short, long)]
    force: bool,
    /// References, or ids and beginnings of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// Removes images. All are looked up before the first is touched.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let viewer = session.viewer()?;
    let known = viewer.store().images();
    let mut chosen: Vec<&Image> = vec![];
    for text in &args.images {
        let found = matching(&known, text)?;
        if found.is_empty() && !args.force {
            return Err(missing(text));
        }
        for image in found {
            if !chosen.contains(&image) {
                chosen.push(image);
            }
        }
    }
    for image in &chosen {
        let stays = known.iter().any(|other| other.id == image.id && !chosen.contains(&other));
        let user = || if args.force { running_user(viewer, &image.id) } else { user(viewer, &image.id) };
        if let Some(container) = (!stays).then(user).transpose()?.flatten() {
            return Err(Failure::new(format!(
                "image `{}` is used by container {container}",
                image.reference.familiar()
            ))
            .hint(if args.force {
                "it runs: stop the container first; `compose stop` stops those of a project"
            } else {
                "remove the container first; `compose down` removes those of a project"
            }));
        }
    }
    if session.globals.dry_run {
        chosen.iter().for_each(|image| tell(image));
        output::planned(NEEDLESS_LAYERS);
        return Ok(Exit::Success);
    }
    let engine = session.engine()?;
    for image in &chosen {
        remove(engine, image)?;
        output::line(&format!("Untagged: {}", image.reference.familiar()))?;
    }
    let failed = |error| Failure::because("cannot remove layers that nothing needs any more", error);
    for layer in engine.collect_garbage().map_err(failed)?.layers {
        output::line(&format!("Deleted: {layer}"))?;
    }
    Ok(Exit::Success)
}
