//! stub
use crate::{Store, StoreError};
use resource::{Image, VolumeName};
impl Store {
    /// Fills an empty volume with the image's folder at `path`: content, owner, mode, times, extended
    /// attributes, hard links. Whether anything was done: not when the volume has content, nor when the
    /// image has no folder there. A copy cut short by a crash is completed by the next call.
    pub fn copy_up(&self, image: &Image, path: &str, volume: &VolumeName) -> Result<bool, StoreError> {
        todo!("{image:?} {path} {volume}")
    }
}
