//! Where the output goes. Sizes are decimal: `10m` is ten million bytes.
//!
//! | driver | what is kept | what is sent |
//! |---|---|---|
//! | `json-file` | as its options say, everything by default | – |
//! | `local` | five files of 20 MiB, compressed | – |
//! | `journald`, `syslog` | the same, so that `logs` can read it (`cache-*`) | every line |
//! | `none` | nothing | – |

use crate::limits::scaled;
use crate::lowering::Lowering;
use compose_spec::Service;
use regex_lite::Regex;
use resource::log::tag;
use resource::{LogConfig, LogMode, LogServer, Syslog, SyslogAddress, SyslogFormat};

mod address;

/// Bytes a non-blocking log may be behind.
const BUFFER: u64 = 1_000_000;

/// Names of syslog's facilities, by their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "security", "console", "clock", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7",
];

/// The facility where none is asked for: `daemon`.
const DAEMON: u8 = 3;

impl Lowering<'_> {
    pub(crate) fn logging(&mut self, service: &Service) -> LogConfig {
        let Some(logging) = &service.logging else { return LogConfig::default() };
        let driver = match logging.driver.as_deref() {
            None | Some("") => "json-file",
            Some(driver) => driver,
        };
        let Some(mut log) = Self::driver(driver) else {
            let why = format!("driver `{driver}` is not supported, output is kept as with `json-file`");
            self.ignored(service, "logging.driver", &why);
            return LogConfig::default();
        };
        let mut buffer = BUFFER;
        for (option, value) in &logging.options {
            let path = format!("logging.options.{option}");
            let outcome = match option.as_str() {
                "max-buffer-size" => scaled(value, 1000).map(|size| buffer = size).ok_or(Problem::Value),
                "cache-disabled" if log.server.is_some() => {
                    if value == "true" {
                        self.ignored(service, &path, "lines are sent from what is kept");
                    }
                    Ok(())
                }
                option if log.server.is_some() => match option.strip_prefix("cache-") {
                    Some(option @ ("max-size" | "max-file" | "compress")) => file(&mut log, option, value),
                    _ => server(&mut log, option, value).unwrap_or_else(|| beside(&mut log, option, value)),
                },
                option if log.none => beside(&mut log, option, value),
                "max-size" | "max-file" | "compress" => file(&mut log, option, value),
                option => beside(&mut log, option, value),
            };
            if let Err(problem) = outcome {
                let said = match problem {
                    Problem::Value => format!("`{value}` is no value of log option `{option}`"),
                    Problem::Unknown => format!("unknown log option `{option}` for driver `{driver}`"),
                    Problem::Other(why) => why,
                };
                self.error(service, &path, said);
            }
        }
        if let LogMode::NonBlocking(bytes) = &mut log.mode {
            *bytes = buffer;
        }
        if log.compress && driver == "json-file" && (log.max_file < 2 || log.max_size.is_none()) {
            let why = "`compress` needs `max-size`, and `max-file` of at least 2: the file that is written to is not compressed";
            self.error(service, "logging.options.compress", why);
        }
        log
    }

    /// A driver with none of its options given.
    fn driver(name: &str) -> Option<LogConfig> {
        let kept =
            LogConfig { max_size: Some(20 << 20), max_file: 5, compress: true, ..LogConfig::default() };
        let syslog =
            Syslog { address: SyslogAddress::Local, facility: DAEMON, format: SyslogFormat::default() };
        Some(match name {
            "json-file" => LogConfig::default(),
            "local" => kept,
            "journald" => LogConfig { server: Some(LogServer::Journal), ..kept },
            "syslog" => LogConfig { server: Some(LogServer::Syslog(syslog)), ..kept },
            "none" => LogConfig { none: true, ..LogConfig::default() },
            _ => return None,
        })
    }
}

/// What is wrong with an option.
enum Problem {
    /// The driver has none of this name.
    Unknown,
    /// Its value.
    Value,
    /// What is said instead.
    Other(String),
}

/// An option of what is kept.
fn file(log: &mut LogConfig, option: &str, value: &str) -> Result<(), Problem> {
    match option {
        "max-size" if value == "-1" => log.max_size = None,
        "max-size" => {
            log.max_size = Some(scaled(value, 1000).filter(|size| *size > 0).ok_or(Problem::Value)?)
        }
        "max-file" => {
            log.max_file = value.parse().ok().filter(|count| *count > 0).ok_or(Problem::Value)?;
        }
        _ => log.compress = value.parse().map_err(|_| Problem::Value)?,
    }
    Ok(())
}

/// An option that every driver has.
fn beside(log: &mut LogConfig, option: &str, value: &str) -> Result<(), Problem> {
    let names =
        || value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let expression = || match Regex::new(value) {
        Ok(_) => Ok(Some(value.to_owned())),
        Err(error) => Err(Problem::Other(format!("log option `{option}` is no regular expression: {error}"))),
    };
    match option {
        "mode" => match value {
            "blocking" => log.mode = LogMode::Blocking,
            "non-blocking" => log.mode = LogMode::NonBlocking(BUFFER),
            _ => return Err(Problem::Value),
        },
        "labels" => log.attributes.labels = names(),
        "env" => log.attributes.env = names(),
        "labels-regex" => log.attributes.labels_regex = expression()?,
        "env-regex" => log.attributes.env_regex = expression()?,
        "tag" => {
            tag::check(value).map_err(|field| {
                let known = "{{.ID}}, {{.FullID}}, {{.Name}}, {{.ImageID}}, {{.ImageFullID}}, {{.ImageName}}";
                Problem::Other(format!("log option `tag` has `{field}` in it, which is none of {known}"))
            })?;
            log.attributes.tag = Some(value.to_owned()).filter(|tag| !tag.is_empty());
        }
        _ => return Err(Problem::Unknown),
    }
    Ok(())
}

/// An option of the server that lines are sent to; `None` when it is none.
fn server(log: &mut LogConfig, option: &str, value: &str) -> Option<Result<(), Problem>> {
    let Some(LogServer::Syslog(syslog)) = &mut log.server else { return None };
    Some(match option {
        "syslog-address" => address::parse(value)
            .map(|address| syslog.address = address)
            .map_err(|why| Problem::Other(format!("log option `syslog-address`: {why}"))),
        "syslog-facility" => {
            let named =
                FACILITIES.iter().position(|name| *name == value).and_then(|at| u8::try_from(at).ok());
            let number = || value.parse().ok().filter(|number| *number < 24);
            named.or_else(number).map(|facility| syslog.facility = facility).ok_or(Problem::Value)
        }
        "syslog-format" => match value {
            "" => Ok(SyslogFormat::Unix),
            "rfc3164" => Ok(SyslogFormat::Rfc3164),
            "rfc5424" => Ok(SyslogFormat::Rfc5424),
            "rfc5424micro" => Ok(SyslogFormat::Rfc5424Micro),
            _ => Err(Problem::Value),
        }
        .map(|format| syslog.format = format),
        "syslog-tls-ca-cert" | "syslog-tls-cert" | "syslog-tls-key" | "syslog-tls-skip-verify" => Err(
            Problem::Other(format!("log option `{option}`: lines are not sent by TLS, {}", address::INSTEAD)),
        ),
        _ => return None,
    })
}
