//! `compose image copy`: copies an image between registries, files and the store.

use super::places;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::view::progress::{Line, Status};
use engine::Location;

/// Flags of `image copy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The platform, where there are several; the host's by default
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    /// NAME of an image here, docker://NAME, or oci:FOLDER, oci-archive:FILE, docker-archive:FILE, each also with :NAME
    source: String,
    /// Where it goes, in the same words
    target: String,
}

/// Copies the image and prints the digest of its manifest.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let platform = args.platform.as_deref().map(places::platform).transpose()?;
    let place = |text: &str| Location::parse(text).map_err(Failure::new);
    let (from, to) = (place(&args.source)?, place(&args.target)?);
    if session.globals.dry_run {
        output::planned(&format!("copy {} to {}", args.source, args.target));
        return Ok(Exit::Success);
    }
    let engine = session.engine()?;
    let progress = session.progress_unless(args.quiet, "copy");
    session.work(async {
        progress.tell(&Line::new(args.target.clone(), Status::Working, "Copying"));
        let copied = engine.copy_image(&from, &to, platform.as_ref()).await;
        let (status, text) = if copied.is_ok() { (Status::Done, "Copied") } else { (Status::Error, "Error") };
        progress.tell(&Line::new(args.target.clone(), status, text));
        progress.finish();
        output::line(copied.map_err(|error| places::failure("cannot copy", error))?.as_str())?;
        Ok(Exit::Success)
    })
}
