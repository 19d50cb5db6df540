//! What a layer may grow to: more than any honest image comes near, and less than what fills disks or memory from a
//! small download. Nothing is written of an entry that goes beyond.

use crate::archive::Entry;
use crate::error::UnpackError;

/// Bytes that every layer may grow to.
const ROOM: u64 = 10 << 30;
/// How often the bytes that it was sent as a layer may have, when that is more. Programs and texts pack to a third or
/// a tenth, gzip takes zeros to a thousandth.
const GROWTH: u64 = 200;
/// Entries that a layer may have.
const ENTRIES: u64 = 8 << 20;
/// Names that are held in memory to the end: those of folders, and of devices that were left out.
const NAMES: usize = 1 << 20;

/// The bounds of one archive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of the archive, and of the files in it.
    pub(crate) bytes: u64,
    entries: u64,
    names: usize,
}

impl Bounds {
    /// For a layer that was sent as so many bytes; as many as there are, when that is not known.
    pub(crate) fn of_layer(sent: Option<u64>) -> Self {
        let bytes = sent.map_or(u64::MAX, |sent| sent.saturating_mul(GROWTH).max(ROOM));
        Self { bytes, entries: ENTRIES, names: NAMES }
    }

    /// For an archive of the user's own.
    pub(crate) fn none() -> Self {
        Self { bytes: u64::MAX, entries: u64::MAX, names: usize::MAX }
    }

    /// Counts an entry that is about to be written, with this much behind it.
    ///
    /// # Errors
    /// [`UnpackError::Refused`]
    pub(crate) fn admit(
        &mut self,
        entry: &Entry,
        read: u64,
        written: u64,
        names: usize,
    ) -> Result<(), UnpackError> {
        let refused = |reason| {
            Err(UnpackError::Refused { path: String::from_utf8_lossy(&entry.path).into_owned(), reason })
        };
        if read.max(written) > self.bytes {
            return refused(
                "with it the layer would have more than 10 GiB, and more than 200 times the bytes it was sent as",
            );
        }
        if names > self.names {
            return refused("the layer has more than a million folders");
        }
        match self.entries.checked_sub(1) {
            Some(left) => {
                self.entries = left;
                Ok(())
            }
            None => refused("the layer has more than eight million entries"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Kind;

    fn entry() -> Entry {
        Entry {
            path: b"file".to_vec(),
            link: vec![],
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            modified: (0, 0),
            device: (0, 0),
            attributes: vec![],
            sparse: None,
        }
    }

    fn refused(bounds: &mut Bounds, read: u64, written: u64, names: usize) -> Option<&'static str> {
        match bounds.admit(&entry(), read, written, names) {
            Err(UnpackError::Refused { reason, .. }) => Some(reason),
            other => other.map(|()| None).unwrap(),
        }
    }

    #[test]
    fn what_no_honest_layer_has_is_refused() {
        let mut bounds = Bounds::of_layer(Some(1000));
        assert_eq!(refused(&mut bounds, ROOM, ROOM, NAMES), None);
        assert!(refused(&mut bounds, ROOM + 1, 0, 0).unwrap().contains("10 GiB"));
        assert!(refused(&mut bounds, 0, ROOM + 1, 0).unwrap().contains("10 GiB"));
        assert!(refused(&mut bounds, 0, 0, NAMES + 1).unwrap().contains("folders"));
        bounds.entries = 1;
        assert_eq!(refused(&mut bounds, 0, 0, 0), None);
        assert!(refused(&mut bounds, 0, 0, 0).unwrap().contains("entries"));
    }

    #[test]
    fn a_large_layer_may_grow_with_what_was_sent() {
        let sent = 1 << 30;
        assert_eq!(refused(&mut Bounds::of_layer(Some(sent)), sent * GROWTH, 0, 0), None);
        assert!(refused(&mut Bounds::of_layer(Some(sent)), sent * GROWTH + 1, 0, 0).is_some());
        assert_eq!(refused(&mut Bounds::of_layer(None), u64::MAX, u64::MAX, 0), None);
    }
}
