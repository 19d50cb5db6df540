//! The root file system: an overlay of the image's layers under the container's own.

use super::{c_path, c_string, refused};
use crate::{Launch, StartError};
use resource::Mapping;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::path::PathBuf;

/// What the kernel takes as options of one mount(2): a page with its end.
const OPTIONS: usize = 4096;

/// An overlay to mount. It is mounted on its own upper folder: that surely exists, and only the
/// container's mount namespace sees it.
pub(crate) struct Overlay {
    /// Where it is mounted.
    pub(crate) on: CString,
    /// What is mounted.
    pub(crate) options: Options,
}

/// The overlay's options.
pub(crate) enum Options {
    /// All paths as they are.
    Text(CString),
    /// Too long, or with characters that have a meaning there: every folder is opened and named
    /// `/proc/self/fd/N`, which is short. Top layer first, then upper and work.
    Descriptors {
        /// Folders to open.
        folders: Vec<CString>,
        /// Options after those paths.
        rest: &'static [u8],
    },
}

/// Options after the paths. Off is what makes the upper folder more than the plain difference that a
/// build takes it for; with the attributes of ordinary users (`userxattr`) most of it is off anyway and
/// may not be mentioned.
fn rest(mapping: Mapping, volatile: bool) -> &'static str {
    match (mapping.is_rootless(), volatile) {
        (false, false) => ",index=off,redirect_dir=off,metacopy=off",
        (false, true) => ",index=off,redirect_dir=off,metacopy=off,volatile",
        (true, false) => ",index=off,userxattr",
        (true, true) => ",index=off,userxattr,volatile",
    }
}

/// What an overlay is made of.
#[derive(Clone, Copy)]
pub(crate) struct Folders<'a> {
    /// Unpacked layers, lowest first.
    pub(crate) layers: &'a [PathBuf],
    /// What is written goes here.
    pub(crate) upper: &'a Path,
    /// Overlayfs's own.
    pub(crate) work: &'a Path,
    /// Whose ids its files have.
    pub(crate) mapping: Mapping,
    /// Nothing written need survive a crash.
    pub(crate) volatile: bool,
}

impl Overlay {
    /// Makes the folders that are missing and the mount's options.
    pub(crate) fn prepare(launch: &Launch<'_>) -> Result<Self, StartError> {
        let Launch { layers, upper, work, mapping, volatile, .. } = *launch;
        Self::of(Folders { layers, upper, work, mapping, volatile })
    }

    /// The same for a container that is not being started.
    pub(crate) fn of(parts: Folders<'_>) -> Result<Self, StartError> {
        let top = parts.layers.last().ok_or_else(|| refused("the image has no layer"))?;
        folders(parts, top)?;
        let rest = rest(parts.mapping, parts.volatile);
        let paths = || parts.layers.iter().rev().map(AsRef::as_ref).chain([parts.upper, parts.work]);
        let special = |path: &Path| path.as_os_str().as_bytes().iter().any(|byte| b",:\\".contains(byte));
        let options = match text(parts, rest) {
            Some(text) if !paths().any(special) => Options::Text(c_string(text)?),
            _ => Options::Descriptors {
                folders: paths().map(c_path).collect::<Result<_, _>>()?,
                rest: rest.as_bytes(),
            },
        };
        Ok(Self { on: c_path(parts.upper)?, options })
    }
}

/// The options as text, if they fit.
fn text(parts: Folders<'_>, rest: &str) -> Option<Vec<u8>> {
    let mut text = b"lowerdir=".to_vec();
    for (count, layer) in parts.layers.iter().rev().enumerate() {
        if count > 0 {
            text.push(b':');
        }
        text.extend_from_slice(layer.as_os_str().as_bytes());
    }
    for (name, path) in [(",upperdir=", parts.upper), (",workdir=", parts.work)] {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(path.as_os_str().as_bytes());
    }
    text.extend_from_slice(rest.as_bytes());
    (text.len() < OPTIONS).then_some(text)
}

/// Makes upper and work folders. Before the first start the upper folder takes over mode and owner of
/// the image's root, which it hides.
fn folders(parts: Folders<'_>, top: &Path) -> Result<(), StartError> {
    let failed = |step, path: &Path| StartError::step(step, path.display().to_string());
    let used = parts.work.join("work");
    match fs::symlink_metadata(&used) {
        Ok(_) if parts.volatile => {
            // The kernel refuses to mount again what might be torn after a crash. Here the machine did
            // not crash: the container was started again.
            let _absent_is_fine = fs::remove_dir_all(used.join("incompat"));
        }
        Ok(_) => {}
        Err(_) => {
            for folder in [parts.upper, parts.work] {
                fs::create_dir_all(folder).map_err(failed("make folder", folder))?;
            }
            let root = fs::metadata(top).map_err(failed("read layer", top))?;
            std::os::unix::fs::chown(parts.upper, Some(root.uid()), Some(root.gid()))
                .map_err(failed("change the owner of", parts.upper))?;
            let mode = fs::Permissions::from_mode(root.permissions().mode() & 0o7777);
            fs::set_permissions(parts.upper, mode).map_err(failed("change the mode of", parts.upper))?;
        }
    }
    Ok(())
}
