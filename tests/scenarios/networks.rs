//! Scenarios about networks as the file declares them, seen by netlink and /proc from inside and outside.

use crate::rootless::on_a_machine;
use scenarios::{Who, World, scenario, within};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

scenario! {
    /// A container that takes the place of another, which ends before it starts, has that one's addresses, of the
    /// same number on the same network, fixed by the file or chosen, also where it gets anonymous volumes of its
    /// own; so has one that is stopped and started, or restarted.
    addresses_stay_where_containers_take_places, |world| {
        world.write(".env", &format!("NET={}\n", number(world, 112)));
        world.compose("up -d").ok();
        let script = "ip -o addr show scope global | awk '{print $2, $4}'; cat /sys/class/net/eth*/address";
        let seen = |number: &str| world.run(&["exec", "-T", "--index", number, "web", "sh", "-c", script], "").ok().stdout;
        let (first, ids) = ([seen("1"), seen("2")], world.compose("ps -q web").ok().stdout);
        assert_eq!(first[0].lines().count(), 5, "two networks, one with IPv6: {}", first[0]);
        assert_ne!(first[0], first[1]);
        world.edit("compose.yaml", "SHAPE: round", "SHAPE: square");
        world.compose("exec -T web touch /own/kept").ok();
        let lines =
            ["up -d", "up -d --force-recreate", "up -d --force-recreate -V", "restart -t 0", "stop -t 0", "start"];
        for line in lines {
            world.compose(line).ok();
            if line.starts_with("stop") {
                continue;
            }
            let kept = world.compose("exec -T web ls /own").ok().stdout == "kept\n";
            assert_eq!(kept, lines[..2].contains(&line), "after `{line}`");
            assert_eq!([seen("1"), seen("2")], first, "after `{line}`");
        }
        assert_ne!(world.compose("ps -q web").ok().stdout, ids, "they are other containers");
        world.compose("down -v -t 0").ok();
        world.assert_nothing_left();
    }
}

