//! Pushes an image: its registry is given the blobs it lacks, and then the manifest that names them.
//!
//! An image that came from a registry keeps its manifest, byte for byte, and so its digest: its layers' blobs
//! are taken over from the repository they came from, by the registry itself where that is the same one, else
//! through this process. A layer that was made here is packed and compressed while it is sent; a manifest
//! that names such layers is written anew.

use crate::archive::{Window, send};
use crate::blobs::{Described, Outline, repository};
use crate::fetch::{Fetch, Fetched, WAITING, joined};
use crate::{Engine, EngineError};
use registry::{Bytes, Failure, Place, Registry, RegistryError, Upload};
use resource::{Digest, Image, Platform, Reference};
use serde_json::json;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use store::{PackedLayer, StoreError};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;

/// Bytes that are sent at once.
const PIECE: usize = 1 << 18;
/// Times that a blob's upload is begun when the network or the registry falters.
const ATTEMPTS: u32 = 3;
/// What the layers of this process are in a manifest.
const TAR_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// What they are once they are sent.
const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// What names images for several platforms.
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What names the parts of an image that does not say of itself what it is.
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An image could not be pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry did not take it, or the one that a layer came from did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store could not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer is kept unpacked only, and where it came from it is not any more.
    #[error("layer {layer} is only here as files, and {} has it", if from.is_empty() { "no registry".to_owned() } else { format!("neither {}", from.join(" nor ")) })]
    NoBlob {
        /// Digest of its blob.
        layer: Digest,
        /// The repositories that were asked.
        from: Vec<String>,
    },
    /// The files that say where registries are make no sense.
    #[error(transparent)]
    Configuration(Box<EngineError>),
    /// A blob that was kept could not be read.
    #[error("cannot read a blob that was kept")]
    Read(#[source] io::Error),
    /// The store's own part of the image is gone.
    #[error("{part} {digest} of the image is not in the store")]
    Gone {
        /// `manifest`, `configuration`.
        part: &'static str,
        /// Its digest.
        digest: Digest,
    },
}

/// What happens during a push; layers are named by their digest in the image's manifest here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushEvent {
    /// The image has these layers, lowest first.
    Found(Vec<Digest>),
    /// The registry has a layer already.
    Present(Digest),
    /// The registry took a layer over from another of its repositories.
    Mounted(Digest),
    /// So many bytes of a layer have been sent; in all there are so many, when that is known before.
    Progress {
        /// The layer.
        layer: Digest,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// A layer is there.
    Done(Digest),
}

/// What a registry has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of the manifest there.
    pub digest: Digest,
    /// Bytes of the manifest.
    pub size: u64,
    /// What the manifest is.
    pub media_type: String,
}

impl Engine {
    /// Pushes an image under this reference.
    ///
    /// # Errors
    /// [`EngineError::Push`].
    pub async fn push(
        &self,
        image: &Image,
        reference: &Reference,
        tell: &(dyn Fn(PushEvent) + Sync),
    ) -> Result<Pushed, EngineError> {
        let registry = self.registry().await?;
        let failed = |source| EngineError::Push { reference: reference.clone(), source: Box::new(source) };
        self.push_to(registry, image, reference, tell).await.map_err(failed)
    }

    /// Pushes images for several platforms, and under this reference an index that names them.
    ///
    /// # Errors
    /// [`EngineError::Push`].
    pub async fn push_together(
        &self,
        images: &[Image],
        reference: &Reference,
        tell: &(dyn Fn(PushEvent) + Sync),
    ) -> Result<Pushed, EngineError> {
        let registry = self.registry().await?;
        let failed = |source| EngineError::Push { reference: reference.clone(), source: Box::new(source) };
        let pushed = async {
            // Each is found by its digest alone.
            let unnamed = Reference { tag: None, ..reference.clone() };
            let mut entries = vec![];
            for image in images {
                let pushed = self.push_to(registry, image, &unnamed, tell).await?;
                let Platform { os, architecture, variant } = &image.platform;
                let mut platform = json!({ "os": os, "architecture": architecture });
                if let Some(variant) = variant {
                    platform["variant"] = variant.as_str().into();
                }
                entries.push(json!({
                    "mediaType": pushed.media_type, "digest": pushed.digest, "size": pushed.size,
                    "platform": platform,
                }));
            }
            let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
            let (index, target) = (index.to_string().into_bytes(), registry.target(reference)?);
            let size = index.len() as u64;
            let digest = registry.put_manifest(&target, reference.tag.as_deref(), index.into()).await?;
            Ok::<_, PushError>(Pushed { digest, size, media_type: OCI_INDEX.to_owned() })
        };
        pushed.await.map_err(failed)
    }

