//! Reads a log across its rotated files.
//!
//! Only whole records are handed out: the reader's place is always the start of one, because a pump
//! that took over from a killed one may write the same record again with another time in it.

use super::pack;
use super::record::{self, Line};
use resource::Timestamp;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The last so many lines, counted before the times are looked at; `None` is all.
    pub tail: Option<usize>,
    /// Lines from this time on.
    pub since: Option<Timestamp>,
    /// Lines up to this time.
    pub until: Option<Timestamp>,
}

/// A place in a log. Reading never waits: when [`Reader::next`] has nothing more, a
/// [`super::Watch`] on the folder tells when to ask again.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    query: Query,
    /// Files still to be read, oldest first; the last was the current one when it was opened.
    files: VecDeque<Part>,
    buffer: Vec<u8>,
    /// Bytes of `buffer` handed out already.
    taken: usize,
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Inode of the file as it was written.
    pub(crate) origin: u64,
    /// Bytes of it that were read.
    pub(crate) offset: u64,
}

#[derive(Debug)]
struct Part {
    file: File,
    /// It is still packed.
    packed: bool,
    /// Inode of the file as it was written.
    origin: u64,
    /// Where the bytes after those in the buffer are.
    offset: u64,
}

impl Part {
    fn plain(file: File) -> io::Result<Self> {
        Ok(Self { origin: file.metadata()?.ino(), file, packed: false, offset: 0 })
    }

    fn packed(file: File) -> io::Result<Self> {
        Ok(Self { origin: pack::origin(&file)?, file, packed: true, offset: 0 })
    }

    /// The lines of it.
    fn lines(&mut self) -> io::Result<&File> {
        if self.packed {
            self.file = pack::unpack(&self.file)?;
            self.packed = false;
        }
        Ok(&self.file)
    }
}

impl Reader {
    /// Opens the log at `path` and its rotated files. A log that does not exist yet is empty.
    ///
    /// # Errors
    /// What open(2) or read(2) says.
    pub fn open(path: &Path, query: Query) -> io::Result<Self> {
        let files = open_all(path)?;
        let mut reader = Self { path: path.to_owned(), query, files, buffer: Vec::new(), taken: 0 };
        if let Some(tail) = query.tail {
            reader.seek_tail(tail)?;
        }
        Ok(reader)
    }

