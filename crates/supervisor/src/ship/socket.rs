//! The way to a log server: a socket that never waits, by TLS where that is asked for.

use super::session::Session;
use crate::reactor::EventFlags;
use resource::log::LOCAL;
use resource::{LogServer, SyslogAddress};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How lines are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A datagram each.
    Datagram,
    /// By newlines, or by what they are sent in.
    Stream,
}

/// A socket that is connected or about to be.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) socket: OwnedFd,
    pub(super) kind: Kind,
    session: Option<Session>,
    /// Bytes that the socket took.
    taken: u64,
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
            SyslogAddress::Tcp(..) | SyslogAddress::Tls(..) => remote(Kind::Stream),
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
    Ok(Way::new(socket, if kind == SocketType::DGRAM { Kind::Datagram } else { Kind::Stream }))
}

fn net(address: SocketAddr, kind: Kind) -> io::Result<Way> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let type_ = if kind == Kind::Datagram { SocketType::DGRAM } else { SocketType::STREAM };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, type_, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(Way::new(socket, kind)),
        Err(error) => Err(error.into()),
    }
}

impl Way {
    fn new(socket: OwnedFd, kind: Kind) -> Self {
        Self { socket, kind, session: None, taken: 0 }
    }

    /// The same by TLS: lines go when both sides are done with introducing themselves.
    pub(super) fn secured(self, session: Session) -> Self {
        Self { session: Some(session), ..self }
    }

    /// Goes on with what comes before lines can be sent; whether that is over.
    ///
    /// # Errors
    /// Why there is no way.
    pub(super) fn prepare(&mut self) -> io::Result<bool> {
        let Some(session) = &mut self.session else { return Ok(true) };
        session.turn(&self.socket)?;
        Ok(session.is_ready())
    }

    /// Sends what can be sent of a line; tells how many bytes. A datagram goes as a whole or not at all.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(session) = &mut self.session {
            return session.send(&self.socket, bytes);
        }
        match rustix::net::send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            // The answer to an earlier datagram: there is no telling which arrived.
            Err(Errno::CONNREFUSED) if self.kind == Kind::Datagram && !self.is_local() => Ok(bytes.len()),
            // Larger than the way can carry: no other time will be better.
            Err(Errno::MSGSIZE) => Ok(bytes.len()),
            // Still being connected.
            Err(Errno::NOTCONN) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
            Ok(count) => {
                self.taken += count as u64;
                Ok(count)
            }
        }
    }

    /// Whether the socket has taken all that was sent.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        self.session.as_mut().map_or(Ok(true), |session| session.flush(&self.socket))
    }

    /// What is worth being told of it, when there is more to send or not.
    pub(super) fn events(&self, more: bool) -> EventFlags {
        let out = if more { EventFlags::OUT } else { EventFlags::empty() };
        match &self.session {
            None => EventFlags::RDHUP | out,
            Some(session) if session.wants_write() => EventFlags::IN | EventFlags::RDHUP | EventFlags::OUT,
            Some(session) if session.is_ready() => EventFlags::IN | EventFlags::RDHUP | out,
            Some(_) => EventFlags::IN | EventFlags::RDHUP,
        }
    }

    /// Whether its server can be taken to take what it is sent.
    pub(super) fn is_settled(&self) -> bool {
        self.session.as_ref().is_none_or(Session::is_settled)
    }

    /// Whether its server has not answered for longer than it may take.
    pub(super) fn is_silent(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_silent)
    }

    /// Bytes that the socket took.
    pub(super) fn taken(&self) -> u64 {
        self.session.as_ref().map_or(self.taken, Session::taken)
    }

    /// How many of these the other machine has confirmed, as far as there is such a thing.
    pub(super) fn confirmed(&self) -> u64 {
        if !self.is_settled() {
            return 0;
        }
        let open = if self.is_local() { 0 } else { sys::socket::unconfirmed(self.as_fd()).unwrap_or(0) };
        self.taken().saturating_sub(open)
    }

    /// Why it is no more, when that is what the kernel says.
    pub(super) fn fault(&mut self, said: io::Error) -> io::Error {
        // What the server said last tells more than that it went.
        let session = self.session.as_mut().filter(|_| said.kind() != io::ErrorKind::InvalidData);
        if let Some(session) = session {
            loop {
                match session.hear(&self.socket) {
                    Ok(true) => {}
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => return error,
                    _ => break,
                }
            }
        }
        said
    }

    /// What the kernel says of it, when it has said that there is something.
    pub(super) fn error(&self) -> io::Error {
        match rustix::net::sockopt::socket_error(&self.socket) {
            Ok(Err(error)) => error.into(),
            _ => io::Error::new(io::ErrorKind::ConnectionReset, "it hung up"),
        }
    }

    /// Takes leave of the server.
    pub(super) fn end(mut self) {
        if let Some(session) = &mut self.session {
            session.end(&self.socket);
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        }
    }

    fn is_local(&self) -> bool {
        rustix::net::sockopt::socket_domain(&self.socket) == Ok(AddressFamily::UNIX)
    }
}
