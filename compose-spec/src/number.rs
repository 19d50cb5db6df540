//! Numbers of YAML 1.2 core with what Compose keeps of 1.1, and how they become text again.

/// A float as Go prints it, which is what Compose files have always become: shortest digits, an exponent
/// below 1e-4 and from 1e6 (`%g` of strconv.FormatFloat).
pub(crate) fn float_text(value: f64) -> String {
    shortest(value, 1e-4..1e6)
}

/// A float as it is written in YAML, where what is no number has words of its own.
pub(crate) fn yaml_text(value: f64) -> String {
    match value {
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        value if value.is_nan() => ".nan".to_owned(),
        value => float_text(value),
    }
}

/// A float as Go writes it in JSON: an exponent below 1e-6 and from 1e21. JSON has no word for what is no
/// number, so that is `null`.
pub(crate) fn json_text(value: f64) -> String {
    if value.is_finite() { shortest(value, 1e-6..1e21).replacen("e-0", "e-", 1) } else { "null".to_owned() }
}

/// Shortest digits, without an exponent if the magnitude is in `plain`.
fn shortest(value: f64, plain: std::ops::Range<f64>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value == 0.0 || plain.contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Reads a whole number as YAML 1.2 core plus `017` (octal), `0b1` and `1_000`; too big is `None`.
pub(crate) fn int(text: &str) -> Option<i64> {
    i64::try_from(whole(text)?).ok()
}

/// Reads a whole number that is too big for [`int`] but has no more than 64 bits, as Go's reader does.
pub(crate) fn big(text: &str) -> Option<u64> {
    u64::try_from(whole(text)?).ok()
}

/// Reads a whole number of less than 128 bits.
fn whole(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let bytes = digits.as_bytes();
    if !bytes.first()?.is_ascii_digit() || bytes.last() == Some(&b'_') {
        return None;
    }
    let (radix, digits) = match bytes {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let mut value: i128 = 0;
    let mut any = false;
    for character in digits.chars().filter(|&character| character != '_') {
        value = value.checked_mul(radix.into())?.checked_add(character.to_digit(radix)?.into())?;
        any = true;
    }
    any.then_some(if negative { -value } else { value })
}

/// Reads a float as YAML does: `1e3`, `.5`, `-.inf`, `.nan`, and whole numbers too big for [`int`].
pub(crate) fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    let shape = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+' | b'_');
    let starts = unsigned.bytes().next()?;
    let ends = unsigned.bytes().next_back()?;
    if !(starts.is_ascii_digit() || starts == b'.') || ends == b'_' || !unsigned.bytes().all(shape) {
        return None;
    }
    if text.contains('_') { text.replace('_', "").parse().ok() } else { text.parse().ok() }
}

/// A date or time as Go prints it, which is what an unquoted one has always become. `None` if `text` is not one:
/// a time behind `T` needs a zone, one behind a blank has none. Months, days, hours and the like may have one digit.
///
/// Source: the layouts that go-yaml tries.
pub(crate) fn timestamp_text(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return None;
    }
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let (date, rest) = text.split_at(end);
    let mut parts = date.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    let (month, day) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if !(1..=12).contains(&month) || !(1..=days(year, month)).contains(&day) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some((separator, time)) = rest.split_at_checked(1) else {
        return Some(format!("{date} 00:00:00 +0000 UTC"));
    };
    let (clock, zone) = time.split_at(time.find(['Z', '+', '-']).unwrap_or(time.len()));
    if zone.is_empty() != (separator == " ") {
        return None;
    }
    Some(format!("{date} {} {}", clock_text(clock)?, zone_text(zone)?))
}

/// What [`timestamp_text`] gives, as RFC 3339 writes it: `2020-01-01T10:00:00Z`.
pub(crate) fn rfc3339(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(' ').collect();
    let [date, clock, offset, zone] = parts[..] else { return None };
    timestamp_text(date)?;
    let (hours, minutes) = offset.split_at_checked(3)?;
    let zone = if zone == "UTC" { "Z".to_owned() } else { format!("{hours}:{minutes}") };
    Some(format!("{date}T{clock}{zone}"))
}

