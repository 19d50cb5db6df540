//! Another OCI runtime, named by its path, in the place of the embedded one.
//!
//! ```text
//! begin     clone3 -> shim: own mount namespace, overlay, config.json, RUNTIME create
//! Created   the caller writes the container's process down, then lets it go on: RUNTIME start
//! Started   the shim ends, and the container's process becomes a child of the caller
//! delete    RUNTIME delete, when that process has ended
//! ```
//!
//! The root is mounted here, as for the embedded runtime, and only where the shim sees it, so that it goes
//! with the last process of the container. Cgroup and network namespace are made before; the runtime is told
//! where they are. Everything after the start (signals, freezing, exec, statistics) is done as ever: by
//! process, namespaces and cgroup.

mod config;
mod shim;

use crate::error::StartError;
use crate::launch::{Launch, Started, console, receive};
use resource::{ProcessIdentity, SecuritySpec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use rustix::process::Pid;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use sys::file::Lock;
use sys::process::Child;

/// A container of another runtime.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The runtime: an executable with the command line that OCI's own `runc` has.
    pub program: PathBuf,
    /// What the runtime knows the container by.
    pub id: String,
    /// Where its configuration, its log and the runtime's own state are: a folder of this container alone.
    pub folder: PathBuf,
}

/// Words of the shim, one a packet; the first byte says which, and what follows depends on it.
const CREATED: u8 = b'c';
const STARTED: u8 = b's';
const FAILED: u8 = b'f';
/// Words to the shim.
const GO_ON: &[u8] = b"g";
const GIVE_UP: &[u8] = b"x";
/// Bytes of a word at most.
const WORD: usize = 4096;

/// A container that another runtime is starting. Dropped unfinished, it is deleted.
#[derive(Debug)]
pub struct Shim {
    child: Option<Child>,
    socket: OwnedFd,
    console: Option<OwnedFd>,
    /// The container's first process, once there is one.
    first: Option<(ProcessIdentity, OwnedFd)>,
}

/// How far a start has come.
#[derive(Debug)]
pub enum Progress {
    /// Not further than before.
    Same,
    /// The container is there, its program does not run: it waits for [`Shim::go_on`].
    Created(ProcessIdentity),
    /// The program runs; [`Shim::finish`] takes it over.
    Started,
    /// It could not be started. Nothing is left of it.
    Failed(StartError),
}

