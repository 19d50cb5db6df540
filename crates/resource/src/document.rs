//! The form of every document on disk: one line with a checksum, then JSON.
//!
//! `crc32 1a2b3c4d\n{…}`. The checksum is for a torn or half-written file (a power cut), not
//! against a person; a document that does not match counts as absent.

use serde::{Serialize, de::DeserializeOwned};

/// The bytes to commit for `value`.
///
/// # Errors
/// What `serde_json` says of a value that has no JSON form (a map whose keys are not strings).
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_vec(value)?;
    let mut bytes = format!("crc32 {:08x}\n", crc32fast::hash(&body)).into_bytes();
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Why bytes are no document of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They are cut off, altered, or were never a document.
    Damaged,
    /// They are whole, and of a form that this program does not know: a newer one wrote them.
    Newer,
}

/// The value in `bytes`, or `None` when they are not a whole document of this type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    examine(bytes).ok()
}

/// The same, telling why not.
///
/// # Errors
/// [`Fault`]
pub fn examine<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let body = whole(bytes).ok_or(Fault::Damaged)?;
    serde_json::from_slice(body).map_err(|_| Fault::Newer)
}

/// What the checksum is of, if it is right.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let header = std::str::from_utf8(&bytes[..end]).ok()?.strip_prefix("crc32 ")?;
    let body = &bytes[end + 1..];
    (u32::from_str_radix(header, 16).ok()? == crc32fast::hash(body)).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_back() {
        let bytes = encode(&vec!["a", "b"]).unwrap();
        assert_eq!(decode::<Vec<String>>(&bytes), Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_torn_document_counts_as_absent() {
        let bytes = encode(&vec!["a", "b"]).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(decode::<Vec<String>>(&bytes[..end]), None);
        }
        let mut flipped = bytes;
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(decode::<Vec<String>>(&flipped), None);
        assert_eq!(examine::<Vec<String>>(&flipped), Err(Fault::Damaged));
    }

    #[test]
    fn a_whole_document_of_another_form_is_a_newer_programs() {
        let bytes = encode(&vec!["a"]).unwrap();
        assert_eq!(examine::<u32>(&bytes), Err(Fault::Newer));
    }
}
