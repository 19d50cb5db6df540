//! `compose bundle`: packs a project, with its images, into one file that needs no registry.

use super::image::places;
use crate::bundle::Portable;
use crate::exit::{Exit, Failure};
use crate::lock;
use crate::output;
use crate::perform;
use crate::session::Session;
use crate::view::progress::{Line, Progress, Status};
use crate::wanted;
use engine::{BundleContent, BundleFile, Engine, Gathered};
use resource::{Desired, DesiredService, Digest, Image, ImageNeed, Platform, Reference};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Flags of `bundle`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Pack the content of secrets too; the file is for its owner alone then
    #[arg(long)]
    with_secrets: bool,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
}

/// Packs the project.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let loaded = session.load_whole()?;
    let desired = wanted::of_project(session, &loaded, &lower::Selection::all())?;
    let portable = Portable::of(&loaded.0, &desired, args.with_secrets)?;
    for text in &portable.warnings {
        session.warn(text);
    }
    if session.globals.dry_run {
        return preview(session.viewer()?, &wants(&desired), args);
    }
    let engine = session.engine()?;
    let progress = session.progress_unless(args.quiet, "bundle");
    session.work(async {
        let wants = wants(&desired);
        let images = images(engine, &wants, &progress).await?;
        let mut files = portable.files;
        let text = |name: &str, text: String| BundleFile {
            name: name.to_owned(),
            content: BundleContent::Bytes(text.into_bytes()),
        };
        files.push(text("compose.yaml", portable.text));
        let gathered = engine.gather(&named(&wants, &images)).await;
        let gathered = gathered.map_err(|error| places::failure("cannot bundle", error))?;
        gathered.packed_anew().iter().for_each(|image| session.warn(&places::packed_anew(image)));
        let locked = locked(&wants, &images, &gathered);
        files.push(text(lock::NAME, lock::text::print(&loaded.0.name, &locked)));
        let title = args.output.display().to_string();
        progress.tell(&Line::new(title.clone(), Status::Working, "Writing"));
        let written =
            engine.save_bundle(&gathered, &files, &portable.left_out, &args.output, args.with_secrets).await;
        let (status, word) =
            if written.is_ok() { (Status::Done, "Written") } else { (Status::Error, "Error") };
        progress.tell(&Line::new(title, status, word));
        progress.finish();
        written.map_err(|error| places::failure("cannot bundle", error))?;
        Ok(Exit::Success)
    })
}

/// Says what would be pulled and written.
fn preview(engine: &Engine, wants: &[Want<'_>], args: &Args) -> Result<Exit, Failure> {
    for Want { need, is_built } in wants {
        let name = need.reference.familiar();
        match (engine.store().image(&need.reference, need.platform.as_ref()), is_built) {
            (Some(_), _) => {}
            (None, true) => return Err(unbuilt(&name)),
            (None, false) => output::planned(&format!("pull {name}")),
        }
    }
    let count = wants.len();
    let images = if count == 1 { "1 image".to_owned() } else { format!("{count} images") };
    output::planned(&format!("write {} with {images}", args.output.display()));
    Ok(Exit::Success)
}

fn unbuilt(name: &str) -> Failure {
    Failure::new(format!("there is no image `{name}`")).hint("build it first: `compose build`")
}

/// An image that the project wants, and whether it is built.
struct Want<'a> {
    need: &'a ImageNeed,
    is_built: bool,
}

/// Every image and platform once.
fn wants(desired: &Desired) -> Vec<Want<'_>> {
    let mut wants: Vec<Want<'_>> = vec![];
    for service in desired.services.iter().filter(|service| service.has_image()) {
        for want in of_service(service) {
            let same = |known: &Want<'_>| {
                known.need.reference == want.need.reference && known.need.platform == want.need.platform
            };
            match wants.iter_mut().find(|known| same(known)) {
                Some(known) => known.is_built |= want.is_built,
                None => wants.push(want),
            }
        }
    }
    wants
}

fn of_service(service: &DesiredService) -> impl Iterator<Item = Want<'_>> {
    let own = Want { need: &service.image, is_built: !service.builds.is_empty() };
    let hooks = service.pre_start.iter().map(|hook| &hook.image);
    let others = hooks.chain(&service.mounted_images).map(|need| Want { need, is_built: false });
    std::iter::once(own).chain(others)
}

/// The images themselves: those that are not here are pulled.
async fn images(engine: &Engine, wants: &[Want<'_>], progress: &Progress) -> Result<Vec<Image>, Failure> {
    let mut images = vec![];
    for Want { need, is_built } in wants {
        if let Some(image) = engine.store().image(&need.reference, need.platform.as_ref()) {
            images.push(image);
            continue;
        }
        let name = need.reference.familiar();
        if *is_built {
            return Err(unbuilt(&name));
        }
        let id = format!("Image {name}");
        progress.tell(&Line::new(id.clone(), Status::Working, "Pulling"));
        let pulled = engine.pull(need, &|_| ()).await;
        let (status, word) = if pulled.is_ok() { (Status::Done, "Pulled") } else { (Status::Error, "Error") };
        progress.tell(&Line::new(id, status, word));
        images.push(pulled.map_err(|error| Failure::new(perform::chain(&error)))?);
    }
    Ok(images)
}

/// Each image with all names that the project has for it.
fn named(wants: &[Want<'_>], images: &[Image]) -> Vec<(Image, Vec<Reference>)> {
    let mut all: Vec<(Image, Vec<Reference>)> = vec![];
    for (want, image) in wants.iter().zip(images) {
        let name = want.need.reference.clone();
        match all.iter_mut().find(|(known, _)| known.manifest == image.manifest) {
            Some((_, names)) => names.push(name),
            None => all.push((image.clone(), vec![name])),
        }
    }
    all
}

/// The lock: every image at the digest that is bundled. What was built is no longer built where the bundle is loaded.
fn locked(
    wants: &[Want<'_>],
    images: &[Image],
    gathered: &Gathered,
) -> BTreeMap<Reference, Vec<(Platform, Digest)>> {
    let mut locked: BTreeMap<Reference, Vec<(Platform, Digest)>> = BTreeMap::new();
    for (want, image) in wants.iter().zip(images) {
        let platform = (image.platform.clone(), gathered.manifest_of(image).clone());
        locked.entry(want.need.reference.clone()).or_default().push(platform);
    }
    locked
}
