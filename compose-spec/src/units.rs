//! Time spans and sizes: reading them, and writing time spans in canonical form.

use std::time::Duration;

/// Nanoseconds of a unit of time.
fn unit(name: &str) -> Option<u128> {
    Some(match name {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        "d" => 86_400 * 1_000_000_000,
        "w" => 604_800 * 1_000_000_000,
        _ => return None,
    })
}

/// Reads a time span such as `1h30m`, `1.5s`, `90s`; units `ns us ms s m h d w`.
///
/// # Errors
/// What is wrong, in words.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (name, tail) = tail.split_at(unit_end);
        if number.is_empty() {
            return Err(format!("`{rest}` does not start with a number"));
        }
        if name.is_empty() {
            return Err("it has no unit".to_owned());
        }
        let unit = unit(name).ok_or_else(|| format!("`{name}` is no unit of time"))?;
        let part = scaled(number, unit).ok_or_else(|| format!("`{number}` is no number"))?;
        total = total.checked_add(part).ok_or("it is too long")?;
        rest = tail;
    }
    let nanoseconds = u64::try_from(total).map_err(|_| "it is too long")?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// `number` (digits, perhaps with one point) times `unit`, exactly, cut to whole ones.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 20 || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = &fraction[..fraction.len().min(18)];
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let power = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(whole.checked_mul(unit)? + part.checked_mul(unit)? / power)
}

/// A time span as Go writes it: `1m30s`, `24h0m0s`, `1.5s`, `100ms`, `0s`.
pub fn duration_text(span: Duration) -> String {
    let nanoseconds = span.as_nanos();
    let fraction = |value: u128, unit: u128, name: &str| {
        let (whole, part) = (value / unit, value % unit);
        let width = unit.to_string().len() - 1;
        let part = format!("{part:0width$}");
        let part = part.trim_end_matches('0');
        if part.is_empty() || unit == 1 { format!("{whole}{name}") } else { format!("{whole}.{part}{name}") }
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => fraction(nanoseconds, 1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(nanoseconds, 1_000_000, "ms"),
        _ => {
            let minutes = nanoseconds / 60_000_000_000;
            let seconds = fraction(nanoseconds % 60_000_000_000, 1_000_000_000, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// Reads a size such as `512m`, `1.5g`, `1GiB`, `1 GB` and returns bytes; the base is always 1024. `-1` is
/// allowed: where a size limits something it means no limit.
///
/// # Errors
/// What is wrong, in words.
///
/// Source: Compose Specification, "Specifying byte values"; the base is compose-go's, the text leaves it open.
pub fn bytes(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    if trimmed == "-1" {
        return Ok(-1);
    }
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, suffix) = trimmed.split_at(end);
    if number.is_empty() {
        return Err("it does not start with a number".to_owned());
    }
    let suffix = suffix.strip_prefix(' ').unwrap_or(suffix);
    let lower = suffix.to_ascii_lowercase();
    let power = match lower.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(format!("`{suffix}` is no unit of size")),
    };
    let value = scaled(number, 1 << (10 * power)).ok_or_else(|| format!("`{number}` is no number"))?;
    i64::try_from(value).map_err(|_| "it is too big".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_read_and_written() {
        for (text, written) in [
            ("1h30m", "1h30m0s"),
            ("1.5s", "1.5s"),
            ("90s", "1m30s"),
            ("1d", "24h0m0s"),
            ("1w", "168h0m0s"),
            ("100ms", "100ms"),
            ("1500us", "1.5ms"),
            ("0", "0s"),
            ("0s", "0s"),
            ("7ns", "7ns"),
        ] {
            assert_eq!(duration(text).map(duration_text).as_deref(), Ok(written), "{text}");
        }
        for text in ["", "10", "s", "1x", "1.2.3s", "-5s", "1 s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_base_1024() {
        for (text, value) in [
            ("10", 10),
            ("1k", 1024),
            ("1kb", 1024),
            ("1KiB", 1024),
            ("1.5g", 1_610_612_736),
            ("1 GB", 1 << 30),
            ("2t", 2 << 40),
            ("-1", -1),
        ] {
            assert_eq!(bytes(text), Ok(value), "{text}");
        }
        for text in ["", "g", "1Gi", "1x", "1.2.3m", "99999999p", "-2"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
