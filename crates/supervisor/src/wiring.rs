//! The network namespaces of containers that are to start, made by a process of their own beside everything
//! else that is made for them: namespaces and interfaces are nearly half of the work of a start, and belong
//! to no thread but the one that makes them. The process ends with the last of them, or with its maker.

use crate::container::Container;
use crate::core::Slot;
use crate::packet::{self, Packet};
use crate::protocol::{Failure, FailureKind};
use crate::start::cannot;
use network::resolver::Sockets;
use network::{Netlink, NetworkError};
use resource::PodName;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;
use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use sys::process::Child;

/// Namespaces that are being made.
pub(crate) struct Wiring {
    /// `None` when there was none to make.
    maker: Option<Maker>,
    arrived: HashMap<Slot, Result<Wired, Failure>>,
}

/// The process that makes them.
struct Maker {
    child: Child,
    socket: OwnedFd,
}

/// A network namespace with its interfaces.
pub(crate) struct Wired {
    pub(crate) namespace: OwnedFd,
    /// The sockets in it that answer name queries, where it is on a network.
    pub(crate) resolver: Option<Sockets>,
}

/// What is said of one; its descriptors come with it: namespace, UDP and TCP socket.
#[derive(Serialize, Deserialize)]
struct Word {
    slot: Slot,
    /// Why it could not be made.
    failed: Option<String>,
}

impl Wiring {
    /// Begins to make those of the containers in `slots` that need one, in this order.
    ///
    /// # Errors
    /// What making a process says.
    pub(crate) fn begin(
        containers: &BTreeMap<Slot, Container>,
        slots: impl Iterator<Item = Slot>,
        pod: &PodName,
        owner: &str,
    ) -> io::Result<Self> {
        let bare = |slot: &Slot| {
            let container = containers.get(slot);
            container.is_some_and(|found| found.has_network() && found.namespace.is_none())
        };
        let slots: Vec<Slot> = slots.filter(bare).collect();
        if slots.is_empty() {
            return Ok(Self { maker: None, arrived: HashMap::new() });
        }
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let child = sys::process::clone_child(0, None, |_| {
            let netlink = Netlink::open().map(|netlink| netlink.owned_by(owner));
            let every = slots.iter().filter_map(|slot| Some((*slot, containers.get(slot)?)));
            for (slot, container) in every {
                let made = netlink.as_ref().map_err(|error| crate::core::chain(error));
                let made = made.and_then(|netlink| {
                    wire(netlink, pod, container).map_err(|error| crate::core::chain(&error))
                });
                if say(&theirs, slot, made).is_err() {
                    return 1;
                }
            }
            0
        })?;
        move_away(&child);
        Ok(Self { maker: Some(Maker { child, socket: ours }), arrived: HashMap::new() })
    }

    /// Waits for a container's namespace; `None` for one that needs none made.
    ///
    /// # Errors
    /// Why it could not be made.
    pub(crate) fn take(&mut self, slot: Slot) -> Result<Wired, Failure> {
        loop {
            if let Some(made) = self.arrived.remove(&slot) {
                return made;
            }
            let Some(maker) = &self.maker else { return Err(crate::surroundings::gone()) };
            let (other, made) = maker.next().map_err(|error| cannot("make its network namespace", &error))?;
            self.arrived.insert(other, made);
        }
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

impl Maker {
    /// Waits for the next word.
    fn next(&self) -> io::Result<(Slot, Result<Wired, Failure>)> {
        retry_on_intr(|| poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None))?;
        let Some(Packet { bytes, descriptors }) = packet::receive(&self.socket)? else {
            return Err(io::Error::other("the process that makes it was killed"));
        };
        let Word { slot, failed } = serde_json::from_slice(&bytes)?;
        let mut descriptors = descriptors.into_iter();
        let made = match (failed, descriptors.next()) {
            (None, Some(namespace)) => {
                let sockets = descriptors.next().zip(descriptors.next());
                Ok(Wired { namespace, resolver: sockets.map(|(udp, tcp)| Sockets { udp, tcp }) })
            }
            (failed, _) => Err(Failure::new(FailureKind::Network, failed.unwrap_or_default())),
        };
        Ok((slot, made))
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        // One that still works on what nobody waits for any more is told so by the closed socket.
        let _gone_already = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        sys::process::wait(self.child.pidfd.as_fd());
    }
}

/// Tells of one; waits while the maker's maker has many to take in.
fn say(socket: &OwnedFd, slot: Slot, made: Result<Wired, String>) -> io::Result<()> {
    let (failed, wired) = match made {
        Ok(wired) => (None, Some(wired)),
        Err(text) => (Some(text), None),
    };
    let descriptors = wired.iter().flat_map(|wired| {
        let sockets = wired.resolver.iter().flat_map(|sockets| [sockets.udp.as_fd(), sockets.tcp.as_fd()]);
        [wired.namespace.as_fd()].into_iter().chain(sockets)
    });
    let (descriptors, bytes) = (descriptors.collect::<Vec<_>>(), packet::encode(&Word { slot, failed }));
    loop {
        match packet::send(socket, &bytes, &descriptors) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                retry_on_intr(|| poll(&mut [PollFd::new(socket, PollFlags::OUT)], None))?;
            }
            other => return other,
        }
    }
}

/// Makes a container's network namespace with its interfaces and opens the resolver's sockets in it.
fn wire(netlink: &Netlink, pod: &PodName, container: &Container) -> Result<Wired, NetworkError> {
    let record = &container.record;
    let namespace = network::new_namespace()?;
    for (index, endpoint) in record.endpoints.iter().enumerate() {
        network::attach(netlink, namespace.as_fd(), pod, &record.id, index, endpoint)?;
    }
    let named = !record.endpoints.is_empty();
    let resolver = named.then(|| network::resolver::open(namespace.as_fd())).transpose()?;
    Ok(Wired { namespace, resolver })
}
