//! How far a log has been sent, kept so that whoever takes over sends no line again that is known to
//! have been taken, and leaves none out.

use crate::log::reader::Place;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Bytes: inode, offset and a checksum over them.
const LENGTH: usize = 24;

/// The file that tells.
#[derive(Debug)]
pub(super) struct PlaceFile(File);

impl PlaceFile {
    /// Opens it, making it when missing, and tells what it says.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<Place>)> {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut bytes = [0; LENGTH];
        let place = file.read_exact_at(&mut bytes, 0).ok().and_then(|()| decode(&bytes));
        Ok((Self(file), place))
    }

    pub(super) fn write(&self, place: Place) -> io::Result<()> {
        self.0.write_all_at(&encode(place), 0)
    }
}

fn encode(place: Place) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&place.origin.to_le_bytes());
    bytes[8..16].copy_from_slice(&place.offset.to_le_bytes());
    let sum = u64::from(crc32fast::hash(&bytes[..16])) + 1;
    bytes[16..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; LENGTH]) -> Option<Place> {
    let field = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    let place = Place { origin: field(0)?, offset: field(8)? };
    (encode(place) == *bytes).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_counts_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sent");
        let (file, none) = PlaceFile::open(&path).unwrap();
        assert_eq!(none, None);
        let place = Place { origin: 5, offset: 7 };
        file.write(place).unwrap();
        assert_eq!(PlaceFile::open(&path).unwrap().1, Some(place));
        std::fs::write(&path, [0; LENGTH]).unwrap();
        assert_eq!(PlaceFile::open(&path).unwrap().1, None);
    }
}
