//! `compose image push`: pushes an image to the registry that its name begins with. A name that has images for
//! several platforms is pushed with all of them, as one index, as `compose push` does.

use super::{find, import, places};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::{output, pushing};
use resource::{Image, Platform};

/// Flags of `image push`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    /// Push what is for this platform alone, not what is here for others
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// The image: its name, or its id or the beginning of it
    image: String,
    /// The name to push it under, such as registry.example.com/server:1.0; its own by default
    target: Option<String>,
}

/// Pushes the image and prints the digest that it has in its registry.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let platform = args.platform.as_deref().map(places::platform).transpose()?;
    let known = session.viewer()?.store().images();
    let images = chosen(find::find(&known, &args.image)?, platform.as_ref());
    let Some(image) = images.first() else {
        let wanted = platform.unwrap_or_else(Platform::host);
        return Err(Failure::new(format!("there is no image `{}` for {wanted}", args.image)));
    };
    let target = args.target.as_deref().map(import::parse).transpose()?;
    let target = target.as_ref().unwrap_or(&image.reference);
    if session.globals.dry_run {
        let platforms: Vec<String> = images.iter().map(|image| image.platform.to_string()).collect();
        output::planned(&format!("push {} ({})", target.familiar(), platforms.join(", ")));
        return Ok(Exit::Success);
    }
    let progress = session.progress_unless(args.quiet, "push");
    let engine = session.engine()?;
    session.work(async {
        let pushed = pushing::push(engine, &images, target, &progress).await;
        progress.finish();
        output::line(pushed?.as_str())?;
        Ok(Exit::Success)
    })
}

/// What is pushed of the images that a word means: one for each platform, or for the one that is wanted.
fn chosen(found: Vec<&Image>, wanted: Option<&Platform>) -> Vec<Image> {
    let mut images: Vec<Image> = vec![];
    for image in found {
        let is_wanted = wanted.is_none_or(|wanted| image.platform == *wanted);
        if is_wanted && images.iter().all(|chosen| chosen.platform != image.platform) {
            images.push(image.clone());
        }
    }
    images
}
