//! Bridges, addresses, published ports and the resolver's sockets, by netlink alone: no `ip`, no
//! `nft`, no C library.
//!
//! Everything here blocks, is quick, is idempotent, and works in the network namespace of the calling
//! thread (the "router": the host's when rootful). What is made is named after what it belongs to, so
//! that it can be found again without any state:
//!
//! ```text
//! bridge            record.bridge ([`bridge_name`] of the id by default), alias "compose:OWNER:NETWORK-NAME"
//! parent            the same, where a macvlan or ipvlan network needs one made
//! veth, host end    cvCCCCCCNFFFFFF: six digits of the container's id, number, something fresh
//! table             inet compose, removed with its last chain
//! chains, network   BRIDGE-nat, BRIDGE-filter, BRIDGE-guard; comment = the bridge's alias
//! chains, pod       pod-KEY-in, pod-KEY-out
//! chain, clients    clients, in a router of its own only
//! ```

mod attach;
mod bridge;
mod channel;
mod child;
mod client;
mod error;
mod link;
mod namespace;
mod owner;
mod pool;
mod publish;
pub mod resolver;
mod rule;
mod sysctl;
mod table;
mod wire;

pub use attach::{Wires, attach, attach_again, hardware_address};
pub use bridge::{
    bridge_down, bridge_exists, bridge_name, bridge_up, bridges_down, bridges_up, default_gateway,
    gateway_for_host, is_routed, sweep,
};
pub use client::{keep_clients, speak_as};
pub use error::NetworkError;
pub use link::route_destinations;
pub use namespace::{NamespaceLock, enter_new_namespace, lock, new_namespace};
pub use owner::port_owner;
pub use pool::{choose_subnet, choose_subnet_v6};
pub use publish::{Entrance, PortRule, publish};

use channel::Channel;

/// A conversation with the kernel about the links, addresses and routes of the namespace in which it
/// was opened. May be shared between threads; they take turns.
#[derive(Debug)]
pub struct Netlink {
    channel: Channel,
    owner: String,
}

impl Netlink {
    /// Opens one in the calling thread's network namespace; what it makes is marked as `compose`'s.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open() -> Result<Self, NetworkError> {
        Ok(Self { channel: Channel::route()?, owner: "compose".to_owned() })
    }

    /// Marks what is made as belonging to this engine (`Roots::cgroup` is a good tag), so that
    /// [`sweep`] does not touch what an engine with other roots made.
    #[must_use]
    pub fn owned_by(mut self, tag: &str) -> Self {
        tag.clone_into(&mut self.owner);
        self
    }
}
