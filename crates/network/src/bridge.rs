//! Bridges: one per network, with its addresses and its chains.
//!
//! What a network's chains say, in the words of `nft`:
//! ```text
//! BRIDGE-nat     postrouting   out by another interface: masquerade the network's addresses
//!                              onto the bridge: masquerade what comes from 127.0.0.0/8, and redirected
//!                              connections of the network's own (a container reaching a published port)
//! BRIDGE-filter  forward       onto the bridge from elsewhere: only answers and published ports;
//!                              of an internal network: nothing in, nothing out; of a routed one, the
//!                              chains of the pods decide
//! BRIDGE-guard   prerouting    nothing from or to 127.0.0.0/8 comes in by the bridge: containers do not
//!                              reach what listens on the host's loopback, although route_localnet is on
//! ```

use crate::rule::{End, Rule};
use crate::table::{self, Chain, Family, Hook};
use crate::wire::Messages;
use crate::{Netlink, NetworkError, child, link, sysctl};
use resource::{NetworkName, NetworkRecord, Subnet};
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LOOPBACK: Subnet = Subnet { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 };
const LINK_LOCAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
/// Driver option: containers of the network may talk to one another; on by default.
const BETWEEN_CONTAINERS: &str = "com.docker.network.bridge.enable_icc";
/// Driver option: what leaves goes out under the host's address; on by default.
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// Driver options, one for each family: `nat` by default; `nat-unprotected`, where others than the host
/// reach every port of the containers; `routed`, where they reach the published ones, and nothing is
/// masqueraded; `isolated`, where the host has no address on the bridge.
const GATEWAY_MODES: [(&str, IpAddr); 2] = [
    ("com.docker.network.bridge.gateway_mode_ipv4", IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    ("com.docker.network.bridge.gateway_mode_ipv6", IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
];

/// The bridge name of a network whose options name none: `cb-` and twelve digits of its id.
pub fn bridge_name(id: &str) -> String {
    format!("cb-{}", id.get(..12).unwrap_or(id))
}

/// The gateway of a block: its first address after the network address.
pub fn default_gateway(subnet: &Subnet) -> IpAddr {
    match subnet.address {
        IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).wrapping_add(1).into()),
        IpAddr::V6(v6) => IpAddr::V6(u128::from(v6).wrapping_add(1).into()),
    }
}

/// What `host-gateway` means to containers of this network: the host's address on the bridge.
pub fn gateway_for_host(record: &NetworkRecord) -> Option<IpAddr> {
    let gateways = || record.subnets.iter().map(|(_, gateway)| *gateway);
    gateways().find(IpAddr::is_ipv4).or_else(|| gateways().next())
}

/// Whether an interface of this name exists in the current namespace.
pub fn bridge_exists(name: &str) -> bool {
    nix::net::if_::if_nametoindex(name).is_ok()
}

/// Makes the network's bridge with its addresses and its chains, and switches forwarding on. Makes an
/// existing one right.
///
/// # Errors
/// The step that the kernel refused.
pub fn bridge_up(netlink: &Netlink, record: &NetworkRecord) -> Result<(), NetworkError> {
    bridges_up(netlink, std::slice::from_ref(record))
}

/// [`bridge_up`] for several networks, with one change of the packet filter.
///
/// # Errors
/// The step that the kernel refused.
pub fn bridges_up(netlink: &Netlink, records: &[NetworkRecord]) -> Result<(), NetworkError> {
    for record in records {
        if record.spec.driver.has_host() {
            make(netlink, record)?
        } else {
            child::parent_up(netlink, record)?
        }
    }
    let bridges = || records.iter().filter(|record| record.spec.driver.has_host());
    let routed = || bridges().filter(|record| !record.spec.internal).flat_map(|record| &record.subnets);
    if routed().any(|(subnet, _)| subnet.address.is_ipv4()) {
        sysctl::forward_ipv4()?;
    }
    if routed().any(|(subnet, _)| subnet.address.is_ipv6()) {
        sysctl::forward_ipv6()?;
    }
    let chains: Vec<_> = bridges().flat_map(|record| chains(netlink, record)).collect();
    if chains.is_empty() {
        return Ok(());
    }
    table::replace(&*table::router()?, Family::Inet, &chains)
}

