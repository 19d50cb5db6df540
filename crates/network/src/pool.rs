//! Address blocks for networks that name none.

use crate::{Netlink, NetworkError, link};
use resource::Subnet;
use std::net::IpAddr;

/// A free IPv4 block: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 and so on, avoiding every
/// route and name server of this namespace and the blocks in `taken`.
///
/// # Errors
/// `PoolExhausted`, or the routes cannot be read.
pub fn choose_subnet(netlink: &Netlink, taken: &[Subnet]) -> Result<Subnet, NetworkError> {
    let mut used = link::route_destinations(netlink)?;
    used.extend(name_servers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()));
    used.extend_from_slice(taken);
    first_free(&used).ok_or(NetworkError::PoolExhausted)
}

/// The first block of the pools that overlaps none of these.
fn first_free(used: &[Subnet]) -> Option<Subnet> {
    let wide = (17..=31).map(|second| (u32::from_be_bytes([172, second, 0, 0]), 16));
    let narrow = (0..16).map(|part| (u32::from_be_bytes([192, 168, part << 4, 0]), 20));
    let pool =
        wide.chain(narrow).map(|(address, prefix)| Subnet { address: IpAddr::V4(address.into()), prefix });
    pool.into_iter().find(|block| !used.iter().any(|other| overlaps(block, other)))
}

/// Blocks of two families share nothing.
fn overlaps(one: &Subnet, other: &Subnet) -> bool {
    one.address.is_ipv4() == other.address.is_ipv4() && one.overlaps(other)
}

/// The addresses of the host's name servers: a block with one inside would hide it from containers.
fn name_servers(text: &str) -> Vec<Subnet> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver").and_then(|_| words.next()?.parse::<IpAddr>().ok())
    });
    addresses.map(|address| Subnet { address, prefix: if address.is_ipv4() { 32 } else { 128 } }).collect()
}

/// A private IPv6 /64 made from the network's id, avoiding `taken`.
pub fn choose_subnet_v6(id: &str, taken: &[Subnet]) -> Subnet {
    // FNV-1a: any spreading of the id will do, the id itself is random.
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let start = id.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    let block = |step: u64| {
        let high = (0xfd << 56) | (start.wrapping_add(step) >> 8);
        Subnet { address: IpAddr::V6((u128::from(high) << 64).into()), prefix: 64 }
    };
    let free = |candidate: &Subnet| !taken.iter().any(|other| overlaps(candidate, other));
    (0..).map(|step| block(step << 8)).find(free).expect("2^56 blocks are never all taken")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnets(texts: &[&str]) -> Vec<Subnet> {
        texts.iter().map(|text| Subnet::parse(text).unwrap()).collect()
    }

    #[test]
    fn blocks_are_taken_in_order_around_what_is_used() {
        let first = |used: &[&str]| first_free(&subnets(used)).map(|subnet| subnet.to_string());
        assert_eq!(first(&[]).unwrap(), "172.17.0.0/16");
        assert_eq!(first(&["172.17.4.0/24", "172.18.0.1/32", "fd00::/8"]).unwrap(), "172.19.0.0/16");
        assert_eq!(first(&["172.16.0.0/12"]).unwrap(), "192.168.0.0/20");
        assert_eq!(first(&["172.16.0.0/12", "192.168.0.0/24"]).unwrap(), "192.168.16.0/20");
        assert_eq!(first(&["172.16.0.0/12", "192.168.0.0/16"]), None);
    }

    #[test]
    fn name_servers_count_as_used() {
        let text = "# nameserver 9.9.9.9\nnameserver 172.17.0.5\nsearch x\nnameserver fe80::1%eth0\n";
        assert_eq!(name_servers(text), subnets(&["172.17.0.5/32"]));
    }

    #[test]
    fn private_blocks_differ_by_id_and_avoid_the_taken() {
        let one = choose_subnet_v6("aa11", &[]);
        assert!(one.to_string().starts_with("fd") && one.prefix == 64);
        assert_ne!(one, choose_subnet_v6("aa12", &[]));
        assert_ne!(one, choose_subnet_v6("aa11", &[one]));
        assert_eq!(one, choose_subnet_v6("aa11", &[]));
    }
}
