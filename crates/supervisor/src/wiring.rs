//! The network namespaces of containers that are to start, made by a process of their own beside everything
//! else that is made for them: namespaces and interfaces are nearly half of the work of a start, and belong
//! to no thread but the one that makes them. The process ends with the last of them, or with its maker.
//!
//! ```text
//! supervisor                        maker
//!   launch   ---------------------> a namespace, ahead of its order
//!   orders, in the order of starts  reads them all
//!   clone    <------ its namespace  interfaces, addresses, the resolver's sockets
//!   let go   <------ they are there the next one
//! ```

use crate::container::Container;
use crate::core::{Slot, chain};
use crate::packet::{self, Packet};
use crate::protocol::{Failure, FailureKind};
use crate::start::cannot;
use network::resolver::Sockets;
use network::{Netlink, NetworkError};
use resource::{ContainerId, Endpoint, PodName};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use rustix::process::Pid;
use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::process::Child;

/// Namespaces that are being made.
pub(crate) struct Wiring {
    /// `None` when there was none to make.
    maker: Option<Maker>,
    /// What was said of those that nobody has asked for yet.
    heard: Vec<(Slot, Result<Vec<OwnedFd>, Failure>)>,
}

/// The process that makes them.
pub(crate) struct Maker {
    child: Child,
    socket: OwnedFd,
}

/// What is to be made for a container.
#[derive(Serialize, Deserialize)]
struct Order {
    slot: Slot,
    id: ContainerId,
    endpoints: Vec<Endpoint>,
}

/// What is said of one: of its namespace first, which comes along; of what is in it then, with the UDP
/// and the TCP socket that answer name queries where it is on a network. A failure is the last word.
#[derive(Serialize, Deserialize)]
struct Word {
    slot: Slot,
    /// Why it could not be made.
    failed: Option<String>,
}

impl Wiring {
    /// Begins to make those of the containers in `slots` that need one, in this order; by a maker that was
    /// launched ahead, if there is one.
    ///
    /// # Errors
    /// What making a process says, or giving it its orders.
    pub(crate) fn begin(
        containers: &BTreeMap<Slot, Container>,
        slots: impl Iterator<Item = Slot>,
        ahead: Option<Maker>,
        launch: impl FnOnce() -> io::Result<Maker>,
    ) -> io::Result<Self> {
        let order = |slot: Slot| {
            let container = containers.get(&slot)?;
            let bare = container.has_network() && container.namespace.is_none();
            let record = &container.record;
            bare.then(|| Order { slot, id: record.id.clone(), endpoints: record.endpoints.clone() })
        };
        let orders: Vec<Order> = slots.filter_map(order).collect();
        if orders.is_empty() {
            return Ok(Self { maker: None, heard: vec![] });
        }
        // One that was launched ahead may have been killed since.
        let ahead = ahead.filter(|maker| maker.order(&orders).is_ok());
        let maker =
            ahead.map_or_else(|| launch().and_then(|maker| maker.order(&orders).map(|()| maker)), Ok)?;
        Ok(Self { maker: Some(maker), heard: vec![] })
    }

    /// Waits for a container's namespace, in which nothing needs to be yet.
    ///
    /// # Errors
    /// Why it could not be made.
    pub(crate) fn namespace(&mut self, slot: Slot) -> Result<OwnedFd, Failure> {
        self.hear(slot)?.pop().ok_or_else(|| cannot("make its network namespace", &Lost))
    }

    /// Waits for what is in a container's namespace, after the namespace itself. Returns the sockets in it
    /// that answer name queries, where it is on a network.
    ///
    /// # Errors
    /// Why it could not be made.
    pub(crate) fn interfaces(&mut self, slot: Slot) -> Result<Option<Sockets>, Failure> {
        let mut sockets = self.hear(slot)?.into_iter();
        Ok(sockets.next().zip(sockets.next()).map(|(udp, tcp)| Sockets { udp, tcp }))
    }

    /// Waits for the next word on a container.
    fn hear(&mut self, slot: Slot) -> Result<Vec<OwnedFd>, Failure> {
        loop {
            if let Some(index) = self.heard.iter().position(|(other, _)| *other == slot) {
                return self.heard.remove(index).1;
            }
            let Some(maker) = &self.maker else { return Err(crate::surroundings::gone()) };
            let word = maker.next().map_err(|error| cannot("make its network namespace", &error))?;
            self.heard.push(word);
        }
    }
}

/// The process that makes namespaces has ended before it had made all.
#[derive(Debug, thiserror::Error)]
#[error("the process that makes it was killed")]
struct Lost;

