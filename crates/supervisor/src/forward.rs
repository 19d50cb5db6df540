//! Copies what comes to a published port's own socket to the container and back: TCP connections and
//! datagrams, without ever waiting. Bytes are held only while the other side does not take them.

use crate::core::{Slot, Source, Supervisor, Timer, Watched};
use crate::reactor::{EventFlags, Reactor, Token};
use resource::Protocol;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Bytes taken at once.
const CHUNK: usize = 64 * 1024;
/// How long a datagram session without traffic is kept.
const IDLE: Duration = Duration::from_secs(90);
/// Datagram sessions at most; further clients wait for others to fall silent.
const SESSIONS: usize = 512;

/// What is being forwarded.
#[derive(Default)]
pub(crate) struct Forwarder {
    pairs: HashMap<u64, Pair>,
    next: u64,
    sessions: HashMap<Token, Session>,
}

/// Two connected sockets: the client's and the container's.
struct Pair {
    ends: [End; 2],
    /// The second is not connected yet.
    connecting: bool,
    /// Servers to ask when the second end's cannot be reached.
    others: Vec<SocketAddr>,
}

struct End {
    socket: Watched<OwnedFd>,
    /// Bytes for this end that it has not taken.
    outbox: Vec<u8>,
    /// It will send no more.
    finished: bool,
    /// It has been told that it will get no more.
    closed: bool,
    interest: Option<EventFlags>,
}

/// One client of a datagram port.
struct Session {
    slot: Slot,
    port: usize,
    client: SocketAddr,
    socket: Watched<UdpSocket>,
    used: Instant,
}

impl Forwarder {
    /// Ends the datagram sessions of a container. They close with their sockets.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.sessions.retain(|_, session| session.slot != slot);
    }
}

