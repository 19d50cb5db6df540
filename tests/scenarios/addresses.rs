//! Scenarios about the address by which a container knows the client of a published port.

use crate::outside::network_of;
use scenarios::{scenario, until, within};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

scenario! {
    /// A container knows a client on another machine by the client's own address, and one on this
    /// machine's loopback by its gateway's, over IPv4 and IPv6, TCP and UDP.
    containers_see_who_calls, |world| {
        let machine = Machine::new(network_of(world.who(), 102));
        let net = machine.net;
        let subnets = format!("SUBNET4=10.215.{net}.0/24\nSUBNET6=fd15:{net}::/64\n");
        world.write(".env", &subnets);
        world.compose("up -d").ok();
        let container = format!("/proc/{}/ns/net", world.processes(&world.id("web"))[0]);
        answer_with_the_clients_address(&container);
        let here = "/proc/self/ns/net";
        let port = world.port();
        let calls = [
            ("loopback", here, "127.0.0.1".to_owned(), format!("10.215.{net}.1")),
            ("loopback", here, "[::1]".to_owned(), format!("fd15:{net}::1")),
            ("another machine", machine.file.as_str(), format!("198.51.{net}.1"), format!("198.51.{net}.2")),
            ("another machine", machine.file.as_str(), format!("[fd51:{net}::1]"), format!("fd51:{net}::2")),
        ];
        let (mut seen, mut expected) = (BTreeMap::new(), BTreeMap::new());
        for (from, namespace, host, address) in calls {
            let server: SocketAddr = format!("{host}:{port}").parse().unwrap();
            for (protocol, ask) in [("tcp", ask_by_tcp as fn(_) -> _), ("udp", ask_by_udp)] {
                let what = format!("the container answers over {protocol} at {server} from {from}");
                let answer = until(&what, || within(namespace, || ask(server)));
                seen.insert((from, protocol, host.clone()), answer);
                expected.insert((from, protocol, host.clone()), address.clone());
            }
        }
        assert_eq!(seen, expected);
        world.compose("down -t 0").ok();
    }
}

/// Serves port 9000 in a network namespace: each client is told the address it is known by. The servers
/// end with the test.
pub(crate) fn answer_with_the_clients_address(namespace: &str) {
    let any = "[::]:9000";
    let (tcp, udp) = within(namespace, || (TcpListener::bind(any).unwrap(), UdpSocket::bind(any).unwrap()));
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().map_while(Result::ok) {
            let client = stream.peer_addr().map(|client| client.ip().to_canonical());
            drop(client.and_then(|client| write!(stream, "{client}")));
        }
    });
    std::thread::spawn(move || {
        while let Ok((_, client)) = udp.recv_from(&mut [0; 16]) {
            drop(udp.send_to(client.ip().to_canonical().to_string().as_bytes(), client));
        }
    });
}

pub(crate) fn ask_by_tcp(server: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

/// A datagram may be lost: `None` after a while, and the caller asks again.
fn ask_by_udp(server: SocketAddr) -> Option<String> {
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket.connect(server).ok()?;
    socket.send(b"who am I").ok()?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).ok()?;
    Some(String::from_utf8(answer[..length].to_vec()).unwrap())
}

/// Another machine: a namespace behind a veth pair.
pub(crate) struct Machine {
    /// Tells its addresses from those of machines of other tests, which may run at once.
    net: u8,
    name: String,
    /// Its namespace.
    pub(crate) file: String,
}

impl Machine {
    /// Makes one in the networks 198.51.NET.0/24 and fd51:NET::/64.
    pub(crate) fn new(net: u8) -> Self {
        let name = format!("caller{}-{net}", std::process::id());
        let link = format!("caller{net}");
        let script = format!(
            "ip netns add {name} && ip link add {link} type veth peer name eth0 netns {name} \
             && ip addr add 198.51.{net}.1/24 dev {link} && ip addr add fd51:{net}::1/64 dev {link} nodad \
             && ip -n {name} addr add 198.51.{net}.2/24 dev eth0 \
             && ip -n {name} addr add fd51:{net}::2/64 dev eth0 nodad \
             && ip link set {link} up && ip -n {name} link set eth0 up"
        );
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        Self { net, file: format!("/run/netns/{name}"), name }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The other end of the pair goes with it.
        drop(Command::new("ip").args(["link", "del", &format!("caller{}", self.net)]).status());
        drop(Command::new("ip").args(["netns", "del", &self.name]).status());
    }
}
