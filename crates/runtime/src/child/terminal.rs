//! Standard input, output and error: descriptors of the caller, or a terminal of the container.

use super::{At, Done};
use crate::error::Step;
use crate::launch::Stdio;
use crate::prepare::{Place, Prepared, Program};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::pty::OpenptFlags;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::process::InChild;

/// Sets up 0, 1 and 2 and gives them to the program's user.
pub(crate) fn stdio<'p>(prepared: &'p Prepared<'_>, proof: &InChild) -> Done<'p> {
    match prepared.stdio {
        Stdio::Files { stdin, stdout, stderr } => {
            let high = |descriptor| rustix::io::fcntl_dupfd_cloexec(descriptor, 3).at(Step::Stdio, b"");
            let (stdin, stdout, stderr): (OwnedFd, OwnedFd, OwnedFd) =
                (high(stdin)?, high(stdout)?, high(stderr)?);
            let all = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
            sys::process::set_stdio(proof, all).at(Step::Stdio, b"")?;
            for descriptor in all {
                give(descriptor, &prepared.program);
            }
        }
        Stdio::Terminal { rows, columns } => {
            let slave = open(prepared.console.as_ref(), rows, columns).at(Step::Terminal, b"")?;
            let all = [slave.as_fd(); 3];
            sys::process::set_stdio(proof, all).at(Step::Stdio, b"")?;
            give(slave.as_fd(), &prepared.program);
            if matches!(&prepared.place, Place::New(_)) {
                bind_console(&slave).at(Step::Terminal, b"/dev/console")?;
            }
        }
    }
    Ok(())
}

/// Gives a descriptor to the program's user, so that /dev/stdout can be opened again: a FIFO or a
/// terminal. A file that output was sent to stays its owner's, devices of the host (/dev/null) too, and
/// so does what cannot change it.
fn give(descriptor: BorrowedFd<'_>, program: &Program) {
    let Ok(stat) = rustix::fs::fstat(descriptor) else { return };
    let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
    let terminal = kind == rustix::fs::FileType::CharacterDevice && is_pts(stat.st_rdev);
    if stat.st_uid != program.uid.as_raw() && (terminal || kind == rustix::fs::FileType::Fifo) {
        let _kept = rustix::fs::fchown(descriptor, Some(program.uid), None);
    }
}

/// Whether a device number is one of a terminal in a devpts.
fn is_pts(number: u64) -> bool {
    (136..=143).contains(&rustix::fs::major(number))
}

/// Opens a terminal in the container's devpts, sends its master and gives its slave.
fn open(console: Option<&OwnedFd>, rows: u16, columns: u16) -> Result<OwnedFd, Errno> {
    let console = console.ok_or(Errno::BADF)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let master = rustix::fs::openat(CWD, c"/dev/pts/ptmx", flags, Mode::empty())?;
    // What the container may have put in its place is no multiplexer of terminals.
    if rustix::fs::fstat(&master)?.st_rdev != rustix::fs::makedev(5, 2) {
        return Err(Errno::NOTTY);
    }
    rustix::pty::unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    if rows != 0 && columns != 0 {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&slave, size)?;
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [master.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(console, &[IoSlice::new(b"t")], &mut control, SendFlags::empty())?;
    Ok(slave)
}

/// Binds the slave on /dev/console, which [`super::rootfs`] has made.
fn bind_console(slave: &OwnedFd) -> Result<(), Errno> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = rustix::mount::open_tree(slave, c"", flags)?;
    let open = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = rustix::fs::openat(CWD, c"/dev/console", open, Mode::empty())?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", target, c"", flags)
}

/// Makes the terminal on standard input the controlling one of this session.
pub(crate) fn control<'p>(stdio: Stdio<'_>) -> Done<'p> {
    match stdio {
        Stdio::Terminal { .. } => {
            // SAFETY of the borrow is rustix's: standard input is open, `stdio` has just set it.
            rustix::process::ioctl_tiocsctty(std::io::stdin()).at(Step::Terminal, b"")
        }
        Stdio::Files { .. } => Ok(()),
    }
}