impl Supervisor {
    /// Something came to a published port's own socket.
    pub(crate) fn port_ready(&mut self, slot: Slot, index: usize) {
        let Some(container) = self.containers.get(&slot) else { return };
        let Some(reservation) = container.ports.get(index) else { return };
        let binding = &reservation.binding;
        let target =
            container.target(binding.host_ip.is_ipv6()).or(container.target(!binding.host_ip.is_ipv6()));
        let (Some(socket), Some((target, _))) = (&reservation.socket, target) else { return };
        let target = SocketAddr::new(target, binding.target);
        if binding.protocol == Protocol::Udp {
            return self.datagrams(slot, index, target);
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok((client, from)) = rustix::net::acceptfrom_with(socket, flags) else { return };
        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
        let known_as = self.outside.known_as(from, target);
        if let Ok(socket) = connect_as(known_as, target, SocketType::STREAM) {
            self.forward(client, socket, vec![], vec![]);
        }
    }

    /// Joins a client to the first of these servers that can be reached, which is sent these bytes.
    pub(crate) fn forward_to_one(&mut self, client: OwnedFd, mut servers: Vec<SocketAddr>, first: Vec<u8>) {
        while !servers.is_empty() {
            let server = servers.remove(0);
            let begun = self.outside.run(|| connect(server, SocketType::STREAM, |_| Ok(())));
            if let Ok(Ok(socket)) = begun {
                return self.forward(client, socket, first, servers);
            }
        }
    }

    /// Joins a client to a connection that has been begun, on which first these bytes are sent; if it
    /// fails, the others are tried.
    fn forward(&mut self, client: OwnedFd, socket: OwnedFd, first: Vec<u8>, others: Vec<SocketAddr>) {
        self.forwarder.next += 1;
        let number = self.forwarder.next;
        let [client, server] = [(client, vec![]), (socket, first)].map(|(socket, outbox)| {
            let socket = Watched::silent(socket);
            End { socket, outbox, finished: false, closed: false, interest: None }
        });
        let mut pair = Pair { ends: [client, server], connecting: true, others };
        for end in &pair.ends {
            let _ = rustix::net::sockopt::set_tcp_nodelay(&end.socket, true);
        }
        pair.listen(&self.reactor, number);
        self.forwarder.pairs.insert(number, pair);
    }

    /// A forwarded connection can go on.
    pub(crate) fn forward_ready(&mut self, number: u64, side: usize, flags: EventFlags) {
        let Some(pair) = self.forwarder.pairs.get_mut(&number) else { return };
        self.scratch.resize(CHUNK, 0);
        if pair.go_on(side, flags, &mut self.scratch) {
            pair.listen(&self.reactor, number);
        } else if let Some(pair) = self.forwarder.pairs.remove(&number)
            && pair.connecting
            && side == 1
        {
            let [client, server] = pair.ends;
            self.forward_to_one(client.socket.into_inner(), pair.others, server.outbox);
        }
    }

    /// Passes datagrams on to the container, each client from a socket of its own.
    fn datagrams(&mut self, slot: Slot, index: usize, target: SocketAddr) {
        self.scratch.resize(CHUNK, 0);
        for _ in 0..32 {
            let socket = self.containers.get(&slot).and_then(|found| found.ports.get(index));
            let Some(socket) = socket.and_then(|port| port.socket.as_ref()) else { return };
            let Ok((_, length, Some(from))) =
                rustix::net::recvfrom(socket, &mut self.scratch[..], RecvFlags::DONTWAIT)
            else {
                return;
            };
            let Ok(client) = SocketAddr::try_from(from) else { return };
            let sessions = &mut self.forwarder.sessions;
            let known = sessions.iter().find(|(_, session)| {
                session.slot == slot && session.port == index && session.client == client
            });
            let token = match known {
                Some((token, _)) => *token,
                None => match self.open_session(slot, index, client, target) {
                    Some(token) => token,
                    None => continue,
                },
            };
            if let Some(session) = self.forwarder.sessions.get_mut(&token) {
                session.used = Instant::now();
                drop(session.socket.send(&self.scratch[..length]));
            }
        }
    }

    fn open_session(
        &mut self,
        slot: Slot,
        port: usize,
        client: SocketAddr,
        target: SocketAddr,
    ) -> Option<Token> {
        if self.forwarder.sessions.len() >= SESSIONS {
            return None;
        }
        let known_as = self.outside.known_as(Some(client), target);
        let socket = UdpSocket::from(connect_as(known_as, target, SocketType::DGRAM).ok()?);
        let mut socket = Watched::silent(socket);
        let token = self.reactor.listen(&mut socket, EventFlags::IN, Source::Session).ok()?;
        if self.forwarder.sessions.is_empty() {
            self.reactor.after(IDLE, Timer::Sessions);
        }
        self.forwarder.sessions.insert(token, Session { slot, port, client, socket, used: Instant::now() });
        Some(token)
    }

    /// A datagram comes back from a container.
    pub(crate) fn session_ready(&mut self, token: Token) {
        self.scratch.resize(CHUNK, 0);
        let Some(session) = self.forwarder.sessions.get_mut(&token) else { return };
        session.used = Instant::now();
        let port = self.containers.get(&session.slot).and_then(|found| found.ports.get(session.port));
        let socket = port.and_then(|port| port.socket.as_ref());
        // An error is one of the target's (nobody listens); taking it clears it.
        while let Ok(length) = session.socket.recv(&mut self.scratch) {
            if let Some(socket) = socket {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let _ = rustix::net::sendto(socket, &self.scratch[..length], flags, &session.client);
            }
        }
    }

    pub(crate) fn close_idle_sessions(&mut self) {
        let containers = &self.containers;
        self.forwarder.sessions.retain(|_, session| {
            let up = containers.get(&session.slot).is_some_and(|container| !container.ports.is_empty());
            up && session.used.elapsed() < IDLE
        });
        if !self.forwarder.sessions.is_empty() {
            self.reactor.after(IDLE, Timer::Sessions);
        }
    }
}

/// Begins a connection under a client's address; under one of this namespace's own where that is not
/// asked for or not to be had.
fn connect_as(client: Option<SocketAddr>, target: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    if let Some(client) = client
        && let Ok(socket) = connect(target, kind, |socket| network::speak_as(socket, client))
    {
        return Ok(socket);
    }
    connect(target, kind, |_| Ok(()))
}

/// Begins a connection from a socket prepared so, without waiting for it.
fn connect(
    target: SocketAddr,
    kind: SocketType,
    prepare: impl FnOnce(&OwnedFd) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let family = if target.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    prepare(&socket)?;
    match rustix::net::connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

impl Pair {
    /// Moves what can be moved; false when the connection is over.
    fn go_on(&mut self, side: usize, flags: EventFlags, buffer: &mut [u8]) -> bool {
        if self.connecting {
            if side == 0 {
                // Nothing was asked of the client yet: it has hung up.
                return !flags.intersects(EventFlags::ERR | EventFlags::HUP);
            }
            match rustix::net::sockopt::socket_error(&self.ends[1].socket) {
                Ok(Ok(())) => self.connecting = false,
                _ => return false,
            }
        }
        for from in 0..2 {
            if !self.copy(from, buffer) {
                return false;
            }
        }
        !self.ends.iter().all(|end| end.finished && end.outbox.is_empty())
    }

    /// One direction; false when an end is broken.
    fn copy(&mut self, from: usize, buffer: &mut [u8]) -> bool {
        let [first, second] = &mut self.ends;
        let (from, to) = if from == 0 { (first, second) } else { (second, first) };
        if !to.send() {
            return false;
        }
        if to.outbox.is_empty() && !from.finished {
            match rustix::net::recv(&from.socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => from.finished = true,
                Ok((_, length)) => {
                    to.outbox.extend_from_slice(&buffer[..length]);
                    if !to.send() {
                        return false;
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        if from.finished && to.outbox.is_empty() && !to.closed {
            let _ = rustix::net::shutdown(&to.socket, Shutdown::Write);
            to.closed = true;
        }
        true
    }

    /// Listens for what each end can go on with.
    fn listen(&mut self, reactor: &Reactor<Source, Timer>, number: u64) {
        let idle = [self.ends[1].outbox.is_empty(), self.ends[0].outbox.is_empty()];
        for (side, end) in self.ends.iter_mut().enumerate() {
            let mut wanted = EventFlags::empty();
            wanted.set(EventFlags::IN, !self.connecting && !end.finished && idle[side]);
            wanted.set(EventFlags::OUT, !end.outbox.is_empty() || (self.connecting && side == 1));
            // A socket that is closed both ways always reports that; it has nothing more to say.
            let over = end.finished && end.closed;
            match end.interest {
                None if !over => {
                    drop(reactor.listen(&mut end.socket, wanted, Source::Forward(number, side)));
                    end.interest = Some(wanted);
                }
                Some(_) if over => {
                    end.socket.silence();
                    end.interest = None;
                }
                Some(known) if known != wanted => {
                    end.socket.change(wanted);
                    end.interest = Some(wanted);
                }
                _ => {}
            }
        }
    }
}

impl End {
    /// Sends what waits for it; false when it is broken.
    fn send(&mut self) -> bool {
        while !self.outbox.is_empty() {
            match rustix::net::send(&self.socket, &self.outbox, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        // What was held goes back: most connections wait most of the time.
        self.outbox = Vec::new();
        true
    }
}
