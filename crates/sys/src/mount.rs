//! Attributes of mounts that are held by a descriptor.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Options of a mount itself, whatever its file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `MOUNT_ATTR_…` to set.
    pub set: u64,
    /// `MOUNT_ATTR_…` to clear.
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, or 0 to leave it.
    pub propagation: u64,
}

/// Works on a thread of its own in a mount namespace of its own, to which nothing of the host's mounts
/// comes from then on, nor anything back. What is mounted there is gone afterwards, whatever happens.
///
/// # Errors
/// What unshare(2) or mount(2) says, or the work.
pub fn in_own_namespace<T: Send, E: Send + From<io::Error>>(
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    use nix::mount::{MsFlags, mount};
    let inside = || -> Result<T, E> {
        let nothing = None::<&str>;
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).map_err(io::Error::from)?;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
            .map_err(io::Error::from)?;
        work()
    };
    std::thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// `MOUNT_ATTR_RDONLY`
pub const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// `MOUNT_ATTR_NOSUID`
pub const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// `MOUNT_ATTR_NODEV`
pub const NO_DEVICES: u64 = libc::MOUNT_ATTR_NODEV;
/// `MOUNT_ATTR_NOEXEC`
pub const NO_EXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
/// `MS_PRIVATE`
pub const PRIVATE: u64 = libc::MS_PRIVATE;
/// `MS_SLAVE`
pub const SLAVE: u64 = libc::MS_SLAVE;
/// `MS_SHARED`
pub const SHARED: u64 = libc::MS_SHARED;

/// Changes the mount at `tree` and, when `recursive`, every mount below it. Linux 5.12; see
/// mount_setattr(2).
///
/// # Errors
/// What the kernel says: `EINVAL` when `tree` is not the root of a mount.
pub fn set_attributes(tree: BorrowedFd<'_>, attributes: Attributes, recursive: bool) -> io::Result<()> {
    let Attributes { set, clear, propagation } = attributes;
    let attr = libc::mount_attr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let (path, size) = (c"".as_ptr(), std::mem::size_of_val(&attr));
    // SAFETY: the path is a NUL-terminated literal, and `attr` is alive and passed with its own size,
    // so the kernel reads only memory we own; it keeps neither pointer.
    let done = unsafe {
        libc::syscall(libc::SYS_mount_setattr, tree.as_raw_fd(), path, flags, &raw const attr, size)
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
