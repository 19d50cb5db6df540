//! Making processes and the few process-wide calls that are not in rustix.
//!
//! A child made here is a copy of the caller that goes on in our code until it executes a program.
//! That is sound only if no other thread of the caller held a lock at that moment, so
//! [`clone_child`] refuses in a process with threads other than companions, which wait then.

use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;

/// A child just made.
#[derive(Debug)]
pub struct Child {
    /// Its pid as the caller sees it.
    pub pid: i32,
    /// Its pidfd, close-on-exec.
    pub pidfd: OwnedFd,
}

/// Proof that the holder runs in a child with a single thread.
#[derive(Debug)]
pub struct InChild(());

/// As in `linux/sched.h`; libc's constant does not fit its type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What the calling process is not allowed to be when it makes a child.
const THREADED: &str = "the process has several threads";

/// Makes a child that runs `body` and ends with the code it returns. `flags` are clone(2) namespace
/// flags; `cgroup` is a v2 cgroup the child is born in. Handlers of signals are reset in the child.
/// Linux 5.7; see clone3 in clone(2).
///
/// # Errors
/// `Unsupported` when the caller has several threads at work, else what clone3(2) says.
pub fn clone_child(
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    body: impl FnOnce(&InChild) -> i32,
) -> io::Result<Child> {
    // A folder has two links of its own and one for each folder in it, here one a thread.
    if std::fs::metadata("/proc/self/task")?.nlink() != 3 + crate::companion::waiting() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, THREADED));
    }
    clone_again(&InChild(()), flags, cgroup, body)
}

/// As [`clone_child`], for a process that was itself made by it: it has one thread.
///
/// # Errors
/// What clone3(2) says.
pub fn clone_again(
    _proof: &InChild,
    flags: u64,
    cgroup: Option<BorrowedFd<'_>>,
    body: impl FnOnce(&InChild) -> i32,
) -> io::Result<Child> {
    let mut pidfd: RawFd = -1;
    // SAFETY: `clone_args` is plain numbers; all zeros is a valid value of it.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags | libc::CLONE_PIDFD as u64;
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?;
    }
    // SAFETY: without CLONE_VM the child has its own copy of all memory and without a new stack it
    // goes on on a copy of this one, as after fork(2). No other thread of the process is at work, so no
    // lock that the copy could wait for is held by anybody else. `arguments` and `pidfd` outlive the call.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut arguments, std::mem::size_of::<libc::clone_args>())
    };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // A panic must not unwind into the copy of the parent's code below this frame.
            let guard = EndOnDrop;
            let code = body(&InChild(()));
            std::mem::forget(guard);
            exit_now(code)
        }
        pid => {
            // SAFETY: the call succeeded, so the kernel has stored a new descriptor that is ours.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Child { pid: pid as i32, pidfd })
        }
    }
}

/// Ends the process when a panic unwinds through it.
struct EndOnDrop;

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        exit_now(125);
    }
}

/// Ends the process at once: no destructor, no handler, no flush.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) has no precondition and does not return.
    unsafe { libc::_exit(code) }
}

/// Texts in the form execve(2) wants: pointers with a null at the end. Made before a clone.
#[derive(Debug)]
pub struct Texts {
    pointers: Vec<*const c_char>,
    _texts: Vec<CString>,
}

impl Texts {
    /// The array for these texts.
    pub fn new(texts: Vec<CString>) -> Self {
        let mut pointers: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self { pointers, _texts: texts }
    }
}

