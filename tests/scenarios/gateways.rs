//! Scenarios about how a network's gateway lets in and out what its driver options say, and about ports of
//! a protocol that few kernels have.

use crate::addresses::{Machine, answer_with_the_clients_address, ask_by_tcp};
use crate::outside::network_of;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use scenarios::{Who, http, scenario, until, within};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

scenario! {
    /// Another machine reaches a port that is not published where the gateway protects none, and there alone;
    /// it sees the host's address, or the container's where nothing is masqueraded; an isolated network has
    /// no address of the host's. Where a family is routed the container's published ports are reached at its
    /// own address, and no port of the host's; in the other family they are the host's.
    gateways_are_as_asked, root_only = "nobody comes into a user's router, nor is one seen outside by an address of its own", |world| {
        let net = network_of(world.who(), 118);
        let port = world.port();
        world.write(".env", &format!("NET={net}\nPORT={port}\n"));
        let machine = Machine::new(net);
        let route = format!("route add 10.218.{net}.0/24 via 198.51.{net}.1");
        within(&machine.file, || {
            assert!(Command::new("ip").args(route.split(' ')).status().unwrap().success());
        });
        world.compose("up -d").ok();

        let open = format!("10.218.{net}.66:80");
        until("the other machine reaches it", || within(&machine.file, || http(&open, "passwd")));
        let protected: SocketAddr = format!("10.218.{net}.2:80").parse().unwrap();
        let patience = Duration::from_secs(1);
        let reached = within(&machine.file, || TcpStream::connect_timeout(&protected, patience).is_ok());
        assert!(!reached, "a port that nobody published");
        until("the host does", || http(&protected.to_string(), "passwd"));

        answer_with_the_clients_address(&machine.file);
        let server: SocketAddr = format!("198.51.{net}.2:9000").parse().unwrap();
        for (service, seen) in [("plain", format!("198.51.{net}.1")), ("shown", format!("10.218.{net}.130")), ("routed", format!("10.218.{net}.226"))] {
            let namespace = format!("/proc/{}/ns/net", world.processes(&world.id(service))[0]);
            let answer = until("the other machine answers", || within(&namespace, || ask_by_tcp(server)));
            assert_eq!(answer, seen, "{service}");
        }

        let (routed, closed) = (format!("10.218.{net}.226:80"), format!("10.218.{net}.226:81").parse().unwrap());
        let entered = |from: &str| {
            until("a published port is reached by its route", || within(from, || http(&routed, "passwd")));
            within(from, || TcpStream::connect_timeout(&closed, patience).is_ok())
        };
        let neighbour = format!("/proc/{}/ns/net", world.processes(&world.id("plain"))[0]);
        assert_eq!([entered("/proc/self/ns/net"), entered(&machine.file), entered(&neighbour)], [true, false, false]);
        world.compose(&format!("exec -T plain ping -c 1 -w 5 10.218.{net}.226")).ok();
        world.compose(&format!("exec -T routed ping -c 1 -W 1 -w 1 10.218.{net}.2")).exits(1);
        until("the host's port", || within(&machine.file, || http(&format!("[fd51:{net}::1]:{port}"), "passwd")));
        drop(TcpListener::bind(("0.0.0.0", port)).expect("nobody's in this family"));

        // The guard goes with the container, and comes again with it.
        let guards = || String::from_utf8(Command::new("/usr/sbin/nft").args(["list", "chain", "inet", "compose", &format!("pod-{}-project-routed", world.roots().cgroup)]).output().unwrap().stdout).unwrap();
        assert!(guards().contains(&format!("ip daddr 10.218.{net}.226")), "{}", guards());
        world.compose("stop -t 0 routed").ok();
        assert!(!guards().contains("daddr"), "{}", guards());
        world.compose("start routed").ok();
        assert!(guards().contains(&format!("ip daddr 10.218.{net}.226")), "{}", guards());

        let bridge = format!("alone{net}");
        let output = Command::new("ip").args(["-4", "-o", "addr", "show", "dev", &bridge]).output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        world.compose("exec -T --index 1 alone ping -c 1 -w 5 project-alone-2").ok();
    }
}

scenario! {
    /// A published SCTP port is the host's, and is nobody else's then; where it cannot be had it is refused
    /// with its place and the reason.
    sctp_ports_are_published_or_refused, |world| {
        let flags = SocketFlags::CLOEXEC;
        let known = socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::SCTP)).is_ok();
        let port = world.port();
        if world.who() == Who::Root && known {
            world.compose("up -d web").ok();
            let bound = world.compose("port --protocol sctp web 9000").ok().stdout;
            assert_eq!(bound, format!("127.0.0.1:{port}\n"));
            world.compose("up -d other").exits(1).says(&format!("127.0.0.1:{port}/sctp")).says("project-web-1");
            return;
        }
        let why = if world.who() == Who::User { "only root's containers" } else { "this kernel has no SCTP" };
        world.compose("up -d web").exits(1).says(&format!("127.0.0.1:{port}/sctp")).says(why).says("compose.yaml:6:");
        world.compose("up -d plain").ok();
    }
}
