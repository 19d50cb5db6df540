//! The rtnetlink messages used here: links, addresses, routes. Numbers are those of
//! linux/rtnetlink.h, if_link.h, if_addr.h and veth.h.

use crate::channel::Channel;
use crate::wire::{self, Attributes, CREATE, DUMP, EXCLUSIVE, Messages, REPLACE};
use crate::{Netlink, NetworkError};
use resource::{IpvlanMode, MacvlanMode, NetworkDriver, Subnet};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

const LINK_ADDRESS: u16 = 1;
const LINK_NAME: u16 = 3;
const LINK_MTU: u16 = 4;
/// Index of a veth's other end, or of the interface that a link is on.
const LINK_BELOW: u16 = 5;
const LINK_MASTER: u16 = 10;
const LINK_INFO: u16 = 18;
const LINK_ALIAS: u16 = 20;
const LINK_FAMILIES: u16 = 26;
const LINK_GROUP: u16 = 27;
const LINK_NAMESPACE: u16 = 28;
const LINK_EXTENT: u16 = 29;
const LINK_SEND_QUEUES: u16 = 31;
const LINK_RECEIVE_QUEUES: u16 = 32;
/// In a request for links: leave the statistics out.
const WITHOUT_STATISTICS: u32 = 8;

const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const INFO_PORT_KIND: u16 = 4;
const INFO_PORT_DATA: u16 = 5;
const VETH_PEER: u16 = 1;
const PORT_HAIRPIN: u16 = 4;
const PORT_ISOLATED: u16 = 33;
const VLAN_NUMBER: u16 = 1;
const MACVLAN_MODE: u16 = 1;
const IPVLAN_MODE: u16 = 1;

const FAMILY_INET: u8 = 2;
const FAMILY_INET6: u8 = 10;
const INET_SETTINGS: u16 = 1;
/// `arp_notify`: neighbours are told when the interface comes up or changes its address.
const ARP_NOTIFY: u16 = 22;
/// `route_localnet`: 127.0.0.0/8 may be routed through the interface.
const ROUTE_LOCALNET: u16 = 26;
const INET6_GENERATION: u16 = 8;
const NO_GENERATION: u8 = 1;

const UP: u32 = 1;
/// An IPv6 address is used at once, without asking whether somebody has it.
const NO_DETECTION: u8 = 2;

/// The group of bridges whose containers may not talk to one another. Any other bridge has group 0.
pub(crate) const SILENT_GROUP: u32 = 0x636f_6d70;

/// What is known of a link.
#[derive(Debug, Clone, Default)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) alias: String,
    /// Hardware address; zeros when it has none of six bytes.
    pub(crate) mac: [u8; 6],
    pub(crate) group: u32,
    /// Index of a veth's other end, in the other end's namespace.
    pub(crate) peer: u32,
}

impl Link {
    fn read(payload: &[u8]) -> Option<Self> {
        let mut link = Self { index: wire::u32_at(payload, 4)?, ..Self::default() };
        for (kind, value) in wire::attributes(payload.get(16..)?) {
            match kind {
                LINK_NAME => link.name = wire::text(value),
                LINK_ALIAS => link.alias = wire::text(value),
                LINK_ADDRESS => link.mac = value.try_into().unwrap_or_default(),
                LINK_GROUP => link.group = wire::u32_at(value, 0)?,
                LINK_BELOW => link.peer = wire::u32_at(value, 0)?,
                LINK_INFO => {
                    link.kind = wire::attribute(value, INFO_KIND).map(wire::text).unwrap_or_default()
                }
                _ => {}
            }
        }
        Some(link)
    }
}

fn link_header(index: u32, flags: u32, changed: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&changed.to_ne_bytes());
    header
}

/// Whether the kernel speaks IPv6 at all.
pub(crate) fn kernel_has_ipv6() -> bool {
    static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *KNOWN.get_or_init(|| std::path::Path::new("/proc/sys/net/ipv6").exists())
}