    async fn push_to(
        &self,
        registry: &Registry,
        image: &Image,
        reference: &Reference,
        tell: &(dyn Fn(PushEvent) + Sync),
    ) -> Result<Pushed, PushError> {
        let Documents { manifest, config, outline } = self.documents_of(image)?;
        let parts = Parts { manifest, outline, config: (image.id.clone(), config), layers: &image.layers };
        self.push_parts(registry, parts, reference, tell).await
    }

    /// An image's documents as they are in the store.
    pub(crate) fn documents_of(&self, image: &Image) -> Result<Documents, PushError> {
        let kept = |part, digest: &Digest| {
            let gone = || PushError::Gone { part, digest: digest.clone() };
            self.store().blob(digest).ok_or_else(gone)
        };
        let (manifest, config) = (kept("manifest", &image.manifest)?, kept("configuration", &image.id)?);
        let outline = serde_json::from_slice(&manifest)
            .map_err(|_| PushError::Gone { part: "manifest", digest: image.manifest.clone() })?;
        Ok(Documents { manifest, config, outline })
    }

    /// Gives a registry an image that is not in the store: of layers made here, by diff id and bytes of the
    /// archive, and a configuration that names them.
    ///
    /// # Errors
    /// [`EngineError::Push`].
    pub(crate) async fn push_made(
        &self,
        reference: &Reference,
        config: Vec<u8>,
        layers: &[(Digest, u64)],
    ) -> Result<Pushed, EngineError> {
        let failed = |source| EngineError::Push { reference: reference.clone(), source: Box::new(source) };
        let registry = self.registry().await?;
        let id = store::digest_of(&config);
        let described: Vec<_> = layers
            .iter()
            .map(|(digest, size)| json!({ "mediaType": TAR_LAYER, "digest": digest, "size": size }))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": described,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": config.len() },
        });
        let described = |(digest, size): &(Digest, u64)| Described {
            digest: digest.clone(),
            size: *size,
            media_type: TAR_LAYER.to_owned(),
        };
        let outline = Outline { layers: layers.iter().map(described).collect() };
        let diff_ids: Vec<Digest> = layers.iter().map(|(diff_id, _)| diff_id.clone()).collect();
        let manifest = manifest.to_string().into_bytes();
        let parts = Parts { manifest, outline, config: (id, config), layers: &diff_ids };
        self.push_parts(registry, parts, reference, &|_| ()).await.map_err(failed)
    }

    async fn push_parts(
        &self,
        registry: &Registry,
        parts: Parts<'_>,
        reference: &Reference,
        tell: &(dyn Fn(PushEvent) + Sync),
    ) -> Result<Pushed, PushError> {
        let Parts { manifest, outline, config: (id, config), layers } = parts;
        let target = registry.target(reference)?;
        let _pin = self.store().pin(layers)?;
        tell(PushEvent::Found(outline.layers.iter().map(|layer| layer.digest.clone()).collect()));
        let push = Push {
            engine: self,
            registry,
            target: &target,
            layers: outline.layers.iter().zip(layers).collect(),
            next: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            packed: Mutex::default(),
            tell,
        };
        let (first, second, third) = tokio::join!(push.worker(), push.worker(), push.worker());
        first.and(second).and(third)?;
        let packed = push.packed.into_inner().unwrap_or_else(PoisonError::into_inner);
        push_whole(registry, &target, &id, config).await?;
        let manifest = if packed.is_empty() { manifest } else { rewritten(&manifest, &packed) };
        let size = manifest.len() as u64;
        let media_type = media_type(&manifest);
        let digest = registry.put_manifest(&target, reference.tag.as_deref(), manifest.into()).await?;
        Ok(Pushed { digest, size, media_type })
    }
}

/// What a manifest says that it is.
fn media_type(manifest: &[u8]) -> String {
    let whole: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    whole["mediaType"].as_str().unwrap_or(OCI_MANIFEST).to_owned()
}

/// The small parts of an image of the store.
pub(crate) struct Documents {
    /// As its digest wants it.
    pub(crate) manifest: Vec<u8>,
    /// As its digest wants it.
    pub(crate) config: Vec<u8>,
    /// The manifest, read.
    pub(crate) outline: Outline,
}

