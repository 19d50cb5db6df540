//! stub
use crate::{Compression, Store, StoreError};
use resource::Digest;
use std::io::Read;
use std::path::PathBuf;

/// What is known of an unpacked layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerInfo {
    /// Digest of the uncompressed archive: the layer's identity.
    pub diff_id: Digest,
    /// Bytes of its files.
    pub size: u64,
}

/// The outcome of asking to make a layer.
#[derive(Debug)]
pub enum LayerSlot {
    /// It is there, unpacked and whole.
    Present(LayerInfo),
    /// It is the caller's to make; others wait until the writer is used or dropped.
    Missing(LayerWriter),
}

/// The right to make one layer.
#[derive(Debug)]
pub struct LayerWriter {
    pub(crate) store: Store,
}

/// A layer's bytes as they come.
pub struct Source<R> {
    /// The bytes, compressed or not.
    pub bytes: R,
    /// Digest of those bytes and how many there are, when known.
    pub blob: Option<(Digest, u64)>,
    /// How they are said to be compressed; the first bytes decide.
    pub compression: Option<Compression>,
}

impl Store {
    /// `DATA/layers/HEX/tree`: what an overlay mount takes as one lower layer.
    pub fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.roots.data.join("layers").join(diff_id.hex()).join("tree")
    }
    /// Whether the layer is there, unpacked and whole.
    pub fn has_layer(&self, diff_id: &Digest) -> bool {
        todo!("{diff_id}")
    }
    /// Waits (blocking) until the layer is there or nobody else is making it.
    pub fn begin_layer(&self, diff_id: &Digest) -> Result<LayerSlot, StoreError> {
        todo!("{diff_id}")
    }
    /// As `begin_layer`; `None` while somebody else makes it.
    pub fn try_begin_layer(&self, diff_id: &Digest) -> Result<Option<LayerSlot>, StoreError> {
        todo!("{diff_id}")
    }
}
impl LayerWriter {
    /// Unpacks, verifies and publishes the layer. Blocks; uses one more thread.
    pub fn unpack<R: Read + Send>(self, source: Source<R>) -> Result<LayerInfo, StoreError> {
        drop(source);
        todo!()
    }
}
