//! `compose watch`: brings services up and keeps their containers to the sources as these change.

use super::create::Making;
use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::watching::{self, Options, Watching};
use plan::Verb;

/// Flags of `watch`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Watch what runs already, and start nothing
    #[arg(long)]
    pub(crate) no_up: bool,
    /// Remove images that a rebuild left without a name
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub(crate) prune: bool,
    /// Build without output
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// Watches until it is interrupted.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let loaded = session.load(&args.services)?;
    let services = watching::rules::read(session, &loaded, &args.services)?;
    let making = Making { build: true, quiet_build: args.quiet, ..Making::default() };
    let made = match args.no_up {
        true => None,
        false => Some(making.prepare_loaded(session, &loaded, &args.services, Verb::Up, false)?),
    };
    if session.globals.dry_run {
        return watching::tell_rules(&services).map(|()| Exit::Success);
    }
    let options = Options { quiet: args.quiet, prune: args.prune, mark: None };
    let mut watching = Watching::begin(session, loaded.0.name.as_str(), services, options)?;
    let outcome = session.work(async {
        if let Some(made) = made {
            let progress = session.progress("up");
            made.converge(session, &progress).await?;
        }
        watching.run().await.map(|()| Exit::Success)
    });
    watching.end();
    outcome
}