/// The link of this name, if there is one. Also makes the kernel act on a pending change of its carrier.
pub(crate) fn find(channel: &Channel, name: &str) -> Result<Option<Link>, NetworkError> {
    let mut batch = Messages::default();
    get_link(&mut batch, name);
    let mut found = None;
    match channel.ask(&mut batch, |message| found = Link::read(message.payload)) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => Ok(None),
        other => other.map(|()| found),
    }
}

/// Sends a batch that ends in [`get_link`] and gives what that found.
pub(crate) fn tell_and_find(channel: &Channel, batch: &mut Messages) -> Result<Link, NetworkError> {
    let mut found = None;
    channel.ask(batch, |message| found = Link::read(message.payload))?;
    found.ok_or_else(|| NetworkError::Answer { attempt: batch.attempt(batch.len() - 1).what })
}

/// Every link of the namespace.
pub(crate) fn all(netlink: &Netlink) -> Result<Vec<Link>, NetworkError> {
    let mut batch = Messages::default();
    batch.add((GET_LINK, DUMP), "list the interfaces", &link_header(0, 0, 0), |attributes| {
        attributes.number(LINK_EXTENT, WITHOUT_STATISTICS);
    });
    let mut links = Vec::new();
    netlink.channel.ask(&mut batch, |message| links.extend(Link::read(message.payload)))?;
    Ok(links)
}

/// Destinations of every route of the namespace, default routes excepted.
pub fn route_destinations(netlink: &Netlink) -> Result<Vec<Subnet>, NetworkError> {
    let mut batch = Messages::default();
    batch.add((GET_ROUTE, DUMP), "list the routes", &[0; 12], |_| {});
    let mut destinations = Vec::new();
    netlink.channel.ask(&mut batch, |message| {
        let (Some(&family), Some(&prefix)) = (message.payload.first(), message.payload.get(1)) else {
            return;
        };
        let value = message.payload.get(12..).and_then(|run| wire::attribute(run, 1));
        let address = match (family, value) {
            (FAMILY_INET, Some(value)) => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
            (FAMILY_INET6, Some(value)) => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
            _ => None,
        };
        if let Some(address) = address.filter(|_| prefix > 0) {
            destinations.extend(Subnet::parse(&format!("{address}/{prefix}")));
        }
    })?;
    Ok(destinations)
}

pub(crate) fn get_link(batch: &mut Messages, name: &str) {
    batch.add((GET_LINK, 0), format!("look at interface {name}"), &link_header(0, 0, 0), |attributes| {
        attributes.text(LINK_NAME, name).number(LINK_EXTENT, WITHOUT_STATISTICS);
    });
}

pub(crate) fn delete_link(batch: &mut Messages, index: u32, name: &str) {
    let what = format!("remove interface {name}");
    batch.add((DELETE_LINK, 0), what, &link_header(index, 0, 0), |_| {}).acknowledged();
}

/// Removes several links at once: they are put in a group that nobody else uses, and the group goes.
pub(crate) fn delete_links(batch: &mut Messages, links: &[Link]) {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let group = 0x8000_0000 | (clock.subsec_nanos() ^ std::process::id().rotate_left(15));
    for link in links {
        let what = format!("put {} among the interfaces to remove", link.name);
        batch.add((NEW_LINK, 0), what, &link_header(link.index, 0, 0), |attributes| {
            attributes.number(LINK_GROUP, group);
        });
    }
    let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
    let what = format!("remove interfaces {}", names.join(", "));
    batch.add((DELETE_LINK, 0), what, &link_header(0, 0, 0), |attributes| {
        attributes.number(LINK_GROUP, group);
    });
    batch.acknowledged();
}

/// Makes a bridge.
pub(crate) fn create_bridge(batch: &mut Messages, name: &str, mac: [u8; 6], mtu: u32, group: u32) {
    let header = link_header(0, 0, 0);
    batch
        .add((NEW_LINK, CREATE | EXCLUSIVE), format!("make bridge {name}"), &header, |attributes| {
            attributes.text(LINK_NAME, name).bytes(LINK_ADDRESS, &mac).number(LINK_MTU, mtu);
            attributes.number(LINK_GROUP, group).nest(LINK_INFO, |info| {
                info.text(INFO_KIND, "bridge");
            });
        })
        .needs("bridges (CONFIG_BRIDGE)");
}

