//! Answers containers' name queries on the sockets in their namespaces, and hands on what is not ours
//! to the upstream servers, from the host's side.

use crate::core::{Slot, Source, Supervisor, Timer, Watched};
use crate::files;
use crate::names::Sight;
use crate::reactor::{EventFlags, Token};
use dns::Verdict;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long one upstream server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Queries taken from a socket in one round.
const ROUND: usize = 32;
/// Bytes of a datagram.
const DATAGRAM: usize = 65_535;
/// Queries under way upstream at most, and TCP queries that have not arrived whole.
const UNDER_WAY: usize = 256;

/// A query that an upstream server was asked.
pub(crate) struct Upstream {
    slot: Slot,
    client: SocketAddr,
    query: Vec<u8>,
    socket: Watched<UdpSocket>,
    /// Servers to ask if this one is silent.
    others: Vec<IpAddr>,
}

/// A TCP connection on which a query arrives.
pub(crate) struct Query {
    slot: Slot,
    stream: Watched<TcpStream>,
    bytes: Vec<u8>,
}

impl Supervisor {
    /// Queries of a container have arrived.
    pub(crate) fn queries_arrived(&mut self, slot: Slot) {
        let mut buffer = [0; 4096];
        for _ in 0..ROUND {
            let Some(resolver) = self.containers.get(&slot).and_then(|found| found.resolver.as_ref()) else {
                return;
            };
            let Ok((length, client)) = resolver.udp.recv_from(&mut buffer) else { return };
            let query = &buffer[..length];
            match self.judge(slot, query, true) {
                Verdict::Answer(answer) => self.answer_query(slot, client, &answer),
                Verdict::Forward => {
                    let servers = self.servers(slot);
                    self.ask_upstream(slot, client, query.to_vec(), servers);
                }
                Verdict::Drop => {}
            }
        }
    }

    fn judge(&mut self, slot: Slot, query: &[u8], udp: bool) -> Verdict {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let Some(container) = self.containers.get(&slot) else { return Verdict::Drop };
        let networks = container.record.endpoints.iter().map(|endpoint| &endpoint.spec.network);
        // All networks of the pod at once: the next to ask may be on others.
        let all = self.containers.values().flat_map(|container| &container.record.endpoints);
        let networks = networks.chain(all.map(|endpoint| &endpoint.spec.network));
        let mut networks: Vec<_> = networks.collect();
        networks.sort();
        networks.dedup();
        self.foreign.refresh(&self.roots, &self.pod, networks.into_iter());
        let sight = Sight { asking: &container.record, own: &self.containers, foreign: &self.foreign };
        dns::answer(query, &sight, self.seed >> 16, udp)
    }

    fn answer_query(&self, slot: Slot, client: SocketAddr, answer: &[u8]) {
        if let Some(resolver) = self.containers.get(&slot).and_then(|found| found.resolver.as_ref()) {
            // A full buffer loses it, as a network may; the client asks again.
            drop(resolver.udp.send_to(answer, client));
        }
    }

    /// The servers a container's queries go to; none when it has no way out.
    fn servers(&self, slot: Slot) -> Option<Vec<IpAddr>> {
        let record = &self.containers.get(&slot)?.record;
        if record.endpoints.iter().all(|endpoint| endpoint.internal) {
            return None;
        }
        if !record.spec.dns.is_empty() {
            return Some(record.spec.dns.clone());
        }
        Some(files::Host::parse(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()).servers)
    }

    /// Asks the first of these servers.
    fn ask_upstream(&mut self, slot: Slot, client: SocketAddr, query: Vec<u8>, servers: Option<Vec<IpAddr>>) {
        let Some(mut servers) = servers else {
            return self.no_answer(slot, client, &query, dns::Failure::NoSuchName);
        };
        while !servers.is_empty() && self.upstreams.len() < UNDER_WAY {
            let server = SocketAddr::new(servers.remove(0), 53);
            let asked = self.outside.run(|| ask(server, &query));
            let Ok(Ok(socket)) = asked else { continue };
            let mut socket = Watched::silent(socket);
            let heard = self.reactor.listen(&mut socket, EventFlags::IN, Source::Upstream);
            let Ok(token) = heard else { continue };
            self.upstreams.insert(token, Upstream { slot, client, query, socket, others: servers });
            return self.reactor.after(PATIENCE, Timer::Upstream(token));
        }
        self.no_answer(slot, client, &query, dns::Failure::Server);
    }

