//! Subnets of a copy, and the fixed addresses in them. A subnet that the file gives moves into
//! 10.128.0.0/9, or for IPv6 below fd00::/8, to a place that follows from the project's and the network's
//! name; every address in it keeps its distance from the subnet's first.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use diagnostic::{Diagnostic, Span};

use super::{attachments, hash, is_external, texts};
use crate::tree::{Entry, Map, Node, Value};

/// Where the subnets of a network went.
pub(super) type Moved = Vec<(Block, Block)>;

/// A subnet, or the part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Its first address.
    bits: u128,
    prefix: u32,
    /// 32 or 128.
    width: u32,
}

impl Block {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/')?;
        let (bits, width) = bits(address.parse().ok()?);
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= width)?;
        let block = Self { bits, prefix, width };
        Some(Self { bits: bits & !block.hosts(), ..block })
    }

    /// The bits that tell the addresses of it apart.
    fn hosts(self) -> u128 {
        1_u128.checked_shl(self.width - self.prefix).map_or(u128::MAX, |size| size - 1)
    }

    fn contains(self, (bits, width): (u128, u32)) -> bool {
        width == self.width && bits & !self.hosts() == self.bits
    }

    fn overlaps(self, other: Self) -> bool {
        self.contains((other.bits, other.width)) || other.contains((self.bits, self.width))
    }

    fn text(self) -> String {
        format!("{}/{}", address(self.bits, self.width), self.prefix)
    }

    /// Where a subnet of this size goes; `None`: there is no room for one so large.
    fn moved(self, seed: u64, taken: &[Self]) -> Option<Self> {
        (0..64).map(|step| self.candidate(seed.wrapping_add(step))).find(|candidate| {
            candidate.is_none_or(|candidate| !taken.iter().any(|other| other.overlaps(candidate)))
        })?
    }

    fn candidate(self, seed: u64) -> Option<Self> {
        let bits = match self.width {
            32 if self.prefix >= 12 => {
                let number = u128::from(seed) % (1 << (self.prefix - 9));
                0x0a80_0000 | number << (32 - self.prefix)
            }
            128 if self.prefix >= 48 => {
                let site = u128::from(seed & 0xff_ffff_ffff);
                0xfd << 120 | site << 80 | self.bits & (u128::MAX >> 48)
            }
            _ => return None,
        };
        Some(Self { bits, ..self })
    }
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

fn address(bits: u128, width: u32) -> IpAddr {
    if width == 32 {
        Ipv4Addr::from(u32::try_from(bits).expect("an IPv4 address has 32 bits")).into()
    } else {
        Ipv6Addr::from(bits).into()
    }
}

