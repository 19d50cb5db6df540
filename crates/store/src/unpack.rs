//! Writes the entries of a layer's archive into a folder, in overlayfs's form.
//!
//! A whiteout `.wh.NAME` becomes a character device 0:0 named NAME, a marker `.wh..wh..opq` the opaque
//! attribute of its folder. Both speak of lower layers only, wherever they stand in the archive: what
//! this layer itself has under the name stays. Of two entries with one name the last one wins.
//!
//! In a user namespace owners are applied as they are, since the ids inside are the archive's. What the
//! kernel keeps for the machine's root is left out and counted: device nodes, and every owner where there
//! is a single id.

use crate::archive::{Archive, Entry, Kind};
use crate::bounds::Bounds;
use crate::error::UnpackError;
use crate::ids::Ids;
use crate::tree::{Existing, Place, Tree, parts};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{self, BufRead};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

/// What a layer has and its folder does not, because only the machine's root can make it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    /// Device nodes.
    pub devices: u32,
    /// Entries that belong to somebody else than root and are now the one id's there is.
    pub owners: u32,
}

impl Omitted {
    /// Whether the layer is whole.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What has been written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    /// Bytes of all files.
    pub(crate) size: u64,
    pub(crate) omitted: Omitted,
}

/// How entries are written.
pub(crate) struct Manner {
    /// The overlay will be mounted with `userxattr`.
    pub(crate) user_attributes: bool,
    pub(crate) ids: Ids,
    pub(crate) purpose: Purpose,
}

/// What entries are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be a layer: names that begin with `.wh.` speak of lower layers, the last of two entries wins.
    Layer,
    /// To be files among others: such names are names, and a folder gives way to nothing else, nor the
    /// other way round.
    Files(Owners),
}

/// To whom files that are copied belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// To whom they belonged.
    Kept,
    /// To root.
    Root,
    /// To whoever copies.
    Copier,
}

/// The folder of a layer while its entries are written.
struct Unpacker<'a> {
    tree: Tree,
    manner: &'a Manner,
    /// Folders whose times have to be set last, because writing into them changes them.
    folders: Vec<(Vec<u8>, (i64, u32))>,
    written: Written,
    /// The names of what was left out, for its hard links.
    omitted: HashSet<Vec<u8>>,
    bounds: Bounds,
}

/// Writes all entries of `input` into the folder `target` and reads the stream to its end. Returns the
/// stream and what was written.
pub(crate) fn unpack<R: BufRead>(
    input: R,
    target: &Path,
    manner: &Manner,
    bounds: Bounds,
) -> Result<(R, Written), UnpackError> {
    let tree = Tree::open(target, manner.user_attributes).map_err(|source| failed("open", b"/", source))?;
    unpack_below(input, tree, manner, bounds)
}

/// The same into a folder that is open.
pub(crate) fn unpack_below<R: BufRead>(
    input: R,
    tree: Tree,
    manner: &Manner,
    bounds: Bounds,
) -> Result<(R, Written), UnpackError> {
    let (folders, omitted, written) = (vec![], HashSet::new(), Written::default());
    let mut unpacker = Unpacker { tree, manner, folders, written, omitted, bounds };
    let mut archive = Archive::within(bounds.bytes, input);
    while let Some(entry) = archive.next()? {
        unpacker.entry(&entry, &mut archive)?;
    }
    let input = archive.finish()?;
    unpacker.set_folder_times()?;
    Ok((input, unpacker.written))
}

fn failed(act: &'static str, path: &[u8], source: impl Into<io::Error>) -> UnpackError {
    UnpackError::Write { act, path: String::from_utf8_lossy(path).into_owned(), source: source.into() }
}

fn refused(path: &[u8], reason: &'static str) -> UnpackError {
    UnpackError::Refused { path: String::from_utf8_lossy(path).into_owned(), reason }
}

