//! A machine outside: a network namespace behind a veth pair, whose server answers with the address that
//! the client has there.

use scenarios::{Who, within};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;

/// One such machine; gone when dropped.
pub(crate) struct Outside {
    namespace: String,
    link: String,
    /// Its address.
    pub(crate) address: String,
    /// This host's address towards it.
    pub(crate) host: String,
}

/// A number for the network of a scenario's own: the two tests of a scenario may run at once, so root's
/// is this one and the user's the next.
pub(crate) fn network_of(who: Who, number: u8) -> u8 {
    number + u8::from(who == Who::User)
}

impl Outside {
    /// Makes one in the network 198.51.NET.0/24; tests that run side by side take different ones.
    pub(crate) fn new(net: u8) -> Self {
        let namespace = format!("outside{}-{net}", std::process::id());
        let link = format!("outside{net}");
        let (host, address) = (format!("198.51.{net}.1"), format!("198.51.{net}.2"));
        let script = format!(
            "ip netns add {namespace} && ip link add {link} type veth peer name eth0 netns {namespace} \
             && ip addr add {host}/24 dev {link} && ip link set {link} up \
             && ip -n {namespace} addr add {address}/24 dev eth0 && ip -n {namespace} link set eth0 up"
        );
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let listener =
            within(&format!("/run/netns/{namespace}"), || TcpListener::bind("0.0.0.0:80").unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let client = stream.peer_addr().unwrap().ip();
                // All of it: what is left unread makes a reset of the end.
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                drop(write!(stream, "HTTP/1.0 200 OK\r\n\r\n{client}\n"));
            }
        });
        Self { namespace, link, address, host }
    }

    /// Its network namespace.
    pub(crate) fn file(&self) -> String {
        format!("/run/netns/{}", self.namespace)
    }

    /// A line for sh in a container that asks the server and prints its answer.
    pub(crate) fn question(&self) -> String {
        // The pipe stays open: after half an end, Debian 12's pasta repeats the answer for ever.
        format!(
            "rm -f /tmp/ask; mkfifo /tmp/ask; exec 3<>/tmp/ask; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; \
             nc -w 2 {} 80 <&3",
            self.address
        )
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "del", &self.namespace]).status());
        drop(Command::new("ip").args(["link", "del", &self.link]).status());
    }
}
