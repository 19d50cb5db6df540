//! Walks a tar stream: ustar, GNU and PAX, entry by entry, without copying file content.
//!
//! The `tar` crate does not do here: it knows no PAX sparse files and hands content out by copying.
//! Every bound is checked before memory is taken; numbers that do not parse are damage, not zero.

use crate::error::UnpackError;
use crate::sparse::{self, Sparse};
use std::io::{BufRead, Read};

/// Size of a tar block, bytes.
const BLOCK: usize = 512;
/// Bytes that a PAX header or a long name may have.
const HEADER_LIMIT: u64 = 1 << 20;
/// What a global header may say of all entries after it; what else it says makes no sense of more than one.
const GLOBAL: [&[u8]; 3] = [b"uid", b"gid", b"mtime"];
/// Bytes that a number in a global header may have.
const NUMBER_LIMIT: usize = 100;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    Character,
    Block,
    Folder,
    Fifo,
    /// Something that is no file: the label of a volume.
    Other,
}

/// One entry, its name as written.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) modified: (i64, u32),
    pub(crate) device: (u32, u32),
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: Option<Sparse>,
}

/// What extended headers say of the next entry.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Records,
}

/// PAX records: keys with their values.
type Records = Vec<(Vec<u8>, Vec<u8>)>;

/// A tar stream.
pub(crate) struct Archive<R> {
    input: R,
    /// What global headers say of all entries after them.
    global: Records,
    /// Bytes of the stream read so far.
    offset: u64,
    /// Bytes of the current entry's content not read yet.
    content: u64,
    /// Bytes between the content's end and the next header.
    padding: u64,
    /// Bytes that the stream may have.
    limit: u64,
}

