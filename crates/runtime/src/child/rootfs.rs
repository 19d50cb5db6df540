//! The root file system and everything mounted in it.
//!
//! Every path inside the root is resolved by [`inside`], and a mount is made where a descriptor is:
//! either the folder is made the working directory and the target is `.`, or a detached tree is moved
//! onto the descriptor. The host's `/` is still the root until [`pivot`], so that paths of the host
//! (sources, layers, /proc/self/fd) mean the host's files.

use super::inside::{self, Missing};
use super::{At, Done};
use crate::error::Step;
use crate::prepare::{Bind, Device, Kind, Link, MountPlan, New, Overlay};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use sys::mount::{Attributes, READ_ONLY, SHARED, SLAVE, set_attributes};

/// Builds the root and makes it `/`.
pub(crate) fn build<'p>(new: &'p New<'_>) -> Done<'p> {
    open_sources(&new.mounts)?;
    let all = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", all).at(Step::Propagation, b"")?;
    let root = overlay(&new.overlay)?;
    for mount in &new.mounts {
        make_mount(root.as_fd(), mount)?;
    }
    for each in &new.devices {
        device(root.as_fd(), each)?;
    }
    for each in &new.links {
        link(root.as_fd(), each)?;
    }
    for path in &new.read_only {
        seal_path(root.as_fd(), path)?;
    }
    mask_all(root.as_fd(), &new.masked)?;
    if new.console {
        // The file the terminal is bound on; made while the root can be written to.
        inside::find_or_make(root.as_fd(), c"/dev/console", Missing::File)
            .at(Step::Device, b"/dev/console")?;
    }
    working_dir(root.as_fd(), new)?;
    if new.read_only_root {
        read_only(root.as_fd(), false).at(Step::ReadOnly, b"/")?;
    }
    pivot(root)
}

/// Opens the sources of binds that keep a tie to the host's mounts: later everything is private.
fn open_sources(mounts: &[MountPlan]) -> Done<'_> {
    for mount in mounts {
        let tied = |bind: &Bind| matches!(bind.attributes.propagation, SHARED | SLAVE);
        if let Kind::Bind(bind) = &mount.kind
            && tied(bind)
        {
            bind.early.set(Some(open_source(bind)?));
        }
    }
    Ok(())
}

/// A detached copy of a bind's source.
fn open_source(bind: &Bind) -> Done<'_, OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, bind.recursive);
    rustix::mount::open_tree(CWD, &bind.source, flags).at(Step::Source, bind.source.to_bytes())
}

/// Mounts the image and gives its root.
pub(crate) fn overlay(overlay: &Overlay) -> Done<'_, OwnedFd> {
    use crate::prepare::Options;
    let mount = |data: &CStr| {
        rustix::mount::mount(c"overlay", &overlay.on, c"overlay", MountFlags::empty(), data)
            .at(Step::Overlay, overlay.on.to_bytes())
    };
    match &overlay.options {
        Options::Text(text) => mount(text)?,
        Options::Descriptors { folders, rest } => {
            let mut text = [0; 4096];
            let data = descriptors(folders, rest, &mut text)?;
            mount(data)?;
            // The numbers in the text are all there is of the descriptors; they are closed before the
            // program runs, with all others.
        }
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, &overlay.on, flags, Mode::empty()).at(Step::Overlay, overlay.on.to_bytes())
}

