//! The map of a sparse file in a tar archive: which parts of the file have content.

/// Extents that a map may have.
const EXTENT_LIMIT: usize = 1 << 20;

/// Where the stored bytes belong, and how long the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sparse {
    /// Offset and length of each part with content, ascending, none overlapping.
    pub(crate) extents: Vec<(u64, u64)>,
    /// Bytes of the whole file.
    pub(crate) size: u64,
}

impl Sparse {
    pub(crate) fn new(size: u64) -> Self {
        Self { extents: vec![], size }
    }

    /// Adds a part; `None` when it lies before the end of the last one or beyond the file's end.
    pub(crate) fn push(&mut self, offset: u64, length: u64) -> Option<()> {
        let before = self.extents.last().map_or(0, |(offset, length)| offset + length);
        let end = offset.checked_add(length)?;
        (offset >= before && end <= self.size && self.extents.len() < EXTENT_LIMIT).then_some(())?;
        self.extents.push((offset, length));
        Some(())
    }

    /// Whether the parts have as many bytes as are stored.
    pub(crate) fn check(&self, stored: u64) -> Option<()> {
        let sum: u64 = self.extents.iter().map(|(_, length)| length).sum();
        (sum == stored && i64::try_from(self.size).is_ok()).then_some(())
    }
}

/// The `GNU.sparse.*` records of a PAX header.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) major: Option<u64>,
    /// Offsets and lengths in turn: records of format 0.0, or the list of 0.1.
    numbers: Vec<u64>,
}

impl Records {
    /// Takes the record `GNU.sparse.KEY`; `None` when its value does not parse.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let number = |text: &str| text.parse::<u64>().ok();
        let text = || std::str::from_utf8(value).ok();
        match key {
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.size = Some(number(text()?)?),
            b"major" => self.major = Some(number(text()?)?),
            b"offset" | b"numbytes" => self.numbers.push(number(text()?)?),
            b"map" => {
                self.numbers =
                    text()?.split(',').filter(|part| !part.is_empty()).map(number).collect::<Option<_>>()?;
            }
            _ => {}
        }
        Some(())
    }

    /// The map that records of format 0.0 and 0.1 make.
    pub(crate) fn map(&self, size: u64) -> Option<Sparse> {
        let mut map = Sparse::new(size);
        for pair in self.numbers.chunks(2) {
            map.push(pair[0], *pair.get(1)?)?;
        }
        Some(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_ascend_and_stay_inside_the_file() {
        let mut map = Sparse::new(100);
        assert!(map.push(10, 10).is_some());
        assert!(map.push(15, 1).is_none());
        assert!(map.push(90, 11).is_none());
        assert!(map.push(u64::MAX, 1).is_none());
        assert!(map.push(100, 0).is_some());
        assert!(map.check(10).is_some());
        assert!(map.check(11).is_none());
    }

    #[test]
    fn both_forms_of_records_make_the_same_map() {
        let mut first = Records::default();
        for (key, value) in [("offset", "0"), ("numbytes", "1"), ("offset", "8"), ("numbytes", "2")] {
            first.add(key.as_bytes(), value.as_bytes()).unwrap();
        }
        let mut second = Records::default();
        second.add(b"map", b"0,1,8,2").unwrap();
        assert_eq!(first.map(10), second.map(10));
        assert!(second.map(9).is_none());
        assert!(second.add(b"map", b"1,x").is_none());
    }
}
