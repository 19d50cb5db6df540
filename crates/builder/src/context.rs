//! A folder of the host that steps take files from, and the index that spares reading them again.
//!
//! The index keeps each file's digest with what the kernel said of the file when it was read: size, times,
//! inode. As long as the kernel says the same, the file is not read. A file that changed just before it was
//! read is not kept: a change right after could have left the same time.

use crate::selection;
use crate::tree::{self, Entry};
use resource::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Store, digest_of};

/// Nanoseconds in which two changes of a file may get the same time: some ticks of the kernel's clock.
const GRAIN: i128 = 50_000_000;

/// A folder of the host.
pub(crate) struct Context {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// It, open.
    pub(crate) root: OwnedFd,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    known: BTreeMap<String, Known>,
    loaded: bool,
    changed: bool,
}

/// A file's digest, and what was true of the file then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
    inode: u64,
    digest: Digest,
}

impl Context {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = sys::file::open_folder(path)?;
        Ok(Self { path: path.to_owned(), root, index: Mutex::default() })
    }

    /// The digest of these entries, by their paths below `base`. Owners do not count: in an image all files of
    /// a context are root's.
    pub(crate) fn digest(&self, store: &Store, base: &Path, entries: &[&Entry]) -> io::Result<Digest> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if !index.loaded {
            index.known = store.context_index(&self.name()).unwrap_or_default();
            index.loaded = true;
        }
        selection::digest(&self.root, base, entries, selection::Owners::Left, &mut |entry| {
            self.file(&mut index, entry)
        })
    }

    fn file(&self, index: &mut Index, entry: &Entry) -> io::Result<Digest> {
        let status = &entry.status;
        let fits = |known: &&Known| {
            known.size == status.st_size
                && known.modified == (status.st_mtime, status.st_mtime_nsec)
                && known.changed == (status.st_ctime, status.st_ctime_nsec)
                && known.inode == status.st_ino
        };
        let name = entry.path.to_str();
        if let Some(known) = name.and_then(|name| index.known.get(name)).filter(fits) {
            return Ok(known.digest.clone());
        }
        let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let digest = selection::digest_of_file(tree::open_file(&self.root, &entry.path)?)?;
        let changed = i128::from(status.st_ctime) * 1_000_000_000 + i128::from(status.st_ctime_nsec);
        if let Some(name) = name
            && i128::try_from(begun).is_ok_and(|begun| begun - changed > GRAIN)
        {
            let known = Known {
                size: status.st_size,
                modified: (status.st_mtime, status.st_mtime_nsec),
                changed: (status.st_ctime, status.st_ctime_nsec),
                inode: status.st_ino,
                digest: digest.clone(),
            };
            index.known.insert(name.to_owned(), known);
            index.changed = true;
        }
        Ok(digest)
    }

    /// Keeps the index for the next build. That it could not be kept only costs time then.
    pub(crate) fn keep(&self, store: &Store) {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.changed {
            drop(store.keep_context_index(&self.name(), &index.known));
        }
    }

    /// What its index is kept under.
    fn name(&self) -> Digest {
        digest_of(self.path.as_os_str().as_encoded_bytes())
    }
}