fn make(netlink: &Netlink, record: &NetworkRecord) -> Result<(), NetworkError> {
    let name = &record.bridge;
    let found = match link::find(&netlink.channel, name)? {
        Some(found) if found.kind == "bridge" => found,
        Some(_) => return Err(NetworkError::NameTaken { bridge: name.clone() }),
        None => create(netlink, record)?,
    };
    let with_ipv6 = record.subnets.iter().any(|(subnet, _)| subnet.address.is_ipv6());
    sysctl::bridge_ipv6(name, with_ipv6)?;
    let alias = if is_ours(&found, record) { netlink.alias(&record.spec.name) } else { found.alias };
    let mut batch = Messages::default();
    link::configure_bridge(&mut batch, found.index, name, &alias, !record.spec.internal);
    link::set_mtu(&mut batch, found.index, name, record.mtu);
    let isolated = |family: &IpAddr| gateway_mode(record, *family) == "isolated";
    for (subnet, gateway) in record.subnets.iter().filter(|(_, gateway)| !isolated(gateway)) {
        link::add_address(&mut batch, found.index, name, *gateway, subnet.prefix);
    }
    if with_ipv6 {
        // Questions about neighbours on behalf of others are asked from a link-local address only.
        link::add_address(&mut batch, found.index, name, LINK_LOCAL, 64);
    }
    link::set_up(&mut batch, found.index, name);
    batch.acknowledged();
    netlink.channel.tell(&mut batch)
}

fn create(netlink: &Netlink, record: &NetworkRecord) -> Result<link::Link, NetworkError> {
    let silent = record.spec.options.get(BETWEEN_CONTAINERS).is_some_and(|value| value == "false");
    let group = if silent { link::SILENT_GROUP } else { 0 };
    let mut batch = Messages::default();
    // A bridge without an address of its own takes over those of its ports, and changes it as they go.
    let mac = locally_administered(&record.id);
    link::create_bridge(&mut batch, &record.bridge, mac, record.mtu, group);
    link::get_link(&mut batch, &record.bridge);
    match link::tell_and_find(&netlink.channel, &mut batch) {
        // Somebody made it in between; what matters is set right below.
        Err(error) if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => {
            let found = link::find(&netlink.channel, &record.bridge)?;
            found
                .filter(|link| link.kind == "bridge")
                .ok_or(NetworkError::NameTaken { bridge: record.bridge.clone() })
        }
        other => other,
    }
}

/// Whether we made this bridge: it has our alias or, when its maker was killed before it could give it
/// one, the hardware address that it was made with.
fn is_ours(found: &link::Link, record: &NetworkRecord) -> bool {
    let unfinished = found.alias.is_empty() && found.mac == locally_administered(&record.id);
    found.alias.starts_with(PREFIX) || unfinished
}

