//! `compose image import`: an image without a registry and without a build.

use super::change;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::{output, perform};
use resource::{ImageConfig, Reference};
use std::path::PathBuf;

/// Flags of `image import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A Dockerfile instruction to apply, such as `ENTRYPOINT ["/server"]`
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,
    /// A folder, or a tar archive, compressed or not
    path: PathBuf,
    /// The name of the image, such as localhost/server:1.0
    reference: String,
}

/// Makes an image and prints its id.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let reference = parse(&args.reference)?;
    if reference.digest.is_some() {
        return Err(Failure::new(format!("`{}` names a digest", args.reference))
            .hint("an image that is made here gets its digest from what is in it; give a name and a tag"));
    }
    let mut config = ImageConfig::default();
    for instruction in &args.changes {
        change::apply(&mut config, instruction)
            .map_err(|error| Failure::because(format!("--change `{instruction}`"), error))?;
    }
    if session.globals.dry_run {
        output::planned(&format!("import {} as {}", args.path.display(), reference.familiar()));
        return Ok(Exit::Success);
    }
    let image = session
        .engine()?
        .import(&reference, &args.path, &config)
        .map_err(|error| Failure::because(format!("cannot import `{}`", args.path.display()), error))?;
    let layers = image.layers.iter().filter_map(|layer| session.engine().ok()?.store().layer(layer));
    for layer in layers.filter(|layer| !layer.omitted.is_nothing()) {
        session.warn(&format!("`{}` was imported{}", args.reference, perform::without(layer.omitted)));
    }
    output::line(image.id.as_str())?;
    Ok(Exit::Success)
}

/// Reads a reference given on the command line.
pub(super) fn parse(text: &str) -> Result<Reference, Failure> {
    Reference::parse(text).map_err(|error| Failure::new(error.to_string()))
}
