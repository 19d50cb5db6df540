//! Pulls an image: what the registry streams is verified, unpacked and published by the store.
//!
//! ```text
//! registry --chunks--> [decompress] --chunks--> [write files]     for up to three layers at a time
//!  async     bounded     thread       bounded      thread
//! ```
//! A cut connection goes on from the byte it was cut at. A layer that another pull is making, here or in
//! another process, is waited for. Nothing is published before all of it has been verified.

use crate::blobs::repository;
use crate::fetch::{Fetch, Fetched, Pieces, WAITING, joined};
use registry::{Bytes, Found, Layer, Registry, RegistryError};
use resource::{Digest, Image, ImageNeed};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{LayerSlot, NewImage, Omitted, Source, Store, StoreError};
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

/// An image could not be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Manifest and configuration do not agree on the number of layers.
    #[error("its manifest has {layers} layers, its configuration {diff_ids}")]
    Layers {
        /// By the manifest.
        layers: usize,
        /// By the configuration.
        diff_ids: usize,
    },
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
    /// So many compressed bytes of the layer have been taken.
    Progress {
        /// The layer's blob.
        layer: Digest,
        /// Bytes so far; the size in [`PullEvent::Found`] at the end.
        done: u64,
    },
    /// The connection was cut; the layer goes on from where it was.
    Resumed(Digest),
    /// A layer is unpacked and verified.
    Done(Digest),
    /// A layer that is done lacks what only the machine's root can make.
    Omitted {
        /// The layer's blob.
        layer: Digest,
        /// What it lacks.
        omitted: Omitted,
    },
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
    let (reference, platform) = (&need.reference, need.platform.as_ref());
    store.refuse_newer_image(reference, platform)?;
    if let Some(image) = pinned(store, need) {
        tell(PullEvent::UpToDate);
        let image = Image { reference: reference.clone(), ..image };
        return Ok(store.refresh_image(&image, platform)?);
    }
    let found = registry.find(reference, platform).await?;
    let layers = found.layers.iter().map(|layer| (layer.digest.clone(), layer.size)).collect();
    tell(PullEvent::Found { manifest: found.digest.clone(), layers });
    if let Some(image) = store.image(reference, platform)
        && image.manifest == found.digest
        && image.layers.iter().all(|layer| store.has_layer(layer))
    {
        tell(PullEvent::UpToDate);
        return Ok(store.refresh_image(&image, platform)?);
    }
    let config = registry.config(&found).await?;
    let diff_ids = store.diff_ids(reference, &config)?;
    if diff_ids.len() != found.layers.len() {
        let (layers, diff_ids) = (found.layers.len(), diff_ids.len());
        return Err(PullError::Layers { layers, diff_ids });
    }
    let pin = store.pin(&diff_ids)?;
    let (failed, next) = (watch::Sender::new(None), AtomicUsize::new(0));
    let pull = Pull { store, registry, found: &found, tell, next, failed };
    // All are waited for, so that after a failure nothing half-made is left.
    tokio::join!(pull.worker(&diff_ids), pull.worker(&diff_ids), pull.worker(&diff_ids));
    if let Some(error) = pull.failed.send_replace(None) {
        return Err(error);
    }
    let (store, reference, platform) = (store.clone(), reference.clone(), platform.cloned());
    let commit = spawn_blocking(move || {
        let (reference, platform) = (&reference, platform.as_ref());
        store.commit_image(&NewImage { reference, platform, manifest: &found.manifest, config: &config }, pin)
    });
    Ok(joined(commit.await)?)
}

/// The very image that a digest names, if it is here under whatever reference: no registry has another.
fn pinned(store: &Store, need: &ImageNeed) -> Option<Image> {
    let digest = need.reference.digest.as_ref()?;
    let fits = |image: &Image| {
        image.manifest == *digest
            && need.platform.as_ref().is_none_or(|wanted| image.platform.fitness(wanted).is_some())
            && image.layers.iter().all(|layer| store.has_layer(layer))
    };
    let own = store.image(&need.reference, need.platform.as_ref()).filter(|image| fits(image));
    own.or_else(|| store.images().into_iter().find(fits))
}

/// A pull whose layers are being fetched.
struct Pull<'a> {
    store: &'a Store,
    registry: &'a Registry,
    found: &'a Found,
    tell: &'a (dyn Fn(PullEvent) + Sync),
    /// Index of the next layer that nobody has begun.
    next: AtomicUsize,
    /// The first thing that went wrong: it ends everything else.
    failed: watch::Sender<Option<PullError>>,
}

impl Pull<'_> {
    /// Takes layer after layer until none is left or something has failed.
    async fn worker(&self, diff_ids: &[Digest]) {
        while self.failed.borrow().is_none() {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((layer, diff_id)) = self.found.layers.get(index).zip(diff_ids.get(index)) else {
                return;
            };
            if let Err(error) = self.layer(layer, diff_id).await {
                self.failed.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert(error);
                    is_first
                });
            }
        }
    }

    /// Does the work unless something fails elsewhere before it is done.
    async fn unless_failed<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut failed = self.failed.subscribe();
        tokio::select! {
            done = work => Some(done),
            _ = failed.wait_for(Option::is_some) => None,
        }
    }

    async fn layer(&self, layer: &Layer, diff_id: &Digest) -> Result<(), PullError> {
        let slot = match self.store.try_begin_layer(diff_id)? {
            Some(slot) => slot,
            None => {
                (self.tell)(PullEvent::Waiting(layer.digest.clone()));
                let (store, diff_id) = (self.store.clone(), diff_id.clone());
                let begin = spawn_blocking(move || store.begin_layer(&diff_id));
                let Some(begun) = self.unless_failed(begin).await else { return Ok(()) };
                joined(begun)?
            }
        };
        let writer = match slot {
            LayerSlot::Present(_) => {
                (self.tell)(PullEvent::Present(layer.digest.clone()));
                return Ok(());
            }
            LayerSlot::Missing(writer) => writer,
        };
        let (sender, receiver) = channel(WAITING);
        let blob = Some((layer.digest.clone(), layer.size));
        let bytes = Pieces::new(receiver);
        let from = Some(repository(self.found.place.reference()));
        let unpacking = spawn_blocking(move || writer.unpack(Source { bytes, blob, from }));
        let downloaded = self.unless_failed(self.download(layer, sender)).await;
        let unpacked = joined(unpacking.await);
        // Where the download failed or was given up, what unpacking says is only its consequence.
        let Some(downloaded) = downloaded else { return Ok(()) };
        downloaded?;
        let info = unpacked?;
        (self.tell)(PullEvent::Done(layer.digest.clone()));
        if !info.omitted.is_nothing() {
            (self.tell)(PullEvent::Omitted { layer: layer.digest.clone(), omitted: info.omitted });
        }
        Ok(())
    }

    /// Sends the layer's bytes on.
    async fn download(&self, layer: &Layer, sender: Sender<io::Result<Bytes>>) -> Result<(), RegistryError> {
        let tell = |event| {
            (self.tell)(match event {
                Fetched::Bytes(done) => PullEvent::Progress { layer: layer.digest.clone(), done },
                Fetched::Resumed => PullEvent::Resumed(layer.digest.clone()),
            });
        };
        let fetch = Fetch { registry: self.registry, place: &self.found.place, tell: &tell };
        fetch.download(layer, sender).await
    }
}
