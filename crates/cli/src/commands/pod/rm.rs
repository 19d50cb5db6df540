//! `compose pod rm`: removes pods with their containers, anonymous volumes and networks.

use super::FAILED;
use super::choose::{self, NotOne, Which};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::verb::{self, Act};
use engine::PodSummary;
use plan::{Orphans, RemoveImages, Verb};
use resource::Status;

/// Flags of `pod rm`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Stop containers that run first
    #[arg(short, long)]
    force: bool,
    /// Pods that do not exist are no error
    #[arg(short, long)]
    ignore: bool,
    /// Seconds before containers are killed; needs --force
    #[arg(
        short,
        long,
        alias = "timeout",
        value_name = "SECONDS",
        allow_negative_numbers = true,
        requires = "force"
    )]
    time: Option<i64>,
    #[command(flatten)]
    which: Which,
}

/// Removes pods, each that can be. A pod that does not exist makes the exit code 1, anything else that
/// goes wrong makes it 125.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let (chosen, mut failures) = chosen(args, session).map_err(failed)?;
    if !chosen.is_empty() {
        session.begin()?;
    }
    let done = runtime::interruptible(Size::One, async {
        for pod in &chosen {
            match remove(args, session, pod).await {
                Ok(_) if session.globals.dry_run => {}
                Ok(_) => output::line(&pod.record.id)?,
                Err(failure) => failures.push(failed(failure)),
            }
        }
        Ok(Exit::Success)
    })?;
    let worst = failures.iter().position(|failure| failure.code() == FAILED).unwrap_or(0);
    if failures.is_empty() {
        return Ok(done);
    }
    let worst = failures.swap_remove(worst);
    failures.iter().for_each(|failure| session.warn(&failure.line()));
    Err(worst)
}

/// The pods that are meant, and what is wrong with the words that mean none.
fn chosen(args: &Args, session: &Session) -> Result<(Vec<PodSummary>, Vec<Failure>), Failure> {
    if args.which.pods.is_empty() {
        return Ok((args.which.of(session)?, vec![]));
    }
    let pods = choose::every(session)?;
    let (mut chosen, mut failures) = (vec![], vec![]);
    for word in &args.which.pods {
        match choose::one(&pods, word) {
            Ok(pod) => chosen.push(pod.clone()),
            Err(NotOne::Missing { .. }) if args.ignore => {}
            Err(missing @ NotOne::Missing { .. }) => failures.push(missing.into()),
            Err(several) => failures.push(failed(several.into())),
        }
    }
    Ok((chosen, failures))
}

fn failed(failure: Failure) -> Failure {
    failure.with_code(FAILED)
}

async fn remove(args: &Args, session: &Session, pod: &PodSummary) -> Result<Exit, Failure> {
    let name = &pod.record.name;
    let lives = |status| matches!(status, Status::Running | Status::Paused | Status::Restarting);
    let living: Vec<&str> = pod
        .containers
        .iter()
        .filter(|container| lives(container.state.status) && !container.record.spec.is_infra())
        .map(|container| container.record.spec.name.as_str())
        .collect();
    if !args.force && !living.is_empty() {
        return Err(Failure::new(format!("pod `{name}` has containers that run: {}", living.join(", ")))
            .hint("stop them with `compose pod stop`, or say --force"));
    }
    let verb = Verb::Down { whole: true, volumes: true, images: RemoveImages::None };
    let act =
        Act { timeout: args.time, orphans: Orphans::Remove, sweep: true, keep_named: true, ..Act::new(verb) };
    verb::on_pod(session, "rm", name, &act).await
}
