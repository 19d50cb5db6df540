//! Images, unpacked layers and volumes on disk.
//!
//! * [`Store::open`] reads one small file and writes nothing; folders are made by the first act that
//!   needs them. Looking an image up is one file read.
//! * Every document is committed by one rename. A layer appears whole or not at all; an image appears
//!   after one `syncfs` that covers all its layers, so a power cut takes nothing that was published.
//! * Nothing that comes from a registry is trusted: digests are checked before anything is published,
//!   and every path of an archive is resolved by descriptor inside the layer's own folder.
//!
//! ```text
//! DATA/tmp/layer-HEX/         a layer being made, by whoever holds RUN/locks/layer-HEX
//! DATA/tmp/KIND-OWNER-COUNT   what whoever holds RUN/locks/owner-OWNER makes (see `temporary`)
//! DATA/tmp/aside-HEX-*        a layer that was replaced, until nothing runs on it
//! DATA/tmp/dead-*             what is being deleted
//! DATA/layers/HEX/layer.json  what it is, and whether it has been synced (see `layers`)
//! DATA/layers/HEX/packed.json the compressed blob that a layer made here was pushed as (see `blobs`)
//! DATA/blobs/sha256/HEX       manifests, configurations, blobs of layers that no registry has (see `kept`)
//! DATA/build/                 results of build steps, cache mounts (see `steps`)
//! RUN/pins/*                  layers that a pull in progress relies on
//! RUN/store.lock              shared: something is about to use layers; exclusive: collecting garbage
//! ```

mod archive;
mod assemble;
mod attributes;
mod beside;
mod blobs;
mod bounds;
mod changes;
mod config;
mod copy;
mod decode;
mod error;
mod garbage;
mod hash;
mod ids;
mod images;
mod import;
mod kept;
mod layers;
mod lock;
mod members;
mod mounts;
mod pack;
mod sparse;
mod steps;
mod temporary;
mod transfer;
mod tree;
mod unpack;
mod usage;
mod view;
mod volumes;

pub use assemble::{Assembly, BUILD_CACHE, History};
pub use blobs::{BlobOrigin, PackedLayer};
pub use changes::{LayerParts, Made};
pub use decode::begins_an_archive;
pub use error::{PackError, StoreError, UnpackError};
pub use garbage::{Collected, InUse, Pin};
pub use hash::{Hasher, digest_of};
pub use images::NewImage;
pub use kept::{check_blob, is_compressed, room_for};
pub use layers::{LayerInfo, LayerSlot, LayerWriter, Source};
pub use members::{Member, MemberKind, members};
pub use mounts::{CacheMount, CacheSharing};
pub use steps::{Forgotten, StepResult, StepSlot, StepWriter};
pub use transfer::{Origin, Target, TransferError};
pub use unpack::{Omitted, Owners};
pub use usage::{Usage, bytes_below};

use resource::{Mapping, Roots};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use temporary::Making;

/// The version of the layout that this program writes.
const FORMAT: u32 = 1;

/// The image and volume store below the two roots of an engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) roots: Roots,
    /// Its folders are there; clones know it, too.
    prepared: Arc<OnceLock<()>>,
    /// What it has half-made.
    making: Arc<Making>,
}

impl Store {
    /// Opens the store. Writes nothing: a store that is not there yet is an empty one. Only when its
    /// account has more ids than when it was filled, and no container is left, its images are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer program has written it, [`StoreError::Foreign`] when its files
    /// belong to other ids than those of `roots`.
    pub fn open(roots: &Roots) -> Result<Self, StoreError> {
        let foreign =
            |written| StoreError::Foreign { data: roots.data.clone(), written, opened: roots.mapping };
        let path = roots.data.join("format");
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let format = Format::parse(&text);
                if let Some(version) = format.version.filter(|version| *version > FORMAT) {
                    return Err(StoreError::Newer { path, version });
                }
                let blank = |folders: &[&str]| folders.iter().all(|name| is_empty(&roots.data.join(name)));
                match format.meets(roots.mapping) {
                    Meeting::Same => {}
                    Meeting::MoreIds if blank(&["pods"]) => begin_again(roots)?,
                    Meeting::FewerIds if blank(&["pods", "layers", "volumes"]) => {}
                    _ => return Err(foreign(Some(format.mapping))),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(foreign(None)),
            Err(source) => return Err(StoreError::io("read", &path, source)),
        }
        Ok(Self { roots: roots.clone(), prepared: Arc::default(), making: Arc::default() })
    }

