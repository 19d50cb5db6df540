//! Documents that are there and cannot be read: found, mended where nothing is lost by it, cleared away.
//!
//! | document | damaged | of a newer program |
//! |---|---|---|
//! | container | stands in the way, until it is removed with all that was made for it | left alone |
//! | state | taken anew from the supervisor that lives; without one, what runs is ended | left alone |
//! | network | stands in the way, until it is removed with its bridge | left alone |
//! | volume, pod | written anew; the data stays | left alone |
//!
//! Images, layers and results of builds that are damaged count as absent, and are fetched or made again; a
//! layer that containers run on is put aside for them. What a newer program wrote of them is never replaced.

use crate::names::Owner;
use crate::observe::Scope;
use crate::{Engine, EngineError, disk};
use resource::document::{self, Fault};
use resource::{
    Condition, ContainerId, ContainerName, ContainerRecord, ContainerState, Labels, NetworkName,
    NetworkRecord, PodName, PodRecord, VolumeName, VolumeRecord, VolumeSpec,
};
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a supervisor may take to say how a container is.
const PATIENCE: Duration = Duration::from_secs(2);

/// A document that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What it was about.
    pub subject: Subject,
    /// Why it cannot be read.
    pub fault: Fault,
}

/// What a document is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A container; its name, when a claim still tells it.
    Container(ContainerId, Option<ContainerName>),
    /// How a container is.
    State(ContainerId, ContainerName),
    /// A network.
    Network(NetworkName),
    /// A volume.
    Volume(VolumeName),
    /// A pod.
    Pod(PodName),
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(_, Some(name)) => write!(formatter, "container `{name}`"),
            Self::Container(id, None) => write!(formatter, "container {}", id.short()),
            Self::State(_, name) => write!(formatter, "the state of container `{name}`"),
            Self::Network(name) => write!(formatter, "network `{name}`"),
            Self::Volume(name) => write!(formatter, "volume `{name}`"),
            Self::Pod(name) => write!(formatter, "pod `{name}`"),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            Fault::Damaged => "is damaged",
            Fault::Newer => "was written by a newer program",
        };
        write!(formatter, "the document of {}, `{}`, {what}", self.subject, self.path.display())
    }
}

impl Engine {
    /// What cannot be read of a pod, its containers, and the networks and volumes that are asked about.
    ///
    /// # Errors
    /// [`EngineError::File`] when a folder cannot be read.
    pub fn damage(&self, scope: &Scope) -> Result<Vec<Damage>, EngineError> {
        let (roots, pod) = (self.roots(), &scope.pod);
        let mut found = vec![];
        let mut add = |subject: Subject, path: PathBuf, fault: Option<Fault>| {
            found.extend(fault.map(|fault| Damage { path, subject, fault }));
        };
        let path = roots.pod(pod).join("pod.json");
        add(Subject::Pod(pod.clone()), path.clone(), fault::<PodRecord>(&path));
        for id in disk::entries(&roots.pod(pod).join("containers"))?.into_iter().map(ContainerId) {
            let Some(record) = self.record(pod, &id) else {
                let path = roots.container(pod, &id).join("container.json");
                let why = fault::<ContainerRecord>(&path);
                // A folder without a document is as good as one with a damaged one, unless it goes just now.
                let why = why.or_else(|| roots.container(pod, &id).exists().then_some(Fault::Damaged));
                add(Subject::Container(id.clone(), self.name_of(pod, &id)?), path, why);
                continue;
            };
            let path = roots.state(pod, &id);
            add(Subject::State(id, record.spec.name), path.clone(), fault::<ContainerState>(&path));
        }
        for name in &scope.networks {
            let path = roots.network(name).join("network.json");
            add(Subject::Network(name.clone()), path.clone(), fault::<NetworkRecord>(&path));
        }
        for name in &scope.volumes {
            let path = roots.volume(name).join("volume.json");
            add(Subject::Volume(name.clone()), path.clone(), fault::<VolumeRecord>(&path));
        }
        Ok(found)
    }

    /// The name that a container whose document is lost has claimed.
    fn name_of(&self, pod: &PodName, id: &ContainerId) -> Result<Option<ContainerName>, EngineError> {
        let folder = self.roots().data.join("names");
        let is_its = |name: &String| {
            Owner::of(&folder.join(name)).is_some_and(|owner| owner.pod == *pod && owner.id == *id)
        };
        Ok(disk::entries(&folder)?.into_iter().find(is_its).map(ContainerName))
    }

