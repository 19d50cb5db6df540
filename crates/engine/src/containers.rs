//! Containers that exist: found, renamed, removed.

use crate::names::{self, Owner};
use crate::observe::volumes_of;
use crate::{Engine, EngineError, disk};
use resource::{
    ContainerId, ContainerName, ContainerRecord, ContainerSpec, ObservedContainer, PodName, Status,
};
use std::path::PathBuf;

impl Engine {
    /// Gives a container another name; its network name changes with it. One that has never run gets the addresses
    /// of the one whose place it takes, if that is gone.
    ///
    /// # Errors
    /// [`EngineError::NameTaken`], [`EngineError::NoSuchId`].
    pub async fn rename_container(
        &self,
        pod: &PodName,
        id: &ContainerId,
        name: &ContainerName,
    ) -> Result<(), EngineError> {
        names::check(&name.0)?;
        let mut record = self.record(pod, id).ok_or_else(|| EngineError::NoSuchId(id.clone()))?;
        if record.spec.name == *name {
            return Ok(());
        }
        let owner = Owner { pod: pod.clone(), id: id.clone() };
        if let Err(other) = owner.claim(self.roots(), &self.name_path(name), 1)? {
            return Err(EngineError::NameTaken { name: name.clone(), pod: other.pod });
        }
        let old = std::mem::replace(&mut record.spec.name, name.clone());
        let moved = self.take_former_addresses(&owner, &mut record)?;
        let path = self.roots().container(pod, id).join("container.json");
        if let Err(error) = disk::replace(&path, &record) {
            drop(owner.release(&self.name_path(name)));
            moved.iter().for_each(|lease| drop(owner.release(&lease.to)));
            return Err(error);
        }
        owner.release(&self.name_path(&old))?;
        moved.iter().try_for_each(|lease| owner.release(&lease.from))?;
        self.journalize(&record, supervisor::EventKind::Renamed { from: old });
        self.tell_supervisor(pod, id, "rename", |client, id| async move { client.renamed(&id).await })
            .await
            .map(drop)
    }

    /// Publishes the ports of one container, which may have ended, by a running one that takes its place.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when it wants a port besides that somebody has.
    pub async fn hand_over_ports(
        &self,
        pod: &PodName,
        from: &ContainerId,
        to: &ContainerId,
    ) -> Result<(), EngineError> {
        let told = self.tell_supervisor(pod, to, "hand ports over to", |client, to| {
            let from = from.clone();
            async move { client.hand_over(&from, &to).await }
        });
        told.await.map(drop)
    }

    /// Gives a container that stays the ports and aliases of `spec`; nothing else of it counts. Its
    /// document comes first: a start, or another supervisor, publishes what it says.
    ///
    /// # Errors
    /// [`EngineError::NoSuchId`]; [`EngineError::Refused`] when a port is taken, and all is as it was.
    pub async fn update_container(
        &self,
        pod: &PodName,
        id: &ContainerId,
        spec: &ContainerSpec,
    ) -> Result<(), EngineError> {
        let old = self.record(pod, id).ok_or_else(|| EngineError::NoSuchId(id.clone()))?;
        let mut record = old.clone();
        record.spec.ports.clone_from(&spec.ports);
        let own = record.spec.endpoints.iter_mut();
        for endpoint in own.chain(record.endpoints.iter_mut().map(|endpoint| &mut endpoint.spec)) {
            let wanted = spec.endpoints.iter().find(|wanted| wanted.network == endpoint.network);
            if let Some(wanted) = wanted {
                endpoint.aliases.clone_from(&wanted.aliases);
            }
        }
        let path = self.roots().container(pod, id).join("container.json");
        disk::replace(&path, &record)?;
        let told =
            self.tell_supervisor(pod, id, "update", |client, id| async move { client.updated(&id).await });
        if let Err(error) = told.await {
            disk::replace(&path, &old)?;
            return Err(error);
        }
        Ok(())
    }

