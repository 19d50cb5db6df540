//! `compose load`: takes a bundle, its images into the store and its files into a folder.

use super::image::{load::tell, places};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use engine::{ArchiveError, EngineError, LoadOptions, LoadedImage};
use resource::Platform;
use std::path::PathBuf;

/// Flags of `load`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    /// The bundle
    bundle: PathBuf,
    /// The folder that the project's files go to; this one by default
    folder: Option<PathBuf>,
}

/// Loads a bundle and says what is left to do.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if session.globals.dry_run {
        return Err(Failure::without_dry_run("load", "what a bundle holds is known once it was read whole"));
    }
    let folder = args.folder.clone().unwrap_or_else(|| session.current().to_owned());
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::because(format!("cannot make `{}`", folder.display()), error))?;
    let loaded = session.engine()?.load_bundle(&args.bundle, &folder, args.force, &LoadOptions::default());
    let loaded = loaded.map_err(|error| {
        let in_the_way =
            matches!(&error, EngineError::Archive(error) if matches!(**error, ArchiveError::InTheWay { .. }));
        let failure = places::failure("cannot load", error);
        if in_the_way {
            failure.hint("name another folder, or write over them with `--force`")
        } else {
            failure
        }
    })?;
    tell(session, &loaded.images, false)?;
    for image in &loaded.images {
        tell_foreign(session, image);
    }
    for name in &loaded.files {
        output::line(&format!("Wrote {name}"))?;
    }
    for path in &loaded.left_out {
        session.warn(&format!("`{path}` is not in the bundle, and the project needs it: put it there"));
    }
    Ok(Exit::Success)
}

/// Says of an image that this machine cannot run what is missing for it: a bundle is there to be run.
fn tell_foreign(session: &Session, LoadedImage { image, names, .. }: &LoadedImage) {
    let (Some(name), Some(help)) = (names.first(), engine::lacking_emulator(&image.platform)) else { return };
    session.warn(&format!(
        "`{}` is for {}, and programs of that cannot be executed on this machine, {}: {help}",
        name.familiar(),
        image.platform,
        Platform::host()
    ));
}