impl Maker {
    /// Makes the process, which begins with a namespace for whoever is the first.
    ///
    /// # Errors
    /// What making a process says.
    pub(crate) fn launch(pod: &PodName, owner: &str) -> io::Result<Self> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        packet::widen(&ours);
        let child = sys::process::clone_child(0, None, |proof| {
            // What it holds a copy of would not be closed for others when the supervisor is killed, its own
            // maker's end of the socket among them.
            let alone = sys::process::close_others(proof, 3, &[theirs.as_fd()]);
            i32::from(work(&theirs, alone, pod, owner).is_err())
        })?;
        move_away(&child);
        Ok(Self { child, socket: ours })
    }

    /// Gives it all its orders.
    fn order(&self, orders: &[Order]) -> io::Result<()> {
        for order in orders {
            send(&self.socket, &packet::encode(order), &[])?;
        }
        Ok(shutdown(&self.socket, Shutdown::Write)?)
    }

    /// Waits for the next word.
    fn next(&self) -> io::Result<(Slot, Result<Vec<OwnedFd>, Failure>)> {
        let Packet { bytes, descriptors } = receive(&self.socket)?.ok_or_else(|| io::Error::other(Lost))?;
        let Word { slot, failed } = serde_json::from_slice(&bytes)?;
        let made = failed.map_or(Ok(descriptors), |text| Err(Failure::new(FailureKind::Network, text)));
        Ok((slot, made))
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        // One that still works on what nobody waits for any more is told so by the closed socket.
        let _gone_already = shutdown(&self.socket, Shutdown::Both);
        sys::process::wait(self.child.pidfd.as_fd());
    }
}

/// Has a process that was just made not wait behind its maker on the same processor. The scheduler puts
/// it there whenever no other is idle at that very moment, were it for some microseconds, and nothing
/// takes it away before its maker sleeps: what was to be done side by side is done one after the other.
fn move_away(child: &Child) {
    let all = sched_getaffinity(None);
    let (Ok(all), Some(pid)) = (all, Pid::from_raw(child.pid)) else { return };
    let mut others = all;
    others.unset(sched_getcpu());
    if others.count() > 0 {
        // Where it must not be moved it stays where it is.
        let _moved = sched_setaffinity(Some(pid), &others);
        let _free = sched_setaffinity(Some(pid), &all);
    }
}

/// What the maker does. It reads all its orders before it says anything, so that neither side waits for the
/// other to read. `alone` is what became of closing what it holds copies of.
fn work(socket: &OwnedFd, alone: io::Result<()>, pod: &PodName, owner: &str) -> io::Result<()> {
    let mut ahead = alone.is_ok().then(network::new_namespace);
    let mut orders: Vec<Order> = vec![];
    while let Some(packet) = receive(socket)? {
        orders.push(serde_json::from_slice(&packet.bytes)?);
    }
    let netlink = Netlink::open().map(|netlink| netlink.owned_by(owner));
    let netlink = netlink.as_ref().map_err(|error| chain(error));
    let netlink = alone.map_err(|error| format!("cannot close descriptors: {error}")).and(netlink);
    for order in orders {
        let say = |failed: Option<String>, descriptors: &[BorrowedFd<'_>]| {
            send(socket, &packet::encode(&Word { slot: order.slot, failed }), descriptors)
        };
        let namespace = ahead.take().unwrap_or_else(network::new_namespace).map_err(|error| chain(&error));
        let (namespace, netlink) = match namespace.and_then(|namespace| Ok((namespace, netlink.clone()?))) {
            Ok(both) => both,
            Err(text) => {
                say(Some(text), &[])?;
                continue;
            }
        };
        say(None, &[namespace.as_fd()])?;
        match wire(netlink, pod, &order, namespace.as_fd()) {
            Ok(Some(Sockets { udp, tcp })) => say(None, &[udp.as_fd(), tcp.as_fd()])?,
            Ok(None) => say(None, &[])?,
            Err(error) => say(Some(chain(&error)), &[])?,
        }
    }
    Ok(())
}

/// Makes a container's interfaces in its namespace and opens the resolver's sockets there.
fn wire(
    netlink: &Netlink,
    pod: &PodName,
    order: &Order,
    namespace: BorrowedFd<'_>,
) -> Result<Option<Sockets>, NetworkError> {
    for (index, endpoint) in order.endpoints.iter().enumerate() {
        network::attach(netlink, namespace, pod, &order.id, index, endpoint)?;
    }
    let named = !order.endpoints.is_empty();
    named.then(|| network::resolver::open(namespace)).transpose()
}

/// Sends a packet; waits while the other side has many to take in.
fn send(socket: &OwnedFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    loop {
        match packet::send(socket, bytes, descriptors) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(socket, PollFlags::OUT)?,
            other => return other,
        }
    }
}

/// Waits for a packet; `None` when there will be no more.
fn receive(socket: &OwnedFd) -> io::Result<Option<Packet>> {
    wait(socket, PollFlags::IN)?;
    packet::receive(socket)
}

fn wait(socket: &OwnedFd, what: PollFlags) -> io::Result<()> {
    retry_on_intr(|| poll(&mut [PollFd::new(socket, what)], None))?;
    Ok(())
}