    /// Removes a container that does not run, with all that was made for it; its anonymous volumes
    /// only when `volumes` says so and nobody else mounts them. One that is gone is no error.
    ///
    /// # Errors
    /// [`EngineError::Runs`] when its process lives.
    pub async fn remove_container(
        &self,
        pod: &PodName,
        id: &ContainerId,
        volumes: bool,
    ) -> Result<(), EngineError> {
        if let Some(container) = self.observe_container(pod, id)
            && matches!(container.state.status, Status::Running | Status::Paused)
        {
            return Err(EngineError::Runs(container.record.spec.name));
        }
        let forgotten = self
            .tell_supervisor(pod, id, "remove", |client, id| async move { client.forget(&id).await })
            .await?;
        let (engine, pod, id) = (self.clone(), pod.clone(), id.clone());
        let remove = move || engine.remove_files(&pod, &id, volumes, forgotten);
        tokio::task::spawn_blocking(remove)
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// The rename of its folder is the moment at which the container is gone; what follows only makes
    /// room, and is stale if it does not happen.
    pub(crate) fn remove_files(
        &self,
        pod: &PodName,
        id: &ContainerId,
        volumes: bool,
        forgotten: bool,
    ) -> Result<(), EngineError> {
        let roots = self.roots();
        let record = self.record(pod, id);
        let aside = roots.data.join("tmp").join(format!("dead-container-{id}"));
        let place = roots.container(pod, id);
        match std::fs::rename(&place, &aside) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && place.exists() => {
                disk::make_folder(&roots.data.join("tmp"))?;
                std::fs::rename(&place, &aside).map_err(EngineError::file("remove", &place))?;
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(EngineError::file("remove", &place)(error));
            }
            _ => {}
        }
        let owner = Owner { pod: pod.clone(), id: id.clone() };
        if let Some(record) = &record {
            for claim in self.claims_of(record) {
                owner.release(&claim)?;
            }
            self.remove_own_volumes(record, volumes)?;
            self.journalize(record, supervisor::EventKind::Removed);
            if record.spec.number.is_none() {
                disk::remove_file(&roots.log(&record.spec, id))?;
            }
        }
        disk::remove_folder(&roots.container_run(pod, id))?;
        if !forgotten {
            let failed = |source| EngineError::Cgroup { pod: pod.clone(), source };
            let cgroups = match &record {
                Some(record) => vec![runtime::cgroup::open(roots, &record.spec, id)],
                None => runtime::cgroup::open_lost(roots, pod, id),
            };
            cgroups.iter().try_for_each(runtime::Cgroup::remove).map_err(failed)?;
        }
        disk::remove_folder(&aside)
    }

    /// Anonymous volumes of a container that is gone.
    fn remove_own_volumes(&self, record: &ContainerRecord, wanted: bool) -> Result<(), EngineError> {
        for (volume, _) in volumes_of(record).filter(|(_, anonymous)| wanted && *anonymous) {
            match self.remove_volume(volume) {
                Err(EngineError::VolumeInUse { .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn name_path(&self, name: &ContainerName) -> PathBuf {
        self.roots().data.join("names").join(&name.0)
    }

    /// Where the links lie that say what this container has.
    fn claims_of(&self, record: &ContainerRecord) -> Vec<PathBuf> {
        let roots = self.roots();
        let mut paths = vec![self.name_path(&record.spec.name)];
        for endpoint in &record.endpoints {
            let leases = roots.network(&endpoint.spec.network).join("leases");
            paths.extend(endpoint.addresses.iter().map(|(address, _)| leases.join(address.to_string())));
        }
        paths.extend(
            volumes_of(record).map(|(volume, _)| roots.volume(volume).join("users").join(&record.id.0)),
        );
        paths
    }

    /// Gives up everything that this owner claims, wherever it is: for those whose document is gone.
    pub(crate) fn release_everywhere(&self, owner: &Owner) -> Result<(), EngineError> {
        let data = &self.roots().data;
        let mut folders = vec![data.join("names")];
        for name in disk::entries(&data.join("networks"))? {
            folders.push(data.join("networks").join(name).join("leases"));
        }
        for name in disk::entries(&data.join("volumes"))? {
            owner.release(&data.join("volumes").join(name).join("users").join(&owner.id.0))?;
        }
        for folder in folders {
            for name in disk::entries(&folder)? {
                owner.release(&folder.join(name))?;
            }
        }
        Ok(())
    }

    /// The container with this name: its pod and id.
    pub fn find_container(&self, name: &ContainerName) -> Option<(PodName, ContainerId)> {
        names::check(&name.0).ok()?;
        let owner = Owner::of(&self.name_path(name))?;
        self.roots().container(&owner.pod, &owner.id).exists().then_some((owner.pod, owner.id))
    }

    /// A container's document and its state, checked against the kernel.
    ///
    /// # Errors
    /// [`EngineError::NoSuchId`].
    pub fn container(&self, pod: &PodName, id: &ContainerId) -> Result<ObservedContainer, EngineError> {
        self.observe_container(pod, id).ok_or_else(|| EngineError::NoSuchId(id.clone()))
    }
}
