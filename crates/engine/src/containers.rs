//! stub
use crate::{Engine, EngineError};
use resource::*;

impl Engine {
    /// Makes a container: resolves image and wishes to its document, leases its addresses, makes its
    /// anonymous volumes and fills fresh ones. One rename commits; a failure undoes everything.
    ///
    /// `replaces` is the container whose place it takes: anonymous volumes at the same targets and
    /// fixed addresses come over from it.
    ///
    /// # Errors
    /// [`EngineError::NoImage`], [`EngineError::NameTaken`], [`EngineError::Resolve`], …
    pub fn create_container(&self, spec: &ContainerSpec, replaces: Option<&ContainerId>) -> Result<ContainerId, EngineError> {
        todo!()
    }

    /// Gives a container another name; its network name changes with it.
    ///
    /// # Errors
    /// [`EngineError::NameTaken`], [`EngineError::NoSuchId`].
    pub async fn rename_container(&self, pod: &PodName, id: &ContainerId, name: &ContainerName) -> Result<(), EngineError> {
        todo!()
    }

    /// Removes a container that does not run, with all that was made for it; its anonymous volumes
    /// only when `volumes` says so and nobody else mounts them. One that is gone is no error.
    ///
    /// # Errors
    /// [`EngineError::Runs`] when its process lives.
    pub async fn remove_container(&self, pod: &PodName, id: &ContainerId, volumes: bool) -> Result<(), EngineError> {
        todo!()
    }

    /// The container with this name: its pod and id.
    pub fn find_container(&self, name: &ContainerName) -> Option<(PodName, ContainerId)> {
        todo!()
    }

    /// A container's document and its state, checked against the kernel.
    ///
    /// # Errors
    /// [`EngineError::NoSuchId`].
    pub fn container(&self, pod: &PodName, id: &ContainerId) -> Result<ObservedContainer, EngineError> {
        todo!()
    }
}
