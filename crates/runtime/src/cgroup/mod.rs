//! Cgroups: `BASE/POD/CONTAINER` in every hierarchy, v1 and v2.

use oci_spec::runtime::Spec;
use resource::{ContainerId, Resources};
use std::io;

/// A container's cgroup: names only, nothing is held open.
#[derive(Clone, Debug)]
pub struct Cgroup {
    path: String,
}

/// A limit that this kernel cannot enforce; the container runs without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

/// What could not be done to a cgroup.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} cgroup {path}")]
pub struct CgroupError {
    /// `create`, `freeze`, …
    pub action: &'static str,
    /// The file or folder.
    pub path: String,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// What a container uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory, without the page cache that can be dropped at once.
    pub memory: u64,
    /// Bytes of memory it may use; `None` without a limit.
    pub memory_limit: Option<u64>,
    /// CPU time so far, ns.
    pub cpu: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes read from block devices so far.
    pub read: u64,
    /// Bytes written to block devices so far.
    pub written: u64,
}

/// The cgroup of a container; nothing is touched.
pub fn open(base: &str, pod: &str, container: &ContainerId) -> Cgroup {
    Cgroup { path: format!("{base}/{pod}/{container}") }
}

/// Removes a pod's cgroup and what is left below it, killing what runs there.
///
/// # Errors
/// [`CgroupError`] when something cannot be removed.
pub fn remove_pod(_base: &str, _pod: &str) -> Result<(), CgroupError> {
    todo!()
}

/// Removes the base cgroup if no pod is in it.
///
/// # Errors
/// [`CgroupError`] when an empty one cannot be removed.
pub fn remove_base(_base: &str) -> Result<(), CgroupError> {
    todo!()
}

impl Cgroup {
    /// Makes the cgroup and sets limits and device rules (those of `spec.linux.resources.devices`).
    /// What this kernel cannot do comes back as warnings.
    ///
    /// # Errors
    /// [`CgroupError`] when it cannot be made or a limit is refused for its value.
    pub fn create(&self, _limits: &Resources, _spec: &Spec) -> Result<Vec<Warning>, CgroupError> {
        todo!()
    }

    /// Removes it; no error when it is not there.
    ///
    /// # Errors
    /// [`CgroupError`], with `EBUSY` while a process is in it.
    pub fn remove(&self) -> Result<(), CgroupError> {
        todo!()
    }

    /// Stops every process where it is and waits until they stand.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub fn freeze(&self) -> Result<(), CgroupError> {
        todo!()
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub fn thaw(&self) -> Result<(), CgroupError> {
        todo!()
    }

    /// Sends a signal to every process in it, new ones included for SIGKILL. It must not be frozen
    /// on v1 for the signal to arrive.
    ///
    /// # Errors
    /// [`CgroupError`].
    pub fn kill(&self, _signal: i32) -> Result<(), CgroupError> {
        todo!()
    }

    /// Pids of its processes; empty when it does not exist.
    pub fn processes(&self) -> Vec<i32> {
        todo!()
    }

    /// What it uses now; zero where the kernel does not count.
    pub fn usage(&self) -> Usage {
        todo!()
    }

    /// Processes the kernel killed in it for want of memory, so far.
    pub fn oom_kills(&self) -> u64 {
        todo!()
    }
}
