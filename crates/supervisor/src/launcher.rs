//! Starts a supervisor: the same binary again, under a hidden first argument, with the first
//! connection as its standard input and the file it is executed from as its standard output.

use resource::{PodName, Roots};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The hidden first argument. It is followed by the data root, the run root, the cgroup's name, the
/// pod's name, the word for the mapping and the path of the router, empty when there is none.
pub const ROLE: &str = "__supervise";

/// Exit code of a supervisor that found another one at work.
pub(crate) const BUSY: u8 = 75;

/// Starts a supervisor for the pod. Returns the connection to it, on which nothing has been said yet.
///
/// # Errors
/// What the kernel says of the pod's run-time folder, the log file or the new process.
pub(crate) fn launch(roots: &Roots, pod: &PodName) -> io::Result<(OwnedFd, Child)> {
    let folder = roots.pod_run(pod);
    sys::file::create_private_folder(&folder)?;
    let log = File::options().append(true).create(true).mode(0o600).open(folder.join("supervisor.log"))?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    crate::packet::widen(&ours);
    let binary = sys::exe::read_only_self()?;
    // Who closes the last descriptor of a detached mount takes the mount away and waits until every
    // processor has heard of it, up to a millisecond: that is left to the end of the supervisor.
    let child = Command::new(format!("/proc/self/fd/{}", binary.as_raw_fd()))
        .arg0("compose")
        .arg(ROLE)
        .args([roots.data.as_os_str(), roots.run.as_os_str()])
        .args([OsStr::new(&roots.cgroup), OsStr::new(pod.as_str())])
        .arg(roots.mapping.as_str())
        .arg(roots.router.as_deref().unwrap_or(Path::new("")))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::from(binary))
        .stderr(Stdio::from(log))
        .spawn()?;
    Ok((ours, child))
}
