//! `compose image tag`: gives an image another name.

use super::find;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;

/// Flags of `image tag`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The image, or its id or the beginning of it
    image: String,
    /// The new name, such as localhost/server:1.1
    reference: String,
}

/// Writes one more document; the image is not copied.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let known = session.viewer()?.store().images();
    let image = find::one(&known, &args.image)?;
    let reference = super::import::parse(&args.reference)?;
    if reference.digest.is_some() {
        return Err(Failure::new(format!("`{}` names a digest", args.reference))
            .hint("a digest is what an image has, not what it is called; give a name and a tag"));
    }
    if session.globals.dry_run {
        let (image, name) = (image.reference.familiar(), reference.familiar());
        output::planned(&format!("name {image} {name} too"));
        return Ok(Exit::Success);
    }
    let store = session.engine()?.store();
    store
        .tag_image(image, &reference)
        .map_err(|error| Failure::because(format!("cannot name `{}`", args.reference), error))?;
    Ok(Exit::Success)
}
