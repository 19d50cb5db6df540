//! The acts of a plan on the engine, and what is shown of them.

mod failure;

pub(crate) use failure::{chain, explain, failure};

use crate::hook::{self, HookError};
use crate::view::progress::{Line, Progress, Status};
use apply::Perform;
use engine::{Engine, EngineError};
use plan::{Change, Planned, Reason, Step};
use resource::{
    BuildSpec, ContainerId, ContainerName, ImageNeed, NetworkName, Observed, PodName, Predecessor, Reference,
    Resources,
};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

/// Why an act could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    /// The engine said no.
    #[error(transparent)]
    Engine(#[from] Box<EngineError>),
    /// A container that should exist by now does not.
    #[error("container `{0}` is not there any more")]
    Vanished(ContainerName),
    /// A command beside the container's own did not do.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A thread that worked for the act ended.
    #[error("the work was cut short")]
    CutShort,
}

impl From<EngineError> for ActError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<engine::StoreError> for ActError {
    fn from(error: engine::StoreError) -> Self {
        EngineError::from(error).into()
    }
}

/// Performs acts for one pod. It remembers the ids of containers by name, those made meanwhile too.
pub(crate) struct Performer<'a> {
    engine: &'a Engine,
    pod: PodName,
    ids: Mutex<HashMap<ContainerName, ContainerId>>,
    /// What of their limits is not enforced for the containers that were started.
    not_enforced: Mutex<BTreeMap<String, String>>,
    /// Where builds are shown, and how many of their steps go on at once.
    builds: Option<(&'a Progress, NonZeroUsize)>,
    /// Images that could not be pulled and can be built.
    unpulled: Mutex<Vec<Reference>>,
    /// What it starts it has stopped before, or would have.
    restarts: bool,
}

impl<'a> Performer<'a> {
    /// A performer that knows the containers that are there.
    pub(crate) fn new(engine: &'a Engine, pod: &PodName, observed: &Observed) -> Self {
        let known = observed.containers.iter();
        let ids = known
            .map(|container| (container.record.spec.name.clone(), container.record.id.clone()))
            .collect();
        Self {
            engine,
            pod: pod.clone(),
            ids: Mutex::new(ids),
            not_enforced: Mutex::default(),
            builds: None,
            unpulled: Mutex::default(),
            restarts: false,
        }
    }

    /// The same, for a command that restarts containers: the events say so.
    pub(crate) fn restarting(self, restarts: bool) -> Self {
        Self { restarts, ..self }
    }

    /// The same, which also builds, and does not fail for an image that can be built instead of pulled.
    pub(crate) fn building(self, progress: &'a Progress, width: NonZeroUsize) -> Self {
        Self { builds: Some((progress, width)), ..self }
    }

    /// Whether a step that has ended well was a pull of what can be built instead.
    pub(crate) fn went_without(&self, step: &Step) -> bool {
        let unpulled = self.unpulled.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(step, Step::Pull { need, .. } if unpulled.contains(&need.reference))
    }

