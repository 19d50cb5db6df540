//! One nf_tables rule, written as the chain of expressions the kernel runs. Numbers are those of
//! linux/netfilter/nf_tables.h; `nft --debug=netlink list ruleset` shows the same in words.

use crate::link::octets;
use crate::wire::Attributes;
use resource::{Protocol, Subnet};
use std::net::IpAddr;

const FIRST: u32 = 1;
const SECOND: u32 = 2;
const META_MARK: u32 = 3;
const META_INCOMING: u32 = 6;
const META_OUTGOING: u32 = 7;
const META_FAMILY: u32 = 15;
const META_TRANSPORT: u32 = 16;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const CONNECTION_STATE: u32 = 0;
const CONNECTION_STATUS: u32 = 2;
const ESTABLISHED_OR_RELATED: u32 = 0x6;
const INVALID: u32 = 1;
const DESTINATION_CHANGED: u32 = 0x20;
const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 10;
const LOCAL: u32 = 2;
const CHECKSUM_INET: u32 = 1;

/// Which end of a packet.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Source,
    Destination,
}

/// A rule in the making: conditions, then what is done.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rule {
    expressions: Attributes,
    /// Shown by `nft list ruleset`.
    pub(crate) comment: Option<String>,
}

impl Rule {
    /// The expressions, as the rule's attribute wants them.
    pub(crate) fn expressions(&self) -> &Attributes {
        &self.expressions
    }

    pub(crate) fn commented(mut self, comment: &str) -> Self {
        self.comment = Some(comment.to_owned());
        self
    }

    fn expression(mut self, name: &str, fill: impl FnOnce(&mut Attributes)) -> Self {
        self.expressions.nest(1, |element| {
            element.text(1, name).nest(2, fill);
        });
        self
    }

    fn meta(self, key: u32) -> Self {
        self.expression("meta", |data| {
            data.network_number(2, key).network_number(1, FIRST);
        })
    }

    fn compare(self, operation: u32, value: &[u8]) -> Self {
        self.expression("cmp", |data| {
            data.network_number(1, FIRST).network_number(2, operation).nest(3, |nest| {
                nest.bytes(1, value);
            });
        })
    }

    fn load(self, header: u32, offset: u32, length: u32) -> Self {
        self.expression("payload", |data| {
            data.network_number(1, FIRST).network_number(2, header);
            data.network_number(3, offset).network_number(4, length);
        })
    }

    fn mask(self, mask: &[u8]) -> Self {
        let length = u32::try_from(mask.len()).expect("a mask is as long as an address");
        self.expression("bitwise", |data| {
            data.network_number(1, FIRST).network_number(2, FIRST).network_number(3, length);
            data.nest(4, |nest| {
                nest.bytes(1, mask);
            });
            data.nest(5, |nest| {
                nest.bytes(1, &vec![0; mask.len()]);
            });
        })
    }

    fn immediate(self, register: u32, value: &[u8]) -> Self {
        self.expression("immediate", |data| {
            data.network_number(1, register).nest(2, |nest| {
                nest.bytes(1, value);
            });
        })
    }

    fn interface(self, key: u32, operation: u32, name: &str) -> Self {
        let mut bytes = [0; 16];
        let length = name.len().min(15);
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        self.meta(key).compare(operation, &bytes)
    }

    /// It came in by this interface.
    pub(crate) fn from(self, name: &str) -> Self {
        self.interface(META_INCOMING, EQUAL, name)
    }

    /// It came in by another interface.
    pub(crate) fn not_from(self, name: &str) -> Self {
        self.interface(META_INCOMING, UNEQUAL, name)
    }

    /// It goes out by this interface.
    pub(crate) fn to(self, name: &str) -> Self {
        self.interface(META_OUTGOING, EQUAL, name)
    }

    /// It goes out by another interface.
    pub(crate) fn not_to(self, name: &str) -> Self {
        self.interface(META_OUTGOING, UNEQUAL, name)
    }

    /// It is of this address's family.
    pub(crate) fn family_of(self, address: IpAddr) -> Self {
        let family = if address.is_ipv4() { FAMILY_IPV4 } else { FAMILY_IPV6 };
        self.meta(META_FAMILY).compare(EQUAL, &[family])
    }

    fn load_address(self, end: End, address: IpAddr) -> Self {
        let (offset, length) = match (address, end) {
            (IpAddr::V4(_), End::Source) => (12, 4),
            (IpAddr::V4(_), End::Destination) => (16, 4),
            (IpAddr::V6(_), End::Source) => (8, 16),
            (IpAddr::V6(_), End::Destination) => (24, 16),
        };
        self.load(NETWORK_HEADER, offset, length)
    }

    /// That end is this address. The family is to be asked before, in a table of both.
    pub(crate) fn address(self, end: End, address: IpAddr) -> Self {
        self.load_address(end, address).compare(EQUAL, &octets(address))
    }

    /// That end is another address. The family is to be asked before, in a table of both.
    pub(crate) fn not_address(self, end: End, address: IpAddr) -> Self {
        self.load_address(end, address).compare(UNEQUAL, &octets(address))
    }