    fn no_answer(&self, slot: Slot, client: SocketAddr, query: &[u8], why: dns::Failure) {
        if let Some(answer) = dns::failure(query, why) {
            self.answer_query(slot, client, &answer);
        }
    }

    /// An upstream server has answered, or says that nobody listens there.
    pub(crate) fn upstream_answered(&mut self, token: Token) {
        self.scratch.resize(DATAGRAM, 0);
        let Some(upstream) = self.upstreams.get(&token) else { return };
        match upstream.socket.recv(&mut self.scratch) {
            // The number of the query has to be in the answer; the socket is connected, so the sender is right.
            Ok(length) if length >= 12 && self.scratch[..2] == upstream.query[..2] => {
                self.answer_query(upstream.slot, upstream.client, &self.scratch[..length]);
                self.upstreams.remove(&token);
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => self.upstream_silent(token),
        }
    }

    /// An upstream server has not answered: the next one is asked.
    pub(crate) fn upstream_silent(&mut self, token: Token) {
        let Some(upstream) = self.upstreams.remove(&token) else { return };
        self.ask_upstream(upstream.slot, upstream.client, upstream.query, Some(upstream.others));
    }

    /// Containers connect to ask by TCP.
    pub(crate) fn query_connections(&mut self, slot: Slot) {
        let Some(resolver) = self.containers.get(&slot).and_then(|found| found.resolver.as_ref()) else {
            return;
        };
        let Ok((stream, _)) = resolver.tcp.accept() else { return };
        if stream.set_nonblocking(true).is_err() || self.queries.len() >= UNDER_WAY {
            return;
        }
        let mut stream = Watched::silent(stream);
        if let Ok(token) = self.reactor.listen(&mut stream, EventFlags::IN, Source::QueryConnection) {
            self.queries.insert(token, Query { slot, stream, bytes: vec![] });
        }
    }

    /// Bytes of a TCP query have arrived: two that tell its length, then the query.
    pub(crate) fn query_readable(&mut self, token: Token) {
        let Some(query) = self.queries.get_mut(&token) else { return };
        let mut buffer = [0; 2048];
        match query.stream.read(&mut buffer) {
            Ok(count) if count > 0 => query.bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            _ => return self.drop_query(token),
        }
        let slot = query.slot;
        while let Some(whole) = self.queries.get(&token).and_then(|query| whole(&query.bytes)) {
            match self.judge(slot, &whole, false) {
                Verdict::Answer(answer) => {
                    let Some(query) = self.queries.get_mut(&token) else { return };
                    query.bytes.drain(..whole.len() + 2);
                    let mut framed = (answer.len() as u16).to_be_bytes().to_vec();
                    framed.extend_from_slice(&answer);
                    // It fits the socket's buffer, or the client does not read.
                    if query.stream.write_all(&framed).is_err() {
                        return self.drop_query(token);
                    }
                }
                Verdict::Forward => {
                    let servers = self.servers(slot).unwrap_or_default();
                    let Some(query) = self.queries.remove(&token) else { return };
                    let servers = servers.into_iter().map(|server| SocketAddr::new(server, 53)).collect();
                    // From here on the connection is the server's.
                    self.forward_to_one(OwnedFd::from(query.stream.into_inner()), servers, query.bytes);
                    return;
                }
                Verdict::Drop => return self.drop_query(token),
            }
        }
    }

    fn drop_query(&mut self, token: Token) {
        self.queries.remove(&token);
    }
}

/// The first query of a TCP stream, once it is whole.
fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    Some(bytes.get(2..2 + length)?.to_vec())
}

/// Sends a query from a port of its own, chosen by the kernel at random.
fn ask(server: SocketAddr, query: &[u8]) -> std::io::Result<UdpSocket> {
    let any = if server.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    socket.send(query)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tcp_query_is_whole_when_its_length_says_so() {
        assert_eq!(whole(&[0]), None);
        assert_eq!(whole(&[0, 3, 1, 2]), None);
        assert_eq!(whole(&[0, 3, 1, 2, 3, 9]), Some(vec![1, 2, 3]));
    }
}
