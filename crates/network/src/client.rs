//! A client's own address, where a published port is copied from another network namespace: the
//! connection to the container is made from a socket that has the client's address, and what the
//! container answers finds that socket although the address is not one of this namespace.
//!
//! ```text
//! clients   prerouting   it makes no sense: drop
//!                        it belongs to such a socket: mark
//! rule      mark -> table 7269; route in it: everything is local
//! ```

use crate::channel::Channel;
use crate::rule::Rule;
use crate::table::{self, Chain, Family, Hook};
use crate::wire::{CREATE, EXCLUSIVE, Messages, REPLACE};
use crate::{Netlink, NetworkError};
use nix::sys::socket::{setsockopt, sockopt};
use rustix::io::Errno;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

const NEW_ROUTE: u16 = 24;
const NEW_RULE: u16 = 32;
/// The mark of such packets, and the number of the routing table for them.
const MARK: u32 = 7269;
/// Before the main table's rule (32766), after the local one's (0).
const PRIORITY: u32 = 100;
/// Index of the loopback interface, in every namespace.
const LOOPBACK: u32 = 1;

/// Lets sockets of [`speak_as`] get their answers, and drops what belongs to no connection, in the calling thread's namespace, which must be one
/// that nobody else configures. It goes with the namespace.
///
/// # Errors
/// The step that the kernel refused, also for features it lacks.
pub fn keep_clients(netlink: &Netlink) -> Result<(), NetworkError> {
    let mut families = vec![2];
    if crate::link::kernel_has_ipv6() {
        families.push(10);
    }
    for family in families {
        route_to_here(&netlink.channel, family)?;
    }
    let chain = Chain {
        name: "clients".to_owned(),
        hook: Hook::BEFORE_ROUTING,
        comment: "answers to clients of published ports".to_owned(),
        rules: vec![
            // What no connection is found for keeps the address it was masqueraded to, which is this
            // namespace's: the kernel would end the connection. pasta sends segments without any flag
            // (Debian 12's, towards a server that is slow to acknowledge).
            Rule::default().invalid().drop(),
            Rule::default().of_transparent_socket().mark(MARK),
        ],
    };
    table::replace(&*table::router()?, Family::Inet, &[chain])
}

/// Routes what is marked to the namespace itself.
fn route_to_here(channel: &Channel, family: u8) -> Result<(), NetworkError> {
    let mut batch = Messages::default();
    // Set at boot, this host, local.
    let header = [family, 0, 0, 0, 0, 3, 254, 2, 0, 0, 0, 0];
    let what = "route answers to clients to this namespace";
    batch.add((NEW_ROUTE, CREATE | REPLACE), what, &header, |attributes| {
        attributes.number(4, LOOPBACK).number(15, MARK);
    });
    batch.acknowledged();
    channel.tell(&mut batch)?;
    let mut batch = Messages::default();
    // Look into a table.
    let header = [family, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    batch.add((NEW_RULE, CREATE | EXCLUSIVE), "route by mark", &header, |attributes| {
        attributes.number(6, PRIORITY).number(10, MARK).number(15, MARK);
    });
    batch.needs("policy routing (CONFIG_IP_MULTIPLE_TABLES, CONFIG_IPV6_MULTIPLE_TABLES)");
    batch.acknowledged();
    match channel.attempt(&mut batch)? {
        Err(refusal) if refusal.errno != Errno::EXIST.raw_os_error() => Err(refusal.explain(&batch)),
        _ => Ok(()),
    }
}

/// Gives a socket that is not connected yet the address of a client, of the socket's family.
///
/// # Errors
/// What setsockopt(2) and bind(2) say.
pub fn speak_as(socket: impl AsFd, client: SocketAddr) -> io::Result<()> {
    // A client may use one port of its own towards several published ones.
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    // One flag of the kernel's for both families; an IPv6 socket takes the IPv4 option, too.
    setsockopt(&socket, sockopt::IpTransparent, &true)?;
    Ok(rustix::net::bind(&socket, &client)?)
}
