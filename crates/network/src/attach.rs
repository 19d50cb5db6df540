//! Puts a container's namespace on a bridge.

use crate::bridge::remove_links;
use crate::channel::Channel;
use crate::link::{self, Link, Veth};
use crate::wire::Messages;
use crate::{Netlink, NetworkError, child, namespace, sysctl};
use resource::{ContainerId, Endpoint, IpvlanMode, NetworkDriver, PodName};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tries for a name of the host's end, each with another.
const TRIES: usize = 8;

/// The hardware address for an IPv4 address: `02:42:` and the address, as Docker long did it, so that
/// neighbours' caches stay right when the address goes to another container.
pub fn hardware_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

/// Puts a container's namespace on a bridge, or on an interface of the host's: interface, hardware address, addresses, default routes.
/// `index` is the number of the endpoint. When this returns, packets pass in both directions.
///
/// # Errors
/// The step that the kernel refused; nothing of the interface is left then.
pub fn attach(
    netlink: &Netlink,
    namespace: BorrowedFd<'_>,
    pod: &PodName,
    container: &ContainerId,
    index: usize,
    endpoint: &Endpoint,
) -> Result<(), NetworkError> {
    if !endpoint.driver.has_host() {
        return child::attach(netlink, namespace, container, endpoint);
    }
    let bridge = link::find(&netlink.channel, &endpoint.bridge)?.filter(|found| found.kind == "bridge");
    let bridge = bridge.ok_or_else(|| NetworkError::NoBridge {
        bridge: endpoint.bridge.clone(),
        container: container.short().to_owned(),
    })?;
    let alias = alias(pod, container, endpoint);
    namespace::within(namespace, || {
        let _without_ipv6 = sysctl::WithoutIpv6::unless(has_ipv6(endpoint))?;
        let host = create(netlink, &bridge, namespace, container, index, endpoint, &alias)?;
        configure(netlink, &host, endpoint).inspect_err(|_| {
            let mut batch = Messages::default();
            link::delete_link(&mut batch, host.index, &host.name);
            // The first error is the one that counts; the pair dies with the namespace anyway.
            drop(netlink.channel.tell(&mut batch));
        })
    })
}

/// What the host's end of a container's interface is marked with.
fn alias(pod: &PodName, container: &ContainerId, endpoint: &Endpoint) -> String {
    format!("compose:{}:{}:{}", pod.0, container.short(), endpoint.interface)
}

/// Host's ends of containers' interfaces in the calling thread's namespace, as they were a moment ago.
#[derive(Debug)]
pub struct Wires(BTreeSet<String>);

impl Wires {
    /// Lists them.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn list(netlink: &Netlink) -> Result<Self, NetworkError> {
        Ok(Self(link::all(netlink)?.into_iter().map(|link| link.alias).collect()))
    }

    /// Whether this interface of a container has its other end here; one that has no other end, whether
    /// it is there.
    pub fn lead_to(
        &self,
        namespace: BorrowedFd<'_>,
        pod: &PodName,
        container: &ContainerId,
        endpoint: &Endpoint,
    ) -> bool {
        if endpoint.driver.has_host() {
            return self.0.contains(&alias(pod, container, endpoint));
        }
        let found = namespace::within(namespace, || link::find(&Channel::route()?, &endpoint.interface));
        found.is_ok_and(|found| found.is_some())
    }
}

/// [`attach`] for a container whose interface has lost its other end. What is left of it goes first: the
/// kernel removes it with the namespace of that end, but some time later.
///
/// # Errors
/// As [`attach`].
pub fn attach_again(
    netlink: &Netlink,
    namespace: BorrowedFd<'_>,
    pod: &PodName,
    container: &ContainerId,
    index: usize,
    endpoint: &Endpoint,
) -> Result<(), NetworkError> {
    namespace::within(namespace, || {
        let inside = Netlink::open()?;
        let left = link::find(&inside.channel, &endpoint.interface)?;
        remove_links(&inside, left.as_slice())
    })?;
    attach(netlink, namespace, pod, container, index, endpoint)
}

