//! Scenarios about the packet filter of the host's administrator.

use crate::addresses::Machine;
use crate::outside::network_of;
use scenarios::{Who, http, scenario, until, within};
use std::process::Command;

scenario! {
    /// A rule of the host's that refuses what comes from outside to a published port keeps it from the
    /// container: root's in the chain `forward`, where the port's packets pass, a user's in `input`.
    /// What a network binds to the loopback address is not published outside at all.
    the_hosts_firewall_holds, |world| {
        let net = network_of(world.who(), 110);
        let hook = if world.who() == Who::Root { "forward" } else { "input" };
        let machine = Machine::new(net);
        world.compose("up -d").ok();
        let port = world.port();
        let outside = || within(&machine.file, || http(&format!("198.51.{net}.1:{port}"), "passwd"));
        until("another machine reaches the port", outside);
        let wall = Wall::new(net, hook, port);
        assert_eq!(outside(), None, "through the firewall");
        until("this machine does", || http(&format!("127.0.0.1:{port}"), "passwd"));
        drop(wall);
        until("another machine reaches it again", outside);
        let near = world.compose("port near 80").ok().stdout;
        assert!(near.starts_with("127.0.0.1:") && near.lines().count() == 1, "{near}");
    }
}

/// A rule of the administrator's: what comes from that machine to a port is refused. Gone when dropped.
struct Wall(String);

impl Wall {
    fn new(net: u8, hook: &str, port: u16) -> Self {
        let table = format!("administrator{net}");
        let rules = format!(
            "table inet {table} {{ chain wall {{ type filter hook {hook} priority filter; \
             iifname caller{net} meta l4proto tcp ct original proto-dst {port} reject; }}; }}"
        );
        assert!(Command::new("nft").arg(&rules).status().unwrap().success());
        Self(table)
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        drop(Command::new("nft").arg(format!("delete table inet {}", self.0)).status());
    }
}
