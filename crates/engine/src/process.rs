//! Processes by number and time of their start, which together are never another's.

use resource::ProcessIdentity;
use rustix::process::Signal;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long one that was told to end is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What tells a process from later ones with its number; `None` when it has ended.
pub(crate) fn identity(pid: i32) -> Option<ProcessIdentity> {
    Some(ProcessIdentity { pid, start_time: sys::pidfd::start_time(pid)? })
}

/// Whether this very process lives: neither gone, nor a zombie, nor another with its number.
pub(crate) fn lives(process: ProcessIdentity) -> bool {
    sys::pidfd::start_time(process.pid) == Some(process.start_time)
}

/// A descriptor of a process, if it lives.
pub(crate) fn open(process: ProcessIdentity) -> Option<OwnedFd> {
    let descriptor = sys::pidfd::open(process.pid).ok()?;
    // The descriptor stays this process, so what is true of it now was true when it was opened.
    lives(process).then_some(descriptor)
}

/// Kills a process and waits for its end; one that ended is what is wanted.
pub(crate) fn kill(process: ProcessIdentity) {
    if let Some(descriptor) = open(process) {
        sys::pidfd::send_signal(descriptor.as_fd(), Signal::KILL.as_raw()).ok();
        sys::pidfd::wait_for_end(&descriptor, PATIENCE).ok();
    }
}

/// Waits for the end of a process, however long it takes.
pub(crate) fn wait(process: &OwnedFd) {
    let mut ended = [rustix::event::PollFd::new(process, rustix::event::PollFlags::IN)];
    // What else could go wrong leaves the caller to look again.
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut ended, None)).ok();
}
