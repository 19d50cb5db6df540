//! A world for one test: the test's thread is a router in a network namespace of its own, with an
//! "outside" host beside it (192.0.2.2, the router being 192.0.2.1). All of it dies with the thread
//! and its descriptors.

#![allow(dead_code, reason = "every test file uses another part of it")]
#![allow(clippy::unwrap_used, reason = "this is test code, though not in a test function")]

use network::{Netlink, PortRule};
use nix::sched::{CloneFlags, setns, unshare};
use resource::{
    ContainerId, Endpoint, EndpointSpec, NetworkName, NetworkRecord, NetworkSpec, PodName, Protocol, Subnet,
};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(crate) const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

pub(crate) struct World {
    pub(crate) netlink: Netlink,
    pub(crate) outside: OwnedFd,
    router: OwnedFd,
}

/// Runs a test in a thread of its own: namespaces belong to threads, and the test runner may lend its
/// main thread.
pub(crate) fn in_a_world(test: impl FnOnce(&World) + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| test(&World::new()));
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn current() -> OwnedFd {
    std::fs::File::open("/proc/thread-self/ns/net").unwrap().into()
}

impl World {
    fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
        run("ip link set lo up");
        let (router, outside) = (current(), network::new_namespace().unwrap());
        let world = Self { netlink: Netlink::open().unwrap().owned_by("test"), outside, router };
        run("ip link add uplink type veth peer name down0");
        run("ip addr add 192.0.2.1/24 dev uplink");
        run("ip -6 addr add 2001:db8::1/64 dev uplink nodad");
        let holder =
            format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&world.outside));
        run(&format!("ip link set down0 netns {holder}"));
        world.outside_do(|| {
            run("ip addr add 192.0.2.2/24 dev down0");
            run("ip -6 addr add 2001:db8::2/64 dev down0 nodad");
            run("ip link set down0 up");
        });
        run("ip link set uplink up");
        // Looking makes the kernel act on the new carrier now, not some time later.
        run("ip link show uplink");
        world.outside_do(|| run("ip link show down0"));
        world
    }

    pub(crate) fn outside_do<T>(&self, work: impl FnOnce() -> T) -> T {
        self.inside(&self.outside, work)
    }

    /// Does something with the thread inside a namespace.
    pub(crate) fn inside<T>(&self, namespace: &OwnedFd, work: impl FnOnce() -> T) -> T {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        let value = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        setns(&self.router, CloneFlags::CLONE_NEWNET).unwrap();
        value.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A network up and a container on it at host address `.2`.
    pub(crate) fn network(&self, record: &NetworkRecord) -> Container {
        network::bridge_up(&self.netlink, record).unwrap();
        self.container(record, 2)
    }

    pub(crate) fn container(&self, record: &NetworkRecord, host: u8) -> Container {
        let namespace = network::new_namespace().unwrap();
        let endpoint = endpoint(record, host, 0);
        self.attach(&namespace, 0, &endpoint);
        Container { namespace, address: endpoint.addresses[0].0, endpoint }
    }

    pub(crate) fn attach(&self, namespace: &OwnedFd, index: usize, endpoint: &Endpoint) {
        let id = ContainerId("0123456789abcdef".repeat(4));
        network::attach(&self.netlink, namespace.as_fd(), &PodName("shop".into()), &id, index, endpoint)
            .unwrap();
    }
}

pub(crate) struct Container {
    pub(crate) namespace: OwnedFd,
    pub(crate) address: IpAddr,
    pub(crate) endpoint: Endpoint,
}

/// Does something while no child of another test is on its way to its program: until it has got there,
/// it keeps everything open that this process had open. Who made it goes on a little earlier than that.
pub(crate) fn unshared<T>(act: impl FnOnce() -> T) -> T {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    act()
}

/// Runs a command in the thread's namespace and gives what it printed.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split(' ');
    let mut command_line = Command::new(words.next().unwrap());
    command_line.args(words);
    let output = unshared(|| command_line.output()).unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn ruleset() -> String {
    run("nft list ruleset")
}

