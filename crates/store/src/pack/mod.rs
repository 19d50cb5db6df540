//! Writes a folder as a tar archive, by descriptor only.
//!
//! Names are sorted and nothing of the reading machine gets in, so the same folder gives the same bytes:
//! a layer that was unpacked from such an archive packs to it again. What overlayfs keeps of deletions
//! becomes what layers have for them: a device 0:0 a file `.wh.NAME`, an opaque folder a file
//! `.wh..wh..opq` in it. Sockets are left out. The folder may be in use: what vanishes meanwhile is left
//! out, and a file that shrinks ends in zeros.

mod header;

use crate::archive::{Entry, Kind};
use crate::attributes;
use crate::error::PackError;
use crate::sparse::Sparse;
use header::BLOCK;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Folders inside folders; more is nothing that an honest file system has.
const DEPTH_LIMIT: usize = 1000;
/// Bytes of holes from which on a file is written as a sparse one, a form that not every program reads.
const HOLES: u64 = 1 << 20;
/// Bytes read at once.
const PIECE: usize = 1 << 16;

/// What a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The changes of one layer, as overlayfs has them.
    Layer,
    /// Files as they are, those of what is mounted inside too, but for the kernel's own file systems.
    Whole,
}

/// A tar archive that is being written.
pub(crate) struct Packer<W> {
    output: W,
    form: Form,
    /// Files with several names: device and inode, and the name written first.
    links: HashMap<(u64, u64), Vec<u8>>,
    piece: Vec<u8>,
}

/// Something in a folder that is packed.
struct Found<'a> {
    folder: &'a OwnedFd,
    name: &'a CStr,
    /// Its name in the archive.
    path: Vec<u8>,
    status: Stat,
}

impl<W: Write> Packer<W> {
    pub(crate) fn new(output: W, form: Form) -> Self {
        Self { output, form, links: HashMap::new(), piece: vec![0; PIECE] }
    }

    /// Writes what is in the folder under names that begin with `prefix`, which is empty or ends with a
    /// slash.
    pub(crate) fn content(&mut self, folder: &OwnedFd, prefix: &[u8]) -> Result<(), PackError> {
        let status = rustix::fs::fstat(folder).map_err(failed("read", prefix))?;
        self.below(folder, prefix, status.st_dev, 0)
    }

    /// Writes the folder itself under a name that ends with a slash, and what is in it.
    pub(crate) fn folder_as(&mut self, folder: &OwnedFd, path: &[u8]) -> Result<(), PackError> {
        let status = rustix::fs::fstat(folder).map_err(failed("read", path))?;
        let mut entry = plain(path, Kind::Folder, &status);
        entry.attributes = attributes::of(folder).map_err(failed("read", path))?;
        self.header(&entry, 0)?;
        self.below(folder, path, status.st_dev, 0)
    }

    /// Writes the root of a file system: what is in it, and itself where owner or mode say something.
    pub(crate) fn root(&mut self, folder: &OwnedFd) -> Result<(), PackError> {
        let status = rustix::fs::fstat(folder).map_err(failed("read", b"/"))?;
        if (status.st_mode & 0o7777, status.st_uid, status.st_gid) != (0o755, 0, 0) {
            let mut entry = plain(b"./", Kind::Folder, &status);
            entry.attributes = attributes::of(folder).map_err(failed("read", b"/"))?;
            self.header(&entry, 0)?;
        }
        self.content(folder, b"")
    }

    /// Writes one entry of a folder, and all below it, under the name `path`.
    pub(crate) fn one(&mut self, folder: &OwnedFd, name: &CStr, path: &[u8]) -> Result<(), PackError> {
        let status = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let status = status.map_err(failed("read", path))?;
        let device = status.st_dev;
        self.entry(&Found { folder, name, path: path.to_vec(), status }, device, 0)
    }

    /// Ends the archive and gives the output back.
    pub(crate) fn finish(mut self) -> Result<W, PackError> {
        self.write(&[0; 2 * BLOCK])?;
        self.output.flush().map_err(PackError::Write)?;
        Ok(self.output)
    }

    fn below(&mut self, folder: &OwnedFd, prefix: &[u8], device: u64, depth: usize) -> Result<(), PackError> {
        if depth > DEPTH_LIMIT {
            return Err(PackError::Refused { path: shown(prefix), reason: "folders lie too deep" });
        }
        let mut names = sys::file::names(folder).map_err(failed("read", prefix))?;
        names.sort();
        for name in names {
            let path = [prefix, name.to_bytes()].concat();
            match rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(status) => {
                    self.entry(&Found { folder, name: &name, path, status }, device, depth)?;
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(failed("read", &path)(error)),
            }
        }
        Ok(())
    }

