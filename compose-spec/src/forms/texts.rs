//! Checks of texts that have a small grammar of their own.

use std::net::IpAddr;
use std::time::Duration;

use crate::model::{PullPolicy, Restart};
use crate::units;

/// `container_name`.
pub(crate) fn container_name(text: &str) -> Result<(), String> {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if starts && text.len() > 1 && text.bytes().all(rest) {
        Ok(())
    } else {
        Err("a letter or digit, then letters, digits, `_`, `.` and `-`, two characters at least".to_owned())
    }
}

/// A text that must hold something.
pub(crate) fn not_blank(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("it is blank".to_owned()) } else { Ok(()) }
}

/// `env_file[].format`.
pub(crate) fn env_format(text: &str) -> Result<(), String> {
    match text {
        "" | "raw" => Ok(()),
        _ => Err(format!("`{text}` is no format of environment files; `raw` is the only one to name")),
    }
}

/// `ipc`.
pub(crate) fn ipc(text: &str) -> Result<(), String> {
    let of_other = text.strip_prefix("service:").or(text.strip_prefix("container:"));
    match text {
        "" | "none" | "private" | "shareable" | "host" => Ok(()),
        _ if of_other.is_some_and(|name| !name.is_empty()) => Ok(()),
        _ => {
            Err("one of `none`, `private`, `shareable`, `host`, `service:NAME`, `container:NAME`".to_owned())
        }
    }
}

/// An address where only an address may stand.
pub(crate) fn address(text: &str) -> Result<(), String> {
    text.parse::<IpAddr>().map(|_| ()).map_err(|_| format!("`{text}` is no IP address"))
}

/// `pull_policy`.
pub(crate) fn pull_policy(text: &str) -> Result<(), String> {
    parse_pull_policy(text).map(|_| ()).ok_or_else(|| {
        format!(
            "`{text}` is none of `always`, `never`, `missing`, `build`, `daily`, `weekly`, `every_<time>`"
        )
    })
}

/// Reads a pull policy.
pub(crate) fn parse_pull_policy(text: &str) -> Option<PullPolicy> {
    const DAY: u64 = 86_400;
    Some(match text {
        "missing" | "if_not_present" => PullPolicy::Missing,
        "always" | "refresh" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        "build" => PullPolicy::Build,
        "daily" => PullPolicy::Every(Duration::from_secs(DAY)),
        "weekly" => PullPolicy::Every(Duration::from_secs(7 * DAY)),
        _ => PullPolicy::Every(units::duration(text.strip_prefix("every_")?).ok()?),
    })
}

/// `restart`.
pub(crate) fn restart(text: &str) -> Result<(), String> {
    parse_restart(text).map(|_| ()).ok_or_else(|| {
        format!("`{text}` is none of `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:COUNT`")
    })
}

/// Reads a restart policy. A count that is no number is 0, as it has always been.
pub(crate) fn parse_restart(text: &str) -> Option<Restart> {
    Some(match text {
        "" | "no" => Restart::No,
        "always" => Restart::Always,
        "unless-stopped" => Restart::UnlessStopped,
        "on-failure" => Restart::OnFailure { max: 0 },
        _ => Restart::OnFailure { max: text.strip_prefix("on-failure:")?.parse().unwrap_or(0) },
    })
}