/// What a push gives.
struct Parts<'a> {
    manifest: Vec<u8>,
    /// The same, read.
    outline: Outline,
    /// The configuration and its digest.
    config: (Digest, Vec<u8>),
    /// Diff ids, lowest first.
    layers: &'a [Digest],
}

/// The manifest with the compressed blobs of layers that were made here; the rest stays as it is.
fn rewritten(manifest: &[u8], packed: &[(usize, PackedLayer)]) -> Vec<u8> {
    let mut whole: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    for (index, layer) in packed {
        let described = &mut whole["layers"][*index];
        described["mediaType"] = GZIP_LAYER.into();
        described["digest"] = layer.digest.as_str().into();
        described["size"] = layer.size.into();
    }
    whole.to_string().into_bytes()
}

/// Gives a repository a small blob.
pub(crate) async fn push_whole(
    registry: &Registry,
    target: &Place,
    digest: &Digest,
    bytes: Vec<u8>,
) -> Result<(), RegistryError> {
    if registry.has_blob(target, digest).await? {
        return Ok(());
    }
    let Some(upload) = registry.begin_upload(target, None).await? else { return Ok(()) };
    let length = bytes.len() as u64;
    let (sender, receiver) = channel(1);
    // There is room for it.
    let _ = sender.send(Ok(bytes.into())).await;
    drop(sender);
    let upload = registry.upload(target, upload, receiver, Some(length)).await?;
    registry.end_upload(target, upload, digest).await
}

struct Push<'a> {
    engine: &'a Engine,
    registry: &'a Registry,
    target: &'a Place,
    /// As the manifest has them, and their diff ids.
    layers: Vec<(&'a Described, &'a Digest)>,
    /// Index of the next layer that nobody has begun.
    next: AtomicUsize,
    /// Something went wrong: nothing more is begun.
    failed: AtomicBool,
    /// The blobs of those that were made here, with their place in the image.
    packed: Mutex<Vec<(usize, PackedLayer)>>,
    tell: &'a (dyn Fn(PushEvent) + Sync),
}

