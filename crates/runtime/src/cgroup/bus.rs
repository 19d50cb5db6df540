//! The few words of D-Bus it takes to ask a user's systemd for a scope: calls with texts and numbers, their
//! replies, and one signal. Source: D-Bus Specification 0.41, "Message Protocol" and "Authentication
//! Protocol"; org.freedesktop.systemd1(5).
//!
//! Written out, since it is two calls a project's life long, made by a process that has one thread and
//! counts its memory; a general client brings an executor and some thirty packages.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest message that is taken; those for us are far shorter.
const LONGEST: usize = 1 << 20;

/// A message's kind, as the protocol numbers it.
const CALL: u8 = 1;
const REPLY: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

/// Texts and numbers as D-Bus writes them: little-endian, each at a multiple of its size.
#[derive(Clone, Debug, Default)]
pub(super) struct Body(Vec<u8>);

impl Body {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(super) fn number(&mut self, number: u32) -> &mut Self {
        self.align(4);
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
        self
    }

    fn signature(&mut self, signature: &str) -> &mut Self {
        self.0.push(signature.len() as u8);
        self.0.extend(signature.as_bytes());
        self.0.push(0);
        self
    }

    /// An array; `to` is the alignment of its elements.
    pub(super) fn array(&mut self, to: usize, elements: impl FnOnce(&mut Self) -> &mut Self) -> &mut Self {
        self.number(0);
        let length_at = self.0.len() - 4;
        self.align(to);
        let start = self.0.len();
        elements(self);
        let length = (self.0.len() - start) as u32;
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        self
    }

    /// A pair of a name and a value of this type.
    pub(super) fn property(
        &mut self,
        name: &str,
        kind: &str,
        value: impl FnOnce(&mut Self) -> &mut Self,
    ) -> &mut Self {
        self.align(8);
        self.text(name).signature(kind);
        value(self)
    }
}

/// Reads what [`Body`] writes.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn text(&mut self, length: usize) -> Option<String> {
        let text = self.take(length.checked_add(1)?)?;
        Some(String::from_utf8_lossy(&text[..length]).into_owned())
    }

    /// A text, or a number as text, after its signature.
    fn variant(&mut self) -> Option<String> {
        let length = self.byte()?;
        match self.text(length.into())?.as_str() {
            "s" | "o" => {
                let length = self.number()? as usize;
                self.text(length)
            }
            "g" => {
                let length = self.byte()?;
                self.text(length.into())
            }
            "u" => Some(self.number()?.to_string()),
            _ => None,
        }
    }
}

/// A message that came.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    kind: u8,
    /// The call that it answers.
    answers: Option<u32>,
    member: Option<String>,
    /// The name of an error.
    error: Option<String>,
    /// What of its body is text or number, as text.
    body: Vec<String>,
}

/// Bytes of a message's fixed part: kinds, length of the body, serial, length of the fields.
const FIXED: usize = 16;

/// Bytes of fields and body that follow a fixed part.
fn rest_of(fixed: &[u8; FIXED]) -> Option<usize> {
    let mut reader = Reader { bytes: fixed, at: 4 };
    let (body, _serial, fields) = (reader.number()?, reader.number()?, reader.number()?);
    let rest = (fields as usize).checked_next_multiple_of(8)?.checked_add(body as usize)?;
    (fixed[0] == b'l' && rest <= LONGEST).then_some(rest)
}

/// Reads a whole message. Only little-endian ones come: the bus is on this machine.
fn parse(bytes: &[u8]) -> Option<Message> {
    let mut reader = Reader { bytes, at: 1 };
    let kind = reader.byte()?;
    reader.at = FIXED - 4;
    let end = reader.number()? as usize + FIXED;
    let mut message = Message { kind, answers: None, member: None, error: None, body: vec![] };
    let mut signature = String::new();
    while reader.at < end {
        reader.align(8);
        let (field, value) = (reader.byte()?, reader.variant()?);
        match field {
            3 => message.member = Some(value),
            4 => message.error = Some(value),
            5 => message.answers = value.parse().ok(),
            8 => signature = value,
            _ => {}
        }
    }
    reader.align(8);
    for kind in signature.chars() {
        let value = match kind {
            's' | 'o' => {
                let length = reader.number()? as usize;
                reader.text(length)?
            }
            'u' => reader.number()?.to_string(),
            // Nothing after it is looked at.
            _ => break,
        };
        message.body.push(value);
    }
    Some(message)
}

/// What is called.
pub(super) struct Method {
    pub(super) destination: &'static str,
    pub(super) path: &'static str,
    pub(super) interface: &'static str,
    pub(super) member: &'static str,
}

/// A call as bytes.
fn encode(serial: u32, method: &Method, signature: &str, body: &Body) -> Vec<u8> {
    let mut message = Body(vec![b'l', CALL, 0, 1]);
    message.number(body.0.len() as u32).number(serial);
    message.array(8, |fields| {
        for (field, kind, value) in [
            (1, "o", method.path),
            (2, "s", method.interface),
            (3, "s", method.member),
            (6, "s", method.destination),
        ] {
            fields.align(8);
            fields.0.push(field);
            fields.signature(kind).text(value);
        }
        if !signature.is_empty() {
            fields.align(8);
            fields.0.push(8);
            fields.signature("g").signature(signature);
        }
        fields
    });
    message.align(8);
    message.0.extend(&body.0);
    message.0
}

