//! Networks.

use crate::{ContainerName, Labels, NetworkName, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkDriver {
    /// A bridge on this host.
    Bridge,
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

    /// Whether the two blocks share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.prefix <= other.prefix { self.contains(other.address) } else { other.contains(self.address) }
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
    /// IPv6 addresses too.
    pub ipv6: bool,
    /// Address blocks with their gateways, as configured; empty means a block from the pool.
    pub subnets: Vec<(Subnet, Option<IpAddr>)>,
    /// Dynamic addresses come out of this block only.
    pub ip_range: Option<Subnet>,
    /// Addresses never given out: auxiliary ones and the fixed ones of the whole project.
    pub reserved: Vec<IpAddr>,
    /// Labels, the managed ones among them.
    pub labels: Labels,
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
    /// Name of the bridge, 15 bytes at most, made from the id unless configured.
    pub bridge: String,
    /// Address blocks with their gateways, at least one.
    pub subnets: Vec<(Subnet, IpAddr)>,
    /// Maximum transmission unit, bytes.
    pub mtu: u32,
}
