//! Turns what a container writes into log lines, so that a SIGKILL at any instant loses and doubles
//! nothing.
//!
//! ```text
//! FIFO --splice, at the spool's end--> spool --whole lines, at a committed offset--> log
//!                                                  `--> position: commit
//! ```
//! A splice moves bytes inside the kernel: they are in the FIFO or in the spool. Lines are written to
//! the log at the committed offset, and the commit moves both offsets at once. A successor that finds
//! lines beyond the committed offset writes the same lines over them; a record's length follows from
//! its text alone, so it covers them exactly. How much is spooled is the spool's length and needs no
//! commit. When a spool has grown, its unfinished rest is copied to the stream's other file and the
//! commit switches.

use super::pack::{self, Packing};
use super::position::{Place, Position, PositionFile};
use super::reader::rotated;
use super::record::{self, Stream};
use resource::{LogConfig, LogMode, Timestamp};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{SpliceFlags, splice};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes moved at once.
const MOVE: usize = 64 * 1024;
/// Bytes of a spool at which its rest moves to the other file.
const SWITCH: u64 = 256 * 1024;
/// Bytes that wait for a log that cannot be written before the container has to wait, too.
const BACKLOG: u64 = 1 << 20;

/// What became of an attempt to move output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Some bytes; there may be more.
    Some,
    /// There was nothing.
    Nothing,
    /// The log or the spool cannot be written: try again later, the container waits.
    Stalled,
    /// The log cannot be written: try again later, while its output is taken all the same.
    Behind,
}

/// The log of one container.
#[derive(Debug)]
pub(crate) struct Pump {
    path: PathBuf,
    config: LogConfig,
    /// As records have them.
    attributes: Vec<u8>,
    log: File,
    spools: [Spool; 2],
    position: Position,
    commits: PositionFile,
    /// The rotated file that is being packed.
    packing: Option<Packing>,
    /// Bytes of each stream that there was no room for, and that the log does not tell of yet.
    dropped: [u64; 2],
    /// The log could not be written, and nobody waits for it: only [`Pump::retry`] tries again.
    behind: bool,
}

#[derive(Debug)]
struct Spool {
    files: [File; 2],
    /// Bytes in the file that is in use.
    length: u64,
}

/// Makes the FIFO of a stream in a container's run-time folder when missing, and opens it for both
/// directions: a writer that holds it so never sees its other end closed.
pub(crate) fn open_fifo(folder: &Path, name: &str, blocking: bool) -> io::Result<OwnedFd> {
    let path = folder.join(name);
    let mode = Mode::from_raw_mode(0o600);
    match rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let flags = if blocking { flags } else { flags | OFlags::NONBLOCK };
    Ok(rustix::fs::open(&path, flags, Mode::empty())?)
}

impl Pump {
    /// Opens the log at `path` of the container whose run-time folder is `folder`, with the attributes of
    /// its records. With `adopt`, it goes on where a killed predecessor was; else it begins at the end of
    /// the log.
    pub(crate) fn open(
        folder: &Path,
        path: &Path,
        config: &LogConfig,
        attributes: Vec<u8>,
        adopt: bool,
    ) -> io::Result<Self> {
        let (commits, found) = PositionFile::open(&folder.join("position"))?;
        let mut position = found.unwrap_or_default();
        let mut spools = [Spool::open(folder, Stream::Stdout)?, Spool::open(folder, Stream::Stderr)?];
        for (spool, place) in spools.iter_mut().zip(&mut position.spools) {
            spool.resume(place, adopt)?;
        }
        let log = open_log(path)?;
        let metadata = log.metadata()?;
        let known = adopt && found.is_some() && position.inode == metadata.ino();
        if !known || position.offset > metadata.len() {
            (position.inode, position.offset) = (metadata.ino(), whole(&log, metadata.len())?);
        }
        let (path, config) = (path.to_owned(), config.clone());
        let mut pump = Self {
            path,
            config,
            attributes,
            log,
            spools,
            position,
            commits,
            packing: None,
            dropped: [0; 2],
            behind: false,
        };
        pump.commits.commit(&pump.position)?;
        pump.pack_next();
        Ok(pump)
    }