/// Gives a bridge its alias and lets 127.0.0.0/8 through it (published ports on the loopback address).
pub(crate) fn configure_bridge(batch: &mut Messages, index: u32, name: &str, alias: &str, localnet: bool) {
    let what = format!("configure bridge {name}");
    batch.add((NEW_LINK, 0), what, &link_header(index, 0, 0), |attributes| {
        attributes.bytes(LINK_ALIAS, alias.as_bytes()).nest(LINK_FAMILIES, |families| {
            inet_setting(families, ROUTE_LOCALNET, u32::from(localnet));
            no_link_local(families);
        });
    });
}

/// Sets the maximum transmission unit.
pub(crate) fn set_mtu(batch: &mut Messages, index: u32, name: &str, mtu: u32) {
    let what = format!("set the MTU of {name} to {mtu}");
    batch.add((NEW_LINK, 0), what, &link_header(index, 0, 0), |attributes| {
        attributes.number(LINK_MTU, mtu);
    });
}

fn inet_setting(families: &mut Attributes, setting: u16, value: u32) {
    families.nest(u16::from(FAMILY_INET), |family| {
        family.nest(INET_SETTINGS, |settings| {
            settings.number(setting, value);
        });
    });
}

/// No IPv6 address of the kernel's own making.
fn no_link_local(families: &mut Attributes) {
    if kernel_has_ipv6() {
        families.nest(u16::from(FAMILY_INET6), |family| {
            family.bytes(INET6_GENERATION, &[NO_GENERATION]);
        });
    }
}

/// Switches a link on; by index, or by name where the index is 0.
pub(crate) fn set_up(batch: &mut Messages, index: u32, name: &str) {
    batch.add((NEW_LINK, 0), format!("switch {name} on"), &link_header(index, UP, UP), |attributes| {
        if index == 0 {
            attributes.text(LINK_NAME, name);
        }
    });
}

/// The two ends of a veth to be.
pub(crate) struct Veth<'a> {
    /// Name of the host's end.
    pub(crate) host: &'a str,
    /// Name of the end inside.
    pub(crate) interface: &'a str,
    /// Hardware address of the end inside.
    pub(crate) mac: [u8; 6],
    /// Bytes, both ends.
    pub(crate) mtu: u32,
    /// Index of the bridge for the host's end.
    pub(crate) bridge: u32,
    /// Where the end inside is made.
    pub(crate) namespace: BorrowedFd<'a>,
}

/// Makes a veth with its host end on the bridge and its peer in the namespace, ready named: moving and
/// renaming one costs milliseconds. One queue per end: more bring nothing and cost by the processor.
pub(crate) fn create_veth(batch: &mut Messages, veth: &Veth<'_>) {
    let what = format!("make interface {} and its peer {}", veth.interface, veth.host);
    let header = link_header(0, 0, 0);
    batch
        .add((NEW_LINK, CREATE | EXCLUSIVE), what, &header, |attributes| {
            attributes.text(LINK_NAME, veth.host).number(LINK_MTU, veth.mtu).number(LINK_MASTER, veth.bridge);
            attributes.number(LINK_SEND_QUEUES, 1).number(LINK_RECEIVE_QUEUES, 1);
            attributes.nest(LINK_INFO, |info| {
                info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
                    data.nest(VETH_PEER, |peer| {
                        let namespace = veth.namespace.as_raw_fd().cast_unsigned();
                        peer.raw(&link_header(0, 0, 0)).text(LINK_NAME, veth.interface);
                        peer.bytes(LINK_ADDRESS, &veth.mac).number(LINK_MTU, veth.mtu);
                        peer.number(LINK_SEND_QUEUES, 1).number(LINK_RECEIVE_QUEUES, 1);
                        peer.number(LINK_NAMESPACE, namespace);
                    });
                });
            });
        })
        .needs("veth pairs (CONFIG_VETH)");
}

