//! Netlink socket options that no library offers.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Asks the kernel for its own words with every refusal on this netlink socket. Linux 4.12.
///
/// # Errors
/// What setsockopt(2) says; the socket works without.
pub fn extended_errors(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
        // SAFETY: `on` is an int that outlives the call and is passed with its own size; the kernel
        // copies it and keeps no pointer.
        let done = unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), size)
        };
        if done == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
