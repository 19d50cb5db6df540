//! Files into containers and out of them, whether they run or not, without a program of theirs.
//!
//! Of a container that runs the root is its first process's, with all that is mounted in it; of one that
//! does not it is put together for the time of the copy, under the pod's lock, so that no command starts
//! it meanwhile.

use crate::{Engine, EngineError};
use resource::{ContainerName, ObservedContainer, ProcessIdentity, Status};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use store::{Origin, Owners, Target, TransferError};

/// Where files come from, outside of a container.
pub enum Source<'a> {
    /// A path of the host, absolute; a link is followed when the flag says so.
    Path(&'a Path, bool),
    /// A tar archive, compressed or not.
    Archive(Box<dyn Read + Send + 'a>),
}

/// Where files go, outside of a container.
pub enum Destination<'a> {
    /// A path of the host, absolute.
    Path(&'a Path),
    /// A tar archive.
    Archive(Box<dyn Write + Send + 'a>),
}

impl Engine {
    /// Copies into a container, to a path that begins at its root. For one that does not run the caller
    /// holds the pod's lock. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Copy`], [`EngineError::Root`].
    pub fn copy_in(
        &self,
        container: &ObservedContainer,
        path: &Path,
        source: Source<'_>,
        owners: Owners,
    ) -> Result<(), EngineError> {
        let store = self.store();
        let copy = |root: &OwnedFd| match source {
            Source::Path(host, follow) => {
                let origin = Origin::find(host_root(host)?, host, follow)?;
                store.transfer(&origin, Target::find(root, path)?, owners)
            }
            Source::Archive(archive) => store.unpack_archive(archive, Target::folder(root, path)?, owners),
        };
        self.copied(container, self.with_files(container, copy)?)
    }

    /// Copies out of a container, from a path that begins at its root. For one that does not run the
    /// caller holds the pod's lock. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Copy`], [`EngineError::Root`].
    pub fn copy_out(
        &self,
        container: &ObservedContainer,
        path: &Path,
        follow: bool,
        destination: Destination<'_>,
        owners: Owners,
    ) -> Result<(), EngineError> {
        let store = self.store();
        let copy = |root: &OwnedFd| {
            let origin = Origin::find(root, path, follow)?;
            match destination {
                Destination::Path(host) => {
                    store.transfer(&origin, Target::find(host_root(host)?, host)?, owners)
                }
                Destination::Archive(output) => Ok(origin.write(output)?),
            }
        };
        self.copied(container, self.with_files(container, copy)?)
    }

    fn copied(
        &self,
        container: &ObservedContainer,
        done: Result<(), TransferError>,
    ) -> Result<(), EngineError> {
        let container: &ContainerName = &container.record.spec.name;
        done.map_err(|source| EngineError::Copy { container: container.clone(), source: Box::new(source) })
    }

    /// Works with a container's root open.
    fn with_files<T: Send>(
        &self,
        container: &ObservedContainer,
        act: impl FnOnce(&OwnedFd) -> T + Send,
    ) -> Result<T, EngineError> {
        let record = &container.record;
        let spec = &record.spec;
        // As it is now: it was looked at before the lock was taken.
        let state = self.container(&spec.pod, &record.id)?.state;
        let failed = |source| EngineError::Root { container: spec.name.clone(), source: Box::new(source) };
        match (state.status, state.process) {
            (Status::Running | Status::Paused, Some(process)) => {
                let opened = root_of(process)?.ok_or_else(|| EngineError::Changing(spec.name.clone()))?;
                Ok(act(&opened))
            }
            (Status::Created | Status::Exited, _) => {
                self.restore_contents(record)?;
                let upper = self.upper(record);
                let root = runtime::StoppedRoot {
                    layers: &record.layers,
                    upper: &upper,
                    work: &upper.with_file_name("work"),
                    mapping: self.roots().mapping,
                    mounts: &record.mounts,
                    read_only: spec.security.read_only_root,
                };
                runtime::with_stopped(&root, act).map_err(failed)
            }
            _ => Err(EngineError::Changing(spec.name.clone())),
        }
    }
}

/// The root folder of a process as it sees it itself; `None` when it has ended.
///
/// # Errors
/// It lives, and its root cannot be opened.
pub(crate) fn root_of(process: ProcessIdentity) -> Result<Option<OwnedFd>, EngineError> {
    let path = format!("/proc/{}/root", process.pid);
    let opened = sys::file::open_folder(Path::new(&path));
    // Looked at afterwards: the number may have become another process's.
    if !crate::process::lives(process) {
        return Ok(None);
    }
    opened.map(Some).map_err(EngineError::file("open", Path::new(&path)))
}

/// The host's root, from which an absolute path begins.
fn host_root(path: &Path) -> Result<OwnedFd, TransferError> {
    let failed = |source| TransferError::Find { path: path.to_owned(), source };
    sys::file::open_folder(Path::new("/")).map_err(failed)
}
