//! Reads the extended attributes of a file, whole.

use rustix::io::Errno;
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Bytes that an extended attribute, or a list of their names, may have: the kernel's bound.
const LIMIT: usize = 64 * 1024;

/// Attributes with their values.
pub(crate) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The attributes of an open file that an archive keeps, sorted by name.
pub(crate) fn of(file: impl AsFd) -> io::Result<Attributes> {
    let list = read(|buffer| rustix::fs::flistxattr(&file, buffer))?;
    values(&list, |name, buffer| rustix::fs::fgetxattr(&file, name, buffer))
}

/// The same of an entry of a folder that must not be opened.
pub(crate) fn at(folder: &OwnedFd, name: &CStr) -> io::Result<Attributes> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let path = path.join(OsStr::from_bytes(name.to_bytes()));
    let list = read(|buffer| rustix::fs::llistxattr(&path, buffer))?;
    values(&list, |name, buffer| rustix::fs::lgetxattr(&path, name, buffer))
}

/// Whether a folder of an overlay's upper layer hides what lower layers have in it.
pub(crate) fn is_opaque(folder: impl AsFd) -> io::Result<bool> {
    for name in ["trusted.overlay.opaque", "user.overlay.opaque"] {
        let mut value = [0; 1];
        match rustix::fs::fgetxattr(&folder, name, &mut value[..]) {
            Ok(1) if value == *b"y" => return Ok(true),
            Ok(_) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Calls with a small buffer, and when that does not do with one that always does.
pub(crate) fn read(mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 1024];
    let length = match call(&mut bytes) {
        Err(Errno::OPNOTSUPP) => 0,
        Err(Errno::RANGE) => {
            bytes.resize(LIMIT, 0);
            call(&mut bytes)?
        }
        other => other?,
    };
    bytes.truncate(length);
    Ok(bytes)
}

/// The names in a list of attributes, without those that overlayfs keeps its own books in.
pub(crate) fn kept(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ours = |name: &&[u8]| name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
    list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).filter(move |name| !ours(name))
}

fn values(
    list: &[u8],
    mut get: impl FnMut(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Attributes> {
    let mut attributes = vec![];
    for name in kept(list).filter(|name| travels(name)) {
        match read(|buffer| get(name, buffer)) {
            Ok(value) => attributes.push((name.to_vec(), value)),
            Err(error) if error.raw_os_error() == Some(Errno::NODATA.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
    }
    attributes.sort();
    Ok(attributes)
}

/// Whether an attribute means the same on another machine: labels of a security module do not, and what
/// only the machine's root sees may not be part of what a user makes.
fn travels(name: &[u8]) -> bool {
    name == b"security.capability" || name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_")
}
