//! How far a container's output has been turned into log lines, kept so that a SIGKILL between any
//! two instructions leaves the old or the new position, never a mixture.
//!
//! Two slots in one file, written in turn, each with a sequence number and a checksum; the valid one
//! with the higher number counts.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Bytes of a slot; a whole number of them fits a page, so one write never spans two.
const SLOT: usize = 64;
const FIELDS: usize = 7;

/// A place in a stream's spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which of the stream's two spool files, 0 or 1.
    pub(crate) file: usize,
    /// Bytes of it that are in the log.
    pub(crate) offset: u64,
}

/// Everything that one commit changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// For standard output and standard error.
    pub(crate) spools: [Place; 2],
    /// Inode of the log file that `offset` is meant for.
    pub(crate) inode: u64,
    /// Bytes of the log that count.
    pub(crate) offset: u64,
}

/// The file with the two slots.
#[derive(Debug)]
pub(crate) struct PositionFile {
    file: File,
    sequence: u64,
}

impl PositionFile {
    /// Opens the file, making it when missing, and tells the position in it, if there is one.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Option<Position>)> {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut bytes = [0; SLOT * 2];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], filled as u64)? {
                0 => break,
                count => filled += count,
            }
        }
        let newest = bytes.chunks_exact(SLOT).filter_map(decode).max_by_key(|(sequence, _)| *sequence);
        let sequence = newest.map_or(0, |(sequence, _)| sequence);
        Ok((Self { file, sequence }, newest.map(|(_, position)| position)))
    }

    /// Makes `position` the one that counts.
    pub(crate) fn commit(&mut self, position: &Position) -> io::Result<()> {
        let sequence = self.sequence + 1;
        self.file.write_all_at(&encode(sequence, position), (sequence % 2) * SLOT as u64)?;
        self.sequence = sequence;
        Ok(())
    }
}

fn encode(sequence: u64, position: &Position) -> [u8; SLOT] {
    let [out, err] = position.spools;
    let files = (out.file | err.file << 1) as u64;
    let fields = [sequence, files, out.offset, err.offset, position.inode, position.offset];
    let mut bytes = [0; SLOT];
    for (field, place) in fields.iter().zip(bytes.chunks_exact_mut(8)) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    let sum = u64::from(crc32fast::hash(&bytes[..(FIELDS - 1) * 8]));
    bytes[(FIELDS - 1) * 8..FIELDS * 8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<(u64, Position)> {
    let mut fields = [0; FIELDS];
    for (field, place) in fields.iter_mut().zip(bytes.chunks_exact(8)) {
        *field = u64::from_le_bytes(place.try_into().ok()?);
    }
    let [sequence, files, out, err, inode, offset, sum] = fields;
    let valid = sequence > 0 && sum == u64::from(crc32fast::hash(&bytes[..(FIELDS - 1) * 8]));
    valid.then_some(())?;
    let place = |offset, bit: u64| Place { file: usize::from(files >> bit & 1 == 1), offset };
    Some((sequence, Position { spools: [place(out, 0), place(err, 1)], inode, offset }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_commit_counts_and_a_torn_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("position");
        let (mut file, none) = PositionFile::open(&path).unwrap();
        assert_eq!(none, None);
        let mut position = Position::default();
        for offset in 1..=5 {
            position.offset = offset;
            position.spools[1] = Place { file: 1, offset: offset * 10 };
            file.commit(&position).unwrap();
            assert_eq!(PositionFile::open(&path).unwrap().1, Some(position));
        }
        // Commit 6 goes to slot 0 and is torn in its middle.
        let torn = encode(6, &Position { offset: 6, ..position });
        File::options().write(true).open(&path).unwrap().write_all_at(&torn[..45], 0).unwrap();
        let (mut file, found) = PositionFile::open(&path).unwrap();
        assert_eq!(found, Some(position));
        file.commit(&Position { offset: 7, ..position }).unwrap();
        assert_eq!(PositionFile::open(&path).unwrap().1.unwrap().offset, 7);
    }
}
