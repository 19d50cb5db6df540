//! `compose image rm`: takes images away, and their layers when nothing else needs them.

use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use engine::Engine;
use resource::{Digest, Image};

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

/// The images that a reference or the beginning of an id names.
fn find<'a>(known: &'a [Image], text: &str) -> Result<Vec<&'a Image>, Failure> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let reference = super::import::parse(text);
    let by_name: Vec<&Image> = known
        .iter()
        .filter(|image| reference.as_ref().is_ok_and(|reference| image.reference == *reference))
        .collect();
    if !by_name.is_empty() {
        return Ok(by_name);
    }
    let by_id: Vec<&Image> =
        known.iter().filter(|image| hex.len() >= 4 && image.id.hex().starts_with(hex)).collect();
    match by_id.first() {
        Some(first) if by_id.iter().all(|image| image.id == first.id) => Ok(by_id),
        Some(_) => Err(Failure::new(format!("`{text}` is the beginning of several image ids"))),
        None => {
            Err(Failure::new(format!("there is no image `{text}`")).hint("`compose image ls` lists them"))
        }
    }
}

/// A container made of this image, in whichever project.
fn user(engine: &Engine, id: &Digest) -> Result<Option<String>, Failure> {
    let pods = engine.pods().map_err(|error| Failure::because("cannot list the projects", error))?;
    let mut containers = pods.iter().flat_map(|pod| &pod.containers).map(|container| &container.record);
    Ok(containers
        .find(|record| record.image == *id)
        .map(|record| format!("`{}` of project `{}`", record.spec.name, record.spec.pod)))
}

/// An image is kept under the platform it was asked for with: its own, or the host's for want of one.
fn remove(engine: &Engine, image: &Image) -> Result<(), Failure> {
    let store = engine.store();
    let failed =
        |error| Failure::because(format!("cannot remove image `{}`", image.reference.familiar()), error);
    if !store.remove_image(&image.reference, Some(&image.platform)).map_err(failed)? {
        store.remove_image(&image.reference, None).map_err(failed)?;
    }
    Ok(())
}
