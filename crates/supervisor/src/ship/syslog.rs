//! What a syslog server is sent: one line in the form it was said to want. Pure.
//!
//! Source: RFC 3164, RFC 5424, RFC 5425, and Docker's driver for what stands in which field.

use super::Facts;
use super::socket::Kind;
use crate::log::{Line, Stream};
use jiff::tz::TimeZone;
use resource::{Syslog, SyslogAddress, SyslogFormat};

/// Severities: what standard error and standard output are.
const ERROR: u8 = 3;
const INFORMATION: u8 = 6;

/// A line, without a newline at its end. Times are this machine's, as such servers read them.
pub(super) fn encode(
    facts: &Facts,
    facility: u8,
    format: SyslogFormat,
    line: &Line,
    zone: &TimeZone,
) -> Vec<u8> {
    let severity = if line.stream == Stream::Stderr { ERROR } else { INFORMATION };
    let priority = facility * 8 + severity;
    let Facts { tag, host, process, .. } = facts;
    let text = line.text.trim_end_matches('\n');
    let time = line.time.to_zoned(zone.clone());
    match format {
        SyslogFormat::Unix => {
            format!("<{priority}>{} {tag}[{process}]: {text}", time.strftime("%b %e %H:%M:%S"))
        }
        SyslogFormat::Rfc3164 => {
            format!("<{priority}>{} {host} {tag}[{process}]: {text}", time.strftime("%b %e %H:%M:%S"))
        }
        SyslogFormat::Rfc5424 => {
            let time = time.strftime("%Y-%m-%dT%H:%M:%S%:z");
            format!("<{priority}>1 {time} {host} {tag} {process} {tag} - {text}")
        }
        SyslogFormat::Rfc5424Micro => {
            let time = time.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z");
            format!("<{priority}>1 {time} {host} {tag} {process} {tag} - {text}")
        }
    }
    .into_bytes()
}

/// A line as it stands among others: in a stream with a newline at its end, and where RFC 5425 is spoken with its
/// length before that, the newline counted, as Docker has it.
pub(super) fn frame(mut line: Vec<u8>, server: &Syslog, kind: Kind) -> Vec<u8> {
    if kind == Kind::Datagram {
        return line;
    }
    line.push(b'\n');
    let counted = matches!(server.format, SyslogFormat::Rfc5424 | SyslogFormat::Rfc5424Micro);
    if counted && matches!(server.address, SyslogAddress::Tls(..)) {
        let length = format!("{} ", line.len());
        line.splice(..0, length.into_bytes());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_says_the_same() {
        let facts = Facts { tag: "web".into(), host: "box".into(), process: "7".into(), ..Facts::default() };
        let line = Line {
            time: "2026-03-01T12:00:00.0000015Z".parse().unwrap(),
            stream: Stream::Stdout,
            text: "hello\n".into(),
        };
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let write = |format| String::from_utf8(encode(&facts, 3, format, &line, &zone)).unwrap();
        assert_eq!(write(SyslogFormat::Unix), "<30>Mar  1 14:00:00 web[7]: hello");
        assert_eq!(write(SyslogFormat::Rfc3164), "<30>Mar  1 14:00:00 box web[7]: hello");
        assert_eq!(write(SyslogFormat::Rfc5424), "<30>1 2026-03-01T14:00:00+02:00 box web 7 web - hello");
        let micro = write(SyslogFormat::Rfc5424Micro);
        assert_eq!(micro, "<30>1 2026-03-01T14:00:00.000001+02:00 box web 7 web - hello");
    }

    #[test]
    fn lines_in_a_stream_are_told_apart() {
        let framed = |address, format, kind| {
            let server = Syslog { address, facility: 3, format };
            String::from_utf8(frame(b"hello".to_vec(), &server, kind)).unwrap()
        };
        let secure = || SyslogAddress::Tls("box".into(), 6514, resource::SyslogTls::default());
        let tcp = || SyslogAddress::Tcp("box".into(), 601);
        assert_eq!(framed(SyslogAddress::Local, SyslogFormat::Unix, Kind::Datagram), "hello");
        assert_eq!(framed(tcp(), SyslogFormat::Rfc5424, Kind::Stream), "hello\n");
        assert_eq!(framed(secure(), SyslogFormat::Unix, Kind::Stream), "hello\n");
        assert_eq!(framed(secure(), SyslogFormat::Rfc3164, Kind::Stream), "hello\n");
        assert_eq!(framed(secure(), SyslogFormat::Rfc5424, Kind::Stream), "6 hello\n");
        assert_eq!(framed(secure(), SyslogFormat::Rfc5424Micro, Kind::Stream), "6 hello\n");
    }
}
