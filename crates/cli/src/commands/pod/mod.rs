//! `compose pod`: projects as pods, by name or id, without their Compose files. Flags, columns, JSON and
//! exit codes are Podman's: 125 for a command that failed, other codes where a verb gives them a meaning.

mod act;
mod choose;
mod exists;
mod inspect;
mod logs;
mod ps;
mod rm;
mod stats;
mod top;

use crate::exit::{Exit, Failure};
use crate::session::Session;
use engine::user::Purpose;
use plan::Verb as Planned;

/// Exit code of a pod command that failed.
const FAILED: u8 = 125;

/// What follows `pod`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The verb of the group.
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Say by the exit code whether a pod exists: 0 or 1
    Exists(exists::Args),
    /// Show all that is known of pods, as JSON
    Inspect(inspect::Args),
    /// Send a signal to all containers of pods
    Kill(act::Kill),
    /// Show what the containers of a pod wrote
    Logs(logs::Args),
    /// Freeze the containers of pods
    Pause(act::Plain),
    /// List pods
    #[command(alias = "ls", alias = "list")]
    Ps(ps::Args),
    /// Restart the containers of pods
    Restart(act::Plain),
    /// Remove pods with their containers and networks
    Rm(rm::Args),
    /// Start the containers of pods, dependencies first
    Start(act::Plain),
    /// Show what the containers of pods use
    Stats(stats::Args),
    /// Stop the containers of pods, dependents first
    Stop(act::Stop),
    /// Show the processes of a pod
    Top(top::Args),
    /// Let the containers of pods go on
    Unpause(act::Plain),
}

impl Args {
    /// What the verb wants in an ordinary user's world.
    pub(super) fn purpose(&self, dry_run: bool) -> Purpose {
        match self.verb {
            Verb::Exists(_)
            | Verb::Inspect(_)
            | Verb::Logs(_)
            | Verb::Ps(_)
            | Verb::Stats(_)
            | Verb::Top(_) => Purpose::Look,
            _ if dry_run => Purpose::Look,
            _ => Purpose::Work,
        }
    }
}

/// Runs a verb of the group.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let outcome = match &args.verb {
        Verb::Rm(args) => return rm::run(args, session),
        Verb::Exists(args) => exists::run(args, session),
        Verb::Inspect(args) => inspect::run(args, session),
        Verb::Kill(args) => act::kill(args, session),
        Verb::Logs(args) => logs::run(args, session),
        Verb::Pause(args) => act::plain(args, session, "pause", Planned::Pause),
        Verb::Ps(args) => ps::run(args, session),
        Verb::Restart(args) => act::plain(args, session, "restart", Planned::Restart { no_deps: false }),
        Verb::Start(args) => act::plain(args, session, "start", Planned::Start),
        Verb::Stats(args) => stats::run(args, session),
        Verb::Stop(args) => act::stop(args, session),
        Verb::Top(args) => top::run(args, session),
        Verb::Unpause(args) => act::plain(args, session, "unpause", Planned::Unpause),
    };
    outcome.map_err(|failure| failure.with_code(FAILED))
}
