//! What is in an uncompressed tar archive that can be read at any place: names and places, no content.
//!
//! For archives of images, whose files are found by name. Names mean nothing to a file system here: nothing
//! is ever written under one.

use crate::archive::{Archive, Kind};
use crate::error::UnpackError;
use std::fs::File;
use std::io::{BufReader, Seek};

/// Entries that an archive may have: more is nothing that images need.
const MEMBER_LIMIT: usize = 1 << 16;

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, as written.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A file whose content is so many bytes from this offset on.
    File {
        /// Offset of the content in the archive.
        at: u64,
        /// Bytes of it.
        size: u64,
    },
    /// Another name of what is under this one, seen from the folder that the link is in.
    Symlink(Vec<u8>),
    /// Another name of what is under this one, seen from the archive's root.
    HardLink(Vec<u8>),
    /// A folder, or what images do not consist of.
    Other,
}

/// The entries of an archive, in its order.
///
/// # Errors
/// [`UnpackError::Archive`] when it is damaged, ends inside an entry or has too many,
/// [`UnpackError::Refused`] of a sparse file.
pub fn members(archive: &File) -> Result<Vec<Member>, UnpackError> {
    let length = archive.metadata().map_err(UnpackError::Read)?.len();
    let mut input = BufReader::new(archive);
    input.rewind().map_err(UnpackError::Read)?;
    let mut walk = Archive::new(input);
    let mut found = vec![];
    while let Some(entry) = walk.next()? {
        let (at, size) = walk.place();
        if at.checked_add(size).is_none_or(|end| end > length) {
            return Err(UnpackError::Archive { offset: length, reason: "it ends inside a file" });
        }
        if found.len() == MEMBER_LIMIT {
            return Err(UnpackError::Archive { offset: at, reason: "it has too many entries" });
        }
        let kind = match entry.kind {
            Kind::File if entry.sparse.is_some() => {
                let path = String::from_utf8_lossy(&entry.path).into_owned();
                return Err(UnpackError::Refused { path, reason: "it is a sparse file" });
            }
            Kind::File => MemberKind::File { at, size },
            Kind::Symlink => MemberKind::Symlink(entry.link),
            Kind::HardLink => MemberKind::HardLink(entry.link),
            _ => MemberKind::Other,
        };
        found.push(Member { name: entry.path, kind });
        walk.pass()?;
    }
    Ok(found)
}
