//! Where a container's output goes, and what is written beside each line.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a container's output goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogConfig {
    /// Nothing is kept.
    pub none: bool,
    /// Bytes at which the file is rotated; `None` never.
    pub max_size: Option<u64>,
    /// Files kept, the current one included; at least 1.
    pub max_file: u32,
    /// Files that are no longer written to are compressed.
    #[serde(default)]
    pub compress: bool,
    /// What happens when the log cannot be written quickly enough.
    pub mode: LogMode,
    /// What is written beside each line.
    #[serde(default)]
    pub attributes: LogAttributes,
    /// Who is sent every line besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<LogServer>,
}

/// What happens when a log cannot be written quickly enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogMode {
    /// The container waits.
    #[default]
    Blocking,
    /// Output beyond this many bytes is dropped.
    NonBlocking(u64),
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            none: false,
            max_size: None,
            max_file: 1,
            compress: false,
            mode: LogMode::Blocking,
            attributes: LogAttributes::default(),
            server: None,
        }
    }
}

/// What of a container is written beside each of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAttributes {
    /// A [`tag`] template; written where one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Names of labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// A regular expression that names of labels are looked for with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_regex: Option<String>,
    /// Names of environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// A regular expression that names of environment variables are looked for with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_regex: Option<String>,
}

/// Somebody who is sent the lines of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogServer {
    /// systemd-journald on this machine.
    Journal,
    /// A syslog server.
    Syslog(Syslog),
}

/// A syslog server and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syslog {
    /// Where it is.
    pub address: SyslogAddress,
    /// What the lines are said to come from, 0 (`kern`) to 23 (`local7`).
    pub facility: u8,
    /// How a line is written.
    pub format: SyslogFormat,
}

/// Where the syslog server of this machine may be; the first is where it uses to be.
pub const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// Where a syslog server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyslogAddress {
    /// The socket of this machine, at one of [`LOCAL`].
    Local,
    /// A socket of this machine; a stream if it is one, else datagrams.
    Unix(PathBuf),
    /// Host and port, one datagram a line.
    Udp(String, u16),
    /// Host and port, lines ended by newlines.
    Tcp(String, u16),
    /// Host and port, by TLS: lines of RFC 5424 with their length before them, as RFC 5425 wants it.
    Tls(String, u16, SyslogTls),
}

impl std::fmt::Display for SyslogAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, host, port) = match self {
            Self::Local => return formatter.write_str(LOCAL[0]),
            Self::Unix(path) => return write!(formatter, "unix://{}", path.display()),
            Self::Udp(host, port) => ("udp", host, port),
            Self::Tcp(host, port) => ("tcp", host, port),
            Self::Tls(host, port, _) => ("tcp+tls", host, port),
        };
        if host.contains(':') {
            write!(formatter, "{scheme}://[{host}]:{port}")
        } else {
            write!(formatter, "{scheme}://{host}:{port}")
        }
    }
}

/// The option that names the file of authorities.
pub const AUTHORITIES: &str = "syslog-tls-ca-cert";
/// The option that names the file of the certificate.
pub const CERTIFICATE: &str = "syslog-tls-cert";
/// The option that names the file of its key.
pub const KEY: &str = "syslog-tls-key";

/// Whom a connection to a syslog server believes, and what it proves itself with. Files are in PEM form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyslogTls {
    /// Whom it believes.
    pub trust: SyslogTrust,
    /// What is shown to a server that wants a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<LogIdentity>,
}

/// Who is believed to be a syslog server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyslogTrust {
    /// Whoever the machine's authorities vouch for.
    #[default]
    Machine,
    /// Whoever they or those of this file vouch for.
    Besides(PathBuf),
    /// Whoever answers.
    Anybody,
}

/// A certificate and the key of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogIdentity {
    /// File of the certificate, with those that vouch for it behind it.
    pub certificate: PathBuf,
    /// File of the private key.
    pub key: PathBuf,
}

/// How a line is written for a syslog server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyslogFormat {
    /// As for the server of the same machine: like RFC 3164 without the host's name.
    #[default]
    Unix,
    /// RFC 3164.
    Rfc3164,
    /// RFC 5424, to the second.
    Rfc5424,
    /// RFC 5424, to the microsecond.
    Rfc5424Micro,
}

/// Tag templates: text with `{{.Name}}` and the like in it.
pub mod tag {
    use crate::ContainerRecord;

    /// What a template may name, and what stands for it.
    type Field = (&'static str, fn(&ContainerRecord) -> String);

    const FIELDS: [Field; 7] = [
        ("ID", |record| record.id.short().to_owned()),
        ("FullID", |record| record.id.0.clone()),
        ("Name", |record| record.spec.name.to_string()),
        ("ImageID", |record| record.image.hex().chars().take(12).collect()),
        ("ImageFullID", |record| record.image.to_string()),
        ("ImageName", |record| record.spec.image.written()),
        ("DaemonName", |_| "compose".to_owned()),
    ];

    /// A tag where none is asked for.
    pub const DEFAULT: &str = "{{.ID}}";

    /// The template with everything it names put in.
    ///
    /// # Errors
    /// What stands between braces and is no field.
    pub fn render(template: &str, record: &ContainerRecord) -> Result<String, String> {
        fill(template, |field| field(record))
    }

    /// Whether it is a template.
    ///
    /// # Errors
    /// What stands between braces and is no field.
    pub fn check(template: &str) -> Result<(), String> {
        fill(template, |_| String::new()).map(drop)
    }

    fn fill(
        template: &str,
        value: impl Fn(fn(&ContainerRecord) -> String) -> String,
    ) -> Result<String, String> {
        let (mut text, mut rest) = (String::new(), template);
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or_else(|| after.to_owned())?;
            let field = FIELDS.iter().find(|(known, _)| name.trim().strip_prefix('.') == Some(known));
            let (_, field) = field.ok_or_else(|| name.trim().to_owned())?;
            text.push_str(before);
            text.push_str(&value(*field));
            rest = after;
        }
        Ok(text + rest)
    }
}
