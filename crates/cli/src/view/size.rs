//! Byte counts as people read them: decimal units, `1.42MB`, or binary ones, `1.42MiB`.

/// Three significant digits and a decimal unit.
pub(crate) fn human(bytes: u64) -> String {
    scaled(bytes, 1000.0, ["B", "kB", "MB", "GB", "TB", "PB"], 3)
}

/// Four significant digits and a decimal unit, as Podman shows what pods use.
pub(crate) fn human_finely(bytes: u64) -> String {
    scaled(bytes, 1000.0, ["B", "kB", "MB", "GB", "TB", "PB"], 4)
}

/// Four significant digits and a binary unit, as Docker and Podman show memory.
pub(crate) fn binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 4)
}

fn scaled(bytes: u64, base: f64, units: [&str; 6], digits: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let before_point = match value {
        value if value >= 1000.0 => 4,
        value if value >= 100.0 => 3,
        value if value >= 10.0 => 2,
        _ => 1,
    };
    let after_point = if unit == 0 { 0 } else { digits.saturating_sub(before_point) };
    let text = format!("{value:.after_point$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_or_four_digits_are_shown() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(999), "999B");
        assert_eq!(human(1000), "1kB");
        assert_eq!(human(1_420_000), "1.42MB");
        assert_eq!(human(37_000_000), "37MB");
        assert_eq!(human(387_400_000), "387MB");
        assert_eq!(binary(1536), "1.5KiB");
        assert_eq!(binary(2_063_597_568), "1.922GiB");
        assert_eq!(binary(1023 * 1024), "1023KiB");
        assert_eq!([human_finely(45_056), human_finely(2_062_852_096)], ["45.06kB", "2.063GB"]);
        assert_eq!([human_finely(262_144), human_finely(866)], ["262.1kB", "866B"]);
    }
}
