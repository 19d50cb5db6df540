//! Where the output goes. Sizes are decimal: `10m` is ten million bytes.

use crate::limits::scaled;
use crate::lowering::Lowering;
use compose_spec::Service;
use resource::{LogConfig, LogMode};

/// Bytes a non-blocking log may be behind.
const BUFFER: u64 = 1_000_000;

impl Lowering<'_> {
    pub(crate) fn logging(&mut self, service: &Service) -> LogConfig {
        let mut log = LogConfig::default();
        let Some(logging) = &service.logging else { return log };
        let driver = logging.driver.as_deref().unwrap_or("json-file");
        match driver {
            "json-file" | "" => {}
            "local" => (log.max_size, log.max_file) = (Some(20 << 20), 5),
            "none" => log.none = true,
            other => {
                let why = format!("driver `{other}` is not supported, output is kept as with `json-file`");
                self.ignored(service, "logging.driver", &why);
                return log;
            }
        }
        let mut buffer = BUFFER;
        for (option, value) in &logging.options {
            let path = format!("logging.options.{option}");
            let mut bad =
                || self.error(service, &path, format!("`{value}` is no value of log option `{option}`"));
            match option.as_str() {
                "max-size" if value == "-1" => log.max_size = None,
                "max-size" => match scaled(value, 1000).filter(|size| *size > 0) {
                    Some(size) => log.max_size = Some(size),
                    None => bad(),
                },
                "max-file" => match value.parse::<u32>().ok().filter(|count| *count > 0) {
                    Some(count) => log.max_file = count,
                    None => bad(),
                },
                "max-buffer-size" => match scaled(value, 1000) {
                    Some(size) => buffer = size,
                    None => bad(),
                },
                "mode" => match value.as_str() {
                    "blocking" => log.mode = LogMode::Blocking,
                    "non-blocking" => log.mode = LogMode::NonBlocking(buffer),
                    _ => bad(),
                },
                "compress" if value == "false" => {}
                "compress" => self.ignored(service, &path, "logs are not compressed"),
                "labels" | "labels-regex" | "env" | "env-regex" | "tag" => {
                    self.ignored(service, &path, "log lines carry no further attributes");
                }
                _ => {
                    self.error(service, &path, format!("unknown log option `{option}` for driver `{driver}`"))
                }
            }
        }
        if let LogMode::NonBlocking(bytes) = &mut log.mode {
            *bytes = buffer;
        }
        log
    }
}
