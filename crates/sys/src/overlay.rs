//! Overlay mounts that are attached nowhere: a view of several folders as one, which is gone when its
//! descriptor is closed.

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
    Folders { layers: open(layers)?, upper: None }.mounted(user_attributes)
}

/// As [`detached`], of one layer at least, but what is written goes to `upper`; `work` is a folder beside
/// it on the same file system. Nothing is synced: after a crash of the machine `upper` is worth nothing.
///
/// # Errors
/// What the kernel says.
pub fn writable<P: AsRef<Path>>(
    layers: &[P],
    upper: &Path,
    work: &Path,
    user_attributes: bool,
) -> io::Result<OwnedFd> {
    let upper = Some((super::file::open_folder(upper)?, super::file::open_folder(work)?));
    Folders { layers: open(layers)?, upper }.mounted(user_attributes)
}

/// What is mounted, open.
struct Folders {
    /// Topmost first.
    layers: Vec<OwnedFd>,
    /// Upper and work folder.
    upper: Option<(OwnedFd, OwnedFd)>,
}

fn open<P: AsRef<Path>>(layers: &[P]) -> io::Result<Vec<OwnedFd>> {
    layers.iter().map(|path| super::file::open_folder(path.as_ref())).collect()
}

/// A path to an open folder: short, so that a hundred fit into one page of mount options.
fn path(folder: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", folder.as_raw_fd())
}

/// Where an open folder is.
fn place(folder: &OwnedFd) -> io::Result<PathBuf> {
    std::fs::read_link(path(folder))
}

impl Folders {
    fn mounted(&self, user_attributes: bool) -> io::Result<OwnedFd> {
        match self.by_context(user_attributes) {
            // The mount namespace we are in belongs to another user namespace than we do.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.elsewhere(|inner| match inner.by_context(user_attributes) {
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                        inner.by_mount(user_attributes)
                    }
                    other => other,
                })
            }
            // Linux before 6.5 does not know `lowerdir+`.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.elsewhere(|inner| inner.by_mount(user_attributes))
            }
            other => other,
        }
    }

    fn by_context(&self, user_attributes: bool) -> io::Result<OwnedFd> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        if user_attributes {
            fsconfig_set_flag(&context, "userxattr")?;
        }
        for layer in &self.layers {
            fsconfig_set_string(&context, "lowerdir+", path(layer))?;
        }
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        match &self.upper {
            None => attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY,
            Some((upper, work)) => {
                fsconfig_set_string(&context, "upperdir", path(upper))?;
                fsconfig_set_string(&context, "workdir", path(work))?;
                for (option, value) in plain(user_attributes) {
                    fsconfig_set_string(&context, *option, *value)?;
                }
                fsconfig_set_flag(&context, "volatile")?;
            }
        }
        fsconfig_create(&context)?;
        Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
    }

    /// Works in a mount namespace of a thread of its own, with the layers opened there: overlayfs takes
    /// folders of mounts in the caller's own namespace only.
    fn elsewhere(&self, work: impl FnOnce(&Self) -> io::Result<OwnedFd> + Send) -> io::Result<OwnedFd> {
        if self.layers.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        super::mount::in_own_namespace(|| work(&self.opened_here()?))
    }

    /// The same folders in the mount namespace that the thread is in now.
    fn opened_here(&self) -> io::Result<Self> {
        let again = |folder: &OwnedFd| super::file::open_folder(&place(folder)?);
        let upper = match &self.upper {
            Some((upper, work)) => Some((again(upper)?, again(work)?)),
            None => None,
        };
        Ok(Self { layers: self.layers.iter().map(again).collect::<io::Result<_>>()?, upper })
    }

    /// By mount(2), over the first layer, where every mount has a copy and nobody else sees it; a clone of
    /// the mount is taken out of the namespace.
    fn by_mount(&self, user_attributes: bool) -> io::Result<OwnedFd> {
        use nix::mount::{MsFlags, mount};
        let lower: Vec<String> = self.layers.iter().map(path).collect();
        let mut options = format!("lowerdir={}", lower.join(":"));
        if user_attributes {
            options.push_str(",userxattr");
        }
        let mut flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        match &self.upper {
            None => flags |= MsFlags::MS_RDONLY,
            Some((upper, work)) => {
                options.push_str(&format!(",upperdir={},workdir={},volatile", path(upper), path(work)));
                for (option, value) in plain(user_attributes) {
                    options.push_str(&format!(",{option}={value}"));
                }
            }
        }
        let on = place(&self.layers[0])?;
        mount(Some("overlay"), &on, Some("overlay"), flags, Some(options.as_str()))?;
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        Ok(open_tree(CWD, &on, clone)?)
    }
}

/// What keeps an upper folder the plain difference; with the attributes of ordinary users most of it is
/// off anyway and may not be mentioned.
fn plain(user_attributes: bool) -> &'static [(&'static str, &'static str)] {
    match user_attributes {
        false => &[("index", "off"), ("redirect_dir", "off"), ("metacopy", "off")],
        true => &[("index", "off")],
    }
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
        let folders = Folders { layers: open(&layers).unwrap(), upper: None };
        check(detached(&layers, false).unwrap());
        check(folders.elsewhere(|inner| inner.by_mount(false)).unwrap());
        check(folders.elsewhere(|inner| inner.by_context(false)).unwrap());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(base.to_str().unwrap()));
        std::fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn what_is_written_goes_to_the_upper_folder() {
        let (base, layers) = folders("writable");
        for (name, way) in [("context", true), ("mount", false)] {
            let (upper, work) = (base.join(format!("{name}-upper")), base.join(format!("{name}-work")));
            std::fs::create_dir(&upper).unwrap();
            std::fs::create_dir(&work).unwrap();
            let root = if way {
                writable(&layers, &upper, &work, false).unwrap()
            } else {
                let open = |path: &Path| crate::file::open_folder(path).unwrap();
                let upper = Some((open(&upper), open(&work)));
                let folders = Folders { layers: open_all(&layers), upper };
                folders.elsewhere(|inner| inner.by_mount(false)).unwrap()
            };
            let mode = Mode::from_raw_mode(0o644);
            rustix::fs::openat(&root, "d", OFlags::CREATE | OFlags::WRONLY, mode).unwrap();
            rustix::fs::unlinkat(&root, "b", rustix::fs::AtFlags::empty()).unwrap();
            drop(root);
            assert!(upper.join("d").exists());
            assert!(std::fs::symlink_metadata(upper.join("b")).is_ok(), "the whiteout");
            assert!(layers[2].join("b").exists());
        }
        std::fs::remove_dir_all(base).unwrap();
    }

    fn open_all(layers: &[std::path::PathBuf]) -> Vec<OwnedFd> {
        open(layers).unwrap()
    }
}
