//! stub
use crate::{Store, StoreError};
use resource::{Image, ImageConfig, Reference};
use std::io::Read;
impl Store {
    /// Makes an image of one archive and a configuration, for the host's platform.
    pub fn import(&self, reference: &Reference, rootfs: impl Read + Send, config: &ImageConfig) -> Result<Image, StoreError> {
        drop(rootfs);
        todo!("{reference} {config:?}")
    }
}
