//! The lock of a pod: flock(2) on a file in its run-time folder, released by the death of its holder.
//!
//! The file goes away with the pod, so a lock counts only while the file that was locked is still
//! the one with that name; who waited for a file that was removed meanwhile tries again.

use crate::{Engine, EngineError};
use resource::PodName;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// The exclusive right to change a pod; given up when dropped or when the process dies.
#[derive(Debug)]
pub struct ProjectLock {
    /// The supervisor is handed it with every start, and keeps it until that has gone well or failed: so
    /// the lock outlives a command that is killed meanwhile.
    _file: Arc<OwnedFd>,
    folder: PathBuf,
    /// When this is missing at the end, nothing of the pod exists and the lock's file goes too.
    pod: PathBuf,
}

impl Drop for ProjectLock {
    fn drop(&mut self) {
        if !self.pod.exists() {
            remove(&self.folder);
        }
    }
}

/// Removes the lock's file, and the folder when nothing else is in it. Only for its holder.
fn remove(folder: &Path) {
    drop(std::fs::remove_file(folder.join("project.lock")));
    drop(std::fs::remove_dir(folder));
}

impl Engine {
    /// Takes the pod's lock. When another process holds it, `waiting` is called once, and the wait
    /// blocks no thread of the runtime. A container that a crash left half-made is cleared away.
    ///
    /// # Errors
    /// [`EngineError::Lock`].
    pub async fn lock(&self, pod: &PodName, waiting: impl FnOnce()) -> Result<ProjectLock, EngineError> {
        crate::names::check(&pod.0)?;
        let folder = self.roots().pod_run(pod);
        let failed = |source| EngineError::Lock { pod: pod.clone(), source };
        let file = match take(&folder, FlockOperation::NonBlockingLockExclusive).map_err(failed)? {
            Some(file) => file,
            None => {
                waiting();
                wait(folder.clone()).await.map_err(failed)?
            }
        };
        let file = Arc::new(file);
        let mut held = self.inner.locks.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(pod.clone(), Arc::downgrade(&file));
        drop(held);
        let lock = ProjectLock { _file: file, folder, pod: self.roots().pod(pod) };
        self.clear_half_made(pod)?;
        Ok(lock)
    }

    /// The pod's lock, if this engine holds it.
    pub(crate) fn held_lock(&self, pod: &PodName) -> Option<Arc<OwnedFd>> {
        self.inner.locks.lock().unwrap_or_else(PoisonError::into_inner).get(pod)?.upgrade()
    }
}

/// Waits on a thread of its own, which dies with the process: a runtime that shuts down does not
/// wait for it, as it would for one of its own blocking threads.
async fn wait(folder: PathBuf) -> io::Result<OwnedFd> {
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("project-lock".to_owned()).spawn(move || {
        let taken = loop {
            match take(&folder, FlockOperation::LockExclusive) {
                Ok(Some(file)) => break Ok(file),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
        };
        drop(send.send(taken));
    })?;
    receive.await.map_err(io::Error::other)?
}

/// One try; `None` when somebody else holds the lock.
fn take(folder: &Path, operation: FlockOperation) -> io::Result<Option<OwnedFd>> {
    let path = folder.join("project.lock");
    loop {
        sys::file::create_private_folder(folder)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)) {
            // The folder was removed under us.
            Err(rustix::io::Errno::NOENT) => continue,
            other => other?,
        };
        match rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation)) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            other => other?,
        }
        let ours = rustix::fs::fstat(&file)?;
        match rustix::fs::stat(&path) {
            Ok(named) if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) => return Ok(Some(file)),
            Ok(_) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether somebody holds the pod's lock at this moment, perhaps this process itself.
pub(crate) fn is_held(folder: &Path) -> bool {
    let Ok(file) =
        rustix::fs::open(folder.join("project.lock"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    else {
        return false;
    };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use resource::Roots;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn the_second_waits_says_so_and_the_file_goes_with_the_pod() {
        let root = tempfile::tempdir().unwrap();
        let engine = Engine::open(Roots::below(root.path())).unwrap();
        let pod = PodName::from("p");
        let first = engine.lock(&pod, || panic!("nobody holds it")).await.unwrap();
        assert!(is_held(&engine.roots().pod_run(&pod)));
        let told = AtomicBool::new(false);
        let second = engine.lock(&pod, || told.store(true, Ordering::Relaxed));
        let release = async {
            while !told.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
            drop(first);
        };
        let (second, ()) = tokio::join!(second, release);
        let second = second.unwrap();
        assert!(is_held(&engine.roots().pod_run(&pod)), "it holds the file that has the name");
        drop(second);
        assert!(!engine.roots().pod_run(&pod).exists());
        assert!(!engine.roots().data.exists(), "a lock writes nothing that lasts");
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let engine = Engine::open(Roots::below(root.path())).unwrap();
        assert!(matches!(engine.lock(&"../x".into(), || ()).await, Err(EngineError::BadName(_))));
    }
}
