//! `compose network rm`: removes networks that no container is on.

use super::find;
use crate::commands::{owned, pods};
use crate::exit::{Exit, Failure};
use crate::output;
use crate::runtime::{self, Size};
use crate::session::Session;
use engine::EngineError;
use resource::{ContainerName, Labels, NetworkName};

/// Flags of `network rm`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// No error for one that is not there
    #[arg(short, long)]
    force: bool,
    /// Names, or ids and beginnings of them
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

/// Removes networks. All are looked up before the first is touched.
pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, Failure> {
    let viewer = session.viewer()?;
    let pods = pods(session)?;
    let known = find::every(viewer, &pods);
    let mut chosen: Vec<(NetworkName, Labels)> = vec![];
    for word in &args.networks {
        let found = match find::one(&known, word) {
            Ok(found) => {
                let users: Vec<_> =
                    found.users.iter().map(|(container, _)| container.record.spec.name.clone()).collect();
                if !users.is_empty() {
                    return Err(in_use(&found.record.spec.name, &users));
                }
                (found.record.spec.name.clone(), found.record.spec.labels.clone())
            }
            Err(owned::NotOne::Missing { .. }) if is_remnant(viewer, word) => {
                (NetworkName(word.clone()), Labels::new())
            }
            Err(owned::NotOne::Missing { .. }) if args.force => continue,
            Err(error) => return Err(error.into()),
        };
        if !chosen.contains(&found) {
            chosen.push(found);
        }
    }
    if session.globals.dry_run {
        for (name, _) in &chosen {
            output::planned(&format!("remove network {name}"));
        }
        return Ok(Exit::Success);
    }
    if chosen.is_empty() {
        return Ok(Exit::Success);
    }
    session.begin()?;
    runtime::interruptible(Size::One, async {
        for (name, labels) in &chosen {
            remove(session, name, labels).await?;
            output::line(name.as_str())?;
        }
        owned::sweep(session)?;
        Ok(Exit::Success)
    })
}

/// Whether something is left of a network whose document is damaged, or was never finished.
fn is_remnant(engine: &engine::Engine, word: &str) -> bool {
    engine::check_name(word).is_ok() && engine.roots().network(&NetworkName(word.to_owned())).exists()
}

/// Removes a network, with nothing under way in the project that it belongs to.
pub(super) async fn remove(session: &Session, name: &NetworkName, labels: &Labels) -> Result<(), Failure> {
    let lock = owned::lock(session, labels).await?;
    let removed = session.engine()?.remove_network(name);
    drop(lock);
    removed.map_err(|error| match error {
        EngineError::NetworkInUse { network, containers } => in_use(&network, &containers),
        error => Failure::because(format!("cannot remove network `{name}`"), error),
    })
}

fn in_use(name: &NetworkName, users: &[ContainerName]) -> Failure {
    let users: Vec<_> = users.iter().map(|user| format!("`{user}`")).collect();
    Failure::new(format!("network `{name}` is in use by {}", users.join(", ")))
        .hint("remove those containers first; `compose down` removes those of a project")
}