/// A hardware address made of the first digits of a network's id.
fn locally_administered(id: &str) -> [u8; 6] {
    let mut mac = [0x02, 0x42, 0, 0, 0, 0];
    for (place, byte) in mac.iter_mut().skip(2).enumerate() {
        *byte = id
            .get(2 * place..2 * place + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .unwrap_or(0);
    }
    mac
}

/// The chains of one network.
fn chains(netlink: &Netlink, record: &NetworkRecord) -> Vec<Chain> {
    let bridge = record.bridge.as_str();
    let chain = |suffix: &str, hook, rules| Chain {
        name: format!("{bridge}-{suffix}"),
        hook,
        comment: netlink.alias(&record.spec.name),
        rules,
    };
    if record.spec.internal {
        let rules = vec![
            Rule::default().to(bridge).not_from(bridge).drop(),
            Rule::default().from(bridge).not_to(bridge).drop(),
        ];
        return vec![chain("filter", Hook::PASSING, rules)];
    }
    let loopback =
        |end| Rule::default().from(bridge).family_of(LOOPBACK.address).subnet(end, &LOOPBACK).drop();
    vec![
        chain("nat", Hook::LEAVING, masquerades(record)),
        chain("filter", Hook::PASSING, entries(record)),
        chain("guard", Hook::FIRST, vec![loopback(End::Source), loopback(End::Destination)]),
    ]
}

/// How the host is a gateway for one family, given by any address of it.
fn gateway_mode(record: &NetworkRecord, family: IpAddr) -> &str {
    let option = GATEWAY_MODES.iter().find(|(_, like)| like.is_ipv4() == family.is_ipv4());
    option.and_then(|(name, _)| record.spec.options.get(*name)).map_or("nat", String::as_str)
}

/// Whether others reach this address of a container by their own routes, and only its published ports: the
/// chains of its pod see to that (see [`crate::Entrance`]).
pub fn is_routed(record: &NetworkRecord, address: IpAddr) -> bool {
    record.spec.driver.has_host() && gateway_mode(record, address) == "routed"
}

/// What is dropped on the way into the bridge: what belongs to no connection known and to no published
/// port, in the families that are protected here.
fn entries(record: &NetworkRecord) -> Vec<Rule> {
    let entry = |rule: Rule| rule.to(&record.bridge).not_from(&record.bridge).unexpected();
    let open = |family: &IpAddr| matches!(gateway_mode(record, *family), "nat-unprotected" | "routed");
    let families = GATEWAY_MODES.map(|(_, family)| family);
    if !families.iter().any(open) {
        return vec![entry(Rule::default()).not_redirected().drop()];
    }
    let protected = families.iter().filter(|family| !open(family));
    protected.map(|family| entry(Rule::default().family_of(*family)).not_redirected().drop()).collect()
}

fn masquerades(record: &NetworkRecord) -> Vec<Rule> {
    let bridge = record.bridge.as_str();
    let outside = record.spec.options.get(MASQUERADE).is_none_or(|value| value != "false");
    let mut rules = Vec::new();
    for (subnet, _) in record.subnets.iter().filter(|(subnet, _)| !is_routed(record, subnet.address)) {
        let own = |rule: Rule| rule.family_of(subnet.address).subnet(End::Source, subnet);
        if outside {
            rules.push(own(Rule::default().not_to(bridge)).masquerade());
        }
        rules.push(own(Rule::default().to(bridge)).redirected().masquerade());
    }
    let loopback = Rule::default().to(bridge).family_of(LOOPBACK.address).subnet(End::Source, &LOOPBACK);
    rules.push(loopback.masquerade());
    rules
}

/// Removes the network's bridge and chains, and the table with its last chain. What is gone already is
/// no error; a bridge that was there before the network stays.
///
/// # Errors
/// The step that the kernel refused.
pub fn bridge_down(netlink: &Netlink, record: &NetworkRecord) -> Result<(), NetworkError> {
    bridges_down(netlink, std::slice::from_ref(record))
}

/// [`bridge_down`] for several networks, with one change of the packet filter.
///
/// # Errors
/// The step that the kernel refused.
pub fn bridges_down(netlink: &Netlink, records: &[NetworkRecord]) -> Result<(), NetworkError> {
    let ours = |name: &str| {
        let bridge = name.rsplit_once('-').map_or(name, |(bridge, _)| bridge);
        records.iter().any(|record| record.bridge == bridge) && !name.starts_with(crate::publish::PREFIX)
    };
    table::remove(&*table::router()?, |chain| ours(&chain.name))?;
    let mut bridges = Vec::new();
    for record in records {
        if !record.spec.driver.has_host() {
            child::parent_down(netlink, record)?;
            continue;
        }
        bridges.extend(link::find(&netlink.channel, &record.bridge)?.filter(|found| is_ours(found, record)));
    }
    remove_links(netlink, &bridges)
}

/// Removes links. The kernel waits for all its processors several times over for each removal, so
/// several go as one group.
pub(crate) fn remove_links(netlink: &Netlink, links: &[link::Link]) -> Result<(), NetworkError> {
    let mut batch = Messages::default();
    match links {
        [] => return Ok(()),
        [one] => link::delete_link(&mut batch, one.index, &one.name),
        several => link::delete_links(&mut batch, several),
    }
    match netlink.channel.tell(&mut batch) {
        Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(()),
        other => other,
    }
}

/// How the alias of everything of ours begins.
const PREFIX: &str = "compose:";

impl Netlink {
    /// What a network's bridge and chains are marked with.
    pub(crate) fn alias(&self, network: &NetworkName) -> String {
        let mut alias = format!("{PREFIX}{}:{}", self.owner, network.0);
        // The kernel takes 255 bytes.
        alias.truncate(alias.floor_char_boundary(250));
        alias
    }
}

/// Finds and removes what is left of these networks (by name, see [`Netlink::owned_by`]) and pods (by
/// the key given to [`crate::publish()`]), with nothing else known of them. Returns names of what it removed.
///
/// # Errors
/// The step that the kernel refused.
pub fn sweep(
    netlink: &Netlink,
    networks: &[NetworkName],
    pod_keys: &[&str],
) -> Result<Vec<String>, NetworkError> {
    let marks: Vec<_> = networks.iter().map(|network| netlink.alias(network)).collect();
    let pods: Vec<_> = pod_keys.iter().flat_map(|key| crate::publish::chain_names(key)).collect();
    let mut removed = table::remove(&*table::router()?, |chain| {
        marks.contains(&chain.comment) || pods.contains(&chain.name)
    })?;
    let mut bridges = link::all(netlink)?;
    bridges
        .retain(|found| matches!(&*found.kind, "bridge" | "veth" | "vlan") && marks.contains(&found.alias));
    removed.extend(bridges.iter().map(|found| found.name.clone()));
    remove_links(netlink, &bridges)?;
    Ok(removed)
}
