//! `compose wait`: blocks until the containers of some services have stopped.

use super::down;
use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::verb;
use crate::{output, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use plan::Orphans;
use resource::{Condition, ExitStatus, Status};

/// Flags of `wait`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take the project down afterwards
    #[arg(long)]
    pub(crate) down_project: bool,
    /// Services
    #[arg(value_name = "SERVICE", required = true)]
    pub(crate) services: Vec<String>,
}

/// Waits; the exit code is that of the container reported last.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let subject = session.subject(&[])?;
    let pod = &subject.pod;
    let observed = session.containers(pod)?;
    let chosen = select::services(&args.services, subject.known(&observed))?;
    let running: Vec<_> = observed
        .containers
        .iter()
        .filter(|container| chosen.contains(&container.record.spec.service))
        .filter(|container| {
            matches!(container.state.status, Status::Running | Status::Paused | Status::Restarting)
        })
        .map(|container| container.record.id.clone())
        .collect();
    if running.is_empty() {
        return Err(Failure::new(format!("no containers for services {}", args.services.join(", "))));
    }
    runtime::interruptible(Size::One, async {
        let engine = session.engine()?;
        let mut waits: FuturesUnordered<_> = running
            .iter()
            .map(|id| async move { (id, engine.wait(pod, id, Condition::Exited).await) })
            .collect();
        let mut last = 0;
        while let Some((id, state)) = waits.next().await {
            let state = state
                .map_err(|error| Failure::because(format!("cannot wait for container `{id}`"), error))?;
            last = state.exit.and_then(ExitStatus::code).unwrap_or(1);
            output::line(&format!("container \"{id}\" exited with status code {last}"))?;
        }
        if args.down_project {
            let act = down::whole(Orphans::Remove);
            verb::perform_on(session, "down", &subject, &[], &act).await?;
        }
        Ok(Exit::Code(last))
    })
}
