//! What a command does about documents that it cannot read, before it plans anything. Under the project's
//! lock.

use crate::converge::scope;
use crate::exit::Failure;
use crate::select;
use engine::{Damage, Engine, EngineError, Subject};
use plan::Verb;
use resource::document::Fault;
use resource::{ContainerName, Desired, DesiredService, VolumeSpec};

/// Mends what can be mended; `down` and `rm` remove what cannot, and are named by the commands that it
/// stands in the way of. `warn` is told what was done about each.
///
/// # Errors
/// A document is a newer program's, or what it was about is needed.
pub(crate) async fn mend(
    engine: &Engine,
    desired: &Desired,
    verb: &Verb,
    mut warn: impl FnMut(String),
) -> Result<(), Failure> {
    let failed = |error: EngineError| {
        Failure::because(format!("cannot mend what is damaged of project `{}`", desired.pod), error)
    };
    let found = engine.damage(&scope(desired)).map_err(failed)?;
    if let Some(newer) = found.iter().find(|damage| damage.fault == Fault::Newer) {
        return Err(Failure::new(format!("{newer}; nothing was done"))
            .hint("use the program that wrote it, or a newer one"));
    }
    for damage in &found {
        let done = mend_one(engine, desired, verb, damage).await;
        let done = done.map_err(failed)?.ok_or_else(|| in_the_way(damage))?;
        warn(format!("{damage}{done}"));
    }
    Ok(())
}

/// What was done about it; `None` when it stands in the way.
async fn mend_one(
    engine: &Engine,
    desired: &Desired,
    verb: &Verb,
    damage: &Damage,
) -> Result<Option<&'static str>, EngineError> {
    let removes = matches!(verb, Verb::Down { whole: true, .. });
    let needs = matches!(verb, Verb::Up | Verb::Create | Verb::Start | Verb::Restart { .. });
    Ok(Some(match &damage.subject {
        Subject::Pod(pod) => {
            engine.mend_pod(pod, &desired.labels)?;
            "; it was written anew"
        }
        Subject::Volume(name) => {
            let spec = desired.volumes.iter().find(|spec| spec.name == *name).cloned();
            if let Some(spec) = spec {
                engine.mend_volume(&VolumeSpec { external: false, ..spec })?;
            }
            "; it was written anew, and the volume's data is as it was"
        }
        Subject::State(id, _) => match engine.mend_state(&desired.pod, id).await? {
            true => "; it was taken from the supervisor",
            false => "; what still ran of the container was ended",
        },
        Subject::Container(id, _) if removes => {
            engine.remove_damaged(&desired.pod, id).await?;
            "; the container was removed"
        }
        Subject::Container(id, name) if is_meant(desired, verb, name.as_ref()) => {
            if !matches!(verb, Verb::Remove { stop: true, .. }) && engine.still_runs(&desired.pod, id) {
                "; the container still runs, and `compose rm --stop` ends and removes it"
            } else {
                engine.remove_damaged(&desired.pod, id).await?;
                "; the container was removed"
            }
        }
        Subject::Network(_) if removes => "; the network is removed",
        Subject::Container(..) | Subject::Network(_) if needs => return Ok(None),
        Subject::Container(..) | Subject::Network(_) => "",
    }))
}

/// Whether `rm` is about the container: about all that are there, or its name is one that the chosen services
/// give.
fn is_meant(desired: &Desired, verb: &Verb, name: Option<&ContainerName>) -> bool {
    let mut chosen = desired.services.iter().filter(|service| service.selected);
    let is_its = |service: &DesiredService| {
        name.is_some_and(|name| {
            service.container.name == *name
                || select::service_in(name, &desired.pod) == Some(service.name.as_str())
        })
    };
    matches!(verb, Verb::Remove { .. })
        && (desired.services.iter().all(|service| service.selected) || chosen.any(is_its))
}

fn in_the_way(damage: &Damage) -> Failure {
    Failure::new(damage.to_string())
        .hint("`compose down` removes what is left of it; named volumes stay, and `compose up` makes it anew")
}
