//! Scenarios about networks, names and published ports.

use crate::outside::{Outside, network_of};
use scenarios::{Who, World, free_port, http, scenario, until, within};
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Duration;

scenario! {
    /// Services, aliases, host names and replicas are found by name, on the networks they share only.
    names_resolve_inside_a_project, |world| {
        world.compose("up -d").ok();
        assert_eq!(lookup(world, "client", "web").len(), 3);
        assert_eq!(lookup(world, "client", "shop"), lookup(world, "client", "web"));
        assert_eq!(lookup(world, "client", "project-web-2").len(), 1);
        assert_eq!(lookup(world, "client", "db").len(), 1);
        assert_eq!(lookup(world, "client", "database"), lookup(world, "client", "db"));
        assert!(lookup(world, "web", "db").is_empty());
        assert_eq!(lookup(world, "web", "client").len(), 1);
        let resolver = world.compose("exec -T client cat /etc/resolv.conf").ok();
        assert!(resolver.stdout.contains("nameserver 127.0.0.11"), "{}", resolver.stdout);
        world.compose("exec -T client ping -c 1 -w 5 db").ok();
        world.compose("exec -T client ping -c 1 -w 5 web").ok();
        let address = lookup(world, "client", "db").pop_first().unwrap();
        world.run(&["exec", "-T", "web", "ping", "-c", "1", "-w", "1", &address], "").exits(1);
        world.compose("stop db").ok();
        assert!(lookup(world, "client", "db").is_empty());
    }
}

scenario! {
    /// A project neither resolves nor reaches the containers of another.
    two_projects_do_not_see_each_other, |world| {
        world.compose("-p one up -d").ok();
        world.compose("-p two up -d").ok();
        let of = |project: &str| {
            let output = world.run(&["-p", project, "exec", "-T", "web", "hostname", "-i"], "").ok();
            output.stdout.trim().to_owned()
        };
        let (one, two) = (of("one"), of("two"));
        assert_ne!(one, two);
        let ask = |name: &str| world.run(&["-p", "one", "exec", "-T", "web", "nslookup", name], "").stdout;
        assert!(!ask("two-web-1").contains(&two));
        let fetch = |address: &str| {
            let ask = format!("printf 'GET /passwd HTTP/1.0\\r\\n\\r\\n' | nc -w 1 {address} 80");
            world.run(&["-p", "one", "exec", "-T", "web", "sh", "-c", &ask], "").stdout.contains("root:")
        };
        until("one serves", || fetch(&one).then_some(()));
        assert!(!fetch(&two));
        world.compose("ls").ok().says("one").says("two");
    }
}

