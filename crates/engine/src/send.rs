//! Files of the host sent into a running container's root, one by one and each at once: a reader inside
//! sees the old file or the new one.
//!
//! The container's root is entered by descriptor (`/proc/PID/root`), and every path in it is resolved as if
//! that were `/`, so that no link inside leads out. No program of the image is used.

mod place;

use crate::{Engine, EngineError};
use place::Place;
use resource::{ContainerId, PodName};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A path of the host whose state is to become its state in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// On the host. What is not there is removed from the container.
    pub host: PathBuf,
    /// In the container, absolute.
    pub inside: PathBuf,
    /// A folder that is there gets the host's mode and owner, too.
    pub redressed: bool,
    /// A folder whose place is the container's own, where a link to one does as well. Elsewhere a link makes way for
    /// a folder of the host's.
    pub follows: bool,
}

/// What was done to one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Files, folders and links that were made or replaced.
    pub written: usize,
    /// Paths that were removed.
    pub removed: usize,
    /// Files that were the same already.
    pub same: usize,
}

impl Engine {
    /// Makes paths in a running container what they are on the host: content, mode, owner, times, and the
    /// target of links. A folder is made, not filled; one that is there keeps mode and owner, but for where
    /// [`Sending::redressed`] says otherwise. Where something is gone from the host, it goes from
    /// the container with all that is below it, but for what `keeps` says is the container's own: of a path in
    /// the container, and whether it is a folder.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`]; [`EngineError::Send`] with the first path that could not be sent; all
    /// others were.
    pub fn send(
        &self,
        pod: &PodName,
        id: &ContainerId,
        sendings: &[Sending],
        keeps: &dyn Fn(&Path, bool) -> bool,
    ) -> Result<Sent, EngineError> {
        let root = self.running_root(pod, id)?;
        let mut place = Place::new(&root);
        let mut sent = Sent::default();
        let mut failed = None;
        for sending in sendings {
            if let Err(source) = place.send(sending, keeps, &mut sent) {
                let (host, inside) = (sending.host.clone(), sending.inside.clone());
                failed.get_or_insert(EngineError::Send { host, inside, source });
            }
        }
        failed.map_or(Ok(sent), Err)
    }

    /// The root folder of a running container as its own processes see it.
    fn running_root(&self, pod: &PodName, id: &ContainerId) -> Result<OwnedFd, EngineError> {
        let process = self.recorded_process(pod, id);
        let root = process.map(crate::files::root_of).transpose()?.flatten();
        root.ok_or_else(|| EngineError::NotRunning(id.clone()))
    }
}
