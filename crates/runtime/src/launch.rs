//! Starting a process: what the caller says ([`Launch`], [`ExecLaunch`]) and what it gets back.

use crate::error::StartError;
use crate::{Cgroup, Program, Spec};
use resource::ProcessIdentity;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where a namespace comes from.
#[derive(Clone, Copy, Debug)]
pub enum Share<'a> {
    /// A new one.
    Private,
    /// The caller's.
    Host,
    /// This one.
    Join(BorrowedFd<'a>),
}

/// Where the network namespace comes from; `Private` is a new one with loopback down.
pub type Net<'a> = Share<'a>;

/// Standard input, output and error of a process.
#[derive(Clone, Copy, Debug)]
pub enum Stdio<'a> {
    /// These descriptors. They are given to the container's user, so that `/dev/stdout` can be opened.
    Files {
        /// Standard input.
        stdin: BorrowedFd<'a>,
        /// Standard output.
        stdout: BorrowedFd<'a>,
        /// Standard error.
        stderr: BorrowedFd<'a>,
    },
    /// A new terminal of the container's devpts; its master comes back in [`Started::console`].
    Terminal {
        /// Height in characters; 0 leaves the kernel's default.
        rows: u16,
        /// Width in characters.
        columns: u16,
    },
}

/// A container to start.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// What runs in it and what it may do; see [`crate::spec::generate`]. Its namespaces, cgroup path,
    /// seccomp profile and resources are not read: those are given here.
    pub spec: &'a Spec,
    /// Unpacked layers, lowest first.
    pub layers: &'a [PathBuf],
    /// The container's writable layer; made like the image's root when missing.
    pub upper: &'a Path,
    /// Overlay's working folder on the same file system; made when missing.
    pub work: &'a Path,
    /// Nothing written need survive a crash: for containers that are removed when they end.
    pub volatile: bool,
    /// Network namespace.
    pub network: Net<'a>,
    /// Pid namespace.
    pub pid: Share<'a>,
    /// IPC namespace.
    pub ipc: Share<'a>,
    /// UTS namespace.
    pub uts: Share<'a>,
    /// A cgroup namespace of its own.
    pub cgroup_namespace: bool,
    /// Standard input, output and error.
    pub stdio: Stdio<'a>,
    /// Where its processes are counted and limited; [`Cgroup::create`] was called.
    pub cgroup: &'a Cgroup,
    /// System call filter; `None` filters nothing.
    pub seccomp: Option<&'a Program>,
    /// Process 1 is ours: it reaps, passes signals on and ends as the program ends.
    pub init: bool,
}

/// A process to start in a running container.
#[derive(Clone, Copy, Debug)]
pub struct ExecLaunch<'a> {
    /// Pidfd of the container's first process.
    pub target: BorrowedFd<'a>,
    /// Its pid.
    pub pid: i32,
    /// The container's specification.
    pub spec: &'a Spec,
    /// What to run.
    pub process: &'a resource::Process,
    /// With all capabilities, whatever the container has.
    pub privileged: bool,
    /// Standard input, output and error.
    pub stdio: Stdio<'a>,
    /// The container's cgroup.
    pub cgroup: &'a Cgroup,
    /// System call filter; `None` filters nothing.
    pub seccomp: Option<&'a Program>,
}

/// A process on its way. Dropped unfinished, it is killed and reaped.
#[derive(Debug)]
pub struct Starting {
    report: OwnedFd,
}

/// A process that runs its program.
#[derive(Debug)]
pub struct Started {
    /// Pid and start time, in the caller's pid namespace.
    pub identity: ProcessIdentity,
    /// Its pidfd; readable when it has ended. It is a child of the caller, who reaps it.
    pub pidfd: OwnedFd,
    /// Master of its terminal.
    pub console: Option<OwnedFd>,
}

/// Starts a container's first process and returns without waiting for it.
///
/// # Errors
/// [`StartError`]; nothing is left behind then.
pub fn spawn(_launch: &Launch<'_>) -> Result<Starting, StartError> {
    todo!()
}

/// Starts a process in a running container and returns without waiting for it.
///
/// # Errors
/// [`StartError`]; nothing is left behind then.
pub fn exec(_launch: &ExecLaunch<'_>) -> Result<Starting, StartError> {
    todo!()
}

impl Starting {
    /// Readable when the program runs or the start has failed.
    pub fn report(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }

    /// The process's pid.
    pub fn pid(&self) -> i32 {
        todo!()
    }

    /// Waits for the report and says how it went. A failed process has been reaped.
    ///
    /// # Errors
    /// [`StartError`] with the step that failed.
    pub fn finish(self) -> Result<Started, StartError> {
        todo!()
    }
}
