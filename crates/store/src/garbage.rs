//! stub
use crate::{Store, StoreError};
use resource::Digest;
use std::collections::BTreeSet;

/// Layers that must not be collected while this value lives.
#[derive(Debug)]
pub struct Pin {}

/// What a collection removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Diff ids of the layers.
    pub layers: Vec<Digest>,
    /// Bytes their files had.
    pub bytes: u64,
}
impl Store {
    /// Keeps these layers from being collected, whether they are there yet or not.
    pub fn pin(&self, layers: &[Digest]) -> Result<Pin, StoreError> {
        todo!("{layers:?}")
    }
    /// Removes every layer and blob that no image, no pin and none of `in_use` needs, and leftovers
    /// of crashes. `in_use` is called under the store's exclusive lock: layers of existing containers.
    pub fn collect_garbage(&self, in_use: impl FnOnce() -> BTreeSet<Digest>) -> Result<Collected, StoreError> {
        drop(in_use);
        todo!()
    }
    /// Held by whoever makes something that relies on layers (a container) until its document is
    /// committed: nothing is collected meanwhile.
    pub fn share(&self) -> Result<sys::file::Lock, StoreError> {
        todo!()
    }
    /// Removes what crashed processes left in the temporary folder.
    pub fn sweep(&self) -> Result<(), StoreError> {
        todo!()
    }
}