    /// Moves what is in a FIFO, once, and writes the lines it completes.
    pub(crate) fn take(&mut self, stream: Stream, fifo: impl AsFd, scratch: &mut Vec<u8>) -> Moved {
        if self.waiting(stream) >= self.backlog() {
            // The lines first: the log may be writable again.
            let written = !self.behind && self.write(stream, false, scratch).is_ok();
            if !written && self.waiting(stream) >= self.backlog() {
                return self.refuse(stream, fifo, scratch);
            }
        }
        if self.tell_dropped(stream).is_err() {
            return self.refuse(stream, fifo, scratch);
        }
        let place = self.position.spools[stream as usize];
        let spool = &mut self.spools[stream as usize];
        let mut offset = spool.length;
        let flags = SpliceFlags::NONBLOCK;
        match splice(&fifo, None, &spool.files[place.file], Some(&mut offset), MOVE, flags) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => Moved::Nothing,
            Err(rustix::io::Errno::INTR) => Moved::Some,
            Err(_) => self.refuse(stream, fifo, scratch),
            Ok(count) => {
                spool.length += count as u64;
                if !self.behind && self.write(stream, false, scratch).is_ok() {
                    return Moved::Some;
                }
                self.behind = self.config.mode != LogMode::Blocking;
                if self.behind { Moved::Behind } else { Moved::Stalled }
            }
        }
    }

    /// Takes output that was read from a terminal.
    pub(crate) fn feed(&mut self, bytes: &[u8], scratch: &mut Vec<u8>) -> io::Result<()> {
        let stream = Stream::Stdout;
        if self.waiting(stream) < self.backlog() {
            self.tell_dropped(stream)?;
            self.append(stream, bytes)?;
        } else {
            self.dropped[stream as usize] += bytes.len() as u64;
        }
        self.write(stream, false, scratch)
    }

    /// Writes what has been spooled, as far as it makes whole lines.
    ///
    /// # Errors
    /// What the kernel says of the log; nothing is lost, and it can be tried again.
    pub(crate) fn retry(&mut self, scratch: &mut Vec<u8>) -> io::Result<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.write(stream, false, scratch)?;
            if self.tell_dropped(stream)? {
                self.write(stream, false, scratch)?;
            }
        }
        self.behind = false;
        Ok(())
    }

    /// The container has ended: takes the rest out of its FIFOs and writes unfinished lines, too.
    ///
    /// # Errors
    /// What the kernel says of the log.
    pub(crate) fn finish(&mut self, fifos: [Option<&OwnedFd>; 2], scratch: &mut Vec<u8>) -> io::Result<()> {
        self.behind = false;
        for (stream, fifo) in [Stream::Stdout, Stream::Stderr].into_iter().zip(fifos) {
            if let Some(fifo) = fifo {
                while matches!(self.take(stream, fifo, scratch), Moved::Some | Moved::Behind) {}
            }
            self.tell_dropped(stream)?;
            self.write(stream, true, scratch)?;
        }
        Ok(())
    }

    /// Whether a rotated file waits to be packed.
    pub(crate) fn packs(&self) -> bool {
        self.packing.is_some()
    }

    /// Packs a piece of a rotated file. What cannot be packed stays as it is.
    ///
    /// # Errors
    /// What the kernel says of the files.
    pub(crate) fn pack(&mut self, scratch: &mut Vec<u8>) -> io::Result<()> {
        let Some(mut packing) = self.packing.take() else { return Ok(()) };
        match packing.go_on(scratch) {
            Ok(false) => self.packing = Some(packing),
            Ok(true) => {
                packing.finish(&self.path)?;
                self.pack_next();
            }
            Err(error) => {
                packing.give_up();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Begins to pack the next file, if there is one. A file that cannot be opened is left as it is.
    fn pack_next(&mut self) {
        if self.config.compress && self.packing.is_none() {
            self.packing = Packing::begin(&self.path, self.config.max_file).ok().flatten();
        }
    }

    /// Bytes that may wait for the log.
    fn backlog(&self) -> u64 {
        match self.config.mode {
            LogMode::Blocking => BACKLOG,
            LogMode::NonBlocking(bytes) => bytes.max(MOVE as u64),
        }
    }

    /// Bytes spooled and not in the log.
    fn waiting(&self, stream: Stream) -> u64 {
        self.spools[stream as usize].length - self.position.spools[stream as usize].offset
    }

    /// There is no room: the container waits, or its output is dropped.
    fn refuse(&mut self, stream: Stream, fifo: impl AsFd, scratch: &mut Vec<u8>) -> Moved {
        if self.config.mode == LogMode::Blocking {
            return Moved::Stalled;
        }
        self.behind = true;
        scratch.resize(MOVE, 0);
        match rustix::io::retry_on_intr(|| rustix::io::read(&fifo, &mut scratch[..])) {
            Ok(count) if count > 0 => {
                self.dropped[stream as usize] += count as u64;
                Moved::Behind
            }
            _ => Moved::Nothing,
        }
    }

    /// Says in the log, at the place, how much was dropped there; tells whether there was something.
    fn tell_dropped(&mut self, stream: Stream) -> io::Result<bool> {
        let dropped = self.dropped[stream as usize];
        if dropped == 0 {
            return Ok(false);
        }
        let place = self.position.spools[stream as usize];
        let spool = &self.spools[stream as usize];
        let mut last = *b"\n";
        if spool.length > 0 {
            spool.files[place.file].read_exact_at(&mut last, spool.length - 1)?;
        }
        let start = if last == *b"\n" { "" } else { "\n" };
        let notice =
            format!("{start}[compose: {dropped} bytes are missing here, the log could not be written]\n");
        self.append(stream, notice.as_bytes())?;
        self.dropped[stream as usize] = 0;
        Ok(true)
    }

    /// Puts bytes at the end of a spool.
    fn append(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let place = self.position.spools[stream as usize];
        let spool = &mut self.spools[stream as usize];
        spool.files[place.file].write_all_at(bytes, spool.length)?;
        spool.length += bytes.len() as u64;
        Ok(())
    }

    /// Turns spooled bytes into records and appends them; `end` says that no more will come.
    fn write(&mut self, stream: Stream, end: bool, scratch: &mut Vec<u8>) -> io::Result<()> {
        let mut records = Vec::new();
        while self.waiting(stream) > 0 {
            let place = self.position.spools[stream as usize];
            let spool = &self.spools[stream as usize];
            let waiting = spool.length - place.offset;
            scratch.resize(waiting.min(MOVE as u64) as usize, 0);
            spool.files[place.file].read_exact_at(scratch, place.offset)?;
            let last = end && scratch.len() as u64 == waiting;
            let room = self.config.max_size.map(|size| size.saturating_sub(self.position.offset));
            records.clear();
            let used = fill(scratch, stream, &self.attributes, last, room, &mut records);
            if used == 0 {
                break;
            }
            self.log.write_all_at(&records, self.position.offset)?;
            self.position.offset += records.len() as u64;
            self.position.spools[stream as usize].offset += used as u64;
            self.commits.commit(&self.position)?;
            if self.config.max_size.is_some_and(|size| self.position.offset >= size) {
                self.rotate()?;
            }
        }
        self.switch(stream, scratch)
    }

    /// Starts the stream's other spool file when this one has grown.
    fn switch(&mut self, stream: Stream, scratch: &mut Vec<u8>) -> io::Result<()> {
        let place = self.position.spools[stream as usize];
        let spool = &mut self.spools[stream as usize];
        let rest = spool.length - place.offset;
        // A large rest means that the log is stuck; copying it would help nobody.
        if spool.length < SWITCH || rest > MOVE as u64 {
            return Ok(());
        }
        scratch.resize(rest as usize, 0);
        spool.files[place.file].read_exact_at(scratch, place.offset)?;
        let other = 1 - place.file;
        spool.files[other].set_len(0)?;
        spool.files[other].write_all_at(scratch, 0)?;
        self.position.spools[stream as usize] = Place { file: other, offset: 0 };
        if let Err(error) = self.commits.commit(&self.position) {
            self.position.spools[stream as usize] = place;
            return Err(error);
        }
        spool.length = rest;
        spool.files[place.file].set_len(0)
    }

    /// Makes the current file the first of the old ones and starts a new one. A kill half-way leaves
    /// one number out, which the next rotation fills.
    fn rotate(&mut self) -> io::Result<()> {
        let oldest = self.config.max_file.max(1) - 1;
        if oldest == 0 {
            std::fs::remove_file(&self.path)?;
        } else {
            let taken = |number: &u32| {
                rotated(&self.path, *number).exists() || pack::packed(&self.path, *number).exists()
            };
            let free = (1..oldest).find(|number| !taken(number)).unwrap_or(oldest);
            for number in (1..free).rev() {
                self.shift(number)?;
            }
            if let Some(packing) = self.packing.take_if(|packing| free == 1 && packing.number == 1) {
                packing.give_up();
            }
            remove(&pack::packed(&self.path, 1))?;
            std::fs::rename(&self.path, rotated(&self.path, 1))?;
        }
        self.log = open_log(&self.path)?;
        (self.position.inode, self.position.offset) = (self.log.metadata()?.ino(), 0);
        self.pack_next();
        self.commits.commit(&self.position)
    }

    /// Makes a rotated file one older, packed or not, in place of the one that is.
    fn shift(&mut self, number: u32) -> io::Result<()> {
        for name in [rotated, pack::packed] {
            let older = name(&self.path, number + 1);
            match std::fs::rename(name(&self.path, number), &older) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => remove(&older)?,
                other => other?,
            }
        }
        match &mut self.packing {
            Some(packing) if packing.number == number => packing.number += 1,
            Some(packing) if packing.number == number + 1 => {
                if let Some(packing) = self.packing.take() {
                    packing.give_up();
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Removes a file that may be gone.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl Spool {
    fn open(folder: &Path, stream: Stream) -> io::Result<Self> {
        let open = |number| {
            let path = folder.join(format!("{}.spool{number}", stream.as_str()));
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
        };
        Ok(Self { files: [open(0)?, open(1)?], length: 0 })
    }

    /// Goes on at `place`, or empties the spool.
    fn resume(&mut self, place: &mut Place, adopt: bool) -> io::Result<()> {
        self.files[1 - place.file].set_len(0)?;
        if adopt {
            self.length = self.files[place.file].metadata()?.len();
            place.offset = place.offset.min(self.length);
        } else {
            self.files[place.file].set_len(0)?;
            (self.length, place.offset) = (0, 0);
        }
        Ok(())
    }
}

/// Makes records of the pieces in `bytes` until `room` bytes are full; tells how many bytes it used.
fn fill(
    bytes: &[u8],
    stream: Stream,
    attributes: &[u8],
    end: bool,
    room: Option<u64>,
    records: &mut Vec<u8>,
) -> usize {
    let now = Timestamp::now();
    let mut used = 0;
    while let Some(length) = record::piece(&bytes[used..], end) {
        record::encode(&bytes[used..used + length], stream, attributes, now, records);
        used += length;
        if room.is_some_and(|room| records.len() as u64 >= room) {
            break;
        }
    }
    used
}

fn open_log(path: &Path) -> io::Result<File> {
    let open = || File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    match (open(), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            sys::file::create_private_folder(folder)?;
            open()
        }
        (other, _) => other,
    }
}

/// The end of a log's last whole record: what a power cut left behind it is overwritten.
fn whole(log: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut byte = [0];
    while end > 0 {
        log.read_exact_at(&mut byte, end - 1)?;
        if byte[0] == b'\n' {
            break;
        }
        end -= 1;
    }
    if end < length {
        log.set_len(end)?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests;
