//! Ports for tests to publish: this process's own until it ends. They are none of those that the kernel
//! hands out, because it would give one to anybody's connection between two uses of it by the test.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, OnceLock};

/// Lowest port that is given out.
const FIRST: u16 = 12_000;
/// How the names begin that test processes hold, an abstract socket for each port: several may be at work
/// on a machine, and a name goes with its holder.
const NAME: &str = "compose-test-port-";

/// A TCP port that nobody listens on, and that no other test is given.
pub fn free_port() -> u16 {
    static HELD: Mutex<Vec<UnixListener>> = Mutex::new(vec![]);
    let mut held = HELD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    for port in FIRST..end() {
        let name = SocketAddr::from_abstract_name(format!("{NAME}{port}")).unwrap();
        match UnixListener::bind_addr(&name) {
            Ok(holder) if free(&port) => {
                held.push(holder);
                return port;
            }
            Err(error) if error.kind() != ErrorKind::AddrInUse => panic!("{NAME}{port}: {error}"),
            _ => {}
        }
    }
    panic!("every port from {FIRST} to {} is taken", end());
}

/// The first port that the kernel gives to connections.
fn end() -> u16 {
    static END: OnceLock<u16> = OnceLock::new();
    *END.get_or_init(|| {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        range.split_whitespace().next().unwrap().parse().unwrap()
    })
}
