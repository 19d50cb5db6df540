//! `compose volume rm`: removes volumes that no container mounts, with what is in them.

use super::find;
use crate::commands::{owned, pods};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::runtime::{self, Size};
use crate::session::Session;
use engine::EngineError;
use resource::{ContainerName, VolumeName};

/// Flags of `volume rm`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// No error for one that is not there
    #[arg(short, long)]
    force: bool,
    /// Names
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

/// Removes volumes. All are looked up before the first is touched.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let pods = pods(session)?;
    let known = find::every(session.viewer()?, &pods);
    let mut chosen = vec![];
    for word in &args.volumes {
        let found = match find::one(&known, word) {
            Ok(found) if found.users.is_empty() => &found.record.spec,
            Ok(found) => return Err(in_use(&found.record.spec.name, &found.users)),
            Err(owned::NotOne::Missing { .. }) if args.force => continue,
            Err(error) => return Err(error.into()),
        };
        if !chosen.contains(&found) {
            chosen.push(found);
        }
    }
    if session.globals.dry_run {
        for spec in &chosen {
            output::planned(&format!("remove volume {}", spec.name));
        }
        return Ok(Exit::Success);
    }
    if chosen.is_empty() {
        return Ok(Exit::Success);
    }
    session.begin()?;
    runtime::interruptible(Size::One, async {
        for spec in &chosen {
            let lock = owned::lock(session, &spec.labels).await?;
            let removed = session.engine()?.remove_volume(&spec.name);
            drop(lock);
            removed.map_err(|error| match error {
                EngineError::VolumeInUse { volume, containers } => in_use(&volume, &containers),
                error => Failure::because(format!("cannot remove volume `{}`", spec.name), error),
            })?;
            output::line(spec.name.as_str())?;
        }
        owned::sweep(session)?;
        Ok(Exit::Success)
    })
}

fn in_use<'a>(name: &VolumeName, users: impl IntoIterator<Item = &'a ContainerName>) -> Failure {
    let users: Vec<_> = users.into_iter().map(|user| format!("`{user}`")).collect();
    Failure::new(format!("volume `{name}` is in use by {}", users.join(", ")))
        .hint("remove those containers first; `compose down` removes those of a project")
}
