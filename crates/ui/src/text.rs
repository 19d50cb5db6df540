//! Text for narrow places: byte counts in five characters, log lines without what commands a terminal.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A count of bytes with a decimal unit in at most five characters: `999`, `1.42k`, `37M`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 => format!("{value:.0}"),
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    };
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{digits}{}", UNITS[unit])
}

/// A line as it may be shown: without escape sequences and control characters, tabulators as blanks.
pub fn clean(line: &str) -> String {
    const TAB: usize = 8;
    let mut shown = String::with_capacity(line.len());
    let mut letters = line.trim_end_matches(['\n', '\r']).chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' => skip_sequence(&mut letters),
            '\t' => {
                let blanks = TAB - shown.width() % TAB;
                shown.extend(std::iter::repeat_n(' ', blanks));
            }
            // What stands before it would have been written over.
            '\r' => shown.clear(),
            letter if letter.is_control() => {}
            letter => shown.push(letter),
        }
    }
    shown
}

/// Skips what follows an escape: a sequence with parameters, a string that is ended, or one letter.
fn skip_sequence(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match letters.next() {
        Some('[') => {
            for letter in letters.by_ref() {
                if matches!(letter, '\x40'..='\x7e') {
                    break;
                }
            }
        }
        Some(']' | 'P' | '^' | '_' | 'X') => {
            while let Some(letter) = letters.next() {
                if letter == '\x07' || (letter == '\x1b' && letters.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        // A character set has its name in one more letter.
        Some('(' | ')' | '*' | '+' | '#' | '%') => drop(letters.next()),
        _ => {}
    }
}

/// The text in exactly so many columns: filled with blanks, or cut with `…` (`~` without Unicode).
pub(crate) fn fit(text: &str, columns: usize, ascii: bool) -> String {
    let width = text.width();
    if width <= columns {
        return format!("{text}{}", " ".repeat(columns - width));
    }
    let (mut cut, mut used) = (String::new(), 0);
    for letter in text.chars() {
        let width = letter.width().unwrap_or(0);
        if used + width + 1 > columns {
            break;
        }
        cut.push(letter);
        used += width;
    }
    if columns > 0 {
        cut.push(if ascii { '~' } else { '…' });
        used += 1;
    }
    cut.extend(std::iter::repeat_n(' ', columns.saturating_sub(used)));
    cut
}

/// Where a text is broken to stand in lines of so many columns: the byte at which each line begins.
pub(crate) fn breaks(text: &str, columns: usize) -> Vec<usize> {
    let (mut starts, mut used) = (vec![0], 0);
    for (at, letter) in text.char_indices() {
        let width = letter.width().unwrap_or(0);
        if used + width > columns.max(2) {
            starts.push(at);
            used = 0;
        }
        used += width;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_fit_into_five_characters() {
        let shown: Vec<String> =
            [0, 999, 1000, 1_420_000, 37_000_000, 387_400_000, 999_600_000, u64::MAX].map(bytes).into();
        assert_eq!(shown, ["0", "999", "1k", "1.42M", "37M", "387M", "1G", "18447P"]);
    }

    #[test]
    fn a_line_cannot_command_the_terminal() {
        assert_eq!(clean("\x1b[31mred\x1b[0m\x07\n"), "red");
        assert_eq!(clean("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b"), "ab");
        assert_eq!(clean("10%\r20%\r\n"), "20%");
        assert_eq!(clean("a\tb"), "a       b");
        assert_eq!(clean("\x1b(Bx\x1b[2J\x1b[Hy\u{9b}2Jz\x1b["), "xy2Jz");
    }

    #[test]
    fn a_cell_has_its_width() {
        assert_eq!(fit("abc", 5, false), "abc  ");
        assert_eq!(fit("abcdef", 4, false), "abc…");
        assert_eq!(fit("abcdef", 4, true), "abc~");
        assert_eq!(fit("日本語", 4, false), "日… ");
        assert_eq!(fit("a", 0, false), "");
    }

    #[test]
    fn long_lines_are_broken() {
        assert_eq!(breaks("abcdef", 4), [0, 4]);
        assert_eq!(breaks("", 4), [0]);
        assert_eq!(breaks("日本語", 4), [0, 6]);
    }
}
