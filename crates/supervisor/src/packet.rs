//! Packets: one JSON value and up to four descriptors on a SOCK_SEQPACKET socket.

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recv, recvmsg, sendmsg,
};
use serde::Serialize;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors that can come with one packet: three streams and a lock.
const DESCRIPTORS: usize = 4;

/// Bytes a socket may hold on its way out; a state with its probes' output has to fit.
const BUFFER: usize = 1 << 20;

/// A packet as it came.
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Makes room for large packets on a socket. A kernel that grants less is no error: only packets
/// beyond its default are lost to it then.
pub(crate) fn widen(socket: impl AsFd) {
    if rustix::net::sockopt::set_socket_send_buffer_size_force(&socket, BUFFER).is_err() {
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, BUFFER);
    }
}

/// The bytes of a message.
pub(crate) fn encode(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("messages have string keys only")
}

/// Sends one packet without waiting.
///
/// # Errors
/// `WouldBlock` when the other side does not read; else what sendmsg(2) says.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, flags))?;
    Ok(())
}

/// Receives one packet without waiting; `None` when the other side is gone.
///
/// # Errors
/// `WouldBlock` when there is none; else what recvmsg(2) says.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<Option<Packet>> {
    let length = match retry_on_intr(|| {
        let flags = RecvFlags::PEEK | RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        recv(&socket, &mut [0_u8; 0][..], flags)
    }) {
        Err(Errno::CONNRESET | Errno::PIPE) => return Ok(None),
        other => other?.1,
    };
    if length == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        recvmsg(&socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)
    })?;
    bytes.truncate(received.bytes);
    let mut descriptors = vec![];
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok(Some(Packet { bytes, descriptors }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    #[test]
    fn a_packet_arrives_whole_with_its_descriptors() {
        let (here, there) = pair();
        widen(&here);
        let long = vec![b'x'; 500_000];
        send(&here, &long, &[here.as_fd(), there.as_fd()]).unwrap();
        send(&here, b"{}", &[]).unwrap();
        let packet = receive(&there).unwrap().unwrap();
        assert_eq!((packet.bytes.len(), packet.descriptors.len()), (500_000, 2));
        let packet = receive(&there).unwrap().unwrap();
        assert_eq!((&packet.bytes[..], packet.descriptors.len()), (&b"{}"[..], 0));
        assert_eq!(receive(&there).err().unwrap().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_end_is_none() {
        let (here, there) = pair();
        drop(here);
        assert!(receive(&there).unwrap().is_none());
    }
}
