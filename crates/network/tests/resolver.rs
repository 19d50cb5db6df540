//! The resolver's sockets: found at 127.0.0.11:53, in nobody's way.

#![allow(clippy::unwrap_used, reason = "this is test code, though not always in a test function")]

mod world;

use network::resolver::{self, Sockets};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;
use world::{asks, datagrams, in_a_world, listen, reaches, record, ruleset, run, unshared};

const RESOLVER: IpAddr = IpAddr::V4(resolver::ADDRESS);
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

fn std_sockets(sockets: Sockets) -> (UdpSocket, TcpListener) {
    let (udp, tcp) = (UdpSocket::from(sockets.udp), TcpListener::from(sockets.tcp));
    udp.set_nonblocking(false).unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    tcp.set_nonblocking(false).unwrap();
    (udp, tcp)
}

#[test]
fn queries_reach_us_and_answers_come_from_port_53() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let (udp, tcp) = std_sockets(resolver::open(web.namespace.as_fd()).unwrap());
        let client = world.inside(&web.namespace, || datagrams(ANY, 0));
        assert_eq!(asks(&client, RESOLVER, 53, &udp), IpAddr::V4(Ipv4Addr::LOCALHOST));
        client.connect((RESOLVER, 53)).unwrap();
        asks(&world.inside(&web.namespace, || datagrams(web.address, 0)), RESOLVER, 53, &udp);
        assert!(world.inside(&web.namespace, || reaches(RESOLVER, 53, &tcp)).is_some());
        assert!(!ruleset().contains("resolver"), "the router has none of it");
    });
}

#[test]
fn a_container_can_serve_names_itself() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let (udp, tcp) = std_sockets(resolver::open(web.namespace.as_fd()).unwrap());
        world.inside(&web.namespace, || {
            let (own_udp, own_tcp) = (datagrams(ANY, 53), listen(ANY, 53));
            asks(&datagrams(ANY, 0), RESOLVER, 53, &udp);
            assert!(reaches(RESOLVER, 53, &tcp).is_some());
            asks(&datagrams(ANY, 0), web.address, 53, &own_udp);
            assert!(reaches(web.address, 53, &own_tcp).is_some());
        });
    });
}

#[test]
fn it_works_beside_the_containers_own_firewall_and_connection_tracking() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let (udp, tcp) = std_sockets(resolver::open(web.namespace.as_fd()).unwrap());
        world.inside(&web.namespace, || {
            run("nft add table ip own");
            run("nft add chain ip own out { type nat hook output priority -100 ; }");
            run("nft add chain ip own in { type filter hook input priority 0 ; }");
            run("nft add rule ip own in ct state invalid drop");
            run("nft add chain ip own sent { type filter hook output priority 0 ; }");
            run("nft add rule ip own sent ct state invalid drop");
            asks(&datagrams(ANY, 0), RESOLVER, 53, &udp);
            assert!(reaches(RESOLVER, 53, &tcp).is_some());
        });
    });
}

#[test]
fn opened_again_after_a_crash_it_has_the_ports_it_had() {
    in_a_world(|world| {
        let web = world.network(&record(31));
        let first = resolver::open(web.namespace.as_fd()).unwrap();
        let rules = world.inside(&web.namespace, ruleset);
        assert!(rules.contains("dport 53"));
        unshared(|| drop(first));
        let (udp, tcp) = std_sockets(resolver::open(web.namespace.as_fd()).unwrap());
        assert_eq!(world.inside(&web.namespace, ruleset), rules);
        // While these live, a third pair needs ports of its own, and takes over.
        let newer = std_sockets(resolver::open(web.namespace.as_fd()).unwrap());
        let client = world.inside(&web.namespace, || datagrams(ANY, 0));
        asks(&client, RESOLVER, 53, &newer.0);
        // Whoever comes after all of them finds the ports that were taken last.
        unshared(|| drop((udp, tcp, newer)));
        let (last, _tcp) = std_sockets(resolver::open(web.namespace.as_fd()).unwrap());
        asks(&client, RESOLVER, 53, &last);
    });
}

#[test]
fn without_any_network_names_are_answered_too() {
    in_a_world(|world| {
        let namespace = network::new_namespace().unwrap();
        let (udp, _tcp) = std_sockets(resolver::open(namespace.as_fd()).unwrap());
        asks(&world.inside(&namespace, || datagrams(ANY, 0)), RESOLVER, 53, &udp);
    });
}