scenario! {
    /// Addresses, blocks, gateways, options and names of networks and of places on them are the file's.
    networks_are_made_as_declared, |world| {
        let net = number(world, 104);
        world.write(".env", &format!("NET={net}\n"));
        let told = world.compose("up -d").ok();
        for (option, line) in [("com.example.shape", 9), ("com.example.colour", 52)] {
            let mut below = told.stderr.lines().skip_while(|line| !line.contains(option)).skip(1);
            assert!(below.next().is_some_and(|place| place.contains(&format!("compose.yaml:{line}:"))), "{told:?}");
        }
        let links = inside(world, "web", "ip -j addr");
        let names: Vec<_> = links.iter().map(|link| link["ifname"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        let lan = link(&links, "lan0");
        assert_eq!((&lan["mtu"], &lan["address"]), (&1400.into(), &"02:42:0a:d8:00:10".into()));
        let addresses = addresses(lan);
        for expected in [
            format!("10.216.{net}.8/24"), format!("fd16:{net}::9/64"),
            "169.254.9.1/16".to_owned(), "fe80::9/64".to_owned(),
        ] {
            assert!(addresses.contains(&expected), "{expected} not in {addresses:?}");
        }
        // The primary network, which is not the first by name, gets the service's own hardware address.
        let six = link(&links, "six0");
        assert_eq!(six["address"], "02:42:0a:d8:00:99");
        assert_ne!(link(&links, "eth0")["address"], "02:42:0a:d8:00:99");
        let six = self::addresses(six);
        assert!(!six.is_empty() && six.iter().all(|address| address.contains(':')), "{six:?}");
        let martians = world.compose("exec -T web cat /proc/sys/net/ipv4/conf/lan0/log_martians").ok();
        assert_eq!(martians.stdout.trim(), "1");
        let routes = inside(world, "web", "ip -j route");
        let default = routes.iter().find(|route| route["dst"] == "default").unwrap();
        assert_eq!((&default["dev"], &default["gateway"]), (&"lan0".into(), &format!("10.216.{net}.10").into()));
        let routes = inside(world, "web", "ip -j -6 route");
        let default = routes.iter().find(|route| route["dst"] == "default").unwrap();
        assert_eq!(default["gateway"], format!("fd16:{net}::7"));

        // Of the range's eight, .8 is fixed, .9 is the printer's, .10 is the gateway's.
        let given: Vec<_> = (1..=2).map(|index| {
            let links = inside(world, &format!("--index {index} all"), "ip -j -4 addr show eth0");
            self::addresses(&links[0]).remove(0)
        }).collect();
        assert_ne!(given[0], given[1]);
        for address in &given {
            assert!((11..=15).any(|last| *address == format!("10.216.{net}.{last}/24")), "{address}");
        }

        // Containers that may not talk to one another do not.
        let other = inside(world, "--index 2 lone", "ip -j -4 addr show eth0");
        let other = self::addresses(&other[0])[0].split('/').next().unwrap().to_owned();
        world.run(&["exec", "-T", "--index", "1", "lone", "ping", "-c", "1", "-w", "1", &other], "").exits(1);
        assert_eq!(inside(world, "quiet", "ip -j addr").len(), 1);
        // On a network of its own.
        assert_eq!(inside(world, "plain", "ip -j addr").len(), 2);
        assert_eq!(world.row("plain")["Networks"], "project_bridge");
        let bridges = within(&router(world), || Command::new("ip").args(["-br", "link", "show", "type", "bridge"]).output());
        let bridges = String::from_utf8(bridges.unwrap().stdout).unwrap();
        assert!(bridges.lines().any(|line| line.split(' ').next() == Some(&format!("wide{net}"))), "{bridges}");

        let kept = std::fs::read_to_string(world.roots().network(&"project_wide".into()).join("network.json")).unwrap();
        assert!(kept.contains("\"purpose\":\"test\""), "{kept}");

        // A file that changes a network makes it anew, with what is on it, and says why.
        world.edit("compose.yaml", "mtu: 1400", "mtu: 1300");
        world.compose("up -d --dry-run").ok().says("driver_opts of network `project_wide` changed: com.docker.network.driver.mtu");
        let before = world.id("quiet");
        world.compose("up -d").ok();
        assert_eq!(link(&inside(world, "web", "ip -j addr"), "lan0")["mtu"], 1300);
        assert_eq!(world.id("quiet"), before);
    }
}

scenario! {
    /// Addresses that the file does not give are none that the machine has a route or a name server for.
    a_network_finds_room_beside_the_machines_routes, |world| {
        let machine = Alone::new();
        for route in ["172.17.0.0/17", "172.19.5.0/24", "172.20.0.1"] {
            machine.ip(&format!("route add {route} dev wire"));
        }
        world.compose("pull").ok();
        world.write("resolv.conf", "nameserver 172.18.0.9\n");
        let file = world.project().join("resolv.conf");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let setup = format!(
            "mount --bind {} /etc/resolv.conf && set -- nsenter --net={} \"$@\"", file.display(), machine.file()
        );
        let up = on_a_machine(world, &setup, &["up", "-d"]);
        assert!(up.status.success(), "{up:?}");
        let blocks = ["eth0", "eth1"].map(|link| {
            let links = inside(world, "web", &format!("ip -j -4 addr show {link}"));
            addresses(&links[0]).remove(0)
        });
        assert_eq!(blocks, ["172.21.0.2/16", "172.22.0.2/16"]);
        let down = on_a_machine(world, &setup, &["down", "-t", "0"]);
        assert!(down.status.success(), "{down:?}");
    }
}

scenario! {
    /// Containers of macvlan and ipvlan networks are on an interface of the host's, which is left as it
    /// was; what was made for them goes with the network.
    containers_are_on_networks_of_the_hosts, root_only = "the host's interfaces are root's; a user's router has none", |world| {
        let parent = Parent::new();
        // Asked while nothing is on it: beside a macvlan there is no room for an ipvlan.
        let is_routed = parent.may_have("vlan id 7") && parent.may_have("ipvlan");
        world.write(".env", &format!("NET=106\nPARENT={}\n", parent.0));
        world.compose("up -d").ok();
        let links = inside(world, "two", "ip -j -d addr");
        let lan = links.iter().find(|link| link["address"] == "02:42:0a:d9:00:22").unwrap();
        assert_eq!(lan["linkinfo"]["info_kind"], "macvlan");
        assert_eq!(lan["linkinfo"]["info_data"]["mode"], "bridge");
        let address = &addresses(lan)[0];
        let last: u8 = address.split(['.', '/']).nth(3).unwrap().parse().unwrap();
        assert!(last >= 128, "{address}");
        let routes = inside(world, "two", "ip -j route");
        assert!(routes.iter().any(|route| route["dst"] == "default" && route["gateway"] == "10.217.106.1"));
        world.compose("exec -T one ping -c 1 -w 5 two").ok();
        if is_routed {
            world.compose("--profile routed up -d three").ok();
            let links = inside(world, "three", "ip -j -d addr show eth0");
            assert_eq!(links[0]["linkinfo"]["info_data"]["mode"], "l3");
            let routes = inside(world, "three", "ip -j route");
            assert!(routes.iter().any(|route| route["dst"] == "default" && route["gateway"].is_null()));
        } else {
            world.compose("--profile routed up -d three").exits(1).says("this kernel lacks");
        }
        world.compose("--profile routed down -t 0").ok();
        assert!(parent.children().is_empty(), "{:?}", parent.children());
        world.edit(".env", &parent.0, "nosuch0");
        world.compose("up -d").exits(1).says("nosuch0").says("compose.yaml:");
    }
}

/// Tells the addresses of root's and of the user's world apart: both may be played at once.
fn number(world: &World, first: u8) -> u8 {
    if world.who() == Who::Root { first } else { first + 1 }
}

/// The network namespace that a world's networks are made in.
fn router(world: &World) -> String {
    let infra = world.recorded("infra.json").map(|pid| pid.to_string());
    format!("/proc/{}/ns/net", infra.unwrap_or_else(|| "self".to_owned()))
}

/// What `ip -j …` says inside the first container of a service.
fn inside(world: &World, service: &str, command: &str) -> Vec<Value> {
    let (index, service) = match service.strip_prefix("--index ") {
        Some(rest) => rest.split_once(' ').map(|(index, service)| (index.parse().unwrap(), service)).unwrap(),
        None => (1, service),
    };
    let name = format!("project-{service}-{index}");
    let row = world.rows().into_iter().find(|row| row["Name"] == name).unwrap();
    let pid = world.processes(row["ID"].as_str().unwrap())[0];
    let words: Vec<_> = command.split(' ').collect();
    let output = within(&format!("/proc/{pid}/ns/net"), || Command::new(words[0]).args(&words[1..]).output());
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}

fn link<'a>(links: &'a [Value], name: &str) -> &'a Value {
    links.iter().find(|link| link["ifname"] == name).unwrap_or_else(|| panic!("no {name} in {links:#?}"))
}

