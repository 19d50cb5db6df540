//! Durations as people say them, and as people type them.

use super::time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// `2 minutes`, `About an hour`, `3 weeks`: whole units, the words of Docker's tools.
pub(crate) fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (0, _, _) => "Less than a second".to_owned(),
        (1, _, _) => "1 second".to_owned(),
        (2..60, _, _) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, 48..336) => format!("{} days", hours / 24),
        (_, _, 336..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// `2 minutes ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", human(now.duration_since(then)))
}

/// Reads a duration in Go's spelling, `1h30m`, `90s`, `1.5h`, `250ms`.
pub(crate) fn parse(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let mut nanoseconds = 0_f64;
    while !rest.is_empty() {
        let end = rest.find(|byte: char| !byte.is_ascii_digit() && byte != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|byte: char| byte.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "d" => 86_400e9,
            _ => return None,
        };
        nanoseconds += number * unit;
        rest = &rest[end..];
    }
    (!text.is_empty() && nanoseconds <= 9e18).then(|| SignedDuration::from_secs_f64(nanoseconds / 1e9))
}

/// A point in time as `--since` and `--until` take it: RFC 3339, a date, a date with a time (both in the
/// zone of who asks), seconds since 1970, or a duration before `now`.
pub(crate) fn point(text: &str, now: Timestamp) -> Option<Timestamp> {
    point_in(text, now, time::zone)
}

/// The same, seen from a zone.
fn point_in(text: &str, now: Timestamp, zone: impl Fn() -> TimeZone) -> Option<Timestamp> {
    if let Some(before) = parse(text) {
        return now.checked_sub(before).ok();
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Some((seconds, fraction)) =
        text.split_once('.').or(Some((text, "0"))).filter(|(seconds, _)| seconds.parse::<i64>().is_ok())
    {
        let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        return Timestamp::new(seconds.parse().ok()?, nanoseconds).ok();
    }
    let civil = text
        .parse::<jiff::civil::DateTime>()
        .ok()
        .or_else(|| format!("{text}:00:00").parse().ok())
        .or_else(|| text.parse::<jiff::civil::Date>().ok().map(|date| date.at(0, 0, 0, 0)))?;
    civil.to_zoned(zone()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let said = |seconds| human(SignedDuration::from_secs(seconds));
        assert_eq!(said(0), "Less than a second");
        assert_eq!(said(1), "1 second");
        assert_eq!(said(59), "59 seconds");
        assert_eq!(said(60), "About a minute");
        assert_eq!(said(150), "2 minutes");
        assert_eq!(said(3600), "About an hour");
        assert_eq!(said(47 * 3600), "47 hours");
        assert_eq!(said(48 * 3600), "2 days");
        assert_eq!(said(15 * 86_400), "2 weeks");
        assert_eq!(said(100 * 86_400), "3 months");
        assert_eq!(said(800 * 86_400), "2 years");
    }

    #[test]
    fn points_in_time_are_absolute_or_relative() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let west = || TimeZone::fixed(jiff::tz::offset(-3));
        let read = |text| point_in(text, now, west).map(|time| time.to_string());
        assert_eq!(read("42m").unwrap(), "2026-03-01T11:18:00Z");
        assert_eq!(read("1h30m").unwrap(), "2026-03-01T10:30:00Z");
        assert_eq!(read("2026-01-02T03:04:05Z").unwrap(), "2026-01-02T03:04:05Z");
        assert_eq!(read("2026-01-02T03:04:05").unwrap(), "2026-01-02T06:04:05Z");
        assert_eq!(read("2026-01-02").unwrap(), "2026-01-02T03:00:00Z");
        assert_eq!(read("1700000000").unwrap(), "2023-11-14T22:13:20Z");
        assert_eq!(read("1700000000.5").unwrap(), "2023-11-14T22:13:20.5Z");
        assert_eq!(read("yesterday"), None);
    }
}