    fn entry(&mut self, found: &Found<'_>, device: u64, depth: usize) -> Result<(), PackError> {
        let status = &found.status;
        let kind = FileType::from_raw_mode(status.st_mode);
        if self.form == Form::Layer {
            if found.name.to_bytes().starts_with(b".wh.") {
                let reason = "in a layer its name means that another file is deleted";
                return Err(PackError::Refused { path: shown(&found.path), reason });
            }
            if kind == FileType::CharacterDevice && status.st_rdev == 0 {
                return self.whiteout(found);
            }
        }
        match kind {
            FileType::Directory => self.folder(found, device, depth),
            FileType::RegularFile => self.file(found),
            FileType::Socket => Ok(()),
            kind => self.special(found, kind),
        }
    }

    fn whiteout(&mut self, found: &Found<'_>) -> Result<(), PackError> {
        let (above, name) = found.path.split_at(found.path.len() - found.name.to_bytes().len());
        self.marker(&[above, b".wh.", name].concat(), &found.status)
    }

    /// An empty file that says something of lower layers. Who deleted, and when, is nobody's business.
    fn marker(&mut self, path: &[u8], status: &Stat) -> Result<(), PackError> {
        let mut entry = plain(path, Kind::File, status);
        (entry.mode, entry.uid, entry.gid, entry.modified) = (0o644, 0, 0, (0, 0));
        self.header(&entry, 0)
    }

    fn folder(&mut self, found: &Found<'_>, device: u64, depth: usize) -> Result<(), PackError> {
        let path = [found.path.as_slice(), b"/"].concat();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Some(folder) = open(found, flags)? else { return Ok(()) };
        let mut entry = plain(&path, Kind::Folder, &found.status);
        entry.attributes = attributes::of(&folder).map_err(failed("read", &path))?;
        self.header(&entry, 0)?;
        if self.form == Form::Layer && attributes::is_opaque(&folder).map_err(failed("read", &path))? {
            self.marker(&[path.as_slice(), b".wh..wh..opq"].concat(), &found.status)?;
        }
        if found.status.st_dev != device && is_kernels(&folder).map_err(failed("read", &path))? {
            return Ok(());
        }
        self.below(&folder, &path, device, depth + 1)
    }

    fn file(&mut self, found: &Found<'_>) -> Result<(), PackError> {
        if self.linked(found)? {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Some(file) = open(found, flags)? else { return Ok(()) };
        let read = |source| failed("read", &found.path)(source);
        let status = rustix::fs::fstat(&file).map_err(read)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Ok(()); // replaced since
        }
        if status.st_nlink > 1 {
            self.links.insert((status.st_dev, status.st_ino), found.path.clone());
        }
        let size = u64::try_from(status.st_size).unwrap_or(0);
        let mut entry = plain(&found.path, Kind::File, &status);
        entry.attributes = attributes::of(&file).map_err(|source| failed("read", &found.path)(source))?;
        entry.sparse = extents(&file, &status).map_err(|source| failed("read", &found.path)(source))?;
        let map = header::sparse_map(&entry);
        let parts = entry.sparse.as_ref().map_or_else(|| vec![(0, size)], |sparse| sparse.extents.clone());
        let stored = map.len() as u64 + parts.iter().map(|(_, length)| length).sum::<u64>();
        self.header(&entry, stored)?;
        self.write(&map)?;
        let file = File::from(file);
        for (offset, length) in parts {
            self.part(&file, &found.path, offset, length)?;
        }
        self.pad(stored)
    }

    /// Writes a name of a file that has been written under another one. Whether it has.
    fn linked(&mut self, found: &Found<'_>) -> Result<bool, PackError> {
        let status = &found.status;
        let Some(first) = self.links.get(&(status.st_dev, status.st_ino)).filter(|_| status.st_nlink > 1)
        else {
            return Ok(false);
        };
        let mut entry = plain(&found.path, Kind::HardLink, status);
        entry.link.clone_from(first);
        self.header(&entry, 0)?;
        Ok(true)
    }