/// An error that a call came back with.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    /// The connection.
    #[error("the connection to the user's bus failed")]
    Connection(#[from] io::Error),
    /// What the other side said.
    #[error("{text} ({name})")]
    Refused { name: String, text: String },
}

/// A connection to a bus.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    signals: Vec<Message>,
}

impl Bus {
    /// Connects as the user that this process belongs to, by what the kernel says of it.
    pub(super) fn connect(path: &Path) -> Result<Self, BusError> {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // Without a name: the number of this user is another in its user namespace.
        stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\n")?;
        for expected in ["DATA", "OK "] {
            let line = line(&mut stream)?;
            if !line.starts_with(expected) {
                return Err(BusError::Refused { name: "authentication".to_owned(), text: line });
            }
        }
        stream.write_all(b"BEGIN\r\n")?;
        let mut bus = Self { stream, serial: 0, signals: vec![] };
        bus.call(&of_bus("Hello"), "", &Body::default())?;
        Ok(bus)
    }

    /// Asks for signals that fit.
    pub(super) fn listen(&mut self, rule: &str) -> Result<(), BusError> {
        self.call(&of_bus("AddMatch"), "s", Body::default().text(rule)).map(drop)
    }

    /// Calls and waits for the reply: the texts and numbers of its body.
    pub(super) fn call(
        &mut self,
        method: &Method,
        signature: &str,
        body: &Body,
    ) -> Result<Vec<String>, BusError> {
        self.serial += 1;
        let serial = self.serial;
        self.stream.write_all(&encode(serial, method, signature, body))?;
        loop {
            let message = self.receive()?;
            match message.kind {
                REPLY if message.answers == Some(serial) => return Ok(message.body),
                ERROR if message.answers == Some(serial) => {
                    let name = message.error.unwrap_or_default();
                    return Err(BusError::Refused { name, text: message.body.join(" ") });
                }
                SIGNAL => self.signals.push(message),
                _ => {}
            }
        }
    }

    /// Waits for a signal with this name whose body fits, and gives that.
    pub(super) fn signal(
        &mut self,
        member: &str,
        fits: impl Fn(&[String]) -> bool,
    ) -> Result<Vec<String>, BusError> {
        loop {
            let wanted = |message: &Message| message.member.as_deref() == Some(member) && fits(&message.body);
            if let Some(index) = self.signals.iter().position(wanted) {
                return Ok(self.signals.swap_remove(index).body);
            }
            let message = self.receive()?;
            if message.kind == SIGNAL {
                self.signals.push(message);
            }
        }
    }

    fn receive(&mut self) -> io::Result<Message> {
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let mut fixed = [0; FIXED];
        self.stream.read_exact(&mut fixed)?;
        let mut bytes = fixed.to_vec();
        bytes.resize(FIXED + rest_of(&fixed).ok_or_else(broken)?, 0);
        self.stream.read_exact(&mut bytes[FIXED..])?;
        parse(&bytes).ok_or_else(broken)
    }
}

/// A method of the bus itself.
fn of_bus(member: &'static str) -> Method {
    let name = "org.freedesktop.DBus";
    Method { destination: name, path: "/org/freedesktop/DBus", interface: name, member }
}

/// A line of the authentication, byte by byte: what follows it must stay.
fn line(stream: &mut UnixStream) -> io::Result<String> {
    let (mut line, mut byte) = (vec![], [0]);
    while !line.ends_with(b"\r\n") && line.len() < 1024 {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_as_the_specification_says() {
        let method = Method { destination: "d.e", path: "/p", interface: "i.f", member: "M" };
        let mut body = Body::default();
        body.text("ab").array(8, |list| list.property("n", "u", |value| value.number(7)));
        let bytes = encode(3, &method, "sa(sv)", &body);
        let fixed: [u8; FIXED] = bytes[..FIXED].try_into().unwrap();
        assert_eq!(fixed[..12], [b'l', 1, 0, 1, 32, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(rest_of(&fixed), Some(bytes.len() - FIXED));
        assert_eq!(bytes.len() % 8, 0);
        // Length and text, the array's 16 bytes from a multiple of 8, in it name, type and number.
        let expected = b"\x02\0\0\0ab\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0n\0\x01u\0\0\0\0\x07\0\0\0";
        assert_eq!(body.0, expected);
        let message = parse(&bytes).unwrap();
        assert_eq!((message.kind, message.member.as_deref()), (CALL, Some("M")));
        assert_eq!(message.body, ["ab"]);
    }

    #[test]
    fn nonsense_is_no_message() {
        assert_eq!(rest_of(&[0; FIXED]), None);
        let mut huge = [0xff; FIXED];
        huge[0] = b'l';
        assert_eq!(rest_of(&huge), None);
        let method = Method { destination: "d.e", path: "/p", interface: "i.f", member: "M" };
        let whole = encode(1, &method, "s", Body::default().text("text"));
        for length in FIXED..whole.len() {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
    }
}
