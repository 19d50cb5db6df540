//! Networks.

use crate::{ContainerName, Labels, NetworkName, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How a container is connected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// A namespace of its own on the networks in its `endpoints`; with none, only loopback.
    Networks,
    /// A namespace of its own with loopback only.
    None,
    /// The host's namespace.
    Host,
    /// The namespace of the container with this name.
    Container(ContainerName),
}

/// Kind of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkDriver {
    /// A bridge on this host.
    #[default]
    Bridge,
    /// Containers are on a network of the host's themselves, each with a hardware address of its own.
    Macvlan(MacvlanMode),
    /// Containers are on a network of the host's themselves, under the host's hardware address.
    Ipvlan(IpvlanMode),
}

/// Who may talk to whom among the containers on one interface of the host's. They never reach the host
/// itself by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    /// They to one another, directly.
    #[default]
    Bridge,
    /// Nobody.
    Private,
    /// They to one another, by way of the switch that the interface leads to.
    Vepa,
    /// There is only one, which has the interface to itself.
    Passthru,
}

/// Where the kernel decides about packets of containers on one interface of the host's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    /// As a switch.
    #[default]
    L2,
    /// As a router: no broadcasts, no neighbours.
    L3,
    /// As a router, with the host's packet filter.
    L3s,
}

impl NetworkDriver {
    /// `bridge`, `macvlan` or `ipvlan`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan(_) => "ipvlan",
        }
    }

    /// Whether the host is a party of the network: its gateway, and the publisher of its ports.
    pub fn has_host(self) -> bool {
        self == Self::Bridge
    }
}

/// An address block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subnet {
    /// The network address, host bits zero.
    pub address: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

impl Subnet {
    /// Reads `10.1.0.0/16`; host bits are cleared.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (address, prefix) = (address.parse::<IpAddr>().ok()?, prefix.parse::<u8>().ok()?);
        Some(match address {
            IpAddr::V4(v4) if prefix <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                Self { address: IpAddr::V4((u32::from(v4) & mask).into()), prefix }
            }
            IpAddr::V6(v6) if prefix <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Self { address: IpAddr::V6((u128::from(v6) & mask).into()), prefix }
            }
            _ => return None,
        })
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::parse(&format!("{address}/{}", self.prefix)).is_some_and(|subnet| subnet == *self)
    }

    /// First and last address of it, as numbers, that a container or gateway may have: neither the network's
    /// own nor, for IPv4, the broadcast address.
    pub fn usable(&self) -> (u128, u128) {
        let bits = if self.address.is_ipv4() { 32 } else { 128 };
        let base = number(self.address);
        let span = 1_u128.checked_shl(bits - u32::from(self.prefix)).map_or(u128::MAX, |size| size - 1);
        let last = base.saturating_add(span);
        match self.address {
            _ if span == 0 => (base, base),
            IpAddr::V4(_) if span == 1 => (base, last),
            IpAddr::V4(_) => (base + 1, last - 1),
            IpAddr::V6(_) => (base + 1, last),
        }
    }

    /// Whether an address of it is one that a container or gateway may have.
    pub fn is_usable(&self, address: IpAddr) -> bool {
        let (first, last) = self.usable();
        (first..=last).contains(&number(address))
    }

    /// The gateway when none is configured: the first usable address.
    pub fn first(&self) -> IpAddr {
        self.numbered(self.usable().0)
    }

    /// The address of its family with this number.
    pub fn numbered(&self, number: u128) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number & 0xffff_ffff).unwrap_or(0))),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
        }
    }

    /// Whether the two blocks share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.prefix <= other.prefix { self.contains(other.address) } else { other.contains(self.address) }
    }
}

/// An address as a number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

/// A network that is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its real name.
    pub name: NetworkName,
    /// It must exist already and is never made, changed or removed here.
    pub external: bool,
    /// Kind.
    pub driver: NetworkDriver,
    /// Driver options as written (`com.docker.network.driver.mtu` and the like).
    pub options: BTreeMap<String, String>,
    /// No way out: no NAT, no default route, published ports do not work.
    pub internal: bool,
    /// IPv4 addresses.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub ipv4: bool,
    /// IPv6 addresses too.
    pub ipv6: bool,
    /// Address blocks with their gateways, as configured; empty means a block from the pool.
    pub subnets: Vec<(Subnet, Option<IpAddr>)>,
    /// In a subnet with one of these blocks, dynamic addresses come out of them only.
    #[serde(default)]
    pub ip_ranges: Vec<Subnet>,
    /// Addresses never given out: auxiliary ones and the fixed ones of the whole project.
    pub reserved: Vec<IpAddr>,
    /// The auxiliary ones of them, by host name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub auxiliary: BTreeMap<String, IpAddr>,
    /// Labels, the managed ones among them.
    pub labels: Labels,
}

impl NetworkSpec {
    /// A bridge of ours with IPv4 addresses from the pool, without options or labels.
    pub fn new(name: impl Into<NetworkName>) -> Self {
        Self {
            name: name.into(),
            external: false,
            driver: NetworkDriver::Bridge,
            options: BTreeMap::new(),
            internal: false,
            ipv4: true,
            ipv6: false,
            subnets: vec![],
            ip_ranges: vec![],
            reserved: vec![],
            auxiliary: BTreeMap::new(),
            labels: Labels::new(),
        }
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// A network that exists: its document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// 64 hexadecimal digits, random.
    pub id: String,
    /// As it was asked for.
    pub spec: NetworkSpec,
    /// When it was made.
    pub created: Timestamp,
    /// Name of the bridge, 15 bytes at most, made from the id unless configured; of another driver's
    /// network, the interface of the host's that its containers are on.
    pub bridge: String,
    /// Address blocks with their gateways, at least one.
    pub subnets: Vec<(Subnet, IpAddr)>,
    /// Maximum transmission unit, bytes; 0 is that of the interface of the host's.
    pub mtu: u32,
}

/// Reads an address that an interface can have, `02:42:ac:11:00:02`, with `:` or `-`: not that of a group, and
/// not nothing.
pub fn hardware_address(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut parts = text.split([':', '-']);
    let is_byte = |part: &&str| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
    for byte in &mut bytes {
        *byte = u8::from_str_radix(parts.next().filter(is_byte)?, 16).ok()?;
    }
    let is_of_one = bytes[0] & 1 == 0 && bytes != [0; 6];
    (parts.next().is_none() && is_of_one).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::hardware_address;

    #[test]
    fn hardware_addresses_are_six_bytes_of_one_interface() {
        assert_eq!(hardware_address("02:42:ac:11:00:02"), Some([0x02, 0x42, 0xac, 0x11, 0, 2]));
        assert_eq!(hardware_address("02-42-ac-11-00-02"), hardware_address("02:42:AC:11:00:02"));
        for bad in [
            "",
            "02:42",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:00:02",
            "zz:42:ac:11:00:02",
            "+2:42:ac:11:00:02",
        ] {
            assert_eq!(hardware_address(bad), None, "{bad}");
        }
        assert_eq!(hardware_address("01:00:5e:00:00:01"), None, "a group's");
        assert_eq!(hardware_address("00:00:00:00:00:00"), None, "nobody's");
    }
}
