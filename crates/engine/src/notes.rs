//! What a caller keeps beside a pod, and claims that one process at a time may have on it. Both go with
//! the pod.

use crate::{Engine, EngineError, disk};
use resource::PodName;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// A claim on a pod for one purpose; given up when it is dropped, or by death.
#[derive(Debug)]
pub struct Claim {
    _lock: sys::file::Lock,
}

impl Engine {
    /// Bytes that were kept under this name; `None` when there are none, or none can be read.
    pub fn note(&self, pod: &PodName, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.note_path(pod, name).ok()?).ok()
    }

    /// Keeps bytes under a name, in place of what was there.
    ///
    /// # Errors
    /// [`EngineError::BadName`], [`EngineError::File`]; there is no such pod.
    pub fn keep_note(&self, pod: &PodName, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        let path = self.note_path(pod, name)?;
        let folder = self.roots().pod(pod);
        if !folder.exists() {
            return Err(EngineError::file("write", &path)(io::ErrorKind::NotFound.into()));
        }
        disk::make_folder(&folder.join("notes"))?;
        sys::file::replace(&path, bytes).map_err(EngineError::file("write", &path))
    }

    /// Adds bytes to those that were kept under a name. A process that is killed may have added some of them only.
    ///
    /// # Errors
    /// [`EngineError::BadName`], [`EngineError::File`]; nothing was kept under this name, or there is no such pod.
    pub fn add_to_note(&self, pod: &PodName, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        let path = self.note_path(pod, name)?;
        let added = OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(bytes));
        added.map_err(EngineError::file("write", &path))
    }

    /// Claims a pod for a purpose; `None` when another process has it.
    ///
    /// # Errors
    /// [`EngineError::BadName`], [`EngineError::File`].
    pub fn claim(&self, pod: &PodName, purpose: &str) -> Result<Option<Claim>, EngineError> {
        crate::names::check(&pod.0)?;
        crate::names::check(purpose)?;
        let folder = self.roots().pod_run(pod);
        disk::make_folder(&folder)?;
        let path = folder.join(format!("{purpose}.lock"));
        let lock = sys::file::Lock::try_exclusive(&path).map_err(EngineError::file("lock", &path))?;
        Ok(lock.map(|lock| Claim { _lock: lock }))
    }

    fn note_path(&self, pod: &PodName, name: &str) -> Result<PathBuf, EngineError> {
        crate::names::check(&pod.0)?;
        crate::names::check(name)?;
        Ok(self.roots().pod(pod).join("notes").join(name))
    }
}
