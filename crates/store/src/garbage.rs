//! What nobody needs any more, and how a pull says what it needs before an image does.

use crate::kept::named_in;
use crate::layers::{ASIDE, discard, refuse_newer};
use crate::lock::{Claim, is_held};
use crate::temporary::is_abandoned;
use crate::{Store, StoreError};
use resource::{Digest, Image};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Layers that are not collected while this value lives.
#[derive(Debug)]
pub struct Pin {
    _claim: Claim,
}

/// What a collection removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Diff ids of the layers.
    pub layers: Vec<Digest>,
    /// Bytes that their files, and blobs, had.
    pub bytes: u64,
}

/// What containers need of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Layers that their documents name.
    pub layers: BTreeSet<Digest>,
    /// Those of containers that run, or are being started: what the layers replaced stays, too.
    pub running: BTreeSet<Digest>,
    /// Manifests and configurations of the images that they were made of: an image that has lost its name to another
    /// can still be built upon.
    pub blobs: BTreeSet<Digest>,
    /// The document of one that cannot be read, and may need any layer.
    pub unknown: Option<PathBuf>,
}

impl Store {
    /// Keeps these layers, and kept blobs of this name, from being collected, whether they are there yet or
    /// not. To be taken before
    /// looking which of them are.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn pin(&self, layers: &[Digest]) -> Result<Pin, StoreError> {
        static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        // Whoever makes layers or images begins here: room for them is made first.
        self.making.swept.get_or_init(|| drop(self.sweep()));
        let _shared = self.share()?;
        let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = self.roots.run.join("pins").join(format!("{}-{count}", std::process::id()));
        let failed = |source| StoreError::io("write", &path, source);
        let claim = Claim::take(&path).map_err(failed)?;
        let lines: String = layers.iter().map(|layer| format!("{layer}\n")).collect();
        claim.write(lines.as_bytes()).map_err(failed)?;
        Ok(Pin { _claim: claim })
    }

    /// Held by whoever makes something that relies on layers, a container, until its document is
    /// committed: nothing is collected meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn share(&self) -> Result<sys::file::Lock, StoreError> {
        self.prepare()?;
        let path = self.roots.run.join("store.lock");
        sys::file::Lock::shared(&path).map_err(|source| StoreError::io("lock", &path, source))
    }

    /// Removes every layer and blob that no image, no [`Pin`], no build step and none of `in_use` needs, and what
    /// crashed processes left. `in_use` is called under the store's exclusive lock and tells of all
    /// containers.
    ///
    /// # Errors
    /// [`StoreError::NeedUnknown`] when there is a document that may need any layer, [`StoreError::Io`].
    pub fn collect_garbage(&self, in_use: impl FnOnce() -> InUse) -> Result<Collected, StoreError> {
        self.prepare()?;
        let path = self.roots.run.join("store.lock");
        let lock =
            sys::file::Lock::exclusive(&path).map_err(|source| StoreError::io("lock", &path, source))?;
        let images = self.images();
        let in_use = in_use();
        if let Some(path) = in_use.unknown.or_else(|| self.newer_image()) {
            return Err(StoreError::NeedUnknown { path });
        }
        self.remove_aside(&in_use.running)?;
        let mut layers = in_use.layers;
        layers.extend(images.iter().flat_map(|image| image.layers.iter().cloned()));
        let pinned = self.pinned();
        layers.extend(pinned.iter().cloned());
        layers.extend(self.layers_of_steps());
        let mut collected = Collected::default();
        for layer in digests(&self.roots.data.join("layers")).filter(|layer| !layers.contains(layer)) {
            collected.bytes += self.layer_document(&layer).map_or(0, |info| info.size);
            let (folder, dead) = (self.layer_folder(&layer), self.unused("dead"));
            std::fs::rename(&folder, dead).map_err(|source| StoreError::io("delete", &folder, source))?;
            collected.layers.push(layer);
        }
        let manifests = images.iter().map(|image| &image.manifest).chain(&in_use.blobs);
        let manifests: BTreeSet<&Digest> = manifests.collect();
        let mut blobs: BTreeSet<Digest> = images.iter().map(|image| image.id.clone()).chain(pinned).collect();
        for manifest in manifests {
            blobs.insert(manifest.clone());
            blobs.extend(named_in(&self.blob(manifest).unwrap_or_default()));
        }
        for blob in digests(&self.roots.data.join("blobs/sha256")).filter(|blob| !blobs.contains(blob)) {
            let path = self.blob_file(&blob);
            collected.bytes += std::fs::metadata(&path).map_or(0, |status| status.len());
            std::fs::remove_file(&path).map_err(|source| StoreError::io("delete", &path, source))?;
        }
        self.remove_unwritten();
        drop(lock);
        self.sweep_making()?;
        Ok(collected)
    }

    /// Removes replaced layers that nothing runs on any more. Does nothing when there are none, or when somebody
    /// else works on the store; `in_use` is called under the store's exclusive lock.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn clear_aside(&self, in_use: impl FnOnce() -> InUse) -> Result<(), StoreError> {
        if self.aside().is_empty() {
            return Ok(());
        }
        let path = self.roots.run.join("store.lock");
        let lock =
            sys::file::Lock::try_exclusive(&path).map_err(|source| StoreError::io("lock", &path, source))?;
        let Some(lock) = lock else { return Ok(()) };
        let in_use = in_use();
        if in_use.unknown.is_none() {
            self.remove_aside(&in_use.running)?;
        }
        drop(lock);
        Ok(())
    }

    /// Removes those of the replaced layers whose place none of `running` and no pin names. Under the store's
    /// exclusive lock.
    fn remove_aside(&self, running: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let pinned = self.pinned();
        for (path, layer) in self.aside() {
            if !running.contains(&layer) && !pinned.contains(&layer) {
                discard(&path)?;
            }
        }
        Ok(())
    }

    /// Layers that were replaced: where they are now, and which.
    fn aside(&self) -> Vec<(PathBuf, Digest)> {
        let named = |path: PathBuf| {
            let (hex, _) = path.file_name()?.to_str()?.strip_prefix(ASIDE)?.split_once('-')?;
            let layer = Digest::parse(&format!("sha256:{hex}")).ok()?;
            Some((path, layer))
        };
        entries(&self.roots.data.join("tmp")).filter_map(named).collect()
    }

    /// An image's document that a newer program has written: nobody knows what it needs.
    fn newer_image(&self) -> Option<PathBuf> {
        entries(&self.roots.data.join("images")).find(|path| refuse_newer::<Image>(path).is_err())
    }

    /// Removes what crashed processes left half-made. Where nothing is, a few folders are listed.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn sweep(&self) -> Result<(), StoreError> {
        let path = self.roots.run.join("store.lock");
        if path.exists() {
            let lock = sys::file::Lock::try_exclusive(&path)
                .map_err(|source| StoreError::io("lock", &path, source))?;
            // Else somebody writes just now; whoever comes next looks again.
            if lock.is_some() {
                self.remove_unwritten();
            }
        }
        self.sweep_making()
    }

    /// Removes layers, archives and volumes whose makers died, and the locks and pins they held.
    fn sweep_making(&self) -> Result<(), StoreError> {
        for path in entries(&self.roots.data.join("tmp")) {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if let Some(hex) = name.strip_prefix("layer-") {
                let lock = self.roots.run.join("locks").join(format!("layer-{hex}"));
                match Claim::attempt_now(&lock) {
                    Ok(Some(_claim)) => discard(&path)?,
                    Ok(None) => {}
                    Err(source) => return Err(StoreError::io("lock", &lock, source)),
                }
            } else if name.starts_with(ASIDE) {
                // Containers may run on it, which a collection is told of.
            } else if name.starts_with("dead-") || is_abandoned(&self.roots, name) {
                discard(&path)?;
            }
        }
        for folder in ["locks", "pins"] {
            for path in entries(&self.roots.run.join(folder)) {
                // A claim removes its file when it is given up.
                drop(Claim::attempt_now(&path));
            }
        }
        Ok(())
    }

    /// Removes documents and blobs that were being written beside their place, `NAME.PID.COUNT.tmp`. Under the
    /// store's exclusive lock: whoever writes there shares it, so their writers died.
    fn remove_unwritten(&self) {
        for folder in ["images", "blobs/sha256"] {
            for path in entries(&self.roots.data.join(folder)) {
                if path.extension().is_some_and(|end| end == "tmp") {
                    // Only room is lost when it stays.
                    drop(std::fs::remove_file(&path));
                }
            }
        }
    }

    fn pinned(&self) -> BTreeSet<Digest> {
        let mut pinned = BTreeSet::new();
        for path in entries(&self.roots.run.join("pins")) {
            if is_held(&path) {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                pinned.extend(text.lines().filter_map(|line| Digest::parse(line).ok()));
            } else {
                // Its process died; a new one cannot have the name while we hold the store's lock.
                let _ = std::fs::remove_file(&path);
            }
        }
        pinned
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The digests that entries of a folder are named after.
pub(crate) fn digests(folder: &Path) -> impl Iterator<Item = Digest> {
    entries(folder).filter_map(|path| {
        Digest::parse(&format!("sha256:{}", path.file_name().and_then(OsStr::to_str)?)).ok()
    })
}
