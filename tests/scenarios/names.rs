//! Scenarios about names, asked for by packets of our own from inside containers.

use scenarios::{Who, World, scenario, until, within};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket};
use std::time::Duration;

const A: u16 = 1;
const PTR: u16 = 12;
const MX: u16 = 15;
const AAAA: u16 = 28;
const NO_ERROR: u8 = 0;
const NO_SUCH_NAME: u8 = 3;

scenario! {
    /// Names follow scale, recreation and stops at once; replicas are answered in ever another order, and a name
    /// without such a record is there all the same; links, search domains, servers and extra hosts are the file's;
    /// what is not ours is asked of its servers, and never for an internal network.
    names_follow_what_runs, |world| {
        let net = if world.who() == Who::Root { 108 } else { 109 };
        world.write(".env", &format!("NET={net}\n"));
        let asked = serve(&format!("127.53.{net}.1:53"));
        world.compose("up -d").ok();
        let client = namespace(world, "client");
        // Links make it start again with `db`, in the same namespace, whose old name is gone.
        let ask = |name: &str| by_udp(&namespace(world, "client"), name, A, false).addresses();
        let db = ask("db");
        assert_eq!(db.len(), 1);
        let links = ["store", "db-1", "project-db-1", "legacy"];
        for name in ["DB", "Db.Project_Front", "project-db-1.project_front"].iter().chain(&links) {
            assert_eq!(ask(name), db, "{name}");
        }
        assert_eq!(by_udp(&client, "db", A, false).lifetimes(), [600], "seconds");
        for kind in [AAAA, MX] {
            let answer = by_udp(&client, "db", kind, false);
            assert_eq!((answer.code, answer.records.len()), (NO_ERROR, 0), "the name is there, without such a record");
        }
        assert_eq!(by_udp(&client, "db", A, true).addresses(), db, "with EDNS");
        assert_eq!(by_tcp(&client, "db", A).addresses(), db, "by TCP");
        let IpAddr::V4(address) = *db.first().unwrap() else { panic!("{db:?}") };
        let [a, b, c, d] = address.octets();
        let reverse = by_udp(&client, &format!("{d}.{c}.{b}.{a}.in-addr.arpa"), PTR, false);
        assert_eq!(reverse.names(), ["project-db-1.project_front"]);
        assert!(by_udp(&namespace(world, "web"), "store", A, false).addresses().is_empty(), "another's link");

        let outside = BTreeSet::from([IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))]);
        assert_eq!(ask("www.example.com"), outside);
        assert_eq!(by_tcp(&client, "www.example.com", A).addresses(), outside);
        assert_eq!(ask("db.project_inner"), outside, "it is not on that network");
        let closed = by_udp(&namespace(world, "closed"), "secret.example.com", A, false);
        assert_eq!(closed.code, NO_SUCH_NAME);
        let asked: Vec<_> = asked.try_iter().collect();
        assert!(asked.iter().any(|name| name == "www.example.com"), "{asked:?}");
        let ours = |name: &String| name.eq_ignore_ascii_case("db") || name == "secret.example.com";
        assert!(!asked.iter().any(ours), "{asked:?}");

        world.compose("up -d --scale web=3").ok();
        let replicas = ask("web");
        assert_eq!(replicas.len(), 3);
        let mut first = BTreeSet::new();
        until("each replica is answered first", || {
            let answer = by_udp(&client, "web", A, false).in_order()[0];
            first.insert(answer);
            (first == replicas).then_some(())
        });
        world.compose("up -d --scale web=1").ok();
        world.compose("up -d --force-recreate db").ok();
        let held = world.row("db")["ID"].as_str().unwrap().to_owned();
        assert_eq!((ask("web").len(), ask("db").len()), (1, 1));
        assert_eq!(ask(&held[..12]), ask("db"), "the new one has the name");
        world.compose("restart -t 0 db").ok();
        assert_eq!(ask("db").len(), 1);
        world.compose("stop -t 0 db").ok();
        assert_eq!((ask("db"), ask("legacy")), (outside.clone(), outside), "no longer ours");

        let read = |service: &str, path: &str| world.run(&["exec", "-T", service, "cat", path], "").ok().stdout;
        assert_eq!(
            read("client", "/etc/resolv.conf"),
            "nameserver 127.0.0.11\nsearch shop.test\noptions timeout:1 ndots:2\n"
        );
        let hosts = read("client", "/etc/hosts");
        for line in ["192.0.2.7\tprinter\n", "2001:db8::7\tscanner\n", "\tdesk.shop.test desk\n"] {
            assert!(hosts.contains(line), "{line:?} in {hosts}");
        }
        let gate = hosts.lines().find_map(|line| line.strip_suffix("\tgate")).unwrap();
        assert_eq!(gate == format!("10.219.{net}.1"), world.who() == Who::Root, "{gate}");
        assert!(read("closed", "/etc/hosts").contains("192.0.2.8\tplotter\n"));
    }
}

