//! `compose image rm`: takes images away, and their layers when nothing else needs them.

use super::find::{matching, missing, remove, running_user, user};
use super::prune::{NEEDLESS_LAYERS, tell};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use resource::Image;
use std::collections::BTreeSet;

/// Flags of `image rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also images that stopped containers use, which keep their layers, and all names of an id; no error for one that
    /// is not there
    #[arg(short, long)]
    force: bool,
    /// References, also with a digest, or ids and beginnings of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// Refuses an id, or a digest alone, of an image that several repositories have: which name is to go is not said.
fn of_one_repository(found: &[&Image], text: &str) -> Result<(), Failure> {
    let repositories: BTreeSet<String> =
        found.iter().map(|image| image.reference.familiar_repository()).collect();
    if repositories.len() < 2 {
        return Ok(());
    }
    let names: Vec<String> = found.iter().map(|image| format!("`{}`", image.reference.familiar())).collect();
    Err(Failure::new(format!("`{text}` has names in several repositories: {}", names.join(", ")))
        .hint("say which of them is to go; `--force` takes all of them away"))
}

/// Removes images. All are looked up before the first is touched.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let viewer = session.viewer()?;
    let known = viewer.store().images();
    let mut chosen: Vec<&Image> = vec![];
    for text in &args.images {
        let found = matching(&known, text)?;
        if found.is_empty() && !args.force {
            return Err(missing(text, &known));
        }
        if !args.force {
            of_one_repository(&found, text)?;
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
