//! From rules to BPF.
//!
//! The number of the call is looked up in a binary tree instead of one comparison after the other:
//! at load time the kernel runs the filter once for each system call there is (its cache of calls
//! that are always allowed), so a flat list of some 400 makes every start dearer.
//!
//! ```text
//! architecture native -> tree of its numbers -> return, or tests of arguments -> return
//!              32-bit -> tree of its numbers -> …          (where the profile has it)
//!              other  -> kill
//! ```

use super::profile::{Action, Comparison, Condition, Profile, Rule};
use super::table::TABLE;
use std::collections::BTreeMap;
use sys::seccomp::Instruction;

/// Architectures as the kernel names them in `seccomp_data.arch`, and where their numbers are.
#[cfg(target_arch = "x86_64")]
mod host {
    pub(super) const NATIVE: (u32, super::Column) = (0xc000_003e, |row| row.1);
    pub(super) const COMPATIBLE: Option<(u32, super::Column)> = Some((0x4000_0003, |row| row.2));
}

#[cfg(not(target_arch = "x86_64"))]
mod host {
    pub(super) const NATIVE: (u32, super::Column) = (0xc000_00b7, |row| row.3);
    pub(super) const COMPATIBLE: Option<(u32, super::Column)> = None;
}

/// A column of the table.
type Column = fn(&(&'static str, i16, i16, i16)) -> i16;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Numbers from here on are of x32 programs on x86-64; no kernel of a distribution runs them.
const X32: u32 = 0x4000_0000;

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

const fn plain(code: u16, k: u32) -> Instruction {
    instruction(code, 0, 0, k)
}

/// What is done with a call.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Action(Action),
    /// The first of these that holds, else the action.
    Rules(Vec<(Vec<Condition>, Action)>, Action),
}

/// The filter for a profile.
pub(super) fn assemble(profile: &Profile) -> Vec<Instruction> {
    let code = |column| {
        let mut code = vec![plain(LOAD, NUMBER)];
        code.extend(tree(&ranges(profile, column)));
        code
    };
    let compatible = host::COMPATIBLE.filter(|_| profile.compatible);
    let parts = std::iter::once(host::NATIVE).chain(compatible);
    let parts: Vec<_> = parts.map(|(architecture, column)| (architecture, code(column))).collect();
    // Each part has a comparison and a jump before all parts; the kill comes between.
    let (mut program, mut distance) = (vec![plain(LOAD, ARCHITECTURE)], 2 * parts.len() as u32 - 1);
    for (architecture, part) in &parts {
        program.push(instruction(JUMP_EQUAL, 0, 1, *architecture));
        // A jump on a condition reaches 255 instructions, this one any number.
        program.push(plain(JUMP, distance));
        distance = distance + part.len() as u32 - 2;
    }
    program.push(plain(RETURN, Action::KillProcess.code()));
    program.extend(parts.into_iter().flat_map(|(_, part)| part));
    program
}

/// Every number's outcome: the first number of each stretch with the same one, from 0.
fn ranges(profile: &Profile, column: Column) -> Vec<(u32, Outcome)> {
    let mut numbers: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
    for rule in &profile.rules {
        let row = TABLE.binary_search_by(|row| row.0.cmp(rule.name.as_str())).ok().map(|at| &TABLE[at]);
        // A name this architecture does not have is no error: profiles serve many.
        if let Some(number) = row.and_then(|row| u32::try_from(column(row)).ok()) {
            numbers.entry(number).or_default().push(rule);
        }
    }
    let unknown = newer(profile);
    let mut ranges: Vec<(u32, Outcome)> = vec![];
    let mut push = |start: u32, outcome: Outcome| match ranges.last() {
        Some((_, last)) if *last == outcome => {}
        _ => ranges.push((start, outcome)),
    };
    let mut next = 0;
    for (number, rules) in &numbers {
        if next < *number {
            push(next, Outcome::Action(profile.default));
        }
        push(*number, outcome(rules, profile.default));
        next = number + 1;
    }
    push(next, Outcome::Action(unknown));
    push(X32, Outcome::Action(if unknown == profile.default { unknown } else { NOT_THERE }));
    ranges
}

/// `ENOSYS`
const NOT_THERE: Action = Action::Errno(38);

/// What calls get that are newer than the profile: where it refuses, they do not exist, so that
/// libraries fall back to older ones instead of failing, as runc has it.
fn newer(profile: &Profile) -> Action {
    match profile.default {
        Action::Allow | Action::Log | Action::Trace(_) => profile.default,
        _ => NOT_THERE,
    }
}

/// The outcome of one call's rules: those with conditions in their order, then the one without.
fn outcome(rules: &[&Rule], default: Action) -> Outcome {
    let always = rules.iter().find(|rule| rule.conditions.is_empty()).map(|rule| rule.action);
    let otherwise = always.unwrap_or(default);
    let conditional: Vec<_> = rules
        .iter()
        .filter(|rule| !rule.conditions.is_empty() && rule.action != otherwise)
        .map(|rule| (rule.conditions.clone(), rule.action))
        .collect();
    if conditional.is_empty() { Outcome::Action(otherwise) } else { Outcome::Rules(conditional, otherwise) }
}

/// Code that finds the outcome of the number in the accumulator.
fn tree(ranges: &[(u32, Outcome)]) -> Vec<Instruction> {
    match ranges {
        [] => vec![],
        [(_, Outcome::Action(action))] => vec![plain(RETURN, action.code())],
        [(_, Outcome::Rules(rules, otherwise))] => tests(rules, *otherwise),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let (low, pivot, high) = (tree(low), high[0].0, tree(high));
            let mut code = match u8::try_from(low.len()) {
                Ok(length) => vec![instruction(JUMP_GREATER_OR_EQUAL, length, 0, pivot)],
                Err(_) => {
                    vec![instruction(JUMP_GREATER_OR_EQUAL, 0, 1, pivot), plain(JUMP, low.len() as u32)]
                }
            };
            code.extend(low);
            code.extend(high);
            code
        }
    }
}