fn namespace(world: &World, service: &str) -> String {
    format!("/proc/{}/ns/net", world.processes(&world.id(service))[0])
}

/// A server of names outside: whatever it is asked for has the address 203.0.113.7. Tells what it was
/// asked for; ends with the test.
fn serve(address: &str) -> std::sync::mpsc::Receiver<String> {
    let (udp, tcp) = (UdpSocket::bind(address).unwrap(), std::net::TcpListener::bind(address).unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    let also = tell.clone();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, client)) = udp.recv_from(&mut query) {
            drop(tell.send(name_at(&query[..length], 12).0));
            drop(udp.send_to(&answer(&query[..length]), client));
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().map_while(Result::ok) {
            let Some(query) = framed(&mut stream) else { continue };
            drop(also.send(name_at(&query, 12).0));
            let answer = answer(&query);
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            drop(stream.write_all(&[&length[..], &answer].concat()));
        }
    });
    told
}

fn answer(query: &[u8]) -> Vec<u8> {
    let (_, end) = name_at(query, 12);
    let mut bytes = query[..end + 4].to_vec();
    bytes[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 203, 0, 113, 7]);
    bytes
}

/// What came back: the code and the data of the answers.
struct Reply {
    code: u8,
    bytes: Vec<u8>,
    /// Kind and place of each record's data.
    records: Vec<(u16, std::ops::Range<usize>)>,
}

impl Reply {
    fn read(bytes: Vec<u8>) -> Self {
        let count = u16::from_be_bytes([bytes[6], bytes[7]]);
        let mut at = name_at(&bytes, 12).1 + 4;
        let mut records = vec![];
        for _ in 0..count {
            at = name_at(&bytes, at).1;
            let number = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            let data = at + 10..at + 10 + usize::from(number(at + 8));
            records.push((number(at), data.clone()));
            at = data.end;
        }
        Self { code: bytes[3] & 15, bytes, records }
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        self.in_order().into_iter().collect()
    }

    fn in_order(&self) -> Vec<IpAddr> {
        let four = self.records.iter().filter(|(kind, _)| *kind == A);
        four.map(|(_, data)| <[u8; 4]>::try_from(&self.bytes[data.clone()]).unwrap().into()).collect()
    }

    /// How long each record may be kept, seconds; it is said before the length of the data.
    fn lifetimes(&self) -> Vec<u32> {
        let lifetime = |data: &std::ops::Range<usize>| &self.bytes[data.start - 6..data.start - 2];
        self.records.iter().map(|(_, data)| u32::from_be_bytes(lifetime(data).try_into().unwrap())).collect()
    }

    fn names(&self) -> Vec<String> {
        self.records.iter().map(|(_, data)| name_at(&self.bytes, data.start).0).collect()
    }
}

/// A name in a message and where it ends.
fn name_at(bytes: &[u8], mut at: usize) -> (String, usize) {
    let (mut labels, mut end) = (vec![], None);
    loop {
        let length = usize::from(bytes[at]);
        if length == 0 {
            return (labels.join("."), end.unwrap_or(at + 1));
        }
        if length >= 0xc0 {
            end = end.or(Some(at + 2));
            at = (length & 0x3f) << 8 | usize::from(bytes[at + 1]);
        } else {
            labels.push(String::from_utf8_lossy(&bytes[at + 1..=at + length]).into_owned());
            at += length + 1;
        }
    }
}

fn query(name: &str, kind: u16, extended: bool) -> Vec<u8> {
    let mut bytes = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(extended)];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend([kind.to_be_bytes(), [0, 1]].concat());
    if extended {
        bytes.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

fn by_udp(namespace: &str, name: &str, kind: u16, extended: bool) -> Reply {
    let bytes = until(&format!("{name} is answered"), || {
        within(namespace, || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            socket.send_to(&query(name, kind, extended), "127.0.0.11:53").unwrap();
            let mut answer = [0; 4096];
            let length = socket.recv(&mut answer).ok()?;
            Some(answer[..length].to_vec())
        })
    });
    Reply::read(bytes)
}

fn by_tcp(namespace: &str, name: &str, kind: u16) -> Reply {
    Reply::read(within(namespace, || {
        let mut stream = TcpStream::connect("127.0.0.11:53").unwrap();
        let query = query(name, kind, false);
        // In two parts, as a network may deliver it.
        stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&query).unwrap();
        framed(&mut stream).unwrap()
    }))
}

fn framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
