//! What a socket tells of what it was given.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes that a TCP socket took and the other machine has not confirmed; after a cut, those of which it is not
/// known that they arrived. See `SIOCOUTQ` in tcp(7).
///
/// # Errors
/// What ioctl(2) says of something else.
pub fn unconfirmed(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut count: libc::c_int = 0;
    // SAFETY: this request writes one int, to `count`, which is alive and is one; the kernel keeps no pointer.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if done == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn what_came_after_a_peer_was_gone_is_unconfirmed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        socket.write_all(b"taken").unwrap();
        peer.read_exact(&mut [0; 5]).unwrap();
        // Its last word confirms what it had before.
        drop(peer);
        assert_eq!(unconfirmed(socket.as_fd()).unwrap(), 0);
        socket.write_all(b"lost").unwrap();
        assert!(socket.take_error().unwrap().is_some(), "nobody is there to take it");
        assert_eq!(unconfirmed(socket.as_fd()).unwrap(), 4);
    }
}