/// Days of a month, 1 to 12.
fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `9:5:7.50` → `09:05:07.5`.
fn clock_text(clock: &str) -> Option<String> {
    let (whole, fraction) = match clock.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (clock, None),
    };
    let mut parts = whole.splitn(3, ':').map(|part| digits(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_fraction = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if hour > 23 || minute > 59 || second > 59 || !fraction.is_none_or(is_fraction) {
        return None;
    }
    let fraction = fraction.unwrap_or("").trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{hour:02}:{minute:02}:{second:02}{point}{fraction}"))
}

/// `+02:00` → `+0200 +0200`; `Z` and none are UTC.
fn zone_text(zone: &str) -> Option<String> {
    let Some((sign, offset)) = zone.split_at_checked(1).filter(|(sign, _)| *sign != "Z") else {
        return matches!(zone, "" | "Z").then(|| "+0000 UTC".to_owned());
    };
    let (hours, minutes) = offset.split_once(':').filter(|_| offset.len() == 5)?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours == 0 && minutes == 0 {
        return Some("+0000 UTC".to_owned());
    }
    Some(format!("{sign}{hours:02}{minutes:02} {sign}{hours:02}{minutes:02}"))
}

/// A number of at most so many digits.
fn digits(text: &str, most: usize) -> Option<u32> {
    let fits = !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_four_bases_and_underscores() {
        for (text, value) in [
            ("0", 0),
            ("017", 15),
            ("0o17", 15),
            ("0x1f", 31),
            ("0b11", 3),
            ("1_000", 1000),
            ("-3", -3),
            ("+3", 3),
        ] {
            assert_eq!(int(text), Some(value), "{text}");
        }
        for text in ["", "-", "08", "1.5", "abc", "0x", "22:22", "99999999999999999999", "1_", "_1"] {
            assert_eq!(int(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_of_64_bits_stay_whole() {
        assert_eq!(int("9223372036854775807"), Some(i64::MAX));
        assert_eq!(int("9223372036854775808"), None);
        assert_eq!(big("9223372036854775808"), Some(1 << 63));
        assert_eq!(big("0xFFFF_FFFF_FFFF_FFFF"), Some(u64::MAX));
        assert_eq!(big("18446744073709551616"), None);
        assert_eq!(big("-9223372036854775809"), None);
    }

    #[test]
    fn floats_print_as_go_prints_them() {
        for (text, printed) in [
            ("1.10", "1.1"),
            ("1e3", "1000"),
            (".5", "0.5"),
            ("100000000000000000000", "1e+20"),
            ("1000000.0", "1e+06"),
            ("1234567.5", "1.2345675e+06"),
            ("123456.5", "123456.5"),
            ("1000000000000000000000", "1e+21"),
            ("0.00001", "1e-05"),
            (".inf", "+Inf"),
        ] {
            assert_eq!(float(text).map(float_text).as_deref(), Some(printed), "{text}");
        }
        for (value, written) in
            [(f64::INFINITY, ".inf"), (f64::NEG_INFINITY, "-.inf"), (f64::NAN, ".nan"), (1.5, "1.5")]
        {
            assert_eq!(yaml_text(value), written);
        }
        for text in ["", ".", "1.2.3", "e5", "inf", "nan", "infinity", "+-1"] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_written_as_rfc_3339_has_them() {
        for (text, written) in [
            ("2020-1-1", "2020-01-01T00:00:00Z"),
            ("2020-01-01t9:5:7.50+02:00", "2020-01-01T09:05:07.5+02:00"),
        ] {
            let printed = timestamp_text(text).and_then(|printed| rfc3339(&printed));
            assert_eq!(printed.as_deref(), Some(written), "{text}");
        }
        for text in ["2020", "a - b c", "a b +0000 UTC", "2020-01-01 00:00:00 + UTC"] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn dates_become_what_go_prints() {
        for (text, printed) in [
            ("2020-01-01", "2020-01-01 00:00:00 +0000 UTC"),
            ("2020-1-1", "2020-01-01 00:00:00 +0000 UTC"),
            ("2020-02-29", "2020-02-29 00:00:00 +0000 UTC"),
            ("2020-01-01T10:00:00Z", "2020-01-01 10:00:00 +0000 UTC"),
            ("2020-01-01t9:5:7.50+02:00", "2020-01-01 09:05:07.5 +0200 +0200"),
            ("2020-01-01T10:00:00-00:00", "2020-01-01 10:00:00 +0000 UTC"),
            ("2020-01-01 10:00:00", "2020-01-01 10:00:00 +0000 UTC"),
        ] {
            assert_eq!(timestamp_text(text).as_deref(), Some(printed), "{text}");
        }
        for text in [
            "2020-01",
            "2020-13-01",
            "2021-02-29",
            "1.2.3.4",
            "2020-01-0a",
            "2020-01-001",
            "2020-01-01T10:00:00",
            "2020-01-01 10:00:00Z",
            "2020-01-01 10:00",
            "2020-01-01T10:00:00+2",
            "2020-01-01T",
        ] {
            assert_eq!(timestamp_text(text), None, "{text}");
        }
    }
}
