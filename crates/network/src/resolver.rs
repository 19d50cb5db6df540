//! The resolver's sockets inside a container's namespace.
//!
//! A socket on 127.0.0.11:53 itself would keep the container from binding 0.0.0.0:53, so ours have
//! ports of their own and the port in each packet is rewritten on the way out: 53 to ours in queries,
//! ours to 53 in answers. Everything stays on the loopback interface. That is one table with two short
//! chains and no connection tracking, which NAT would switch on for all of the container's traffic.
//! Queries are rewritten before the container's own connection tracking, if it has any, and answers
//! after, so that it sees one connection.

use crate::channel::Channel;
use crate::rule::{End, Rule};
use crate::table::{self, Chain, Family, Hook};
use crate::{NetworkError, namespace};
use resource::Protocol;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Where containers ask.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;

/// Bound to 127.0.0.11 on ports of their own; packets to and from port 53 are turned to them inside
/// the namespace. Non-blocking, close-on-exec; the TCP one listens.
#[derive(Debug)]
pub struct Sockets {
    /// Datagrams.
    pub udp: OwnedFd,
    /// A listener.
    pub tcp: OwnedFd,
}

/// Opens them; again, after a crash, is fine and replaces the old redirection.
///
/// # Errors
/// The step that the kernel refused.
pub fn open(namespace: BorrowedFd<'_>) -> Result<Sockets, NetworkError> {
    namespace::within(namespace, || {
        let refused = |source| NetworkError::kernel("open the resolver's sockets on 127.0.0.11", source);
        let here = SocketAddr::from((ADDRESS, 0));
        let udp = UdpSocket::bind(here).map_err(refused)?;
        let tcp = TcpListener::bind(here).map_err(refused)?;
        udp.set_nonblocking(true).map_err(refused)?;
        tcp.set_nonblocking(true).map_err(refused)?;
        let ports = [
            (Protocol::Udp, udp.local_addr().map_err(refused)?.port()),
            (Protocol::Tcp, tcp.local_addr().map_err(refused)?.port()),
        ];
        table::replace(&Channel::netfilter()?, Family::Ipv4, &chains(ports))?;
        Ok(Sockets { udp: udp.into(), tcp: tcp.into() })
    })
}

fn chains(ports: [(Protocol, u16); 2]) -> [Chain; 2] {
    let address = IpAddr::V4(ADDRESS);
    let chain = |name: &str, hook, rules| Chain {
        name: name.to_owned(),
        hook,
        comment: "names of other containers".to_owned(),
        rules,
    };
    let query = |(protocol, port)| {
        let rule = Rule::default().address(End::Destination, address).port(protocol, End::Destination, PORT);
        rule.rewrite_port(protocol, End::Destination, port)
    };
    let answer = |(protocol, port)| {
        let rule = Rule::default().address(End::Source, address).port(protocol, End::Source, port);
        rule.rewrite_port(protocol, End::Source, PORT)
    };
    [
        chain("resolver-queries", Hook::SENT_BEFORE_TRACKING, ports.map(query).to_vec()),
        chain("resolver-answers", Hook::SENT_LAST, ports.map(answer).to_vec()),
    ]
}
