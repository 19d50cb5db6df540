//! Published ports: reserved by a socket bound on the host before anything is started, so that a port
//! in use is found early and stays ours across restarts by policy.
//!
//! Packets normally never reach these sockets: a rule of the kernel's sends them on to the container.
//! What does reach them, on the way to `::` and `::1` above all, is copied by [`crate::forward`].

use crate::container::Container;
use crate::core::{Slot, Source, Supervisor, Watched, complain};
use crate::protocol::{Failure, FailureKind};
use crate::reactor::EventFlags;
use crate::start::cannot;
use resource::{PortBinding, PortSpec, Protocol};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// Tries for a port that is free in both families.
const TRIES: usize = 32;

/// A port that is ours.
pub(crate) struct Reservation {
    pub(crate) binding: PortBinding,
    /// What holds it; nothing when a successor could not bind it again.
    pub(crate) socket: Option<Watched<OwnedFd>>,
}

impl Reservation {
    /// The same, with nobody who listens.
    pub(crate) fn into_bound(self) -> (PortBinding, Option<OwnedFd>) {
        (self.binding, self.socket.map(Watched::into_inner))
    }
}

pub(crate) type Bound = Vec<(PortBinding, Option<OwnedFd>)>;

impl Supervisor {
    /// Reserves the ports a container wants, unless it has them since an earlier run.
    pub(crate) fn reserve_ports(&mut self, slot: Slot) -> Result<(), Failure> {
        self.open_doors(slot);
        let Some(container) = self.containers.get(&slot) else { return Ok(()) };
        if !container.ports.is_empty() {
            return Ok(());
        }
        for wanted in container.host_ports() {
            if self.predecessor_holds(slot, &wanted) {
                continue;
            }
            let bound = self.reserve(&wanted).map_err(|refused| self.explain(&wanted, &refused))?;
            self.hold(slot, bound).map_err(|error| cannot("listen on its ports", &error))?;
        }
        if let Some(container) = self.containers.get_mut(&slot) {
            container.state.lost_ports.clear();
        }
        Ok(())
    }

    /// Has the next change of rules guard where a container is reached by routes.
    pub(crate) fn open_doors(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        let doors = container.doors();
        self.rules_changed |= doors != container.entrances;
        container.entrances = doors;
    }

    /// Whether the container whose place this one is to take has the port: it keeps it until that is so.
    fn predecessor_holds(&self, slot: Slot, wanted: &PortSpec) -> bool {
        let Some(container) = self.containers.get(&slot) else { return false };
        let replica = |one: &Container| (one.record.spec.service.clone(), one.record.spec.number);
        let other = self
            .containers
            .iter()
            .filter(|(other, one)| **other != slot && replica(one) == replica(container));
        container.record.spec.number.is_some()
            && other.flat_map(|(_, one)| &one.ports).any(|held| wanted.is_served_by(&held.binding))
    }

    /// Reserves ports again that a predecessor had published for a container.
    pub(crate) fn reserve_again(&mut self, slot: Slot) -> Result<(), Failure> {
        self.open_doors(slot);
        let Some(container) = self.containers.get(&slot) else { return Ok(()) };
        for binding in container.state.ports.clone() {
            let socket = match self.bind_outside(&binding) {
                Ok(socket) => socket,
                // Somebody took it while nobody held it for the container.
                Err(Errno::ADDRINUSE) => {
                    self.lose(slot, &binding);
                    continue;
                }
                // The rule is what matters; a port that cannot be held is published all the same.
                Err(_) => None,
            };
            self.hold(slot, vec![(binding, socket)])
                .map_err(|error| cannot("listen on its ports", &error))?;
        }
        Ok(())
    }

