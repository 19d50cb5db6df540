//! Networks of the host's that containers are on themselves: a macvlan or ipvlan interface, made inside
//! the container's namespace on an interface of the host's, the parent.
//!
//! Two kinds of parents are made here, marked like bridges, and go with their network: one that leads
//! nowhere where no parent is named, and `eth0.50`, the VLAN 50 of `eth0`, where that does not exist.

use crate::attach::{equip, has_ipv6};
use crate::bridge::remove_links;
use crate::channel::Channel;
use crate::link::{self, Child, Link};
use crate::wire::Messages;
use crate::{Netlink, NetworkError, namespace, sysctl};
use resource::{ContainerId, Endpoint, NetworkDriver, NetworkRecord};
use std::os::fd::BorrowedFd;

/// Driver option with the parent's name.
const PARENT: &str = "parent";
/// Numbers that a VLAN may have.
const VLANS: std::ops::RangeInclusive<u16> = 1..=4094;

/// Makes sure of the network's parent. One that was there before is left as it is.
pub(crate) fn parent_up(netlink: &Netlink, record: &NetworkRecord) -> Result<(), NetworkError> {
    let name = &record.bridge;
    let found = link::find(&netlink.channel, name)?;
    let mark = netlink.alias(&record.spec.name);
    if found.as_ref().is_some_and(|found| found.alias != mark && !is_unfinished(found)) {
        return Ok(());
    }
    let parent = match found {
        Some(found) => found,
        None => create(netlink, record)?,
    };
    let mut batch = Messages::default();
    link::mark(&mut batch, parent.index, name, &mark);
    link::set_up(&mut batch, parent.index, name);
    netlink.channel.tell(batch.acknowledged())
}

/// Whether its maker was killed before it could be marked: nobody else names a veth like this.
fn is_unfinished(found: &Link) -> bool {
    found.alias.is_empty() && found.kind == "veth" && found.name.starts_with("cb-")
}

fn create(netlink: &Netlink, record: &NetworkRecord) -> Result<Link, NetworkError> {
    let name = &record.bridge;
    let mut batch = Messages::default();
    if record.spec.options.contains_key(PARENT) {
        let missing = || NetworkError::NoParent { parent: name.clone(), network: record.spec.name.0.clone() };
        let (below, number) = vlan(name).ok_or_else(missing)?;
        let below = link::find(&netlink.channel, below)?.ok_or_else(missing)?;
        link::create_vlan(&mut batch, name, below.index, number);
    } else {
        link::create_loose_end(&mut batch, name, &name.replacen("cb-", "cp-", 1));
    }
    link::get_link(&mut batch, name);
    link::tell_and_find(&netlink.channel, &mut batch)
}

/// `eth0.50` is the VLAN 50 of `eth0`.
fn vlan(name: &str) -> Option<(&str, u16)> {
    let (below, number) = name.rsplit_once('.')?;
    Some((below, number.parse().ok().filter(|number| VLANS.contains(number))?))
}

/// Removes the parent if it was made for this network.
pub(crate) fn parent_down(netlink: &Netlink, record: &NetworkRecord) -> Result<(), NetworkError> {
    let mark = netlink.alias(&record.spec.name);
    let found = link::find(&netlink.channel, &record.bridge)?;
    let ours = found.filter(|found| found.alias == mark || is_unfinished(found));
    remove_links(netlink, ours.as_slice())
}

/// Puts a container's namespace on the parent.
pub(crate) fn attach(
    netlink: &Netlink,
    namespace: BorrowedFd<'_>,
    container: &ContainerId,
    endpoint: &Endpoint,
) -> Result<(), NetworkError> {
    let parent = link::find(&netlink.channel, &endpoint.bridge)?.ok_or_else(|| NetworkError::NoBridge {
        bridge: endpoint.bridge.clone(),
        container: container.short().to_owned(),
    })?;
    let interface = endpoint.interface.as_str();
    let mut batch = Messages::default();
    let (driver, mac, mtu) = (endpoint.driver, endpoint.mac, endpoint.mtu);
    link::create_child(&mut batch, &Child { driver, interface, mac, mtu, parent: parent.index, namespace });
    namespace::within(namespace, || {
        let _without_ipv6 = sysctl::WithoutIpv6::unless(has_ipv6(endpoint))?;
        netlink.channel.tell(batch.acknowledged())?;
        let inside = Channel::route()?;
        let made = link::find(&inside, interface)?;
        let index = made.map_or(0, |made| made.index);
        equip(&inside, index, endpoint)?;
        let mut batch = Messages::default();
        // The hardware address of an ipvlan interface is its parent's.
        if matches!(driver, NetworkDriver::Macvlan(_)) {
            link::notify_neighbours(&mut batch, index, interface);
            link::set_hardware_address(&mut batch, index, interface, mac);
            inside.tell(batch.acknowledged())?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::vlan;

    #[test]
    fn a_vlan_is_named_after_what_is_below_it() {
        assert_eq!(vlan("eth0.50"), Some(("eth0", 50)));
        assert_eq!(vlan("br.lan.7"), Some(("br.lan", 7)));
        for name in ["eth0", "eth0.", "eth0.0", "eth0.4095", "eth0.x"] {
            assert_eq!(vlan(name), None, "{name}");
        }
    }
}
