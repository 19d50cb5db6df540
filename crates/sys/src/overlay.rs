//! Overlay mounts that are attached nowhere: a view of several folders as one, read-only, which is gone
//! when its descriptor is closed.

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, open_tree,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Merges `layers`, topmost first and at least two, into one read-only folder without devices.
/// `user_attributes`: whiteouts' attributes are `user.overlay.*`, for a user namespace.
///
/// # Errors
/// What the kernel says, `EINVAL` for fewer than two layers among them.
pub fn detached<P: AsRef<Path>>(layers: &[P], user_attributes: bool) -> io::Result<OwnedFd> {
    let layers = open(layers)?;
    match by_context(&layers, user_attributes) {
        // The mount namespace we are in belongs to another user namespace than we do.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            elsewhere(&layers, |inner| match by_context(inner, user_attributes) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => by_mount(inner, user_attributes),
                other => other,
            })
        }
        // Linux before 6.5 does not know `lowerdir+`.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            elsewhere(&layers, |inner| by_mount(inner, user_attributes))
        }
        other => other,
    }
}

fn open<P: AsRef<Path>>(layers: &[P]) -> io::Result<Vec<OwnedFd>> {
    layers.iter().map(|path| super::file::open_folder(path.as_ref())).collect()
}

/// A path to an open folder: short, so that a hundred fit into one page of mount options.
fn path(folder: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", folder.as_raw_fd())
}

fn by_context(layers: &[OwnedFd], user_attributes: bool) -> io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    if user_attributes {
        fsconfig_set_flag(&context, "userxattr")?;
    }
    for layer in layers {
        fsconfig_set_string(&context, "lowerdir+", path(layer))?;
    }
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Works in a mount namespace of a thread of its own, with the layers opened there: overlayfs takes
/// folders of mounts in the caller's own namespace only.
fn elsewhere(
    layers: &[OwnedFd],
    work: impl FnOnce(&[OwnedFd]) -> io::Result<OwnedFd> + Send,
) -> io::Result<OwnedFd> {
    use nix::mount::{MsFlags, mount};
    if layers.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let inside = || -> io::Result<OwnedFd> {
        let nothing = None::<&str>;
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
        work(&open(&places(layers)?)?)
    };
    std::thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(mounted) => mounted,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// The paths of open folders.
fn places(layers: &[OwnedFd]) -> io::Result<Vec<PathBuf>> {
    layers.iter().map(|layer| std::fs::read_link(path(layer))).collect()
}

/// By mount(2), over the first layer, where every mount has a copy and nobody else sees it; a clone of
/// the mount is taken out of the namespace.
fn by_mount(layers: &[OwnedFd], user_attributes: bool) -> io::Result<OwnedFd> {
    use nix::mount::{MsFlags, mount};
    let lower: Vec<String> = layers.iter().map(path).collect();
    let user = if user_attributes { ",userxattr" } else { "" };
    let options = format!("lowerdir={}{user}", lower.join(":"));
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let places = places(layers)?;
    mount(Some("overlay"), &places[0], Some("overlay"), flags, Some(options.as_str()))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(CWD, &places[0], clone)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FileType, Mode, OFlags};

    /// Three folders: the lowest has `a` and `b`, the middle one hides `a`, the top has `c`.
    fn folders(name: &str) -> (std::path::PathBuf, Vec<std::path::PathBuf>) {
        let base = std::env::temp_dir().join(format!("overlay-{name}-{}", std::process::id()));
        let layers: Vec<_> = ["top", "middle", "low"].iter().map(|layer| base.join(layer)).collect();
        for layer in &layers {
            std::fs::create_dir_all(layer).unwrap();
        }
        std::fs::write(layers[2].join("a"), "a").unwrap();
        std::fs::write(layers[2].join("b"), "b").unwrap();
        let whiteout = layers[1].join("a");
        rustix::fs::mknodat(CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
        std::fs::write(layers[0].join("c"), "c").unwrap();
        (base, layers)
    }

    fn check(view: OwnedFd) {
        let there = |name: &str| rustix::fs::openat(&view, name, OFlags::RDONLY, Mode::empty()).is_ok();
        assert_eq!([there("a"), there("b"), there("c")], [false, true, true]);
        let made = rustix::fs::openat(&view, "d", OFlags::CREATE | OFlags::WRONLY, Mode::empty());
        assert_eq!(made.unwrap_err(), rustix::io::Errno::ROFS);
    }

    #[test]
    fn layers_are_merged_by_either_way_and_nothing_stays_mounted() {
        let (base, layers) = folders("both");
        let open = open(&layers).unwrap();
        check(detached(&layers, false).unwrap());
        check(elsewhere(&open, |inner| by_mount(inner, false)).unwrap());
        check(elsewhere(&open, |inner| by_context(inner, false)).unwrap());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(base.to_str().unwrap()));
        std::fs::remove_dir_all(base).unwrap();
    }
}
