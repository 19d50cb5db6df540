//! An image's layers as its containers see them: one overlay, read-only, mounted nowhere.

use crate::Store;
use resource::Digest;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes that `/etc/passwd` and `/etc/group` of an image may have.
const USERS_LIMIT: u64 = 1 << 20;

impl Store {
    /// The merged layers, lowest first, as an open folder. Nothing has to be unmounted: it is gone when
    /// the last descriptor is closed.
    ///
    /// # Errors
    /// What the kernel says of the mount.
    pub fn view(&self, layers: &[Digest]) -> io::Result<OwnedFd> {
        self.view_of(self.folders(layers))
    }

    /// As [`Store::view`], to be written to: what changes is found in `folder/upper` and taken from there
    /// by [`Store::take_changes`] once the view is closed. `folder` is made.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn writable_view(&self, layers: &[Digest], folder: &Path) -> io::Result<OwnedFd> {
        let (upper, work) = (folder.join("upper"), folder.join("work"));
        sys::file::create_private_folder(&upper)?;
        sys::file::create_private_folder(&work)?;
        let mut paths = self.folders(layers);
        // The upper folder hides the root of what is below.
        let top = paths.first().map(std::fs::metadata).transpose()?;
        let mode = top.as_ref().map_or(0o755, |top| top.permissions().mode() & 0o7777);
        if let Some(top) = top {
            std::os::unix::fs::chown(&upper, Some(top.uid()), Some(top.gid()))?;
        }
        std::fs::set_permissions(&upper, std::fs::Permissions::from_mode(mode))?;
        if paths.is_empty() {
            let empty = folder.join("empty");
            sys::file::create_private_folder(&empty)?;
            paths.push(empty);
        }
        sys::overlay::writable(&paths, &upper, &work, self.user_attributes())
    }

    /// Text of `/etc/passwd` and `/etc/group` as the layers together show them; empty where there is none.
    ///
    /// # Errors
    /// What the kernel says of the mount or of reading.
    pub fn users_in(&self, layers: &[Digest]) -> io::Result<(String, String)> {
        let view = self.view(layers)?;
        let text = |path| read_text(&view, Path::new(path), USERS_LIMIT);
        Ok((text("etc/passwd")?, text("etc/group")?))
    }

    /// The folders of layers from the top down, as overlayfs has them. A layer twice is one to overlayfs.
    fn folders(&self, layers: &[Digest]) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = vec![];
        for path in layers.iter().rev().map(|layer| self.layer_path(layer)) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }

    /// Merged folders, the top one first and each once.
    pub(crate) fn view_of(&self, mut paths: Vec<PathBuf>) -> io::Result<OwnedFd> {
        // overlayfs wants two, and not the same twice; an empty folder hides nothing.
        while paths.len() < 2 {
            let empty = self.roots.data.join(format!("tmp/empty{}", paths.len()));
            sys::file::create_private_folder(&empty)?;
            paths.push(empty);
        }
        sys::overlay::detached(&paths, self.user_attributes())
    }
}

/// The text of a regular file in a view, links followed inside it; empty when there is none, when it is
/// something else, or when it has more than `limit` bytes. Invalid UTF-8 is replaced.
pub(crate) fn read_text(view: impl AsFd, path: &Path, limit: u64) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = match sys::file::open_in_root(view, path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(error) if sys::file::is_absent(&error) => return Ok(String::new()),
        // A device, which the view has none of; an endless link.
        Err(error) if [Errno::ACCESS, Errno::LOOP].iter().any(|code| is(&error, *code)) => {
            return Ok(String::new());
        }
        Err(error) => return Err(error),
    };
    let status = rustix::fs::fstat(&file)?;
    let regular = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    if !regular || u64::try_from(status.st_size).is_ok_and(|size| size > limit) {
        return Ok(String::new());
    }
    let mut bytes = vec![];
    File::from(file).take(limit).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is(error: &io::Error, code: Errno) -> bool {
    error.raw_os_error() == Some(code.raw_os_error())
}
