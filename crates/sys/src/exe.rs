//! This program's own file, in a form that nothing started from it can overwrite.

use crate::mount::{Attributes, READ_ONLY, set_attributes};
use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A descriptor of the running program to execute it from (`/proc/self/fd/N`, or execveat(2)). It
/// lies on a detached read-only mount, so that `/proc/PID/exe` of the new process, and of every child
/// of it that a container can see, cannot be opened for writing.
///
/// # Errors
/// What open_tree(2) or mount_setattr(2) says: they want `CAP_SYS_ADMIN`.
pub fn read_only_self() -> io::Result<OwnedFd> {
    let path = c"/proc/self/exe";
    let own = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if rustix::fs::fstatvfs(&own)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(own);
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, path, flags)?;
    set_attributes(tree.as_fd(), Attributes { set: READ_ONLY, ..Attributes::default() }, false)?;
    Ok(tree)
}
