//! System call filters: Docker's default profile and custom ones, compiled to BPF.

mod assemble;
mod default;
mod document;
mod profile;
mod table;

use crate::capability::Set;
use profile::{Action, Host, Profile};
use resource::{SeccompChoice, SecuritySpec};
use std::rc::Rc;

/// A compiled filter, ready to be loaded any number of times.
#[derive(Debug, PartialEq, Eq)]
pub struct Program(pub(crate) Vec<sys::seccomp::Instruction>);

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// It is not a profile.
    #[error("the seccomp profile is not valid")]
    Syntax(#[source] serde_json::Error),
    /// It asks for what this engine does not do.
    #[error("the seccomp profile asks for {0}, which is not supported")]
    Unsupported(String),
}

/// The filter for a container; `None` when it has none (privileged or unconfined).
///
/// # Errors
/// [`SeccompError`] for a custom profile only.
pub fn compile(security: &SecuritySpec) -> Result<Option<Program>, SeccompError> {
    Ok(profile(security)?.map(|profile| Program(assemble::assemble(&profile))))
}

/// The same filter as OCI's JSON says it, for another runtime.
///
/// # Errors
/// As [`compile`].
pub(crate) fn document(security: &SecuritySpec) -> Result<Option<serde_json::Value>, SeccompError> {
    Ok(profile(security)?.map(|profile| document::write(&profile)))
}

/// What the filter of a container has to do.
fn profile(security: &SecuritySpec) -> Result<Option<Profile>, SeccompError> {
    if security.privileged {
        return Ok(None);
    }
    let capabilities = Set::granted(security);
    Ok(Some(match &security.seccomp {
        SeccompChoice::Unconfined => return Ok(None),
        SeccompChoice::Default => {
            let rules = default::rules(capabilities);
            Profile { default: Action::Errno(1), rules, compatible: true }
        }
        SeccompChoice::Profile(text) => {
            let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
            let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
            profile::parse(text, Host { architecture, kernel: &kernel, capabilities })?
        }
    }))
}

/// Filters compiled so far, by what they depend on: most containers of a project share one.
#[derive(Debug, Default)]
pub struct Cache(Vec<(SeccompChoice, Set, Rc<Program>)>);

impl Cache {
    /// The filter for a container, compiled at the first time.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn get(&mut self, security: &SecuritySpec) -> Result<Option<Rc<Program>>, SeccompError> {
        if security.privileged {
            return Ok(None);
        }
        let capabilities = Set::granted(security);
        let same = |choice: &SeccompChoice, set: Set| *choice == security.seccomp && set == capabilities;
        if let Some((.., program)) = self.0.iter().find(|(choice, set, _)| same(choice, *set)) {
            return Ok(Some(Rc::clone(program)));
        }
        let Some(program) = compile(security)?.map(Rc::new) else { return Ok(None) };
        self.0.push((security.seccomp.clone(), capabilities, Rc::clone(&program)));
        Ok(Some(program))
    }
}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;
    use assemble::tests::run;

    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;
    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0001;
    const ENOSYS: u32 = 0x0005_0026;

    fn program(security: &SecuritySpec) -> Program {
        compile(security).unwrap().unwrap()
    }

    fn number(name: &str, column: fn(&(&str, i16, i16, i16)) -> i16) -> u32 {
        table::TABLE.iter().find(|row| row.0 == name).map(column).unwrap() as u32
    }

    #[test]
    fn the_default_profile_allows_and_refuses_as_dockers() {
        let Program(program) = program(&SecuritySpec::default());
        let call =
            |name, argument| run(&program, X86_64, number(name, |row| row.1), [argument, 0, 0, 0, 0, 0]);
        for name in ["read", "execve", "openat2", "ptrace", "chroot", "arch_prctl", "clone", "mseal"] {
            assert_eq!(call(name, 0), ALLOW, "{name}");
        }
        for name in
            ["mount", "bpf", "unshare", "setns", "keyctl", "add_key", "reboot", "io_uring_setup", "swapon"]
        {
            assert_eq!(call(name, 0), EPERM, "{name}");
        }
        assert_eq!(call("clone3", 0), ENOSYS);
        assert_eq!(call("clone", 0x1000_0000), EPERM, "a user namespace");
        assert_eq!(call("clone", 0x0001_0000), ALLOW, "a thread");
        assert_eq!((call("socket", 40), call("socket", 2)), (EPERM, ALLOW));
        assert_eq!((call("personality", 0x20008), call("personality", 4)), (ALLOW, EPERM));
        assert_eq!(run(&program, X86_64, 1000, [0; 6]), ENOSYS, "newer than the profile");
        assert_eq!(run(&program, X86_64, 0x4000_0000, [0; 6]), ENOSYS, "x32");
    }

    #[test]
    fn programs_of_32_bits_have_the_same_rules() {
        let Program(program) = program(&SecuritySpec::default());
        let call = |name| run(&program, I386, number(name, |row| row.2), [0; 6]);
        assert_eq!((call("socketcall"), call("waitpid"), call("mount")), (ALLOW, ALLOW, EPERM));
    }

    #[test]
    fn a_capability_brings_its_calls() {
        let added = |name: &str| SecuritySpec {
            capabilities_added: vec![name.to_owned()],
            ..SecuritySpec::default()
        };
        let Program(program) = program(&added("SYS_ADMIN"));
        for name in ["mount", "clone3", "setns", "unshare", "bpf"] {
            assert_eq!(run(&program, X86_64, number(name, |row| row.1), [u64::MAX; 6]), ALLOW, "{name}");
        }
        let privileged = SecuritySpec { privileged: true, ..SecuritySpec::default() };
        assert_eq!(compile(&privileged).unwrap(), None);
    }

    #[test]
    fn the_cache_gives_the_same_program() {
        let mut cache = Cache::default();
        let first = cache.get(&SecuritySpec::default()).unwrap().unwrap();
        let second = cache.get(&SecuritySpec::default()).unwrap().unwrap();
        assert!(Rc::ptr_eq(&first, &second));
        assert!(first.0.len() < 1000, "{} instructions", first.0.len());
    }
}
