//! The blobs of an image, byte for byte, from wherever they are.

use super::files::Window;
use crate::Engine;
use crate::blobs::Described;
use crate::fetch::{Fetch, joined};
use crate::push::{Documents, Outgoing, PushError};
use registry::{Bytes, Place};
use resource::{Digest, Image, Platform};
use std::io::{self, Read};
use tokio::sync::mpsc::Sender;
use tokio::task::spawn_blocking;

/// Bytes that are read at once.
const PIECE: usize = 1 << 18;

/// An image on its way: what is small, and where the rest is.
pub(super) struct Parcel {
    /// As the manifest's digest wants it.
    pub(super) manifest: Vec<u8>,
    /// Digest of the configuration.
    pub(super) id: Digest,
    /// As its digest wants it.
    pub(super) config: Vec<u8>,
    /// What it is made for.
    pub(super) platform: Platform,
    /// Its layers, lowest first.
    pub(super) layers: Vec<Supply>,
}

/// A layer on its way.
pub(super) struct Supply {
    /// As the manifest names it.
    pub(super) described: Described,
    /// By the configuration.
    pub(super) diff_id: Digest,
    /// Where its blob is.
    pub(super) from: From,
}

/// Where the blob of a layer is.
pub(super) enum From {
    /// The store gives it, or knows who has it.
    Store,
    /// A registry has it.
    Registry(Place),
    /// A file has it.
    File(Window),
    /// It is what the files of this layer of the store pack to.
    Files(Digest),
}

impl Parcel {
    /// An image of the store.
    pub(super) fn of_store(engine: &Engine, image: &Image) -> Result<Self, PushError> {
        let Documents { manifest, config, outline } = engine.documents_of(image)?;
        let both = outline.layers.into_iter().zip(image.layers.iter().cloned());
        let layers =
            both.map(|(described, diff_id)| Supply { described, diff_id, from: From::Store }).collect();
        let (id, platform) = (image.id.clone(), image.platform.clone());
        Ok(Self { manifest, id, config, platform, layers })
    }
}

impl Engine {
    /// Sends the blob of a layer. Who takes it checks it.
    pub(super) async fn supply(
        &self,
        layer: &Supply,
        sender: Sender<io::Result<Bytes>>,
    ) -> Result<(), PushError> {
        let digest = &layer.described.digest;
        let place = match &layer.from {
            From::File(window) => return send(window.again(), sender).await,
            From::Registry(place) => place.clone(),
            From::Files(layer) => {
                let (store, layer) = (self.store().clone(), layer.clone());
                let packing = spawn_blocking(move || store.pack_files(&layer, Outgoing::new(sender)));
                return Ok(joined(packing.await).map(drop)?);
            }
            From::Store => {
                if let Some(kept) = self.store().layer_blob(digest) {
                    return send(Window::whole(kept).map_err(PushError::Read)?, sender).await;
                }
                if self.made_here(&layer.described, &layer.diff_id) {
                    let (store, diff_id) = (self.store().clone(), layer.diff_id.clone());
                    let packing = spawn_blocking(move || store.write_layer(&diff_id, Outgoing::new(sender)));
                    return Ok(joined(packing.await)?);
                }
                let from = self.repositories_of(digest, &layer.diff_id);
                let registry =
                    self.registry().await.map_err(|error| PushError::Configuration(Box::new(error)))?;
                self.place_of(registry, &layer.described.layer(), &from).await?
            }
        };
        let registry = self.registry().await.map_err(|error| PushError::Configuration(Box::new(error)))?;
        let fetch = Fetch { registry, place: &place, tell: &|_| () };
        Ok(fetch.download(&layer.described.layer(), sender).await?)
    }
}

/// Sends the bytes of a file, as long as somebody takes them.
pub(crate) async fn send(mut window: Window, sender: Sender<io::Result<Bytes>>) -> Result<(), PushError> {
    let sending = spawn_blocking(move || {
        let mut piece = vec![0; PIECE];
        loop {
            match window.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    if sender.blocking_send(Ok(Bytes::copy_from_slice(&piece[..length]))).is_err() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // Without this the blob would look like one that is merely too short.
                    let _ = sender.blocking_send(Err(io::ErrorKind::ConnectionAborted.into()));
                    return Err(PushError::Read(error));
                }
            }
        }
    });
    joined(sending.await)
}

/// What went wrong between one who sends and one who takes: the sender's error, unless it only lost its reader.
pub(super) fn first_error<T, E>(sent: Result<(), PushError>, taken: Result<T, E>) -> Result<T, E>
where
    E: std::convert::From<PushError>,
{
    match (sent, taken) {
        (Err(PushError::Store(error)), Err(taken)) if error.lost_its_reader() => Err(taken),
        (Err(error), _) => Err(error.into()),
        (Ok(()), taken) => taken,
    }
}
