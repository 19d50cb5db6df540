//! Scenarios about what containers reach beyond their networks: name servers and servers of the machine
//! and of others, and published ports of each address family.

use crate::addresses::Machine;
use crate::outside::{Outside, network_of};
use crate::rootless::on_a_machine;
use scenarios::{World, free_port, http, scenario, until, within};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

scenario! {
    /// Names that are not the project's are asked of the machine's name servers, one after another, over
    /// UDP and TCP, or of those that the service names; a service without a way out asks nobody.
    names_of_the_outside_are_answered, |world| {
        let net = network_of(world.who(), 106);
        let outside = Outside::new(net);
        // As systemd-resolved's, on the machine's loopback.
        let [of_machine, of_machine_by_tcp, of_service] = [1, 2, 3].map(|last| Ipv4Addr::new(203, 0, 113, last));
        let (silent, own) = (Ipv4Addr::new(127, 51, net, 54), Ipv4Addr::new(127, 51, net, 53));
        let bind = |address: Ipv4Addr| {
            (UdpSocket::bind((address, 53)).unwrap(), TcpListener::bind((address, 53)).unwrap())
        };
        let (udp, tcp) = bind(own);
        answer_names_over_udp(udp, of_machine);
        answer_names_over_tcp(tcp, of_machine_by_tcp);
        answer_names_over_udp(within(&outside.file(), || bind(Ipv4Addr::UNSPECIFIED).0), of_service);
        world.write(".env", &format!("SERVER={}\n", outside.address));
        world.write("resolv.conf", &format!("nameserver {silent}\nnameserver {own}\n"));
        let file = world.project().join("resolv.conf");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let setup = format!("mount --bind {} /etc/resolv.conf", file.display());
        let up = on_a_machine(world, &setup, &["up", "-d"]);
        assert!(up.status.success(), "{up:?}");

        assert_eq!(resolve(world, "web", ask_over_udp), vec![of_machine]);
        assert_eq!(resolve(world, "web", ask_over_tcp), vec![of_machine_by_tcp]);
        assert_eq!(resolve(world, "own", ask_over_udp), vec![of_service]);
        assert_eq!(resolve(world, "closed", ask_over_udp), Vec::<Ipv4Addr>::new());
        let said = world.compose("exec -T web nslookup www.example.com").stdout;
        assert!(said.contains(&of_machine.to_string()), "{said}");

        // The next question goes to whoever is named by then.
        std::fs::write(&file, format!("nameserver {}\n", outside.address)).unwrap();
        assert_eq!(resolve(world, "web", ask_over_udp), vec![of_service]);
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// `host-gateway` is the host: what listens there on all addresses is reached, and so is every port
    /// that containers publish, their own too; what listens on the host's loopback is not.
    the_host_is_reached_by_its_name, |world| {
        let server = TcpListener::bind("0.0.0.0:0").unwrap();
        let private = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = |server: &TcpListener| server.local_addr().unwrap().port();
        let (open, closed) = (port(&server), port(&private));
        std::thread::spawn(move || {
            for mut stream in server.incoming().map_while(Result::ok) {
                drop(stream.read(&mut [0; 1024]));
                drop(write!(stream, "HTTP/1.0 200 OK\r\n\r\nthe host\n"));
            }
        });
        world.compose("up -d").ok();
        let namespace = |service: &str| format!("/proc/{}/ns/net", world.processes(&world.id(service))[0]);
        echo(&namespace("web"));
        for service in ["client", "web"] {
            let hosts = world.run(&["exec", "-T", service, "cat", "/etc/hosts"], "").ok().stdout;
            let line = hosts.lines().find(|line| line.ends_with("\thost.docker.internal")).unwrap();
            let host = line.split('\t').next().unwrap().to_owned();
            let namespace = namespace(service);
            let fetch = |port, path| within(&namespace, || http(&format!("{host}:{port}"), path));
            let what = |what| format!("`{service}` is answered at {host} by {what}");
            until(&what("the host"), || fetch(open, "").filter(|answer| answer == "the host\n"));
            until(&what("`web`"), || fetch(world.port(), "passwd").filter(|answer| answer.contains("root:")));
            let server = format!("{host}:{}", world.port()).parse().unwrap();
            until(&what("`web` over udp"), || within(&namespace, || echoed(server)));
            // Some versions of pasta keep silent about what is refused.
            let private = format!("{host}:{closed}").parse().unwrap();
            let refused = within(&namespace, || TcpStream::connect_timeout(&private, Duration::from_secs(2)));
            assert!(refused.is_err(), "reached from `{service}` at {host}");
        }
        world.compose("down -t 0").ok();
    }
}

scenario! {
    /// A port published on an address of one family is not served on the other one's; one without an
    /// address is served on both, to other machines too, although the container has IPv4 alone.
    ports_of_one_family_stay_in_it, |world| {
        let names = ["SIX", "FOUR", "ALL_SIX", "ALL_FOUR", "BOTH"];
        let ports: BTreeMap<_, _> = names.map(|name| (name, free_port())).into();
        world.write(".env", &ports.iter().map(|(name, port)| format!("{name}={port}\n")).collect::<String>());
        let net = network_of(world.who(), 108);
        let machine = Machine::new(net);
        let (four, six) = (format!("198.51.{net}.1"), format!("[fd51:{net}::1]"));
        world.compose("up -d").ok();
        let here = "/proc/self/ns/net";
        let served = |from: &str, host: &str, name: &str| {
            let address = format!("{host}:{}", ports[name]);
            within(from, || http(&address, "passwd")).is_some()
        };
        let expected = [
            (here, "127.0.0.1", vec!["FOUR", "ALL_FOUR", "BOTH"]),
            (here, "[::1]", vec!["SIX", "ALL_SIX", "BOTH"]),
            (machine.file.as_str(), four.as_str(), vec!["ALL_FOUR", "BOTH"]),
            (machine.file.as_str(), six.as_str(), vec!["ALL_SIX", "BOTH"]),
        ];
        for (from, host, expected) in expected {
            expected.iter().for_each(|name| {
                until(&format!("{name} answers at {host}"), || served(from, host, name).then_some(()));
            });
            let others = names.iter().filter(|name| !expected.contains(name));
            let wrong: Vec<_> = others.filter(|name| served(from, host, name)).collect();
            assert!(wrong.is_empty(), "served at {host}: {wrong:?}");
        }
        world.compose("down -t 0").ok();
    }
}

/// Sends back every datagram to port 9000 in a network namespace, until the test ends.
fn echo(namespace: &str) {
    let server = within(namespace, || UdpSocket::bind("0.0.0.0:9000").unwrap());
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok((length, from)) = server.recv_from(&mut bytes) {
            drop(server.send_to(&bytes[..length], from));
        }
    });
}

