//! Ports for tests to publish: this process's own until it ends. They are none of those that the kernel
//! hands out, because it would give one to anybody's connection between two uses of it by the test.

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use sys::file::Lock;

/// Lowest port that is given out.
const FIRST: u16 = 10_000;
/// Held, a file each, by test processes: several may be at work on a machine.
const FOLDER: &str = "/run/compose-test-ports";

/// A TCP port that nobody listens on, and that no other test is given.
pub fn free_port() -> u16 {
    static HELD: Mutex<Vec<Lock>> = Mutex::new(vec![]);
    let mut held = HELD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::fs::create_dir_all(FOLDER).unwrap();
    let free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    for port in FIRST..end() {
        let lock = Lock::try_exclusive(&Path::new(FOLDER).join(port.to_string())).unwrap();
        if let Some(lock) = lock.filter(|_| free(&port)) {
            held.push(lock);
            return port;
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
