//! What `--chmod` says: permission bits in octal, or changes to them as chmod(1) has them, such as
//! `u+x,go=rX`. There is no umask here: a change without `u`, `g` or `o` is for all three.

/// Permission bits to be given to files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// These, whatever a file has.
    Bits(u32),
    /// Changes to what a file has, in order.
    Changes(Vec<Change>),
}

/// One change, such as `go=rX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The bits of those it is for: `u` is 0o4700, `g` 0o2070, `o` 0o1007.
    whose: u32,
    operation: Operation,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Take,
    Set,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Bits for all; `x_if_any` adds those of execution for folders and for what anyone may execute.
    Bits { bits: u32, x_if_any: bool },
    /// What the user, the group or the others have: how far their three bits are shifted.
    Same(u32),
}

/// The bits that `u`, `g` and `o` stand for.
const WHOSE: [(char, u32); 4] = [('u', 0o4700), ('g', 0o2070), ('o', 0o1007), ('a', 0o7777)];
/// The bits that letters stand for. `t` is nobody's own.
const BITS: [(char, u32); 5] = [('r', 0o444), ('w', 0o222), ('x', 0o111), ('s', 0o6000), ('t', 0o1000)];

fn of(table: &[(char, u32)], letter: char) -> Option<u32> {
    table.iter().find(|(known, _)| *known == letter).map(|(_, bits)| *bits)
}

impl Mode {
    /// Reads a mode; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777).map(Self::Bits);
        }
        let mut changes = vec![];
        for clause in text.split(',') {
            let (whose, mut rest) = clause.split_at(clause.find(['+', '-', '='])?);
            let mut letters = whose.chars().map(|letter| of(&WHOSE, letter));
            let mut whose = letters.try_fold(0, |all, bits| Some(all | bits?))?;
            if whose == 0 {
                whose = 0o7777;
            }
            while let Some(operation) = rest.chars().next() {
                let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
                let operation = match operation {
                    '+' => Operation::Add,
                    '-' => Operation::Take,
                    _ => Operation::Set,
                };
                changes.push(Change { whose, operation, what: What::parse(&rest[1..end])? });
                rest = &rest[end..];
            }
        }
        Some(Self::Changes(changes))
    }

    /// The bits of something that has `bits`.
    pub(crate) fn of(&self, bits: u32, is_folder: bool) -> u32 {
        match self {
            Self::Bits(bits) => *bits,
            Self::Changes(changes) => changes.iter().fold(bits, |bits, change| change.of(bits, is_folder)),
        }
    }
}

impl What {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "u" => return Some(Self::Same(6)),
            "g" => return Some(Self::Same(3)),
            "o" => return Some(Self::Same(0)),
            _ => {}
        }
        let mut letters = text.chars().filter(|letter| *letter != 'X').map(|letter| of(&BITS, letter));
        let bits = letters.try_fold(0, |all, bits| Some(all | bits?))?;
        Some(Self::Bits { bits, x_if_any: text.contains('X') })
    }
}

impl Change {
    fn of(&self, before: u32, is_folder: bool) -> u32 {
        let bits = match &self.what {
            What::Bits { bits, x_if_any } => {
                let x = *x_if_any && (is_folder || before & 0o111 != 0);
                // Set-id bits are the user's and the group's, but the sticky bit needs no `o`.
                (bits | if x { 0o111 } else { 0 }) & (self.whose | 0o1000)
            }
            What::Same(shift) => ((before >> shift & 0o7) * 0o111) & self.whose,
        };
        match self.operation {
            Operation::Add => before | bits,
            Operation::Take => before & !bits,
            // As chmod(1) does, a folder keeps its set-id bits unless they are spoken of.
            Operation::Set if is_folder => before & !(self.whose & 0o777) | bits,
            Operation::Set => before & !self.whose | bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_chmod() {
        let of = |text: &str, bits: u32| Mode::parse(text).map(|mode| mode.of(bits, false));
        assert_eq!(of("755", 0o600), Some(0o755));
        assert_eq!(of("04711", 0o600), Some(0o4711));
        assert_eq!(of("+x", 0o640), Some(0o751));
        assert_eq!(of("u+x,go-rwx", 0o664), Some(0o700));
        assert_eq!(of("u=rwX,go=rX", 0o640), Some(0o644));
        assert_eq!(of("u=rwX,go=rX", 0o740), Some(0o755));
        assert_eq!(of("g=u", 0o604), Some(0o664));
        assert_eq!(of("u+s", 0o755), Some(0o4755));
        assert_eq!(of("+t", 0o755), Some(0o1755));
        assert_eq!(of("o=", 0o757), Some(0o750));
        assert_eq!(of("u+r-w+x", 0o200), Some(0o500));
        assert_eq!(Mode::parse("u=rwX").map(|mode| mode.of(0o2040, true)), Some(0o2740));
        for text in ["", "x", "888", "10000", "u+y", "q+x", "u+xu"] {
            assert_eq!(of(text, 0), None, "{text}");
        }
    }
}