/// Opens every folder and writes the overlay's options with `/proc/self/fd/N` for it.
fn descriptors<'p, 't>(
    folders: &'p [std::ffi::CString],
    rest: &'static [u8],
    text: &'t mut [u8; 4096],
) -> Done<'p, &'t CStr> {
    let mut length = 0;
    let mut push = |bytes: &[u8]| -> Result<(), Errno> {
        text.get_mut(length..length + bytes.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(bytes);
        length += bytes.len();
        Ok(())
    };
    let upper = folders.len() - 2;
    for (index, folder) in folders.iter().enumerate() {
        let key: &[u8] = match index {
            0 => b"lowerdir=",
            _ if index < upper => b":",
            _ if index == upper => b",upperdir=",
            _ => b",workdir=",
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened =
            rustix::fs::openat(CWD, folder, flags, Mode::empty()).at(Step::Layer, folder.to_bytes())?;
        let mut digits = [0; 10];
        let number = decimal(opened.as_raw_fd() as u32, &mut digits);
        push(key)
            .and_then(|()| push(b"/proc/self/fd/"))
            .and_then(|()| push(number))
            .at(Step::Overlay, b"")?;
        // Kept open until the program is executed.
        std::mem::forget(opened);
    }
    push(rest).and_then(|()| push(b"\0")).at(Step::Overlay, b"")?;
    CStr::from_bytes_until_nul(text).map_err(|_| Errno::INVAL).at(Step::Overlay, b"")
}

/// The digits of a number.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

fn make_mount<'p>(root: BorrowedFd<'_>, mount: &'p MountPlan) -> Done<'p> {
    let what = mount.target.to_bytes();
    match &mount.kind {
        Kind::Bind(plan) => bind(root, &mount.target, plan),
        Kind::FileSystem { kind, source, flags, data, below } => {
            let target = inside::find_or_make(root, &mount.target, Missing::Folder).at(Step::Target, what)?;
            if matches!(kind.to_bytes(), b"proc" | b"sysfs") && is_link(root, &mount.target) {
                // What is masked later is looked for under these names.
                return Err(Errno::LOOP).at(Step::Mount, what);
            }
            match mount_here(target.as_fd(), source, kind, *flags, data.as_deref()) {
                Err(Errno::NODEV) => Err(Errno::NODEV).at(Step::FileSystem, kind.to_bytes())?,
                other => other.at(Step::Mount, what)?,
            }
            below.as_ref().map_or(Ok(()), |below| narrow(root, &mount.target, below, &target))
        }
        Kind::Seal => seal_path(root, &mount.target),
        Kind::Link(target) => {
            let (folder, name) = inside::parent_of(root, &mount.target).at(Step::Target, what)?;
            rustix::fs::symlinkat(target, &folder, name).at(Step::Link, what)
        }
    }
}

/// Puts a folder of what is mounted at a path in the place of the whole.
fn narrow<'p>(root: BorrowedFd<'_>, path: &'p CStr, below: &'p CStr, place: &OwnedFd) -> Done<'p> {
    let whole = inside::find(root, path).at(Step::Mount, path.to_bytes())?;
    let part = inside::find(whole.as_fd(), below).at(Step::Source, below.to_bytes())?;
    let tree = copy(part.as_fd()).at(Step::Source, below.to_bytes())?;
    rustix::process::fchdir(&whole)
        .and_then(|()| rustix::mount::unmount(c".", UnmountFlags::DETACH))
        .at(Step::Mount, path.to_bytes())?;
    attach(&tree, place).at(Step::Mount, path.to_bytes())
}

/// Whether the path itself is a symbolic link.
fn is_link(root: BorrowedFd<'_>, path: &CStr) -> bool {
    let entry = inside::open(root, path, OFlags::PATH | OFlags::NOFOLLOW);
    entry.and_then(|entry| inside::file_type(&entry)).is_ok_and(|kind| kind == FileType::Symlink)
}

/// Mounts a file system on the folder that a descriptor is of.
fn mount_here(
    target: BorrowedFd<'_>,
    source: &CStr,
    kind: &CStr,
    flags: MountFlags,
    data: Option<&CStr>,
) -> Result<(), Errno> {
    rustix::process::fchdir(target)?;
    rustix::mount::mount(source, c".", kind, flags, data)
}

/// Binds something of the host; the target is made like it when missing.
pub(crate) fn bind<'p>(root: BorrowedFd<'_>, path: &'p CStr, bind: &'p Bind) -> Done<'p> {
    let tree = match bind.early.take() {
        Some(tree) => tree,
        None => open_source(bind)?,
    };
    let source = bind.source.to_bytes();
    let folder = inside::file_type(&tree).at(Step::Source, source)? == FileType::Directory;
    let propagation = Attributes { propagation: bind.attributes.propagation, ..Attributes::default() };
    if propagation.propagation != 0 {
        set_attributes(tree.as_fd(), propagation, bind.propagation_recursive).at(Step::Source, source)?;
    }
    let attributes = Attributes { propagation: 0, ..bind.attributes };
    if attributes != Attributes::default() {
        set_attributes(tree.as_fd(), attributes, bind.attributes_recursive).at(Step::ReadOnly, source)?;
    }
    let missing = if folder { Missing::Folder } else { Missing::File };
    let target = inside::find_or_make(root, path, missing).at(Step::Target, path.to_bytes())?;
    attach(&tree, &target).at(Step::Mount, path.to_bytes())
}

/// Moves a detached tree onto what a descriptor is of.
fn attach(tree: &OwnedFd, target: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", target, c"", flags)
}

/// A detached copy of the mount that a descriptor is in, with what the descriptor is of as its root.
/// With what is mounted below: without privilege over the host, nothing that a mount of the host hides
/// can be copied.
fn copy(of: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(of, c"", flags)
}

