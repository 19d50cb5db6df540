//! Images in files: written to, and read from, the forms that other programs know.
//!
//! | form | what it is | what stays the same |
//! |---|---|---|
//! | OCI layout, a folder or a tar archive | `oci-layout`, `index.json`, `blobs/sha256/HEX` | manifest, configuration, blobs |
//! | docker-archive, a tar archive | `manifest.json`, configurations, uncompressed layers | configuration, layers unpacked |
//!
//! A layer's blob comes from where it can be had byte for byte: kept, made here and packed again, or its registry;
//! [`gather`] says what happens where none has it. Everything is
//! checked against its digest on the way, in both directions; nothing is published before all of it was.

mod bundle;
mod copy;
mod files;
mod gather;
mod layout;
mod lend;
mod load;
mod save;
mod supply;
mod write;

pub use bundle::{BundleContent, BundleFile, LoadedBundle};
pub use copy::Location;
pub use gather::{Gathered, PackedAnew};
pub use load::{LoadOptions, LoadedImage};
pub use save::ArchiveForm;

pub(crate) use files::Window;
use save::bytes;
pub(crate) use supply::send;

use crate::push::PushError;
use resource::{Digest, Platform};
use std::io;
use std::path::{Path, PathBuf};
use store::{StoreError, TransferError, UnpackError};

/// Bytes that an index or a manifest may have.
const MANIFEST_LIMIT: u64 = 4 << 20;
/// Bytes that a configuration may have.
const CONFIG_LIMIT: u64 = 8 << 20;

/// Images could not be read from files, or written to some.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file could not be worked with.
    #[error("cannot {act} `{}`", path.display())]
    File {
        /// What was attempted, a verb.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The archive as a whole cannot be read: damaged, cut off, hostile.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The archive.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: UnpackError,
    },
    /// A part of it is not as it should be.
    #[error("`{}` is damaged: {part}: {reason}", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// A file in it.
        part: String,
        /// What is wrong.
        reason: String,
    },
    /// A layer in it is not what its digest promises, or cannot be unpacked.
    #[error("the layer `{part}` of `{}` cannot be used", path.display())]
    Layer {
        /// The archive.
        path: PathBuf,
        /// The file in it.
        part: String,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// It is no archive of images.
    #[error("`{}` holds no images: it has neither `index.json` nor `manifest.json`", path.display())]
    NoImages {
        /// The archive.
        path: PathBuf,
    },
    /// None of its images has this name.
    #[error("`{}` has no image `{name}`; it has {}", path.display(), list(there))]
    NoSuchImage {
        /// The archive.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names that are there.
        there: Vec<String>,
    },
    /// An image is not there for this platform.
    #[error("`{}` has nothing for {wanted}; it has {}", path.display(), list(there))]
    NoPlatform {
        /// The archive.
        path: PathBuf,
        /// What was wanted.
        wanted: Platform,
        /// What is there.
        there: Vec<String>,
    },
    /// It does not say what its image is called.
    #[error("`{}` does not say what its image {image} is called", path.display())]
    Unnamed {
        /// The archive.
        path: PathBuf,
        /// The image's id.
        image: Digest,
    },
    /// There are several images where one is meant.
    #[error("`{}` has several images: {}", path.display(), list(there))]
    Several {
        /// The archive.
        path: PathBuf,
        /// Their names.
        there: Vec<String>,
    },
    /// What came for a blob is not that blob.
    #[error("the blob {digest} cannot be written")]
    Given {
        /// Its digest.
        digest: Digest,
        /// Why not.
        #[source]
        source: UnpackError,
    },
    /// A bundle's files would be written over others.
    #[error("`{}` has other files of these names: {}", folder.display(), list(there))]
    InTheWay {
        /// The folder.
        folder: PathBuf,
        /// The files.
        there: Vec<String>,
    },
    /// A bundle's files could not be written.
    #[error("cannot write the bundle's files into `{}`", folder.display())]
    Unwritten {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: TransferError,
    },
    /// The target holds something that is not to be written over.
    #[error("`{}` is there and is no OCI layout", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The store could not take or give something.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob could not be had from a registry, or given to one.
    #[error(transparent)]
    Blob(#[from] PushError),
}

impl ArchiveError {
    fn file(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { act, path, source }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none that has a name".to_owned() } else { format!("`{}`", names.join("`, `")) }
}
