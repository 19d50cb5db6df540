//! stub
use crate::{Engine, EngineError};
use resource::*;

impl Engine {
    /// Makes a named volume; one that is there stays as it is.
    ///
    /// # Errors
    /// [`EngineError::NoVolume`] for a missing external one, [`EngineError::VolumeDriver`].
    pub fn create_volume(&self, spec: &VolumeSpec) -> Result<VolumeRecord, EngineError> {
        todo!()
    }

    /// Removes a volume with its content. One that is gone is no error.
    ///
    /// # Errors
    /// [`EngineError::VolumeInUse`] while containers mount it.
    pub fn remove_volume(&self, name: &VolumeName) -> Result<(), EngineError> {
        todo!()
    }

    /// The volume with this name.
    pub fn volume(&self, name: &VolumeName) -> Option<VolumeRecord> {
        todo!()
    }

    /// All volumes, anonymous ones included.
    pub fn volumes(&self) -> Vec<VolumeRecord> {
        todo!()
    }
}
