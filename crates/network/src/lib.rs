//! Bridges, addresses, published ports and the resolver's sockets, by netlink alone: no `ip`, no
//! `nft`, no C library.
//!
//! Everything here blocks, is quick, is idempotent, and works in the network namespace of the calling
//! thread (the "router": the host's when rootful). What is made is named after what it belongs to, so
//! that it can be found again without any state:
//!
//! ```text
//! bridge            record.bridge ([`bridge_name`] of the id by default), alias "compose:OWNER:NETWORK-NAME"
//! veth, host end    cvCCCCCCNFFFFF: six digits of the container's id, number, something fresh
//! table             inet compose, removed with its last chain
//! chains, network   BRIDGE-nat, BRIDGE-filter, BRIDGE-guard
//! chains, pod       pod-KEY-in, pod-KEY-out
//! ```

mod error;

pub use error::NetworkError;

use resource::{ContainerId, Endpoint, NetworkName, NetworkRecord, PodName, Protocol, Subnet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{BorrowedFd, OwnedFd};

/// A conversation with the kernel about the links, addresses and routes of the namespace in which it
/// was opened. May be shared between threads; they take turns.
#[derive(Debug)]
pub struct Netlink;

impl Netlink {
    /// Opens one in the calling thread's network namespace; what it makes is marked as `compose`'s.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open() -> Result<Self, NetworkError> {
        todo!()
    }

    /// Marks what is made as belonging to this engine (`Roots::cgroup` is a good tag), so that
    /// [`sweep`] does not touch what an engine with other roots made.
    #[must_use]
    pub fn owned_by(self, _tag: &str) -> Self {
        todo!()
    }
}

/// The lock on a network namespace's address pools, released when dropped or when the process dies.
#[derive(Debug)]
pub struct NamespaceLock;

/// Waits for the lock on the address pools of the current network namespace. Hold it from
/// [`choose_subnet`] until [`bridge_up`] has put the block on a bridge (or its document is written).
///
/// # Errors
/// What open(2) or flock(2) says.
pub fn lock() -> io::Result<NamespaceLock> {
    todo!()
}

/// A free IPv4 block: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 and so on, avoiding every
/// route and name server of this namespace and the blocks in `taken`.
///
/// # Errors
/// `PoolExhausted`, or the routes cannot be read.
pub fn choose_subnet(_nl: &Netlink, _taken: &[Subnet]) -> Result<Subnet, NetworkError> {
    todo!()
}

/// A private IPv6 /64 made from the network's id, avoiding `taken`.
pub fn choose_subnet_v6(_id: &str, _taken: &[Subnet]) -> Subnet {
    todo!()
}

/// The bridge name of a network whose options name none: `cb-` and twelve digits of its id.
pub fn bridge_name(_id: &str) -> String {
    todo!()
}

/// The hardware address for an IPv4 address: `02:42:` and the address, as Docker long did it, so that
/// neighbours' caches stay right when the address goes to another container.
pub fn hardware_address(_address: Ipv4Addr) -> [u8; 6] {
    todo!()
}

/// The gateway of a block: its first address after the network address.
pub fn default_gateway(_subnet: &Subnet) -> IpAddr {
    todo!()
}

/// What `host-gateway` means to containers of this network: the host's address on the bridge.
pub fn gateway_for_host(_record: &NetworkRecord) -> Option<IpAddr> {
    todo!()
}

/// Makes the network's bridge with its addresses and its chains, and switches forwarding on. Makes an
/// existing one right.
///
/// # Errors
/// The step that the kernel refused.
pub fn bridge_up(_nl: &Netlink, _record: &NetworkRecord) -> Result<(), NetworkError> {
    todo!()
}

/// Whether an interface of this name exists in the current namespace.
pub fn bridge_exists(_name: &str) -> bool {
    todo!()
}

/// Removes the network's bridge and chains, and the table with its last chain. What is gone already is
/// no error.
///
/// # Errors
/// The step that the kernel refused.
pub fn bridge_down(_nl: &Netlink, _record: &NetworkRecord) -> Result<(), NetworkError> {
    todo!()
}

/// Removes several networks for little more than the price of one.
///
/// # Errors
/// The step that the kernel refused.
pub fn bridges_down(_nl: &Netlink, _records: &[NetworkRecord]) -> Result<(), NetworkError> {
    todo!()
}

/// Finds and removes what is left of these networks (by name, see [`Netlink::owned_by`]) and pods (by
/// the key given to [`publish`]), with nothing else known of them. Returns names of what it removed.
///
/// # Errors
/// The step that the kernel refused.
pub fn sweep(_nl: &Netlink, _networks: &[NetworkName], _pod_keys: &[&str]) -> Result<Vec<String>, NetworkError> {
    todo!()
}

/// A new network namespace with its loopback up; dies with the last descriptor and process of it.
/// Other threads of the caller are not touched.
///
/// # Errors
/// The step that the kernel refused.
pub fn new_namespace() -> Result<OwnedFd, NetworkError> {
    todo!()
}

/// Puts a container's namespace on a bridge: interface, hardware address, addresses, default routes.
/// `index` is the number of the endpoint.
///
/// # Errors
/// The step that the kernel refused; nothing of the interface is left then.
pub fn attach(
    _nl: &Netlink,
    _namespace: BorrowedFd<'_>,
    _pod: &PodName,
    _container: &ContainerId,
    _index: usize,
    _endpoint: &Endpoint,
) -> Result<(), NetworkError> {
    todo!()
}

/// One published port: packets to it go on to the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRule {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address of the host; `None` (or the unspecified one) is every address of the target's family.
    pub host_ip: Option<IpAddr>,
    /// Port of the host.
    pub host_port: u16,
    /// Address of the container, IPv4 or IPv6.
    pub target_ip: IpAddr,
    /// Port of the container.
    pub target_port: u16,
    /// Bridge the container is on.
    pub bridge: String,
}

/// Publishes exactly these ports for a pod, in place of what it published before, in one step; none
/// removes its chains. The key names the pod on this machine: put the engine's tag in it
/// (`{Roots::cgroup}-{pod}`), so that two engines do not meet.
///
/// # Errors
/// The step that the kernel refused; the rules from before hold then.
pub fn publish(_pod_key: &str, _rules: &[PortRule]) -> Result<(), NetworkError> {
    todo!()
}

/// The resolver's sockets inside a container's namespace.
pub mod resolver {
    use super::{BorrowedFd, NetworkError, OwnedFd};

    /// Bound to 127.0.0.11 on ports of their own; packets to and from port 53 are turned to them
    /// inside the namespace. Non-blocking, close-on-exec; the TCP one listens.
    #[derive(Debug)]
    pub struct Sockets {
        /// Datagrams.
        pub udp: OwnedFd,
        /// A listener.
        pub tcp: OwnedFd,
    }

    /// Opens them; again, after a crash, is fine and replaces the old redirection.
    ///
    /// # Errors
    /// The step that the kernel refused.
    pub fn open(_namespace: BorrowedFd<'_>) -> Result<Sockets, NetworkError> {
        todo!()
    }
}

/// Who holds a port of this namespace: `nginx (pid 4711)`. `None` when nobody is found, or only
/// somebody whose descriptors may not be looked at.
pub fn port_owner(_protocol: Protocol, _ip: Option<IpAddr>, _port: u16) -> Option<String> {
    todo!()
}
