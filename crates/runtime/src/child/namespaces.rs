//! Cgroups, namespaces and what is set in them.

use super::{At, Done};
use crate::error::Step;
use crate::prepare::{New, Sysctl};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType};
use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

/// Writes to a file of the kernel, all at once.
fn write(path: &CStr, value: &[u8]) -> Result<(), Errno> {
    let file = rustix::fs::openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, value).map(drop)
}

/// Moves this process into its v1 cgroups. `0` to `tasks` is this thread, which is the one way that
/// does not wait for an RCU grace period; `cgroup.procs` would (10-20 ms after idle).
pub(crate) fn attach(tasks: &[CString]) -> Done<'_> {
    for path in tasks {
        write(path, b"0").at(Step::Cgroup, path.to_bytes())?;
    }
    Ok(())
}

/// Sets the score for the out-of-memory killer; where it may not be lowered it stays as it is.
pub(crate) fn oom_score(value: Option<&[u8]>) -> Done<'_> {
    let Some(value) = value else { return Ok(()) };
    match write(c"/proc/self/oom_score_adj", value) {
        Err(Errno::ACCESS | Errno::PERM) => Ok(()),
        other => other.at(Step::OomScore, value),
    }
}

/// Joins the namespaces that were given as descriptors.
pub(crate) fn join<'p>(new: &'p New<'_>) -> Done<'p> {
    let spaces = [
        (new.network, LinkNameSpaceType::Network, b"network".as_slice()),
        (new.ipc, LinkNameSpaceType::InterProcessCommunication, b"ipc"),
        (new.uts, LinkNameSpaceType::HostNameAndNISDomainName, b"uts"),
    ];
    for (descriptor, kind, name) in spaces {
        if let Some(descriptor) = descriptor {
            rustix::thread::move_into_link_name_space(descriptor, Some(kind)).at(Step::Join, name)?;
        }
    }
    Ok(())
}

/// A cgroup namespace whose root is where the process is by now.
pub(crate) fn unshare_cgroup<'p>(wanted: bool) -> Done<'p> {
    if !wanted {
        return Ok(());
    }
    sys::process::unshare_namespaces(CLONE_NEWCGROUP).at(Step::Unshare, b"cgroup")
}

const CLONE_NEWCGROUP: i32 = 0x0200_0000;

/// Enters the namespaces of a running container's first process.
pub(crate) fn enter<'p>(target: BorrowedFd<'_>, namespaces: ThreadNameSpaceType) -> Done<'p> {
    rustix::thread::move_into_thread_name_spaces(target, namespaces).at(Step::Join, b"container")
}

/// Sets kernel parameters of the namespaces this process is in by now.
pub(crate) fn sysctls(sysctls: &[Sysctl]) -> Done<'_> {
    for sysctl in sysctls {
        match write(&sysctl.path, &sysctl.value) {
            Err(Errno::NOENT) if sysctl.optional => {}
            other => other.at(Step::Sysctl, sysctl.path.to_bytes())?,
        }
    }
    Ok(())
}

/// Sets host name and domain name.
pub(crate) fn names<'p>(hostname: Option<&'p [u8]>, domainname: Option<&'p [u8]>) -> Done<'p> {
    if let Some(name) = hostname {
        sys::process::set_host_name(name).at(Step::HostName, name)?;
    }
    if let Some(name) = domainname {
        sys::process::set_domain_name(name).at(Step::DomainName, name)?;
    }
    Ok(())
}
