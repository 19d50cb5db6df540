//! Published ports.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
