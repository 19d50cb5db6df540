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
//! DATA/tmp/dead-*             what is being deleted
//! DATA/layers/HEX/layer.json  what it is, and whether it has been synced (see `layers`)
//! RUN/pins/*                  layers that a pull in progress relies on
//! RUN/store.lock              shared: something is about to use layers; exclusive: collecting garbage
//! ```

mod archive;
mod config;
mod copy;
mod decode;
mod error;
mod garbage;
mod hash;
mod images;
mod import;
mod layers;
mod lock;
mod sparse;
mod tree;
mod unpack;
mod view;
mod volumes;

pub use error::{StoreError, UnpackError};
pub use garbage::{Collected, Pin};
pub use hash::{Hasher, digest_of};
pub use images::NewImage;
pub use layers::{LayerInfo, LayerSlot, LayerWriter, Source};

use resource::Roots;
use std::path::{Path, PathBuf};

/// The version of the layout that this program writes.
const FORMAT: u32 = 1;

/// The image and volume store below the two roots of an engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) roots: Roots,
}

impl Store {
    /// Opens the store. Writes nothing: a store that is not there yet is an empty one.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer program has written it.
    pub fn open(roots: &Roots) -> Result<Self, StoreError> {
        let path = roots.data.join("format");
        match std::fs::read_to_string(&path) {
            Ok(text) => match text.trim().parse::<u32>() {
                Ok(version) if version > FORMAT => return Err(StoreError::Newer { path, version }),
                _ => {}
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::io("read", &path, source)),
        }
        Ok(Self { roots: roots.clone() })
    }

    /// Makes the folders and the format file, mode 0700 whatever the umask.
    ///
    /// # Errors
    /// [`StoreError::Io`] with the folder that could not be made.
    pub fn prepare(&self) -> Result<(), StoreError> {
        let data = &self.roots.data;
        for folder in ["tmp", "blobs/sha256", "layers", "images", "volumes"] {
            make(&data.join(folder))?;
        }
        for folder in ["locks", "pins"] {
            make(&self.roots.run.join(folder))?;
        }
        let format = data.join("format");
        if !format.exists() {
            sys::file::replace(&format, format!("{FORMAT}\n").as_bytes())
                .map_err(|source| StoreError::io("write", &format, source))?;
        }
        Ok(())
    }

    /// The roots it was opened with.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// A new path below `DATA/tmp` that no other thread or process uses.
    pub(crate) fn temporary(&self, kind: &str) -> PathBuf {
        static COUNTER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.roots.data.join("tmp").join(format!("{kind}-{}-{count}", std::process::id()))
    }
}

fn make(path: &Path) -> Result<(), StoreError> {
    sys::file::create_private_folder(path).map_err(|source| StoreError::io("make", path, source))
}
