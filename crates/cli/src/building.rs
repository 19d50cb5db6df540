//! Builds of images: what a build is given besides the file, and how it is run and shown.

use crate::exit::Failure;
use crate::output::behind;
use crate::session::Session;
use crate::view::build::BuildView;
use crate::view::progress::{Line, Mode, Progress, Status};
use engine::{BuildEvent, BuildEventKind, Engine, EngineError};
use resource::{BuildSpec, Desired, Image};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Variables that every build is given from the environment, unless its arguments have them.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Gives the builds of services what the file does not say: proxies, and the user's own ssh agent.
pub(crate) fn complete(session: &Session, desired: &mut Desired) {
    let builds = desired.services.iter_mut().flat_map(|service| &mut service.builds);
    builds.for_each(|build| complete_one(session, build));
}

/// The same for one build.
pub(crate) fn complete_one(session: &Session, build: &mut BuildSpec) {
    let environment = session.environment();
    for upper in PROXIES {
        for name in [upper.to_owned(), upper.to_lowercase()] {
            if let Some(value) = environment.filled(&name) {
                build.args.entry(name).or_insert_with(|| value.to_owned());
            }
        }
    }
    for path in build.ssh.values_mut().filter(|path| path.as_os_str().is_empty()) {
        *path = environment.filled("SSH_AUTH_SOCK").map(PathBuf::from).unwrap_or_default();
    }
}

/// Builds the images that containers here run, for one platform each, and shows how it goes.
pub(crate) async fn build_to_run(
    engine: &Engine,
    builds: &[BuildSpec],
    width: NonZeroUsize,
    progress: &Progress,
) -> Result<Vec<Image>, EngineError> {
    let builds = builds.iter().map(|build| BuildSpec { also_for: vec![], ..build.clone() });
    self::build(engine, builds.collect(), width, progress).await
}

/// Builds images and shows how it goes.
pub(crate) async fn build(
    engine: &Engine,
    builds: Vec<BuildSpec>,
    width: NonZeroUsize,
    progress: &Progress,
) -> Result<Vec<Image>, EngineError> {
    let images: Vec<(String, String)> =
        builds.iter().map(|build| (build.name.clone(), id(&name(build)))).collect();
    if progress.mode() == Mode::Tty {
        // Its line tells how long everything takes.
        images.iter().for_each(|(_, id)| progress.tell(&Line::new(id.as_str(), Status::Working, "Building")));
    }
    let mut view = BuildView::new(progress);
    let (send, mut receive) = unbounded_channel();
    let backlog = Arc::new(Backlog::default());
    let adding = Arc::clone(&backlog);
    // Nobody listens any more only when the build is given up.
    let tell = move |event| {
        adding.add(said(&event));
        drop(send.send(event));
    };
    let building = engine.build(builds, width, tell, remedy);
    tokio::pin!(building);
    // Given up before the build is, which waits for its steps.
    let _end = End(Arc::clone(&backlog));
    let built = loop {
        tokio::select! {
            biased;
            Some(event) = next(&mut receive) => {
                backlog.take(said(&event));
                view.show(event);
            }
            built = &mut building => break built,
        }
    };
    while let Ok(event) = receive.try_recv() {
        behind::space().await;
        view.show(event);
    }
    for (build, id) in images {
        let (status, text) = match &built {
            Ok(_) => (Status::Done, "Built"),
            Err(error) if is_others(error, &build) => (Status::Warning, "Cancelled"),
            Err(_) => (Status::Error, "Error"),
        };
        progress.tell(&Line::new(id, status, text));
    }
    view.end();
    built
}

/// The next event, once there is space for what it says: who does not read keeps no interrupt from its turn.
async fn next(events: &mut UnboundedReceiver<BuildEvent>) -> Option<BuildEvent> {
    behind::space().await;
    events.recv().await
}

/// Bytes that steps may have said before somebody reads on; then they wait, as they would for a pipe.
const BACKLOG: usize = 64 << 20;

/// How much has been said that is not shown yet.
struct Backlog {
    /// `None` once nobody listens any more.
    bytes: Mutex<Option<usize>>,
    less: Condvar,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { bytes: Mutex::new(Some(0)), less: Condvar::new() }
    }
}

impl Backlog {
    /// Something more; waits as long as there is too much. Called by the threads of the build.
    fn add(&self, bytes: usize) {
        let is_full = |there: &mut Option<usize>| there.is_some_and(|there| there > BACKLOG);
        let guard = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut there = self.less.wait_while(guard, is_full).unwrap_or_else(PoisonError::into_inner);
        *there = there.map(|there| there + bytes);
    }

    /// That much is shown.
    fn take(&self, bytes: usize) {
        let mut there = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *there = there.map(|there| there.saturating_sub(bytes));
        self.less.notify_all();
    }
}

/// Lets everyone go on when nobody listens any more.
struct End(Arc<Backlog>);

impl Drop for End {
    fn drop(&mut self) {
        *self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.less.notify_all();
    }
}

/// Bytes that an event takes while it waits to be shown, about.
fn said(event: &BuildEvent) -> usize {
    let text = match &event.kind {
        BuildEventKind::Output(text) => text.len(),
        _ => 0,
    };
    size_of::<BuildEvent>() + text
}

/// What a person can do about an error that a build met.
fn remedy(error: &EngineError) -> Option<String> {
    match error {
        EngineError::NoNetwork(name) => {
            Some(format!("`network` of the build names it; to make it: `compose network create {name}`"))
        }
        error => crate::remedies::of(error),
    }
}

/// Whether it was other builds that failed.
fn is_others(error: &EngineError, build: &str) -> bool {
    let EngineError::Build(error) = error else { return false };
    !error.builds.is_empty() && error.builds.iter().all(|failed| failed != build)
}

fn id(name: &str) -> String {
    format!("Image {name}")
}

fn name(build: &BuildSpec) -> String {
    build.references.first().map(|reference| reference.written()).unwrap_or_default()
}

/// The failure that a build's error is for the user.
pub(crate) fn failure(error: EngineError) -> Failure {
    match error {
        EngineError::Build(error) => Failure::Diagnosed(Box::new((error.sources, error.diagnostics)), 1),
        error => Failure::because("cannot build", error),
    }
}