    /// Makes the folders and the format file, mode 0700 whatever the umask.
    ///
    /// # Errors
    /// [`StoreError::Io`] with the folder that could not be made.
    pub fn prepare(&self) -> Result<(), StoreError> {
        if self.prepared.get().is_some() {
            return Ok(());
        }
        let data = &self.roots.data;
        for folder in ["tmp", "blobs/sha256", "layers", "images", "volumes"] {
            make(&data.join(folder))?;
        }
        for folder in ["locks", "pins"] {
            make(&self.roots.run.join(folder))?;
        }
        let format = data.join("format");
        let text = Format { version: Some(FORMAT), mapping: self.roots.mapping }.text();
        if !std::fs::read_to_string(&format).is_ok_and(|written| written == text) {
            sys::file::replace(&format, text.as_bytes())
                .map_err(|source| StoreError::io("write", &format, source))?;
        }
        // Two at once have both made what there is.
        let _made_by_both = self.prepared.set(());
        Ok(())
    }

    /// The roots it was opened with.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }
}

/// What the format file says: `1`, or in an ordinary user's store `1 subordinate` or `1 single`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format {
    version: Option<u32>,
    mapping: Mapping,
}

impl Format {
    fn parse(text: &str) -> Self {
        let mut words = text.split_ascii_whitespace();
        let version = words.next().and_then(|word| word.parse().ok());
        Self { version, mapping: words.next().and_then(Mapping::parse).unwrap_or_default() }
    }

    fn text(self) -> String {
        let version = self.version.unwrap_or(FORMAT);
        match self.mapping {
            Mapping::Host => format!("{version}\n"),
            mapping => format!("{version} {}\n", mapping.as_str()),
        }
    }

    /// What the ids of an engine are beside those that the files have.
    fn meets(self, opened: Mapping) -> Meeting {
        match (self.mapping, opened) {
            (one, other) if one == other => Meeting::Same,
            (Mapping::Single, Mapping::Subordinate) => Meeting::MoreIds,
            (Mapping::Subordinate, Mapping::Single) => Meeting::FewerIds,
            _ => Meeting::Others,
        }
    }
}

/// How the ids of a store and of who opens it meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meeting {
    Same,
    /// The account was given subordinate ids since: what is here can be read and removed, but layers lack
    /// their owners.
    MoreIds,
    /// The account has lost them: what is here may be out of reach.
    FewerIds,
    /// Root's and an ordinary user's.
    Others,
}

/// Forgets all images of a store whose layers lack their owners, so that they are pulled again; volumes
/// stay. No container needs them.
fn begin_again(roots: &Roots) -> Result<(), StoreError> {
    let store = Store { roots: roots.clone(), prepared: Arc::default(), making: Arc::default() };
    make(&roots.run)?;
    make(&roots.data.join("tmp"))?;
    let path = roots.run.join("store.lock");
    let lock = sys::file::Lock::exclusive(&path).map_err(|source| StoreError::io("lock", &path, source))?;
    let written = std::fs::read_to_string(roots.data.join("format")).unwrap_or_default();
    if Format::parse(&written).meets(roots.mapping) == Meeting::Same {
        return Ok(()); // somebody else was quicker
    }
    for folder in ["images", "blobs", "layers"] {
        let (folder, dead) = (roots.data.join(folder), store.unused("dead"));
        match std::fs::rename(&folder, &dead) {
            Ok(()) => layers::discard(&dead)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::io("delete", &folder, source)),
        }
    }
    let done = store.prepare();
    drop(lock);
    done
}

/// Whether there is nothing in a folder, or no folder.
fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()) || !folder.exists()
}

fn make(path: &Path) -> Result<(), StoreError> {
    sys::file::create_private_folder(path).map_err(|source| StoreError::io("make", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_tells_whose_ids_the_files_have() {
        for mapping in [Mapping::Host, Mapping::Subordinate, Mapping::Single] {
            let format = Format { version: Some(1), mapping };
            assert_eq!(Format::parse(&format.text()), format);
            assert_eq!(format.meets(mapping), Meeting::Same);
        }
        assert_eq!(Format::parse("1\n").text(), "1\n");
        let meets = |mapping, opened| Format { version: Some(1), mapping }.meets(opened);
        assert_eq!(meets(Mapping::Single, Mapping::Subordinate), Meeting::MoreIds);
        assert_eq!(meets(Mapping::Subordinate, Mapping::Single), Meeting::FewerIds);
        assert_eq!(meets(Mapping::Single, Mapping::Host), Meeting::Others);
        assert_eq!(meets(Mapping::Host, Mapping::Subordinate), Meeting::Others);
    }
}
