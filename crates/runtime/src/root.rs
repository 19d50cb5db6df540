//! The files of a container that does not run, as its processes would see them: the image under its own
//! changes, with its volumes and binds. They are there while somebody works with them, in a mount
//! namespace that nobody else is in, and no program of the image has to run.

use crate::child::rootfs;
use crate::prepare::{Bind, Folders, Overlay};
use crate::{StartError, child};
use resource::{Mapping, Mount};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::mount::{Attributes, READ_ONLY};

/// What the files are made of.
#[derive(Clone, Copy, Debug)]
pub struct StoppedRoot<'a> {
    /// Unpacked layers, lowest first.
    pub layers: &'a [PathBuf],
    /// The container's writable layer; made like the image's root when missing.
    pub upper: &'a Path,
    /// Overlay's working folder on the same file system; made when missing.
    pub work: &'a Path,
    /// Whose ids the files have.
    pub mapping: Mapping,
    /// What the container mounts; memory is left out, which would be gone at once.
    pub mounts: &'a [Mount],
    /// The container may not write to its own layer.
    pub read_only: bool,
}

/// Works with the root open. The caller makes sure that the container is not started meanwhile: two
/// overlays over one writable layer see each other's changes or not.
///
/// # Errors
/// [`StartError`] of the mount that could not be made.
pub fn with_stopped<T: Send>(
    root: &StoppedRoot<'_>,
    act: impl FnOnce(&OwnedFd) -> T + Send,
) -> Result<T, StartError> {
    let StoppedRoot { layers, upper, work, mapping, .. } = *root;
    // What was written here before is not given up for what is written now.
    let overlay = Overlay::of(Folders { layers, upper, work, mapping, volatile: false })?;
    // A container that was to be removed at its end has told the kernel that it may be torn.
    let _absent_is_fine = std::fs::remove_dir_all(work.join("work/incompat"));
    let binds = root.mounts.iter().filter_map(bind).collect::<Result<Vec<_>, _>>()?;
    let read_only = root.read_only;
    sys::mount::in_own_namespace(move || {
        let opened = rootfs::overlay(&overlay).map_err(own)?;
        for (target, bind) in &binds {
            rootfs::bind(opened.as_fd(), target, bind).map_err(own)?;
        }
        if read_only {
            rootfs::read_only(opened.as_fd(), false)?;
        }
        Ok::<_, Failed>(act(&opened))
    })
    .map_err(|Failed(error)| error)
}

/// A failure on the thread that mounts.
struct Failed(StartError);

impl From<io::Error> for Failed {
    fn from(source: io::Error) -> Self {
        Self(StartError::step("separate", "the mounts")(source))
    }
}

fn own(failure: child::Failure<'_>) -> Failed {
    Failed(failure.into())
}

/// A bind with its target; `None` for what has no files.
fn bind(mount: &Mount) -> Option<Result<(CString, Bind), StartError>> {
    let Mount::Bind { source, target, read_only, recursive, .. } = mount else { return None };
    let text = |bytes: &[u8]| {
        CString::new(bytes)
            .map_err(|_| StartError::Refused { what: "a path has a NUL in it".to_owned(), part: None })
    };
    let attributes = Attributes { set: if *read_only { READ_ONLY } else { 0 }, ..Attributes::default() };
    let bind = || -> Result<_, StartError> {
        let bind = Bind {
            source: text(source.as_os_str().as_bytes())?,
            recursive: *recursive,
            attributes,
            attributes_recursive: false,
            propagation_recursive: false,
            early: std::cell::Cell::default(),
        };
        Ok((text(target.as_bytes())?, bind))
    };
    Some(bind())
}