impl Unpacker<'_> {
    fn entry<R: BufRead>(&mut self, entry: &Entry, archive: &mut Archive<R>) -> Result<(), UnpackError> {
        let path = &entry.path;
        let parts = parts(path);
        let (offset, content) = archive.place();
        let size = entry.sparse.as_ref().map_or(0, |sparse| sparse.size);
        let names = self.folders.len() + self.omitted.len();
        let (read, written) = (offset.saturating_add(content), self.written.size.saturating_add(size));
        self.bounds.admit(entry, read, written, names)?;
        if entry.kind == Kind::Other {
            return Ok(());
        }
        if path.contains(&0) || entry.link.contains(&0) {
            return Err(refused(path, "its name, or the one it leads to, has a zero byte in it"));
        }
        let Some(name) = parts.last() else {
            return if entry.kind == Kind::Folder {
                let root = self.tree.root().clone();
                self.folder_attributes(&root, entry)
            } else {
                Err(refused(path, "it would replace the root folder"))
            };
        };
        let hidden = name.strip_prefix(b".wh.").filter(|_| self.manner.purpose == Purpose::Layer);
        if let Some(hidden) = hidden {
            let place = self.tree.place(&parts).map_err(|error| failed("make the folder of", path, error))?;
            return self.whiteout(path, &Place { folder: place.folder, name: hidden });
        }
        let place = self.tree.place(&parts).map_err(|error| failed("make the folder of", path, error))?;
        match entry.kind {
            Kind::File => self.file(entry, &place, archive),
            Kind::Folder => self.folder(entry, &place),
            Kind::HardLink => self.hard_link(entry, &place),
            _ => self.special(entry, &place),
        }
    }

    fn whiteout(&mut self, path: &[u8], place: &Place<'_>) -> Result<(), UnpackError> {
        match place.name {
            b".wh..opq" => {
                self.tree.make_opaque(&place.folder).map_err(|error| failed("make opaque", path, error))
            }
            b"" | b"." | b".." => Err(refused(path, "it hides no name")),
            // What aufs kept its own books in.
            name if name.starts_with(b".wh.") => Ok(()),
            name => {
                let made =
                    rustix::fs::mknodat(&place.folder, name, FileType::CharacterDevice, Mode::empty(), 0);
                match made {
                    Ok(()) => Ok(()),
                    Err(Errno::EXIST) => self.hide_below(place).map_err(|error| failed("hide", path, error)),
                    Err(error) => Err(failed("hide", path, error)),
                }
            }
        }
    }

    /// This layer has something of its own where it hides what lower layers have. A file does so by
    /// being there; a folder would be merged.
    fn hide_below(&self, place: &Place<'_>) -> io::Result<()> {
        if place.existing()? == Existing::Folder {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = rustix::fs::openat(&place.folder, place.name, flags, Mode::empty())?;
            self.tree.make_opaque(folder)?;
        }
        Ok(())
    }

    fn file<R: BufRead>(
        &mut self,
        entry: &Entry,
        place: &Place<'_>,
        archive: &mut Archive<R>,
    ) -> Result<(), UnpackError> {
        let write = |error: io::Error| failed("write", &entry.path, error);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(&place.folder, place.name, flags, Mode::from_raw_mode(0o600));
        let file = match open() {
            Err(Errno::EXIST) => {
                self.make_room(entry, place)?;
                open()
            }
            other => other,
        };
        let file = file.map_err(|error| write(error.into()))?;
        match &entry.sparse {
            None => {
                self.written.size += copy(archive, &file, u64::MAX, None).map_err(|error| error.at(entry))?
            }
            Some(sparse) => {
                for (offset, length) in &sparse.extents {
                    copy(archive, &file, *length, Some(*offset)).map_err(|error| error.at(entry))?;
                }
                rustix::fs::ftruncate(&file, sparse.size).map_err(|error| write(error.into()))?;
                self.written.size += sparse.size;
            }
        }
        self.attributes(&file, entry)?;
        rustix::fs::futimens(&file, &times(entry.modified)).map_err(|error| write(error.into()))
    }

    fn folder(&mut self, entry: &Entry, place: &Place<'_>) -> Result<(), UnpackError> {
        let make = |error: io::Error| failed("make", &entry.path, error);
        let mkdir = || rustix::fs::mkdirat(&place.folder, place.name, Mode::from_raw_mode(0o700));
        let mut hides = false;
        if let Err(error) = mkdir() {
            if error != Errno::EXIST {
                return Err(make(error.into()));
            }
            let existing = place.existing().map_err(make)?;
            if existing != Existing::Folder {
                hides = existing == Existing::Whiteout;
                self.make_room(entry, place)?;
                mkdir().map_err(|error| make(error.into()))?;
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&place.folder, place.name, flags, Mode::empty());
        let folder = Rc::new(folder.map_err(|error| make(error.into()))?);
        if hides {
            self.tree.make_opaque(&folder).map_err(make)?;
        }
        self.folder_attributes(&folder, entry)
    }

    fn folder_attributes(&mut self, folder: &Rc<OwnedFd>, entry: &Entry) -> Result<(), UnpackError> {
        self.attributes(folder, entry)?;
        self.folders.push((entry.path.clone(), entry.modified));
        Ok(())
    }

    fn hard_link(&mut self, entry: &Entry, place: &Place<'_>) -> Result<(), UnpackError> {
        let link = |error: io::Error| failed("link", &entry.path, error);
        let target = parts(&entry.link);
        if target == parts(&entry.path) {
            return Ok(());
        }
        if target.is_empty() {
            return Err(refused(&entry.path, "it is a link to the root folder"));
        }
        let named = target.join(&b'/');
        let target = self.tree.place(&target).map_err(link)?;
        match target.existing().map_err(link)? {
            Existing::Other => {}
            Existing::Nothing if self.omitted.contains(&named) => {
                self.make_room(entry, place)?;
                self.leave_out(&parts(&entry.path));
                return Ok(());
            }
            Existing::Nothing | Existing::Whiteout => {
                return Err(refused(&entry.path, "it is a hard link to a file that its layer does not have"));
            }
            Existing::Folder => return Err(refused(&entry.path, "it is a hard link to a folder")),
        }
        let make =
            || rustix::fs::linkat(&target.folder, target.name, &place.folder, place.name, AtFlags::empty());
        match make() {
            Err(Errno::EXIST) => {
                self.make_room(entry, place)?;
                make()
            }
            other => other,
        }
        .map_err(|error| link(error.into()))
    }

    /// Links, devices, FIFOs: what has no content and is not opened.
    fn special(&mut self, entry: &Entry, place: &Place<'_>) -> Result<(), UnpackError> {
        let make = |error: io::Error| failed("make", &entry.path, error);
        let (major, minor) = entry.device;
        if entry.kind == Kind::Character && entry.device == (0, 0) {
            return Err(refused(&entry.path, "the device 0:0 would hide lower layers"));
        }
        let node = |kind, device| {
            rustix::fs::mknodat(&place.folder, place.name, kind, Mode::from_raw_mode(0o600), device)
        };
        let create = || match entry.kind {
            Kind::Symlink => rustix::fs::symlinkat(entry.link.as_slice(), &place.folder, place.name),
            Kind::Character => node(FileType::CharacterDevice, rustix::fs::makedev(major, minor)),
            Kind::Block => node(FileType::BlockDevice, rustix::fs::makedev(major, minor)),
            _ => node(FileType::Fifo, 0),
        };
        let mut created = create();
        if created == Err(Errno::EXIST) {
            self.make_room(entry, place)?;
            created = create();
        }
        match created {
            Err(Errno::PERM) if matches!(entry.kind, Kind::Character | Kind::Block) && self.is_user() => {
                self.leave_out(&parts(&entry.path));
                return Ok(());
            }
            other => other.map_err(|error| make(error.into()))?,
        }
        let owner = self.owner(entry)?;
        special_attributes(entry, place, owner)
            .map_err(|error| failed("set the attributes of", &entry.path, error))
    }

    /// Removes what is at an entry's place and is not what the entry is.
    fn make_room(&mut self, entry: &Entry, place: &Place<'_>) -> Result<(), UnpackError> {
        let replace = |error: io::Error| failed("replace", &entry.path, error);
        if let Purpose::Files(_) = self.manner.purpose {
            let folder = place.existing().map_err(replace)? == Existing::Folder;
            match (folder, entry.kind == Kind::Folder) {
                (true, false) => return Err(refused(&entry.path, "a folder is in its place")),
                (false, true) => {
                    return Err(refused(&entry.path, "something that is no folder is in its place"));
                }
                _ => {}
            }
        }
        self.tree.clear(place).map_err(|error| failed("replace", &entry.path, error))
    }

    /// Notes that a device node, or a hard link to one, was not made.
    fn leave_out(&mut self, parts: &[&[u8]]) {
        self.written.omitted.devices += 1;
        self.omitted.insert(parts.join(&b'/'));
    }

    /// Whether what is asked of the kernel is asked by an ordinary user.
    fn is_user(&self) -> bool {
        self.manner.user_attributes
    }

    /// Owner, mode and extended attributes of an open file or folder, in the order that keeps set-uid
    /// bits and file capabilities: a change of owner takes both away.
    fn attributes(&mut self, file: impl AsFd, entry: &Entry) -> Result<(), UnpackError> {
        let owner = self.owner(entry)?;
        let set = || -> io::Result<()> {
            if let Some((user, group)) = owner {
                rustix::fs::fchown(&file, Some(uid(user)), Some(gid(group)))?;
            }
            rustix::fs::fchmod(&file, Mode::from_raw_mode(entry.mode))?;
            for (name, value) in kept(&entry.attributes) {
                tolerate(rustix::fs::fsetxattr(&file, name, value, XattrFlags::empty()))?;
            }
            Ok(())
        };
        set().map_err(|error| failed("set the attributes of", &entry.path, error))
    }

    /// The owner to apply; `None` where there is a single id.
    fn owner(&mut self, entry: &Entry) -> Result<Option<(u32, u32)>, UnpackError> {
        let (uid, gid) = match self.manner.purpose {
            Purpose::Files(Owners::Copier) => return Ok(None),
            Purpose::Files(Owners::Root) => (0, 0),
            Purpose::Layer | Purpose::Files(Owners::Kept) => (entry.uid, entry.gid),
        };
        let owner = self.manner.ids.owner(uid, gid);
        if owner == Ok(None) && (uid, gid) != (0, 0) {
            self.written.omitted.owners += 1;
        }
        owner.map_err(|unmapped| UnpackError::NoId {
            path: String::from_utf8_lossy(&entry.path).into_owned(),
            kind: unmapped.kind,
            id: unmapped.id,
            count: unmapped.count,
        })
    }

    fn set_folder_times(&mut self) -> Result<(), UnpackError> {
        for (path, modified) in std::mem::take(&mut self.folders) {
            // An entry that came later may have put something else there.
            if let Ok(folder) = self.tree.reopen(&parts(&path)) {
                rustix::fs::futimens(&folder, &times(modified))
                    .map_err(|error| failed("set the time of", &path, error))?;
            }
        }
        Ok(())
    }
}

