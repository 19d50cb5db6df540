//! One line of a log: Docker's json-file record `{"log":"text\n","stream":"stdout","time":"…"}`, with
//! `"attrs":{…}` before the time where attributes are asked for.
//!
//! The time always has nine digits of a second, and a container's attributes never change, so that a
//! record's length follows from its text alone: a pump that has to repeat what its predecessor did overwrites it exactly.

use resource::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Bytes of output in one record at most; longer lines are split, as Docker does.
pub(crate) const PIECE: usize = 16 * 1024;

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output; a terminal's output too.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// `stdout` or `stderr`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A line of a log, or a piece of a very long one: then `text` has no newline at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was read from the container.
    pub time: Timestamp,
    /// Where it was written.
    pub stream: Stream,
    /// What was written; invalid UTF-8 has been replaced.
    pub text: String,
}

/// The length of the first record's text in `bytes`, or `None` when more has to come first.
/// `end` says that no more will come.
pub(crate) fn piece(bytes: &[u8], end: bool) -> Option<usize> {
    let window = &bytes[..bytes.len().min(PIECE)];
    if let Some(newline) = window.iter().position(|byte| *byte == b'\n') {
        return Some(newline + 1);
    }
    if bytes.len() < PIECE {
        return (end && !bytes.is_empty()).then_some(bytes.len());
    }
    // Decided by these bytes alone, never by what follows: a successor must cut at the same place.
    Some(whole(window))
}

/// Bytes of `window` without an unfinished character at its end.
fn whole(window: &[u8]) -> usize {
    let unfinished = (1..4).find(|back| {
        let byte = window[window.len() - back];
        byte >= 0xc0 && needed(byte) > *back
    });
    window.len() - unfinished.unwrap_or(0)
}

/// Bytes of the character that starts with this one.
fn needed(first: u8) -> usize {
    match first {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    }
}

/// What stands in a record for attributes: nothing where there are none.
pub(crate) fn attributes(of: &BTreeMap<String, String>) -> Vec<u8> {
    if of.is_empty() {
        return vec![];
    }
    let mut bytes = b",\"attrs\":".to_vec();
    serde_json::to_writer(&mut bytes, of).expect("strings have a JSON form and a Vec takes it");
    bytes
}

/// Appends a record to `into`, with these [`attributes`].
pub(crate) fn encode(text: &[u8], stream: Stream, attributes: &[u8], time: Timestamp, into: &mut Vec<u8>) {
    into.extend_from_slice(b"{\"log\":");
    quote(&String::from_utf8_lossy(text), into);
    into.extend_from_slice(b",\"stream\":\"");
    into.extend_from_slice(stream.as_str().as_bytes());
    into.push(b'"');
    into.extend_from_slice(attributes);
    into.extend_from_slice(b",\"time\":\"");
    let mut stamp = String::with_capacity(32);
    let _ = write!(stamp, "{time:.9}");
    into.extend_from_slice(stamp.as_bytes());
    into.extend_from_slice(b"\"}\n");
}

fn quote(text: &str, into: &mut Vec<u8>) {
    serde_json::to_writer(into, text).expect("a string has a JSON form and a Vec takes it");
}

#[derive(Deserialize)]
struct Stored {
    log: String,
    stream: Stream,
    time: Timestamp,
}

/// The line in `record`, which has no newline at its end; `None` when it is not a record.
pub(crate) fn decode(record: &[u8]) -> Option<Line> {
    let stored: Stored = serde_json::from_slice(record).ok()?;
    Some(Line { time: stored.time, stream: stored.stream, text: stored.log })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_dockers_and_reads_back() {
        let time: Timestamp = "2024-05-01T10:00:00.5Z".parse().unwrap();
        let mut bytes = vec![];
        let attributes = attributes(&BTreeMap::from([("tag".into(), "a\"b".into())]));
        encode(b"a \"quoted\"\t\xff\n", Stream::Stderr, &attributes, time, &mut bytes);
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "{\"log\":\"a \\\"quoted\\\"\\t\u{fffd}\\n\",\"stream\":\"stderr\",\
             \"attrs\":{\"tag\":\"a\\\"b\"},\"time\":\"2024-05-01T10:00:00.500000000Z\"}\n"
        );
        let line = decode(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(
            (line.time, line.stream, &line.text[..]),
            (time, Stream::Stderr, "a \"quoted\"\t\u{fffd}\n")
        );
    }

    #[test]
    fn lines_are_whole_or_sixteen_kibibytes() {
        assert_eq!(piece(b"ab\ncd", false), Some(3));
        assert_eq!(piece(b"cd", false), None);
        assert_eq!(piece(b"cd", true), Some(2));
        assert_eq!(piece(b"", true), None);
        assert_eq!(piece(&[b'x'; PIECE - 1], false), None);
        assert_eq!(piece(&[b'x'; PIECE], false), Some(PIECE));
        assert_eq!(piece(&[b'x'; PIECE + 9], false), Some(PIECE));
    }

    #[test]
    fn a_character_is_not_split() {
        for shift in 0..4 {
            for more in [0, 5] {
                let mut bytes = vec![b'x'; PIECE - 4 + shift];
                bytes.extend_from_slice("🦀".as_bytes());
                bytes.resize(bytes.len().max(PIECE) + more, b'y');
                let cut = piece(&bytes, false).unwrap();
                let known = &bytes[..cut];
                assert!(std::str::from_utf8(known).is_ok(), "shift {shift}, more {more}, cut {cut}");
                assert!(cut > PIECE - 4);
            }
        }
    }

    #[test]
    fn where_a_line_is_cut_does_not_depend_on_what_is_known_of_the_rest() {
        for shift in 0..4 {
            let mut bytes = vec![b'x'; PIECE - 4 + shift];
            bytes.extend_from_slice("🦀🦀🦀".as_bytes());
            assert_eq!(piece(&bytes[..PIECE], false), piece(&bytes, false), "shift {shift}");
        }
        let continuation = vec![0x80; PIECE * 2];
        assert_eq!(piece(&continuation[..PIECE], false), piece(&continuation, false));
    }
}