/// Makes an interface that leads nowhere: a veth whose other end, switched on too, is left alone.
pub(crate) fn create_loose_end(batch: &mut Messages, name: &str, other: &str) {
    let what = format!("make interface {name}");
    batch
        .add((NEW_LINK, CREATE | EXCLUSIVE), what, &link_header(0, 0, 0), |attributes| {
            attributes.text(LINK_NAME, name).nest(LINK_INFO, |info| {
                info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
                    data.nest(VETH_PEER, |peer| {
                        peer.raw(&link_header(0, 0, 0)).text(LINK_NAME, other);
                    });
                });
            });
        })
        .needs("veth pairs (CONFIG_VETH)");
    set_up(batch, 0, other);
}

/// Makes the interface of a VLAN.
pub(crate) fn create_vlan(batch: &mut Messages, name: &str, below: u32, number: u16) {
    let header = link_header(0, 0, 0);
    batch
        .add((NEW_LINK, CREATE | EXCLUSIVE), format!("make VLAN {name}"), &header, |attributes| {
            attributes.text(LINK_NAME, name).number(LINK_BELOW, below).nest(LINK_INFO, |info| {
                info.text(INFO_KIND, "vlan").nest(INFO_DATA, |data| {
                    data.bytes(VLAN_NUMBER, &number.to_ne_bytes());
                });
            });
        })
        .needs("VLANs (CONFIG_VLAN_8021Q)");
}

/// Gives a link its alias.
pub(crate) fn mark(batch: &mut Messages, index: u32, name: &str, alias: &str) {
    batch.add((NEW_LINK, 0), format!("mark interface {name}"), &link_header(index, 0, 0), |attributes| {
        attributes.bytes(LINK_ALIAS, alias.as_bytes());
    });
}

/// An interface on another one, to be made in a namespace.
pub(crate) struct Child<'a> {
    /// Macvlan or ipvlan.
    pub(crate) driver: NetworkDriver,
    /// Its name.
    pub(crate) interface: &'a str,
    /// Hardware address; an ipvlan interface has its parent's.
    pub(crate) mac: [u8; 6],
    /// Bytes; 0 is the parent's.
    pub(crate) mtu: u32,
    /// Index of the parent.
    pub(crate) parent: u32,
    /// Where it is made.
    pub(crate) namespace: BorrowedFd<'a>,
}

/// Makes a macvlan or ipvlan interface.
pub(crate) fn create_child(batch: &mut Messages, child: &Child<'_>) {
    let kind = child.driver.as_str();
    let what = format!("make the {kind} interface {}", child.interface);
    batch.add((NEW_LINK, CREATE | EXCLUSIVE), what, &link_header(0, 0, 0), |attributes| {
        attributes.text(LINK_NAME, child.interface).number(LINK_BELOW, child.parent);
        attributes.number(LINK_NAMESPACE, child.namespace.as_raw_fd().cast_unsigned());
        if child.mtu > 0 {
            attributes.number(LINK_MTU, child.mtu);
        }
        if matches!(child.driver, NetworkDriver::Macvlan(_)) {
            attributes.bytes(LINK_ADDRESS, &child.mac);
        }
        attributes.nest(LINK_INFO, |info| {
            info.text(INFO_KIND, kind).nest(INFO_DATA, |data| child_mode(data, child.driver));
        });
    });
    batch.needs("macvlan and ipvlan (CONFIG_MACVLAN, CONFIG_IPVLAN)");
}

