//! Clients: who is connected, what they ask, what they are told.

use crate::core::{Source, Supervisor, Watched, complain};
use crate::packet::{self, Packet};
use crate::protocol::{Answer, Call, Failure, FailureKind, PROTOCOL, Reply, Request, Streams, VERSION};
use crate::reactor::{EventFlags, Token};
use crate::start::Wanted;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Bytes of replies kept for a client that does not read; beyond that it is disconnected.
const PATIENCE: usize = 4 << 20;

/// A client.
pub(crate) struct Connection {
    socket: Watched<OwnedFd>,
    /// It has said hello.
    greeted: bool,
    outbox: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    /// Bytes in the outbox.
    waiting: usize,
    /// The socket was full.
    blocked: bool,
    /// Calls that want events.
    pub(crate) follows: Vec<u64>,
}

impl Connection {
    pub(crate) fn reply(&mut self, number: u64, reply: Reply, file: Option<OwnedFd>) {
        let bytes = packet::encode(&Answer { number, reply });
        self.waiting += bytes.len();
        self.outbox.push_back((bytes, file));
    }

    /// Sends what it can; false when the client is gone or too slow.
    fn flush(&mut self) -> bool {
        while let Some((bytes, file)) = self.outbox.front() {
            let files: Vec<_> = file.iter().map(AsFd::as_fd).collect();
            match packet::send(&self.socket, bytes, &files) {
                Ok(()) => {
                    self.waiting -= bytes.len();
                    self.outbox.pop_front();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.waiting < PATIENCE,
                Err(_) => return false,
            }
        }
        true
    }
}

/// Whether the other end runs as the same user as this process.
fn trusted(socket: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_peercred(socket).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

impl Supervisor {
    pub(crate) fn accept_clients(&mut self) {
        let flags = rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK;
        while let Ok(socket) = rustix::net::accept_with(&self.listener, flags) {
            if trusted(&socket) {
                self.add_client(socket).unwrap_or_else(|error| complain(&error));
            }
        }
    }

    pub(crate) fn add_client(&mut self, socket: OwnedFd) -> io::Result<()> {
        packet::widen(&socket);
        let mut socket = Watched::silent(socket);
        let token = self.reactor.listen(&mut socket, EventFlags::IN, Source::Client)?;
        let connection = Connection {
            socket,
            greeted: false,
            outbox: VecDeque::new(),
            waiting: 0,
            blocked: false,
            follows: vec![],
        };
        self.clients.insert(token, connection);
        Ok(())
    }

    /// Every request that is there is taken in the same round: that is what makes a batch.
    pub(crate) fn client_ready(&mut self, token: Token, flags: EventFlags) {
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            loop {
                let Some(client) = self.clients.get(&token) else { return };
                match packet::receive(&client.socket) {
                    Ok(Some(packet)) => self.take_packet(token, packet),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Ok(None) | Err(_) => return self.disconnect(token),
                }
            }
        }
    }

    pub(crate) fn flush_clients(&mut self) {
        let mut gone = vec![];
        for (token, client) in &mut self.clients {
            if client.outbox.is_empty() && !client.blocked {
                continue;
            }
            if !client.flush() {
                gone.push(*token);
                continue;
            }
            let blocked = !client.outbox.is_empty();
            if blocked != client.blocked {
                client.blocked = blocked;
                let more = if blocked { EventFlags::OUT } else { EventFlags::empty() };
                client.socket.change(EventFlags::IN | more);
            }
        }
        for token in gone {
            self.disconnect(token);
        }
    }

    /// What a client started goes on; a terminal it read goes to the log.
    pub(crate) fn disconnect(&mut self, token: Token) {
        self.clients.remove(&token);
        self.stop_waiting(token, None);
        self.consoles_left_by(token);
        if self.clients.is_empty() {
            self.removed.forget_all();
        }
    }

    fn take_packet(&mut self, token: Token, packet: Packet) {
        let Ok(call) = serde_json::from_slice::<Call>(&packet.bytes) else {
            // A hello of any version can be read; what cannot is no client of ours.
            return self.disconnect(token);
        };
        let Some(client) = self.clients.get_mut(&token) else { return };
        if let Request::Hello { version, protocol } = &call.request {
            client.greeted = version == VERSION && *protocol == PROTOCOL;
            let pid = std::process::id();
            let reply = Reply::Hello { version: VERSION.to_owned(), protocol: PROTOCOL, pid };
            return client.reply(call.number, reply, None);
        }
        if !client.greeted {
            return self.disconnect(token);
        }
        self.take_request((token, call.number), call.request, packet.descriptors);
    }

    fn take_request(&mut self, caller: (Token, u64), request: Request, files: Vec<OwnedFd>) {
        let result = match request {
            Request::Start { id, streams, locked } => {
                let mut files = files;
                let lock = if locked { files.pop() } else { None };
                self.want_start(caller, &id, streams, files, lock)
            }
            Request::Exec { id, request, streams } => self.begin_exec(caller, &id, &request, streams, files),
            Request::Stop { id, signal, grace } => self.stop(caller, &id, signal, grace),
            Request::Kill { id, signal } => self.kill(&id, signal).map(|()| Some(Reply::Done)),
            Request::Pause { id } => self.pause(&id).map(|()| Some(Reply::Done)),
            Request::Unpause { id } => self.unpause(&id).map(|()| Some(Reply::Done)),
            Request::Forget { id } => self.forget(&id).map(|()| Some(Reply::Done)),
            Request::Renamed { id } => self.renamed(&id).map(|()| Some(Reply::Done)),
            Request::HandOver { from, to } => self.hand_over(&from, &to).map(|()| Some(Reply::Done)),
            Request::Retire => {
                self.retiring = true;
                Ok(Some(Reply::Done))
            }
            Request::Updated { id } => self.updated(&id).map(|()| Some(Reply::Done)),
            Request::Attach { id } => self.attach(caller.0, &id).map(|(state, master)| {
                self.reply(caller, Reply::State(Box::new(state)), master);
                None
            }),
            Request::Wait { id, condition } => {
                self.wait_for(caller.0, caller.1, id, condition);
                Ok(None)
            }
            Request::Events => {
                if let Some(client) = self.clients.get_mut(&caller.0) {
                    client.follows.push(caller.1);
                }
                Ok(Some(Reply::Done))
            }
            Request::Cancel { call } => {
                self.stop_waiting(caller.0, Some(call));
                if let Some(client) = self.clients.get_mut(&caller.0) {
                    client.follows.retain(|follow| *follow != call);
                }
                Ok(None)
            }
            Request::Hello { .. } => Ok(None),
        };
        match result {
            Ok(Some(reply)) => self.reply(caller, reply, None),
            Ok(None) => {}
            Err(failure) => self.reply(caller, Reply::Failed(failure), None),
        }
    }

    /// Notes a start; it is made at the end of the round, with the others.
    fn want_start(
        &mut self,
        caller: (Token, u64),
        id: &resource::ContainerId,
        streams: Streams,
        files: Vec<OwnedFd>,
        lock: Option<OwnedFd>,
    ) -> Result<Option<Reply>, Failure> {
        let slot = self.slot(id)?;
        if streams == Streams::Files && files.len() != 3 {
            return Err(Failure::new(FailureKind::Refused, "three descriptors belong to this request"));
        }
        let locks = lock.into_iter().collect();
        self.wanted.push(Wanted { slot, callers: vec![caller], locks, streams, files, restart: false });
        Ok(None)
    }
}
