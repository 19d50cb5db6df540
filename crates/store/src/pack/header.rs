//! The bytes of one entry's header: ustar, with a PAX header before it for what ustar has no room for.
//!
//! The same entry always gives the same bytes, so a folder packed twice has one digest.

use crate::archive::{Entry, Kind};
use std::fmt::Write as _;

/// Size of a tar block, bytes.
pub(super) const BLOCK: usize = 512;
/// Bytes that a name may have in the plain header.
const NAME: usize = 100;
/// The largest number of an octal field of eleven digits: sizes and times.
const LONG: u64 = 0o77_777_777_777;
/// The largest number of an octal field of seven digits: owners and device numbers.
const SHORT: u32 = 0o7_777_777;

/// The header blocks of an entry whose content has `stored` bytes, the map of a sparse file included.
pub(super) fn encode(entry: &Entry, stored: u64) -> Vec<u8> {
    let records = records(entry, stored);
    let mut bytes = vec![];
    if !records.is_empty() {
        let mut name = b"PaxHeaders.0/".to_vec();
        name.extend_from_slice(entry.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
        let plain = Plain { name: &name, letter: b'x', size: records.len() as u64, entry: None };
        bytes.extend_from_slice(&plain.block());
        bytes.extend_from_slice(&records);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    let plain = Plain { name: &entry.path, letter: letter(entry.kind), size: stored, entry: Some(entry) };
    bytes.extend_from_slice(&plain.block());
    bytes
}

/// The map of a sparse file as PAX format 1.0 has it in front of the content: decimal lines, padded.
pub(super) fn sparse_map(entry: &Entry) -> Vec<u8> {
    let Some(sparse) = &entry.sparse else { return vec![] };
    let mut text = format!("{}\n", sparse.extents.len());
    for (offset, length) in &sparse.extents {
        // Writing to a string cannot fail.
        let _ = write!(text, "{offset}\n{length}\n");
    }
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn letter(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::Character => b'3',
        Kind::Block => b'4',
        Kind::Folder => b'5',
        Kind::Fifo => b'6',
        Kind::Other => b'g',
    }
}

/// What the plain header has no room for.
fn records(entry: &Entry, stored: u64) -> Vec<u8> {
    let mut records = vec![];
    let mut add = |key: &[u8], value: &[u8]| record(&mut records, key, value);
    if let Some(sparse) = &entry.sparse {
        add(b"GNU.sparse.major", b"1");
        add(b"GNU.sparse.minor", b"0");
        add(b"GNU.sparse.name", &entry.path);
        add(b"GNU.sparse.realsize", sparse.size.to_string().as_bytes());
    }
    if entry.path.len() > NAME || !entry.path.is_ascii() {
        add(b"path", &entry.path);
    }
    if entry.link.len() > NAME || !entry.link.is_ascii() {
        add(b"linkpath", &entry.link);
    }
    for (key, id) in [(b"uid", entry.uid), (b"gid", entry.gid)] {
        if id > SHORT {
            add(key, id.to_string().as_bytes());
        }
    }
    if stored > LONG {
        add(b"size", stored.to_string().as_bytes());
    }
    let (seconds, nanoseconds) = entry.modified;
    if nanoseconds != 0 || u64::try_from(seconds).map_or(true, |seconds| seconds > LONG) {
        add(b"mtime", time(seconds, nanoseconds).as_bytes());
    }
    for (name, value) in &entry.attributes {
        add(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    records
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// A time in decimal; before 1970 the fraction counts down from the second above.
fn time(seconds: i64, nanoseconds: u32) -> String {
    let (sign, seconds, nanoseconds) = match (seconds, nanoseconds) {
        (..0, 0) => ("-", seconds.unsigned_abs(), 0),
        (..0, _) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
        _ => ("", seconds.unsigned_abs(), nanoseconds),
    };
    match nanoseconds {
        0 => format!("{sign}{seconds}"),
        _ => format!("{sign}{seconds}.{nanoseconds:09}").trim_end_matches('0').to_owned(),
    }
}

/// One plain header; without an entry one that describes nothing but itself.
struct Plain<'a> {
    name: &'a [u8],
    letter: u8,
    size: u64,
    entry: Option<&'a Entry>,
}

impl Plain<'_> {
    fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put(&mut block[..NAME], self.name);
        let entry = self.entry;
        let or = |value: fn(&Entry) -> u32, other: u32| entry.map_or(other, value);
        let short = |value: u32| if value > SHORT { 0 } else { value };
        let long = |value: u64| if value > LONG { 0 } else { value };
        octal(&mut block[100..108], or(|entry| entry.mode, 0o644).into());
        octal(&mut block[108..116], short(or(|entry| entry.uid, 0)).into());
        octal(&mut block[116..124], short(or(|entry| entry.gid, 0)).into());
        octal(&mut block[124..136], long(self.size));
        octal(
            &mut block[136..148],
            long(entry.and_then(|entry| entry.modified.0.try_into().ok()).unwrap_or(0)),
        );
        block[156] = self.letter;
        put(&mut block[157..257], entry.map_or(&[], |entry| entry.link.as_slice()));
        block[257..265].copy_from_slice(b"ustar\x0000");
        octal(&mut block[329..337], short(or(|entry| entry.device.0, 0)).into());
        octal(&mut block[337..345], short(or(|entry| entry.device.1, 0)).into());
        // The sum counts its own field as blanks.
        let sum = block.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// As much of the text as there is room for.
fn put(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// A number in octal digits that fill the field but for the NUL at its end.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    put(field, format!("{value:0digits$o}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Archive;
    use crate::sparse::Sparse;

    fn entry(kind: Kind, path: &[u8]) -> Entry {
        Entry {
            path: path.to_vec(),
            link: vec![],
            kind,
            mode: 0o4755,
            uid: 7,
            gid: 8,
            modified: (1_700_000_000, 0),
            device: (0, 0),
            attributes: vec![],
            sparse: None,
        }
    }

    fn read_back(written: &Entry, stored: &[u8]) -> Entry {
        let mut bytes = encode(written, stored.len() as u64);
        bytes.extend_from_slice(stored);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        Archive::new(bytes.as_slice()).next().unwrap().unwrap()
    }

    fn assert_same(written: &Entry, read: &Entry) {
        assert_eq!(format!("{written:?}"), format!("{read:?}"));
    }

    #[test]
    fn what_is_written_is_read() {
        let plain = entry(Kind::File, b"bin/run");
        assert_same(&plain, &read_back(&plain, b"text"));
        assert_eq!(encode(&plain, 4).len(), BLOCK);
        let device = Entry { device: (8, 17), ..entry(Kind::Block, b"dev/disk") };
        assert_same(&device, &read_back(&device, b""));
    }

    #[test]
    fn what_ustar_has_no_room_for_is_kept() {
        let long = [b'a'; 300];
        let full = Entry {
            link: [b"../".as_slice(), &long].concat(),
            uid: 3_000_000_000,
            gid: SHORT + 1,
            modified: (-3, 250_000_000),
            attributes: vec![(b"user.x".to_vec(), b"a\0\nb".to_vec())],
            ..entry(Kind::Symlink, &[b"caf\xc3\xa9/".as_slice(), &long].concat())
        };
        assert_same(&full, &read_back(&full, b""));
        let early = Entry { modified: (-3, 0), ..entry(Kind::Fifo, b"pipe") };
        assert_same(&early, &read_back(&early, b""));
    }

    #[test]
    fn a_sparse_file_has_its_map_in_front() {
        let mut map = Sparse::new(1 << 33);
        map.push(4096, 3).unwrap();
        map.push(1 << 32, 2).unwrap();
        let sparse = Entry { sparse: Some(map), ..entry(Kind::File, b"disk.img") };
        let stored = [sparse_map(&sparse), b"abcde".to_vec()].concat();
        assert_same(&sparse, &read_back(&sparse, &stored));
    }

    #[test]
    fn a_record_counts_itself() {
        for length in [1, 4, 5, 6, 90, 91, 92, 93, 989, 990, 991, 992] {
            let mut text = vec![];
            record(&mut text, b"k", &vec![b'v'; length]);
            let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            assert_eq!(std::str::from_utf8(&text[..digits]).unwrap().parse(), Ok(text.len()));
        }
    }
}
