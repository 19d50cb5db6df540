//! The program to execute and what it runs as.

use super::{c_string, refused};
use crate::StartError;
use crate::capability::Set;
use oci_spec::runtime::{Capabilities, PosixRlimit, Process};
use rustix::process::{Gid, Uid};
use std::ffi::CString;
use sys::process::Texts;

/// A resource limit.
pub(crate) struct Limit {
    /// `RLIMIT_…`
    pub(crate) resource: u32,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// What is executed, and as whom.
pub(crate) struct Program {
    /// The program as asked for.
    pub(crate) name: Vec<u8>,
    /// Paths to try, in order.
    pub(crate) candidates: Vec<CString>,
    pub(crate) arguments: Texts,
    pub(crate) environment: Texts,
    pub(crate) working_dir: CString,
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// Supplementary groups; `None` where nobody may set any.
    pub(crate) groups: Option<Vec<Gid>>,
    pub(crate) umask: u32,
    pub(crate) limits: Vec<Limit>,
    pub(crate) bounding: u64,
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
    pub(crate) ambient: u64,
    pub(crate) no_new_privileges: bool,
    /// By which AppArmor profile it is confined.
    pub(crate) confinement: Option<Confinement>,
}

/// A profile of AppArmor.
pub(crate) struct Confinement {
    pub(crate) name: String,
    /// What is written to be confined from execve(2) on.
    pub(crate) executing: Vec<u8>,
    /// What is written to be confined at once.
    pub(crate) now: Vec<u8>,
}

/// The search path of a process that has none in its environment, as Docker sets it.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Program {
    /// The first process of a container. Without a program it has no name.
    pub(crate) fn of_spec(process: &Process) -> Result<Self, StartError> {
        let none = vec![];
        let arguments = process.args().as_ref().unwrap_or(&none);
        let environment = process.env().as_ref().unwrap_or(&none);
        let user = process.user();
        let groups = user.additional_gids().as_deref().unwrap_or(&[]);
        let cwd = process.cwd().to_string_lossy();
        let mut program = Self::new(arguments, environment, &cwd, (user.uid(), user.gid(), groups))?;
        program.umask = user.umask().unwrap_or(0o022);
        program.take_rights(process);
        Ok(program)
    }

    /// A process beside the first one of a container.
    pub(crate) fn of_exec(
        own: &Process,
        process: &resource::Process,
        privileged: bool,
    ) -> Result<Self, StartError> {
        if process.argv.is_empty() {
            return Err(refused("no command specified"));
        }
        let user = (process.uid, process.gid, process.groups.as_slice());
        let mut program = Self::new(&process.argv, &process.environment, &process.working_dir, user)?;
        program.umask = own.user().umask().unwrap_or(0o022);
        program.take_rights(own);
        if privileged {
            program.bounding = Set::ALL.0;
            program.no_new_privileges = false;
            program.confinement = None;
        }
        // As execve(2) would have it: root gets what is bounded, others nothing.
        let held = if process.uid == 0 { program.bounding } else { 0 };
        (program.effective, program.permitted) = (held, held);
        (program.inheritable, program.ambient) = (0, 0);
        Ok(program)
    }

    fn new(
        arguments: &[String],
        environment: &[String],
        working_dir: &str,
        (uid, gid, groups): (u32, u32, &[u32]),
    ) -> Result<Self, StartError> {
        let name = arguments.first().map_or("", String::as_str);
        let strings = |list: &[String]| list.iter().map(c_string).collect::<Result<Vec<_>, _>>();
        let search = environment.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
        let id = |id: u32, kind| match id {
            u32::MAX => Err(refused(format!("{kind} {id} is not an id"))),
            id => Ok(id),
        };
        for group in groups {
            id(*group, "group")?;
        }
        Ok(Self {
            name: name.as_bytes().to_vec(),
            candidates: candidates(name, search.unwrap_or(PATH))?,
            arguments: Texts::new(strings(arguments)?),
            environment: Texts::new(strings(environment)?),
            working_dir: c_string(if working_dir.is_empty() { "/" } else { working_dir })?,
            uid: Uid::from_raw(id(uid, "user")?),
            gid: Gid::from_raw(id(gid, "group")?),
            groups: Some(groups.iter().copied().map(Gid::from_raw).collect()),
            umask: 0o022,
            limits: vec![],
            bounding: 0,
            effective: 0,
            permitted: 0,
            inheritable: 0,
            ambient: 0,
            no_new_privileges: false,
            confinement: None,
        })
    }

    /// Limits and capabilities of the container's specification.
    fn take_rights(&mut self, process: &Process) {
        let limit = |limit: &PosixRlimit| Limit {
            // The variants are in the kernel's order, from RLIMIT_CPU = 0.
            resource: limit.typ() as u32,
            soft: limit.soft(),
            hard: limit.hard(),
        };
        self.limits = process.rlimits().iter().flatten().map(limit).collect();
        self.no_new_privileges = process.no_new_privileges().unwrap_or(false);
        let profile = process.apparmor_profile().as_ref();
        self.confinement = profile.map(|name| Confinement {
            name: name.clone(),
            executing: format!("exec {name}").into_bytes(),
            now: format!("changeprofile {name}").into_bytes(),
        });
        if let Some(sets) = process.capabilities() {
            self.bounding = bits(sets.bounding().as_ref());
            self.effective = bits(sets.effective().as_ref());
            self.permitted = bits(sets.permitted().as_ref());
            self.inheritable = bits(sets.inheritable().as_ref());
            self.ambient = bits(sets.ambient().as_ref());
        }
    }
}

/// A set of the specification as bits.
fn bits(set: Option<&Capabilities>) -> u64 {
    set.into_iter().flatten().fold(0, |bits, capability| bits | Set::of(&capability.to_string()).0)
}

/// The paths to try for a program: itself when it holds a slash, else one in each folder of the
/// search path. An empty folder is the working directory.
fn candidates(name: &str, search: &str) -> Result<Vec<CString>, StartError> {
    if name.contains('/') {
        return Ok(vec![c_string(name)?]);
    }
    if name.is_empty() {
        return Ok(vec![]);
    }
    let path = |folder: &str| match folder {
        "" => c_string(format!("./{name}")),
        folder => c_string(format!("{folder}/{name}")),
    };
    search.split(':').map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_searched_and_a_path_is_not() {
        let paths = |name, search| -> Vec<_> {
            candidates(name, search).unwrap().iter().map(|path| path.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(paths("sh", "/usr/bin::/bin"), ["/usr/bin/sh", "./sh", "/bin/sh"]);
        assert_eq!(paths("./sh", "/bin"), ["./sh"]);
        assert_eq!(paths("", "/bin"), Vec::<String>::new());
        assert!(candidates("a\0b", "/bin").is_err());
    }

    #[test]
    fn limits_have_the_kernels_numbers() {
        use oci_spec::runtime::PosixRlimitType as Type;
        let numbers = [Type::RlimitCpu as u32, Type::RlimitNofile as u32, Type::RlimitRttime as u32];
        assert_eq!(numbers, [0, 7, 15]);
    }
}