    /// Writes the document of a pod anew. Under the pod's lock.
    ///
    /// # Errors
    /// [`EngineError::File`]
    pub fn mend_pod(&self, pod: &PodName, labels: &Labels) -> Result<(), EngineError> {
        self.create_pod(pod, labels).map(drop)
    }

    /// Writes the document of a volume anew; what is in the volume stays.
    ///
    /// # Errors
    /// [`EngineError::Store`]
    pub fn mend_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        self.create_volume(spec).map(drop)
    }

    /// Takes a container's state from its supervisor; whether there is one that knows it. Without one
    /// nobody can say what became of the container: what runs of it is ended, and it counts as never
    /// started. Under the pod's lock.
    ///
    /// # Errors
    /// [`EngineError::File`], [`EngineError::Cgroup`].
    pub async fn mend_state(&self, pod: &PodName, id: &ContainerId) -> Result<bool, EngineError> {
        let path = self.roots().state(pod, id);
        let asked = async {
            let client = self.client_if_any(pod).await.ok()??;
            tokio::time::timeout(PATIENCE, client.wait(id, Condition::Started)).await.ok()?.ok()
        };
        if let Some(state) = asked.await {
            return disk::replace(&path, &state).map(|()| true);
        }
        self.kill_all(pod, id)?;
        disk::remove_file(&path).map(|()| false)
    }

    /// Whether anything runs of a container whose document is lost: the process that its state names, or
    /// one in its cgroup.
    pub fn still_runs(&self, pod: &PodName, id: &ContainerId) -> bool {
        let state: Option<ContainerState> = disk::read(&self.roots().state(pod, id));
        state.and_then(|state| state.process).is_some_and(crate::process::lives)
            || runtime::cgroup::open_lost(self.roots(), pod, id)
                .iter()
                .any(|cgroup| !cgroup.processes().is_empty())
    }

    /// Removes a container whose document is lost, with all that was made for it: its process, mounts,
    /// cgroup, name, addresses and claims of volumes. Under the pod's lock.
    ///
    /// # Errors
    /// What could not be ended or removed.
    pub async fn remove_damaged(&self, pod: &PodName, id: &ContainerId) -> Result<(), EngineError> {
        let stop = |client: std::sync::Arc<supervisor::Client>, id: ContainerId| async move {
            client.stop(&id, Some(9), Some(Duration::ZERO)).await.map(drop)
        };
        // One that does not run is what is wanted, and forgetting it says whether it does.
        drop(self.tell_supervisor(pod, id, "stop", stop).await);
        let forget = |client: std::sync::Arc<supervisor::Client>, id: ContainerId| async move {
            client.forget(&id).await
        };
        let forgotten = self.tell_supervisor(pod, id, "remove", forget).await?;
        let (engine, pod, id) = (self.clone(), pod.clone(), id.clone());
        let remove = move || {
            if !forgotten {
                engine.kill_all(&pod, &id)?;
            }
            engine.remove_files(&pod, &id, false, forgotten)?;
            engine.release_everywhere(&Owner { pod, id })
        };
        tokio::task::spawn_blocking(remove)
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// Ends a container's first process, which its state names, and whatever is in its cgroup.
    fn kill_all(&self, pod: &PodName, id: &ContainerId) -> Result<(), EngineError> {
        let state: Option<ContainerState> = disk::read(&self.roots().state(pod, id));
        state.and_then(|state| state.process).into_iter().for_each(crate::process::kill);
        let cgroups = runtime::cgroup::open_lost(self.roots(), pod, id);
        let mut there = cgroups.iter().filter(|cgroup| cgroup.exists());
        there
            .try_for_each(runtime::Cgroup::end)
            .map_err(|source| EngineError::Cgroup { pod: pod.clone(), source })
    }
}

/// Whether there is a damaged document at a path.
pub(crate) fn is_damaged<T: DeserializeOwned>(path: &Path) -> bool {
    fault::<T>(path) == Some(Fault::Damaged)
}

/// Why the document at a path cannot be read; `None` when it can, or is not there.
pub(crate) fn fault<T: DeserializeOwned>(path: &Path) -> Option<Fault> {
    document::examine::<T>(&std::fs::read(path).ok()?).err()
}
