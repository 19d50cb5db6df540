//! Paths inside the container's root, resolved as if it were `/` and without magic links, so that no
//! link in an image or a volume leads out of it; missing folders and files are made on the way.
//!
//! Nothing here allocates: paths are put together in buffers on the stack.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// What is made where nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A folder, 0755.
    Folder,
    /// An empty file, 0644, in folders that are made as well.
    File,
}

/// Links followed at most, as the kernel does.
const LINKS: u32 = 40;

/// A path put together in place, always NUL-terminated.
struct PathBuffer {
    bytes: [u8; 4096],
    length: usize,
}

impl PathBuffer {
    fn new() -> Self {
        Self { bytes: [0; 4096], length: 0 }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let end = self.length + bytes.len();
        if end >= self.bytes.len() {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.bytes[end] = 0;
        self.length = end;
        Ok(())
    }

    fn truncate(&mut self, length: usize) {
        self.length = length;
        self.bytes[length] = 0;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The path; `.` when it is empty.
    fn as_c_str(&self) -> &CStr {
        let path = CStr::from_bytes_until_nul(&self.bytes[..=self.length]).unwrap_or(c".");
        if path.is_empty() { c"." } else { path }
    }
}

/// Opens what is at `path` inside the root. `EAGAIN` (a rename raced with `..`) is tried again.
pub(crate) fn open(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

/// A descriptor (`O_PATH`) of what is at `path` inside the root, links followed.
pub(crate) fn find(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    open(root, path, OFlags::PATH)
}

/// As [`find`]; what is missing is made, also behind a link whose end is missing.
pub(crate) fn find_or_make(root: BorrowedFd<'_>, path: &CStr, missing: Missing) -> Result<OwnedFd, Errno> {
    match find(root, path) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    match make_last(root, path, missing) {
        // Folders are missing before it, or its name is a link whose end is.
        Err(Errno::NOENT | Errno::EXIST | Errno::LOOP | Errno::NAMETOOLONG) => make(root, path, missing),
        other => other,
    }
}

/// Makes the last part of a path whose folder is there: what is missing most often.
fn make_last(root: BorrowedFd<'_>, path: &CStr, missing: Missing) -> Result<OwnedFd, Errno> {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes.iter().rposition(|byte| *byte == b'/').ok_or(Errno::NOENT)?;
    let name = CStr::from_bytes_with_nul(&bytes[slash + 1..]).map_err(|_| Errno::NOENT)?;
    if matches!(name.to_bytes(), b"" | b"." | b"..") {
        return Err(Errno::NOENT);
    }
    let mut parent = PathBuffer::new();
    parent.push(&bytes[..slash.max(1)])?;
    let parent = open(root, parent.as_c_str(), OFlags::PATH | OFlags::DIRECTORY)?;
    make_in(&parent, name, missing == Missing::File)?;
    // A name in a folder that is held, and no link: there is nothing to resolve.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&parent, name, flags, Mode::empty())
}

/// Makes a file or folder of this name in a folder.
fn make_in(folder: &OwnedFd, name: &CStr, file: bool) -> Result<(), Errno> {
    if file {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o644)).map(drop)
    } else {
        rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o755))
    }
}

/// Makes what is missing of `path` and opens it. `found` is the part known to be folders, free of
/// links; `rest` what is still to go.
fn make(root: BorrowedFd<'_>, path: &CStr, missing: Missing) -> Result<OwnedFd, Errno> {
    let (mut found, mut rest, mut links) = (PathBuffer::new(), PathBuffer::new(), 0);
    rest.push(path.to_bytes())?;
    let mut position = 0;
    loop {
        let text = &rest.as_bytes()[position..];
        let Some(start) = text.iter().position(|byte| *byte != b'/') else { break };
        let end = text[start..].iter().position(|byte| *byte == b'/').map_or(text.len(), |end| start + end);
        let last = text[end..].iter().all(|byte| *byte == b'/');
        let part = &text[start..end];
        position += end;
        match part {
            b"." => continue,
            b".." => {
                let parent = found.as_bytes().iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                found.truncate(parent);
                continue;
            }
            _ => {}
        }
        let before = found.length;
        found.push(b"/")?;
        found.push(part)?;
        match open(root, found.as_c_str(), OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(entry) if is_link(&entry)? => {
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP);
                }
                let mut target = PathBuffer::new();
                read_link(&entry, &mut target)?;
                found.truncate(if target.as_bytes().starts_with(b"/") { 0 } else { before });
                target.push(b"/")?;
                target.push(&rest.as_bytes()[position..])?;
                (rest, position) = (target, 0);
            }
            Ok(_) => {}
            Err(Errno::NOENT) => {
                let make_file = last && missing == Missing::File;
                make_entry(root, &mut found, before, make_file)?;
            }
            Err(error) => return Err(error),
        }
    }
    open(root, found.as_c_str(), OFlags::PATH | OFlags::NOFOLLOW)
}

/// Makes the last part of `path`, which starts after `before`, in the folder before it.
fn make_entry(root: BorrowedFd<'_>, path: &mut PathBuffer, before: usize, file: bool) -> Result<(), Errno> {
    let mut name = PathBuffer::new();
    name.push(&path.as_bytes()[before + 1..])?;
    let whole = path.length;
    path.truncate(before);
    let parent = open(root, path.as_c_str(), OFlags::PATH | OFlags::DIRECTORY)?;
    let made = make_in(&parent, name.as_c_str(), file);
    // The name was cut off by a NUL byte only; put it back.
    path.bytes[before] = b'/';
    path.length = whole;
    match made {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// Whether the descriptor is one of a symbolic link.
fn is_link(entry: &OwnedFd) -> Result<bool, Errno> {
    Ok(file_type(entry)? == FileType::Symlink)
}

/// The type of what a descriptor is of.
pub(crate) fn file_type(entry: &OwnedFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(entry)?.st_mode))
}

fn read_link(entry: &OwnedFd, into: &mut PathBuffer) -> Result<(), Errno> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    let (target, _) = rustix::fs::readlinkat_raw(entry, c"", &mut buffer)?;
    into.push(target)
}

/// Opens the folder that holds the last part of `path`, made when missing, and gives its name.
pub(crate) fn parent_of<'p>(root: BorrowedFd<'_>, path: &'p CStr) -> Result<(OwnedFd, &'p CStr), Errno> {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes.iter().rposition(|byte| *byte == b'/').ok_or(Errno::INVAL)?;
    let name = CStr::from_bytes_with_nul(&bytes[slash + 1..]).map_err(|_| Errno::INVAL)?;
    let mut parent = PathBuffer::new();
    parent.push(&bytes[..slash.max(1)])?;
    Ok((find_or_make(root, parent.as_c_str(), Missing::Folder)?, name))
}

/// Whether an entry of this name is in the folder, links not followed.
pub(crate) fn exists(folder: &OwnedFd, name: &CStr) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}