impl<R: BufRead> Archive<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, global: vec![], offset: 0, content: 0, padding: 0, limit: u64::MAX }
    }

    /// The same, of a stream that may have so many bytes, whatever is in it.
    pub(crate) fn within(limit: u64, input: R) -> Self {
        Self { limit, ..Self::new(input) }
    }

    /// The next entry, or `None` at the end: two zero blocks, one, or none at all.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, UnpackError> {
        let mut extended = Extended::default();
        loop {
            self.skip(self.content + self.padding)?;
            (self.content, self.padding) = (0, 0);
            self.check_length()?;
            let mut header = [0; BLOCK];
            if !self.block(&mut header)? || header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            self.check(&header)?;
            let size = self.unsigned(&header[124..136], "the size of an entry is no number")?;
            match header[156] {
                b'L' => extended.path = Some(until_nul(self.special(size)?)),
                b'K' => extended.link = Some(until_nul(self.special(size)?)),
                // `X` is what Solaris wrote before there was a standard.
                b'x' | b'X' => extended.records = self.records(size)?,
                b'g' => self.set_global(size)?,
                b'M' => return Err(self.damage("it goes on with a file that another archive begins")),
                kind => return self.entry(&header, kind, size, extended).map(Some),
            }
        }
    }

    /// The records of a PAX header.
    fn records(&mut self, size: u64) -> Result<Records, UnpackError> {
        let text = self.special(size)?;
        records(&text).ok_or_else(|| self.damage("a PAX header does not parse"))
    }

    /// Takes a global header: what it says takes the place of what the ones before have said of the same.
    fn set_global(&mut self, size: u64) -> Result<(), UnpackError> {
        for (key, value) in self.records(size)? {
            if !GLOBAL.contains(&key.as_slice()) {
                continue;
            }
            if value.len() > NUMBER_LIMIT {
                return Err(self.damage("a number in a PAX header does not parse"));
            }
            self.global.retain(|(other, _)| *other != key);
            self.global.push((key, value));
        }
        Ok(())
    }

    /// The next piece of the current entry's content, empty at its end; [`Archive::consume`] takes it.
    pub(crate) fn content(&mut self) -> Result<&[u8], UnpackError> {
        if self.content == 0 {
            return Ok(&[]);
        }
        let (offset, content) = (self.offset, self.content);
        let piece = self.input.fill_buf().map_err(UnpackError::Read)?;
        if piece.is_empty() {
            return Err(UnpackError::Archive { offset, reason: "it ends inside a file" });
        }
        Ok(&piece[..piece.len().min(usize::try_from(content).unwrap_or(usize::MAX))])
    }

    /// Takes bytes that [`Archive::content`] gave.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.offset += bytes as u64;
        self.content -= bytes as u64;
    }

    /// Reads on to the end of the stream, so that all of it has been digested.
    pub(crate) fn finish(mut self) -> Result<R, UnpackError> {
        loop {
            let length = self.input.fill_buf().map_err(UnpackError::Read)?.len();
            if length == 0 {
                return Ok(self.input);
            }
            self.input.consume(length);
            self.offset += length as u64;
            self.check_length()?;
        }
    }

    fn check_length(&self) -> Result<(), UnpackError> {
        if self.offset > self.limit {
            return Err(self.damage("it is longer than a layer may be"));
        }
        Ok(())
    }

    /// Where the current entry's content is: offset in the stream and bytes, as stored.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.offset, self.content)
    }

    fn entry(
        &mut self,
        header: &[u8; BLOCK],
        letter: u8,
        size: u64,
        extended: Extended,
    ) -> Result<Entry, UnpackError> {
        let mut entry = self.plain(header, letter)?;
        let mut size = size;
        entry.path = extended.path.unwrap_or(entry.path);
        entry.link = extended.link.unwrap_or(entry.link);
        let mut map = sparse::Records::default();
        let plain = (entry.uid, entry.gid, entry.modified);
        for (key, value) in self.global.iter().cloned().chain(extended.records) {
            let number = || std::str::from_utf8(&value).ok().and_then(|text| text.parse::<u64>().ok());
            let damaged = || self.damage("a number in a PAX header does not parse");
            let id = || number().and_then(|id| u32::try_from(id).ok()).ok_or_else(damaged);
            match key.as_slice() {
                // Without a value they say that the header's own field counts, whatever a global header says.
                b"path" | b"linkpath" | b"size" if value.is_empty() => {}
                b"uid" if value.is_empty() => entry.uid = plain.0,
                b"gid" if value.is_empty() => entry.gid = plain.1,
                b"mtime" if value.is_empty() => entry.modified = plain.2,
                b"path" => entry.path = value,
                b"linkpath" => entry.link = value,
                b"size" => size = number().ok_or_else(damaged)?,
                b"uid" => entry.uid = id()?,
                b"gid" => entry.gid = id()?,
                b"mtime" => entry.modified = time(&value).ok_or_else(damaged)?,
                key if key.starts_with(b"GNU.sparse.") => {
                    map.add(&key[11..], &value).ok_or_else(damaged)?;
                }
                key if key.starts_with(b"SCHILY.xattr.") => {
                    entry.attributes.push((key[13..].to_vec(), value));
                }
                _ => {}
            }
        }
        // A folder of an incremental archive lists what was in it.
        if matches!(entry.kind, Kind::File | Kind::Other) || letter == b'D' {
            self.content = size;
            let rest = size % BLOCK as u64;
            self.padding = if rest == 0 { 0 } else { BLOCK as u64 - rest };
        }
        if entry.kind == Kind::File && entry.path.ends_with(b"/") {
            entry.kind = Kind::Folder; // as tar wrote them before it had a letter for them
        }
        if letter == b'S' {
            entry.sparse = Some(self.old_sparse(header)?);
        } else if entry.kind == Kind::File {
            self.pax_sparse(&mut entry, map)?;
        }
        if let Some(sparse) = &entry.sparse {
            sparse.check(self.content).ok_or_else(|| self.damage("a sparse file's map is wrong"))?;
        }
        Ok(entry)
    }

    fn plain(&self, header: &[u8; BLOCK], letter: u8) -> Result<Entry, UnpackError> {
        let id = |field: &[u8]| {
            let number = self.unsigned(field, "an owner is no number")?;
            u32::try_from(number).map_err(|_| self.damage("an owner is out of range"))
        };
        let kind = match letter {
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Character,
            b'4' => Kind::Block,
            b'5' | b'D' => Kind::Folder,
            b'6' => Kind::Fifo,
            b'V' => Kind::Other,
            // POSIX: what has an unknown letter is a file.
            _ => Kind::File,
        };
        let mut path = until_nul(header[..100].to_vec());
        let posix = &header[257..263] == b"ustar\0";
        if posix && header[345] != 0 {
            let mut whole = until_nul(header[345..500].to_vec());
            whole.push(b'/');
            whole.append(&mut path);
            path = whole;
        }
        let device = |field: &[u8]| number(field).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        Ok(Entry {
            path,
            link: until_nul(header[157..257].to_vec()),
            kind,
            mode: (self.unsigned(&header[100..108], "a mode is no number")? & 0o7777) as u32,
            uid: id(&header[108..116])?,
            gid: id(&header[116..124])?,
            modified: (number(&header[136..148]).ok_or_else(|| self.damage("a time is no number"))?, 0),
            device: (device(&header[329..337]), device(&header[337..345])),
            attributes: vec![],
            sparse: None,
        })
    }

    /// The map of an old GNU sparse file, in its header and in blocks after it.
    fn old_sparse(&mut self, header: &[u8; BLOCK]) -> Result<Sparse, UnpackError> {
        let damage = "a sparse file's map is wrong";
        let size = self.unsigned(&header[483..495], damage)?;
        let mut map = Sparse::new(size);
        self.old_extents(&header[386..482], &mut map)?;
        let mut more = header[482] != 0;
        while more {
            let mut block = [0; BLOCK];
            if !self.block(&mut block)? {
                return Err(self.damage("it ends inside a sparse file's map"));
            }
            self.old_extents(&block[..504], &mut map)?;
            more = block[504] != 0;
        }
        Ok(map)
    }

    fn old_extents(&self, fields: &[u8], map: &mut Sparse) -> Result<(), UnpackError> {
        let damage = "a sparse file's map is wrong";
        for pair in fields.chunks_exact(24).take_while(|pair| pair[0] != 0) {
            let (offset, length) = (self.unsigned(&pair[..12], damage)?, self.unsigned(&pair[12..], damage)?);
            map.push(offset, length).ok_or_else(|| self.damage(damage))?;
        }
        Ok(())
    }

    /// The map of a PAX sparse file: in its records (0.0 and 0.1) or in front of its content (1.0).
    fn pax_sparse(&mut self, entry: &mut Entry, records: sparse::Records) -> Result<(), UnpackError> {
        let damage = "a sparse file's map is wrong";
        if let Some(name) = &records.name {
            entry.path.clone_from(name);
        }
        let Some(size) = records.size else { return Ok(()) };
        if records.major != Some(1) {
            entry.sparse = Some(records.map(size).ok_or_else(|| self.damage(damage))?);
            return Ok(());
        }
        let mut map = Sparse::new(size);
        let mut left_in_block = 0;
        let count = self.decimal(&mut left_in_block)?;
        for _ in 0..count {
            let offset = self.decimal(&mut left_in_block)?;
            let length = self.decimal(&mut left_in_block)?;
            map.push(offset, length).ok_or_else(|| self.damage(damage))?;
        }
        self.skip_content(left_in_block)?;
        entry.sparse = Some(map);
        Ok(())
    }

    /// A decimal number and its newline from the content; keeps count of what is left of the block.
    fn decimal(&mut self, left_in_block: &mut u64) -> Result<u64, UnpackError> {
        let mut value: u64 = 0;
        loop {
            let byte = self.content()?.first().copied();
            let byte = byte.ok_or_else(|| self.damage("it ends inside a sparse file's map"))?;
            self.consume(1);
            *left_in_block = left_in_block.checked_sub(1).unwrap_or(BLOCK as u64 - 1);
            match byte {
                b'\n' => return Ok(value),
                b'0'..=b'9' => {
                    let next =
                        value.checked_mul(10).and_then(|value| value.checked_add(u64::from(byte - b'0')));
                    value = next.ok_or_else(|| self.damage("a sparse file's map is wrong"))?;
                }
                _ => return Err(self.damage("a sparse file's map is wrong")),
            }
        }
    }

    fn skip_content(&mut self, bytes: u64) -> Result<(), UnpackError> {
        let bytes = bytes.min(self.content);
        self.skip(bytes)?;
        self.content -= bytes;
        Ok(())
    }

    /// The content of a header entry, padding taken too.
    fn special(&mut self, size: u64) -> Result<Vec<u8>, UnpackError> {
        if size > HEADER_LIMIT {
            return Err(self.damage("an extended header is too long"));
        }
        let mut bytes = Vec::new();
        (&mut self.input).take(size).read_to_end(&mut bytes).map_err(UnpackError::Read)?;
        self.offset += bytes.len() as u64;
        if bytes.len() as u64 != size {
            return Err(self.damage("it ends inside a header"));
        }
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(bytes)
    }

    /// Reads a block; whether there was one.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, UnpackError> {
        let mut filled = 0;
        while filled < BLOCK {
            let piece = self.input.fill_buf().map_err(UnpackError::Read)?;
            let length = piece.len().min(BLOCK - filled);
            if length == 0 && filled == 0 {
                return Ok(false);
            }
            if length == 0 {
                return Err(self.damage("it ends inside a header"));
            }
            block[filled..filled + length].copy_from_slice(&piece[..length]);
            self.input.consume(length);
            self.offset += length as u64;
            filled += length;
        }
        Ok(true)
    }

    fn skip(&mut self, mut bytes: u64) -> Result<(), UnpackError> {
        while bytes > 0 {
            let piece = self.input.fill_buf().map_err(UnpackError::Read)?;
            let length = piece.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            if length == 0 {
                return Err(self.damage("it ends inside a file"));
            }
            self.input.consume(length);
            self.offset += length as u64;
            bytes -= length as u64;
        }
        Ok(())
    }

    fn check(&self, header: &[u8; BLOCK]) -> Result<(), UnpackError> {
        let plain = |byte: &u8| i64::from(*byte);
        let signed = |byte: &u8| i64::from(byte.cast_signed());
        let sum = |value: &dyn Fn(&u8) -> i64| {
            let outside = header[..148].iter().chain(&header[156..]).map(value).sum::<i64>();
            outside + 8 * i64::from(b' ')
        };
        let wanted = number(&header[148..156]);
        if wanted == Some(sum(&plain)) || wanted == Some(sum(&signed)) {
            Ok(())
        } else {
            Err(self.damage("a header has a wrong checksum"))
        }
    }

    fn unsigned(&self, field: &[u8], reason: &'static str) -> Result<u64, UnpackError> {
        number(field).and_then(|number| u64::try_from(number).ok()).ok_or_else(|| self.damage(reason))
    }

    fn damage(&self, reason: &'static str) -> UnpackError {
        UnpackError::Archive { offset: self.offset, reason }
    }
}