    /// Copies a part of a file; what is not there any more is zeros.
    fn part(&mut self, mut file: &File, path: &[u8], offset: u64, length: u64) -> Result<(), PackError> {
        rustix::fs::seek(file, SeekFrom::Start(offset)).map_err(failed("read", path))?;
        let mut left = length;
        let mut ended = false;
        while left > 0 {
            let wanted = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let mut count = 0;
            if !ended {
                count = match file.read(&mut self.piece[..wanted]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => other.map_err(failed("read", path))?,
                };
            }
            if count == 0 {
                ended = true;
                self.piece[..wanted].fill(0);
                count = wanted;
            }
            self.output.write_all(&self.piece[..count]).map_err(PackError::Write)?;
            left -= count as u64;
        }
        Ok(())
    }

    /// Links, FIFOs and devices: what has no content and is not opened.
    fn special(&mut self, found: &Found<'_>, kind: FileType) -> Result<(), PackError> {
        if self.linked(found)? {
            return Ok(());
        }
        let kind = match kind {
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::Character,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            _ => return Ok(()),
        };
        let status = &found.status;
        if status.st_nlink > 1 {
            self.links.insert((status.st_dev, status.st_ino), found.path.clone());
        }
        let mut entry = plain(&found.path, kind, status);
        if kind == Kind::Symlink {
            match rustix::fs::readlinkat(found.folder, found.name, Vec::new()) {
                Ok(link) => entry.link = link.into_bytes(),
                Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                Err(error) => return Err(failed("read", &found.path)(error)),
            }
        } else if kind != Kind::Fifo {
            let device = status.st_rdev;
            entry.device = (rustix::fs::major(device), rustix::fs::minor(device));
        }
        entry.attributes = attributes::at(found.folder, found.name).map_err(failed("read", &found.path))?;
        self.header(&entry, 0)
    }

    fn header(&mut self, entry: &Entry, stored: u64) -> Result<(), PackError> {
        self.write(&header::encode(entry, stored))
    }

    fn pad(&mut self, stored: u64) -> Result<(), PackError> {
        let rest = stored.next_multiple_of(BLOCK as u64) - stored;
        self.write(&[0; BLOCK][..usize::try_from(rest).unwrap_or(0)])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.output.write_all(bytes).map_err(PackError::Write)
    }
}

/// Opens what was found; `None` when it is gone or something else by now.
fn open(found: &Found<'_>, flags: OFlags) -> Result<Option<OwnedFd>, PackError> {
    match rustix::fs::openat(found.folder, found.name, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(error) => Err(failed("open", &found.path)(error)),
    }
}

/// Whether a folder shows the kernel's state rather than files: `/proc`, `/sys` and their like.
fn is_kernels(folder: impl AsFd) -> io::Result<bool> {
    /// proc, sysfs, cgroup, cgroup2, devpts, mqueue: magic numbers of statfs(2).
    const KINDS: [u32; 6] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x1cd1, 0x1980_0202];
    let kind = rustix::fs::fstatfs(folder)?.f_type;
    Ok(u32::try_from(kind).is_ok_and(|kind| KINDS.contains(&kind)))
}

fn plain(path: &[u8], kind: Kind, status: &Stat) -> Entry {
    Entry {
        path: path.to_vec(),
        link: vec![],
        kind,
        mode: status.st_mode & 0o7777,
        uid: status.st_uid,
        gid: status.st_gid,
        modified: (status.st_mtime, u32::try_from(status.st_mtime_nsec).unwrap_or(0)),
        device: (0, 0),
        attributes: vec![],
        sparse: None,
    }
}

/// Where a file has content, when what it lacks is worth telling.
fn extents(file: impl AsFd, status: &Stat) -> io::Result<Option<Sparse>> {
    let size = u64::try_from(status.st_size).unwrap_or(0);
    let stored = u64::try_from(status.st_blocks).unwrap_or(0).saturating_mul(512);
    if size.saturating_sub(stored) < HOLES {
        return Ok(None);
    }
    let mut map = Sparse::new(size);
    let mut at = 0;
    while at < size {
        let begin = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Ok(begin) if begin < size => begin,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&file, SeekFrom::Hole(begin))?.min(size);
        if end <= begin || map.push(begin, end - begin).is_none() {
            return Ok(None); // it changes just now, or is in too many parts
        }
        at = end;
    }
    if map.extents.last().is_none_or(|(offset, length)| offset + length < size) {
        // So that readers that go by the map see the end, too.
        map.push(size, 0);
    }
    Ok(Some(map))
}

fn shown(path: &[u8]) -> String {
    Path::new(OsStr::from_bytes(path)).display().to_string()
}

fn failed<E: Into<io::Error>>(act: &'static str, path: &[u8]) -> impl FnOnce(E) -> PackError {
    let path = shown(path);
    move |source| PackError::Read { act, path, source: source.into() }
}