impl Push<'_> {
    /// Takes layer after layer until none is left or something has failed.
    async fn worker(&self) -> Result<(), PushError> {
        while !self.failed.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((described, diff_id)) = self.layers.get(index) else { break };
            let done = self.layer(index, described, diff_id).await;
            done.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    }

    async fn layer(&self, index: usize, described: &Described, diff_id: &Digest) -> Result<(), PushError> {
        let made_here = self.engine.made_here(described, diff_id);
        let mut attempt = 1;
        loop {
            let done = if made_here {
                self.made_here(described, diff_id).await.map(Some)
            } else {
                self.taken_over(described, diff_id).await.map(|()| None)
            };
            match done {
                Ok(packed) => {
                    let mut all = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
                    all.extend(packed.map(|packed| (index, packed)));
                    return Ok(());
                }
                Err(PushError::Registry(error)) if error.source.is_passing() && attempt < ATTEMPTS => {
                    tokio::time::sleep(std::time::Duration::from_millis(300) * attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A layer that this engine made: it is packed while it is sent, unless the registry has it from an
    /// earlier push.
    async fn made_here(&self, described: &Described, diff_id: &Digest) -> Result<PackedLayer, PushError> {
        let (store, layer) = (self.engine.store(), &described.digest);
        let known = store.packed_layer(diff_id);
        if let Some(known) = &known
            && self.registry.has_blob(self.target, &known.digest).await?
        {
            (self.tell)(PushEvent::Present(layer.clone()));
            return Ok(known.clone());
        }
        let repositories = known.iter().flat_map(|known| known.repositories.iter().rev());
        let begun = self.begin(known.as_ref().map(|known| &known.digest), repositories).await?;
        let Some(upload) = begun else {
            store.remember_pushed(diff_id, &repository(self.target.reference()))?;
            (self.tell)(PushEvent::Mounted(layer.clone()));
            return known.ok_or_else(|| PushError::NoBlob { layer: layer.clone(), from: vec![] });
        };
        let (sender, packed) = channel(WAITING);
        let (packer, id) = (store.clone(), diff_id.clone());
        let packing = spawn_blocking(move || packer.pack_layer(&id, Outgoing::new(sender)));
        let (sender, pieces) = channel(1);
        let (sent, (), packed) = tokio::join!(
            self.registry.upload(self.target, upload, pieces, None),
            self.relay(packed, sender, layer),
            packing
        );
        let (upload, packed) = match (sent, joined(packed)) {
            (Ok(upload), Ok(packed)) => (upload, packed),
            // Where the registry took no more, the packer only lost its reader.
            (Err(error), Err(packing)) if packing.lost_its_reader() => return Err(error.into()),
            (Ok(_), Err(packing)) if packing.lost_its_reader() => {
                let reason = "it says that it has all of a layer before it was sent all".to_owned();
                let failure = Failure::Protocol { url: self.target.host().to_owned(), reason };
                return Err(self.target.error(failure).into());
            }
            (_, Err(packing)) => return Err(packing.into()),
            (Err(error), Ok(_)) => return Err(error.into()),
        };
        self.registry.end_upload(self.target, upload, &packed.digest).await?;
        store.remember_pushed(diff_id, &repository(self.target.reference()))?;
        (self.tell)(PushEvent::Done(layer.clone()));
        Ok(packed)
    }

    /// A layer whose blob came from a registry.
    async fn taken_over(&self, described: &Described, diff_id: &Digest) -> Result<(), PushError> {
        let digest = &described.digest;
        if self.registry.has_blob(self.target, digest).await? {
            (self.tell)(PushEvent::Present(digest.clone()));
            return Ok(());
        }
        let from = self.engine.repositories_of(digest, diff_id);
        let Some(upload) = self.begin(Some(digest), from.iter()).await? else {
            (self.tell)(PushEvent::Mounted(digest.clone()));
            return Ok(());
        };
        let layer = described.layer();
        if let Some(kept) = self.engine.store().layer_blob(digest) {
            let (sender, pieces) = channel(WAITING);
            let window = Window::whole(kept).map_err(PushError::Read)?;
            let upload = self.registry.upload(self.target, upload, pieces, Some(layer.size));
            let (read, sent) = tokio::join!(send(window, sender), upload);
            read?;
            self.registry.end_upload(self.target, sent?, digest).await?;
            (self.tell)(PushEvent::Done(digest.clone()));
            return Ok(());
        }
        let source = self.engine.place_of(self.registry, &layer, &from).await?;
        let (sender, pieces) = channel(WAITING);
        let tell = |event| {
            if let Fetched::Bytes(done) = event {
                (self.tell)(PushEvent::Progress { layer: digest.clone(), done, total: Some(layer.size) });
            }
        };
        let fetch = Fetch { registry: self.registry, place: &source, tell: &tell };
        let upload = self.registry.upload(self.target, upload, pieces, Some(layer.size));
        let (fetched, sent) = tokio::join!(fetch.download(&layer, sender), upload);
        fetched?;
        self.registry.end_upload(self.target, sent?, digest).await?;
        (self.tell)(PushEvent::Done(digest.clone()));
        Ok(())
    }

    /// Begins to send a blob. `None` where the registry could take it over from one of these repositories.
    async fn begin(
        &self,
        digest: Option<&Digest>,
        repositories: impl Iterator<Item = &String>,
    ) -> Result<Option<Upload>, PushError> {
        let beside = repositories.filter_map(|repository| {
            let places = self.registry.sources(&Reference::parse(repository).ok()?).ok()?;
            places.into_iter().find(|place| place.is_beside(self.target) && !place.is(self.target))
        });
        let beside: Option<Place> = { beside }.next();
        let Some((digest, beside)) = digest.zip(beside) else {
            return Ok(self.registry.begin_upload(self.target, None).await?);
        };
        match self.registry.begin_upload(self.target, Some((digest, &beside))).await {
            // It may not be read any more by who may write here.
            Err(error)
                if matches!(
                    *error.source,
                    Failure::NoRepository { .. } | Failure::Unauthorised { .. } | Failure::Forbidden { .. }
                ) =>
            {
                Ok(self.registry.begin_upload(self.target, None).await?)
            }
            begun => Ok(begun?),
        }
    }

    /// Hands pieces on and tells of them; ends with either side.
    async fn relay(
        &self,
        mut from: Receiver<io::Result<Bytes>>,
        to: Sender<io::Result<Bytes>>,
        layer: &Digest,
    ) {
        let mut done = 0;
        while let Some(piece) = from.recv().await {
            done += piece.as_ref().map_or(0, |piece| piece.len() as u64);
            if to.send(piece).await.is_err() {
                return;
            }
            (self.tell)(PushEvent::Progress { layer: layer.clone(), done, total: None });
        }
    }
}

/// A writer whose bytes are sent on in large pieces.
pub(crate) struct Outgoing {
    sender: Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Outgoing {
    pub(crate) fn new(sender: Sender<io::Result<Bytes>>) -> Self {
        Self { sender, piece: Vec::with_capacity(PIECE) }
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
