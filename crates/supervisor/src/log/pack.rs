//! Compressed log files: what a rotated file becomes, a piece at a time, so that the one thread goes on
//! with everything else meanwhile.
//!
//! ```text
//! log.2 --pieces--> log.gz.part --rename--> log.2.gz, then log.2 is removed
//! ```
//! A kill leaves `log.2`, with or without its successor: it is packed again. The header tells the inode
//! of the file that was packed, by which a reader knows it again.

use super::reader::rotated;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder, read::GzDecoder};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes packed at once, which takes about a millisecond.
const PIECE: usize = 64 * 1024;
/// The two letters under which the inode stands in the header's extra field.
const KEY: [u8; 2] = *b"in";

/// A file being packed.
pub(crate) struct Packing {
    from: File,
    /// Which of the rotated files it is by now.
    pub(crate) number: u32,
    offset: u64,
    part: PathBuf,
    into: GzEncoder<File>,
}

impl std::fmt::Debug for Packing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packing").field("number", &self.number).field("offset", &self.offset).finish()
    }
}

impl Packing {
    /// Begins with the newest rotated file that is not packed, among the first `oldest`.
    pub(crate) fn begin(log: &Path, oldest: u32) -> io::Result<Option<Self>> {
        let part = part(log);
        drop(std::fs::remove_file(&part));
        let Some(number) = (1..=oldest).find(|number| rotated(log, *number).exists()) else {
            return Ok(None);
        };
        let from = File::open(rotated(log, number))?;
        let into = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let into = GzBuilder::new().extra(extra(from.metadata()?.ino())).write(into, Compression::fast());
        Ok(Some(Self { from, number, offset: 0, part, into }))
    }

    /// Packs a piece; whether that was the last.
    pub(crate) fn go_on(&mut self, scratch: &mut Vec<u8>) -> io::Result<bool> {
        scratch.resize(PIECE, 0);
        let count = self.from.read_at(scratch, self.offset)?;
        self.into.write_all(&scratch[..count])?;
        self.offset += count as u64;
        Ok(count == 0)
    }

    /// All is packed: takes the place of the file.
    pub(crate) fn finish(self, log: &Path) -> io::Result<()> {
        self.into.finish()?;
        std::fs::rename(&self.part, packed(log, self.number))?;
        std::fs::remove_file(rotated(log, self.number))
    }

    /// The file is gone, or cannot be packed.
    pub(crate) fn give_up(self) {
        drop(std::fs::remove_file(&self.part));
    }
}

/// The name of a rotated file that is packed.
pub(crate) fn packed(log: &Path, number: u32) -> PathBuf {
    let mut name = rotated(log, number).into_os_string();
    name.push(".gz");
    name.into()
}

fn part(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".gz.part");
    name.into()
}

fn extra(inode: u64) -> Vec<u8> {
    let mut bytes = KEY.to_vec();
    bytes.extend((size_of::<u64>() as u16).to_le_bytes());
    bytes.extend(inode.to_le_bytes());
    bytes
}

/// The inode of the file that was packed into this one.
pub(crate) fn origin(file: &File) -> io::Result<u64> {
    let decoder = GzDecoder::new(At { file, offset: 0 });
    let extra = decoder.header().and_then(|header| header.extra()).unwrap_or_default();
    let inode = extra.strip_prefix(&KEY).and_then(|rest| rest.get(2..10)?.try_into().ok());
    Ok(inode.map_or(file.metadata()?.ino(), u64::from_le_bytes))
}

/// What is in it, in a file without a name.
pub(crate) fn unpack(file: &File) -> io::Result<File> {
    let plain = rustix::fs::memfd_create("log", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut plain = File::from(plain);
    io::copy(&mut GzDecoder::new(At { file, offset: 0 }), &mut plain)?;
    Ok(plain)
}

/// Reads a file from its beginning whatever its cursor.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl io::Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
