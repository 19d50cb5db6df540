//! `compose rm`: removes containers that do not run.

use crate::exit::{Exit, Failure};
use crate::session::{Session, Subject};
use crate::verb::{self, Act};
use crate::{damaged, output, prompt, select, view::row};
use plan::Verb;
use resource::Status;
use std::collections::BTreeSet;

/// Flags of `rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Stop running containers first
    #[arg(short, long)]
    pub(crate) stop: bool,
    /// Remove anonymous volumes too
    #[arg(short, long)]
    pub(crate) volumes: bool,
    /// Former flag, without meaning
    #[arg(short, long, hide = true)]
    pub(crate) all: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Removes containers that do not run, after asking.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let subject = session.subject(&args.services)?;
    let observed = session.observe(&subject.pod)?;
    let chosen = select::services(&args.services, subject.known(&observed))?;
    let names: Vec<String> = observed
        .containers
        .iter()
        .filter(|container| !row::is_one_off(container))
        .filter(|container| chosen.is_empty() || chosen.contains(&container.record.spec.service))
        .filter(|container| args.stop || !lives(container.state.status))
        .map(|container| container.record.spec.name.to_string())
        .chain(lost(args, session, &subject, &chosen)?)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if names.is_empty() {
        output::status("No stopped containers")?;
        return Ok(Exit::Success);
    }
    if !args.force
        && !session.globals.dry_run
        && !prompt::confirm(&format!("Going to remove {}", names.join(", ")))?
    {
        return Ok(Exit::Success);
    }
    let act = Act::new(Verb::Remove { stop: args.stop, volumes: args.volumes });
    verb::run_on(session, "rm", subject, &args.services, act)
}

/// What is left of containers whose documents cannot be read, as far as it is to be removed.
fn lost(
    args: &Args,
    session: &Session,
    subject: &Subject,
    chosen: &BTreeSet<String>,
) -> Result<Vec<String>, Failure> {
    let (engine, pod) = (session.viewer()?, &subject.pod);
    let damage = session.damage(pod)?;
    let found = damaged::containers(&damage, subject, chosen);
    let meant = found.iter().filter(|lost| args.stop || !engine.still_runs(pod, lost.id));
    Ok(meant.map(|lost| lost.name()).collect())
}

fn lives(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}
