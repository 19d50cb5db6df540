//! Reads a log across its rotated files.
//!
//! Only whole records are handed out: the reader's place is always the start of one, because a pump
//! that took over from a killed one may write the same record again with another time in it.

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

#[derive(Debug)]
struct Part {
    file: File,
    /// Where the bytes after those in the buffer are.
    offset: u64,
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
            let count = part.file.read_at(&mut self.buffer, part.offset)?;
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
                let inode = part.file.metadata()?.ino();
                match std::fs::metadata(&self.path) {
                    Ok(current) if current.ino() != inode => {
                        let all = open_all(&self.path)?;
                        after(all, inode)?
                    }
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
            let (place, found) = last_records(&part.file, wanted)?;
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
        let name = if number == 0 { path.to_owned() } else { rotated(path, number) };
        match File::open(&name) {
            Ok(file) => {
                missing = 0;
                let inode = file.metadata()?.ino();
                if !seen.contains(&inode) {
                    seen.push(inode);
                    files.push_front(Part { file, offset: 0 });
                }
            }
            // A rotation that was killed half-way leaves one number out.
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing < 2 => missing += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// Those of `files` that are newer than the one with this inode; all when it is gone.
fn after(mut files: VecDeque<Part>, inode: u64) -> io::Result<VecDeque<Part>> {
    for index in 0..files.len() {
        if files[index].file.metadata()?.ino() == inode {
            files.drain(..=index);
            break;
        }
    }
    Ok(files)
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
            record::encode(format!("{number}\n").as_bytes(), Stream::Stdout, time, &mut bytes);
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
