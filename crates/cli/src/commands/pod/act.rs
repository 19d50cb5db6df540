//! `compose pod start|stop|restart|kill|pause|unpause`: the project verbs on whole pods.

use super::choose::{self, NotOne, Which};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::verb::{self, Act};
use engine::PodSummary;
use plan::{Orphans, Verb};
use resource::{ObservedContainer, Status};

/// Flags of the verbs that have none of their own.
#[derive(Debug, clap::Args)]
pub(super) struct Plain {
    #[command(flatten)]
    which: Which,
}

/// Flags of `pod kill`.
#[derive(Debug, clap::Args)]
pub(super) struct Kill {
    /// The signal
    #[arg(short, long, default_value = "SIGKILL", value_name = "SIGNAL")]
    signal: String,
    #[command(flatten)]
    which: Which,
}

/// Flags of `pod stop`.
#[derive(Debug, clap::Args)]
pub(super) struct Stop {
    /// Seconds before containers are killed
    #[arg(short, long, alias = "time", value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<i64>,
    /// Pods that do not exist are no error
    #[arg(short, long)]
    ignore: bool,
    #[command(flatten)]
    which: Which,
}

/// Starts, restarts, freezes or thaws pods.
pub(super) fn plain(
    args: &Plain,
    session: &Session,
    operation: &'static str,
    verb: Verb,
) -> Result<Exit, Failure> {
    on_each(session, &args.which.of(session)?, operation, &Act::new(verb))
}

/// Signals pods.
pub(super) fn kill(args: &Kill, session: &Session) -> Result<Exit, Failure> {
    let signal = verb::signal(&args.signal)?;
    let act = Act { orphans: Orphans::Remove, ..Act::new(Verb::Kill { signal }) };
    on_each(session, &args.which.of(session)?, "kill", &act)
}

/// Stops pods.
pub(super) fn stop(args: &Stop, session: &Session) -> Result<Exit, Failure> {
    let mut which = args.which.clone();
    if args.ignore {
        let pods = choose::every(session)?;
        which.pods.retain(|word| !matches!(choose::one(&pods, word), Err(NotOne::Missing { .. })));
        if which.pods.is_empty() && !args.which.pods.is_empty() {
            return Ok(Exit::Success);
        }
    }
    on_each(session, &which.of(session)?, "stop", &Act { timeout: args.timeout, ..Act::new(Verb::Stop) })
}

/// Acts on each pod and prints its id; a failure does not keep the others from their turn.
fn on_each(
    session: &Session,
    pods: &[PodSummary],
    operation: &'static str,
    act: &Act,
) -> Result<Exit, Failure> {
    session.begin()?;
    runtime::interruptible(Size::One, async {
        let mut first = None;
        for pod in pods {
            match on_one(session, pod, operation, act).await {
                Ok(()) if session.globals.dry_run => {}
                Ok(()) => output::line(&pod.record.id)?,
                Err(failure) if first.is_none() => first = Some(failure),
                Err(failure) => session.warn(&failure.line()),
            }
        }
        first.map_or(Ok(Exit::Success), Err)
    })
}

async fn on_one(
    session: &Session,
    pod: &PodSummary,
    operation: &'static str,
    act: &Act,
) -> Result<(), Failure> {
    verb::on_pod(session, operation, &pod.record.name, act).await?;
    if session.globals.dry_run { Ok(()) } else { one_offs(session, pod, act).await }
}

/// The containers of `run` belong to the pod, too; a project's verbs leave them to those who ran them.
async fn one_offs(session: &Session, pod: &PodSummary, act: &Act) -> Result<(), Failure> {
    let wanted = |container: &&ObservedContainer| match (&act.verb, container.state.status) {
        _ if container.record.spec.number.is_some() => false,
        (Verb::Stop, status) => matches!(status, Status::Running | Status::Paused | Status::Restarting),
        (Verb::Pause, status) => status == Status::Running,
        (Verb::Unpause, status) => status == Status::Paused,
        _ => false,
    };
    if !pod.containers.iter().any(|container| wanted(&container)) {
        return Ok(());
    }
    let name = &pod.record.name;
    let about = crate::converge::about(name);
    let engine = session.engine()?;
    let _lock = engine.lock(name, || ()).await.map_err(&about)?;
    for container in pod.containers.iter().filter(wanted) {
        let id = &container.record.id;
        let done = match act.verb {
            Verb::Stop => engine.stop(name, id, act.timeout.map(verb::grace)).await.map(drop),
            Verb::Pause => engine.pause(name, id).await,
            _ => engine.unpause(name, id).await,
        };
        done.map_err(&about)?;
    }
    Ok(())
}
