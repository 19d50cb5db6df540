//! What build steps made, by a key that says all they depend on; folders that outlive builds; and the
//! index of a context's files.
//!
//! ```text
//! DATA/build/steps/HEX.json       a step's result; its modification time is when it was last used
//! DATA/build/mounts/               folders that outlive builds, see `mounts`
//! DATA/build/contexts/HEX.json    digests of a context's files, with what their folder said of them
//! RUN/locks/step-HEX              held by whoever makes the result
//! ```
//! A result counts while its layer is there and good. Results are dropped, least recently used first,
//! when together they are more than a bound; their layers then go with the next collection.

use crate::layers::write_document;
use crate::lock::Claim;
use crate::{Store, StoreError};
use resource::{Digest, Timestamp, document};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a step made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    /// Its layer with the bytes of the archive; `None` when it changed no file.
    pub layer: Option<(Digest, u64)>,
    /// When it was made.
    pub created: Timestamp,
}

/// The outcome of asking for a step's result.
#[derive(Debug)]
pub enum StepSlot {
    /// It is there.
    Present(StepResult),
    /// It is the caller's to make; others wait until the writer is used or dropped.
    Missing(StepWriter),
}

/// The right to make one step's result.
#[derive(Debug)]
pub struct StepWriter {
    store: Store,
    key: Digest,
    _claim: Claim,
}

/// What dropping old results came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Results and cache mounts.
    pub count: usize,
    /// Bytes of the cache mounts; those of layers are told by the collection that follows.
    pub bytes: u64,
}

impl Store {
    /// A step's result, if it is there and its layer is good.
    pub fn step(&self, key: &Digest) -> Option<StepResult> {
        let path = self.step_file(key);
        let result: StepResult = document::decode(&std::fs::read(&path).ok()?)?;
        let good = result.layer.as_ref().is_none_or(|(layer, _)| self.has_layer(layer));
        if good {
            // Only the order of forgetting depends on it.
            let now = SystemTime::now();
            drop(std::fs::File::open(&path).and_then(|file| file.set_modified(now)));
        }
        good.then_some(result)
    }

    /// Finds a step's result or gets the right to make it. Blocks while somebody else makes it.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn begin_step(&self, key: &Digest) -> Result<StepSlot, StoreError> {
        if let Some(result) = self.step(key) {
            return Ok(StepSlot::Present(result));
        }
        let claim = self.claim_step(key)?;
        Ok(match self.step(key) {
            Some(result) => StepSlot::Present(result),
            None => StepSlot::Missing(StepWriter { store: self.clone(), key: key.clone(), _claim: claim }),
        })
    }

    /// The right to make a step's result anew, whatever is there.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn begin_step_anew(&self, key: &Digest) -> Result<StepWriter, StoreError> {
        let claim = self.claim_step(key)?;
        Ok(StepWriter { store: self.clone(), key: key.clone(), _claim: claim })
    }

    fn claim_step(&self, key: &Digest) -> Result<Claim, StoreError> {
        self.prepare()?;
        let path = self.roots.run.join("locks").join(format!("step-{}", key.hex()));
        Claim::take(&path).map_err(|source| StoreError::io("lock", &path, source))
    }

    /// The layers that steps' results name.
    pub(crate) fn layers_of_steps(&self) -> BTreeSet<Digest> {
        let results = files(&self.build_folder("steps"));
        let layer = |path: PathBuf| {
            let result: StepResult = document::decode(&std::fs::read(path).ok()?)?;
            Some(result.layer?.0)
        };
        results.into_iter().filter_map(|(path, _)| layer(path)).collect()
    }

    /// Drops the least recently used results until those that stay have `bound` bytes of layers at most.
    /// Their layers stay until [`Store::collect_garbage`].
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn forget_steps(&self, bound: u64) -> Result<Forgotten, StoreError> {
        let mut results = files(&self.build_folder("steps"));
        results.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
        let (mut seen, mut total, mut forgotten) = (BTreeSet::new(), 0, Forgotten::default());
        for (path, _) in results {
            let result: Option<StepResult> =
                std::fs::read(&path).ok().and_then(|bytes| document::decode(&bytes));
            let layer = result.and_then(|result| result.layer);
            if let Some((layer, size)) = layer
                && seen.insert(layer)
            {
                total += size;
            }
            if total > bound || bound == 0 {
                remove(&path)?;
                forgotten.count += 1;
            }
        }
        Ok(forgotten)
    }

    /// Drops every result, every cache mount that no step uses, and every index of a context.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn forget_builds(&self) -> Result<Forgotten, StoreError> {
        let mut forgotten = self.forget_steps(0)?;
        for (path, _) in files(&self.build_folder("contexts")) {
            remove(&path)?;
        }
        let mounts = self.forget_mounts(0)?;
        forgotten.count += mounts.count;
        forgotten.bytes += mounts.bytes;
        Ok(forgotten)
    }

    /// Drops the oldest documents of contexts, but for `bound` of them.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn forget_indexes(&self, bound: usize) -> Result<(), StoreError> {
        let mut indexes = files(&self.build_folder("contexts"));
        indexes.sort_by_key(|(_, written)| std::cmp::Reverse(*written));
        indexes.iter().skip(bound).try_for_each(|(path, _)| remove(path))
    }

    /// The document kept of a context under this name.
    pub fn context_index<T: DeserializeOwned>(&self, name: &Digest) -> Option<T> {
        let path = self.build_folder("contexts").join(format!("{}.json", name.hex()));
        document::decode(&std::fs::read(path).ok()?)
    }

    /// Keeps a document of a context.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn keep_context_index<T: Serialize>(&self, name: &Digest, index: &T) -> Result<(), StoreError> {
        let folder = self.build_folder("contexts");
        sys::file::create_private_folder(&folder).map_err(|error| StoreError::io("make", &folder, error))?;
        write_document(&folder.join(format!("{}.json", name.hex())), index)
    }

    fn step_file(&self, key: &Digest) -> PathBuf {
        self.build_folder("steps").join(format!("{}.json", key.hex()))
    }

    pub(crate) fn build_folder(&self, kind: &str) -> PathBuf {
        self.roots.data.join("build").join(kind)
    }
}

impl StepWriter {
    /// Publishes the result.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn keep(self, result: &StepResult) -> Result<(), StoreError> {
        let folder = self.store.build_folder("steps");
        sys::file::create_private_folder(&folder).map_err(|error| StoreError::io("make", &folder, error))?;
        write_document(&self.store.step_file(&self.key), result)
    }
}

pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_named = |path: &Path| path.extension().is_none_or(|end| end == "json");
    entries
        .filter(|entry| is_named(&entry.path()))
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.modified().ok()?)))
        .collect()
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("delete", path, error))
        }
        _ => Ok(()),
    }
}
