//! The bytes of netlink: messages with a fixed header and nested attributes, written into one buffer
//! and read out of one. Knows nothing of what they mean.

/// Marks an attribute that holds attributes.
const NESTED: u16 = 0x8000;
/// The two flag bits of an attribute's kind.
const KIND_MASK: u16 = 0x3fff;

/// A message is a request.
const REQUEST: u16 = 0x1;
/// The kernel answers this message even when all is well.
const ACKNOWLEDGE: u16 = 0x4;
/// Make the object if it is missing.
pub(crate) const CREATE: u16 = 0x400;
/// Fail if the object exists.
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// Overwrite the object if it exists.
pub(crate) const REPLACE: u16 = 0x100;
/// Everything there is of a kind.
pub(crate) const DUMP: u16 = 0x300;

/// A run of attributes, growing.
#[derive(Debug, Default, Clone)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).expect("no attribute of ours is near 64 KiB");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.raw(value)
    }

    /// Text with the NUL the kernel expects.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// A number as rtnetlink takes it, in the machine's order.
    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A number as nf_tables takes it, in the network's order.
    pub(crate) fn network_number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// An attribute that holds what `fill` writes.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        fill(self);
        let length = u16::try_from(self.0.len() - start).expect("no nest of ours is near 64 KiB");
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Bytes without a header, padded to four.
    pub(crate) fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Attributes written elsewhere.
    pub(crate) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.extend_from_slice(&other.0);
        self
    }
}

/// What a message tries, for the error that names it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// As it follows "cannot".
    pub(crate) what: String,
    /// The kernel feature it stands on, if it may be missing.
    pub(crate) needs: Option<&'static str>,
}

/// Messages to be sent together, each with what it attempts.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    buffer: Attributes,
    starts: Vec<usize>,
    attempts: Vec<Attempt>,
}

impl Messages {
    /// Adds a message: kind, flags besides "request", fixed header, attributes.
    pub(crate) fn add(
        &mut self,
        (kind, flags): (u16, u16),
        what: impl Into<String>,
        header: &[u8],
        fill: impl FnOnce(&mut Attributes),
    ) -> &mut Self {
        let start = self.buffer.0.len();
        self.starts.push(start);
        self.attempts.push(Attempt { what: what.into(), needs: None });
        self.buffer.0.extend_from_slice(&[0; 4]);
        self.buffer.0.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.0.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.buffer.0.extend_from_slice(&[0; 8]);
        self.buffer.raw(header);
        fill(&mut self.buffer);
        let length = u32::try_from(self.buffer.0.len() - start).expect("a message is far below 4 GiB");
        self.buffer.0[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Says which kernel feature the message added last stands on.
    pub(crate) fn needs(&mut self, feature: &'static str) -> &mut Self {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.needs = Some(feature);
        }
        self
    }

    /// Asks for an answer to the message added last.
    pub(crate) fn acknowledged(&mut self) -> &mut Self {
        if let Some(start) = self.starts.last() {
            let flags = u16_at(&self.buffer.0, start + 6).unwrap_or(0) | ACKNOWLEDGE;
            self.buffer.0[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
        }
        self
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Numbers the messages from `first` on and gives the bytes to send.
    pub(crate) fn numbered(&mut self, first: u32) -> &[u8] {
        for (start, number) in self.starts.iter().zip(first..) {
            self.buffer.0[start + 8..start + 12].copy_from_slice(&number.to_ne_bytes());
        }
        &self.buffer.0
    }

    /// What the message of this index attempts.
    pub(crate) fn attempt(&self, index: usize) -> Attempt {
        let unknown = || Attempt { what: "talk to the kernel's network".to_owned(), needs: None };
        self.attempts.get(index).cloned().unwrap_or_else(unknown)
    }
}

/// One message out of what the kernel sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// Splits what the kernel sent into messages; stops at the first that is cut short.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let payload = bytes.get(16..length)?;
        let message = Received {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            sequence: u32_at(bytes, 8)?,
            payload,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some(message)
    })
}

/// Splits a run of attributes into kinds and values; stops at the first that is cut short.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let (kind, value) = (u16_at(bytes, 2)? & KIND_MASK, bytes.get(4..length)?);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The first attribute of a kind.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// Text up to its NUL.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Two bytes in the machine's order.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

/// Four bytes in the machine's order.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut messages_out = Messages::default();
        messages_out.add((16, CREATE), "one", &[7; 16], |attributes| {
            attributes.text(3, "eth0").nest(18, |inner| {
                inner.number(1, 5);
            });
        });
        messages_out.add((17, 0), "two", &[], |_| {}).acknowledged();
        let bytes = messages_out.numbered(40).to_vec();
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].kind, read[0].flags, read[0].sequence), (16, CREATE | REQUEST, 40));
        assert_eq!((read[1].flags, read[1].sequence), (REQUEST | ACKNOWLEDGE, 41));
        assert_eq!(text(attribute(&read[0].payload[16..], 3).unwrap()), "eth0");
        let nest = attribute(&read[0].payload[16..], 18).unwrap();
        assert_eq!(attribute(nest, 1).and_then(|value| u32_at(value, 0)), Some(5));
    }

    #[test]
    fn bytes_cut_short_end_the_list_and_nothing_else() {
        let mut run = Attributes::default();
        run.number(1, 1).number(2, 2);
        for length in 0..run.0.len() {
            assert!(attributes(&run.0[..length]).count() < 2);
            assert!(messages(&run.0[..length]).count() < 2);
        }
    }
}