/// Code that tests arguments, rule after rule.
fn tests(rules: &[(Vec<Condition>, Action)], otherwise: Action) -> Vec<Instruction> {
    let mut code = vec![];
    for (conditions, action) in rules {
        let mut rule: Vec<Test> = conditions.iter().flat_map(test).collect();
        rule.push(Test::Code(plain(RETURN, action.code())));
        // A condition is 6 instructions at most and there are 6 arguments: every jump is in reach.
        let length = rule.len();
        code.extend(rule.iter().enumerate().map(|(at, test)| test.resolve((length - at - 1) as u8)));
    }
    code.push(plain(RETURN, otherwise.code()));
    code
}

/// An instruction of a test whose jumps are not all known yet.
enum Test {
    Code(Instruction),
    /// A comparison: where to go when it holds and when not.
    Compare(u16, u32, Goal, Goal),
}

/// Where a comparison leads.
#[derive(Clone, Copy)]
enum Goal {
    /// This many instructions on, 0 is the next.
    Skip(u8),
    /// Past the rule.
    Fail,
}

impl Test {
    fn resolve(&self, to_end: u8) -> Instruction {
        let distance = |goal: &Goal| match goal {
            Goal::Skip(count) => *count,
            Goal::Fail => to_end,
        };
        match self {
            Self::Code(code) => *code,
            Self::Compare(code, k, yes, no) => instruction(*code, distance(yes), distance(no), *k),
        }
    }
}

