//! Waiting with next to no memory: a process that has nothing to do until something happens gives
//! everything up that it has, and executes its program again when it does.

use crate::init::Secrets;
use crate::memory::{DISPENSABLE, dispensable, give_back};
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Arguments at most, and bytes of them with their NULs.
const ARGUMENTS: usize = 16;
const BYTES: usize = 4 * 4096;

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub enum Until<'a> {
    /// Nobody holds the lock on this file any more; flock(2). It is given back at once.
    Unlocked(BorrowedFd<'a>),
    /// The process of this pidfd has ended.
    Ended(BorrowedFd<'a>),
}

/// Waits, then executes the program that is running now with these arguments and no environment, as
/// the same process. Descriptors that are not close-on-exec stay open.
///
/// # Errors
/// Returns only with an error: before the wait, for arguments that are too long or several threads.
/// What goes wrong later ends the process with code 125.
pub fn sleep(until: Until<'_>, again: &[&CStr]) -> io::Error {
    if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() != 1) {
        return io::Error::new(io::ErrorKind::Unsupported, "the process has several threads");
    }
    let secrets = match Secrets::find() {
        Ok(secrets) => secrets,
        Err(error) => return error,
    };
    // On the stack, because the originals are in what is given up; a page that nobody writes to is none.
    let mut texts = [const { MaybeUninit::<u8>::uninit() }; BYTES];
    let mut places = [0_usize; ARGUMENTS];
    let mut end = 0;
    for (index, text) in again.iter().enumerate() {
        let bytes = text.to_bytes_with_nul();
        let (Some(place), Some(room)) = (places.get_mut(index), texts.get_mut(end..end + bytes.len())) else {
            return io::ErrorKind::ArgumentListTooLong.into();
        };
        for (byte, room) in bytes.iter().zip(room) {
            room.write(*byte);
        }
        (*place, end) = (end, end + bytes.len());
    }
    let mut pointers = [std::ptr::null::<libc::c_char>(); ARGUMENTS + 1];
    for (pointer, place) in pointers.iter_mut().zip(&places[..again.len()]) {
        *pointer = texts[*place..].as_ptr().cast();
    }
    let dispensable = dispensable();
    give_back();
    secrets.release();
    wait_and_execute(until, &pointers, dispensable)
}

/// The part after everything has been given up: no allocation, no constant with an address in it.
fn wait_and_execute(
    until: Until<'_>,
    pointers: &[*const libc::c_char; ARGUMENTS + 1],
    dispensable: [(usize, usize); DISPENSABLE],
) -> ! {
    let none = [std::ptr::null::<libc::c_char>()];
    // SAFETY: what is given up first comes back from the program's file when it is touched, but for
    // constants with addresses, which only code uses that is not reached from here: the system calls
    // below are called by the `.got`, which stays, with numbers and with pointers to this stack and to a
    // literal, and the process never returns from here. `pointers` ends with a null and points to
    // NUL-terminated texts on the caller's stack.
    unsafe {
        for (start, end) in dispensable {
            let start = std::ptr::without_provenance_mut::<libc::c_void>(start);
            libc::madvise(start, end - start.addr(), libc::MADV_DONTNEED);
        }
        match until {
            Until::Unlocked(file) => while libc::flock(file.as_raw_fd(), libc::LOCK_EX) == -1 {},
            Until::Ended(process) => {
                let mut poll = libc::pollfd { fd: process.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                while libc::poll(&raw mut poll, 1, -1) < 1 {}
            }
        }
        libc::execve(c"/proc/self/exe".as_ptr(), pointers.as_ptr(), none.as_ptr());
        libc::_exit(125)
    }
}