/// Has the runtime of a bundle make a container, and returns without waiting for it. `security` is what the
/// launch's filter was compiled from.
///
/// # Errors
/// [`StartError`]; nothing is left behind then.
pub fn begin(launch: &Launch<'_>, bundle: &Bundle, security: &SecuritySpec) -> Result<Shim, StartError> {
    let failed = |error: Errno| StartError::step("make a socket", "")(error.into());
    let (socket, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(failed)?;
    // 0, 1 and 2 are replaced in the child.
    let theirs = rustix::io::fcntl_dupfd_cloexec(&theirs, 3).map_err(failed)?;
    let (ours, master) = console(launch.stdio)?;
    let work = shim::Work { launch, bundle, security, socket: theirs.as_fd(), console: master.as_ref() };
    let child = sys::process::clone_child(0, None, |proof| shim::run(&work, proof));
    let child = child.map_err(StartError::step("make a process", ""))?;
    Ok(Shim { child: Some(child), socket, console: ours, first: None })
}

/// Has the runtime forget a container that has ended, or end one that has not; comes back with the process
/// that does it, which is waited for and reaped.
///
/// # Errors
/// What clone3(2) says.
pub fn delete(bundle: &Bundle) -> io::Result<Child> {
    sys::process::clone_child(0, None, |proof| {
        sys::process::reset_signals();
        // Nothing of the caller's is held open by a program that may take its time.
        drop(sys::process::close_all(proof, 3));
        let _lock = bundle.lock().ok();
        shim::delete(bundle);
        0
    })
}

/// Whether the processes of a container are those the kernel shows: the image is the root of its first one. A
/// runtime that puts them in a virtual machine or behind a kernel of its own shows a process of its own.
pub fn is_visible(pid: i32) -> bool {
    let own = !crate::prepare::is_own_namespace(pid, "mnt");
    let root = rustix::fs::statfs(format!("/proc/{pid}/root"));
    // OVERLAYFS_SUPER_MAGIC in linux/magic.h.
    own && root.is_ok_and(|root| root.f_type == 0x794c_7630)
}

impl Bundle {
    /// Whether the runtime may know of this container.
    pub fn exists(&self) -> bool {
        self.folder.exists()
    }

    /// Removes the folder.
    ///
    /// # Errors
    /// What the file system says; no error when there is none.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Held by whoever has the runtime do something: after a supervisor was killed, its shim and a successor's
    /// may be at it.
    fn lock(&self) -> io::Result<Lock> {
        Lock::exclusive(&self.folder.with_extension("lock"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A call of the runtime, with nothing to read and nowhere to write but its log.
    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(self.path("state"))
            .arg("--log")
            .arg(self.path("log"))
            .args(["--log-format", "json", verb])
            .current_dir("/")
            // Whom the caller's own readiness is told is nobody's business in there.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_PID")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

impl Shim {
    /// Takes in what has been said; to be called when there is something.
    pub fn progress(&mut self) -> Progress {
        let mut bytes = [0; WORD];
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.socket, &mut bytes[..], RecvFlags::DONTWAIT).map(|(length, _)| length)
        });
        let killed = || crate::prepare::refused("the process that drives its runtime was killed");
        let (kind, rest) = match received {
            Err(Errno::AGAIN) => return Progress::Same,
            Ok(length) if length > 0 => (bytes[0], &bytes[1..length]),
            _ => return self.failed(killed()),
        };
        match kind {
            CREATED => match self.created(rest) {
                Ok(identity) => Progress::Created(identity),
                Err(error) => {
                    self.give_up();
                    self.failed(error)
                }
            },
            STARTED => Progress::Started,
            FAILED => self.failed(shim::failure(rest)),
            _ => Progress::Same,
        }
    }

    fn failed(&mut self, error: StartError) -> Progress {
        self.reap();
        Progress::Failed(error)
    }

    /// Takes hold of the container's first process, which cannot be gone: its parent does not wait for it.
    fn created(&mut self, pid: &[u8]) -> Result<ProcessIdentity, StartError> {
        let pid = pid.try_into().map(i32::from_ne_bytes).unwrap_or(0);
        let failed = StartError::step("find the first process", pid.to_string());
        let pidfd = sys::pidfd::open(pid).map_err(failed)?;
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let start_time = sys::pidfd::start_time(pid).ok_or_else(missing);
        let start_time =
            start_time.map_err(StartError::step("read the start time of process", pid.to_string()))?;
        let identity = ProcessIdentity { pid, start_time };
        self.first = Some((identity, pidfd));
        Ok(identity)
    }

    /// Lets a container that was created go on to its program.
    pub fn go_on(&self) {
        let _dead_already = rustix::net::send(&self.socket, GO_ON, SendFlags::NOSIGNAL);
    }

    /// Has a container deleted that does not run yet; the end of that comes as [`Progress::Failed`]. One whose
    /// program is being executed starts all the same.
    pub fn give_up(&self) {
        let _dead_already = rustix::net::send(&self.socket, GIVE_UP, SendFlags::NOSIGNAL);
    }

    /// Takes over a container that was started.
    ///
    /// # Errors
    /// [`StartError`] when it has no terminal though one was asked for.
    pub fn finish(mut self) -> Result<Started, StartError> {
        let console = self.console.take().map(|socket| receive(&socket)).transpose();
        // For this moment alone: whatever else loses its parent has nothing to do here.
        let adopting = rustix::process::set_child_subreaper(Some(Pid::INIT));
        self.reap();
        let _never_was = adopting.and_then(|()| rustix::process::set_child_subreaper(None));
        let none = || crate::prepare::refused("its runtime has started what it had not created");
        let (identity, pidfd) = self.first.take().ok_or_else(none)?;
        match console {
            Ok(console) => Ok(Started { identity, pidfd, console }),
            Err(error) => {
                drop(sys::pidfd::send_signal(pidfd.as_fd(), 9));
                sys::process::wait(pidfd.as_fd());
                Err(error)
            }
        }
    }

    /// Has the shim end and waits for that: it has nothing more to do.
    fn reap(&mut self) {
        if let Some(child) = self.child.take() {
            let _gone_already = rustix::net::shutdown(&self.socket, Shutdown::Both);
            sys::process::wait(child.pidfd.as_fd());
        }
    }
}

/// Readable when there is progress.
impl AsFd for Shim {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.reap();
    }
}

/// The folder of the overlay, where the shim has the root mounted.
fn root<'a>(launch: &Launch<'a>) -> &'a Path {
    launch.upper
}
