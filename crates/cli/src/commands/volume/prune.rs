//! `compose volume prune`: removes the volumes that no container mounts, running or not: those without a name,
//! and the others where that is asked for.

use super::find;
use crate::commands::{owned, pods};
use crate::exit::{Exit, Failure};
use crate::runtime::{self, Size};
use crate::session::Session;
use crate::view::size;
use crate::{output, prompt};
use engine::{EngineError, bytes_below};
use resource::{Timestamp, VolumeName, VolumeSpec};

/// What `--filter` takes: when a volume was last used is not known.
const WORDS: [&str; 2] = ["label", "label!"];

/// Flags of `volume prune`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also volumes that have a name
    #[arg(short, long)]
    all: bool,
    /// Only volumes of label=KEY[=VALUE] or label!=KEY[=VALUE]
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

/// Asks, removes, and says how much room that made.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let filters = owned::Filters::read(&args.filters, &WORDS, Timestamp::now())?;
    let pods = pods(session)?;
    let known = find::every(session.viewer()?, &pods);
    let unused = known.iter().filter(|one| one.users.is_empty() && filters.takes(&one.seen()));
    let chosen: Vec<&VolumeSpec> =
        unused.filter(|one| args.all || one.record.anonymous).map(|one| &one.record.spec).collect();
    if session.globals.dry_run {
        for spec in &chosen {
            output::planned(&format!("remove volume {}", spec.name));
        }
        return Ok(Exit::Success);
    }
    let names: Vec<String> = chosen.iter().map(|spec| format!("`{}`", spec.name)).collect();
    let question = format!("Remove the volumes that no container mounts: {}?", names.join(", "));
    if !chosen.is_empty() && !args.force && !prompt::confirm(&question)? {
        return Ok(Exit::Success);
    }
    if chosen.is_empty() {
        return reclaimed(0);
    }
    session.begin()?;
    runtime::interruptible(Size::One, async {
        let mut freed = 0;
        for spec in &chosen {
            let lock = owned::lock(session, &spec.labels).await?;
            freed += remove(session.engine()?, &spec.name)?;
            drop(lock);
        }
        owned::sweep(session)?;
        reclaimed(freed)
    })
}

fn reclaimed(bytes: u64) -> Result<Exit, Failure> {
    output::line(&format!("Total reclaimed space: {}", size::human(bytes)))?;
    Ok(Exit::Success)
}

/// Removes a volume that nobody has come to meanwhile, and tells it; gives its bytes.
pub(crate) fn remove(engine: &engine::Engine, name: &VolumeName) -> Result<u64, Failure> {
    let bytes = bytes_below(&engine.roots().volume(name).join("_data"));
    match engine.remove_volume(name) {
        Ok(()) => {
            output::line(&format!("Deleted volume: {name}"))?;
            Ok(bytes)
        }
        Err(EngineError::VolumeInUse { .. }) => Ok(0),
        Err(error) => Err(Failure::because(format!("cannot remove volume `{name}`"), error)),
    }
}
