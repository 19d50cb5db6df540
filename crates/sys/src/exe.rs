//! This program's own file, in a form that nothing started from it can overwrite.

use crate::mount::{Attributes, READ_ONLY, set_attributes};
use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// A descriptor of the running program to execute it from (`/proc/self/fd/N`, or execveat(2)). It
/// lies on a detached read-only mount, so that `/proc/PID/exe` of the new process, and of every child
/// of it that a container can see, cannot be opened for writing.
///
/// # Errors
/// What open_tree(2) or mount_setattr(2) says: they want `CAP_SYS_ADMIN`, in a user namespace as well.
/// `NotFound` there when the file has been replaced since it was executed.
pub fn read_only_self() -> io::Result<OwnedFd> {
    let path = c"/proc/self/exe";
    let own = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if rustix::fs::fstatvfs(&own)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(own);
    }
    match read_only(path) {
        // The mounts are the host's, and this user is nobody to the host: a copy of them is its own.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => read_only_elsewhere(),
        other => other,
    }
}

/// A detached read-only copy of a file's mount, with the file as its root.
fn read_only(path: &CStr) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, path, flags)?;
    set_attributes(tree.as_fd(), Attributes { set: READ_ONLY, ..Attributes::default() }, false)?;
    Ok(tree)
}

/// A copy of this program's mount, made in a mount namespace that belongs to the user namespace, on a
/// thread that ends with it.
fn read_only_elsewhere() -> io::Result<OwnedFd> {
    let work = || -> io::Result<OwnedFd> {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
        // By its path: /proc/self/exe itself leads to the mount that it was executed from.
        let place = std::fs::read_link("/proc/self/exe")?;
        let (found, own) = (std::fs::metadata(&place)?, std::fs::metadata("/proc/self/exe")?);
        if (found.dev(), found.ino()) != (own.dev(), own.ino()) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "this program's file has been replaced"));
        }
        read_only(&CString::new(place.into_os_string().into_encoded_bytes())?)
    };
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(copy) => copy,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
