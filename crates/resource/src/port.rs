//! Published ports.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl Protocol {
    /// `tcp`, `udp` or `sctp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A port that a container wants published on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortSpec {
    /// Host address; `None` means every address, IPv4 and IPv6.
    pub host_ip: Option<IpAddr>,
    /// Host ports, first to last; the first free one is taken. `None` means any free port, new on
    /// each start.
    pub published: Option<(u16, u16)>,
    /// Port inside the container.
    pub target: u16,
    /// Protocol on both sides.
    pub protocol: Protocol,
}

impl PortSpec {
    /// Whether a published port is (one of those that are) wanted.
    pub fn is_served_by(&self, binding: &PortBinding) -> bool {
        let port = self.published.is_none_or(|(first, last)| (first..=last).contains(&binding.host_port));
        let address = self.host_ip.map_or(binding.host_ip.is_unspecified(), |ip| ip == binding.host_ip);
        port && address && binding.target == self.target && binding.protocol == self.protocol
    }
}

/// A port that is published now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortBinding {
    /// Host address; `0.0.0.0` and `::` are two bindings.
    pub host_ip: IpAddr,
    /// Host port.
    pub host_port: u16,
    /// Port inside the container.
    pub target: u16,
    /// Protocol on both sides.
    pub protocol: Protocol,
}

impl PortBinding {
    /// Address and port on the host.
    pub fn host(&self) -> SocketAddr {
        SocketAddr::new(self.host_ip, self.host_port)
    }
}
