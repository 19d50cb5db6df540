//! `compose push`: pushes the images of services that are built, under each of their names.

use crate::exit::{Exit, Failure};
use crate::pushing;
use crate::session::Session;
use crate::view::progress::{Line, Progress, Status};
use crate::wanted;
use engine::Engine;
use futures_util::stream::{self, StreamExt as _};
use resource::{Desired, Platform, Reference};
use std::num::NonZeroUsize;

/// Flags of `push`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on when an image cannot be pushed
    #[arg(long)]
    ignore_push_failures: bool,
    /// Push images of services depended on too
    #[arg(long)]
    include_deps: bool,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

/// Pushes images.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let loaded = session.load(&args.services)?;
    let mut selection = wanted::selection(session, &loaded, &args.services)?;
    if !args.include_deps && !args.services.is_empty() {
        selection = selection.without_dependencies();
    }
    let desired = wanted::of_project(session, &loaded, &selection)?;
    let progress = session.progress_unless(args.quiet, "push");
    let pushes = pushes(&desired, &progress);
    if session.globals.dry_run {
        for name in pushes.iter().flat_map(|push| &push.names) {
            crate::output::planned(&format!("push {}", name.written()));
        }
        return Ok(Exit::Success);
    }
    let (engine, width) = (session.engine()?, session.parallel());
    session.work(async {
        let failed = push(engine, pushes, width, &progress).await;
        progress.finish();
        if args.ignore_push_failures {
            failed.iter().for_each(|failure| session.warn(&failure.line()));
            return Ok(Exit::Success);
        }
        failed.into_iter().next().map_or(Ok(Exit::Success), Err)
    })
}

/// An image that is pushed.
pub(crate) struct Push {
    /// The name it has here.
    image: Reference,
    platform: Option<Platform>,
    /// Platforms that it is built for besides.
    also_for: Vec<Platform>,
    /// The names it is pushed under, one after the other: what the first has sent, the others find.
    names: Vec<Reference>,
}

/// The images that services are built as, each name once; the others are left out, and that is said.
pub(crate) fn pushes(desired: &Desired, progress: &Progress) -> Vec<Push> {
    let mut pushes: Vec<Push> = vec![];
    for service in desired.services.iter().filter(|service| service.has_image()) {
        let build = service.builds.first().filter(|build| build.named && build.name == service.name);
        let Some(build) = build else {
            let id = format!("Image {}", service.image.reference.written());
            progress.tell(&Line::new(id, Status::Warning, "Skipped"));
            continue;
        };
        let known = |name: &&Reference| pushes.iter().any(|push| push.names.contains(name));
        let names: Vec<Reference> = build.references.iter().filter(|name| !known(name)).cloned().collect();
        let (image, also_for) = (service.image.reference.clone(), build.also_for.clone());
        pushes.push(Push { image, platform: build.platform.clone(), also_for, names });
    }
    pushes
}

/// Pushes images, so many at a time; returns what failed. Nothing keeps the others.
pub(crate) async fn push(
    engine: &Engine,
    pushes: Vec<Push>,
    width: NonZeroUsize,
    progress: &Progress,
) -> Vec<Failure> {
    let one = |push: Push| async move {
        let name = push.image.written();
        let missing =
            || Failure::new(format!("there is no image `{name}`")).hint("build it first: `compose build`");
        let image = engine.store().image(&push.image, push.platform.as_ref()).ok_or_else(missing)?;
        let mut images = vec![image];
        for platform in &push.also_for {
            match engine.store().image(&push.image, Some(platform)) {
                Some(other) => images.push(other),
                None => {
                    let lacks = format!("`{name}` is pushed without {platform}: it is not built for it");
                    progress.warning(&lacks);
                }
            }
        }
        for name in &push.names {
            pushing::push(engine, &images, name, progress).await?;
        }
        Ok(())
    };
    let mut done = stream::iter(pushes.into_iter().map(one)).buffered(width.get());
    let mut failed = vec![];
    while let Some(result) = done.next().await {
        failed.extend(Result::<(), Failure>::err(result));
    }
    failed
}