/// `ADDRESS/PREFIX` of a link.
fn addresses(link: &Value) -> Vec<String> {
    let infos = link["addr_info"].as_array().unwrap();
    infos.iter().map(|info| format!("{}/{}", info["local"].as_str().unwrap(), info["prefixlen"])).collect()
}

/// A machine's network without anything but a wire that leads nowhere; gone when dropped.
struct Alone(String);

impl Alone {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let machine = Self(format!("alone{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)));
        assert!(Command::new("ip").args(["netns", "add", &machine.0]).status().unwrap().success());
        for line in [
            "link set lo up",
            "link add wire type veth peer name end",
            "link set end up",
            "addr add 198.51.100.1/24 dev wire",
            "link set wire up",
            "route add default via 198.51.100.2",
        ] {
            machine.ip(line);
        }
        machine
    }

    fn ip(&self, line: &str) {
        let done = Command::new("ip").args(["-n", &self.0]).args(line.split(' ')).status();
        assert!(done.unwrap().success(), "{line}");
    }

    fn file(&self) -> String {
        format!("/run/netns/{}", self.0)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "del", &self.0]).status());
    }
}

/// An interface of the host's that nobody else uses; gone when dropped.
struct Parent(String);

impl Parent {
    fn new() -> Self {
        let name = format!("lan{}", std::process::id());
        let peer = format!("nal{}", std::process::id());
        // Without a peer that is up there is no carrier, and what is on it sends nothing.
        for line in [format!("link add {name} up type veth peer name {peer}"), format!("link set {peer} up")]
        {
            assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success());
        }
        Self(name)
    }

    /// Whether this kernel makes such an interface on it.
    fn may_have(&self, kind: &str) -> bool {
        let line = format!("link add link {} name try{} type {kind}", self.0, std::process::id());
        let made = Command::new("ip").args(line.split(' ')).status().unwrap().success();
        let name = format!("try{}", std::process::id());
        drop(Command::new("ip").args(["link", "del", &name]).status());
        made
    }

    /// Interfaces that were made on it.
    fn children(&self) -> Vec<String> {
        let output = Command::new("ip").args(["-o", "link"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .filter(|line| line.contains(&format!("@{}:", self.0)) && !line.contains(": nal"))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["link", "del", &self.0]).status());
    }
}
