//! `compose image load`: takes images from a file or a folder into the store.

use super::places;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::{output, perform};
use engine::{Engine, LoadOptions, LoadedImage};
use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// Flags of `image load`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The archive or folder to read; standard input by default
    #[arg(short, long, value_name = "PATH")]
    input: Option<PathBuf>,
    /// The name that the image gets, instead of its own
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The platform, where there are several
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Do not print names
    #[arg(short, long)]
    quiet: bool,
}

/// Loads images and prints their names.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if session.globals.dry_run {
        return Err(Failure::without_dry_run(
            "image load",
            "what an archive holds is known once it was read whole",
        ));
    }
    let options = LoadOptions {
        platform: args.platform.as_deref().map(places::platform).transpose()?,
        pick: None,
        name: args.name.as_deref().map(super::import::parse).transpose()?,
    };
    let loaded = load(session.engine()?, args.input.as_deref(), &options)?;
    tell(session, &loaded, args.quiet)?;
    Ok(Exit::Success)
}

/// Loads the images of a file, or of standard input.
pub(crate) fn load(
    engine: &Engine,
    input: Option<&Path>,
    options: &LoadOptions,
) -> Result<Vec<LoadedImage>, Failure> {
    let loaded = match input {
        Some(path) => engine.load(path, options),
        None => {
            let input = std::io::stdin();
            if input.is_terminal() {
                return Err(Failure::new("there is no archive on standard input")
                    .hint("name a file with `--input`, or write `< FILE`"));
            }
            let file = input.as_fd().try_clone_to_owned().map(File::from);
            let file = file.map_err(|error| Failure::because("cannot read standard input", error))?;
            engine.load_from(Path::new("standard input"), file, options)
        }
    };
    loaded.map_err(|error| places::failure("cannot load", error))
}

/// Prints what was loaded, as Docker does, and what it lacks.
pub(crate) fn tell(session: &Session, loaded: &[LoadedImage], quiet: bool) -> Result<(), Failure> {
    for LoadedImage { names, omitted, .. } in loaded {
        for name in names.iter().filter(|_| !quiet) {
            output::line(&format!("Loaded image: {}", name.familiar()))?;
        }
        if let (Some(name), false) = (names.first(), omitted.is_nothing()) {
            session.warn(&format!("`{}` was loaded{}", name.familiar(), perform::without(*omitted)));
        }
    }
    Ok(())
}
