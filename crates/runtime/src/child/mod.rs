//! What the child does between its birth and its program, in this order:
//!
//! 1. signals, not dumpable, umask 0                    [`start`]
//! 2. cgroups of v1, by writing `0` to `tasks`          [`namespaces::attach`]
//! 3. out-of-memory score, while /proc is the host's
//! 4. joined namespaces; a cgroup namespace of its own  [`namespaces`]
//! 5. kernel parameters, host name                      first process only
//! 6. root file system and everything mounted in it     [`rootfs`], first process only
//! 7. terminal, standard input, output and error        [`terminal`]
//! 8. session keyring, limits, working directory        [`identity`]
//! 9. the caller's word to go on                        [`identity`], first process only
//! 10. user, capabilities, seccomp, execve               [`identity`]
//!
//! Each step is a function that says what failed on what. Nothing here allocates: everything is in
//! [`Prepared`], made before the clone.

pub(crate) mod identity;
pub(crate) mod inside;
pub(crate) mod namespaces;
pub(crate) mod rootfs;
pub(crate) mod terminal;

use crate::error::{REPORT_SIZE, Report, StartError, Step};
use crate::prepare::{Place, Prepared};
use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use std::convert::Infallible;
use std::os::fd::BorrowedFd;
use sys::process::InChild;

/// The word by which a container's first process is let go on to its program.
pub(crate) const GO_ON: &[u8] = b"\n";

/// A step that failed.
#[derive(Debug)]
pub(crate) struct Failure<'p> {
    step: Step,
    what: &'p [u8],
    errno: Errno,
}

impl From<Failure<'_>> for StartError {
    /// The same words as when a child reports it.
    fn from(failure: Failure<'_>) -> Self {
        let mut bytes = [0; REPORT_SIZE];
        let length = Report::encode(failure.step, failure.errno.raw_os_error(), failure.what, &mut bytes);
        Report::decode(&bytes[..length])
            .unwrap_or_else(|| StartError::step("do", "a step")(failure.errno.into()))
    }
}

/// The result of a step.
pub(crate) type Done<'p, T = ()> = Result<T, Failure<'p>>;

/// Gives an error of the kernel its step and object.
pub(crate) trait At<T> {
    /// The error as a failure of `step` on `what`.
    fn at<'p>(self, step: Step, what: &'p [u8]) -> Done<'p, T>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at<'p>(self, step: Step, what: &'p [u8]) -> Done<'p, T> {
        self.map_err(|errno| Failure { step, what, errno })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at<'p>(self, step: Step, what: &'p [u8]) -> Done<'p, T> {
        self.map_err(|error| Failure { step, what, errno: Errno::from_io_error(&error).unwrap_or(Errno::IO) })
    }
}

/// The whole life of the child before its program; the exit code when it got no further.
pub(crate) fn run(prepared: &Prepared<'_>, report: BorrowedFd<'_>, proof: &InChild) -> i32 {
    let Err(failure) = start(prepared, report, proof);
    tell(report, &failure);
    125
}

/// Reports a failure; if that fails as well, the parent sees the exit.
fn tell(report: BorrowedFd<'_>, failure: &Failure<'_>) {
    let mut bytes = [0; REPORT_SIZE];
    let length = Report::encode(failure.step, failure.errno.raw_os_error(), failure.what, &mut bytes);
    let _untold = rustix::io::write(report, &bytes[..length]);
}

fn start<'p>(
    prepared: &'p Prepared<'_>,
    report: BorrowedFd<'_>,
    proof: &InChild,
) -> Result<Infallible, Failure<'p>> {
    sys::process::reset_signals();
    // Others in a joined pid namespace must not look into what is still a copy of the supervisor.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Step::Protect, b"")?;
    rustix::process::umask(rustix::fs::Mode::empty());
    namespaces::attach(&prepared.tasks)?;
    namespaces::oom_score(prepared.oom_score_adj.as_deref())?;
    match &prepared.place {
        Place::New(new) => {
            namespaces::join(new)?;
            namespaces::unshare_cgroup(prepared.cgroup_namespace)?;
            namespaces::sysctls(&new.sysctls)?;
            namespaces::names(new.hostname.as_deref(), new.domainname.as_deref())?;
            rootfs::build(new)?;
        }
        Place::Existing { target, namespaces } => namespaces::enter(*target, *namespaces)?,
    }
    // Best effort, as elsewhere: kernels without keyrings, and a user's quota of them.
    drop(sys::process::new_session_keyring());
    let _leader_already = rustix::process::setsid();
    terminal::stdio(prepared, proof)?;
    identity::become_program(prepared, report, proof)
}
