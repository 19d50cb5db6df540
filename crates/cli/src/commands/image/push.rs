//! `compose image push`: pushes an image to the registry that its name begins with.

use super::{find, import};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::{output, pushing};

/// Flags of `image push`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    /// The image: its name, or its id or the beginning of it
    image: String,
    /// The name to push it under, such as registry.example.com/server:1.0; its own by default
    target: Option<String>,
}

/// Pushes the image and prints the digest that it has in its registry.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let known = session.viewer()?.store().images();
    let image = find::one(&known, &args.image)?;
    let target = args.target.as_deref().map(import::parse).transpose()?;
    let target = target.as_ref().unwrap_or(&image.reference);
    let progress = session.progress_unless(args.quiet, "push");
    let engine = session.engine()?;
    session.work(async {
        let pushed = pushing::push(engine, std::slice::from_ref(image), target, &progress).await;
        progress.finish();
        output::line(pushed?.as_str())?;
        Ok(Exit::Success)
    })
}
