//! Which devices a container may use: rules on v1, a program of our own on v2.

use super::{CgroupError, Hierarchies, Warning};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;

/// Applies rules in order; a later one wins.
pub(super) fn apply(
    hierarchies: &Hierarchies,
    path: &Path,
    rules: &[LinuxDeviceCgroup],
    warnings: &mut Vec<Warning>,
) -> Result<(), CgroupError> {
    if let Some(hierarchy) = hierarchies.v1.iter().find(|hierarchy| hierarchy.has("devices")) {
        let folder = hierarchy.path.join(path);
        let write = || {
            let open = |name| File::options().write(true).open(folder.join(name));
            let (mut allow, mut deny) = (open("devices.allow")?, open("devices.deny")?);
            // One rule for each write.
            rules.iter().try_for_each(|rule| {
                let file = if rule.allow() { &mut allow } else { &mut deny };
                file.write_all(line(rule).as_bytes())
            })
        };
        write().map_err(CgroupError::new("set device rules of", &folder))?;
        return Ok(());
    }
    if !hierarchies.is_v2() || rules.last().is_none_or(allows_everything) {
        if !rules.last().is_none_or(allows_everything) {
            warnings.push(Warning("devices: this machine has no devices controller; not limited".to_owned()));
        }
        return Ok(());
    }
    let Some(mount) = &hierarchies.v2 else { return Ok(()) };
    let folder = mount.join(path);
    let attach = || {
        let program = sys::bpf::load_device_program(&program(rules))?;
        sys::bpf::attach_device_program(File::open(&folder)?.as_fd(), program.as_fd())
    };
    attach().map_err(CgroupError::new("set device rules of", &folder))
}

/// A rule as v1 reads it: `c 1:3 rwm`.
fn line(rule: &LinuxDeviceCgroup) -> String {
    let kind = match rule.typ() {
        Some(LinuxDeviceType::B) => "b",
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => "c",
        _ => "a",
    };
    let number = |number: Option<i64>| {
        number.filter(|number| *number >= 0).map_or_else(|| "*".to_owned(), |number| number.to_string())
    };
    let access = rule.access().as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    format!("{kind} {}:{} {access}", number(rule.major()), number(rule.minor()))
}

/// Whether a rule allows every device.
fn allows_everything(rule: &LinuxDeviceCgroup) -> bool {
    rule.allow() && line(rule) == "a *:* rwm"
}

const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;

/// One eBPF instruction.
fn instruction(code: u8, to: u8, from: u8, offset: i16, value: i32) -> u64 {
    u64::from(code)
        | u64::from(to) << 8
        | u64::from(from) << 12
        | u64::from(offset as u16) << 16
        | u64::from(value as u32) << 32
}

