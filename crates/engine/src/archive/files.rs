//! Files of an archive of images, by name: in a folder, or in a tar archive that is read where it lies.
//!
//! Nothing is unpacked under a name of the archive's. Links are names in the same archive; what leads out of
//! it is not there. A compressed archive, or one that comes through a pipe, is first written into a file
//! without a name.

use super::ArchiveError;
use rustix::fs::{Mode, OFlags};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{MemberKind, Store};

/// Links that are followed for one name.
const LINK_LIMIT: usize = 8;

/// The files of an archive.
pub(crate) struct Files {
    /// The archive, as it was named.
    pub(crate) path: PathBuf,
    place: Place,
}

enum Place {
    Folder(OwnedFd),
    Archive { file: Arc<File>, members: HashMap<String, MemberKind> },
}

/// The bytes of one file, readable by any thread.
pub(crate) struct Window {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Files {
    /// Opens a folder or an archive.
    ///
    /// # Errors
    /// [`ArchiveError`] when it cannot be read, or is a damaged archive.
    pub(crate) fn open(store: &Store, path: &Path) -> Result<Self, ArchiveError> {
        if path.is_dir() {
            let folder = sys::file::open_folder(path).map_err(ArchiveError::file("open", path))?;
            return Ok(Self { path: path.to_owned(), place: Place::Folder(folder) });
        }
        let file = File::open(path).map_err(ArchiveError::file("open", path))?;
        Self::of(store, path, file)
    }

    /// The files of an open archive, which is called `path` in messages.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub(crate) fn of(store: &Store, path: &Path, mut file: File) -> Result<Self, ArchiveError> {
        let failed = || ArchiveError::file("read", path);
        let status = file.metadata().map_err(failed())?;
        let mut start = vec![];
        (&mut file).take(6).read_to_end(&mut start).map_err(failed())?;
        let here = status.is_file() && !store::is_compressed(&start);
        let damaged = |source| ArchiveError::Unreadable { path: path.to_owned(), source };
        let file = if here {
            file
        } else {
            let limit = if status.is_file() { store::room_for(status.len()) } else { u64::MAX };
            let bytes = BufReader::with_capacity(1 << 18, io::Cursor::new(start).chain(file));
            store.spread(bytes, None, limit).map_err(damaged)?.0
        };
        let walked = store::members(&file).map_err(damaged);
        let name = |name: &[u8]| std::str::from_utf8(name).ok().and_then(normal);
        let members = walked?.into_iter().filter_map(|member| Some((name(&member.name)?, member.kind)));
        let members = members.collect();
        Ok(Self { path: path.to_owned(), place: Place::Archive { file: Arc::new(file), members } })
    }

    /// The file under this name; `None` when there is none.
    ///
    /// # Errors
    /// [`ArchiveError`] when it cannot be opened.
    pub(crate) fn file(&self, name: &str) -> Result<Option<Window>, ArchiveError> {
        match &self.place {
            Place::Folder(folder) => {
                let opened =
                    open_below(folder, name).map_err(ArchiveError::file("open", &self.path.join(name)));
                Ok(opened?.map(|(file, end)| Window { file: Arc::new(file), at: 0, end }))
            }
            Place::Archive { file, members } => {
                let found = member(members, name);
                Ok(found.map(|(at, size)| Window { file: Arc::clone(file), at, end: at + size }))
            }
        }
    }

    /// All of a small file.
    ///
    /// # Errors
    /// [`ArchiveError`] when it cannot be read, or has more than `limit` bytes.
    pub(crate) fn small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some(mut window) = self.file(name)? else { return Ok(None) };
        if window.size() > limit {
            return Err(self.damaged(name, format!("it has {} bytes; {limit} are allowed", window.size())));
        }
        let mut bytes = vec![];
        window.read_to_end(&mut bytes).map_err(ArchiveError::file("read", &self.path.join(name)))?;
        Ok(Some(bytes))
    }

    /// What is said of a part that is not as it should be.
    pub(crate) fn damaged(&self, part: &str, reason: impl Into<String>) -> ArchiveError {
        ArchiveError::Damaged { path: self.path.clone(), part: part.to_owned(), reason: reason.into() }
    }
}

impl Window {
    /// All of an open file.
    pub(crate) fn whole(file: File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), at: 0, end })
    }

    /// Bytes that are left.
    pub(crate) fn size(&self) -> u64 {
        self.end - self.at
    }

    /// The same bytes again, from where this one is.
    pub(crate) fn again(&self) -> Self {
        Self { file: Arc::clone(&self.file), at: self.at, end: self.end }
    }
}

impl Read for Window {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(usize::try_from(self.size()).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut into[..length], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Opens a regular file below a folder, links followed inside it.
fn open_below(folder: &OwnedFd, name: &str) -> io::Result<Option<(File, u64)>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match sys::file::open_in_root(folder.as_fd(), Path::new(name), flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(error) if sys::file::is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut file = file;
    let status = file.metadata()?;
    if !status.is_file() {
        return Ok(None);
    }
    file.rewind()?;
    Ok(Some((file, status.len())))
}

/// Offset and bytes of a file, links followed.
fn member(members: &HashMap<String, MemberKind>, name: &str) -> Option<(u64, u64)> {
    let mut name = normal(name)?;
    for _ in 0..LINK_LIMIT {
        let link = match members.get(&name)? {
            MemberKind::File { at, size } => return Some((*at, *size)),
            MemberKind::Other => return None,
            MemberKind::HardLink(link) => std::str::from_utf8(link).ok()?.to_owned(),
            MemberKind::Symlink(link) => {
                let above = name.rsplit_once('/').map_or("", |(above, _)| above);
                format!("{above}/{}", std::str::from_utf8(link).ok()?)
            }
        };
        name = normal(&link)?;
    }
    None
}

/// A name without `.`, `..` and needless slashes; `None` when it leads out of the archive.
fn normal(name: &str) -> Option<String> {
    let mut parts: Vec<&str> = vec![];
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_the_archive_and_end() {
        let file = MemberKind::File { at: 512, size: 3 };
        let link = |target: &str| MemberKind::Symlink(target.as_bytes().to_vec());
        let entries = [
            ("a/layer.tar", file),
            ("b/layer.tar", link("../a/layer.tar")),
            ("c", link("../../etc/passwd")),
            ("d", link("e")),
            ("e", link("d")),
            ("f", MemberKind::HardLink(b"a/layer.tar".to_vec())),
        ];
        let members = entries.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
        assert_eq!(member(&members, "./b//layer.tar"), Some((512, 3)));
        assert_eq!(member(&members, "f"), Some((512, 3)));
        for name in ["c", "d", "../a/layer.tar", "a", "nothing"] {
            assert_eq!(member(&members, name), None, "{name}");
        }
    }
}
