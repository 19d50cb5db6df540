//! Everything the child will need, made before the clone: C strings, tables, descriptors.

mod ids;
mod mounts;
mod overlay;
mod process;

pub(crate) use ids::check as check_ids;
pub(crate) use mounts::{Bind, Device, Kind, Link, MountPlan};
pub(crate) use overlay::{Folders, Options, Overlay};
pub(crate) use process::{Limit, PATH, Program};

use crate::launch::{ExecLaunch, Launch, Share, Stdio};
use crate::{Spec, StartError};
use resource::Part;
use rustix::thread::ThreadNameSpaceType;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::init::Secrets;
use sys::seccomp::Instruction;

/// All that the child needs.
pub(crate) struct Prepared<'a> {
    /// `tasks` files of its v1 cgroups.
    pub(crate) tasks: Vec<CString>,
    /// Text for oom_score_adj.
    pub(crate) oom_score_adj: Option<Vec<u8>>,
    /// It makes a cgroup namespace.
    pub(crate) cgroup_namespace: bool,
    /// A new container or a running one.
    pub(crate) place: Place<'a>,
    /// Standard input, output and error.
    pub(crate) stdio: Stdio<'a>,
    /// Where the terminal's master is sent.
    pub(crate) console: Option<OwnedFd>,
    /// What is executed, and as whom.
    pub(crate) program: Program,
    /// System call filter.
    pub(crate) seccomp: Option<&'a [Instruction]>,
    /// It stays as process 1, without this memory, and its child executes the program.
    pub(crate) init: Option<Secrets>,
}

impl Prepared<'_> {
    /// The process is a container's first one.
    pub(crate) fn is_first(&self) -> bool {
        matches!(self.place, Place::New(_))
    }
}

/// Where the program runs.
#[expect(clippy::large_enum_variant, reason = "one value exists, for the time of a clone")]
pub(crate) enum Place<'a> {
    /// In a container that the child sets up.
    New(New<'a>),
    /// In one that runs.
    Existing {
        /// Its first process.
        target: BorrowedFd<'a>,
        /// What is joined besides the pid namespace.
        namespaces: ThreadNameSpaceType,
    },
}

/// A container to set up.
pub(crate) struct New<'a> {
    /// Network namespace to join.
    pub(crate) network: Option<BorrowedFd<'a>>,
    /// IPC namespace to join.
    pub(crate) ipc: Option<BorrowedFd<'a>>,
    /// UTS namespace to join.
    pub(crate) uts: Option<BorrowedFd<'a>>,
    /// Kernel parameters.
    pub(crate) sysctls: Vec<Sysctl>,
    /// Host name to set.
    pub(crate) hostname: Option<Vec<u8>>,
    /// NIS domain name to set.
    pub(crate) domainname: Option<Vec<u8>>,
    /// Root file system.
    pub(crate) overlay: Overlay,
    /// Mounts in order.
    pub(crate) mounts: Vec<MountPlan>,
    /// Device nodes.
    pub(crate) devices: Vec<Device>,
    /// Symbolic links in /dev.
    pub(crate) links: Vec<Link>,
    /// Paths nothing can be read from.
    pub(crate) masked: Vec<CString>,
    /// Paths nothing can be written to.
    pub(crate) read_only: Vec<CString>,
    /// The root file system itself is read-only.
    pub(crate) read_only_root: bool,
    /// The terminal is bound on /dev/console.
    pub(crate) console: bool,
    /// The program's working directory, made when missing.
    pub(crate) working_dir: CString,
}

/// A kernel parameter.
pub(crate) struct Sysctl {
    pub(crate) path: CString,
    pub(crate) value: Vec<u8>,
    /// It is a default of ours: a kernel without it is no error.
    pub(crate) optional: bool,
}

/// A text as a C string.
pub(crate) fn c_string(text: impl AsRef<[u8]>) -> Result<CString, StartError> {
    let bytes = text.as_ref();
    CString::new(bytes).map_err(|_| StartError::Refused {
        what: format!("`{}` holds a NUL character", String::from_utf8_lossy(bytes).escape_debug()),
        part: None,
    })
}

/// A path as a C string.
pub(crate) fn c_path(path: &Path) -> Result<CString, StartError> {
    c_string(path.as_os_str().as_bytes())
}

