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
use resource::log::{AUTHORITIES, CERTIFICATE, KEY, tag};
use resource::{LogConfig, LogMode, LogServer, Syslog, SyslogAddress, SyslogFormat};
use secure::SKIP_VERIFY;
use std::collections::BTreeMap;

mod address;
mod secure;

/// The option that says where the server is.
pub(crate) const ADDRESS: &str = "syslog-address";

/// Bytes a non-blocking log may be behind.
const BUFFER: u64 = 1_000_000;

/// What to write where a size is no size.
const A_SIZE: &str = "a size such as `10m`";

/// What to write where a facility is none.
const A_FACILITY: &str = "a name such as `daemon` or `local0`, or a number of 0 to 23";

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
        if log.none {
            for option in logging.options.keys() {
                let path = format!("logging.options.{option}");
                self.ignored(service, &path, "driver `none` keeps and sends nothing");
            }
            return log;
        }
        for (option, value) in &logging.options {
            let path = format!("logging.options.{option}");
            let outcome = match option.as_str() {
                "max-buffer-size" => Ok(()),
                "cache-disabled" if log.server.is_some() => truth(value).map(|disabled| {
                    if disabled {
                        self.ignored(service, &path, "lines are sent from what is kept");
                    }
                }),
                option if log.server.is_some() => match option.strip_prefix("cache-") {
                    Some(option @ ("max-size" | "max-file" | "compress")) => file(&mut log, option, value),
                    _ => server(&mut log, option, value).unwrap_or_else(|| beside(&mut log, option, value)),
                },
                "max-size" | "max-file" | "compress" => file(&mut log, option, value),
                option => beside(&mut log, option, value),
            };
            if let Err(problem) = outcome {
                let said = match problem {
                    Problem::Value(right) => {
                        format!("`{value}` is no value of log option `{option}`: write {right}")
                    }
                    Problem::Unknown => format!("unknown log option `{option}` for driver `{driver}`"),
                    Problem::Other(why) => why,
                };
                self.error(service, &path, said);
            }
        }
        self.buffer(service, &logging.options, &mut log);
        self.secure(service, &logging.options, &mut log);
        if log.compress && driver == "json-file" && (log.max_file < 2 || log.max_size.is_none()) {
            let why = "`compress` needs `max-size`, and `max-file` of at least 2: the file that is written to is not compressed";
            self.error(service, "logging.options.compress", why);
        }
        log
    }

    /// What a log that keeps nobody waiting may be behind.
    fn buffer(&mut self, service: &Service, options: &BTreeMap<String, String>, log: &mut LogConfig) {
        let Some(value) = options.get("max-buffer-size") else { return };
        // Of this one letters stand for powers of 1024, as with Docker.
        let said = match (scaled(value, 1024), &mut log.mode) {
            (Some(size), LogMode::NonBlocking(bytes)) => return *bytes = size,
            (Some(_), LogMode::Blocking) => {
                "log option `max-buffer-size` needs `mode: non-blocking`".to_owned()
            }
            (None, _) => format!("`{value}` is no value of log option `max-buffer-size`: write {A_SIZE}"),
        };
        self.error(service, "logging.options.max-buffer-size", said);
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
    /// Its value; what to write instead.
    Value(&'static str),
    /// What is said instead.
    Other(String),
}

/// An option of what is kept.
fn file(log: &mut LogConfig, option: &str, value: &str) -> Result<(), Problem> {
    match option {
        "max-size" if value == "-1" => log.max_size = None,
        "max-size" => {
            let size = scaled(value, 1000).filter(|size| *size > 0);
            log.max_size = Some(size.ok_or(Problem::Value(A_SIZE))?);
        }
        "max-file" => {
            let count = value.parse().ok().filter(|count| *count > 0);
            log.max_file = count.ok_or(Problem::Value("a number of files, the current one included"))?;
        }
        _ => log.compress = truth(value)?,
    }
    Ok(())
}

/// An option that every driver has.
fn beside(log: &mut LogConfig, option: &str, value: &str) -> Result<(), Problem> {
    let names =
        || value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let expression = || match Regex::new(value) {
        // One that is empty would find everything.
        Ok(_) => Ok(Some(value.to_owned()).filter(|text| !text.is_empty())),
        Err(error) => Err(Problem::Other(format!("log option `{option}` is no regular expression: {error}"))),
    };
    match option {
        "mode" => match value {
            "" | "blocking" => log.mode = LogMode::Blocking,
            "non-blocking" => log.mode = LogMode::NonBlocking(BUFFER),
            _ => return Err(Problem::Value("`blocking` or `non-blocking`")),
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
        ADDRESS => address::parse(value)
            .map(|address| syslog.address = address)
            .map_err(|why| Problem::Other(format!("log option `syslog-address`: {why}"))),
        "syslog-facility" => {
            let at = || FACILITIES.iter().position(|name| *name == value);
            let named = || at().and_then(|at| u8::try_from(at).ok());
            let number = || value.parse().ok().filter(|number| *number < 24);
            let facility = if value.is_empty() { Some(DAEMON) } else { named().or_else(number) };
            facility.map(|facility| syslog.facility = facility).ok_or(Problem::Value(A_FACILITY))
        }
        "syslog-format" => match value {
            "" => Ok(SyslogFormat::Unix),
            "rfc3164" => Ok(SyslogFormat::Rfc3164),
            "rfc5424" => Ok(SyslogFormat::Rfc5424),
            "rfc5424micro" => Ok(SyslogFormat::Rfc5424Micro),
            _ => Err(Problem::Value("`rfc3164`, `rfc5424` or `rfc5424micro`")),
        }
        .map(|format| syslog.format = format),
        AUTHORITIES | CERTIFICATE | KEY => Ok(()),
        SKIP_VERIFY if value.is_empty() => Ok(()),
        SKIP_VERIFY => truth(value).map(drop),
        _ => return None,
    })
}

/// Reads a truth value in any of Go's forms, as Docker does.
fn truth(value: &str) -> Result<bool, Problem> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(Problem::Value("`true` or `false`")),
    }
}
