//! The way to a log server: a socket that never waits.

use resource::{LogServer, SyslogAddress};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where the syslog server of this machine may be.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// How lines are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A datagram each.
    Datagram,
    /// By newlines.
    Stream,
}

/// A socket that is connected or about to be.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) socket: OwnedFd,
    pub(super) kind: Kind,
}

impl AsFd for Way {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether it is told at once that nobody is there: then a container is not started.
pub(super) fn is_here(server: &LogServer) -> bool {
    match server {
        LogServer::Journal => true,
        LogServer::Syslog(syslog) => {
            matches!(syslog.address, SyslogAddress::Local | SyslogAddress::Unix(_))
        }
    }
}

/// Opens a way. That to another machine belongs to the host's network, where this is to be called.
pub(super) fn open(server: &LogServer, known: Option<SocketAddr>) -> io::Result<Way> {
    let remote = |kind| known.map_or_else(|| Err(io::ErrorKind::AddrNotAvailable.into()), |at| net(at, kind));
    match server {
        LogServer::Journal => unix(Path::new(super::journal::SOCKET), SocketType::DGRAM),
        LogServer::Syslog(syslog) => match &syslog.address {
            SyslogAddress::Local => any(LOCAL.into_iter().map(PathBuf::from)),
            SyslogAddress::Unix(path) => any([path.clone()]),
            SyslogAddress::Udp(..) => remote(Kind::Datagram),
            SyslogAddress::Tcp(..) => remote(Kind::Stream),
        },
    }
}

/// The first of these that takes a connection, of either kind.
fn any(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Way> {
    let mut outcome = Err(io::ErrorKind::NotFound.into());
    for path in paths {
        outcome = unix(&path, SocketType::DGRAM).or_else(|_| unix(&path, SocketType::STREAM));
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn unix(path: &Path, kind: SocketType) -> io::Result<Way> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(Way { socket, kind: if kind == SocketType::DGRAM { Kind::Datagram } else { Kind::Stream } })
}

fn net(address: SocketAddr, kind: Kind) -> io::Result<Way> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let type_ = if kind == Kind::Datagram { SocketType::DGRAM } else { SocketType::STREAM };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, type_, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(Way { socket, kind }),
        Err(error) => Err(error.into()),
    }
}

impl Way {
    /// Sends what can be sent of a line; tells how many bytes. A datagram goes as a whole or not at all.
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::net::send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            // The answer to an earlier datagram: there is no telling which arrived.
            Err(Errno::CONNREFUSED) if self.kind == Kind::Datagram && !self.is_local() => Ok(bytes.len()),
            // Larger than the way can carry: no other time will be better.
            Err(Errno::MSGSIZE) => Ok(bytes.len()),
            // Still being connected.
            Err(Errno::NOTCONN) => Err(io::ErrorKind::WouldBlock.into()),
            other => Ok(other?),
        }
    }

    fn is_local(&self) -> bool {
        rustix::net::sockopt::socket_domain(&self.socket) == Ok(AddressFamily::UNIX)
    }
}