/// Copying an entry's content failed on one of its two sides.
enum CopyError {
    Read(UnpackError),
    Write(io::Error),
}

impl CopyError {
    fn at(self, entry: &Entry) -> UnpackError {
        match self {
            Self::Read(error) => error,
            Self::Write(error) => failed("write", &entry.path, error),
        }
    }
}

/// Copies up to `limit` bytes of the entry's content into the file, at its position or at `offset`.
fn copy<R: BufRead>(
    archive: &mut Archive<R>,
    file: &OwnedFd,
    limit: u64,
    mut offset: Option<u64>,
) -> Result<u64, CopyError> {
    let mut copied = 0;
    while copied < limit {
        let piece = archive.content().map_err(CopyError::Read)?;
        let piece = &piece[..piece.len().min(usize::try_from(limit - copied).unwrap_or(usize::MAX))];
        if piece.is_empty() {
            break;
        }
        let written = rustix::io::retry_on_intr(|| match offset {
            Some(offset) => rustix::io::pwrite(file, piece, offset),
            None => rustix::io::write(file, piece),
        });
        let written = written.map_err(|error| CopyError::Write(error.into()))?;
        archive.consume(written);
        copied += written as u64;
        offset = offset.map(|offset| offset + written as u64);
    }
    Ok(copied)
}

