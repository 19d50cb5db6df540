//! Network namespaces: making one, working inside one, and the lock on one.

use crate::channel::Channel;
use crate::wire::Messages;
use crate::{NetworkError, link};
use nix::sched::CloneFlags;
use rustix::fs::{FlockOperation, Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The calling thread's own: a process's other threads may be elsewhere.
const CURRENT: &str = "/proc/thread-self/ns/net";

/// The network namespace of the calling thread.
pub(crate) fn current() -> Result<OwnedFd, NetworkError> {
    rustix::fs::open(CURRENT, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|source| NetworkError::kernel("open the current network namespace", source))
}

/// What tells the calling thread's network namespace from every other: device and inode.
pub(crate) fn identity() -> Result<(u64, u64), NetworkError> {
    let status = rustix::fs::stat(CURRENT)
        .map_err(|source| NetworkError::kernel("look at the current network namespace", source))?;
    Ok((status.st_dev, status.st_ino))
}

/// A new network namespace with its loopback up; dies with the last descriptor and process of it.
/// Other threads of the caller are not touched.
///
/// # Errors
/// The step that the kernel refused.
pub fn new_namespace() -> Result<OwnedFd, NetworkError> {
    let _home = Home::leave()?;
    enter_new_namespace()?;
    current()
}

/// Moves the calling thread, for good, into a new network namespace with its loopback up.
///
/// # Errors
/// The step that the kernel refused.
pub fn enter_new_namespace() -> Result<(), NetworkError> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|source| NetworkError::kernel("make a network namespace", source))?;
    let mut batch = Messages::default();
    link::set_up(&mut batch, 0, "lo");
    batch.acknowledged();
    Channel::route()?.tell(&mut batch)
}

/// Does some work with the calling thread inside a namespace.
pub(crate) fn within<T>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, NetworkError>,
) -> Result<T, NetworkError> {
    let _home = Home::leave()?;
    enter(namespace)
        .map_err(|source| NetworkError::kernel("enter the container's network namespace", source))?;
    work()
}

fn enter(namespace: BorrowedFd<'_>) -> nix::Result<()> {
    nix::sched::setns(namespace, CloneFlags::CLONE_NEWNET)
}

/// The namespace that the thread returns to when this is dropped, by panic too.
struct Home(OwnedFd);

impl Home {
    fn leave() -> Result<Self, NetworkError> {
        current().map(Self)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Going on in a container's namespace would wire the next one to the wrong world.
        enter(self.0.as_fd()).expect("the way back needs no more than the way in");
    }
}

/// The lock on a network namespace's address pools, released when dropped or when the process dies.
#[derive(Debug)]
pub struct NamespaceLock {
    _namespace: OwnedFd,
}

/// Waits for the lock on the address pools of the current network namespace. Hold it from
/// [`crate::choose_subnet`] until [`crate::bridge_up`] has put the block on a bridge (or its document is
/// written). It is a flock(2) on the namespace itself: two engines with different roots, or in different
/// mount namespaces, meet there too.
///
/// # Errors
/// What open(2) or flock(2) says.
pub fn lock() -> io::Result<NamespaceLock> {
    let namespace = rustix::fs::open(CURRENT, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&namespace, FlockOperation::LockExclusive))?;
    Ok(NamespaceLock { _namespace: namespace })
}