/// Moves the subnets of the project's own networks, and what their definitions say of addresses in them.
/// Tells of fixed addresses on networks that stay what they are.
pub(super) fn of_networks(
    model: &mut Node,
    project: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Moved> {
    let mut all = BTreeMap::new();
    let mut shared = Vec::new();
    let mut taken = Vec::new();
    for (key, Entry { node, .. }) in
        model.get_mut("networks").and_then(Node::as_map_mut).into_iter().flatten()
    {
        if is_external(node) || matches!(node.str("driver"), Some("macvlan" | "ipvlan")) {
            shared.push(key.clone());
            continue;
        }
        let mut moved = Moved::new();
        let Some(Value::List(pools)) =
            node.get_mut("ipam").and_then(|ipam| ipam.get_mut("config")).map(|pools| &mut pools.value)
        else {
            continue;
        };
        for pool in pools {
            let Some(subnet) = pool.get("subnet") else { continue };
            let Some(old) = subnet.as_str().and_then(Block::parse) else { continue };
            match old.moved(hash(&[project, key, &old.text()]), &taken) {
                Some(new) => moved.push((old, new)),
                None => diagnostics.push(too_large(key, subnet.span)),
            }
            taken.extend(moved.last().map(|(_, new)| *new));
            of_pool(pool, &moved);
        }
        all.insert(key.clone(), moved);
    }
    if let Some(services) = model.get_mut("services").and_then(Node::as_map_mut) {
        for (name, entry) in services {
            held_elsewhere(name, &mut entry.node, &shared, diagnostics);
        }
    }
    all
}

fn of_pool(pool: &mut Node, moved: &Moved) {
    for key in ["subnet", "ip_range", "gateway"] {
        text_in(pool, key, moved);
    }
    let aux = pool.get_mut("aux_addresses").and_then(Node::as_map_mut);
    for entry in aux.into_iter().flat_map(Map::values_mut) {
        if let Value::String(text) = &mut entry.node.value {
            rebase(text, moved);
        }
    }
}

/// Moves the addresses that services have, or know, in subnets that have moved.
pub(super) fn of_services(services: &mut Map, networks: &BTreeMap<String, Moved>) {
    let all: Moved = networks.values().flatten().copied().collect();
    if all.is_empty() {
        return;
    }
    for Entry { node, .. } in services.values_mut() {
        for (key, entry) in attachments(node).into_iter().flatten() {
            let Some(moved) = networks.get(key) else { continue };
            text_in(&mut entry.node, "ipv4_address", moved);
            text_in(&mut entry.node, "ipv6_address", moved);
        }
        texts(node, "dns").for_each(|text| rebase(text, &all));
        let hosts = node.get_mut("extra_hosts").and_then(Node::as_map_mut);
        for entry in hosts.into_iter().flat_map(Map::values_mut) {
            if let Value::List(addresses) = &mut entry.node.value {
                for address in addresses {
                    if let Value::String(text) = &mut address.value {
                        rebase(text, &all);
                    }
                }
            }
        }
    }
}

fn text_in(node: &mut Node, key: &str, moved: &Moved) {
    if let Some(Value::String(text)) = node.get_mut(key).map(|node| &mut node.value) {
        rebase(text, moved);
    }
}

/// Moves an address, or a subnet, along with the subnet it lies in.
fn rebase(text: &mut String, moved: &Moved) {
    let (head, tail) = text.split_at(text.find('/').unwrap_or(text.len()));
    let Some((bits, width)) = head.trim().parse().ok().map(bits) else { return };
    if let Some((old, new)) = moved.iter().find(|(old, _)| old.contains((bits, width))) {
        *text = format!("{}{tail}", address(new.bits | bits & old.hosts(), width));
    }
}

fn too_large(key: &str, span: Span) -> Diagnostic {
    let message = format!("network `{key}`: a copy of the project has no room for so large a subnet");
    Diagnostic::error("not-copied", message)
        .at(span, "it would have to move")
        .help("IPv4 subnets of /12 and smaller move, IPv6 ones of /48 and smaller")
        .help("leave the subnet out: the engine chooses a free one")
}

/// Tells of addresses that the project itself has on a network that its copies share.
fn held_elsewhere(service: &str, node: &mut Node, shared: &[String], diagnostics: &mut Vec<Diagnostic>) {
    for (key, entry) in attachments(node).into_iter().flatten().filter(|(key, _)| shared.contains(key)) {
        let fixed =
            ["ipv4_address", "ipv6_address", "mac_address"].iter().find_map(|name| entry.node.get(name));
        if let Some(fixed) = fixed {
            let message = format!(
                "service `{service}` has a fixed address on `{key}`, a network that copies of the project share"
            );
            diagnostics.push(
                Diagnostic::error("not-copied", message)
                    .at(fixed.span, "only one can have it")
                    .help("let it depend on the copy: a variable here, with another value for each"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        Block::parse(text).unwrap()
    }

    #[test]
    fn addresses_keep_their_distance() {
        for subnet in ["172.28.0.0/16", "192.168.7.0/24", "10.9.8.0/29", "172.16.0.0/12", "fd01:2:3:4::/64"] {
            let old = block(subnet);
            let new = old.moved(hash(&[subnet]), &[]).unwrap();
            assert_eq!(new.prefix, old.prefix);
            assert_eq!(block(&new.text()), new);
            let mut last = address(old.bits | old.hosts(), old.width).to_string();
            rebase(&mut last, &vec![(old, new)]);
            assert_eq!(last, address(new.bits | new.hosts(), new.width).to_string());
        }
        let mut elsewhere = "192.0.2.1".to_owned();
        rebase(&mut elsewhere, &vec![(block("172.28.0.0/16"), block("10.200.0.0/16"))]);
        assert_eq!(elsewhere, "192.0.2.1");
    }

    #[test]
    fn subnets_of_a_copy_do_not_overlap() {
        let mut taken = vec![];
        for _ in 0..8 {
            taken.push(block("172.16.0.0/12").moved(3, &taken).unwrap());
        }
        assert_eq!(block("172.16.0.0/12").moved(3, &taken), None);
        assert!(
            taken.iter().enumerate().all(|(at, one)| taken[..at].iter().all(|other| !one.overlaps(*other)))
        );
    }

    #[test]
    fn what_is_too_large_has_no_place() {
        assert_eq!(block("10.0.0.0/8").moved(1, &[]), None);
        assert_eq!(block("fd00::/32").moved(1, &[]), None);
        assert_eq!(block("0.0.0.0/0").moved(1, &[]), None);
        assert_eq!(Block::parse("10.0.0.0/33"), None);
    }
}
