//! An image's layers as its containers see them: one overlay, read-only, mounted nowhere.

use crate::Store;
use resource::Digest;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

impl Store {
    /// The merged layers, lowest first, as an open folder. Nothing has to be unmounted: it is gone when
    /// the last descriptor is closed.
    pub(crate) fn view(&self, layers: &[Digest]) -> io::Result<OwnedFd> {
        // From the top down, as overlayfs has them. A layer twice in an image is one to overlayfs.
        let mut paths: Vec<PathBuf> = vec![];
        for path in layers.iter().rev().map(|layer| self.layer_path(layer)) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        self.view_of(paths)
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
        Err(error) if is_absent(&error) => return Ok(String::new()),
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

/// Whether a path is simply not there.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is(error: &io::Error, code: Errno) -> bool {
    error.raw_os_error() == Some(code.raw_os_error())
}