/// Makes a device node; where that is forbidden, the host's node of that name is bound.
fn device<'p>(root: BorrowedFd<'_>, device: &'p Device) -> Done<'p> {
    let what = device.path.to_bytes();
    let (folder, name) = inside::parent_of(root, &device.path).at(Step::Device, what)?;
    if inside::exists(&folder, name) {
        return Ok(());
    }
    match rustix::fs::mknodat(&folder, name, device.kind, device.mode, device.number) {
        Ok(()) if (device.uid, device.gid) != (0, 0) => {
            let (uid, gid) = (rustix::fs::Uid::from_raw(device.uid), rustix::fs::Gid::from_raw(device.gid));
            rustix::fs::chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .at(Step::Device, what)
        }
        Err(Errno::PERM) => {
            let target = inside::find_or_make(root, &device.path, Missing::File).at(Step::Device, what)?;
            let source = rustix::fs::openat(CWD, &device.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .at(Step::Device, what)?;
            copy(source.as_fd()).and_then(|tree| attach(&tree, &target)).at(Step::Device, what)
        }
        other => other.at(Step::Device, what),
    }
}

/// Makes a link of /dev unless something has that name.
fn link<'p>(root: BorrowedFd<'_>, link: &'p Link) -> Done<'p> {
    let what = link.path.to_bytes();
    let (folder, name) = inside::parent_of(root, &link.path).at(Step::Link, what)?;
    match rustix::fs::symlinkat(&link.target, &folder, name) {
        Err(Errno::EXIST) => Ok(()),
        other => other.at(Step::Link, what),
    }
}

/// Makes a mount read-only.
pub(crate) fn read_only(tree: BorrowedFd<'_>, recursive: bool) -> std::io::Result<()> {
    set_attributes(tree, Attributes { set: READ_ONLY, ..Attributes::default() }, recursive)
}

/// Makes what is at a path read-only, if there is something: the mount whose root it is, else a copy
/// of it mounted on itself.
fn seal_path<'p>(root: BorrowedFd<'_>, path: &'p CStr) -> Done<'p> {
    let what = path.to_bytes();
    let found = match inside::find(root, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other.at(Step::ReadOnly, what)?,
    };
    if read_only(found.as_fd(), false).is_ok() {
        return Ok(());
    }
    let tree = copy(found.as_fd()).at(Step::ReadOnly, what)?;
    read_only(tree.as_fd(), true).at(Step::ReadOnly, what)?;
    attach(&tree, &found).at(Step::ReadOnly, what)
}

/// Hides paths: the host's /dev/null on files, an empty read-only folder on folders.
fn mask_all<'p>(root: BorrowedFd<'_>, paths: &'p [std::ffi::CString]) -> Done<'p> {
    let null = rustix::fs::openat(CWD, c"/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .at(Step::Mask, b"")?;
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let what = path.to_bytes();
        let found = match inside::find(root, path) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other.at(Step::Mask, what)?,
        };
        if inside::file_type(&found).at(Step::Mask, what)? != FileType::Directory {
            copy(null.as_fd()).and_then(|tree| attach(&tree, &found)).at(Step::Mask, what)?;
            continue;
        }
        if let Some(empty) = &empty {
            copy(empty.as_fd()).and_then(|tree| attach(&tree, &found)).at(Step::Mask, what)?;
            continue;
        }
        let data = Some(c"size=0,nr_inodes=2,mode=755");
        mount_here(found.as_fd(), c"tmpfs", c"tmpfs", MountFlags::RDONLY, data).at(Step::Mask, what)?;
        empty = Some(inside::find(root, path).at(Step::Mask, what)?);
    }
    Ok(())
}

/// Makes the working directory of the program when it is missing.
fn working_dir<'p>(root: BorrowedFd<'_>, new: &'p New<'_>) -> Done<'p> {
    let path = &new.working_dir;
    inside::find_or_make(root, path, Missing::Folder).at(Step::WorkingDir, path.to_bytes()).map(drop)
}

/// Makes the root `/` and lets go of the host's: see the notes of pivot_root(2) on `"."`.
fn pivot<'p>(root: OwnedFd) -> Done<'p> {
    rustix::process::fchdir(&root)
        .and_then(|()| rustix::process::pivot_root(c".", c"."))
        .and_then(|()| rustix::mount::unmount(c".", UnmountFlags::DETACH))
        .and_then(|()| rustix::process::chdir(c"/"))
        .at(Step::Pivot, b"")
}