scenario! {
    /// Host addresses, random ports, ranges and udp work as written; a range has a port for each replica, a port
    /// without a range is one replica's.
    ports_are_published_as_written, |world| {
        let mut ports = vec![];
        while ports.len() < 6 {
            let next = free_port();
            if ports.last().is_some_and(|last| last + 1 != next) {
                ports.clear();
            }
            ports.push(next);
        }
        let (first, fixed) = (ports[0], free_port());
        world.write(".env", &format!("RANGE={first}-{}\nFIXED={fixed}\n", first + 5));
        world.compose("up -d").ok();
        let bound = world.compose("port web 80").ok().stdout;
        assert!(bound.contains(&format!("127.0.0.1:{}", world.port())), "{bound}");
        until("the fixed port answers", || http(&format!("127.0.0.1:{}", world.port()), "page"));
        let rows = world.row("web");
        let published = rows["Publishers"].as_array().unwrap();
        let random = published.iter().find(|port| port["URL"] == "0.0.0.0").unwrap();
        let random = random["PublishedPort"].as_u64().unwrap();
        until("the random port answers", || http(&format!("127.0.0.1:{random}"), "page"));
        until("the random port answers over IPv6", || http(&format!("[::1]:{random}"), "page"));
        let range = published.iter().find(|port| port["TargetPort"] == 81).unwrap();
        let range = range["PublishedPort"].as_u64().unwrap();
        assert!((u64::from(first)..=u64::from(first) + 5).contains(&range), "{range} from {first}");
        // Each of its own: the first of the range that nobody has.
        let each = world.rows().into_iter().filter(|row| row["Service"] == "each");
        let mut each: Vec<_> = each.map(|row| row["Publishers"][0]["PublishedPort"].as_u64().unwrap()).collect();
        each.extend([range]);
        assert!(each.iter().all(|port| (u64::from(first)..=u64::from(first) + 5).contains(port)), "{each:?}");
        assert_eq!(each.iter().collect::<BTreeSet<_>>().len(), 4, "{each:?}");
        for port in &each[..3] {
            until("a replica answers", || http(&format!("127.0.0.1:{port}"), "passwd"));
        }
        let refused = world.compose("--profile twice up -d twice").exits(1).says("already allocated");
        refused.says(&format!("127.0.0.1:{fixed}/tcp (held by container project-twice-")).says("compose.yaml:");
        let states: Vec<_> = world.rows().into_iter().filter(|row| row["Service"] == "twice").collect();
        assert_eq!(states.iter().filter(|row| row["State"] == "running").count(), 1, "{states:?}");
        assert_eq!(states.iter().filter(|row| row["State"] == "created").count(), 1, "{states:?}");
        let told = world.row("udp")["Ports"].as_str().unwrap().to_owned();
        assert_eq!(told, format!("127.0.0.1:{}->9000/udp, 9002/tcp, 9001/udp", world.port()));
        let pid = world.processes(&world.id("udp"))[0];
        let server = within(&format!("/proc/{pid}/ns/net"), || UdpSocket::bind("0.0.0.0:9000").unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 16];
            while let Ok((length, from)) = server.recv_from(&mut bytes) {
                server.send_to(&bytes[..length], from).unwrap();
            }
        });
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        until("udp is echoed", || {
            socket.send_to(b"ping", ("127.0.0.1", world.port())).ok()?;
            let mut answer = [0; 16];
            let (length, _) = socket.recv_from(&mut answer).ok()?;
            (&answer[..length] == b"ping").then_some(())
        });
        world.compose("--profile twice down -t 0").ok();
        assert_eq!(http(&format!("127.0.0.1:{random}"), "page"), None);
    }
}

scenario! {
    /// A port that is taken is refused before anything runs, and the error says who holds it.
    a_taken_port_names_its_holder, |world| {
        world.compose("-p one up -d").ok();
        world.compose("-p two up -d").exits(1).says("already allocated").says("one-web-1").says("compose.yaml:");
        assert!(world.run(&["-p", "two", "ps", "--status", "running", "-q"], "").stdout.is_empty());
        world.compose("-p one down -t 0").ok();
        world.compose("-p two up -d").ok();
        let own = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        world.compose("-p two down -t 0").ok();
        let port = own.local_addr().unwrap().port();
        world.write(".env", &format!("TAKEN={port}\n"));
        world.edit("compose.yaml", "${PORT}", "${TAKEN}");
        let refused = world.compose("up -d").exits(1).says("already allocated");
        // Which one it is, only root may look up.
        let own = std::process::id().to_string();
        refused.says(if world.who() == Who::Root { &own } else { "a process of another user" });
    }
}

scenario! {
    /// Connections to the outside leave through NAT: the other side sees the host's address.
    the_outside_is_reached_through_nat, |world| {
        let outside = Outside::new(network_of(world.who(), 100));
        world.compose("up -d").ok();
        until("the outside answers with the host's address", || {
            let output = world.run(&["exec", "-T", "web", "sh", "-c", &outside.question()], "");
            (output.stdout.lines().last() == Some(&*outside.host)).then_some(())
        });
    }
}

/// The IPv4 addresses that a name has inside a container of a service.
fn lookup(world: &World, service: &str, name: &str) -> BTreeSet<String> {
    let output = world.run(&["exec", "-T", service, "nslookup", name, "127.0.0.11"], "");
    let answers = output.stdout.lines().skip_while(|line| !line.starts_with("Name:"));
    let addresses = answers.filter_map(|line| line.strip_prefix("Address")?.split(": ").nth(1));
    addresses
        .map(|text| text.split(' ').next().unwrap().to_owned())
        .filter(|text| text.contains('.'))
        .collect()
}