    /// Images that could not be pulled and can be built.
    pub(crate) fn unpulled(self) -> Vec<Reference> {
        self.unpulled.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pull(&self, need: &ImageNeed, tell: &(dyn Fn(apply::Progress) + Sync)) -> Result<(), ActError> {
        let layers = Layers::default();
        let told = |event| layers.told(event).into_iter().for_each(tell);
        match (self.engine.pull(need, &told).await, self.builds) {
            (Err(_), Some(_)) if need.buildable => {
                self.unpulled.lock().unwrap_or_else(PoisonError::into_inner).push(need.reference.clone());
                Ok(())
            }
            (pulled, _) => Ok(pulled.map(drop)?),
        }
    }

    async fn build(&self, builds: &[BuildSpec]) -> Result<(), ActError> {
        let Some((progress, width)) = self.builds else { return Ok(()) };
        crate::building::build_to_run(self.engine, builds, width, progress).await?;
        Ok(())
    }

    /// What is not enforced for the containers it has started, a sentence each, with the place of the first
    /// service that this is said of.
    pub(crate) fn not_enforced(self) -> BTreeMap<String, String> {
        self.not_enforced.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what is not enforced, to be told at the end.
    fn note(&self, not_enforced: Vec<String>, place: &str) {
        let mut noted = self.not_enforced.lock().unwrap_or_else(PoisonError::into_inner);
        for text in not_enforced {
            let first = noted.entry(text).or_insert_with(|| place.to_owned());
            if *place < **first {
                place.clone_into(first);
            }
        }
    }

    fn limit(&self, pod: &PodName, resources: &Resources) -> Result<(), ActError> {
        let said = self.engine.limit_pod(pod, resources)?;
        self.note(said, "");
        Ok(())
    }

    fn id(&self, name: &ContainerName) -> Result<ContainerId, ActError> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.get(name).cloned().ok_or_else(|| ActError::Vanished(name.clone()))
    }

    fn know(&self, name: &ContainerName, id: ContainerId) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), id);
    }

    async fn create(
        &self,
        spec: &resource::ContainerSpec,
        replaces: Option<&Predecessor>,
    ) -> Result<(), ActError> {
        let (engine, wanted, old) = (self.engine.clone(), spec.clone(), replaces.cloned());
        let made = tokio::task::spawn_blocking(move || engine.create_container(&wanted, old.as_ref())).await;
        let id = made.map_err(|_| ActError::CutShort)??;
        self.know(&spec.name, id);
        Ok(())
    }

    async fn lower(&self, network: &NetworkName) -> Result<(), ActError> {
        let (engine, pod, network) = (self.engine.clone(), self.pod.clone(), network.clone());
        let lowered = tokio::task::spawn_blocking(move || engine.lower_network(&pod, &network)).await;
        Ok(lowered.map_err(|_| ActError::CutShort)??)
    }

    async fn container(&self, step: &Step) -> Result<(), ActError> {
        let pod = &self.pod;
        match step {
            Step::CreateContainer { spec, replaces } => self.create(spec, replaces.as_ref()).await?,
            Step::UpdateContainer { id, spec, .. } => {
                self.engine.update_container(pod, id, spec).await?;
            }
            Step::HandOverPorts { from, to, .. } => {
                self.engine.hand_over_ports(pod, from, &self.id(to)?).await?;
            }
            Step::RenameContainer { from, to } => {
                let id = self.id(from)?;
                self.engine.rename_container(pod, &id, to).await?;
                self.know(to, id);
            }
            Step::StartContainer { container, hooks, place, .. } => {
                let id = self.id(container)?;
                let state = self.engine.start(pod, &id).await?;
                self.note(state.not_enforced, place);
                if self.restarts {
                    self.engine.note_restart(pod, &id);
                }
                hook::run(self.engine, pod, &id, "post_start", hooks).await?;
            }
            Step::StopContainer { id, grace, hooks, .. } => {
                hook::run(self.engine, pod, id, "pre_stop", hooks).await?;
                self.engine.stop(pod, id, *grace).await?;
            }
            Step::KillContainer { id, signal, .. } => self.engine.kill(pod, id, *signal).await?,
            Step::PauseContainer { id, .. } => self.engine.pause(pod, id).await?,
            Step::UnpauseContainer { id, .. } => self.engine.unpause(pod, id).await?,
            Step::RemoveContainer { id, volumes, .. } => {
                self.engine.remove_container(pod, id, *volumes).await?
            }
            _ => {}
        }
        Ok(())
    }
}

impl Perform for Performer<'_> {
    type Error = ActError;

    async fn perform(&self, step: &Step, tell: &(dyn Fn(apply::Progress) + Sync)) -> Result<(), ActError> {
        match step {
            Step::CreatePod { pod, labels, resources } => {
                let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
                self.engine.create_pod_by(pod, labels, &words.collect::<Vec<_>>())?;
                self.limit(pod, resources)?;
            }
            Step::LimitPod { pod, resources } => self.limit(pod, resources)?,
            Step::RemovePod { pod } => self.engine.remove_pod(pod).await?,
            Step::Pull { need, .. } => self.pull(need, tell).await?,
            Step::Build { builds, .. } => self.build(builds).await?,
            Step::RemoveImage { reference } => {
                self.engine.store().remove_image(reference, None)?;
            }
            Step::CreateNetwork(spec) | Step::RaiseNetwork(spec) => {
                self.engine.create_network(spec)?;
            }
            Step::LowerNetwork { network } => self.lower(network).await?,
            Step::RemoveNetwork { network } => self.engine.remove_network(network)?,
            Step::CreateVolume(spec) => {
                self.engine.create_volume(spec)?;
            }
            Step::RemoveVolume { volume } => self.engine.remove_volume(volume)?,
            Step::Await(_) | Step::Provide(_) | Step::Ask(_) => {}
            step => self.container(step).await?,
        }
        Ok(())
    }
}

/// The layers of an image that is pulled, by the digest of their blob.
#[derive(Default)]
struct Layers {
    sizes: Mutex<HashMap<String, u64>>,
}

