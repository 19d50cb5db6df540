//! How services are reached: networks, addresses, ports.

use std::collections::BTreeMap;
use std::net::IpAddr;

use diagnostic::Span;

/// `network_mode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    /// Loopback only.
    None,
    /// The host's.
    Host,
    /// The engine's default bridge.
    Bridge,
    /// Another service's.
    Service(String),
    /// Another container's.
    Container(String),
    /// A network by its real name.
    Network(String),
}

/// How a service joins a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// Extra names.
    pub aliases: Vec<String>,
    /// Fixed address.
    pub ipv4_address: Option<String>,
    /// Fixed address.
    pub ipv6_address: Option<String>,
    /// Link-local addresses.
    pub link_local_ips: Vec<String>,
    /// MAC address.
    pub mac_address: Option<String>,
    /// Interface name.
    pub interface_name: Option<String>,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
    /// The highest, then the first by name, is the main network.
    pub priority: f64,
    /// The highest gives the default route.
    pub gw_priority: f64,
    /// Where it is said; nowhere for the implicit `default`.
    pub span: Option<Span>,
}

/// Transport protocol of a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// tcp
    Tcp,
    /// udp
    Udp,
    /// sctp
    Sctp,
    /// Anything else, as written.
    Other(String),
}

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Port in the container.
    pub target: u16,
    /// First and last host port to choose from; `None` or `(0, 0)`: any free one.
    pub published: Option<(u16, u16)>,
    /// Host address; `None`: all.
    pub host_ip: Option<IpAddr>,
    /// Protocol.
    pub protocol: Protocol,
    /// `ingress` or `host`; the same here.
    pub mode: String,
    /// For people.
    pub name: Option<String>,
    /// For people.
    pub app_protocol: Option<String>,
    /// Where it is said.
    pub span: Span,
}

/// A network of the top level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Real name.
    pub name: String,
    /// Driver; `None`: the engine's.
    pub driver: Option<String>,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
    /// Whether containers of others may join.
    pub attachable: bool,
    /// No way out.
    pub internal: bool,
    /// IPv4; `None`: the engine decides.
    pub enable_ipv4: Option<bool>,
    /// IPv6.
    pub enable_ipv6: bool,
    /// Not ours to make or remove.
    pub external: bool,
    /// Address driver.
    pub ipam_driver: Option<String>,
    /// Options of it.
    pub ipam_options: BTreeMap<String, String>,
    /// Address blocks.
    pub ipam: Vec<AddressPool>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Where it is said; `None` for the implicit `default`.
    pub span: Option<Span>,
}

/// An address block of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPool {
    /// CIDR.
    pub subnet: Option<String>,
    /// CIDR within it.
    pub ip_range: Option<String>,
    /// Address.
    pub gateway: Option<String>,
    /// Addresses in use elsewhere, by host name.
    pub aux_addresses: BTreeMap<String, String>,
    /// Where it is said.
    pub span: Option<Span>,
}
