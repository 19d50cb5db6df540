//! TLS over a socket that never waits.
//!
//! With TLS 1.3 a client is ready before its server has looked at its certificate, and what it sends until then
//! may be for nothing. So a server is taken at its word only when it has said something since, or nothing for
//! [`PATIENCE`].

use rustix::io::Errno;
use rustix::net::SendFlags;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tls::PeerFault;

/// How long a server may take to answer, and how long until its silence counts as consent.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Pieces of what a server says that are taken in one go.
const TURN: usize = 64;

/// What is said between this program and a server, and how far that is.
#[derive(Debug)]
pub(super) struct Session {
    connection: Box<ClientConnection>,
    since: Instant,
    /// The server has said something since it could refuse.
    heard: bool,
    /// Bytes that the socket took.
    taken: u64,
}

impl Session {
    pub(super) fn begin(config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self { connection: Box::new(connection), since: Instant::now(), heard: false, taken: 0 })
    }

    /// Takes in what has come and sends what is to be sent, as far as the socket goes.
    ///
    /// # Errors
    /// What the kernel says, that the server has hung up, and in words what is wrong with it.
    pub(super) fn turn(&mut self, socket: &OwnedFd) -> io::Result<()> {
        // A server that goes on talking has its turn again; others have theirs first.
        for _ in 0..TURN {
            self.flush(socket)?;
            if !self.hear(socket)? {
                break;
            }
        }
        Ok(())
    }

    /// Takes in some of what has come; whether there may be more.
    ///
    /// # Errors
    /// As [`Session::turn`].
    pub(super) fn hear(&mut self, socket: &OwnedFd) -> io::Result<bool> {
        let shaking = self.connection.is_handshaking();
        match self.connection.read_tls(&mut Wire(socket)) {
            Ok(0) => return Err(hung_up()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let state = match self.connection.process_new_packets() {
            Ok(state) => state,
            Err(error) => {
                // It is told why, if it still listens.
                let _ = self.flush(socket);
                let invalid = io::ErrorKind::InvalidData;
                return Err(match PeerFault::of(&error) {
                    Some(fault) => io::Error::new(invalid, fault),
                    None => io::Error::new(invalid, format!("no way by TLS: {error}")),
                });
            }
        };
        let refuses_early = self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_2);
        self.heard |= !shaking || (refuses_early && !self.connection.is_handshaking());
        if state.peer_has_closed() {
            return Err(hung_up());
        }
        self.drop_text(state.plaintext_bytes_to_read());
        Ok(true)
    }

    /// Nobody here has a use for what a server says.
    fn drop_text(&mut self, count: usize) {
        let mut rest = self.connection.reader().take(count as u64);
        let _ = io::copy(&mut rest, &mut io::sink());
    }

    /// Sends what has been encrypted so far; whether all of it has gone.
    pub(super) fn flush(&mut self, socket: &OwnedFd) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Wire(socket)) {
                Ok(count) => self.taken += count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Encrypts some bytes and sends what can be sent of that; tells how many it took.
    pub(super) fn send(&mut self, socket: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
        if !self.flush(socket)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.connection.writer().write(bytes)?;
        self.flush(socket)?;
        Ok(count)
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.connection.is_handshaking()
    }

    pub(super) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Whether the server can be taken to take what it is sent.
    pub(super) fn is_settled(&self) -> bool {
        self.is_ready() && (self.heard || self.since.elapsed() >= PATIENCE)
    }

    /// Whether the server has taken longer than it may.
    pub(super) fn is_silent(&self) -> bool {
        !self.is_ready() && self.since.elapsed() >= PATIENCE
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes leave, so that the server knows that nothing was cut off.
    pub(super) fn end(&mut self, socket: &OwnedFd) {
        // What has come and is not read would have the kernel end the connection the hard way.
        let _ = self.turn(socket);
        self.connection.send_close_notify();
        let _ = self.flush(socket);
    }
}

fn hung_up() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up")
}

/// The socket as the library reads and writes it.
struct Wire<'a>(&'a OwnedFd);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        rustix::io::retry_on_intr(|| rustix::io::read(self.0, &mut *buffer)).map_err(unconnected)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::send(self.0, bytes, flags).map_err(unconnected)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket that is still being connected takes nothing and has nothing.
fn unconnected(error: Errno) -> io::Error {
    match error {
        Errno::NOTCONN => io::ErrorKind::WouldBlock.into(),
        error => error.into(),
    }
}
