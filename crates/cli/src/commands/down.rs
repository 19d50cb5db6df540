//! `compose down`: stops and removes containers and networks, and what else the flags name.

use crate::exit::{Exit, Failure};
use crate::session::Session;
use crate::verb::{self, Act};
use plan::{Orphans, RemoveImages, Verb};

/// Flags of `down`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove containers of services that are not in the file
    #[arg(long)]
    pub(crate) remove_orphans: bool,
    /// Remove images: all, or local for those without a name of their own
    #[arg(long, value_name = "WHICH")]
    pub(crate) rmi: Option<String>,
    /// Seconds before containers are killed
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(crate) timeout: Option<i64>,
    /// Remove named volumes of the file and anonymous volumes too
    #[arg(short, long, alias = "volume")]
    pub(crate) volumes: bool,
    /// Services, all by default
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
}

/// A `down` of the whole project without flags.
pub(super) fn whole(orphans: Orphans) -> Act {
    Act {
        orphans,
        nothing: Some("No resource found to remove"),
        sweep: true,
        ..Act::new(Verb::Down { whole: true, volumes: false, images: RemoveImages::None })
    }
}

/// Takes the project down.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let images = match args.rmi.as_deref() {
        None | Some("") => RemoveImages::None,
        Some("local") => RemoveImages::Local,
        Some("all") => RemoveImages::All,
        Some(other) => {
            return Err(
                Failure::new(format!("invalid value for --rmi: `{other}`")).hint("it is `all` or `local`")
            );
        }
    };
    let remove = args.remove_orphans || session.environment().says_yes("COMPOSE_REMOVE_ORPHANS");
    let act = Act {
        timeout: args.timeout,
        verb: Verb::Down { whole: args.services.is_empty(), volumes: args.volumes, images },
        sweep: args.services.is_empty(),
        ..whole(if remove { Orphans::Remove } else { Orphans::Ignore })
    };
    let exit = verb::run(session, "down", &args.services, act)?;
    if images != RemoveImages::None && !session.globals.dry_run {
        let failed = |error| Failure::because("cannot remove layers that nothing needs any more", error);
        session.engine()?.collect_garbage().map_err(failed)?;
    }
    Ok(exit)
}