    /// Opens the log where an earlier reader was; at its beginning when that file is gone.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub(crate) fn resume(path: &Path, place: Place) -> io::Result<Self> {
        let mut reader = Self::open(path, Query::default())?;
        if let Some(index) = reader.files.iter().rposition(|part| part.origin == place.origin) {
            reader.files.drain(..index);
            reader.files[0].offset = place.offset;
        }
        Ok(reader)
    }

    /// Goes back to where it was before.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub(crate) fn go_back(&mut self, place: Place) -> io::Result<()> {
        *self = Self::resume(&self.path, place)?;
        Ok(())
    }

    /// Where the next line begins; `None` as long as there is no file.
    pub(crate) fn place(&self) -> Option<Place> {
        let part = self.files.front()?;
        let unread = (self.buffer.len() - self.taken) as u64;
        Some(Place { origin: part.origin, offset: part.offset - unread })
    }

    /// Whether there is another line by now.
    pub(crate) fn has_more(&mut self) -> io::Result<bool> {
        Ok(self.buffer[self.taken..].contains(&b'\n') || self.fill()? || self.advance()?)
    }

    /// Gives its memory back until it is needed again.
    pub(crate) fn rest(&mut self) {
        if let Some(part) = self.files.front_mut() {
            part.offset -= (self.buffer.len() - self.taken) as u64;
        }
        (self.buffer, self.taken) = (Vec::new(), 0);
    }

    /// The next line; `None` when there is no more for now, or none before [`Query::until`].
    ///
    /// # Errors
    /// What read(2) says.
    #[expect(clippy::should_implement_trait, reason = "it can go on after a None, and it can fail")]
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        while let Some(line) = self.take()? {
            if self.query.since.is_some_and(|since| line.time < since) {
                continue;
            }
            if self.query.until.is_some_and(|until| line.time > until) {
                return Ok(None);
            }
            return Ok(Some(line));
        }
        Ok(None)
    }

    /// The next record that can be read, whatever its time.
    fn take(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(length) = self.buffer[self.taken..].iter().position(|byte| *byte == b'\n') {
                let line = record::decode(&self.buffer[self.taken..self.taken + length]);
                self.taken += length + 1;
                if line.is_some() {
                    return Ok(line);
                }
            } else if !self.fill()? && !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Reads on in the current file; false at its end. What is left of the buffer is read again.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(part) = self.files.front_mut() else { return Ok(false) };
        part.offset -= (self.buffer.len() - self.taken) as u64;
        let left = self.buffer.len() - self.taken;
        let mut size = CHUNK;
        self.taken = 0;
        loop {
            self.buffer.resize(size, 0);
            let offset = part.offset;
            let count = part.lines()?.read_at(&mut self.buffer, offset)?;
            self.buffer.truncate(count);
            if self.buffer.contains(&b'\n') {
                part.offset += count as u64;
                return Ok(true);
            }
            if count < size {
                // Half a record: stay where it starts.
                self.buffer.clear();
                debug_assert!(left <= count);
                return Ok(false);
            }
            size *= 2;
        }
    }

    /// Goes on to the next file once the current one is no longer written to.
    fn advance(&mut self) -> io::Result<bool> {
        if self.files.len() > 1 {
            self.files.pop_front();
            self.buffer.clear();
            self.taken = 0;
            return Ok(true);
        }
        let newer = match self.files.front() {
            None => open_all(&self.path)?,
            Some(part) => {
                let origin = part.origin;
                match std::fs::metadata(&self.path) {
                    Ok(current) if current.ino() != origin => after(open_all(&self.path)?, origin),
                    _ => return Ok(false),
                }
            }
        };
        if newer.is_empty() {
            return Ok(false);
        }
        // What the old file got between the last read of it and its rotation comes first.
        if self.fill()? {
            self.files.extend(newer);
            return Ok(true);
        }
        self.files = newer;
        self.buffer.clear();
        self.taken = 0;
        Ok(true)
    }

    /// Goes to where the last `tail` records begin.
    fn seek_tail(&mut self, tail: usize) -> io::Result<()> {
        let mut wanted = tail;
        for index in (0..self.files.len()).rev() {
            let part = &mut self.files[index];
            let (place, found) = last_records(part.lines()?, wanted)?;
            part.offset = place;
            wanted -= found;
            if wanted == 0 {
                self.files.drain(..index);
                break;
            }
        }
        Ok(())
    }
}

/// The offset of the last `wanted` whole records of a file and how many there are.
fn last_records(file: &File, wanted: usize) -> io::Result<(u64, usize)> {
    let mut at = file.metadata()?.len();
    let (mut found, mut last_end) = (0, None);
    let mut chunk = vec![0; CHUNK];
    let mut end_of_file = at;
    while at > 0 {
        let size = at.min(CHUNK as u64);
        at -= size;
        let bytes = &mut chunk[..size as usize];
        file.read_exact_at(bytes, at)?;
        for (index, _) in bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = at + index as u64 + 1;
            if last_end.is_none() {
                end_of_file = after;
                last_end = Some(after);
                if wanted == 0 {
                    return Ok((after, 0));
                }
                continue;
            }
            found += 1;
            if found == wanted {
                return Ok((after, found));
            }
        }
    }
    // The first record has no newline before it.
    let first = usize::from(last_end.is_some());
    Ok((if wanted == 0 { end_of_file } else { 0 }, found + first))
}

/// The current file and the rotated ones, oldest first.
fn open_all(path: &Path) -> io::Result<VecDeque<Part>> {
    // A rotation in between would make a file appear twice or not at all: newest first, and what has
    // been seen already is left out.
    let mut files: VecDeque<Part> = VecDeque::new();
    let mut seen = vec![];
    let mut missing = 0;
    for number in 0.. {
        match open_part(path, number)? {
            Some(part) => {
                missing = 0;
                if !seen.contains(&part.origin) {
                    seen.push(part.origin);
                    files.push_front(part);
                }
            }
            // A rotation that was killed half-way leaves one number out.
            None if missing < 2 => missing += 1,
            None => break,
        }
    }
    Ok(files)
}

/// The current file, or a rotated one, packed or not.
fn open_part(path: &Path, number: u32) -> io::Result<Option<Part>> {
    let found = |name: PathBuf| match File::open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    };
    if number == 0 {
        return found(path.to_owned())?.map(Part::plain).transpose();
    }
    // One that is being packed is there under both names for a moment, last under that of the packed one.
    match found(rotated(path, number))? {
        Some(file) => Part::plain(file).map(Some),
        None => found(pack::packed(path, number))?.map(Part::packed).transpose(),
    }
}