    /// A container's port is somebody else's now.
    fn lose(&mut self, slot: Slot, binding: &PortBinding) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        container.state.ports.retain(|kept| kept != binding);
        container.state.lost_ports.push(binding.clone());
        let PortBinding { host_ip, host_port, target, protocol } = *binding;
        let wanted =
            PortSpec { host_ip: Some(host_ip), published: Some((host_port, host_port)), target, protocol };
        let refused = Refused { address: Some(host_ip), port: host_port, why: Errno::ADDRINUSE };
        complain(&self.explain(&wanted, &refused));
        self.changed(slot);
    }

    pub(crate) fn hold(&mut self, slot: Slot, bound: Bound) -> std::io::Result<()> {
        for (binding, socket) in bound {
            let index = self.containers.get(&slot).map_or(0, |container| container.ports.len());
            // No packet of the host's network comes into a router by itself.
            let copied =
                binding.protocol == Protocol::Tcp || binding.host_ip.is_ipv6() || self.outside.is_elsewhere();
            let forwarded = copied && binding.protocol != Protocol::Sctp;
            let mut socket = socket.map(Watched::silent);
            if let Some(socket) = socket.as_mut().filter(|_| forwarded) {
                self.reactor.listen(socket, EventFlags::IN, Source::Port(slot, index))?;
            }
            if let Some(container) = self.containers.get_mut(&slot) {
                container.ports.push(Reservation { binding, socket });
            }
            self.rules_changed = true;
        }
        Ok(())
    }

    pub(crate) fn release_ports(&mut self, slot: Slot) {
        let Some(container) = self.containers.get_mut(&slot) else { return };
        container.state.ports.clear();
        container.state.lost_ports.clear();
        self.rules_changed |= !container.ports.is_empty() || !container.entrances.is_empty();
        container.ports.clear();
        container.entrances.clear();
    }

    /// Binds the first free of the wanted ports in the host's network, in every family asked for.
    ///
    /// A process that is being started has copies of our sockets until it executes its program: what
    /// looks taken may be what we gave back a moment ago.
    pub(crate) fn reserve(&mut self, wanted: &PortSpec) -> Result<Bound, Refused> {
        match self.try_reserve(wanted) {
            Err(refused) if refused.why == Errno::ADDRINUSE && self.settle_starts() => {
                self.try_reserve(wanted)
            }
            other => other,
        }
    }

    fn try_reserve(&self, wanted: &PortSpec) -> Result<Bound, Refused> {
        let port = wanted.published.map_or(0, |(first, _)| first);
        if wanted.protocol == Protocol::Sctp && self.outside.is_elsewhere() {
            return Err(Refused { address: wanted.host_ip, port, why: Errno::PROTONOSUPPORT });
        }
        let gone = |_| Refused { address: wanted.host_ip, port: 0, why: Errno::PIPE };
        self.outside.run(|| reserve(wanted)).map_err(gone)?
    }

    /// Binds a socket in the host's network to the port that was published before.
    pub(crate) fn bind_outside(&self, binding: &PortBinding) -> rustix::io::Result<Option<OwnedFd>> {
        let bound = || bind(binding.host_ip, binding.host_port, binding.protocol);
        let (_, socket) = self.outside.run(bound).map_err(|_| Errno::PIPE)??;
        Ok(Some(socket))
    }

    /// Says which port could not be had and who has it.
    pub(crate) fn explain(&self, wanted: &PortSpec, refused: &Refused) -> Failure {
        let address = match refused.address {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:{}", refused.port),
            Some(ip) => format!("{ip}:{}", refused.port),
            None => refused.port.to_string(),
        };
        let what = format!("{address}/{}", wanted.protocol.as_str());
        if refused.why == Errno::PROTONOSUPPORT {
            let why = if self.outside.is_elsewhere() {
                "only root's containers can have SCTP ports, as sockets copy TCP and UDP alone"
            } else {
                "this kernel has no SCTP (the module `sctp`)"
            };
            let text = format!("cannot publish port {what}: {why}");
            return Failure::new(FailureKind::PortRefused(Box::new(*wanted)), text);
        }
        if refused.why != Errno::ADDRINUSE {
            let why = std::io::Error::from(refused.why);
            let first = self.outside.run(first_open_port).ok().flatten();
            if let Some(first) = first.filter(|first| refused.why == Errno::ACCESS && refused.port < *first) {
                let setting = "net.ipv4.ip_unprivileged_port_start";
                let text = format!(
                    "cannot publish port {what}: ports below {first} are root's; as root: \
                     sysctl -w {setting}={}",
                    refused.port
                );
                return Failure::new(FailureKind::PortRefused(Box::new(*wanted)), text);
            }
            let text = format!("cannot publish port {what}: {why}");
            return Failure::new(FailureKind::PortRefused(Box::new(*wanted)), text);
        }
        let ours = self.containers.values().find(|container| {
            container.ports.iter().any(|reservation| {
                let binding = &reservation.binding;
                let same = binding.host_ip.is_unspecified()
                    || refused.address.is_none_or(|ip| ip.is_unspecified() || ip == binding.host_ip);
                same && binding.host_port == refused.port && binding.protocol == wanted.protocol
            })
        });
        let holder = match ours {
            Some(container) => Some(format!("container {}", container.record.spec.name)),
            None => {
                let owner = || network::port_owner(wanted.protocol, refused.address, refused.port);
                self.outside.run(owner).ok().flatten()
            }
        };
        let held = holder.map(|holder| format!(" (held by {holder})")).unwrap_or_default();
        let range = match wanted.published {
            Some((first, last)) if first != last => format!(", nor is another one of {first}-{last} free"),
            _ => String::new(),
        };
        let text = format!("port is already allocated: {what}{held}{range}");
        Failure::new(FailureKind::PortTaken(Box::new(*wanted)), text)
    }
}

