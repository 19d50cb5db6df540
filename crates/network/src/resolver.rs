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
use std::io;
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

/// Opens them; again, after a crash, on the ports they had, so that the redirection stays as it is.
///
/// # Errors
/// The step that the kernel refused.
pub fn open(namespace: BorrowedFd<'_>) -> Result<Sockets, NetworkError> {
    namespace::within(namespace, || {
        let filter = Channel::netfilter()?;
        let before = table::list(&filter, Family::Ipv4)?.unwrap_or_default();
        if let Some(Ok(sockets)) = before.iter().find_map(|chain| ports_in(&chain.comment)).map(bind) {
            return Ok(sockets);
        }
        let refused = |source| NetworkError::kernel("open the resolver's sockets on 127.0.0.11", source);
        let sockets = bind((0, 0)).map_err(refused)?;
        let ports = (port_of(&sockets.udp).map_err(refused)?, port_of(&sockets.tcp).map_err(refused)?);
        // The comments tell the ports to whoever opens them next, so old ones must not stay. Nothing is
        // removed the first time: the kernel takes milliseconds to forget.
        let make = if before.is_empty() { table::replace } else { table::renew };
        make(&filter, Family::Ipv4, &chains(ports))?;
        Ok(sockets)
    })
}

/// Sockets on these ports, UDP and TCP; 0 is any.
fn bind((udp, tcp): (u16, u16)) -> io::Result<Sockets> {
    let (udp, tcp) = (UdpSocket::bind((ADDRESS, udp))?, TcpListener::bind((ADDRESS, tcp))?);
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    Ok(Sockets { udp: udp.into(), tcp: tcp.into() })
}

fn port_of(socket: &OwnedFd) -> io::Result<u16> {
    let address = rustix::net::getsockname(socket)?;
    Ok(SocketAddr::try_from(address)?.port())
}

const COMMENT: &str = "names of other containers, answered on ports";

/// The ports that a chain's comment tells.
fn ports_in(comment: &str) -> Option<(u16, u16)> {
    let (udp, tcp) = comment.strip_prefix(COMMENT)?.trim().split_once(' ')?;
    Some((udp.parse().ok()?, tcp.parse().ok()?))
}

fn chains((udp, tcp): (u16, u16)) -> [Chain; 2] {
    let address = IpAddr::V4(ADDRESS);
    let comment = format!("{COMMENT} {udp} {tcp}");
    let chain =
        |name: &str, hook, rules| Chain { name: name.to_owned(), hook, comment: comment.clone(), rules };
    let query = |(protocol, port)| {
        let rule = Rule::default().address(End::Destination, address).port(protocol, End::Destination, PORT);
        rule.rewrite_port(protocol, End::Destination, port)
    };
    let answer = |(protocol, port)| {
        let rule = Rule::default().address(End::Source, address).port(protocol, End::Source, port);
        rule.rewrite_port(protocol, End::Source, PORT)
    };
    let ports = [(Protocol::Udp, udp), (Protocol::Tcp, tcp)];
    [
        chain("resolver-queries", Hook::SENT_BEFORE_TRACKING, ports.map(query).to_vec()),
        chain("resolver-answers", Hook::SENT_LAST, ports.map(answer).to_vec()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_told_by_the_comment() {
        assert_eq!(ports_in(&chains((40001, 40002))[0].comment), Some((40001, 40002)));
        assert_eq!(ports_in("somebody else's chain 1 2"), None);
    }
}
