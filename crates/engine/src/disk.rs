//! Documents and folders on disk. Readers take no lock: a document is whole or absent, because
//! every change to one is a rename.

use crate::EngineError;
use resource::document;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// The document at `path`; `None` when it is absent or torn.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    document::decode(&std::fs::read(path).ok()?)
}

/// Documents that one command reads again and again: what was read counts as long as the same file is
/// there. A document is replaced by another file, never written to.
pub(crate) struct Cache<T>(Mutex<HashMap<PathBuf, (Version, T)>>);

/// What tells a file from every other that was at its path: device, inode, and change time, because an
/// inode is used again.
type Version = (u64, u64, i64, i64);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: DeserializeOwned + Clone> Cache<T> {
    /// As [`read`].
    pub(crate) fn read(&self, path: &Path) -> Option<T> {
        let mut file = std::fs::File::open(path).ok()?;
        let metadata = file.metadata().ok()?;
        let version = (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = known().get(path).filter(|(known, _)| *known == version) {
            return Some(value.clone());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        file.read_to_end(&mut bytes).ok()?;
        let value: T = document::decode(&bytes)?;
        known().insert(path.to_owned(), (version, value.clone()));
        Some(value)
    }
}

/// Commits a document in place of the one at `path`.
pub(crate) fn replace<T: Serialize>(path: &Path, value: &T) -> Result<(), EngineError> {
    let bytes =
        document::encode(value).map_err(io::Error::from).map_err(EngineError::file("encode", path))?;
    sys::file::replace(path, &bytes).map_err(EngineError::file("write", path))
}

/// Makes a folder, and those above it, for our eyes only.
pub(crate) fn make_folder(path: &Path) -> Result<(), EngineError> {
    sys::file::create_private_folder(path).map_err(EngineError::file("make folder", path))
}

/// Names of the entries of a folder, unsorted; nothing when there is no such folder. Entries whose
/// names are not UTF-8 are not ours.
pub(crate) fn entries(path: &Path) -> Result<Vec<String>, EngineError> {
    let folder = match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        other => other.map_err(EngineError::file("list", path))?,
    };
    let mut names = vec![];
    for entry in folder {
        let entry = entry.map_err(EngineError::file("list", path))?;
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}

/// Removes a file; one that is gone is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EngineError::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes a folder with all that is in it; one that is gone is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EngineError::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes a folder in one step for everybody who looks: it is renamed into `tmp` first, then
/// unlinked. What a crash leaves in `tmp` is swept with the rest of it.
pub(crate) fn retire_folder(path: &Path, tmp: &Path) -> Result<(), EngineError> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let aside = tmp.join(format!("dead-engine-{}-{count}", std::process::id()));
    let rename = || match std::fs::rename(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => {
            sys::file::create_private_folder(tmp)?;
            std::fs::rename(path, &aside)
        }
        other => other,
    };
    match rename() {
        Ok(()) => remove_folder(&aside),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(EngineError::file("remove", path)(error)),
    }
}

/// 64 random hexadecimal digits.
pub(crate) fn random_id() -> Result<String, EngineError> {
    sys::random::id().map_err(EngineError::file("read", Path::new(sys::random::SOURCE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_retired_even_when_tmp_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let (folder, tmp) = (root.path().join("a"), root.path().join("tmp"));
        std::fs::create_dir_all(folder.join("b")).unwrap();
        retire_folder(&folder, &tmp).unwrap();
        assert!(!folder.exists());
        assert_eq!(entries(&tmp).unwrap(), Vec::<String>::new());
        retire_folder(&folder, &tmp).unwrap();
    }

    #[test]
    fn ids_are_64_hexadecimal_digits_and_differ() {
        let (one, two) = (random_id().unwrap(), random_id().unwrap());
        assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, two);
    }
}
