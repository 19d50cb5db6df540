//! Folders that outlive builds: what steps mount as caches, and checkouts of repositories.
//!
//! ```text
//! DATA/build/mounts/HEX/        the content
//! DATA/build/mounts/HEX.lock    held by whoever uses it; modified when somebody last began to; its text is how
//!                               many bytes the content had when the last user left it
//! ```
//! They are dropped, least recently used first, when together they are more than a bound. What is in use stays.

use crate::steps::files;
use crate::{Forgotten, Store, StoreError};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A folder that outlives builds, as long as somebody uses it.
#[derive(Debug)]
pub struct CacheMount {
    /// Where it is; whoever finds nothing there makes it.
    pub path: PathBuf,
    _lock: sys::file::Lock,
}

/// Who may use a cache mount at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheSharing {
    /// Everybody.
    #[default]
    Shared,
    /// One; others get a folder of their own.
    Private,
    /// One; others wait.
    Locked,
}

impl CacheMount {
    /// Notes how large it has become. Of those that use it together the last one is right.
    pub fn measure(&self) {
        // Unmeasured it only counts for nothing.
        drop(measure(&self.path));
    }
}

impl Store {
    /// The folder of a cache mount, held shared or alone. Blocks for one that somebody has alone, but for
    /// [`CacheSharing::Private`], which takes another beside it.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn cache_mount(&self, id: &str, sharing: CacheSharing) -> Result<CacheMount, StoreError> {
        let folder = self.build_folder("mounts");
        sys::file::create_private_folder(&folder).map_err(|error| StoreError::io("make", &folder, error))?;
        for number in 0_u32.. {
            let name = crate::digest_of(format!("{id}\0{number}").as_bytes());
            let path = folder.join(name.hex());
            let lock = path.with_extension("lock");
            let failed = |source| StoreError::io("lock", &lock, source);
            let held = match sharing {
                CacheSharing::Shared => Some(sys::file::Lock::shared(&lock).map_err(failed)?),
                CacheSharing::Locked => Some(sys::file::Lock::exclusive(&lock).map_err(failed)?),
                CacheSharing::Private => sys::file::Lock::try_exclusive(&lock).map_err(failed)?,
            };
            if let Some(held) = held {
                // Only the order of forgetting depends on it.
                drop(used(&lock));
                return Ok(CacheMount { path, _lock: held });
            }
        }
        Err(StoreError::io("find a free folder in", &folder, io::ErrorKind::AlreadyExists.into()))
    }

    /// Drops the least recently used folders until those that stay have `bound` bytes at most.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    pub fn forget_mounts(&self, bound: u64) -> Result<Forgotten, StoreError> {
        let mut mounts: Vec<(PathBuf, SystemTime)> = files(&self.build_folder("mounts"))
            .into_iter()
            .filter(|(path, _)| path.is_dir())
            .map(|(path, _)| {
                let used = last_used(&path);
                (path, used)
            })
            .collect();
        mounts.sort_by_key(|(_, used)| std::cmp::Reverse(*used));
        let (mut total, mut forgotten) = (0, Forgotten::default());
        for (path, _) in mounts {
            total += size(&path);
            if total <= bound && bound > 0 {
                continue;
            }
            let lock = path.with_extension("lock");
            let claimed = sys::file::Lock::try_exclusive(&lock);
            let Some(_claim) = claimed.map_err(|source| StoreError::io("lock", &lock, source))? else {
                continue;
            };
            self.prepare()?;
            let dead = self.unused("dead");
            std::fs::rename(&path, &dead).map_err(|source| StoreError::io("delete", &path, source))?;
            forget_size(&lock)?;
            forgotten.bytes += crate::usage::bytes_below(&dead);
            forgotten.count += 1;
            crate::layers::discard(&dead)?;
        }
        Ok(forgotten)
    }
}

/// Bytes of a folder as its last user left it; one whose user was killed is measured.
fn size(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path.with_extension("lock"));
    let known = text.ok().and_then(|text| text.trim().parse().ok());
    known.or_else(|| measure(path).ok()).unwrap_or(0)
}

fn measure(path: &Path) -> io::Result<u64> {
    let lock = path.with_extension("lock");
    let used = last_used(path);
    let bytes = crate::usage::bytes_below(path);
    std::fs::write(&lock, format!("{bytes}\n"))?;
    File::options().write(true).open(&lock)?.set_modified(used)?;
    Ok(bytes)
}

/// Notes that a use begins.
fn used(lock: &Path) -> io::Result<()> {
    File::options().write(true).open(lock)?.set_modified(SystemTime::now())
}

fn last_used(path: &Path) -> SystemTime {
    let status = std::fs::metadata(path.with_extension("lock"));
    status.and_then(|status| status.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Empties the lock of a folder that is gone: whoever waits for it may have it open.
fn forget_size(lock: &Path) -> Result<(), StoreError> {
    std::fs::write(lock, "").map_err(|source| StoreError::io("write", lock, source))
}