/// What to join of a namespace's source.
fn joined(share: Share<'_>) -> Option<BorrowedFd<'_>> {
    match share {
        Share::Join(descriptor) => Some(descriptor),
        Share::Private | Share::Host => None,
    }
}

/// Prepares a container's first process.
pub(crate) fn container<'a>(
    launch: &Launch<'a>,
    console: Option<OwnedFd>,
) -> Result<Prepared<'a>, StartError> {
    let spec = launch.spec;
    let process = spec.process().as_ref().ok_or_else(|| refused("the specification has no process"))?;
    let linux = spec.linux().as_ref();
    let paths =
        |list: Option<&Vec<String>>| list.into_iter().flatten().map(c_string).collect::<Result<Vec<_>, _>>();
    let own_uts = matches!(launch.uts, Share::Private);
    let name = |name: &Option<String>| {
        name.as_ref().filter(|name| own_uts && !name.is_empty()).map(|name| name.as_bytes().to_vec())
    };
    let root = spec.root().as_ref();
    let mut program = Program::of_spec(process)?;
    ids::check(&mut program, launch.mapping)?;
    // An init can be alone.
    if program.name.is_empty() && !launch.init {
        return Err(refused("no command specified"));
    }
    let place = New {
        network: joined(launch.network),
        ipc: joined(launch.ipc),
        uts: joined(launch.uts),
        sysctls: sysctls(launch)?,
        hostname: name(spec.hostname()),
        domainname: name(spec.domainname()),
        overlay: Overlay::prepare(launch)?,
        mounts: mounts::plan(spec, launch.cgroup_namespace)?,
        devices: mounts::devices(spec)?,
        links: mounts::links(),
        masked: paths(linux.and_then(|linux| linux.masked_paths().as_ref()))?,
        read_only: paths(linux.and_then(|linux| linux.readonly_paths().as_ref()))?,
        read_only_root: root.is_some_and(|root| root.readonly().unwrap_or(false)),
        console: console.is_some(),
        working_dir: program.working_dir.clone(),
    };
    Ok(Prepared {
        tasks: launch.cgroup.tasks()?,
        oom_score_adj: process.oom_score_adj().map(|score| score.to_string().into_bytes()),
        cgroup_namespace: launch.cgroup_namespace,
        place: Place::New(place),
        stdio: launch.stdio,
        console,
        program,
        seccomp: launch.seccomp.map(|program| program.0.as_slice()),
        init: launch
            .init
            .then(Secrets::find)
            .transpose()
            .map_err(StartError::step("read our own memory map", ""))?,
    })
}

/// Prepares a process in a running container.
pub(crate) fn process<'a>(
    launch: &ExecLaunch<'a>,
    console: Option<OwnedFd>,
) -> Result<Prepared<'a>, StartError> {
    let own = launch.spec.process().as_ref().ok_or_else(|| refused("the specification has no process"))?;
    let spaces = [
        ("net", ThreadNameSpaceType::NETWORK),
        ("ipc", ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION),
        ("uts", ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME),
        ("cgroup", ThreadNameSpaceType::CONTROL_GROUP),
    ];
    // One that is shared with the host cannot be entered without privilege over the host, nor need it be.
    let others = spaces.iter().filter(|(name, _)| !is_own_namespace(launch.pid, name));
    let namespaces = others.fold(ThreadNameSpaceType::MOUNT, |all, (_, each)| all | *each);
    let mut program = Program::of_exec(own, launch.process, launch.privileged)?;
    ids::check(&mut program, launch.mapping)?;
    Ok(Prepared {
        tasks: launch.cgroup.tasks()?,
        oom_score_adj: own.oom_score_adj().map(|score| score.to_string().into_bytes()),
        cgroup_namespace: false,
        place: Place::Existing { target: launch.target, namespaces },
        stdio: launch.stdio,
        console,
        program,
        seccomp: launch.seccomp.map(|program| program.0.as_slice()),
        init: None,
    })
}

/// Whether a process is in the same namespace of this kind as the calling thread.
pub(crate) fn is_own_namespace(pid: i32, kind: &str) -> bool {
    let name = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/{kind}"));
    match (name(&pid.to_string()), name("thread-self")) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => false,
    }
}

/// A refusal.
pub(crate) fn refused(what: impl Into<String>) -> StartError {
    StartError::Refused { what: what.into(), part: None }
}

