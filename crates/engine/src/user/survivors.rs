//! Processes of a user's world that live on when infra was killed, and hold its namespaces.

use super::open_namespace;
use crate::disk;
use crate::process::{identity, lives};
use resource::{ContainerId, ContainerState, PodName, ProcessIdentity, Roots};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Namespaces that were found again.
#[derive(Debug)]
pub(super) struct Survivors {
    pub(super) user: OwnedFd,
    /// `None` when no process is in it any more.
    pub(super) router: Option<OwnedFd>,
}

/// Finds the namespaces through supervisors, which are in both, or else through containers, which have
/// network namespaces of their own.
///
/// A supervisor whose command was killed while it came up is in the host's network still, where the
/// caller is, too: that is no router, and it ends without one.
pub(super) fn find(roots: &Roots) -> Option<Survivors> {
    let host = open_namespace(Path::new("/proc/self/ns/net")).ok()?;
    let supervisors = supervisors(roots).into_iter().filter_map(|process| {
        let (user, network) = (namespace(process, "user")?, namespace(process, "net")?);
        Some(Survivors { user, router: (!is_same(&network, &host)).then_some(network) })
    });
    let mut containers = containers(roots)
        .filter_map(|process| Some(Survivors { user: namespace(process, "user")?, router: None }));
    let mut found: Vec<Survivors> = supervisors.collect();
    let best = found.iter().position(|survivors| survivors.router.is_some()).unwrap_or(0);
    if found.is_empty() { containers.next() } else { Some(found.swap_remove(best)) }
}

/// Whether two descriptors open the same namespace.
fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let identity = |namespace| rustix::fs::fstat(namespace).map(|it| (it.st_dev, it.st_ino));
    identity(one).is_ok_and(|one| identity(other) == Ok(one))
}

/// A namespace of a process that lives.
fn namespace(process: ProcessIdentity, kind: &str) -> Option<OwnedFd> {
    let namespace = open_namespace(Path::new(&format!("/proc/{}/ns/{kind}", process.pid))).ok()?;
    lives(process).then_some(namespace)
}

/// Supervisors of the pods of these roots, found by their command line.
fn supervisors(roots: &Roots) -> Vec<ProcessIdentity> {
    let words =
        [supervisor::ROLE.as_bytes(), roots.data.as_os_str().as_bytes(), roots.run.as_os_str().as_bytes()];
    let ours = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).skip(1).take(words.len()).eq(words)
    };
    let numbers = disk::entries(Path::new("/proc")).unwrap_or_default().into_iter();
    numbers.filter_map(|name| name.parse().ok()).filter(|pid| ours(*pid)).filter_map(identity).collect()
}

/// First processes of containers that live.
pub(super) fn containers(roots: &Roots) -> impl Iterator<Item = ProcessIdentity> + use<'_> {
    pods_written_down(roots).flat_map(move |pod| containers_of(roots, &pod))
}

/// Pods that have containers that live.
pub(super) fn pods(roots: &Roots) -> Vec<PodName> {
    pods_written_down(roots).filter(|pod| containers_of(roots, pod).next().is_some()).collect()
}

fn pods_written_down(roots: &Roots) -> impl Iterator<Item = PodName> + use<> {
    disk::entries(&roots.run.join("pods")).unwrap_or_default().into_iter().map(PodName)
}

fn containers_of(roots: &Roots, pod: &PodName) -> impl Iterator<Item = ProcessIdentity> + use<> {
    let ids = disk::entries(&roots.pod_run(pod).join("containers")).unwrap_or_default();
    let states: Vec<_> = ids.into_iter().map(|id| roots.state(pod, &ContainerId(id))).collect();
    let process = |path: PathBuf| disk::read::<ContainerState>(&path)?.process;
    states.into_iter().filter_map(process).filter(|process| lives(*process))
}