impl Layers {
    /// What a pull's event means for its layers.
    fn told(&self, event: engine::PullEvent) -> Vec<apply::Progress> {
        use engine::PullEvent;
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        let part = |layer: &resource::Digest, text: &str, bytes: Option<(u64, u64)>| apply::Progress {
            part: Some(layer.hex().get(..12).unwrap_or_default().to_owned()),
            text: text.to_owned(),
            current: bytes.map(|(done, _)| done),
            total: bytes.map(|(_, all)| all),
        };
        match event {
            PullEvent::Found { layers, .. } => {
                sizes.extend(layers.iter().map(|(layer, size)| (layer.to_string(), *size)));
                layers.iter().map(|(layer, size)| part(layer, "Pulling fs layer", Some((0, *size)))).collect()
            }
            PullEvent::Present(layer) => vec![part(&layer, "Already exists", None)],
            PullEvent::Waiting(layer) => vec![part(&layer, "Waiting", None)],
            PullEvent::Progress { layer, done } => {
                let size = sizes.get(layer.as_str()).copied().unwrap_or(done);
                vec![part(&layer, "Downloading", Some((done, size)))]
            }
            PullEvent::Resumed(layer) => vec![part(&layer, "Resuming", None)],
            PullEvent::Done(layer) => vec![part(&layer, "Pull complete", None)],
            PullEvent::Omitted { layer, omitted } => {
                vec![part(&layer, &format!("Pull complete{}", without(omitted)), None)]
            }
            PullEvent::UpToDate => vec![],
        }
    }
}

/// What a layer lacks where the engine is an ordinary user's.
pub(crate) fn without(omitted: engine::Omitted) -> String {
    let count = |number: u32, one: &str, many: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        number => Some(format!("{number} {many}")),
    };
    let devices = count(omitted.devices, "device node (takes root)", "device nodes (take root)");
    let owners =
        count(omitted.owners, "file's owner (takes subordinate ids)", "files' owners (take subordinate ids)");
    let lacks: Vec<String> = devices.into_iter().chain(owners).collect();
    format!(" without {}", lacks.join(" and "))
}

/// What is shown of an act that begins, goes on or ends; `None` for acts that are part of another.
pub(crate) fn line(planned: &Planned, kind: &apply::EventKind) -> Option<Line> {
    let (id, (begun, done)) = words(planned)?;
    let line = match kind {
        // It is done when the new container has its lasting name.
        apply::EventKind::Done if begun == done => return None,
        apply::EventKind::Begun => Line::new(id, Status::Working, begun).details(because(planned)),
        apply::EventKind::Done => Line::new(id, Status::Done, done),
        apply::EventKind::Failed => Line::new(id, Status::Error, "Error"),
        apply::EventKind::Progress(progress) => {
            let mut line = Line::new(id.clone(), Status::Working, progress.text.clone());
            if let Some(part) = &progress.part {
                line.id.clone_from(part);
                line.parent = Some(id);
            }
            line.bytes = progress.current.zip(progress.total.or(Some(0)));
            if line.parent.is_some()
                && (progress.text.starts_with("Pull complete") || progress.text == "Already exists")
            {
                line.status = Status::Done;
            }
            line
        }
    };
    Some(line)
}

/// The resource and the words for the beginning and the end of an act.
fn words(planned: &Planned) -> Option<(String, (&'static str, &'static str))> {
    let container = |name: &ContainerName| format!("Container {name}");
    Some(match &planned.step {
        Step::Pull { need, .. } => (format!("Image {}", need.reference.written()), ("Pulling", "Pulled")),
        Step::RemoveImage { reference } => {
            (format!("Image {}", reference.familiar()), ("Removing", "Removed"))
        }
        Step::CreateNetwork(spec) | Step::RaiseNetwork(spec) => {
            (format!("Network {}", spec.name), ("Creating", "Created"))
        }
        // A part of its removal.
        Step::LowerNetwork { .. } => return None,
        Step::RemoveNetwork { network } => (format!("Network {network}"), ("Removing", "Removed")),
        Step::CreateVolume(spec) => (format!("Volume {}", spec.name), ("Creating", "Created")),
        Step::RemoveVolume { volume } => (format!("Volume {volume}"), ("Removing", "Removed")),
        Step::CreateContainer { spec, .. } if lasting(&spec.name) != spec.name => {
            (container(&lasting(&spec.name)), ("Recreate", "Recreate"))
        }
        Step::CreateContainer { spec, .. } => (container(&spec.name), ("Creating", "Created")),
        Step::UpdateContainer { container: name, .. } => (container(name), ("Updating", "Updated")),
        // A part of its replacement.
        Step::HandOverPorts { .. } => return None,
        Step::LimitPod { pod, .. } => (format!("Pod {pod}"), ("Updating", "Updated")),
        Step::RenameContainer { to, .. } => (container(to), ("Recreate", "Recreated")),
        Step::StartContainer { container: name, .. } => (container(name), ("Starting", "Started")),
        // The end of a container that is replaced is part of its replacement.
        Step::StopContainer { .. } | Step::RemoveContainer { .. } if planned.reason == Reason::Replaced => {
            return None;
        }
        Step::StopContainer { container: name, .. } => (container(name), ("Stopping", "Stopped")),
        Step::KillContainer { container: name, .. } => (container(name), ("Killing", "Killed")),
        Step::PauseContainer { container: name, .. } => (container(name), ("Pausing", "Paused")),
        Step::UnpauseContainer { container: name, .. } => (container(name), ("Unpausing", "Unpaused")),
        Step::RemoveContainer { container: name, .. } => (container(name), ("Removing", "Removed")),
        // A build shows its steps and images itself.
        Step::Build { .. }
        | Step::CreatePod { .. }
        | Step::RemovePod { .. }
        | Step::Await(_)
        // What a provider does, it tells itself.
        | Step::Provide(_)
        | Step::Ask(_) => return None,
    })
}

