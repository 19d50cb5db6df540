//! Volumes: kept by the store; the engine says who may make and remove them.

use crate::{Engine, EngineError};
use resource::{VolumeName, VolumeRecord, VolumeSpec};
use store::Store;
use sys::file::Lock;

impl Engine {
    /// Makes a named volume; one that is there stays as it is.
    ///
    /// # Errors
    /// [`EngineError::NoVolume`] for a missing external one, [`EngineError::VolumeDriver`].
    pub fn create_volume(&self, spec: &VolumeSpec) -> Result<VolumeRecord, EngineError> {
        self.make_volume(spec, false)
    }

    /// Makes a volume that counts as one without a name: it gets 64 random hexadecimal digits for one.
    ///
    /// # Errors
    /// [`EngineError::VolumeDriver`], [`EngineError::Store`].
    pub fn create_anonymous_volume(&self, spec: &VolumeSpec) -> Result<VolumeRecord, EngineError> {
        self.make_volume(&VolumeSpec { name: Store::anonymous_volume_name()?, ..spec.clone() }, true)
    }

    fn make_volume(&self, spec: &VolumeSpec, anonymous: bool) -> Result<VolumeRecord, EngineError> {
        if let Some(record) = self.volume(&spec.name) {
            return Ok(record);
        }
        if spec.external {
            return Err(EngineError::NoVolume(spec.name.clone()));
        }
        if !matches!(spec.driver.as_str(), "" | "local") {
            return Err(EngineError::VolumeDriver { volume: spec.name.clone(), driver: spec.driver.clone() });
        }
        self.store().prepare()?;
        let _lock = self.volumes_lock(false)?;
        Ok(self.store().create_volume(spec, anonymous)?)
    }

    /// Removes a volume with its content. One that is gone is no error.
    ///
    /// # Errors
    /// [`EngineError::VolumeInUse`] while containers mount it.
    pub fn remove_volume(&self, name: &VolumeName) -> Result<(), EngineError> {
        crate::names::check(&name.0)?;
        let folder = self.roots().volume(name);
        if !folder.exists() {
            return Ok(());
        }
        let _lock = self.volumes_lock(true)?;
        let containers = self.living_claimants(&folder.join("users"))?;
        if !containers.is_empty() {
            return Err(EngineError::VolumeInUse { volume: name.clone(), containers });
        }
        self.store().remove_volume(name)?;
        Ok(())
    }

    /// The volume with this name.
    pub fn volume(&self, name: &VolumeName) -> Option<VolumeRecord> {
        crate::names::check(&name.0).ok()?;
        self.store().volume(name)
    }

    /// The volumes that no container mounts, anonymous ones included. It is not held: one may be claimed meanwhile.
    pub fn unused_volumes(&self) -> Vec<VolumeRecord> {
        let claimants = |volume: &VolumeRecord| {
            self.living_claimants(&self.roots().volume(&volume.spec.name).join("users"))
        };
        let volumes = self.volumes().into_iter();
        volumes.filter(|volume| claimants(volume).is_ok_and(|containers| containers.is_empty())).collect()
    }

    /// All volumes, anonymous ones included.
    pub fn volumes(&self) -> Vec<VolumeRecord> {
        self.store().volumes()
    }

    /// Held alone while a volume is removed, shared while one is made or claimed.
    pub(crate) fn volumes_lock(&self, alone: bool) -> Result<Lock, EngineError> {
        self.run_lock(&self.roots().run.join("volumes.lock"), alone)
    }
}