impl<R: Read + std::io::Seek> Archive<std::io::BufReader<R>> {
    /// Goes past the current entry's content without reading it; whether all of it is there shows later.
    pub(crate) fn pass(&mut self) -> Result<(), UnpackError> {
        let past = i64::try_from(self.content).map_err(|_| self.damage("an entry is too long"))?;
        self.input.seek_relative(past).map_err(UnpackError::Read)?;
        self.offset += self.content;
        self.content = 0;
        Ok(())
    }
}

/// A number field: octal text, or GNU's base 256 with the highest bit set. An empty field is 0.
fn number(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 != 0 {
        let negative = field[0] & 0x40 != 0;
        let mut value: i64 = if negative { -1 } else { 0 };
        for (index, byte) in field.iter().enumerate() {
            let byte = if index == 0 && !negative { byte & 0x7f } else { *byte };
            value = value.checked_mul(256)?.checked_add(i64::from(byte))?;
        }
        return Some(value);
    }
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    if text.is_empty() {
        return Some(0);
    }
    i64::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok().filter(|value| *value >= 0)
}

/// PAX records, `LENGTH KEY=VALUE\n`; the length counts itself, the value may hold any byte.
fn records(mut text: &[u8]) -> Option<Records> {
    let mut records = vec![];
    while !text.is_empty() {
        let space = text.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
        let record = text.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        text = &text[length..];
    }
    Some(records)
}

