//! Processes by descriptor: which one it is, how it ended, signals by number.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// `struct pidfd_info` of linux/pidfd.h, its first published size.
#[repr(C)]
#[derive(Default)]
struct Information {
    mask: u64,
    cgroup: u64,
    /// pid, tgid, ppid, then four pairs of user and group ids.
    ids: [u32; 11],
    exit_code: i32,
}

/// `_IOWR(0xFF, 11, struct pidfd_info)`
const PIDFD_GET_INFO: libc::Ioctl = 0xc040_ff0b_u32 as libc::Ioctl;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// Opens a process, close-on-exec. Which one had this pid a moment ago is for the caller to check:
/// [`start_time`] afterwards.
///
/// # Errors
/// `ESRCH` when there is none.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

/// How a process that has ended did so, also when somebody else is its parent: exit code, 128 + N
/// after signal N. `None` when it lives or the kernel does not tell (before Linux 6.15, once it has
/// been reaped). The descriptor has to have been opened while the process lived.
pub fn exit_code(pidfd: BorrowedFd<'_>, pid: i32) -> Option<i32> {
    // The descriptor tells as soon as it has been reaped, /proc until then. If the descriptor still
    // does not tell afterwards, what /proc told in between was of this process.
    let told = kept_code(pidfd);
    let zombie = if told.is_none() { zombie_code(pid) } else { None };
    told.or_else(|| kept_code(pidfd)).or(zombie)
}

/// What the kernel keeps of a process that has been reaped.
fn kept_code(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let mut information = Information { mask: PIDFD_INFO_EXIT, ..Information::default() };
    // SAFETY: the request's number holds the structure's size, 64 bytes, which is that of
    // `Information` (checked below); it lives through the call, which keeps no pointer to it.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut information) };
    let told = done == 0 && information.mask & PIDFD_INFO_EXIT != 0;
    told.then(|| code(information.exit_code))
}

/// What /proc says of one that has ended and has not been reaped: field 52.
fn zombie_code(pid: i32) -> Option<i32> {
    let text = stat(pid)?;
    let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    ended.then(|| fields.nth(48)?.parse().ok().map(code)).flatten()
}

/// The text of /proc/PID/stat in one read: 52 fields of 20 digits and a name of at most 64 bytes.
fn stat(pid: i32) -> Option<String> {
    let mut bytes = vec![0; 2048];
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut bytes).ok()?;
    bytes.truncate(length);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The exit code in a wait status.
fn code(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

const _: () = assert!(size_of::<Information>() == 64);

/// Sends a signal by number, real-time ones included.
///
/// # Errors
/// `ESRCH` when the process has ended.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let (information, flags) = (std::ptr::null::<libc::siginfo_t>(), 0);
    // SAFETY: numbers and a null pointer, which asks for the information kill(2) would send.
    let done =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, information, flags) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// When a process was started: clock ticks since boot, field 22 of /proc/PID/stat. `None` when there
/// is no such process or it is a zombie.
pub fn start_time(pid: i32) -> Option<u64> {
    start_of(&stat(pid)?)
}

fn start_of(stat: &str) -> Option<u64> {
    // The name, in parentheses, may hold anything; after its last parenthesis comes field 3.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Whether a process has begun to end, or has and is not reaped yet. False where there is none with this number, and
/// of one whose first thread alone has ended: the others may go on for ever.
pub fn is_exiting(pid: i32) -> bool {
    stat(pid).and_then(|stat| is_exiting_by(&stat)).unwrap_or(false)
}

fn is_exiting_by(stat: &str) -> Option<bool> {
    /// Among the flags of field 9; from `include/linux/sched.h`.
    const PF_EXITING: u32 = 0x4;
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let flags: u32 = fields.nth(6)?.parse().ok()?;
    let threads: u32 = fields.nth(10)?.parse().ok()?;
    Some(flags & PF_EXITING != 0 && threads <= 1)
}

/// Waits for a process's end, at most so long; whether it has ended. It is not reaped.
///
/// # Errors
/// What poll(2) says.
pub fn wait_for_end(pidfd: impl AsFd, at_most: Duration) -> io::Result<bool> {
    let mut ended = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    let at_most = rustix::event::Timespec::try_from(at_most).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(rustix::io::retry_on_intr(|| rustix::event::poll(&mut ended, Some(&at_most)))? > 0)
}

/// Closes every descriptor from `first` on that the process was started with.
///
/// Call it first in `main`, before anything has been opened: it does not ask who owns them.
pub fn close_inherited(first: u32) {
    let single = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
    if !single {
        return;
    }
    // SAFETY: numbers only. The callers do this before they open anything, with one thread, so no
    // owner of a descriptor exists yet in this program.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const STAT: &str =
        "42 (a ) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1000 10 18446744073709551615";

    #[test]
    fn the_start_time_is_found_whatever_the_name() {
        assert_eq!(start_of(STAT), Some(12345));
        assert_eq!(start_of(&STAT.replace(") S", ") Z")), None);
        assert_eq!(start_of(""), None);
    }

    #[test]
    fn an_end_that_has_begun_is_seen_unless_other_threads_go_on() {
        assert_eq!(is_exiting_by(STAT), Some(false));
        let exiting = STAT.replace("4194560", "4194564");
        assert_eq!(is_exiting_by(&exiting), Some(true));
        assert_eq!(is_exiting_by(&exiting.replace(" 20 0 1 0 ", " 20 0 3 0 ")), Some(false));
        assert_eq!(is_exiting_by(""), None);
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        assert!(wait_for_end(open(pid).unwrap(), Duration::from_secs(60)).unwrap());
        assert!(is_exiting(pid), "it is not reaped yet");
        child.wait().unwrap();
        assert!(!is_exiting(pid));
    }

    #[test]
    fn an_end_is_told_before_and_after_somebody_else_has_reaped() {
        let mut command = Command::new("sh");
        command.args(["-c", "read line; exit 42"]).stdin(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = child.id() as i32;
        let pidfd = open(pid).unwrap();
        assert!(start_time(pid).is_some());
        assert_eq!(exit_code(pidfd.as_fd(), pid), None);
        drop(child.stdin.take());
        let mut poll = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut poll, None).unwrap();
        assert_eq!(exit_code(pidfd.as_fd(), pid), Some(42), "before it is reaped");
        child.wait().unwrap();
        assert_eq!(exit_code(pidfd.as_fd(), pid), Some(42), "after");
        assert_eq!(start_time(pid), None);
    }

    #[test]
    fn a_signal_by_number_ends_it() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let pidfd = open(child.id() as i32).unwrap();
        send_signal(pidfd.as_fd(), 40).unwrap();
        child.wait().unwrap();
        assert_eq!(exit_code(pidfd.as_fd(), child.id() as i32), Some(128 + 40));
        assert!(send_signal(pidfd.as_fd(), 9).is_err());
    }
}