/// A port that could not be had.
pub(crate) struct Refused {
    address: Option<IpAddr>,
    port: u16,
    why: Errno,
}

/// The first port that an ordinary user may bind.
fn first_open_port() -> Option<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok()?;
    text.trim().parse().ok()
}

/// Binds the first free of the wanted ports, in every family that is asked for.
fn reserve(wanted: &PortSpec) -> Result<Bound, Refused> {
    let (first, last) = wanted.published.unwrap_or((0, 0));
    let random = wanted.published.is_none();
    let mut refused = None;
    let candidates = (first..=last).chain(std::iter::repeat_n(0, if random { TRIES } else { 0 }));
    for port in candidates {
        match reserve_one(wanted, port) {
            Ok(bound) => return Ok(bound),
            // The first is the one that was asked for.
            Err(error) if error.why == Errno::ADDRINUSE => drop(refused.get_or_insert(error)),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or(Refused { address: wanted.host_ip, port: first, why: Errno::ADDRINUSE }))
}

fn reserve_one(wanted: &PortSpec, port: u16) -> Result<Bound, Refused> {
    let every = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let addresses = wanted.host_ip.map_or(every.to_vec(), |ip| vec![ip]);
    let mut bound = Bound::new();
    let mut port = port;
    for address in addresses {
        match bind(address, port, wanted.protocol) {
            Ok((actual, socket)) => {
                port = actual;
                let (target, protocol) = (wanted.target, wanted.protocol);
                bound.push((
                    PortBinding { host_ip: address, host_port: port, target, protocol },
                    Some(socket),
                ));
            }
            // A host without IPv6; only who asks for it is told.
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
                if wanted.host_ip.is_none() && address.is_ipv6() => {}
            Err(why) => {
                let address = wanted.host_ip.or(Some(address));
                return Err(Refused { address, port, why });
            }
        }
    }
    Ok(bound)
}

/// Binds a socket to an address; port 0 is any free one. One of SCTP does not listen: it only holds.
fn bind(address: IpAddr, port: u16, protocol: Protocol) -> rustix::io::Result<(u16, OwnedFd)> {
    let (kind, transport) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, None),
        Protocol::Udp => (SocketType::DGRAM, None),
        Protocol::Sctp => (SocketType::STREAM, Some(rustix::net::ipproto::SCTP)),
    };
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, transport)?;
    if address.is_ipv6() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections that linger after their end are no reason to refuse; a listener still is.
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &SocketAddr::new(address, port))?;
    if protocol == Protocol::Tcp {
        rustix::net::listen(&socket, 128)?;
    }
    let name = SocketAddr::try_from(rustix::net::getsockname(&socket)?).map_err(|_| Errno::AFNOSUPPORT)?;
    Ok((name.port(), socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(published: Option<(u16, u16)>, protocol: Protocol) -> PortSpec {
        PortSpec { host_ip: Some("127.0.0.1".parse().unwrap()), published, target: 80, protocol }
    }

    #[test]
    fn a_taken_port_is_refused_and_a_range_goes_on() {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let held = reserve(&wanted(None, protocol)).ok().unwrap();
            let port = held[0].0.host_port;
            assert!(port > 0);
            let refused = reserve(&wanted(Some((port, port)), protocol)).err().unwrap();
            assert_eq!((refused.port, refused.why), (port, Errno::ADDRINUSE));
            let range = (port, port.saturating_add(20));
            let next = reserve(&wanted(Some(range), protocol)).ok().unwrap();
            assert!(next[0].0.host_port > port);
        }
    }

    #[test]
    fn every_address_means_the_same_port_in_both_families() {
        let spec = PortSpec { host_ip: None, ..wanted(None, Protocol::Tcp) };
        let bound = reserve(&spec).ok().unwrap();
        assert!(bound.iter().all(|(binding, _)| binding.host_port == bound[0].0.host_port));
        assert_eq!(bound[0].0.host_ip, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
}