/// Code for one condition: the high halves decide unless they are equal.
fn test(condition: &Condition) -> Vec<Test> {
    use Goal::{Fail, Skip};
    let at = ARGUMENTS + 8 * u32::from(condition.argument);
    // Little-endian, as all architectures above are.
    let (low, high) = (Test::Code(plain(LOAD, at)), Test::Code(plain(LOAD, at + 4)));
    let halves = |value: u64| (value as u32, (value >> 32) as u32);
    let (value_low, value_high) = halves(condition.value);
    let compare = |code, k, yes, no| Test::Compare(code, k, yes, no);
    match condition.comparison {
        Comparison::Equal => vec![
            high,
            compare(JUMP_EQUAL, value_high, Skip(0), Fail),
            low,
            compare(JUMP_EQUAL, value_low, Skip(0), Fail),
        ],
        Comparison::NotEqual => vec![
            high,
            compare(JUMP_EQUAL, value_high, Skip(0), Skip(2)),
            low,
            compare(JUMP_EQUAL, value_low, Fail, Skip(0)),
        ],
        Comparison::Masked(mask) => {
            let (mask_low, mask_high) = halves(mask);
            vec![
                high,
                Test::Code(plain(AND, mask_high)),
                compare(JUMP_EQUAL, value_high, Skip(0), Fail),
                low,
                Test::Code(plain(AND, mask_low)),
                compare(JUMP_EQUAL, value_low, Skip(0), Fail),
            ]
        }
        Comparison::Greater | Comparison::GreaterOrEqual => {
            let last = if condition.comparison == Comparison::Greater {
                JUMP_GREATER
            } else {
                JUMP_GREATER_OR_EQUAL
            };
            vec![
                high,
                compare(JUMP_GREATER, value_high, Skip(3), Skip(0)),
                compare(JUMP_EQUAL, value_high, Skip(0), Fail),
                low,
                compare(last, value_low, Skip(0), Fail),
            ]
        }
        Comparison::Less | Comparison::LessOrEqual => {
            let last =
                if condition.comparison == Comparison::Less { JUMP_GREATER_OR_EQUAL } else { JUMP_GREATER };
            vec![
                high,
                compare(JUMP_GREATER, value_high, Fail, Skip(0)),
                compare(JUMP_EQUAL, value_high, Skip(0), Skip(2)),
                low,
                compare(last, value_low, Fail, Skip(0)),
            ]
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Runs a filter as the kernel would.
    pub(crate) fn run(program: &[Instruction], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let load = |offset: u32| match offset {
            NUMBER => number,
            ARCHITECTURE => architecture,
            offset => {
                let argument = arguments[((offset - ARGUMENTS) / 8) as usize];
                if (offset - ARGUMENTS).is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
        };
        let (mut accumulator, mut at) = (0_u32, 0_usize);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { jt } else { jf });
            match code {
                LOAD => accumulator = load(k),
                AND => accumulator &= k,
                JUMP => at += k as usize,
                JUMP_EQUAL => at += jump(accumulator == k),
                JUMP_GREATER => at += jump(accumulator > k),
                JUMP_GREATER_OR_EQUAL => at += jump(accumulator >= k),
                RETURN => return k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    fn profile(rules: Vec<Rule>, compatible: bool) -> Profile {
        Profile { default: Action::Errno(1), rules, compatible }
    }

    #[test]
    fn every_comparison_is_that_of_64_bit_numbers() {
        const EDGES: [u64; 8] = [0, 1, 0xffff_ffff, 1 << 32, (1 << 32) + 1, 7 << 32, u64::MAX - 1, u64::MAX];
        type Holds = fn(u64, u64) -> bool;
        let comparisons: [(Comparison, Holds); 7] = [
            (Comparison::NotEqual, |a, b| a != b),
            (Comparison::Less, |a, b| a < b),
            (Comparison::LessOrEqual, |a, b| a <= b),
            (Comparison::Equal, |a, b| a == b),
            (Comparison::GreaterOrEqual, |a, b| a >= b),
            (Comparison::Greater, |a, b| a > b),
            (Comparison::Masked(0x1_0000_0001), |a, b| a & 0x1_0000_0001 == b),
        ];
        for (comparison, holds) in comparisons {
            for value in EDGES {
                let condition = Condition { argument: 3, comparison, value };
                let rule =
                    Rule { name: "read".to_owned(), conditions: vec![condition], action: Action::Allow };
                let number = TABLE.iter().find(|row| row.0 == "read").map(host::NATIVE.1).unwrap() as u32;
                let program = assemble(&profile(vec![rule], false));
                for argument in EDGES {
                    let got = run(&program, host::NATIVE.0, number, [9, 9, 9, argument, 9, 9]);
                    let expected = if holds(argument, value) { Action::Allow } else { Action::Errno(1) };
                    assert_eq!(got, expected.code(), "{argument:#x} {comparison:?} {value:#x}");
                }
            }
        }
    }

    #[test]
    fn each_number_gets_its_rule_and_other_architectures_are_killed() {
        let names = ["read", "openat", "futex_waitv", "getpid", "waitpid"];
        let rule = |name: &str| Rule { name: name.to_owned(), conditions: vec![], action: Action::Log };
        let rules: Vec<_> = names.iter().map(|name| rule(name)).collect();
        let program = assemble(&profile(rules.clone(), true));
        for (architecture, column) in [Some(host::NATIVE), host::COMPATIBLE].into_iter().flatten() {
            let numbers: Vec<_> = TABLE.iter().filter(|row| names.contains(&row.0)).map(column).collect();
            let last = numbers.iter().max().copied().unwrap();
            for number in 0..600_i16 {
                let expected = match number {
                    number if numbers.contains(&number) => Action::Log,
                    number if number > last => NOT_THERE,
                    _ => Action::Errno(1),
                };
                assert_eq!(run(&program, architecture, number as u32, [0; 6]), expected.code(), "{number}");
            }
            assert_eq!(run(&program, architecture, X32 + 1, [0; 6]), NOT_THERE.code());
        }
        assert_eq!(run(&program, 0x1234, 0, [0; 6]), Action::KillProcess.code());
        if let Some((architecture, _)) = host::COMPATIBLE {
            let program = assemble(&profile(rules, false));
            assert_eq!(run(&program, architecture, 3, [0; 6]), Action::KillProcess.code());
        }
    }
}