/// Names of the links of the thread's namespace.
pub(crate) fn links() -> Vec<String> {
    let names = run("ip -o link");
    names.lines().map(|line| line.split(": ").nth(1).unwrap().split('@').next().unwrap().to_owned()).collect()
}

/// 10.NUMBER.0.0/16 on bridge `tNUMBER`.
pub(crate) fn record(number: u8) -> NetworkRecord {
    let subnet = Subnet::parse(&format!("10.{number}.0.0/16")).unwrap();
    let spec = NetworkSpec::new(NetworkName(format!("net{number}")));
    NetworkRecord {
        id: format!("{number:064x}"),
        spec,
        created: "2026-01-01T00:00:00Z".parse().unwrap(),
        bridge: format!("t{number}"),
        subnets: vec![(subnet, network::default_gateway(&subnet))],
        mtu: 1500,
    }
}

pub(crate) fn endpoint(record: &NetworkRecord, host: u8, index: usize) -> Endpoint {
    let at = |subnet: &Subnet| match subnet.address {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) + u32::from(host)).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) + u128::from(host)).into()),
    };
    let spec = EndpointSpec::new(record.spec.name.clone());
    let addresses: Vec<_> = record.subnets.iter().map(|(subnet, _)| (at(subnet), subnet.prefix)).collect();
    let v4 = addresses.iter().find_map(|(ip, _)| match ip {
        IpAddr::V4(v4) => Some(*v4),
        IpAddr::V6(_) => None,
    });
    let internal = record.spec.internal;
    Endpoint {
        spec,
        bridge: record.bridge.clone(),
        driver: resource::NetworkDriver::Bridge,
        interface: format!("eth{index}"),
        mac: network::hardware_address(v4.unwrap_or(Ipv4Addr::new(9, 9, 9, host))),
        addresses,
        gateways: if internal {
            vec![]
        } else {
            record.subnets.iter().map(|(_, gateway)| *gateway).collect()
        },
        routed: vec![],
        former: vec![],
        default_route: index == 0 && !internal,
        internal,
        mtu: record.mtu,
    }
}

pub(crate) fn port(host_port: u16, target_ip: IpAddr, target_port: u16) -> PortRule {
    let bridge = "t".to_owned();
    PortRule { protocol: Protocol::Tcp, host_ip: None, host_port, target_ip, target_port, bridge }
}

pub(crate) fn listen(at: IpAddr, port: u16) -> TcpListener {
    TcpListener::bind((at, port)).unwrap()
}

/// Connects, or says that nobody answers; a packet that is dropped takes the time to find out.
pub(crate) fn connect(to: IpAddr, port: u16) -> Option<TcpStream> {
    connect_within(Duration::from_millis(400), to, port)
}

fn connect_within(time: Duration, to: IpAddr, port: u16) -> Option<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from((to, port)), time).ok()
}

/// Connects from here to there, has the listener take it, passes a byte in both directions, and gives
/// the client's address as the listener saw it.
pub(crate) fn reaches(to: IpAddr, port: u16, listener: &TcpListener) -> Option<IpAddr> {
    // A neighbour who did not hear the first question is asked again after a second.
    let mut client = connect_within(Duration::from_secs(20), to, port)?;
    let (mut server, peer) = listener.accept().unwrap();
    let mut byte = [0];
    client.write_all(b"a").unwrap();
    server.read_exact(&mut byte).unwrap();
    server.write_all(b"b").unwrap();
    client.read_exact(&mut byte).unwrap();
    Some(peer.ip())
}

pub(crate) fn datagrams(at: IpAddr, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((at, port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}

/// Sends a datagram and expects an answer from where it was sent to; gives the client's address as the
/// server saw it.
pub(crate) fn asks(client: &UdpSocket, to: IpAddr, port: u16, server: &UdpSocket) -> IpAddr {
    let mut bytes = [0; 16];
    client.send_to(b"question", (to, port)).unwrap();
    let (length, from) = server.recv_from(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"question");
    server.send_to(b"answer", from).unwrap();
    let (length, answered) = client.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..length], answered), (&b"answer"[..], SocketAddr::from((to, port))));
    from.ip()
}
