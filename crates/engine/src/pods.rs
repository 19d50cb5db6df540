//! Pods: the unit of life.

use crate::damage::{Damage, Subject};
use crate::observe::Scope;
use crate::{Engine, EngineError, disk};
use resource::{
    IdentityShare, Labels, NetworkMode, ObservedContainer, PodName, PodRecord, PodStatus, Resources,
};
use std::path::{Path, PathBuf};
use std::time::Duration;
use supervisor::Client;

/// How long a supervisor that has nothing left to do takes to end by itself, unless it has other listeners.
const MOMENT: Duration = Duration::from_millis(20);
/// How long one may take that was told that its pod is no more.
const FAREWELL: Duration = Duration::from_millis(500);

/// A pod and its containers, for a list of all.
#[derive(Clone, Debug, PartialEq)]
pub struct PodSummary {
    /// What it is.
    pub record: PodRecord,
    /// Its containers, sorted by name.
    pub containers: Vec<ObservedContainer>,
    /// The documents of it and its containers that cannot be read. When its own is among them, the record
    /// has what its containers tell.
    pub damage: Vec<Damage>,
}

impl PodSummary {
    /// What its containers are doing, taken together.
    pub fn status(&self) -> PodStatus {
        PodStatus::of(self.containers.iter().map(|container| container.state.status))
    }

    /// The container that holds the namespaces which the others share, in a pod that shares any.
    pub fn infra(&self) -> Option<&ObservedContainer> {
        self.containers.iter().find(|container| container.record.spec.is_infra())
    }

    /// The names of those namespaces: `net`, `ipc`, `uts`, `pid`.
    pub fn shared_namespaces(&self) -> Vec<&'static str> {
        let Some(infra) = self.infra().map(|infra| &infra.record.spec.name) else { return vec![] };
        let joined = |share: &IdentityShare| *share == IdentityShare::Container(infra.clone());
        let specs = || self.containers.iter().map(|container| &container.record.spec);
        let mut shared = vec![];
        let net = NetworkMode::Container(infra.clone());
        for (name, is_shared) in [
            ("net", specs().any(|spec| spec.network_mode == net)),
            ("ipc", specs().any(|spec| joined(&spec.ipc))),
            ("uts", specs().any(|spec| joined(&spec.uts))),
            ("pid", specs().any(|spec| joined(&spec.pid))),
        ] {
            if is_shared {
                shared.push(name);
            }
        }
        shared
    }
}

impl Engine {
    /// Makes the pod; one that is there gets these labels.
    ///
    /// # Errors
    /// [`EngineError::File`].
    pub fn create_pod(&self, name: &PodName, labels: &Labels) -> Result<PodRecord, EngineError> {
        self.create_pod_by(name, labels, &[])
    }

    /// The same by a command of these words, which a pod that is made now remembers.
    ///
    /// # Errors
    /// As of [`create_pod`](Self::create_pod).
    pub fn create_pod_by(
        &self,
        name: &PodName,
        labels: &Labels,
        command: &[String],
    ) -> Result<PodRecord, EngineError> {
        crate::names::check(&name.0)?;
        let record = match self.pod(name) {
            Some(record) if record.labels == *labels => return Ok(record),
            Some(record) => PodRecord { labels: labels.clone(), ..record },
            None => {
                self.store().prepare()?;
                let (id, created) = (disk::random_id()?, jiff::Timestamp::now());
                let (labels, command, resources) = (labels.clone(), command.to_vec(), Resources::default());
                PodRecord { id, name: name.clone(), labels, created, command, resources }
            }
        };
        let folder = self.roots().pod(name);
        disk::make_folder(&folder.join("containers"))?;
        disk::make_folder(&folder.join("logs"))?;
        disk::replace(&folder.join("pod.json"), &record)?;
        Ok(record)
    }

    /// Says what the containers of a pod together may use, in place of what was said before. It holds for
    /// those that run at once; what of it does not is returned, a sentence each.
    ///
    /// # Errors
    /// [`EngineError::File`].
    pub fn limit_pod(&self, name: &PodName, resources: &Resources) -> Result<Vec<String>, EngineError> {
        let Some(record) = self.pod(name).filter(|record| record.resources != *resources) else {
            return Ok(vec![]);
        };
        let cgroup = runtime::cgroup::open_pod(self.roots(), name);
        // One that is not there is made by the supervisor.
        let said = match cgroup.exists().then(|| cgroup.set_totals(self.roots(), resources)) {
            Some(Ok(warnings)) => warnings.into_iter().map(|warning| warning.0).collect(),
            Some(Err(error)) => vec![format!("{error}: {}", error.source)],
            None => vec![],
        };
        // Written down last: who is killed before does it again.
        let resources = resources.clone();
        disk::replace(&self.roots().pod(name).join("pod.json"), &PodRecord { resources, ..record })?;
        Ok(said.into_iter().map(|text: String| format!("pod: {text}")).collect())
    }