/// Executes a program in place of this process; returns only when that fails.
///
/// # Errors
/// What execve(2) says.
pub fn execute(program: &CStr, arguments: &Texts, environment: &Texts) -> Result<Infallible, io::Error> {
    // SAFETY: `program` is NUL-terminated; both arrays end with a null pointer and point at strings
    // that their `Texts` keep alive and unmoved.
    unsafe { libc::execve(program.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    Err(io::Error::last_os_error())
}

/// Gives every signal its default action and unblocks all, also those that the C library keeps for
/// itself and that somebody before us may have ignored.
pub fn reset_signals() {
    // The kernel's structure: handler, flags, restorer, mask; zeros are the default action.
    let default = [0_usize; 4];
    let size = std::mem::size_of::<u64>();
    // SAFETY: `default` is as large as the kernel's sigaction and only read; the set has the eight
    // bytes that are announced. SIGKILL and SIGSTOP yield an error that is ignored.
    unsafe {
        for signal in 1..=64 {
            let (new, old) = (default.as_ptr(), std::ptr::null_mut::<usize>());
            libc::syscall(libc::SYS_rt_sigaction, signal, new, old, size);
        }
        let (none, old) = (0_u64, std::ptr::null_mut::<u64>());
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, old, size);
    }
}

/// Blocks every signal that can be blocked, so that [`next_signal`] gets them.
pub fn block_signals() {
    // SAFETY: the set is initialised by sigfillset before it is read; both calls only use it.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// Waits for a blocked signal and takes it.
pub fn next_signal() -> i32 {
    loop {
        // SAFETY: the set is initialised by sigfillset; the information is not asked for (null).
        let signal = unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::sigwaitinfo(&raw const all, std::ptr::null_mut())
        };
        if signal > 0 {
            return signal;
        }
    }
}

/// Sends a signal by number; 0 only asks whether that would be possible.
///
/// # Errors
/// What kill(2) says.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill(2) takes numbers only.
    if unsafe { libc::kill(pid, signal) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Reaps one child that has ended, if there is one: its pid and exit code, 128 + N after signal N.
pub fn reap_any() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for an int during the call.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (pid > 0).then(|| (pid, exit_code(status)))
}

/// The exit code in a wait status.
fn exit_code(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// Waits for this child to end and reaps it: exit code, 128 + N after signal N; `None` when somebody
/// else has reaped it.
pub fn wait(pidfd: BorrowedFd<'_>) -> Option<i32> {
    loop {
        // SAFETY: zeroed is a valid `siginfo_t`, and it lives through the call, which fills it.
        let (done, information) = unsafe {
            let mut information: libc::siginfo_t = std::mem::zeroed();
            let id = pidfd.as_raw_fd() as libc::id_t;
            (libc::waitid(libc::P_PIDFD, id, &raw mut information, libc::WEXITED), information)
        };
        if done == 0 {
            // SAFETY: waitid succeeded for an ended child, so the kernel filled the SIGCHLD fields.
            let status = unsafe { information.si_status() };
            return Some(if information.si_code == libc::CLD_EXITED { status } else { 128 + status });
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}

/// Makes these descriptors standard input, output and error, not close-on-exec. They must not be 0, 1
/// or 2 themselves.
///
/// # Errors
/// What dup2(2) says.
pub fn set_stdio(_proof: &InChild, descriptors: [BorrowedFd<'_>; 3]) -> io::Result<()> {
    for (number, descriptor) in (0..).zip(descriptors) {
        // SAFETY: dup2 takes numbers only. What it closes is 0, 1 or 2 of a child made here, which no
        // owner in it counts on: the child goes on to execute a program.
        if unsafe { libc::dup2(descriptor.as_raw_fd(), number) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Has the kernel kill this process when the last descriptor for writing to a pipe is closed, of which
/// this one is for reading, for as long as it is open; also after it has executed a program. See
/// `F_SETSIG` in fcntl(2).
///
/// # Errors
/// What fcntl(2) says.
pub fn die_with_writers(_proof: &InChild, pipe: BorrowedFd<'_>) -> io::Result<()> {
    // As in `asm-generic/fcntl.h`; libc has no name for it.
    const F_SETSIG: i32 = 10;
    // SAFETY: getpid(2) has no precondition.
    let own = unsafe { libc::getpid() };
    let ways =
        [(libc::F_SETOWN, own), (F_SETSIG, libc::SIGKILL), (libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK)];
    for (way, value) in ways {
        // SAFETY: these commands of fcntl(2) take numbers only. The signal ends a process that nobody
        // else was promised to live.
        if unsafe { libc::fcntl(pipe.as_raw_fd(), way, value) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Marks every descriptor from `first` on close-on-exec. Linux 5.11; see close_range(2).
///
/// # Errors
/// `ENOSYS` or `EINVAL` on older kernels.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    close_range(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// Closes every descriptor from `first` on but those `kept`. Nothing in the process may use the others
/// again: only for a child made here that does not go on with what it copied.
///
/// # Errors
/// What close_range(2) says.
pub fn close_others(_proof: &InChild, first: u32, kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = kept.iter().map(|descriptor| descriptor.as_raw_fd() as u32).collect();
    kept.sort_unstable();
    let mut next = first;
    for number in kept.into_iter().filter(|number| *number >= first) {
        if number > next {
            close_range(next, number - 1, 0)?;
        }
        next = number + 1;
    }
    close_range(next, u32::MAX, 0)
}

/// Closes every descriptor from `first` on; as [`close_others`].
///
/// # Errors
/// What close_range(2) says.
pub fn close_all(_proof: &InChild, first: u32) -> io::Result<()> {
    close_range(first, u32::MAX, 0)
}

fn close_range(first: u32, last: u32, flags: u32) -> io::Result<()> {
    // SAFETY: the call takes numbers only and touches no memory. Descriptors it closes belong to a
    // child that ends or executes without using them, see the callers.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Leaves the caller's session keyring for a new, empty one; see keyctl(2).
///
/// # Errors
/// `ENOSYS`, `EPERM`, `EDQUOT`.
pub fn new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    let anonymous = std::ptr::null::<c_char>();
    // SAFETY: a null name asks for an anonymous keyring; no memory is read or written.
    let done = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, anonymous) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets a limit of the calling process; `resource` is one of `RLIMIT_…`, `u64::MAX` no limit.
///
/// # Errors
/// `EPERM` when the hard limit would be raised without the capability.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let (old, this) = (std::ptr::null_mut::<libc::rlimit64>(), 0);
    // SAFETY: `limit` is alive during the call, which only reads it; no old value is asked for.
    let done = unsafe { libc::syscall(libc::SYS_prlimit64, this, resource, &raw const limit, old) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The calling process's limit, soft and hard.
///
/// # Errors
/// `EINVAL` for an unknown resource.
pub fn limit(resource: u32) -> io::Result<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let (new, this) = (std::ptr::null::<libc::rlimit64>(), 0);
    // SAFETY: `limit` is alive during the call, which only writes it; no new value is given.
    let done = unsafe { libc::syscall(libc::SYS_prlimit64, this, resource, new, &raw mut limit) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok((limit.rlim_cur, limit.rlim_max)) }
}

/// The flag for a new user namespace.
pub const NEW_USER: i32 = libc::CLONE_NEWUSER;
/// The flag for a new UTS namespace.
pub const NEW_UTS: i32 = libc::CLONE_NEWUTS;
/// The flag for a new mount namespace.
pub const NEW_MOUNT: i32 = libc::CLONE_NEWNS;

/// Moves the calling process into new namespaces; `CLONE_NEW…` flags only.
///
/// # Errors
/// `InvalidInput` for other flags, else what unshare(2) says.
pub fn unshare_namespaces(flags: i32) -> io::Result<()> {
    const NAMESPACES: i32 = libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUSER;
    if flags & !NAMESPACES != 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: with namespace flags only, no memory or descriptor table changes hands.
    if unsafe { libc::unshare(flags) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets the host name of the calling process's UTS namespace, at most 64 bytes.
///
/// # Errors
/// What sethostname(2) says.
pub fn set_host_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: the kernel reads `len` bytes of the slice during the call.
    let done = unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets the NIS domain name of the calling process's UTS namespace, at most 64 bytes.
///
/// # Errors
/// What setdomainname(2) says.
pub fn set_domain_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: the kernel reads `len` bytes of the slice during the call.
    let done = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
