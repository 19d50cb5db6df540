//! Names of signals, as x86-64 and arm64 number them.

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// First and last real-time signal as programs see them: the C library keeps 32 and 33 to itself.
const REAL_TIME: (i32, i32) = (34, 64);

/// The number of a signal written as a number or name: `15`, `TERM`, `SIGTERM`, `SIGRTMIN+3`.
pub fn parse(text: &str) -> Option<i32> {
    let upper = text.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse::<i32>() {
        return (1..=REAL_TIME.1).contains(&number).then_some(number);
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    match name {
        "IOT" => return Some(6),
        "CLD" => return Some(17),
        "POLL" => return Some(29),
        _ => {}
    }
    if let Some(index) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(index + 1).ok();
    }
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        rest => rest.strip_prefix(sign)?.parse::<i32>().ok(),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => REAL_TIME.0.checked_add(offset(rest, '+')?)?,
        (_, Some(rest)) => REAL_TIME.1.checked_sub(offset(rest, '-')?)?,
        _ => return None,
    };
    (REAL_TIME.0..=REAL_TIME.1).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_and_numbers_mean_the_same() {
        for text in ["15", "TERM", "SIGTERM", "sigterm"] {
            assert_eq!(parse(text), Some(15), "{text}");
        }
        assert_eq!(parse("SIGQUIT"), Some(3));
        assert_eq!(parse("SIGWINCH"), Some(28));
        assert_eq!(parse("SIGSYS"), Some(31));
        assert_eq!(parse("SIGRTMIN+3"), Some(37));
        assert_eq!(parse("RTMAX-1"), Some(63));
        for text in ["", "0", "65", "SIG", "SIGNOPE", "RTMIN+40", "RTMIN-1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