/// A PAX time, `-12.345`: seconds rounded down and nanoseconds.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    if text.starts_with('-') && nanoseconds > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds));
    }
    Some((seconds, nanoseconds))
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    if let Some(end) = text.iter().position(|byte| *byte == 0) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_may_be_negative() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\x2d\xc6\xc0"), Some(3_000_000));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        assert_eq!(number(b"-1      "), None);
        assert_eq!(number(b"12x     "), None);
    }

    #[test]
    fn a_record_may_hold_newlines_and_zeros() {
        let text = b"14 a=x\ny\0z=1\n\n6 b=2\n";
        let parsed = records(text).unwrap();
        assert_eq!(parsed[0], (b"a".to_vec(), b"x\ny\0z=1\n".to_vec()));
        assert_eq!(parsed[1], (b"b".to_vec(), b"2".to_vec()));
        assert!(records(b"99 a=b\n").is_none());
        assert!(records(b"3 a").is_none());
        assert!(records(b"1 ").is_none());
    }

    #[test]
    fn times_before_1970_round_down() {
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"-12.25"), Some((-13, 750_000_000)));
        assert_eq!(time(b"-0.5"), Some((-1, 500_000_000)));
        assert_eq!(time(b"7"), Some((7, 0)));
        assert_eq!(time(b"x"), None);
    }

    #[test]
    fn a_stream_has_an_end_behind_its_last_entry() {
        let zeros = vec![0; 8 * BLOCK];
        let ended = |limit| {
            let mut archive = Archive::within(limit, zeros.as_slice());
            assert!(archive.next().unwrap().is_none());
            archive.finish().is_ok()
        };
        assert!(ended(zeros.len() as u64));
        assert!(!ended(zeros.len() as u64 - 1));
    }

    #[test]
    fn random_bytes_are_damage_and_nothing_else() {
        let mut state = 1_u32;
        for _ in 0..200 {
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .take(1536)
            .collect();
            assert!(Archive::new(bytes.as_slice()).next().is_err());
        }
    }
}
