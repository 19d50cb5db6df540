//! Numbers and strings as ssh writes them. RFC 4251, section 5.

/// What is left to be read of something that came. Nothing is taken for longer than it is.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// A `uint32`.
    pub(crate) fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    /// A `string`.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }

    /// A `mpint` above zero, without the zeros before it.
    pub(crate) fn positive(&mut self) -> Option<&'a [u8]> {
        let number = self.string()?;
        let first = number.iter().position(|byte| *byte != 0)?;
        (number[0] < 0x80).then(|| &number[first..])
    }
}

/// Appends a `string`.
pub(crate) fn put(to: &mut Vec<u8>, string: &[u8]) {
    let length = u32::try_from(string.len()).expect("nothing that an agent tells has four GiB");
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(string);
}

/// Appends a `mpint` of a number that is not negative.
pub(crate) fn put_number(to: &mut Vec<u8>, number: &[u8]) {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let mut told = number[first..].to_vec();
    if told.first().is_some_and(|first| *first >= 0x80) {
        told.insert(0, 0);
    }
    put(to, &told);
}
