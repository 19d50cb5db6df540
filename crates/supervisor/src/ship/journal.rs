//! What systemd-journald is sent: fields of one line. Pure but for [`send`].
//!
//! Source: systemd, "Native Journal Protocol".

use super::Facts;
use super::part::Part;
use crate::log::{Line, Stream};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Where it listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// Syslog's severities: what standard error and standard output are.
const ERROR: &str = "3";
const INFORMATION: &str = "6";

/// A line, or a part of one, as the fields that Docker's driver sends.
pub(super) fn encode(facts: &Facts, line: &Line, part: Option<&Part>) -> Vec<u8> {
    let mut bytes = vec![];
    put(&mut bytes, "MESSAGE", line.text.strip_suffix('\n').unwrap_or(&line.text));
    put(&mut bytes, "PRIORITY", if line.stream == Stream::Stderr { ERROR } else { INFORMATION });
    put(&mut bytes, "CONTAINER_ID", &facts.short_id);
    put(&mut bytes, "CONTAINER_ID_FULL", &facts.id);
    put(&mut bytes, "CONTAINER_NAME", &facts.name);
    put(&mut bytes, "CONTAINER_TAG", &facts.tag);
    put(&mut bytes, "IMAGE_NAME", &facts.image);
    put(&mut bytes, "SYSLOG_IDENTIFIER", &facts.tag);
    put(&mut bytes, "SYSLOG_TIMESTAMP", &line.time.to_string());
    if let Some(part) = part {
        put(&mut bytes, "CONTAINER_PARTIAL_ID", &part.id);
        put(&mut bytes, "CONTAINER_PARTIAL_ORDINAL", &part.ordinal.to_string());
        put(&mut bytes, "CONTAINER_PARTIAL_LAST", if part.last { "true" } else { "false" });
    }
    if part.is_some_and(|part| !part.last) {
        put(&mut bytes, "CONTAINER_PARTIAL_MESSAGE", "true");
    }
    for (name, value) in &facts.attributes {
        if let Some(name) = field(name) {
            put(&mut bytes, &name, value);
        }
    }
    bytes
}

/// A field: text as it is, and with its length where it has several lines.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend((value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

/// A label's or variable's name as a field's: capital letters, digits and `_`, which does not come first.
fn field(name: &str) -> Option<String> {
    let letter = |letter: char| match letter.to_ascii_uppercase() {
        letter @ ('A'..='Z' | '0'..='9') => letter,
        _ => '_',
    };
    let name: String = name.chars().map(letter).collect();
    let name = name.trim_start_matches('_');
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
    (begins && name.len() <= 64).then(|| name.to_owned())
}

/// Sends fields as one datagram; as a sealed file where they are too many for one.
pub(super) fn send(socket: impl AsFd, fields: &[u8]) -> io::Result<()> {
    match rustix::net::send(&socket, fields, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Err(Errno::MSGSIZE | Errno::NOBUFS) => send_file(socket.as_fd(), fields),
        other => Ok(other.map(drop)?),
    }
}

fn send_file(socket: BorrowedFd<'_>, fields: &[u8]) -> io::Result<()> {
    let file = rustix::fs::memfd_create("journal", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(file);
    file.write_all(fields)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    Ok(rustix::net::sendmsg(socket, &[IoSlice::new(&[])], &mut control, flags).map(drop)?)
}

/// What is said where nobody listens.
pub(super) fn missing(socket: &Path) -> String {
    format!("nobody listens at {}: log driver `journald` needs systemd-journald", socket.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_the_journal_reads_them() {
        let facts = Facts {
            tag: "web".into(),
            attributes: [("com.x".into(), "a\nb".into())].into(),
            ..Facts::default()
        };
        let time = "2026-03-01T12:00:00.5Z".parse().unwrap();
        let line = Line { time, stream: Stream::Stderr, text: "hello\n".into() };
        let bytes = encode(&facts, &line, None);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("MESSAGE=hello\nPRIORITY=3\nCONTAINER_ID=\n"), "{text}");
        assert!(text.contains("\nSYSLOG_IDENTIFIER=web\n") && !text.contains("PARTIAL"), "{text}");
        assert!(bytes.ends_with(b"\nCOM_X\n\x03\0\0\0\0\0\0\0a\nb\n"), "{text}");
        let said = |part: &Part| String::from_utf8(encode(&facts, &line, Some(part))).unwrap();
        let mut part = Part { id: "7f".into(), ordinal: 2, last: false };
        let first = "\nCONTAINER_PARTIAL_ID=7f\nCONTAINER_PARTIAL_ORDINAL=2\nCONTAINER_PARTIAL_LAST=";
        assert!(said(&part).contains(&format!("{first}false\nCONTAINER_PARTIAL_MESSAGE=true\n")));
        part.last = true;
        let last = said(&part);
        assert!(last.contains(&format!("{first}true\n")) && !last.contains("MESSAGE=true"), "{last}");
    }

    #[test]
    fn names_of_fields_are_the_journals() {
        assert_eq!(field("com.example.tier-1").as_deref(), Some("COM_EXAMPLE_TIER_1"));
        assert_eq!(field("_path").as_deref(), Some("PATH"));
        assert_eq!(field("1st"), None);
        assert_eq!(field("é"), None);
    }
}