    /// That end lies in this block. The family is to be asked before, in a table of both.
    pub(crate) fn subnet(self, end: End, subnet: &Subnet) -> Self {
        let address = octets(subnet.address);
        let bits = |byte: usize| usize::from(subnet.prefix).saturating_sub(8 * byte).min(8);
        let mask: Vec<u8> = (0..address.len())
            .map(|byte| u8::try_from((0xff00_u32 >> bits(byte)) & 0xff).unwrap_or(0xff))
            .collect();
        self.load_address(end, subnet.address).mask(&mask).compare(EQUAL, &address)
    }

    /// It is addressed to this host.
    pub(crate) fn for_this_host(self) -> Self {
        self.expression("fib", |data| {
            data.network_number(1, FIRST).network_number(2, 3).network_number(3, 2);
        })
        .compare(EQUAL, &LOCAL.to_ne_bytes())
    }

    /// It is of this protocol, and that end's port is this one.
    pub(crate) fn port(self, protocol: Protocol, end: End, port: u16) -> Self {
        let number = match protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        };
        let transport = self.meta(META_TRANSPORT).compare(EQUAL, &[number]);
        transport.load(TRANSPORT_HEADER, port_offset(end), 2).compare(EQUAL, &port.to_be_bytes())
    }

    /// It belongs to a connection that a rule has redirected.
    pub(crate) fn redirected(self) -> Self {
        self.status(UNEQUAL)
    }

    /// It belongs to no connection that a rule has redirected.
    pub(crate) fn not_redirected(self) -> Self {
        self.status(EQUAL)
    }

    fn status(self, operation: u32) -> Self {
        self.connection(CONNECTION_STATUS, DESTINATION_CHANGED).compare(operation, &[0; 4])
    }

    /// It belongs to no connection known.
    pub(crate) fn unexpected(self) -> Self {
        self.connection(CONNECTION_STATE, ESTABLISHED_OR_RELATED).compare(EQUAL, &[0; 4])
    }

    /// It can belong to no connection: its flags or numbers make no sense.
    pub(crate) fn invalid(self) -> Self {
        self.connection(CONNECTION_STATE, INVALID).compare(UNEQUAL, &[0; 4])
    }

    fn connection(self, key: u32, mask: u32) -> Self {
        self.expression("ct", |data| {
            data.network_number(2, key).network_number(1, FIRST);
        })
        .mask(&mask.to_ne_bytes())
    }

    /// It belongs to a socket that was given an address of somebody else's.
    pub(crate) fn of_transparent_socket(self) -> Self {
        self.expression("socket", |data| {
            data.network_number(1, 0).network_number(2, FIRST);
        })
        .compare(EQUAL, &[1])
    }

    /// It gets a mark, which routing rules can ask for.
    pub(crate) fn mark(self, mark: u32) -> Self {
        self.immediate(FIRST, &mark.to_ne_bytes()).expression("meta", |data| {
            data.network_number(2, META_MARK).network_number(3, FIRST);
        })
    }

    /// It is no message about the network itself, such as a ping, of this address's family.
    pub(crate) fn not_icmp(self, address: IpAddr) -> Self {
        let number = if address.is_ipv4() { ICMP } else { ICMPV6 };
        self.meta(META_TRANSPORT).compare(UNEQUAL, &[number])
    }

    /// It goes no further.
    pub(crate) fn drop(self) -> Self {
        self.verdict(DROP)
    }

    /// No further rule of the chain is asked; other chains are.
    pub(crate) fn pass(self) -> Self {
        self.verdict(ACCEPT)
    }

    fn verdict(self, verdict: u32) -> Self {
        self.expression("immediate", |data| {
            data.network_number(1, 0).nest(2, |nest| {
                nest.nest(2, |code| {
                    code.network_number(1, verdict);
                });
            });
        })
    }

    /// It goes out under the address of the interface it leaves by.
    pub(crate) fn masquerade(self) -> Self {
        self.expression("masq", |_| {})
    }

    /// It goes to this address and port instead.
    pub(crate) fn redirect(self, address: IpAddr, port: u16) -> Self {
        let family = if address.is_ipv4() { FAMILY_IPV4 } else { FAMILY_IPV6 };
        self.immediate(FIRST, &octets(address)).immediate(SECOND, &port.to_be_bytes()).expression(
            "nat",
            |data| {
                data.network_number(1, 1).network_number(2, u32::from(family));
                data.network_number(3, FIRST).network_number(5, SECOND);
            },
        )
    }

    /// That end's port is overwritten, no connection tracked.
    pub(crate) fn rewrite_port(self, protocol: Protocol, end: End, port: u16) -> Self {
        let checksum = if protocol == Protocol::Tcp { 16 } else { 6 };
        self.immediate(FIRST, &port.to_be_bytes()).expression("payload", |data| {
            data.network_number(5, FIRST).network_number(2, TRANSPORT_HEADER);
            data.network_number(3, port_offset(end)).network_number(4, 2);
            data.network_number(6, CHECKSUM_INET).network_number(7, checksum);
        })
    }
}

fn port_offset(end: End) -> u32 {
    match end {
        End::Source => 0,
        End::Destination => 2,
    }
}