    /// Removes the pod with everything that is left of it: logs, run-time folder, cgroups. Its
    /// containers have to be gone, and the caller holds its lock. One that is gone is no error.
    ///
    /// # Errors
    /// [`EngineError::PodInUse`], [`EngineError::SupervisorStays`].
    pub async fn remove_pod(&self, name: &PodName) -> Result<(), EngineError> {
        crate::names::check(&name.0)?;
        let containers = self.containers(name)?;
        if !containers.is_empty() {
            let containers = containers.into_iter().map(|container| container.record.spec.name).collect();
            return Err(EngineError::PodInUse { pod: name.clone(), containers });
        }
        self.disconnect(name).await;
        self.await_end_of_supervisor(name).await?;
        let failed = |source| EngineError::Cgroup { pod: name.clone(), source };
        runtime::cgroup::remove_pod(self.roots(), name).map_err(failed)?;
        // Gone with the last pod, made again by the next; that somebody else is in it is no error.
        drop(runtime::cgroup::remove_base(self.roots()));
        disk::retire_folder(&self.roots().pod(name), &self.roots().data.join("tmp"))?;
        self.clear_run_folder(name)
    }

    /// Removes what is in the run-time folder of a pod but the lock's file, which is its holder's.
    pub(crate) fn clear_run_folder(&self, name: &PodName) -> Result<(), EngineError> {
        let folder = self.roots().pod_run(name);
        for entry in disk::entries(&folder)?.into_iter().filter(|entry| entry != "project.lock") {
            let path = folder.join(entry);
            if path.is_dir() { disk::remove_folder(&path)? } else { disk::remove_file(&path)? }
        }
        // Only an empty folder goes, one without a lock.
        drop(std::fs::remove_dir(&folder));
        Ok(())
    }

    /// Waits until the supervisor, which holds its lock while it lives, has ended.
    pub(crate) async fn await_end_of_supervisor(&self, name: &PodName) -> Result<(), EngineError> {
        let path = self.roots().pod_run(name).join("supervisor.lock");
        if try_lock(&path)? {
            return Ok(());
        }
        let (send, mut ended) = tokio::sync::oneshot::channel();
        let waiting = path.clone();
        // Not on the runtime's threads: those are waited for when it ends, and this may stay for ever.
        let spawned = std::thread::Builder::new().name("supervisor-end".to_owned()).spawn(move || {
            drop(send.send(sys::file::Lock::exclusive(&waiting).map(drop)));
        });
        spawned.map_err(EngineError::file("wait for", &path))?;
        let mut told = tokio::time::timeout(MOMENT, &mut ended).await;
        if told.is_err() {
            // Others listen to it.
            if let Ok(Some(client)) = Client::connect(self.roots(), name).await {
                drop(client.retire().await);
            }
            told = tokio::time::timeout(FAREWELL, &mut ended).await;
        }
        if told.is_err() {
            let (engine, pod) = (self.clone(), name.clone());
            // An error would be a panic there, and what it left is seen below.
            drop(tokio::task::spawn_blocking(move || engine.end_supervisors(&pod)).await);
            told = tokio::time::timeout(crate::process::PATIENCE, ended).await;
        }
        match told {
            Ok(Ok(locked)) => locked.map_err(EngineError::file("lock", &path)),
            _ => Err(EngineError::SupervisorStays { pod: name.clone() }),
        }
    }

    /// The pod with this name.
    pub fn pod(&self, name: &PodName) -> Option<PodRecord> {
        crate::names::check(&name.0).ok()?;
        disk::read(&self.roots().pod(name).join("pod.json"))
    }

    /// The path of a pod's cgroup in each hierarchy; `None` without cgroups.
    pub fn pod_cgroup(&self, name: &PodName) -> Option<PathBuf> {
        let cgroup = runtime::cgroup::open_pod(self.roots(), name);
        cgroup.path().map(|path| Path::new("/").join(path))
    }

    /// All pods, sorted by name.
    ///
    /// # Errors
    /// [`EngineError::File`] when the folder of the pods cannot be read.
    pub fn pods(&self) -> Result<Vec<PodSummary>, EngineError> {
        let mut pods = vec![];
        for name in disk::entries(&self.roots().data.join("pods"))?.into_iter().map(PodName) {
            let damage = self.damage(&Scope::of(name.clone(), None))?;
            let lost = damage.iter().any(|damage| matches!(damage.subject, Subject::Pod(_)));
            let containers = self.containers(&name)?;
            let record = self.pod(&name).or_else(|| lost.then(|| told_by(&name, &containers)));
            pods.extend(record.map(|record| PodSummary { record, containers, damage }));
        }
        pods.sort_by(|one, other| one.record.name.cmp(&other.record.name));
        Ok(pods)
    }
}

/// What the containers of a pod tell of it, where its own document cannot be read. Nobody knows its id.
fn told_by(name: &PodName, containers: &[ObservedContainer]) -> PodRecord {
    let created = containers.iter().map(|container| container.record.created).min();
    PodRecord {
        id: String::new(),
        name: name.clone(),
        labels: Labels::new(),
        created: created.unwrap_or(resource::Timestamp::UNIX_EPOCH),
        command: vec![],
        resources: Resources::default(),
    }
}

/// Whether nobody holds the lock; a file that is not there is nobody's, and is not made.
fn try_lock(path: &Path) -> Result<bool, EngineError> {
    if !path.exists() {
        return Ok(true);
    }
    Ok(sys::file::Lock::try_exclusive(path).map_err(EngineError::file("lock", path))?.is_some())
}
