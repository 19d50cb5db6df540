//! What takes room in the store.

use crate::Store;
use crate::garbage::digests;
use resource::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What takes room in the store, in bytes of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Every unpacked layer.
    pub layers: BTreeMap<Digest, u64>,
    /// The layers that results of build steps keep.
    pub build_layers: BTreeSet<Digest>,
    /// Results of build steps.
    pub build_steps: usize,
    /// Cache mounts and indexes of contexts.
    pub build_bytes: u64,
}

impl Store {
    /// Looks at what is there; nothing is held meanwhile, so another command may change it.
    pub fn usage(&self) -> Usage {
        let folder = self.roots.data.join("layers");
        let size = |layer: &Digest| self.layer_document(layer).map_or(0, |info| info.size);
        let build = self.roots.data.join("build");
        let steps = std::fs::read_dir(build.join("steps")).into_iter().flatten().flatten();
        Usage {
            layers: digests(&folder).map(|layer| (layer.clone(), size(&layer))).collect(),
            build_layers: self.layers_of_steps(),
            build_steps: steps
                .filter(|step| step.path().extension().is_some_and(|end| end == "json"))
                .count(),
            build_bytes: bytes_below(&build.join("mounts")) + bytes_below(&build.join("contexts")),
        }
    }
}

/// Bytes of the files below a folder. What cannot be read, or goes away meanwhile, does not count.
pub fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, status)| if status.is_dir() { bytes_below(&path) } else { status.len() })
        .sum()
}
