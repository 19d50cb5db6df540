//! The role: takes the pod's lock, adopts, listens, works, and leaves nothing behind.

use crate::core::{Supervisor, complain};
use crate::launcher::BUSY;
use crate::outside::Outside;
use resource::{Mapping, PodName, Roots, Timestamp};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use sys::file::Lock;

/// Plays the supervisor role; the program's `main` calls it first of all, with one thread.
/// `arguments` are those after the role's name ([`crate::ROLE`]). Standard input is the first client's
/// connection, if it is a socket. `last` is done at the very end by a supervisor that was in a router,
/// when it holds nothing of it any more but is in it still.
pub fn serve(arguments: impl Iterator<Item = OsString>, last: impl FnOnce(&Roots)) -> ExitCode {
    sys::pidfd::close_inherited(3);
    // It was executed by the number of a descriptor, which would be its name in ps and in what is said
    // of a port's owner.
    let _unnamed = rustix::thread::set_name(c"compose");
    let arguments: Vec<_> = arguments.collect();
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    let mapping = arguments.get(4).and_then(|word| Mapping::parse(&text(word)));
    let ([data, run, cgroup, pod, _, router], Some(mapping)) = (&arguments[..], mapping) else {
        eprintln!("this role is played for a pod, not by hand");
        return ExitCode::from(2);
    };
    let router = (!router.is_empty()).then(|| router.into());
    let roots = Roots { data: data.into(), run: run.into(), cgroup: text(cgroup), mapping, router };
    let pod = PodName(text(pod));
    match supervise(roots.clone(), pod) {
        Ok(true) => {
            if roots.router.is_some() {
                last(&roots);
            }
            ExitCode::SUCCESS
        }
        Ok(false) => ExitCode::from(BUSY),
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// False when another supervisor is at work.
fn supervise(roots: Roots, pod: PodName) -> io::Result<bool> {
    let Inherited { first, _program } = detach()?;
    let outside = Outside::leave(&roots)?;
    let folder = roots.pod_run(&pod);
    let Some(lock) = lock(&folder)? else { return Ok(false) };
    let listener = listen(&folder)?;
    let unsettled: Vec<_> = runtime::cgroup::settle(&roots, &pod).into_iter().map(|it| it.0).collect();
    unsettled.iter().for_each(|warning| eprintln!("{} {warning}", Timestamp::now()));
    let mut supervisor = Supervisor::new(roots, pod, listener, outside)?;
    supervisor.unsettled = unsettled;
    supervisor.adopt();
    if let Some(first) = first {
        supervisor.add_client(first)?;
    }
    supervisor.run()?;
    leave(&supervisor, &folder);
    drop(lock);
    Ok(true)
}

/// The lock of the pod's one supervisor; `None` when another has it. A predecessor may remove the file
/// as it ends: the lock counts only on the file that has the name.
fn lock(folder: &Path) -> io::Result<Option<Lock>> {
    let path = folder.join("supervisor.lock");
    loop {
        sys::file::create_private_folder(folder)?;
        match Lock::try_exclusive(&path) {
            // The folder was removed under us.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(Some(lock)) if !lock.is_at(&path) => {}
            other => return other,
        }
    }
}

/// What the standard streams were.
struct Inherited {
    /// The connection of the first client.
    first: Option<OwnedFd>,
    /// The descriptor this program was executed by, see [`crate::launcher::launch`].
    _program: Option<OwnedFd>,
}

/// Leaves the caller's session and streams; gives back what they were.
fn detach() -> io::Result<Inherited> {
    // Fails for the leader of a process group, who has nobody to be left alone by.
    let _ = rustix::process::setsid();
    rustix::process::chdir("/")?;
    let input = rustix::stdio::stdin();
    let socket = rustix::net::sockopt::socket_type(input).is_ok_and(|kind| kind == SocketType::SEQPACKET);
    let first = if socket { Some(rustix::io::fcntl_dupfd_cloexec(input, 3)?) } else { None };
    let output = rustix::stdio::stdout();
    let opened = rustix::fs::fcntl_getfl(output).unwrap_or(OFlags::empty());
    let is_path = opened.contains(OFlags::PATH);
    let program = if is_path { Some(rustix::io::fcntl_dupfd_cloexec(output, 3)?) } else { None };
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(Inherited { first, _program: program })
}

/// Listens at the socket in a folder, by way of the folder's descriptor: a socket's address holds 108
/// bytes at most, a path more. Whatever is there belongs to a predecessor: the lock is ours.
fn listen(folder: &Path) -> io::Result<OwnedFd> {
    let path = folder.join("supervisor.sock");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = sys::file::open_folder(folder)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let address = SocketAddrUnix::new(format!("/proc/self/fd/{}/supervisor.sock", folder.as_raw_fd()))?;
    rustix::net::bind(&socket, &address)?;
    // The folder is 0700, so nobody else came near it before this.
    rustix::fs::chmod(&path, Mode::from_raw_mode(0o600))?;
    rustix::net::listen(&socket, 128)?;
    Ok(socket)
}

/// The last act, under the lock: what there still is of the pod.
fn leave(supervisor: &Supervisor, folder: &Path) {
    // Who connects from here on finds nobody and starts another.
    drop(std::fs::remove_file(folder.join("supervisor.sock")));
    if let Err(error) = network::publish(&supervisor.pod_key(), &[], None) {
        complain(&error);
    }
    if let Err(error) = runtime::cgroup::remove_pod(&supervisor.roots, &supervisor.pod) {
        complain(&error);
    }
    // Empty, it tells nothing; the next one makes another.
    let log = folder.join("supervisor.log");
    if log.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        drop(std::fs::remove_file(log));
    }
    // The command that wanted it has failed, and a `down` may have cleared up before it came to life.
    if !supervisor.roots.pod(&supervisor.pod).exists() {
        drop(std::fs::remove_file(folder.join("supervisor.lock")));
        drop(std::fs::remove_dir(folder));
    }
}