fn child_mode(data: &mut Attributes, driver: NetworkDriver) {
    match driver {
        NetworkDriver::Bridge => {}
        NetworkDriver::Macvlan(mode) => {
            let number = match mode {
                MacvlanMode::Private => 1,
                MacvlanMode::Vepa => 2,
                MacvlanMode::Bridge => 4,
                MacvlanMode::Passthru => 8,
            };
            data.number(MACVLAN_MODE, number);
        }
        NetworkDriver::Ipvlan(mode) => {
            let number: u16 = match mode {
                IpvlanMode::L2 => 0,
                IpvlanMode::L3 => 1,
                IpvlanMode::L3s => 2,
            };
            data.bytes(IPVLAN_MODE, &number.to_ne_bytes());
        }
    }
}

/// Makes a bridge port what containers need: packets may leave where they came from (a container that
/// reaches itself by a published port), and for `isolated` ports not to one another.
pub(crate) fn configure_port(batch: &mut Messages, host: &str, alias: &str, isolated: bool) {
    let what = format!("configure bridge port {host}");
    batch.add((NEW_LINK, 0), what, &link_header(0, 0, 0), |attributes| {
        attributes.text(LINK_NAME, host).bytes(LINK_ALIAS, alias.as_bytes()).nest(LINK_INFO, |info| {
            info.text(INFO_PORT_KIND, "bridge").nest(INFO_PORT_DATA, |port| {
                port.bytes(PORT_HAIRPIN, &[1]);
                if isolated {
                    port.bytes(PORT_ISOLATED, &[1]);
                }
            });
        });
        attributes.nest(LINK_FAMILIES, no_link_local);
    });
}

/// Has neighbours told of the hardware address when it is set or the interface comes up.
pub(crate) fn notify_neighbours(batch: &mut Messages, index: u32, name: &str) {
    let what = format!("configure interface {name}");
    batch.add((NEW_LINK, 0), what, &link_header(index, 0, 0), |attributes| {
        attributes.nest(LINK_FAMILIES, |families| inet_setting(families, ARP_NOTIFY, 1));
    });
}

/// Sets the hardware address (again: [`notify_neighbours`]).
pub(crate) fn set_hardware_address(batch: &mut Messages, index: u32, name: &str, mac: [u8; 6]) {
    let what = format!("set the hardware address of {name}");
    batch.add((NEW_LINK, 0), what, &link_header(index, 0, 0), |attributes| {
        attributes.bytes(LINK_ADDRESS, &mac);
    });
}

/// Adds an address, usable at once.
pub(crate) fn add_address(batch: &mut Messages, index: u32, name: &str, address: IpAddr, prefix: u8) {
    let flags = if address.is_ipv6() { NO_DETECTION } else { 0 };
    let mut header = [family(address), prefix, flags, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let what = format!("give {name} the address {address}/{prefix}");
    batch.add((NEW_ADDRESS, CREATE | REPLACE), what, &header, |attributes| {
        let bytes = octets(address);
        attributes.bytes(2, &bytes).bytes(1, &bytes);
        if let IpAddr::V4(v4) = address
            && prefix < 31
        {
            let broadcast = u32::from(v4) | (u32::MAX >> prefix);
            attributes.bytes(4, &broadcast.to_be_bytes());
        }
    });
}

/// Adds the default route of the gateway's family.
pub(crate) fn add_default_route(batch: &mut Messages, index: u32, name: &str, gateway: IpAddr) {
    let what = format!("route through {gateway} on {name}");
    // Main table, set at boot, universe, unicast.
    let header = [family(gateway), 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    batch.add((NEW_ROUTE, CREATE | REPLACE), what, &header, |attributes| {
        attributes.bytes(5, &octets(gateway)).number(4, index);
    });
}

/// Routes everything of the address's family by the interface, without a gateway.
pub(crate) fn add_device_route(batch: &mut Messages, index: u32, name: &str, like: IpAddr) {
    // Main table, set at boot, on this link, unicast.
    let header = [family(like), 0, 0, 0, 254, 3, 253, 1, 0, 0, 0, 0];
    batch.add((NEW_ROUTE, CREATE | REPLACE), format!("route through {name}"), &header, |attributes| {
        attributes.number(4, index);
    });
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { FAMILY_INET } else { FAMILY_INET6 }
}

/// The address in the network's order.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