/// `<12 of the old id>_<name>` without what is temporary.
fn lasting(name: &ContainerName) -> ContainerName {
    match name.as_str().split_once('_') {
        Some((id, rest)) if id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            ContainerName::from(rest)
        }
        _ => name.clone(),
    }
}

/// Why a container is made anew or removed, where that is news to the user.
fn because(planned: &Planned) -> String {
    match (&planned.step, &planned.reason) {
        (Step::CreateContainer { spec, .. }, _) if lasting(&spec.name) == spec.name => String::new(),
        (Step::CreateContainer { .. }, Reason::Changed { changes, .. }) if !changes.is_empty() => {
            let changes: Vec<String> = changes.iter().map(changed).collect();
            format!("because {}", changes.join("; "))
        }
        (Step::CreateContainer { .. }, reason) => format!("because {reason}"),
        (_, reason @ (Reason::Orphan(_) | Reason::Ran | Reason::ScaleDown { .. })) => {
            format!("because {reason}")
        }
        _ => String::new(),
    }
}

/// `environment changed: FOO, BAR`.
fn changed(change: &Change) -> String {
    if change.keys.is_empty() {
        return format!("{} changed", change.field);
    }
    format!("{} changed: {}", change.field, change.keys.join(", "))
}

/// Performs one act outside of a plan, and shows it.
pub(crate) async fn alone(
    performer: &Performer<'_>,
    planned: &Planned,
    show: impl Fn(&Line) + Sync,
) -> Result<(), ActError> {
    let tell = |kind| line(planned, &kind).iter().for_each(&show);
    tell(apply::EventKind::Begun);
    let result =
        performer.perform(&planned.step, &|progress| tell(apply::EventKind::Progress(progress))).await;
    tell(if result.is_ok() { apply::EventKind::Done } else { apply::EventKind::Failed });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_name_is_shown_as_the_lasting_one() {
        assert_eq!(lasting(&"0123456789ab_shop-web-1".into()).as_str(), "shop-web-1");
        assert_eq!(lasting(&"shop_web_1".into()).as_str(), "shop_web_1");
    }

    #[test]
    fn what_a_layer_lacks_is_told_behind_its_pull() {
        let omitted = |devices, owners| without(engine::Omitted { devices, owners });
        assert_eq!(omitted(1, 0), " without 1 device node (takes root)");
        let both = " without 2 device nodes (take root) and 1 file's owner (takes subordinate ids)";
        assert_eq!(omitted(2, 1), both);
    }

    #[test]
    fn a_change_is_told_by_its_field() {
        let change = |keys: &[&str]| Change {
            field: "environment".into(),
            keys: keys.iter().map(|key| (*key).into()).collect(),
        };
        assert_eq!(changed(&change(&["FOO", "BAR"])), "environment changed: FOO, BAR");
        assert_eq!(changed(&change(&[])), "environment changed");
    }

    #[test]
    fn replacing_is_one_line_not_four() {
        let planned = Planned {
            step: Step::StopContainer {
                container: "shop-web-1".into(),
                id: "0".into(),
                grace: None,
                hooks: vec![],
            },
            reason: Reason::Replaced,
        };
        assert_eq!(line(&planned, &apply::EventKind::Begun), None);
        let planned = Planned { reason: Reason::Asked, ..planned };
        let shown = line(&planned, &apply::EventKind::Begun).unwrap();
        assert_eq!((shown.id.as_str(), shown.text.as_str()), ("Container shop-web-1", "Stopping"));
    }
}
