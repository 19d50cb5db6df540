//! What can go wrong in the store.

use resource::{Digest, Mapping, VolumeName};
use std::io;
use std::path::{Path, PathBuf};

/// An operation on the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer program has written the store.
    #[error("{} is in format {version}, which only a newer version of this program can read", path.display())]
    Newer {
        /// The format file.
        path: PathBuf,
        /// What it says.
        version: u32,
    },
    /// A newer program has written the document of an image or a layer.
    #[error("{} was written by a newer version of this program; it is left as it is", path.display())]
    NewerDocument {
        /// The document.
        path: PathBuf,
    },
    /// What a document needs cannot be told, so nothing was removed.
    #[error("{} cannot be read, and it may need any layer: none was removed", path.display())]
    NeedUnknown {
        /// The document of an image or a container.
        path: PathBuf,
    },
    /// The store was filled with other ids than it is now opened with.
    #[error("{}", foreign(data, *written, *opened))]
    Foreign {
        /// The store's folder.
        data: PathBuf,
        /// The ids it was filled with, when they could be read.
        written: Option<Mapping>,
        /// The ids it is opened with.
        opened: Mapping,
    },
    /// A file operation of the store itself failed.
    #[error("cannot {act} {}", path.display())]
    Io {
        /// What was attempted, a verb.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A layer could not be unpacked.
    #[error("cannot unpack layer {digest}")]
    Unpack {
        /// The layer: its blob's digest, or its diff id when it came without one.
        digest: String,
        /// Why.
        #[source]
        source: Box<UnpackError>,
    },
    /// A folder could not be written as an archive.
    #[error("cannot make an archive of {}", folder.display())]
    Pack {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: Box<PackError>,
    },
    /// The files of a layer do not give the archive that the layer is named after.
    #[error(
        "layer {layer} cannot be given as it was made: it came from elsewhere, or its files were changed"
    )]
    Changed {
        /// Its diff id.
        layer: Digest,
    },
    /// The image's configuration is not one.
    #[error("the configuration of the image {image} cannot be used: {reason}")]
    Configuration {
        /// The image's reference.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An image was to be committed while one of its layers is not there.
    #[error("layer {layer} of the image {image} is missing")]
    LayerMissing {
        /// The image's reference.
        image: String,
        /// The layer's diff id.
        layer: Digest,
    },
    /// The volume is not there.
    #[error("there is no volume `{0}`")]
    NoVolume(VolumeName),
    /// A name that cannot be a folder's.
    #[error(
        "`{0}` cannot be the name of a volume: letters, digits, `_`, `.` and `-`, first a letter or digit"
    )]
    BadVolumeName(VolumeName),
    /// The merged view of an image could not be made.
    #[error("cannot look into the image {image}")]
    View {
        /// The image's id or reference.
        image: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Why a folder could not be written as an archive.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// Something in the folder could not be read.
    #[error("cannot {act} `{path}`")]
    Read {
        /// What was attempted, a verb.
        act: &'static str,
        /// On what, below the folder.
        path: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The archive could not be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
    /// Something that an archive cannot say.
    #[error("`{path}` cannot be put into an archive: {reason}")]
    Refused {
        /// Its path below the folder.
        path: String,
        /// Why not.
        reason: &'static str,
    },
}

impl StoreError {
    /// Whether an archive could not be written only because who was to take it is gone.
    pub fn lost_its_reader(&self) -> bool {
        let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        matches!(self, Self::Pack { source, .. }
            if matches!(&**source, PackError::Write(error) if broken(error)))
    }

    pub(crate) fn io(act: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { act, path: path.to_owned(), source }
    }

    /// The disk (or quota) is full.
    pub fn is_disk_full(&self) -> bool {
        let full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        match self {
            Self::Io { source, .. } | Self::View { source, .. } => full(source),
            Self::Pack { source, .. } => matches!(&**source, PackError::Write(source) if full(source)),
            Self::Unpack { source, .. } => {
                matches!(&**source, UnpackError::Write { source, .. } if full(source))
            }
            _ => false,
        }
    }
}

/// What is wrong with a store of other ids, and what to do.
fn foreign(data: &Path, written: Option<Mapping>, opened: Mapping) -> String {
    let data = data.display();
    let other = "name another folder with --root or COMPOSE_ENGINE_ROOT";
    match (written, opened) {
        (Some(Mapping::Host), _) => {
            format!("the store {data} was filled by root, and its files belong to root: {other}")
        }
        (None, _) => format!("the store {data} belongs to another user: {other}"),
        (_, Mapping::Host) => {
            format!("the store {data} is an ordinary user's: run as that user, or {other}")
        }
        (_, Mapping::Subordinate) => format!(
            "the store {data} was filled while this account had no subordinate ids, so its files have \
             lost their owners: remove that folder to pull and begin again, or {other}"
        ),
        (_, Mapping::Single) => format!(
            "the store {data} was filled with subordinate ids, which this account now lacks: give it back \
             its ranges in /etc/subuid and /etc/subgid and the programs newuidmap and newgidmap, or {other}"
        ),
    }
}

/// Where an account's range of such ids is written.
fn ranges_file(kind: &str) -> &'static str {
    if kind == "user" { "/etc/subuid" } else { "/etc/subgid" }
}

/// Why a layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The bytes could not be had: the download failed.
    #[error("its content ended early")]
    Read(#[source] io::Error),
    /// The compressed stream is damaged or of another kind.
    #[error("its content cannot be decompressed")]
    Decompress(#[source] io::Error),
    /// The archive is damaged.
    #[error("the archive is damaged after {offset} bytes: {reason}")]
    Archive {
        /// Bytes of the uncompressed archive read before.
        offset: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// An entry that no honest image has.
    #[error("the entry `{path}` is refused: {reason}")]
    Refused {
        /// The entry's name, invalid UTF-8 replaced.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// An entry belongs to an id that a user namespace does not map.
    #[error(
        "`{path}` belongs to the {kind} id {id}, and this account has {count} {kind} ids: \
         it needs a longer range in {}",
        ranges_file(kind)
    )]
    NoId {
        /// The entry's name, invalid UTF-8 replaced.
        path: String,
        /// `user` or `group`.
        kind: &'static str,
        /// The owner's id.
        id: u32,
        /// How many ids of this kind there are.
        count: u64,
    },
    /// An entry could not be written.
    #[error("cannot {act} `{path}`")]
    Write {
        /// What was attempted, a verb.
        act: &'static str,
        /// The entry's name, invalid UTF-8 replaced.
        path: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The content is not what its digest promises.
    #[error("its {what} is {found} and should be {expected}")]
    WrongDigest {
        /// `digest` of the blob or `diff id` of the archive.
        what: &'static str,
        /// What was promised.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// More or fewer bytes came than the manifest says.
    #[error("it has {found} bytes and should have {expected}")]
    WrongSize {
        /// Bytes by the manifest.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
}

impl UnpackError {
    /// Whether it says what stands in the way of an entry here: it counts, whatever the rest of the bytes
    /// would have been.
    pub(crate) fn is_of_entry(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Refused { .. } | Self::NoId { .. })
    }
}
