//! `compose logout`: forgets what was kept for a registry.

use crate::exit::{Exit, Failure};
use crate::output;
use crate::runtime::{self, Size};
use crate::session::Session;
use engine::Engine;

/// Flags of `logout`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The registry
    #[arg(default_value = "docker.io")]
    registry: String,
}

/// Logs out. Not to have been logged in is no error.
pub(crate) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    if session.globals.dry_run {
        output::planned(&format!("forget the credentials for {}", args.registry));
        return Ok(Exit::Success);
    }
    runtime::interruptible(Size::One, async {
        let out = Engine::log_out(&args.registry).await;
        let out = out.map_err(|error| Failure::new(crate::perform::chain(&error)))?;
        for path in &out.left {
            session.warn(&format!(
                "{} still has credentials for `{}`; another program wrote it",
                path.display(),
                args.registry
            ));
        }
        let said = if out.removed { "Removed login credentials" } else { "Not logged in" };
        output::line(&format!("{said} for {}", args.registry))?;
        Ok(Exit::Success)
    })
}
