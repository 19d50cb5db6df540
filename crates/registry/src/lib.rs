//! Speaks the distribution protocol: finds the manifest of an image for a platform and streams blobs.
//!
//! Where a registry is and how it is spoken to is what registries.conf says; mirrors are asked first.
//! Manifests and configurations are checked against their digests here; layers are the caller's to
//! check, because they are streamed. Credentials go to the registry they are for and to the token
//! service it names, never along a redirect to another host.

mod error;

pub use error::{ConfigError, Failure, RegistryError};

use bytes::Bytes;
use resource::{Digest, Platform, Reference};

/// A client for all registries. Made once; opens nothing before it is asked for something.
#[derive(Debug)]
pub struct Registry {}

/// An image found in a registry.
#[derive(Debug)]
pub struct Found {
    /// Digest of the platform's manifest.
    pub digest: Digest,
    /// The manifest, as it came.
    pub manifest: Bytes,
    /// Digest of the configuration.
    pub config: Digest,
    /// Bytes of the configuration.
    pub config_size: u64,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// Where it was found.
    pub place: Place,
}

/// One layer of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the blob.
    pub digest: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// Media type as written.
    pub media_type: String,
}

/// The registry and repository that an image was found in: its blobs come from there.
#[derive(Clone, Debug)]
pub struct Place {}

/// The bytes of a blob, as they come.
#[derive(Debug)]
pub struct Blob {}

impl Registry {
    /// Reads registries.conf and the credentials of this user.
    ///
    /// # Errors
    /// [`ConfigError`] with the file that makes no sense. Missing files are none.
    pub fn configured() -> Result<Self, ConfigError> {
        todo!()
    }
    /// Finds the manifest of `reference` for `platform`; `None` is the host's, and then an image that
    /// is made for one platform only is taken whatever that is.
    ///
    /// # Errors
    /// [`RegistryError`] of the last place asked.
    pub async fn find(&self, reference: &Reference, platform: Option<&Platform>) -> Result<Found, RegistryError> {
        todo!("{reference} {platform:?}")
    }
    /// Fetches the configuration.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn config(&self, found: &Found) -> Result<Bytes, RegistryError> {
        todo!("{found:?}")
    }
    /// Opens a blob from this byte on.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn blob(&self, place: &Place, layer: &Layer, from: u64) -> Result<Blob, RegistryError> {
        todo!("{place:?} {layer:?} {from}")
    }
}
impl Blob {
    /// The next bytes; `None` at the end. An error is a cut connection.
    ///
    /// # Errors
    /// What cut it.
    pub async fn chunk(&mut self) -> std::io::Result<Option<Bytes>> {
        todo!()
    }
}
