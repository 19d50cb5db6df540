//! Unpacked layers, shared between images, named by the digest of their uncompressed archive.
//!
//! ```text
//! absent --begin_layer--> tmp/layer-HEX/tree --rename--> layers/HEX, unsynced --commit_image--> synced
//! ```
//! A layer that has not been synced yet is good until the machine goes down: its document names the
//! boot it was made in. Images are published after a sync only, so what an image names is good too.

use crate::blobs::BlobOrigin;
use crate::bounds::Bounds;
use crate::decode::decode;
use crate::error::UnpackError;
use crate::ids::Ids;
use crate::lock::Claim;
use crate::unpack::{Manner, Omitted, Purpose, unpack};
use crate::{Store, StoreError};
use resource::Digest;
use resource::document::{self, Fault};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{self, BufRead};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How names in `DATA/tmp` begin that are of layers which were replaced: `aside-HEX-OWNER-COUNT`.
pub(crate) const ASIDE: &str = "aside-";

/// What is known of an unpacked layer: its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// Digest of the uncompressed archive: the layer's identity.
    pub diff_id: Digest,
    /// Bytes of its files.
    pub size: u64,
    /// What could not be made of it without being root of the machine.
    #[serde(default, skip_serializing_if = "Omitted::is_nothing")]
    pub omitted: Omitted,
    /// The blob it was unpacked from; `None` when it was made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<BlobOrigin>,
    /// The boot it was made in, while it has not been synced to the disk.
    unsynced: Option<String>,
}

impl LayerInfo {
    /// A layer made now, whole and not synced yet.
    pub(crate) fn made(diff_id: Digest, size: u64) -> Self {
        let unsynced = Some(boot().unwrap_or_default());
        Self { diff_id, size, omitted: Omitted::default(), origin: None, unsynced }
    }
}

/// The outcome of asking to make a layer.
#[derive(Debug)]
pub enum LayerSlot {
    /// It is there, unpacked and whole.
    Present(LayerInfo),
    /// It is the caller's to make; others wait until the writer is used or dropped.
    Missing(LayerWriter),
}

/// The right to make one layer. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct LayerWriter {
    store: Store,
    diff_id: Digest,
    folder: PathBuf,
    /// Held until everything else of this value is gone.
    _claim: Claim,
}

/// A layer's bytes as they come.
pub struct Source<R> {
    /// The bytes, compressed or not: their start tells.
    pub bytes: R,
    /// Digest of those bytes and how many there are, when known.
    pub blob: Option<(Digest, u64)>,
    /// Registry and repository that they come from, when they do: `docker.io/library/redis`.
    pub from: Option<String>,
}

