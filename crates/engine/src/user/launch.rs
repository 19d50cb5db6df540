//! How pasta comes to life: as a child that enters the user's namespace and lays the router's network
//! namespace where AppArmor lets pasta open it.
//!
//! Debian's profile of passt refuses a look at other processes' namespaces, and allows
//! `/run/user/UID/netns/NAME`. The child makes that path in a mount namespace of its own, on a file system
//! in memory that hides the sessions' real folders there: nobody else sees it, and it ends with its
//! mount namespace, which pasta leaves as soon as it has opened what it needs.

use super::{move_into, open_namespace};
use crate::disk;
use rustix::fs::Mode;
use rustix::mount::MountFlags;
use rustix::thread::LinkNameSpaceType;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::process::{InChild, Texts};

/// Where sessions have their run-time folders, and AppArmor's profile expects namespaces.
const SESSIONS: &str = "/run/user";

/// A program that is to run in a user's namespace, with a way to the router.
pub(super) struct Launch<'a> {
    pub(super) program: &'a Path,
    /// Its arguments from the first on; the path of the router's namespace follows them.
    pub(super) arguments: &'a [&'a str],
    /// The process that holds both namespaces.
    pub(super) infra: i32,
    /// Its standard input: a pipe. The kernel kills it with the last who can write to that.
    pub(super) life: &'a OwnedFd,
    /// A folder that is there, for machines without folders of sessions.
    pub(super) run: &'a Path,
    /// Where it is written down.
    pub(super) document: &'a Path,
    /// Its standard error.
    pub(super) log: &'a File,
}

/// What a child has open or made before it is cloned.
struct Prepared<'a> {
    user: OwnedFd,
    router: PathBuf,
    /// The folder that is hidden.
    hidden: &'a Path,
    /// The file below it that the router is bound on.
    target: &'a Path,
    document: &'a Path,
    null: File,
    life: &'a OwnedFd,
    log: &'a File,
    program: CString,
    arguments: Texts,
}

impl Launch<'_> {
    /// Starts it and returns once it runs. The caller has one thread, and holds the locks on what is
    /// written of the user's processes: the child has them, too, until it executes the program, and has
    /// written itself down by then. So nothing is lost when the caller is killed.
    pub(super) fn start(&self) -> io::Result<()> {
        let sessions = Path::new(SESSIONS);
        let hidden = if sessions.is_dir() { sessions } else { self.run };
        let target = hidden.join(rustix::process::getuid().as_raw().to_string()).join("netns/router");
        let of_infra = |kind: &str| PathBuf::from(format!("/proc/{}/ns/{kind}", self.infra));
        let words = [self.program.as_os_str().as_bytes()].into_iter();
        let words = words.chain(self.arguments.iter().map(|word| word.as_bytes()));
        let words = words.chain([target.as_os_str().as_bytes()]).map(CString::new);
        let prepared = Prepared {
            user: open_namespace(&of_infra("user"))?,
            router: of_infra("net"),
            hidden,
            target: &target,
            null: File::options().read(true).write(true).open("/dev/null")?,
            document: self.document,
            life: self.life,
            log: self.log,
            program: CString::new(self.program.as_os_str().as_bytes())?,
            arguments: Texts::new(words.collect::<Result<_, _>>()?),
        };
        let (mut report, write) = io::pipe()?;
        let child = sys::process::clone_child(0, None, |proof| {
            let Err((step, error)) = become_program(&prepared, proof);
            // If nobody can be told, the end of the child is seen.
            drop(write!(&write, "{step}: {error}"));
            125
        })?;
        drop(write);
        let mut said = String::new();
        report.read_to_string(&mut said)?;
        if said.is_empty() {
            return Ok(());
        }
        sys::process::wait(child.pidfd.as_fd());
        Err(io::Error::other(said))
    }
}

/// The child's way: every step with its name for an error.
fn become_program(
    prepared: &Prepared<'_>,
    proof: &InChild,
) -> Result<std::convert::Infallible, (&'static str, io::Error)> {
    let at = |step: &'static str| move |error: io::Error| (step, error);
    // What is typed to end this command is not meant for it.
    rustix::process::setpgid(None, None).map_err(io::Error::from).map_err(at("leave the process group"))?;
    write_document(prepared.document).map_err(at("write its document"))?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    move_into(&prepared.user, LinkNameSpaceType::User).map_err(at("enter the user namespace"))?;
    lay_router(prepared).map_err(at("bind the router's namespace"))?;
    rustix::process::chdir("/").map_err(io::Error::from).map_err(at("change to /"))?;
    sys::process::die_with_writers(proof, prepared.life.as_fd()).map_err(at("be tied to the router"))?;
    let streams = [prepared.life.as_fd(), prepared.null.as_fd(), prepared.log.as_fd()];
    sys::process::set_stdio(proof, streams).map_err(at("set standard error"))?;
    sys::process::close_on_exec_from(3).map_err(at("close files"))?;
    sys::process::reset_signals();
    let environment = Texts::new(vec![]);
    sys::process::execute(&prepared.program, &prepared.arguments, &environment).map_err(at("execute"))
}

fn write_document(path: &Path) -> io::Result<()> {
    let process = crate::process::identity(rustix::process::getpid().as_raw_nonzero().get());
    let process = process.ok_or(io::ErrorKind::NotFound)?;
    disk::replace(path, &process).map_err(io::Error::other)
}

/// Binds the router's namespace on a file that only this process and its children see.
fn lay_router(prepared: &Prepared<'_>) -> io::Result<()> {
    sys::process::unshare_namespaces(sys::process::NEW_MOUNT)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("tmpfs", prepared.hidden, "tmpfs", flags, c"mode=0700,size=64k")?;
    prepared.target.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    File::create(prepared.target)?;
    Ok(rustix::mount::mount_bind(&prepared.router, prepared.target)?)
}
