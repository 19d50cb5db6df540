//! Copies files from one root to another: between the host and a container, or from and to an archive.
//!
//! Both ends are an open root and a path in it. Paths are resolved with `RESOLVE_IN_ROOT`, so no link leads
//! out of a root, whatever a process inside does meanwhile; the copy itself is an archive that one thread
//! packs and another unpacks, by descriptor.
//!
//! | source | target is missing | target is a folder | target is something else |
//! |---|---|---|---|
//! | file | made with that name | made in it | replaced |
//! | folder | made with that name | made in it | refused |
//! | `folder/.` | made with that name | its content made in it | refused |
//!
//! A target that ends with a slash is meant to be a folder: no file is made with that name. A target that is a
//! link is what the link names.
//!
//! Source: `docker cp`, "Corner cases" of its reference.

use crate::bounds::Bounds;
use crate::error::{PackError, UnpackError};
use crate::pack::{Form, Packer};
use crate::tree::Tree;
use crate::unpack::{Owners, Purpose, unpack_below};
use crate::{Store, StoreError};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Links followed in one name before it is called a loop, as the kernel has it.
const LINK_LIMIT: usize = 40;
/// Bytes on their way from the packer to the unpacker.
const BUFFER: usize = 1 << 18;

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// What is to be copied, or the folder that it is to be copied to, could not be found.
    #[error("cannot find `{}`", path.display())]
    Find {
        /// The path, as given.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Source and target do not go together.
    #[error("cannot copy to `{}`: {reason}", path.display())]
    Refused {
        /// The target, as given.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The store's own part failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source could not be read.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The target could not be written.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
}

/// What is copied.
#[derive(Debug)]
pub struct Origin {
    found: Found,
    /// The name it has, for a target that is a folder; empty for the root.
    name: Vec<u8>,
    /// The path said `folder/.`: its content is meant.
    content: bool,
}

/// What is at a path: links followed or not.
#[derive(Debug)]
enum Found {
    Folder(OwnedFd),
    Entry { folder: OwnedFd, name: CString },
}

/// Where a copy goes.
#[derive(Debug)]
pub struct Target {
    folder: OwnedFd,
    /// The name it gets there; `None` is its own.
    name: Option<Vec<u8>>,
    /// Something other than a folder has that name.
    taken: bool,
    /// The path ends with a slash.
    folder_meant: bool,
    path: PathBuf,
}

impl Origin {
    /// Finds what is to be copied. A link is copied as one unless `follow` or the path ends with a slash.
    ///
    /// # Errors
    /// [`TransferError::Find`]
    pub fn find(root: impl AsFd, path: &Path, follow: bool) -> Result<Self, TransferError> {
        let failed = |source: io::Error| TransferError::Find { path: path.to_owned(), source };
        let bytes = path.as_os_str().as_bytes();
        let content = bytes.ends_with(b"/.") || bytes == b".";
        let folder_meant = content || bytes.ends_with(b"/") || bytes.ends_with(b"..") || bytes.is_empty();
        let name = path.file_name().map_or_else(Vec::new, |name| name.as_bytes().to_vec());
        if folder_meant {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let folder = open(&root, path, flags).map_err(failed)?;
            return Ok(Self { found: Found::Folder(folder), name, content });
        }
        let found = entry(&root, path, follow).map_err(failed)?;
        Ok(Self { found, name, content })
    }

    fn is_folder(&self) -> bool {
        matches!(self.found, Found::Folder(_))
    }

    /// Writes it as an archive, under its own name. Gives the output back.
    ///
    /// # Errors
    /// [`PackError`]
    pub fn write(&self, output: impl Write) -> Result<(), PackError> {
        let name = match (self.content, self.name.is_empty()) {
            (false, false) => self.name.as_slice(),
            _ => b".".as_slice(),
        };
        self.pack(output, name)
    }

    fn pack(&self, output: impl Write, name: &[u8]) -> Result<(), PackError> {
        let mut packer = Packer::new(output, Form::Whole);
        match &self.found {
            Found::Folder(folder) if name.is_empty() => packer.content(folder, b"")?,
            Found::Folder(folder) => packer.folder_as(folder, &[name, b"/"].concat())?,
            Found::Entry { folder, name: own } => packer.one(folder, own, name)?,
        }
        packer.finish().map(drop)
    }
}

impl Target {
    /// Finds where a copy goes: a folder, or a name in one.
    ///
    /// # Errors
    /// [`TransferError::Find`] when the folder is not there.
    pub fn find(root: impl AsFd, path: &Path) -> Result<Self, TransferError> {
        let failed = |source: io::Error| TransferError::Find { path: path.to_owned(), source };
        let bytes = path.as_os_str().as_bytes();
        let folder_meant = bytes.ends_with(b"/") || bytes.ends_with(b"/.");
        let mut place = path.to_owned();
        for _ in 0..LINK_LIMIT {
            let error = match open(&root, &place, OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(folder) => return Ok(Self::own(folder, path)),
                Err(error) => error,
            };
            let (Some(name), true) = (place.file_name(), sys::file::is_absent(&error)) else {
                return Err(failed(error));
            };
            let above =
                place.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let folder = open(&root, above, OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
            let status = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).ok();
            let kind = status.map(|status| FileType::from_raw_mode(status.st_mode));
            if kind == Some(FileType::Symlink) {
                let link = rustix::fs::readlinkat(&folder, name, Vec::new())
                    .map_err(|error| failed(error.into()))?;
                place = above.join(OsStr::from_bytes(link.as_bytes()));
                continue;
            }
            if kind.is_some() && folder_meant {
                return Err(failed(error));
            }
            let name = Some(name.as_bytes().to_vec());
            return Ok(Self { folder, name, taken: kind.is_some(), folder_meant, path: path.to_owned() });
        }
        Err(failed(Errno::LOOP.into()))
    }

    /// A folder that has to be there.
    ///
    /// # Errors
    /// [`TransferError::Find`]
    pub fn folder(root: impl AsFd, path: &Path) -> Result<Self, TransferError> {
        let failed = |source: io::Error| TransferError::Find { path: path.to_owned(), source };
        Ok(Self::own(open(&root, path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?, path))
    }

    /// A folder that is there, in which things get their own names.
    fn own(folder: OwnedFd, path: &Path) -> Self {
        Self { folder, name: None, taken: false, folder_meant: false, path: path.to_owned() }
    }
}

impl Store {
    /// Copies a file or folder. Owners are `owners`; modes, times and extended attributes are kept.
    ///
    /// # Errors
    /// [`TransferError`]; what was copied before stays.
    pub fn transfer(&self, origin: &Origin, target: Target, owners: Owners) -> Result<(), TransferError> {
        if target.taken && origin.is_folder() {
            let reason = "something that is no folder is there, and a folder is to be copied";
            return Err(TransferError::Refused { path: target.path, reason });
        }
        if target.folder_meant && !origin.is_folder() {
            return Err(TransferError::Find { path: target.path, source: Errno::NOENT.into() });
        }
        let name = match (&target.name, origin.content) {
            (Some(name), _) => name.as_slice(),
            (None, true) => b"",
            (None, false) => origin.name.as_slice(),
        };
        let failed = |source| TransferError::Find { path: target.path.clone(), source };
        let (reader, writer) = io::pipe().map_err(failed)?;
        let folder = target.folder.try_clone().map_err(failed)?;
        let (packed, unpacked) = std::thread::scope(|scope| {
            let packing = scope.spawn(move || origin.pack(BufWriter::with_capacity(BUFFER, writer), name));
            let unpacked = self.unpack_files(reader, folder, owners);
            (packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), unpacked)
        });
        match (packed, unpacked) {
            // The packer only lost its reader.
            (Err(PackError::Write(_)), Err(error)) => Err(error),
            (Err(error), _) => Err(error.into()),
            (Ok(()), unpacked) => unpacked,
        }
    }

    /// Unpacks an archive, compressed or not, into a folder: its links lead nowhere outside of it while it
    /// is unpacked.
    ///
    /// # Errors
    /// [`TransferError::Unpack`]; what was unpacked before stays.
    pub fn unpack_archive(
        &self,
        archive: impl Read + Send,
        target: Target,
        owners: Owners,
    ) -> Result<(), TransferError> {
        let manner = self.manner(Purpose::Files(owners))?;
        let bytes = BufReader::with_capacity(BUFFER, archive);
        crate::decode::decode(bytes, None, |archive| {
            unpack_below(archive, Tree::of(target.folder, manner.user_attributes), &manner, Bounds::none())
        })?;
        Ok(())
    }

    fn unpack_files(&self, archive: impl Read, folder: OwnedFd, owners: Owners) -> Result<(), TransferError> {
        let manner = self.manner(Purpose::Files(owners))?;
        let bytes = BufReader::with_capacity(BUFFER, archive);
        unpack_below(bytes, Tree::of(folder, manner.user_attributes), &manner, Bounds::none())?;
        Ok(())
    }
}

/// Finds an entry of a folder; a link is followed inside the root when asked for.
fn entry(root: impl AsFd, path: &Path, follow: bool) -> io::Result<Found> {
    let mut path = path.to_owned();
    for _ in 0..LINK_LIMIT {
        let (Some(name), above) = (path.file_name(), path.parent()) else {
            return Ok(Found::Folder(open(&root, &path, OFlags::RDONLY | OFlags::DIRECTORY)?));
        };
        let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = open(&root, above, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let status = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                return Ok(Found::Folder(open(&root, &path, OFlags::RDONLY | OFlags::DIRECTORY)?));
            }
            FileType::Symlink if follow => {
                let link = rustix::fs::readlinkat(&folder, name, Vec::new())?;
                // An absolute one begins at the root again, which is what joining makes of it.
                path = above.join(OsStr::from_bytes(link.as_bytes()));
            }
            _ => {
                let name = CString::new(name.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
                return Ok(Found::Entry { folder, name });
            }
        }
    }
    Err(Errno::LOOP.into())
}

fn open(root: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    sys::file::open_in_root(root, path, flags, Mode::empty())
}
