//! `compose commit`: keeps what a container has made of its files as an image.

use super::image::change;
use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::select;
use crate::session::Session;
use crate::view::progress::{Line, Status};
use engine::{Commit, Engine};
use resource::{ObservedContainer, Reference, Status as Life};

/// Flags of `commit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who makes the image
    #[arg(short, long, value_name = "NAME")]
    pub(crate) author: Option<String>,
    /// A Dockerfile instruction to apply, such as `ENTRYPOINT ["/server"]`
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    pub(crate) changes: Vec<String>,
    /// Number of the replica, the first by default
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "NUMBER")]
    pub(crate) index: u32,
    /// What is to be said of it
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// Pause the container meanwhile
    #[arg(short, long, default_value_t = true, hide_default_value = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) pause: bool,
    /// The service
    #[arg(value_name = "SERVICE")]
    pub(crate) service: String,
    /// Name of the image, localhost/CONTAINER:committed by default
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub(crate) reference: Option<String>,
}

/// Makes the image and tells its id.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let subject = session.named()?;
    let observed = session.containers(&subject.pod)?;
    select::services(std::slice::from_ref(&args.service), subject.known(&observed))?;
    let container = select::existing(&observed.containers, &args.service, args.index)?;
    let name = &container.record.spec.name;
    let reference = match &args.reference {
        Some(text) => Reference::parse(text).map_err(|error| Failure::new(error.to_string()))?,
        None => engine::unnamed(container),
    };
    if reference.digest.is_some() {
        return Err(Failure::new("an image that is made here gets its digest from what is in it")
            .hint("give a name and a tag"));
    }
    let failed = |error| Failure::because(format!("cannot make an image of container `{name}`"), error);
    let mut config = session.viewer()?.committed(container).map_err(failed)?;
    for instruction in &args.changes {
        change::apply(&mut config, instruction)
            .map_err(|error| Failure::because(format!("--change `{instruction}`"), error))?;
    }
    if !session.globals.dry_run {
        session.begin()?;
    }
    let progress = session.progress("commit");
    let id = format!("Service {}", args.service);
    progress.tell(&Line::new(&id, Status::Working, "Committing"));
    if session.globals.dry_run {
        progress.tell(&Line::new(&id, Status::Done, "Committed"));
        progress.finish();
        return Ok(Exit::Success);
    }
    let commit = Commit {
        reference: &reference,
        author: args.author.as_deref().unwrap_or_default(),
        message: args.message.as_deref().unwrap_or_default(),
        config: &config,
    };
    let engine = session.engine()?;
    runtime::interruptible(Size::One, async {
        let lock = engine
            .lock(&subject.pod, || progress.message("waiting for another command on this project\n"))
            .await;
        let _lock = lock.map_err(crate::converge::about(&subject.pod))?;
        let image =
            while_paused(session, engine, container, args.pause, || engine.commit(container, &commit))
                .await
                .map_err(failed)?;
        progress.tell(&Line::new(&id, Status::Done, format!("Committed as {}", image.id)));
        progress.message(&format!("{} is {}\n", reference.familiar(), image.id));
        progress.finish();
        Ok(Exit::Success)
    })
}

/// Works while the container is paused, if it runs and can be; it goes on whatever comes of the work.
async fn while_paused<T>(
    session: &Session,
    engine: &Engine,
    container: &ObservedContainer,
    pause: bool,
    work: impl FnOnce() -> T,
) -> T {
    let record = &container.record;
    let (pod, id) = (&record.spec.pod, &record.id);
    if !pause || container.state.status != Life::Running {
        return work();
    }
    let paused = match engine.pause(pod, id).await {
        Ok(()) => true,
        Err(error) => {
            let what = format!("`{}` goes on while its files are taken", record.spec.name);
            session.warn(&Failure::because(what, error).line());
            false
        }
    };
    let done = work();
    if paused && let Err(error) = engine.unpause(pod, id).await {
        session.warn(&Failure::because(format!("`{}` stays paused", record.spec.name), error).line());
    }
    done
}