impl Store {
    /// `DATA/layers/HEX/tree`: what an overlay mount takes as one lower layer.
    pub fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.layer_folder(diff_id).join("tree")
    }

    /// The layer's document, when it is there, unpacked and whole.
    pub fn layer(&self, diff_id: &Digest) -> Option<LayerInfo> {
        let info = self.layer_document(diff_id)?;
        let good = info.unsynced.is_none()
            || info.unsynced == boot()
            || self.images().iter().any(|image| image.layers.contains(diff_id));
        good.then_some(info)
    }

    /// Whether the layer is there, unpacked and whole.
    pub fn has_layer(&self, diff_id: &Digest) -> bool {
        self.layer(diff_id).is_some()
    }

    /// Finds the layer or gets the right to make it. Blocks while somebody else makes it.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn begin_layer(&self, diff_id: &Digest) -> Result<LayerSlot, StoreError> {
        let path = self.layer_lock(diff_id)?;
        let claim = Claim::take(&path).map_err(|source| StoreError::io("lock", &path, source))?;
        self.slot(diff_id, claim)
    }

    /// As [`Store::begin_layer`], but does not wait: `None` while somebody else makes it.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn try_begin_layer(&self, diff_id: &Digest) -> Result<Option<LayerSlot>, StoreError> {
        let path = self.layer_lock(diff_id)?;
        let claim = Claim::attempt_now(&path).map_err(|source| StoreError::io("lock", &path, source))?;
        claim.map(|claim| self.slot(diff_id, claim)).transpose()
    }

    fn slot(&self, diff_id: &Digest, claim: Claim) -> Result<LayerSlot, StoreError> {
        if let Some(info) = self.layer(diff_id) {
            return Ok(LayerSlot::Present(info));
        }
        refuse_newer::<LayerInfo>(&self.layer_folder(diff_id).join("layer.json"))?;
        let folder = self.roots.data.join("tmp").join(format!("layer-{}", diff_id.hex()));
        // What a crash left of an earlier attempt: we hold the lock, so nobody uses it.
        discard(&folder)?;
        let writer = LayerWriter { store: self.clone(), diff_id: diff_id.clone(), folder, _claim: claim };
        Ok(LayerSlot::Missing(writer))
    }

    pub(crate) fn layer_folder(&self, diff_id: &Digest) -> PathBuf {
        self.roots.data.join("layers").join(diff_id.hex())
    }

    pub(crate) fn layer_document(&self, diff_id: &Digest) -> Option<LayerInfo> {
        document::decode(&std::fs::read(self.layer_folder(diff_id).join("layer.json")).ok()?)
    }

    /// The lock file of whoever makes this layer.
    fn layer_lock(&self, diff_id: &Digest) -> Result<PathBuf, StoreError> {
        self.prepare()?;
        Ok(self.roots.run.join("locks").join(format!("layer-{}", diff_id.hex())))
    }

    /// Notes that a layer is on the disk, after a sync.
    pub(crate) fn mark_synced(&self, info: LayerInfo) -> Result<(), StoreError> {
        if info.unsynced.is_none() {
            return Ok(());
        }
        let path = self.layer_folder(&info.diff_id).join("layer.json");
        write_document(&path, &LayerInfo { unsynced: None, ..info })
    }

    /// Unpacks an archive into `folder/tree` and writes its document beside it.
    pub(crate) fn unpack_into<R: BufRead + Send>(
        &self,
        folder: &Path,
        source: Source<R>,
        diff_id: Option<&Digest>,
    ) -> Result<LayerInfo, StoreError> {
        let tree = folder.join("tree");
        let make = || {
            sys::file::create_private_folder(&tree)?;
            // The root of a container whose image does not say otherwise is open to its users; what
            // keeps others out is the store's own folder.
            std::fs::set_permissions(&tree, std::fs::Permissions::from_mode(0o755))
        };
        make().map_err(|source| StoreError::io("make", &tree, source))?;
        let digest = source.blob.as_ref().map(|(digest, _)| digest).or(diff_id);
        let digest = digest.map_or_else(|| "without a digest".to_owned(), Digest::to_string);
        let manner = self.manner(Purpose::Layer)?;
        let origin = source.blob.clone().zip(source.from.clone());
        let unpacked = unpack_verified(&tree, source, diff_id, &manner);
        let mut info = unpacked.map_err(|source| StoreError::Unpack { digest, source: Box::new(source) })?;
        info.origin = origin.map(|((digest, size), repository)| BlobOrigin { digest, size, repository });
        write_document(&folder.join("layer.json"), &info)?;
        Ok(info)
    }

    /// Moves a finished layer to its place. What is there, damaged or never synced before a power cut, is
    /// put aside: containers may run on it.
    pub(crate) fn publish_layer(&self, folder: &Path, diff_id: &Digest) -> Result<(), StoreError> {
        let target = self.layer_folder(diff_id);
        if target.exists() {
            refuse_newer::<LayerInfo>(&target.join("layer.json"))?;
            let aside = self.unused(&format!("{ASIDE}{}", diff_id.hex()));
            std::fs::rename(&target, &aside).map_err(|source| StoreError::io("replace", &target, source))?;
        }
        std::fs::rename(folder, &target).map_err(|source| StoreError::io("publish", &target, source))
    }

    pub(crate) fn manner(&self, purpose: Purpose) -> Result<Manner, StoreError> {
        let failed = |source| StoreError::io("read", Path::new("/proc/self/uid_map"), source);
        let ids = Ids::of(self.roots.mapping).map_err(failed)?;
        Ok(Manner { user_attributes: self.user_attributes(), ids, purpose })
    }

    /// Whether this process may only set `user.*` attributes: it is root in a user namespace of its own.
    pub(crate) fn user_attributes(&self) -> bool {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let whole: Vec<&str> = map.split_ascii_whitespace().collect();
        !map.is_empty() && whole != ["0", "0", "4294967295"]
    }
}

impl LayerWriter {
    /// Unpacks, verifies and publishes the layer. Blocks, and uses one more thread for decompression.
    ///
    /// # Errors
    /// [`StoreError::Unpack`] when the content is not what it should be, is hostile, or cannot be
    /// written. Nothing is left behind then.
    pub fn unpack<R: BufRead + Send>(self, source: Source<R>) -> Result<LayerInfo, StoreError> {
        let info = self.store.unpack_into(&self.folder, source, Some(&self.diff_id))?;
        self.store.publish_layer(&self.folder, &self.diff_id)?;
        Ok(info)
    }
}

impl Drop for LayerWriter {
    fn drop(&mut self) {
        // Gone already when it was published; else the sweep finds what cannot be removed now.
        let _ = discard(&self.folder);
    }
}

fn unpack_verified<R: BufRead + Send>(
    tree: &Path,
    source: Source<R>,
    diff_id: Option<&Digest>,
    manner: &Manner,
) -> Result<LayerInfo, UnpackError> {
    let bounds = Bounds::of_layer(source.blob.as_ref().map(|(_, sent)| *sent));
    let (found, written) =
        decode(source.bytes, source.blob.as_ref(), |archive| unpack(archive, tree, manner, bounds))?;
    if let Some(expected) = diff_id.filter(|expected| **expected != found) {
        return Err(UnpackError::WrongDigest { what: "diff id", expected: expected.clone(), found });
    }
    let (size, omitted) = (written.size, written.omitted);
    Ok(LayerInfo { omitted, ..LayerInfo::made(found, size) })
}

/// The kernel's name for this boot.
fn boot() -> Option<String> {
    static BOOT: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    BOOT.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(text.trim().to_owned())
    })
    .clone()
}

pub(crate) fn write_document<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let bytes = document::encode(value).map_err(|error| StoreError::io("write", path, error.into()))?;
    sys::file::replace(path, &bytes).map_err(|source| StoreError::io("write", path, source))
}

/// Refuses to replace a document that a newer program has written; one that is damaged or absent may be.
pub(crate) fn refuse_newer<T: DeserializeOwned>(path: &Path) -> Result<(), StoreError> {
    let fault = std::fs::read(path).ok().and_then(|bytes| document::examine::<T>(&bytes).err());
    match fault {
        Some(Fault::Newer) => Err(StoreError::NewerDocument { path: path.to_owned() }),
        Some(Fault::Damaged) | None => Ok(()),
    }
}

/// Deletes a folder with its content; one that is not there is no error.
pub(crate) fn discard(folder: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("delete", folder, error)),
        _ => Ok(()),
    }
}
