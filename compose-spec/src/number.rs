//! Numbers of YAML 1.2 core with what Compose keeps of 1.1, and how they become text again.

/// A float as Go prints it, which is what Compose files have always become: shortest digits, an exponent
/// below 1e-4 and from 1e6 (`%g` of strconv.FormatFloat).
pub(crate) fn float_text(value: f64) -> String {
    shortest(value, 1e-4..1e6)
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
    let value = if negative { -value } else { value };
    any.then_some(()).and_then(|()| i64::try_from(value).ok())
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

/// A YAML 1.1 date or time as Go prints it, which is what an unquoted one has always become.
/// `None` if `text` is not one.
pub(crate) fn timestamp_text(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return None;
    }
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim_start())),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-').map(digits);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some(rest) = rest else {
        return (text.len() == 10).then(|| format!("{date} 00:00:00 +0000 UTC"));
    };
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = (rest[..zone_at].trim_end(), &rest[zone_at..]);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.splitn(3, ':').map(digits);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if hour > 23 || minute > 59 || second > 59 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let zone = match zone {
        "" | "Z" => "+0000 UTC".to_owned(),
        offset => {
            let (sign, offset) = offset.split_at(1);
            let (hours, minutes) = offset.split_once(':').unwrap_or((offset, "0"));
            let zone = format!("{sign}{:02}{:02}", digits(hours)?, digits(minutes)?);
            format!("{zone} {zone}")
        }
    };
    Some(format!("{date} {hour:02}:{minute:02}:{second:02}{point}{fraction} {zone}"))
}

fn digits(text: &str) -> Option<u32> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
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
        for text in ["", ".", "1.2.3", "e5", "inf", "nan", "infinity", "+-1"] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn dates_become_what_go_prints() {
        assert_eq!(timestamp_text("2020-01-01").as_deref(), Some("2020-01-01 00:00:00 +0000 UTC"));
        assert_eq!(timestamp_text("2020-01-01T10:00:00Z").as_deref(), Some("2020-01-01 10:00:00 +0000 UTC"));
        for text in ["2020-01", "2020-13-01", "1.2.3.4", "2020-01-0a", "2020-1-1"] {
            assert_eq!(timestamp_text(text), None, "{text}");
        }
    }
}