/// Kernel parameters, refused unless they belong to a namespace that is not the host's: they are
/// written through the host's /proc/sys from inside the namespaces.
pub(crate) fn sysctls(launch: &Launch<'_>) -> Result<Vec<Sysctl>, StartError> {
    let wanted = launch.spec.linux().as_ref().and_then(|linux| linux.sysctl().as_ref());
    let host = |share| matches!(share, Share::Host);
    let mut sysctls = vec![];
    for (key, value) in wanted.into_iter().flatten() {
        let namespace_is_the_hosts = match sysctl_namespace(key) {
            Some(Space::Network) => host(launch.network),
            Some(Space::Ipc) => host(launch.ipc),
            Some(Space::Uts) => host(launch.uts),
            None => {
                let what = format!("kernel parameter `{key}` is not one of a namespace");
                return Err(refused(what).about(Part::sysctl(key)));
            }
        };
        if namespace_is_the_hosts {
            let what = format!("kernel parameter `{key}` cannot be set in a namespace of the host");
            return Err(refused(what).about(Part::sysctl(key)));
        }
        let path = format!("/proc/sys/{}", sysctl_path(key));
        let optional = crate::spec::DEFAULT_SYSCTLS.contains(&(key.as_str(), value.as_str()));
        let here = match key.as_str() {
            "net.ipv4.ping_group_range" if optional => ids::every_group(launch.mapping)?,
            _ => None,
        };
        let value = here.as_ref().unwrap_or(value).as_bytes().to_vec();
        sysctls.push(Sysctl { path: c_string(path)?, value, optional });
    }
    Ok(sysctls)
}

/// The path of a parameter below /proc/sys: dots are slashes and slashes dots, as in sysctl(8).
fn sysctl_path(key: &str) -> String {
    let swap = |character| match character {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    // `net/ipv4/ip_forward` is written so from the start: the first separator decides.
    if key.find(['.', '/']).is_some_and(|first| key.as_bytes()[first] == b'/') {
        key.to_owned()
    } else {
        key.chars().map(swap).collect()
    }
}

/// Kinds of namespaces that have kernel parameters.
#[derive(Debug, PartialEq, Eq)]
enum Space {
    Network,
    Ipc,
    Uts,
}

/// The namespace a kernel parameter belongs to.
fn sysctl_namespace(key: &str) -> Option<Space> {
    let path = sysctl_path(key);
    let plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    match path.as_str() {
        _ if !plain => None,
        "kernel/msgmax"
        | "kernel/msgmnb"
        | "kernel/msgmni"
        | "kernel/sem"
        | "kernel/shmall"
        | "kernel/shmmax"
        | "kernel/shmmni"
        | "kernel/shm_rmid_forced" => Some(Space::Ipc),
        "kernel/domainname" => Some(Space::Uts),
        path if path.starts_with("fs/mqueue/") => Some(Space::Ipc),
        path if path.starts_with("net/") => Some(Space::Network),
        _ => None,
    }
}

/// The devices cgroup rules and the like are read elsewhere; here only what the spec must not ask for.
pub(crate) fn check(spec: &Spec) -> Result<(), StartError> {
    if spec.hooks().is_some() {
        return Err(refused("hooks are not supported"));
    }
    if spec.linux().as_ref().is_some_and(|linux| linux.uid_mappings().as_ref().is_some_and(|m| !m.is_empty()))
    {
        return Err(refused("user namespaces are not supported"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parameters_of_a_namespace_pass() {
        assert_eq!(sysctl_namespace("net.ipv4.ip_forward"), Some(Space::Network));
        assert_eq!(sysctl_namespace("net/ipv4/conf/eth0.1/forwarding"), Some(Space::Network));
        assert_eq!(sysctl_namespace("kernel.shmmax"), Some(Space::Ipc));
        assert_eq!(sysctl_namespace("fs.mqueue.msg_max"), Some(Space::Ipc));
        for bad in [
            "kernel.core_pattern",
            "vm.swappiness",
            "net/../kernel/core_pattern",
            "net..x",
            "kernel.hostname",
        ] {
            assert_eq!(sysctl_namespace(bad), None, "{bad}");
        }
    }

    #[test]
    fn dots_and_slashes_swap_as_in_sysctl() {
        assert_eq!(sysctl_path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(sysctl_path("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
    }
}
