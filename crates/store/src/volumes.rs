//! stub
use crate::{Store, StoreError};
use resource::{VolumeName, VolumeRecord, VolumeSpec};
use std::path::PathBuf;
impl Store {
    /// Makes a volume; one that is there stays as it is and its record is returned.
    pub fn create_volume(&self, spec: &VolumeSpec, anonymous: bool) -> Result<VolumeRecord, StoreError> {
        todo!("{spec:?} {anonymous}")
    }
    /// Makes an anonymous volume with a fresh random name.
    pub fn create_anonymous_volume(&self, labels: &resource::Labels) -> Result<VolumeRecord, StoreError> {
        todo!("{labels:?}")
    }
    /// The volume's document.
    pub fn volume(&self, name: &VolumeName) -> Option<VolumeRecord> {
        todo!("{name}")
    }
    /// All volumes, by name.
    pub fn volumes(&self) -> Vec<VolumeRecord> {
        todo!()
    }
    /// Removes a volume with its content. Whether it was there.
    pub fn remove_volume(&self, name: &VolumeName) -> Result<bool, StoreError> {
        todo!("{name}")
    }
    /// `DATA/volumes/NAME/_data`: the folder to mount.
    pub fn volume_path(&self, name: &VolumeName) -> PathBuf {
        self.roots.volume(name).join("_data")
    }
}