/// The program for rules: it gets `(access << 16 | type, major, minor)` in r1 and gives 1 or 0 in r0.
/// The rules are tested from the last to the first, and the first that fits decides. Nothing may
/// follow a rule that always fits: the kernel refuses instructions that cannot be reached.
fn program(rules: &[LinuxDeviceCgroup]) -> Vec<u64> {
    const LOAD_WORD: u8 = 0x61;
    const AND: u8 = 0x54;
    const SHIFT_RIGHT: u8 = 0x74;
    const MOVE: u8 = 0xbc;
    const JUMP_UNLESS_VALUE: u8 = 0x55;
    const JUMP_UNLESS_REGISTER: u8 = 0x5d;
    let decide = |allow: bool| [instruction(0xb7, 0, 0, 0, i32::from(allow)), instruction(0x95, 0, 0, 0, 0)];
    let mut program = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(AND, 2, 0, 0, 0xffff),
        instruction(LOAD_WORD, 3, 1, 0, 0),
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let access = rule.access().as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
        let bits = access.chars().fold(0, |bits, letter| {
            bits | match letter {
                'r' => READ,
                'w' => WRITE,
                'm' => MKNOD,
                _ => 0,
            }
        });
        let mut tests = vec![];
        match rule.typ() {
            Some(LinuxDeviceType::B) => tests.push((JUMP_UNLESS_VALUE, 2, 0, BLOCK)),
            Some(LinuxDeviceType::C | LinuxDeviceType::U) => tests.push((JUMP_UNLESS_VALUE, 2, 0, CHARACTER)),
            _ => {}
        }
        if bits != READ | WRITE | MKNOD {
            // All that is asked for must be in the rule.
            tests.extend([(MOVE, 1, 3, 0), (AND, 1, 0, bits), (JUMP_UNLESS_REGISTER, 1, 3, 0)]);
        }
        for (register, number) in [(4, rule.major()), (5, rule.minor())] {
            if let Some(number) = number.filter(|number| *number >= 0) {
                tests.push((JUMP_UNLESS_VALUE, register, 0, number as i32));
            }
        }
        let always = tests.is_empty();
        let count = tests.len() as i16;
        for (index, (code, to, from, value)) in (0_i16..).zip(tests) {
            let jump = matches!(code, JUMP_UNLESS_VALUE | JUMP_UNLESS_REGISTER);
            // Over the other tests and the two instructions that decide.
            let offset = if jump { count - index - 1 + 2 } else { 0 };
            program.push(instruction(code, to, from, offset, value));
        }
        program.extend(decide(rule.allow()));
        if always {
            return program;
        }
    }
    program.extend(decide(false));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(allow: bool, text: &str) -> LinuxDeviceCgroup {
        let mut rule = LinuxDeviceCgroup::default();
        let mut fields = text.split([' ', ':']);
        rule.set_allow(allow);
        let kind = match fields.next().unwrap() {
            "b" => LinuxDeviceType::B,
            "c" => LinuxDeviceType::C,
            _ => LinuxDeviceType::A,
        };
        rule.set_typ(Some(kind));
        rule.set_major(fields.next().unwrap().parse().ok());
        rule.set_minor(fields.next().unwrap().parse().ok());
        rule.set_access(fields.next().map(str::to_owned));
        rule
    }

    /// Runs a program as the kernel would.
    fn run(program: &[u64], kind: i32, access: i32, major: u32, minor: u32) -> u64 {
        let context = [(access << 16 | kind) as u32, major, minor];
        let mut registers = [0_u64; 11];
        let mut at = 0_usize;
        loop {
            let word = program[at];
            let (code, to, from) = (word as u8, (word >> 8 & 15) as usize, (word >> 12 & 15) as usize);
            let (offset, value) = ((word >> 16) as i16, (word >> 32) as i32);
            at += 1;
            match code {
                0x61 => registers[to] = context[offset as usize / 4].into(),
                0x54 => registers[to] = u64::from(registers[to] as u32 & value as u32),
                0x74 => registers[to] = u64::from(registers[to] as u32 >> value),
                0xbc => registers[to] = u64::from(registers[from] as u32),
                0xb7 => registers[to] = value as u64,
                0x55 if registers[to] != value as u64 => at = (at as i64 + i64::from(offset)) as usize,
                0x5d if registers[to] != registers[from] => at = (at as i64 + i64::from(offset)) as usize,
                0x55 | 0x5d => {}
                0x95 => return registers[0],
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_program_decides_as_the_rules_say() {
        let rules = [
            rule(false, "a *:* rwm"),
            rule(true, "c *:* m"),
            rule(true, "c 1:3 rwm"),
            rule(true, "c 136:* rw"),
            rule(true, "b 8:0 r"),
        ];
        let program = program(&rules);
        assert_eq!(run(&program, CHARACTER, READ | WRITE, 1, 3), 1);
        assert_eq!(run(&program, CHARACTER, READ, 1, 4), 0);
        assert_eq!(run(&program, CHARACTER, MKNOD, 77, 7), 1);
        assert_eq!(run(&program, CHARACTER, MKNOD | READ, 77, 7), 0);
        assert_eq!(run(&program, CHARACTER, READ | WRITE, 136, 9), 1);
        assert_eq!(run(&program, BLOCK, READ, 8, 0), 1);
        assert_eq!(run(&program, BLOCK, READ | WRITE, 8, 0), 0);
        assert_eq!(run(&program, BLOCK, MKNOD, 8, 0), 0);
    }

    #[test]
    fn nothing_follows_a_rule_that_always_fits() {
        let all = rule(true, "a *:* rwm");
        assert!(allows_everything(&all));
        assert_eq!(program(&[rule(true, "c 1:3 r"), all]).len(), 6 + 2);
        assert_eq!(line(&rule(true, "c 136:* rw")), "c 136:* rw");
    }
}
