//! `compose image rm`: takes images away, and their layers when nothing else needs them.

use super::find::{find, remove, user};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use resource::Image;

/// Flags of `image rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// References, or ids and beginnings of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// Removes images. All are looked up before the first is touched.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let engine = session.engine()?;
    let known = engine.store().images();
    let mut chosen: Vec<&Image> = vec![];
    for text in &args.images {
        for image in find(&known, text)? {
            if !chosen.contains(&image) {
                chosen.push(image);
            }
        }
    }
    for image in &chosen {
        let stays = known.iter().any(|other| other.id == image.id && !chosen.contains(&other));
        if let Some(container) = (!stays).then(|| user(engine, &image.id)).transpose()?.flatten() {
            return Err(Failure::new(format!(
                "image `{}` is used by container {container}",
                image.reference.familiar()
            ))
            .hint("remove the container first; `compose down` removes those of a project"));
        }
    }
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