/// Those of `files` that are newer than the one that was written with this inode; all when it is gone.
/// The newest counts: the inode of a file that was packed may be another's by now.
fn after(mut files: VecDeque<Part>, origin: u64) -> VecDeque<Part> {
    if let Some(index) = files.iter().rposition(|part| part.origin == origin) {
        files.drain(..=index);
    }
    files
}

/// The name of the file that was the current one `number` rotations ago.
pub(crate) fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Stream;
    use std::io::Write;

    fn append(path: &Path, range: std::ops::Range<u32>) {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        for number in range {
            let time = Timestamp::from_second(i64::from(number)).unwrap();
            let mut bytes = vec![];
            record::encode(format!("{number}\n").as_bytes(), Stream::Stdout, b"", time, &mut bytes);
            file.write_all(&bytes).unwrap();
        }
    }

    fn read(reader: &mut Reader) -> Vec<u32> {
        let mut numbers = vec![];
        while let Some(line) = reader.next().unwrap() {
            numbers.push(line.text.trim().parse().unwrap());
        }
        numbers
    }

    #[test]
    fn all_files_are_read_oldest_first_and_followed_across_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web-1.log");
        let mut early = Reader::open(&path, Query::default()).unwrap();
        assert!(read(&mut early).is_empty());
        append(&rotated(&path, 2), 0..2);
        append(&rotated(&path, 1), 2..4);
        append(&path, 4..6);
        let mut reader = Reader::open(&path, Query::default()).unwrap();
        assert_eq!(read(&mut reader), [0, 1, 2, 3, 4, 5]);
        assert_eq!(read(&mut early), [0, 1, 2, 3, 4, 5]);
        append(&path, 6..8);
        for number in (0..3).rev() {
            let from = if number == 0 { path.clone() } else { rotated(&path, number) };
            std::fs::rename(from, rotated(&path, number + 1)).unwrap();
        }
        append(&path, 8..10);
        assert_eq!(read(&mut reader), [6, 7, 8, 9]);
        assert!(read(&mut reader).is_empty());
    }

    #[test]
    fn the_tail_counts_across_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web-1.log");
        append(&rotated(&path, 1), 0..4);
        append(&path, 4..7);
        let tail =
            |tail| read(&mut Reader::open(&path, Query { tail: Some(tail), ..Query::default() }).unwrap());
        assert!(tail(0).is_empty());
        assert_eq!(tail(2), [5, 6]);
        assert_eq!(tail(3), [4, 5, 6]);
        assert_eq!(tail(5), [2, 3, 4, 5, 6]);
        assert_eq!(tail(100), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn times_bound_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web-1.log");
        append(&path, 0..10);
        let time = |second| Some(Timestamp::from_second(second).unwrap());
        let query = Query { tail: None, since: time(3), until: time(5) };
        assert_eq!(read(&mut Reader::open(&path, query).unwrap()), [3, 4, 5]);
    }

    #[test]
    fn packed_files_are_read_and_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web-1.log");
        append(&rotated(&path, 2), 0..3);
        append(&rotated(&path, 1), 3..6);
        append(&path, 6..9);
        let mut follower = Reader::open(&rotated(&path, 1), Query::default()).unwrap();
        follower.path.clone_from(&path);
        assert_eq!(follower.next().unwrap().unwrap().text, "3\n");
        let place = follower.place().unwrap();
        let mut scratch = vec![];
        while let Some(mut packing) = pack::Packing::begin(&path, 3).unwrap() {
            while !packing.go_on(&mut scratch).unwrap() {}
            packing.finish(&path).unwrap();
        }
        assert!(!rotated(&path, 1).exists() && !rotated(&path, 2).exists());
        assert_eq!(read(&mut Reader::open(&path, Query::default()).unwrap()), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let tail = Query { tail: Some(4), ..Query::default() };
        assert_eq!(read(&mut Reader::open(&path, tail).unwrap()), [5, 6, 7, 8]);
        assert_eq!(read(&mut follower), [4, 5, 6, 7, 8]);
        assert_eq!(read(&mut Reader::resume(&path, place).unwrap()), [4, 5, 6, 7, 8]);
    }

    #[test]
    fn half_a_record_is_not_handed_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web-1.log");
        append(&path, 0..2);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let mut reader = Reader::open(&path, Query::default()).unwrap();
        assert_eq!(read(&mut reader), [0]);
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(read(&mut reader), [1]);
    }
}
