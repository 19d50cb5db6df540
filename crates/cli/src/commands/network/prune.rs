//! `compose network prune`: removes the networks that no container is on, running or not.

use super::{find, ls};
use crate::commands::owned::{self, Filters};
use crate::commands::pods;
use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::{output, prompt};
use engine::EngineError;
use resource::{Labels, NetworkName, Timestamp};

/// What `--filter` takes.
const WORDS: [&str; 3] = ["label", "label!", "until"];

/// Flags of `network prune`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only networks of label=KEY[=VALUE], label!=KEY[=VALUE], or made before until=TIME
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Asks, and removes.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let filters = Filters::read(&args.filters, &WORDS, Timestamp::now())?;
    let pods = pods(session)?;
    let known = find::every(session.viewer()?, &pods);
    let unused = known.iter().filter(|one| one.users.is_empty() && filters.takes(&ls::seen(one)));
    let chosen: Vec<(&NetworkName, &Labels)> =
        unused.map(|one| (&one.record.spec.name, &one.record.spec.labels)).collect();
    if chosen.is_empty() {
        return Ok(Exit::Success);
    }
    if session.globals.dry_run {
        for (name, _) in &chosen {
            output::planned(&format!("remove network {name}"));
        }
        return Ok(Exit::Success);
    }
    let names: Vec<String> = chosen.iter().map(|(name, _)| format!("`{name}`")).collect();
    let question = format!("Remove the networks that no container is on: {}?", names.join(", "));
    if !args.force && !prompt::confirm(&question)? {
        return Ok(Exit::Success);
    }
    session.begin()?;
    runtime::interruptible(Size::One, async {
        for (name, labels) in &chosen {
            let lock = owned::lock(session, labels).await?;
            let removed = session.engine()?.remove_network(name);
            drop(lock);
            match removed {
                Ok(()) => output::line(&format!("Deleted network: {name}"))?,
                // Somebody has come to it meanwhile.
                Err(EngineError::NetworkInUse { .. }) => {}
                Err(error) => return Err(Failure::because(format!("cannot remove network `{name}`"), error)),
            }
        }
        owned::sweep(session)?;
        Ok(Exit::Success)
    })
}
