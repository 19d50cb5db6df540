//! stub
use crate::{Pin, Store, StoreError};
use resource::{Digest, Image, Platform, Reference};

/// What a commit needs.
pub struct NewImage<'a> {
    /// The reference it is to be found under.
    pub reference: &'a Reference,
    /// The platform it was asked for with; `None` is the host's.
    pub platform: Option<&'a Platform>,
    /// The platform's manifest, as it came.
    pub manifest: &'a [u8],
    /// The configuration, as it came.
    pub config: &'a [u8],
}
impl Store {
    /// The image under this reference for this platform, the host's by default. One file read.
    pub fn image(&self, reference: &Reference, platform: Option<&Platform>) -> Option<Image> {
        todo!("{reference} {platform:?}")
    }
    /// All images, one for each reference and platform.
    pub fn images(&self) -> Vec<Image> {
        todo!()
    }
    /// An image by its id, the digest of its configuration.
    pub fn image_by_id(&self, id: &Digest) -> Option<Image> {
        todo!("{id}")
    }
    /// Publishes an image whose layers are all there. One `syncfs`.
    pub fn commit_image(&self, new: &NewImage<'_>, pin: Pin) -> Result<Image, StoreError> {
        drop(pin);
        todo!("{}", new.reference)
    }
    /// Gives an image another reference; the host's platform unless it is for another.
    pub fn tag_image(&self, image: &Image, reference: &Reference) -> Result<Image, StoreError> {
        todo!("{reference} {image:?}")
    }
    /// Takes a reference away; layers stay until [`Store::collect_garbage`]. Whether it was there.
    pub fn remove_image(&self, reference: &Reference, platform: Option<&Platform>) -> Result<bool, StoreError> {
        todo!("{reference} {platform:?}")
    }
    /// A blob that was kept: a manifest or configuration.
    pub fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        todo!("{digest}")
    }
}