fn create(
    netlink: &Netlink,
    bridge: &Link,
    namespace: BorrowedFd<'_>,
    container: &ContainerId,
    index: usize,
    endpoint: &Endpoint,
    alias: &str,
) -> Result<Link, NetworkError> {
    let (mac, mtu) = (endpoint.mac, endpoint.mtu);
    for attempt in 1.. {
        let host = host_name(container, index);
        let interface = endpoint.interface.as_str();
        let mut batch = Messages::default();
        link::create_veth(
            &mut batch,
            &Veth { host: &host, interface, mac, mtu, bridge: bridge.index, namespace },
        );
        link::configure_port(&mut batch, &host, alias, bridge.group == link::SILENT_GROUP);
        link::set_up(&mut batch, 0, &host);
        link::get_link(&mut batch, &host);
        match link::tell_and_find(&netlink.channel, &mut batch) {
            // The host's end of a dead container lingers until the kernel gets round to it. A name
            // taken inside gives the same error, and stays taken.
            Err(error) if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) && attempt < TRIES => {}
            other => return other,
        }
    }
    unreachable!("the loop returns in its last round")
}

/// Fifteen bytes: six digits of the container's id, the endpoint's number, something fresh.
fn host_name(container: &ContainerId, index: usize) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let digit = |number: u32| char::from_digit(number % 36, 36).unwrap_or('0');
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.subsec_nanos());
    let mut fresh =
        (clock >> 6) ^ COUNTER.fetch_add(0x9e37_79b1, Ordering::Relaxed) ^ std::process::id().rotate_left(11);
    let mut name = format!("cv{}", container.0.get(..6).unwrap_or(&container.0));
    name.push(digit(u32::try_from(index).unwrap_or(0)));
    for _ in 0..6 {
        name.push(digit(fresh));
        fresh /= 36;
    }
    name
}

/// Does the rest inside the container's namespace, where the thread is.
fn configure(netlink: &Netlink, host: &Link, endpoint: &Endpoint) -> Result<(), NetworkError> {
    let name = endpoint.interface.as_str();
    let inside = Channel::route()?;
    equip(&inside, host.peer, endpoint)?;
    // The host's end has its carrier now, and the bridge with its first port, but the kernel acts on
    // that some time later and drops what comes before. Asking for a link makes it act now.
    link::find(&netlink.channel, &host.name)?;
    link::find(&netlink.channel, &endpoint.bridge)?;
    if has_ipv6(endpoint) {
        link::find(&inside, name)?;
    }
    // Neighbours hear of the address now that somebody can hear.
    let mut batch = Messages::default();
    link::notify_neighbours(&mut batch, host.peer, name);
    link::set_hardware_address(&mut batch, host.peer, name, endpoint.mac);
    inside.tell(batch.acknowledged())
}

pub(crate) fn has_ipv6(endpoint: &Endpoint) -> bool {
    let leased = endpoint.addresses.iter().map(|(address, _)| address);
    leased.chain(&endpoint.spec.link_local).any(std::net::IpAddr::is_ipv6)
}

/// Gives an interface its settings, addresses and routes and switches it on, inside its namespace. One
/// without IPv6 was made [so](sysctl::WithoutIpv6).
pub(crate) fn equip(inside: &Channel, index: u32, endpoint: &Endpoint) -> Result<(), NetworkError> {
    let name = endpoint.interface.as_str();
    if has_ipv6(endpoint) {
        sysctl::heed_nobody(name)?;
    }
    for (key, value) in &endpoint.spec.sysctls {
        sysctl::interface(key, name, value)?;
    }
    let mut batch = Messages::default();
    for (address, prefix) in &endpoint.addresses {
        link::add_address(&mut batch, index, name, *address, *prefix);
    }
    for address in &endpoint.spec.link_local {
        // 169.254.0.0/16 and fe80::/64.
        let prefix = if address.is_ipv4() { 16 } else { 64 };
        link::add_address(&mut batch, index, name, *address, prefix);
    }
    link::set_up(&mut batch, index, name);
    let without_neighbours = matches!(endpoint.driver, NetworkDriver::Ipvlan(mode) if mode != IpvlanMode::L2);
    let gateways = endpoint.gateways.iter().filter(|_| endpoint.default_route);
    for gateway in gateways {
        if without_neighbours {
            link::add_device_route(&mut batch, index, name, *gateway);
        } else {
            link::add_default_route(&mut batch, index, name, *gateway);
        }
    }
    inside.tell(batch.acknowledged())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_fit_and_never_repeat() {
        let container = ContainerId("0123456789ab".repeat(5));
        let names: std::collections::BTreeSet<_> = (0..1000).map(|_| host_name(&container, 3)).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.len() == 15 && name.starts_with("cv0123453")));
    }
}