/// Whether a datagram to this address comes back. It may be lost, and the caller asks again.
fn echoed(server: SocketAddr) -> Option<()> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket.send_to(b"ping", server).ok()?;
    let mut answer = [0; 16];
    let length = socket.recv(&mut answer).ok()?;
    (&answer[..length] == b"ping").then_some(())
}

/// What a service's resolver says of a name of the outside, once it says anything.
fn resolve(world: &World, service: &str, ask: fn(&[u8]) -> Option<Vec<u8>>) -> Vec<Ipv4Addr> {
    let namespace = format!("/proc/{}/ns/net", world.processes(&world.id(service))[0]);
    let answer = until(&format!("the resolver of `{service}` answers {ask:?}"), || {
        within(&namespace, || ask(&question()))
    });
    let count = u16::from_be_bytes([answer[6], answer[7]]);
    let address = |bytes: &[u8]| Ipv4Addr::from(<[u8; 4]>::try_from(bytes).unwrap());
    // The servers of these tests end their answers with the only address.
    if count == 0 { vec![] } else { vec![address(&answer[answer.len() - 4..])] }
}

/// A question for the address of www.example.com, RFC 1035.
fn question() -> Vec<u8> {
    let mut bytes = vec![0x51, 0x52, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["www", "example", "com"] {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

/// The answer to a question: this address, or none to a question for something else.
fn answer(query: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..12 + name + 5];
    let is_address = question[name + 1..name + 3] == [0, 1];
    let mut bytes =
        [&query[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0], question].concat();
    if is_address {
        bytes.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        bytes.extend_from_slice(&address.octets());
    }
    bytes
}

/// Serves names until the test ends.
fn answer_names_over_udp(server: UdpSocket, address: Ipv4Addr) {
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((length, from)) = server.recv_from(&mut bytes) {
            drop(server.send_to(&answer(&bytes[..length], address), from));
        }
    });
}

fn answer_names_over_tcp(server: TcpListener, address: Ipv4Addr) {
    std::thread::spawn(move || {
        for mut stream in server.incoming().map_while(Result::ok) {
            if let Some(query) = framed(&mut stream) {
                let answer = answer(&query, address);
                let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                drop(stream.write_all(&[&length, &answer[..]].concat()));
            }
        }
    });
}

/// A message of a stream: two bytes that tell its length, then itself.
fn framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// Where a container's resolver is.
const RESOLVER: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 11), 53);

/// `None` when nothing comes for a while: a datagram may be lost.
fn ask_over_udp(query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(query, RESOLVER).ok()?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).ok()?;
    Some(answer[..length].to_vec())
}

fn ask_over_tcp(query: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(RESOLVER).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let length = u16::try_from(query.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, query].concat()).ok()?;
    framed(&mut stream)
}
