//! Layers as registries keep them: where a layer's blob came from, and the one that a layer made here has.
//!
//! An unpacked layer does not give the blob back that it came as: compression and archive have many forms.
//! So a layer that was pulled remembers its blob and repository, and one made here is packed by ourselves,
//! always to the same bytes; what they are compressed to is remembered beside it once it was done.

use crate::layers::write_document;
use crate::{Hasher, Store, StoreError};
use flate2::Compression;
use flate2::write::GzEncoder;
use resource::{Digest, document};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::PathBuf;

/// Repositories of a packed layer that are remembered, the latest of them.
const REPOSITORIES: usize = 8;

/// The blob that a layer was unpacked from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobOrigin {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Registry and repository that it came from, as images are named: `docker.io/library/redis`.
    pub repository: String,
}

/// The compressed blob of a layer that was made here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedLayer {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Repositories that it was pushed to, as images are named, the latest last.
    pub repositories: Vec<String>,
}

impl Store {
    /// Writes the archive of a layer that was made here, compressed with gzip, and remembers what came out.
    /// Blocks.
    ///
    /// # Errors
    /// [`StoreError::Pack`], [`StoreError::Changed`] when its files do not give the layer's archive.
    pub fn pack_layer(&self, diff_id: &Digest, output: impl Write) -> Result<PackedLayer, StoreError> {
        let sum = Sum { output, hasher: Hasher::default(), count: 0 };
        let mut gzip = GzEncoder::new(sum, Compression::default());
        self.write_layer(diff_id, &mut gzip)?;
        let failed = |source| StoreError::io("write", &self.layer_path(diff_id), source);
        let mut sum = gzip.finish().map_err(failed)?;
        sum.flush().map_err(failed)?;
        let known = self.packed_layer(diff_id).map_or_else(Vec::new, |packed| packed.repositories);
        let packed = PackedLayer { digest: sum.hasher.finish(), size: sum.count, repositories: known };
        write_document(&self.packed_file(diff_id), &packed)?;
        Ok(packed)
    }

    /// The compressed blob that a layer made here has, once it was packed.
    pub fn packed_layer(&self, diff_id: &Digest) -> Option<PackedLayer> {
        document::decode(&std::fs::read(self.packed_file(diff_id)).ok()?)
    }

    /// Remembers that a repository has the compressed blob of a layer.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn remember_pushed(&self, diff_id: &Digest, repository: &str) -> Result<(), StoreError> {
        let Some(mut packed) = self.packed_layer(diff_id) else { return Ok(()) };
        if packed.repositories.last().is_some_and(|last| last == repository) {
            return Ok(());
        }
        packed.repositories.retain(|known| known != repository);
        packed.repositories.push(repository.to_owned());
        let forgotten = packed.repositories.len().saturating_sub(REPOSITORIES);
        packed.repositories.drain(..forgotten);
        write_document(&self.packed_file(diff_id), &packed)
    }

    fn packed_file(&self, diff_id: &Digest) -> PathBuf {
        self.layer_folder(diff_id).join("packed.json")
    }
}

/// Digest and number of bytes on their way.
pub(crate) struct Sum<W> {
    pub(crate) output: W,
    pub(crate) hasher: Hasher,
    pub(crate) count: u64,
}

impl<W: Write> Write for Sum<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
