//! Starting a process: what the caller says ([`Launch`], [`ExecLaunch`]) and what it gets back.

use crate::error::{REPORT_SIZE, Report, StartError};
use crate::prepare::{self, Prepared};
use crate::{Cgroup, Program, Spec, child};
use resource::{Mapping, ProcessIdentity};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
};
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use sys::companion::Companion;
use sys::process::{Child, InChild};

/// Where a namespace comes from.
#[derive(Clone, Copy, Debug)]
pub enum Share<'a> {
    /// A new one.
    Private,
    /// That of the thread that calls.
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
    /// Where the caller's ids lie; its user namespace is that of the container.
    pub mapping: Mapping,
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
    /// Where the caller's ids lie.
    pub mapping: Mapping,
}

/// A process on its way. Dropped unfinished, it is killed and reaped.
///
/// A container's first process stops short of its program until it is [let go](Self::release), so that
/// the caller can write down that there is one. It ends by itself when the caller ends before that.
#[derive(Debug)]
pub struct Starting {
    child: Option<Child>,
    /// It need not be let go, or was.
    released: bool,
    /// A socket: the word to go on goes there, the report comes back.
    report: OwnedFd,
    /// Our end of the socket its terminal's master comes through.
    console: Option<OwnedFd>,
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
pub fn spawn(launch: &Launch<'_>) -> Result<Starting, StartError> {
    prepare::check(launch.spec)?;
    match launch.pid {
        Share::Join(namespace) => {
            let kind = Some(LinkNameSpaceType::ProcessID);
            let enter = || rustix::thread::move_into_link_name_space(namespace, kind);
            within_pid_namespace(enter, || spawn_here(launch))
        }
        Share::Private | Share::Host => spawn_here(launch),
    }
}

/// Starts it with the pid namespace of this thread's children, or one below it.
fn spawn_here(launch: &Launch<'_>) -> Result<Starting, StartError> {
    let (ours, theirs) = console(launch.stdio)?;
    let prepared = prepare::container(launch, theirs)?;
    let mut flags = CLONE_NEWNS;
    let spaces = [
        (launch.pid, CLONE_NEWPID),
        (launch.network, CLONE_NEWNET),
        (launch.ipc, CLONE_NEWIPC),
        (launch.uts, CLONE_NEWUTS),
    ];
    for (share, flag) in spaces {
        flags |= if matches!(share, Share::Private) { flag } else { 0 };
    }
    start(&prepared, flags, launch.cgroup, ours)
}

/// Starts a process in a running container and returns without waiting for it. A namespace of the host
/// that the container is in has to be that of the calling thread as well.
///
/// # Errors
/// [`StartError`]; nothing is left behind then.
pub fn exec(launch: &ExecLaunch<'_>) -> Result<Starting, StartError> {
    let here = || {
        let (ours, theirs) = console(launch.stdio)?;
        start(&prepare::process(launch, theirs)?, 0, launch.cgroup, ours)
    };
    if prepare::is_own_namespace(launch.pid, "pid") {
        return here();
    }
    let pid = ThreadNameSpaceType::PROCESS_ID;
    let enter = || rustix::thread::move_into_thread_name_spaces(launch.target, pid);
    within_pid_namespace(enter, here)
}

/// Works on a thread whose children are in the pid namespace that `enter` enters. It is kept for this
/// alone: without privilege over the host nobody comes back from there.
fn within_pid_namespace(
    enter: impl FnOnce() -> rustix::io::Result<()> + Send,
    work: impl FnOnce() -> Result<Starting, StartError> + Send,
) -> Result<Starting, StartError> {
    static SCOUT: Mutex<Option<Companion>> = Mutex::new(None);
    let failed = |error: io::Error| StartError::step("make a thread", "")(error);
    let mut scout = SCOUT.lock().unwrap_or_else(PoisonError::into_inner);
    let scout = match &mut *scout {
        Some(scout) => scout,
        none => none.insert(Companion::start().map_err(failed)?),
    };
    let done = scout.run(|| {
        enter().map_err(|error| StartError::step("join namespace", "pid")(error.into()))?;
        work()
    });
    done.map_err(failed)?
}

/// The socket pair a terminal's master comes through, if there will be one.
pub(crate) fn console(stdio: Stdio<'_>) -> Result<(Option<OwnedFd>, Option<OwnedFd>), StartError> {
    match stdio {
        Stdio::Files { .. } => Ok((None, None)),
        Stdio::Terminal { .. } => {
            let (domain, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
            let (ours, theirs) = rustix::net::socketpair(domain, kind, SocketFlags::CLOEXEC, None)
                .map_err(|error| StartError::step("make a socket", "")(error.into()))?;
            Ok((Some(ours), Some(theirs)))
        }
    }
}

const CLONE_NEWNS: u64 = 0x0002_0000;
const CLONE_NEWUTS: u64 = 0x0400_0000;
const CLONE_NEWIPC: u64 = 0x0800_0000;
const CLONE_NEWPID: u64 = 0x2000_0000;
const CLONE_NEWNET: u64 = 0x4000_0000;

fn start(
    prepared: &Prepared<'_>,
    flags: u64,
    cgroup: &Cgroup,
    console: Option<OwnedFd>,
) -> Result<Starting, StartError> {
    let failed = |step| move |error: rustix::io::Errno| StartError::step(step, "")(error.into());
    let (report, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map_err(failed("make a socket"))?;
    // 0, 1 and 2 are replaced in the child.
    let theirs = rustix::io::fcntl_dupfd_cloexec(&theirs, 3).map_err(failed("make a socket"))?;
    let born_in = cgroup.unified()?;
    let body = |proof: &InChild| child::run(prepared, theirs.as_fd(), proof);
    let child = sys::process::clone_child(flags, born_in.as_ref().map(AsFd::as_fd), body);
    let child = child.map_err(StartError::step("make a process", ""))?;
    let released = !prepared.is_first();
    Ok(Starting { child: Some(child), released, report, console })
}

impl Starting {
    /// The process's pid.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |child| child.pid)
    }

    /// What tells the process from later ones with its number.
    ///
    /// # Errors
    /// What /proc says.
    pub fn identity(&self) -> Result<ProcessIdentity, StartError> {
        let pid = self.pid();
        let start_time =
            start_time(pid).map_err(StartError::step("read the start time of process", pid.to_string()))?;
        Ok(ProcessIdentity { pid, start_time })
    }

    /// Lets a container's first process go on to its program. One that has failed meanwhile reports so.
    pub fn release(&mut self) {
        if std::mem::replace(&mut self.released, true) {
            return;
        }
        let _failed_meanwhile = rustix::net::send(&self.report, child::GO_ON, SendFlags::NOSIGNAL);
    }

    /// Waits for the report and says how it went. A failed process has been reaped.
    ///
    /// # Errors
    /// [`StartError`] with the step that failed.
    pub fn finish(mut self) -> Result<Started, StartError> {
        self.release();
        let mut bytes = [0; REPORT_SIZE];
        let length = match rustix::io::retry_on_intr(|| rustix::io::read(&self.report, &mut bytes)) {
            // It was killed before it had read that it may go on.
            Err(Errno::CONNRESET) => 0,
            other => other.map_err(|error| StartError::step("read the report", "")(error.into()))?,
        };
        if length > 0 {
            let broken = || crate::prepare::refused("the new process reported nonsense");
            return Err(Report::decode(&bytes[..length]).unwrap_or_else(broken));
        }
        let identity = self.identity()?;
        let master = self.console.take().map(|socket| receive(&socket)).transpose()?;
        let child = self.child.take().expect("a process is finished once");
        Ok(Started { identity, pidfd: child.pidfd, console: master })
    }
}

/// Readable when the program runs or the start has failed.
impl AsFd for Starting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            // It ends by itself after a failure; this is for a start that is given up.
            let _dead_already = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
            sys::process::wait(child.pidfd.as_fd());
        }
    }
}

/// Field 22 of /proc/PID/stat: clock ticks from boot to the process's start.
///
/// # Errors
/// What reading it says; `NotFound` when there is no such process.
fn start_time(pid: i32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in field 2 may hold spaces and parentheses: what counts follows the last one.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace());
    fields
        .and_then(|mut fields| fields.nth(19)?.parse().ok())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Receives the terminal's master.
pub(crate) fn receive(socket: &OwnedFd) -> Result<OwnedFd, StartError> {
    receive_descriptor(socket).map_err(StartError::step("receive the terminal", ""))
}

/// Receives the one descriptor that has been sent by now.
pub(crate) fn receive_descriptor(socket: &OwnedFd) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let mut received = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    received.next().ok_or_else(|| Errno::BADMSG.into())
}
