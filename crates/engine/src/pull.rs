//! Pulls an image: what the registry streams is verified, unpacked and published by the store.

use registry::{Registry, RegistryError};
use resource::{Digest, Image, ImageNeed};
use store::{Store, StoreError};

/// An image could not be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What happens during a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullEvent {
    /// The manifest is known: its digest, and digest and compressed bytes of each layer, lowest first.
    Found {
        /// Digest of the platform's manifest.
        manifest: Digest,
        /// Layers.
        layers: Vec<(Digest, u64)>,
    },
    /// A layer was here already.
    Present(Digest),
    /// Another pull is making this layer; it is waited for.
    Waiting(Digest),
    /// So many compressed bytes of the layer have been taken and unpacked.
    Progress {
        /// The layer's blob.
        layer: Digest,
        /// Bytes so far; `size` of [`PullEvent::Found`] at the end.
        done: u64,
    },
    /// The connection was cut; the layer goes on from where it was.
    Resumed(Digest),
    /// A layer is unpacked and verified.
    Done(Digest),
    /// The image was here already, the very same.
    UpToDate,
}

/// Pulls the image that is needed, whatever is here; layers that are here are not fetched again.
///
/// # Errors
/// [`PullError`]; what was begun is removed, whole layers stay for the next attempt.
pub async fn pull(
    store: &Store,
    registry: &Registry,
    need: &ImageNeed,
    tell: &(dyn Fn(PullEvent) + Sync),
) -> Result<Image, PullError> {
    let _ = (store, registry, need, tell);
    todo!()
}