fn special_attributes(entry: &Entry, place: &Place<'_>, owner: Option<(u32, u32)>) -> io::Result<()> {
    let (folder, name) = (&place.folder, place.name);
    if let Some((user, group)) = owner {
        rustix::fs::chownat(folder, name, Some(uid(user)), Some(gid(group)), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if entry.kind != Kind::Symlink {
        rustix::fs::chmodat(folder, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())?;
    }
    for (name, value) in kept(&entry.attributes) {
        tolerate(rustix::fs::lsetxattr(place.by_descriptor(), name, value, XattrFlags::empty()))?;
    }
    rustix::fs::utimensat(folder, name, &times(entry.modified), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// The attributes that an image may set: not those that overlayfs keeps its own books in, nor the labels of a security
/// module, which are this machine's to give.
fn kept(attributes: &[(Vec<u8>, Vec<u8>)]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let foreign: [&[u8]; 4] =
        [b"trusted.overlay.", b"user.overlay.", b"security.selinux", b"security.SMACK64"];
    attributes
        .iter()
        .filter(move |(name, _)| !foreign.iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, value)| (name.as_slice(), value.as_slice()))
}

/// File systems without such attributes, and kinds of files that may not have them, are no failure.
fn tolerate(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        other => Ok(other?),
    }
}

pub(crate) fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

pub(crate) fn uid(raw: u32) -> rustix::fs::Uid {
    rustix::fs::Uid::from_raw(raw)
}

pub(crate) fn gid(raw: u32) -> rustix::fs::Gid {
    rustix::fs::Gid::from_raw(raw)
}
